"""A course with one small lab in PyTorch, to which the hostile submissions are handed in."""

from __future__ import annotations

from pathlib import Path

from grader.harness import course

ASSIGNMENT = "pytorch-9-hostile"
NOTEBOOK = "01_prepare"
LAB = "9_hostile/01_prepare"
POINTS = 4
CHECK = "check-repair"

LAB_PY = """# ---
# title: The network is fed empty images
# symptom: The accuracy stays where guessing is.
# minutes: 5
# difficulty: 1
# learn: [look at what enters the network, scale it, measure again]
# sources: ["000/00"]
# seconds: {pytorch: 2, tensorflow: 2}
# hints:
#   repair: [look, look here, this line]
# ---

# %% [markdown] story
# Somebody divides bytes by 255 with `//`, and hardly anything is left of the images.

# %% sick-run
train = lab.draw("train", 20, 16)
print("the largest value is", train.images.max())

# %% repair tags=["answer"]
def prepare(images):
    x = images // 255 * 1.0
    ### BEGIN SOLUTION
    x = images / 255
    ### END SOLUTION
    return x

# %% check-repair tags=["check"]
lab.check("repair")
"""

CHECKS_PY = '''"""Trains a small network on prepared images; the judge draws the labels."""

import numpy as np

from grader.checks import AnswerError, Check, Threshold

SIZE, N_TRAIN, N_TEST, KINDS = 16, 200, 200, (0, 7, 9)
ACCURACY = Threshold("accuracy on unseen images", 0.5, "at least")


def draw_unseen(case):
    return case.draw_kinds("test", N_TEST, SIZE, KINDS)


def prepared(answer, images):
    values = np.asarray(answer.prepare(images.copy()))
    if values.shape != images.shape or values.dtype.kind not in "fiu":
        raise AnswerError(
            f"`prepare` returned {type(values).__name__} of shape {values.shape} for images of "
            f"shape {images.shape}; return as many numbers."
        )
    return values.astype(np.float64)


def collect(case, answer):
    fw = case.fw
    train = case.draw_kinds("train", N_TRAIN, SIZE, KINDS)
    unseen = case.unseen(draw_unseen)
    x, fed = prepared(answer, train.images), prepared(answer, unseen.images)
    model = fw.quick_cnn(SIZE, len(train.classes))
    fw.train(
        model, fw.from_images(x), train.labels,
        steps=80, batch_size=32, learning_rate=0.003, optimizer="adam", seed=case.seed,
    )
    return {
        "starter": bool(np.array_equal(x, train.images // 255)),
        "predicted": fw.predict(model, fw.from_images(fed)).argmax(axis=1),
    }


def judge(case, evidence):
    labels = draw_unseen(case.of_unseen()).labels
    predicted = np.asarray(evidence["predicted"])
    if predicted.shape != labels.shape:
        raise ValueError(f"{predicted.shape} predictions for {labels.shape} images")
    accuracy = float((predicted == labels).mean())
    return [
        ACCURACY.finding(
            accuracy,
            measured=f"The network is right on {100 * accuracy:.0f} % of the unseen images.",
            means="What enters it says too little about the images.",
            look_next="Count the different values that `prepare` returns.",
        )
    ]


CHECKS = [
    Check(
        name="repair", points=4, takes=("prepare",), collect=collect, judge=judge,
        untouched=lambda evidence: evidence["starter"], seconds=1,
        unseen=draw_unseen, measured_inside=False,
    ),
]
'''

RIGHT = "def prepare(images):\n    return images / 255"
WRONG = "def prepare(images):\n    return images // 255 + 1.0"


def make(root: Path, cell_seconds: int) -> Path:
    """Make the lab, its notebooks and the course folder below `root`; return the course folder.

    Args:
        cell_seconds: time limit of one cell in this course.
    """
    from grader.authoring import build

    lab = root / "labs" / LAB
    lab.mkdir(parents=True)
    (lab / "lab.py").write_text(LAB_PY)
    (lab / "checks.py").write_text(CHECKS_PY)
    config = (course.repository() / course.CONFIG).read_text()
    assert config.count("timeout = 120") == 1
    assert config.count("iopub_timeout = 30") == 1
    config = config.replace("iopub_timeout = 30", "iopub_timeout = 2")
    config = config.replace("Execute.timeout = 120", f"Execute.timeout = {cell_seconds}")
    (root / course.CONFIG).write_text(config)
    build.build(root)
    folder = course.make_course(root / "course", [ASSIGNMENT], source=root)
    course.generate_assignment(folder, ASSIGNMENT)
    key = folder / ".cnn-clinic" / "course.key"
    key.parent.mkdir()
    key.write_bytes(bytes(range(32)))  # the same unseen images in every run
    return folder
