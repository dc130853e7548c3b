"""A course with one tiny lab that needs no framework, for the tests of the harness."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from grader.harness import course

ASSIGNMENT = "pytorch-9-tiny"
NOTEBOOK = "01_double"
LAB = "9_tiny/01_double"

LAB_PY = """# ---
# title: A doubling that does not double
# symptom: The number comes back as it went in.
# minutes: 5
# difficulty: 1
# learn: [doubling, reading, checking]
# sources: ["000/00"]
# seconds: {pytorch: 5, tensorflow: 5}
# hints:
#   diagnosis: [look, look here, this line]
#   repair: [look, look here, this line]
# ---

# %% [markdown] story
# Somebody doubled 3 and got 3.

# %% sick-run
start = 3.0
print("the sick run says", start)

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "factor"
reading = 5.0
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% repair tags=["answer"]
def double(x):
    ### BEGIN SOLUTION
    x = x * 2
    ### END SOLUTION
    return x

# %% check-repair tags=["check"]
lab.check("repair")

# %% proof tags=["proof"]
raise SystemExit("proof cells are not run while grading")
"""

CHECKS_PY = """
from grader.checks import AnswerError, Check, Diagnosis, Threshold

doubles = Threshold("error of double(3)", 0.01, "at most")
scales = Threshold("error of double(100)", 0.01, "at most")


def collect(case, answer):
    values = [answer.double(3.0), answer.double(100.0)]
    if not all(isinstance(v, float) for v in values):
        raise AnswerError("`double` returns no number; return a float.")
    return {"three": values[0], "hundred": values[1]}


def judge(case, evidence):
    three, hundred = evidence["three"], evidence["hundred"]
    return [
        doubles.finding(
            abs(three - 6), measured=f"double(3) is {three:g}.",
            means="The factor is not 2.", look_next="Print double(1).",
        ),
        scales.finding(
            abs(hundred - 200), measured=f"double(100) is {hundred:g}.",
            means="It adds instead of multiplying.", look_next="Try another number.",
        ),
    ]


CHECKS = [
    Diagnosis(
        causes={"factor": "It is one.", "sign": "The sign is right."},
        cause="factor", reading="the factor", measure=lambda case: 5.0, tolerance=0.05,
    ),
    Check(
        name="repair", points=4, takes=("double",), collect=collect, judge=judge,
        untouched=lambda e: e["three"] == 3.0 and e["hundred"] == 100.0, seconds=0.1,
    ),
]
"""

# A kernel that finds this module takes it for the adapter and does not import PyTorch.
STAND_IN = """
import sys, types
fw = types.ModuleType("grader.frameworks.pytorch")
fw.NAME = "pytorch"
fw.set_seed = lambda seed: None
fw.choose_device = lambda request: "cpu"
sys.modules[fw.__name__] = fw
"""

RIGHT = "def double(x):\n    return x + x"
DIAGNOSED = "cause = 'factor'\nreading = 5.01"


def make(root: Path) -> Path:
    """Make the lab, its notebooks and the course folder below `root`; return the course folder."""
    from grader.authoring import build

    lab = root / "labs" / LAB
    lab.mkdir(parents=True)
    (lab / "lab.py").write_text(LAB_PY)
    (lab / "checks.py").write_text(CHECKS_PY)
    stand_in = root / "stand_in"
    stand_in.mkdir()
    (stand_in / "sitecustomize.py").write_text(STAND_IN)
    shutil.copyfile(course.repository() / course.CONFIG, root / course.CONFIG)
    build.build(root)
    return course.make_course(root / "course", [ASSIGNMENT], source=root)


def environment(root: Path) -> dict[str, str]:
    """What the grading process and its kernels need to find the lab and the stand-in."""
    return {
        "CNN_CLINIC_LABS": str(root / "labs"),
        "CNN_CLINIC_SEED": "everybody's",
        "PYTHONPATH": os.pathsep.join([str(root / "stand_in"), os.environ.get("PYTHONPATH", "")]),
    }
