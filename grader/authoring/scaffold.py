"""The scaffold of a new lab: a tiny worked example in which every place to fill says TODO."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path

from grader.errors import ClinicError
from grader.frameworks import NAMES

_ID = re.compile(r"[0-9]_[a-z0-9_]+/[0-9]{2}_[a-z0-9_]+")


def new_lab(root: Path, lab_id: str, title: str) -> Path:
    """Make labs/<lab_id>/ below `root` with lab.py, checks.py and the answers; return the folder.

    The scaffold runs as it is; `grader lint` lists what is still to be written.

    Raises:
        ClinicError: an id of another form, an empty title, or a folder that exists.
    """
    if not _ID.fullmatch(lab_id):
        raise ClinicError(
            f"The lab id {lab_id!r} has another form; write it as module/nn_name in small letters, "
            "such as 1_data/07_wrong_flips."
        )
    if not title.strip() or "\n" in title or "!" in title:
        raise ClinicError(
            f"The title {title!r} is not usable; give one line of words, no exclamation mark."
        )
    folder = root / "labs" / lab_id
    if folder.exists():
        raise ClinicError(
            f"labs/{lab_id} exists already, so nothing was written; choose another name."
        )
    files = {
        "lab.py": _LAB.replace("@TITLE@", json.dumps(title.strip(), ensure_ascii=False)),
        "checks.py": _CHECKS,
        **{f"answers/{framework}.py": _ANSWERS for framework in NAMES},
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and moved there whole, so that a half-made lab never stands in labs/.
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        (draft / "answers").mkdir()
        for name, text in files.items():
            (draft / name).write_text(text, encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return folder


_LAB = """\
# ---
# title: @TITLE@
# symptom: "TODO: one sentence on what somebody saw."
# minutes: 25
# difficulty: 1
# draft: true
# learn: ["TODO: two to four short phrases on what is learned"]
# sources: ["TODO: rows of the source list, such as 000/28"]
# seconds: {pytorch: 30, tensorflow: 30}
# hints:
#   diagnosis:
#     - "TODO: a nudge."
#     - "TODO: where to look."
#     - "TODO: the line."
#   repair:
#     - "TODO: a nudge."
#     - "TODO: where to look."
#     - "TODO: the line."
# ---

# %% [markdown] story
# TODO: what somebody saw, in short sentences, with the number they saw. No theory yet.

# %% sick-program tags=["pytorch"]
# TODO: the sick program, as PyTorch is really written.
images = lab.draw("train", 16, 16).images
largest = float(images.max())
print(f"The largest value that enters the network is {largest:.0f}.")

# %% sick-program tags=["tensorflow"]
# TODO: the same program, as Keras is really written.
images = lab.draw("train", 16, 16).images
largest = float(images.max())
print(f"The largest value that enters the network is {largest:.0f}.")

# %% picture tags=["picture"]
# TODO: one signature picture from the run above, with lab.show(figure, sentence).
print(f"The values reach {largest:.0f}.")

# %% [markdown] question
# TODO: the question, and every choice with what it would mean.
#
# | `cause` | what it would mean |
# |---|---|
# | `"unscaled"` | TODO: what the picture would show |
# | `"too dark"` | TODO: what the picture would show |

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
# TODO: the cause, and the number computed from what the instrument returned.
cause = "unscaled"
reading = largest
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] task
# TODO: what the function below has to return, its shape, its type and its unit.


# %% repair tags=["answer"]
def prepare(images):
    # TODO: the sick code; it stands outside the region and runs by itself.
    x = images * 1.0
    ### BEGIN SOLUTION
    # TODO: the repair.
    x = images / 255
    ### END SOLUTION
    return x


# %% check-repair tags=["check"]
lab.check("repair")

# %% proof tags=["proof"]
# TODO: the picture again, before and after, on unseen images.
unseen = lab.draw("test", 16, 16).images
print(f"Before {unseen.max():.0f}, after {prepare(unseen).max():.2f}.")

# %% [markdown] gpu
# ## On a GPU
#
# TODO: what is the same on a GPU and what is not.

# %% [markdown] read-on
# ## Read on
#
# TODO: papers and documentation, by title.
"""

_CHECKS = '''\
"""What the answers of this lab are measured by."""

import numpy as np

from grader.checks import AnswerError, Check, Diagnosis, Threshold

# TODO: limits from `grader calibrate`, at least three standard deviations from both sides.
SCALE = Threshold("largest value", 1.5, "at most")
CONTRAST = Threshold("spread, of what it should be", 0.8, "at least")


def collect(case, answer):
    """Measure the answer and its controls on the same images; return numbers, no verdict."""
    # TODO: what is measured.
    images = case.draw("test", 32, 16).images
    prepared = np.asarray(answer.prepare(images), dtype=np.float64)
    if prepared.shape != images.shape:
        raise AnswerError(f"`prepare` returns the shape {prepared.shape}, not {images.shape}.")
    return {
        "largest": float(prepared.max()),
        "spread": float(prepared.std()),
        "sick_largest": float(images.max()),
        "repaired_spread": float((images / 255).std()),
    }


def judge(case, evidence):
    """Findings in order; the first that does not hold is what the learner reads."""
    spread = evidence["spread"] / evidence["repaired_spread"]
    return [
        SCALE.finding(
            evidence["largest"],
            measured=f"The largest value is {evidence['largest']:.3g}.",
            means="TODO: what that usually means.",
            look_next="TODO: what to measure next.",
        ),
        CONTRAST.finding(
            spread,
            measured=f"The values spread {spread:.3g} times as far as they should.",
            means="TODO: what that usually means.",
            look_next="TODO: what to measure next.",
        ),
    ]


CHECKS = [
    Diagnosis(
        causes={
            "unscaled": "TODO: why it is the cause.",
            "too dark": "TODO: why it is not the cause.",
        },
        cause="unscaled",
        reading="TODO: what the number is, with its unit",
        # TODO: the same measurement as in the notebook.
        measure=lambda case: float(case.draw("train", 16, 16).images.max()),
        tolerance=0.02,
    ),
    Check(
        name="repair",
        points=3,
        takes=("prepare",),
        collect=collect,
        judge=judge,
        # TODO: true for the starter alone, from values that do not depend on chance.
        untouched=lambda evidence: evidence["largest"] == evidence["sick_largest"],
        seconds=1.0,
    ),
]
'''

_ANSWERS = """\
# %% zeros kind="constant"
# TODO: the answer that returns a constant.
def prepare(images):
    return images * 0.0


# %% raises kind="crash"
def prepare(images):
    raise ValueError("this answer raises when it is called")


# %% divides_by_two kind="wrong"
# TODO: a plausible wrong repair; says="..." names words that its message must contain.
def prepare(images):
    return images / 2


# %% divides_twice kind="wrong"
# TODO: a second one, wrong in another way.
def prepare(images):
    return images / 255 / 255


# %% clips kind="wrong"
# TODO: a third one.
def prepare(images):
    return images.clip(0, 1) * 1.0


# %% multiplies kind="right"
# TODO: a repair that is written differently from the solution.
def prepare(images):
    return images * (1 / 255)


# %% divides_by_256 kind="right"
# TODO: a second one.
def prepare(images):
    return images / 256


# %% centres kind="right"
# TODO: a third one.
def prepare(images):
    return images / 255 - 0.5


# %% looks_up kind="healthy"
# TODO: a program that never had the disease, written in quite another way.
def prepare(images):
    import numpy

    return numpy.linspace(0, 1, 256)[images]


# %% right_cause_wrong_number kind="wrong" cell="diagnosis"
# TODO: the right cause with a wrong number.
cause = "unscaled"
reading = 1.0

# %% wrong_cause_right_number kind="wrong" cell="diagnosis"
# TODO: a wrong cause with the right number.
cause = "too dark"
reading = largest
"""
