"""Early downsampling: do the weights meet pixels, at what price, and is the image still read?"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.predictions import share_right
from grader.checks.verdict import number
from grader.datasets import Images
from grader.datasets.letters import LETTERS, paint_letters
from grader.instruments.downsampling import (
    Downsampling,
    measure_downsampling,
    read_last_map,
)

SIZE, N_TRAIN, N_TEST = 20, 500, 300
CLASSES = len(LETTERS)
BATCH = 16  # images from which the use of the weights is measured
FEW = 32  # images with which two trainings are compared
N_READ = 300  # images to which a linear readout is fitted
CONTROL_STEPS = 160

CAUSES = {
    "too-deep": "A gradient that vanishes would leave the training loss where it is. This one "
    "falls: the network learns the images that it is shown.",
    "too-few-filters": "The network with three convolutions has at most sixteen filters in a layer "
    "and reads the letters; this one has up to 64.",
    "learning-rate": "A learning rate cannot change which weights meet a pixel. Before the first "
    "step more than half of them meet none.",
    "overfitting": "The gap between training and unseen images is there, but it is the small "
    "network, with a twentieth of the weights, that has seen the same few images and reads on.",
    "early-downsampling": "Two layers make the map four times smaller before the first block looks "
    "at it; at the end it is one position, and a window of 3x3 lies on padding but for its centre.",
    "missing-normalisation": "Every convolution here is followed by a normalisation.",
}

# The first three are counts, the same for every seed. Idle weights: none in any right repair, 37 %
# and more behind the stem for photographs. Upsampling to 224 pixels costs 15 times the control's
# multiply-adds, leaving out every stride 17 times. The other two come from 20 seeds of every answer
# in both frameworks, see calibration/: they lie between the stem alone replaced, whose last map is
# 3 x 3, and a stride that takes every other pixel first. One network lies in between, the sick one
# with windows of one position in its last block: .28 to .60 of the way in 20 seeds of PyTorch.
MEETS = Threshold("share of the weights that meet nothing but padding", 0.1, "at most")
COSTS = Threshold("multiply-adds, times those of a healthy control", 3, "at most")
SIZED = Threshold("parameters, times those of the sick model", 2, "at most")
READS = Threshold(
    "linear readout of the last map, share of the way to the control", 0.6, "at least"
)
UNSEEN = Threshold("accuracy, share of the way from guessing to the control", 0.6, "at least")


def _letters(case: Case, split: str, n: int) -> Images:
    painted, _ = paint_letters(case.draw(split, n, SIZE), split, case.seed)
    return painted


def idle_share(case: Case) -> float:
    """Share of the sick model's parameters that meet nothing but padding, in percent."""
    fw, train = case.fw, _letters(case, "train", BATCH)
    x = fw.from_images(train.standardised(), case.device)
    fw.set_seed(case.seed)
    model = fw.residual_network(SIZE, CLASSES, photograph_stem=True)
    return 100 * measure_downsampling(fw, model, x, train.labels).idle


def unseen_images(case: Case) -> Images:
    """The letters that the trained models are asked about."""
    return _letters(case, "test", N_TEST)


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    fw = case.fw
    train, unseen = _letters(case, "train", N_TRAIN), case.unseen(unseen_images)
    x, labels = fw.from_images(train.standardised(), case.device), train.labels
    few, few_labels = x[:BATCH], labels[:BATCH]

    fw.set_seed(case.seed)
    model = answer.build_model(SIZE, CLASSES)
    _usable(fw, model, few)
    sick_size, healthy_cost = _references(fw)
    evidence: dict[str, Any] = {
        "untouched": False,
        "cost": fw.multiply_adds(model, few) / healthy_cost,
        "size": fw.parameter_count(model) / sick_size,
        "idle": math.nan,
        "most_idle": (0, 1, 0),
        "read": np.zeros(0, np.int64),
        "map": 0,
        "predicted": np.zeros(0, np.int64),
    }
    # What does not pass here is not trained: the price of a training is what it would be about.
    if not (COSTS.holds(evidence["cost"]) and SIZED.holds(evidence["size"])):
        return evidence
    used = measure_downsampling(fw, model, few, few_labels)
    evidence |= {"idle": used.idle, "most_idle": _most_idle(used)}
    if not MEETS.holds(used.idle):
        same = _same_program(case, answer, model, x[:FEW], labels[:FEW])
        return evidence | {"untouched": same}

    before = [a.shape for a in fw.get_state(model)]
    fw.set_seed(case.seed)
    answer.train(model, x, fw.from_labels(labels, case.device))
    if [a.shape for a in fw.get_state(model)] != before:
        raise AnswerError("`train` changed the shapes of the weights; train the model it is given.")
    x_unseen = fw.from_images(unseen.standardised(train), case.device)
    side, read = read_last_map(fw, model, x[:N_READ], labels[:N_READ], x_unseen, CLASSES)
    return evidence | {
        "read": read,
        "map": side,
        "predicted": fw.predict(model, x_unseen).argmax(axis=1),
    }


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """What the control says, where the answer was trained."""
    return {"control": _control(case) if len(evidence["predicted"]) else []}


@functools.lru_cache(maxsize=4)
def _control(case: Case) -> np.ndarray:
    """Classes named by a network with three convolutions, trained for as long as the sick one.

    They depend on the case only, so they are kept for the next answer to the same one.
    """
    fw, train = case.fw, _letters(case, "train", N_TRAIN)
    fw.set_seed(case.seed)
    control = fw.small_network(SIZE, CLASSES, width=8, seed=case.seed, device=case.device)
    (logits,) = fw.outputs_after_training(
        control,
        [(fw.from_images(train.standardised(), case.device), train.labels)],
        fw.from_images(case.unseen(unseen_images).standardised(train), case.device),
        steps=CONTROL_STEPS,
        batch_size=32,
        learning_rate=0.01,
        seed=case.seed,
    )
    return np.asarray(logits.argmax(axis=1))


@functools.cache
def _references(fw: Any) -> tuple[int, int]:
    """Parameters of the sick model, and multiply-adds of the one with a stem for small images."""
    one = fw.from_images(np.zeros((1, SIZE, SIZE, 3)))
    sick = fw.residual_network(SIZE, CLASSES, photograph_stem=True)
    healthy = fw.residual_network(SIZE, CLASSES, photograph_stem=False)
    return fw.parameter_count(sick), fw.multiply_adds(healthy, one)


def _usable(fw: Any, model: Any, x: Any) -> None:
    if not fw.is_model(model):
        raise AnswerError(
            f"`build_model` returned a {type(model).__name__}; return a fresh model that gives "
            "one logit for each class."
        )
    outputs = fw.predict(model, x)
    if outputs.shape != (len(x), CLASSES):
        raise AnswerError(
            f"The model gives outputs of shape {outputs.shape} for {len(x)} images; give one logit "
            f"for each of the {CLASSES} classes."
        )


def _most_idle(used: Downsampling) -> tuple[int, int, int]:
    """Side, positions of the window and idle ones, of the kernel with the most idle weights."""
    if not used.kernels:
        return 0, 1, 0
    worst = max(used.kernels, key=lambda kernel: kernel.idle_weights)
    return worst.side, worst.taps, worst.idle


def _same_program(case: Case, answer: Answer, model: Any, x: Any, labels: np.ndarray) -> bool:
    """True when model and training are the sick ones: same weights after the same few images."""
    fw = case.fw
    fw.set_seed(case.seed)
    sick = answer.build_sick(SIZE, CLASSES)
    start, sick_start = fw.get_state(model), fw.get_state(sick)
    if not _same(start, sick_start):
        return False
    y = fw.from_labels(labels, case.device)
    for network, train in ((model, answer.train), (sick, answer.sick_train)):
        fw.set_seed(case.seed)
        train(network, x, y)
    return _same(fw.get_state(model), fw.get_state(sick))


def _same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return [a.shape for a in one] == [a.shape for a in other] and all(
        np.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(one, other, strict=True)
    )


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Five gates: multiply-adds, size, weights that meet pixels; the last map; unseen images."""
    labels = unseen_images(case.of_unseen()).labels
    return [
        _costs(evidence),
        _sized(evidence),
        _meets(evidence),
        _reads(evidence, labels),
        _unseen(evidence, labels),
    ]


def _meets(evidence: Evidence) -> Finding:
    side, taps, idle = evidence["most_idle"]
    return MEETS.finding(
        evidence["idle"],
        measured=f"{100 * evidence['idle']:.0f} % of the model's weights are multiplied by nothing "
        f"but padding. The kernel with the most of them has a window of {taps} positions on a map "
        f"of {side} x {side}; {idle} of the {taps} never meet a pixel.",
        means="No step has been taken yet, so neither the learning rate nor the number of epochs "
        "can change this. More filters or a wider head add weights where the map is already gone.",
        look_next="Print the table of layers for your model. Which layers make the map smaller, "
        "and how many have looked at it before they do?",
    )


def _costs(evidence: Evidence) -> Finding:
    return COSTS.finding(
        evidence["cost"],
        measured=f"The model takes {number(evidence['cost'])} times the multiply-adds of a "
        "healthy network of the same depth, for every image. It was not trained.",
        means="The maps are large, and the price is paid at each of their positions. An enlarged "
        "image holds no detail that the small one lacks; a map that never shrinks keeps detail "
        "that its last layers do not need.",
        look_next="Read the multiply-adds layer by layer. Which layers cost the most, and how "
        "large are their maps?",
    )


def _sized(evidence: Evidence) -> Finding:
    return SIZED.finding(
        evidence["size"],
        measured=f"The model has {number(evidence['size'])} times the parameters of the sick one. "
        "It was not trained.",
        means="The disease is not a lack of weights; more than half of those there were idle.",
        look_next="Measure the accuracy for a narrower version of your model.",
    )


def _right(predicted: Any, labels: np.ndarray) -> float:
    return share_right(predicted, labels) if len(predicted) else math.nan


def _share(reached: float, control: float) -> float:
    """Share of the way from guessing to the control."""
    guessing = 1 / CLASSES
    return (reached - guessing) / (control - guessing) if control > guessing else math.nan


def _reads(evidence: Evidence, labels: np.ndarray) -> Finding:
    read, control = (_right(evidence[name], labels) for name in ("read", "control"))
    side = evidence["map"]
    measured = (
        f"From the last map, {side} x {side} positions, a linear readout names "
        f"{number(100 * read)} % of unseen letters; a network with three convolutions names "
        f"{number(100 * control)} %."
    )
    return READS.finding(
        _share(read, control),
        measured=measured if side else "The model has no layer that computes on a map.",
        means="The weights meet pixels, but what the letters differ in is thrown away between two "
        "positions before enough layers have looked at it. A stride that skips pixels loses more "
        "than a pooling that keeps the largest of them. No layer behind can bring it back.",
        look_next="Draw the linear readout stage by stage. From which side of the map on does it "
        "stop to rise?",
    )


def _unseen(evidence: Evidence, labels: np.ndarray) -> Finding:
    reached, control = (_right(evidence[name], labels) for name in ("predicted", "control"))
    return UNSEEN.finding(
        _share(reached, control),
        measured=f"On unseen images the model is right on {number(100 * reached)} %; guessing on "
        f"{100 / CLASSES:.0f} %, a network with three convolutions on {number(100 * control)} %.",
        means="The last map holds what is needed, and the trained model does not use it: it has "
        "not been trained for long enough, or not steadily.",
        look_next="Compare the accuracy on training and on unseen images, and the last epochs with "
        "each other.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="early-downsampling",
        reading="weights that are multiplied by nothing but padding, in percent of all",
        measure=idle_share,
        tolerance=0.02,
    ),
    Check(
        name="repair",
        points=5,
        takes=("build_model", "train", "build_sick", "sick_train"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: bool(evidence["untouched"]),
        unseen=unseen_images,
        measure=measure_repair,
        seconds=5,
    ),
]
