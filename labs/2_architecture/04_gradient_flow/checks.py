"""Gradient flow: does it reach every layer, does every layer use it, and what is learned?"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.predictions import predict_both_ways, share_right_at_best
from grader.checks.verdict import number
from grader.datasets import Images
from grader.instruments.gradient_flow import (
    NOTHING_ARRIVES,
    GradientFlow,
    measure_gradient_flow,
    measure_movement,
)

SIZE, N_TRAIN, N_TEST = 16, 320, 300
KINDS = (0, 2, 5, 7)  # coast, forest, meadow, residential
BATCH = 64  # images from which gradients are measured
CONTROL_STEPS = 120
FAINT = 1e-6  # relative gradient that moves nothing: ten times the resolution of float32

CAUSES = {
    "learning-rate": "A learning rate multiplies the gradient of every layer by the same number. "
    "The bars would all be low or all be high; they would not fall from right to left.",
    "labels": "Wrong labels turn the gradient into another direction; they do not keep it from "
    "the first layers. The bars would stand level.",
    "too-few-filters": "A network that is too narrow still learns something, and its first layers "
    "still get a gradient.",
    "vanishing-gradient": "Every layer passes on less than half of the gradient that reaches it. "
    "After fourteen of them nothing is left that could change the first filters.",
    "exploding-gradient": "The bars rise from the first layer to the last. An exploding gradient "
    "grows on its way back: the first layers would have the highest bars, and the first loss "
    "would be far above the loss of guessing.",
    "dead-units": "A layer whose units never fire gets a gradient of exactly zero, and so do those "
    "before it. Here every layer still gets some, each less than the next.",
}

# Limits from 20 seeds of every answer in both frameworks; see calibration/. AutoTrainer (Zhang et
# al. 2021) calls a gradient vanished below 10^-3 of the last layer's; fourteen layers of sixteen
# filters lose 10^-3.2 to 10^-4.8 and their repairs at most 10^-2, so the limit lies between.
ARRIVES = Threshold("powers of ten lost on the way, before training", 2.7, "at most")
MOVES = Threshold("change of the stillest layer, power of ten", -5, "at least")
LASTS = Threshold("powers of ten lost on the way, after training", 6, "at most")
LEARNS = Threshold("loss at the end, share of the loss of guessing", 0.8, "at most")
UNSEEN = Threshold("accuracy, share of the way from guessing to the control", 0.5, "at least")
# Without depth a model trains sooner than a deep one, so more is asked of it; a linear model, which
# has a perfect gradient, reaches half of the way.
SMALL, UNSEEN_SMALL = (
    0.7,
    Threshold("accuracy of a smaller model, share of the way to the control", 0.75, "at least"),
)
SIZED = Threshold("parameters, times those of the sick model", 3, "at most")


def _draw(case: Case, split: str, n: int) -> Images:
    classes = len(case.draw(split, 20, SIZE).classes)
    kinds = [k for k in KINDS if k < classes]  # of a folder with fewer classes, what there is
    return case.draw(split, n * classes // min(classes, len(KINDS)), SIZE).only(kinds)


def sick_loss_on_the_way(case: Case) -> float:
    """Powers of ten that the gradient loses in the sick model before training."""
    train = _draw(case, "train", N_TRAIN)
    x = case.fw.from_images(train.standardised(), case.device)
    return _fresh_control(case, len(train.classes), x, train.labels)[1].lost


def _fresh_control(
    case: Case, classes: int, x: Any, labels: np.ndarray
) -> tuple[Any, GradientFlow]:
    case.fw.set_seed(case.seed)
    model = case.fw.deep_stack(SIZE, classes)
    return model, measure_gradient_flow(case.fw, model, x[:BATCH], labels[:BATCH])


def unseen_images(case: Case) -> Images:
    """The images that the trained models are asked about."""
    return _draw(case, "test", N_TEST)


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    fw = case.fw
    train, unseen = _draw(case, "train", N_TRAIN), case.unseen(unseen_images)
    classes = len(train.classes)
    x, labels = fw.from_images(train.standardised(), case.device), train.labels
    x_unseen = fw.from_images(unseen.standardised(train), case.device)

    sick, sick_start = _fresh_control(case, classes, x, labels)
    fw.set_seed(case.seed)
    model = answer.build_model(SIZE, classes)
    if not fw.is_model(model):
        raise AnswerError(
            f"`build_model` returned a {type(model).__name__}; return a fresh model that gives "
            "one logit for each class."
        )
    outputs = fw.predict(model, x[:BATCH])
    if outputs.shape != (BATCH, classes):
        raise AnswerError(
            f"The model gives outputs of shape {outputs.shape} for {BATCH} images; give one logit "
            f"for each of the {classes} classes."
        )
    first_loss = fw.loss(model, x[:BATCH], labels[:BATCH], training=True)
    try:
        start = measure_gradient_flow(fw, model, x[:BATCH], labels[:BATCH])
    except ValueError:
        raise AnswerError(
            "The model has no layer with a kernel or a matrix, so there is nothing for a gradient "
            "to reach."
        ) from None
    before = fw.get_state(model)
    fw.set_seed(case.seed)
    answer.train(model, x, fw.from_labels(labels, case.device))
    after = fw.get_state(model)
    if [a.shape for a in before] != [a.shape for a in after]:
        raise AnswerError("`train` changed the shapes of the weights; train the model it is given.")
    end = measure_gradient_flow(fw, model, x[:BATCH], labels[:BATCH])
    moved = measure_movement(before, after)
    return {
        "classes": classes,
        "untouched": _same_program(case, answer, sick, sick_start, start, after, x, labels),
        "first_loss": first_loss,
        "last_loss": fw.loss(model, x, labels, training=True),
        # A model whose last layer starts at zero sends nothing back before its first step.
        "start": start.lost_on_the_way if (start.relative != 0).any() else end.lost,
        "end": end.lost,
        "sick_start": sick_start.lost,
        "layers": len(moved),
        "strongest": float(start.relative.max()),
        "still": int((moved == 0).sum()),
        "silent_at_the_end": end.silent,
        "least_moved": float(moved.min()),
        "size": fw.parameter_count(model) / fw.parameter_count(sick),
        "predicted": predict_both_ways(fw, model, x_unseen),
    }


def _same_program(
    case: Case,
    answer: Answer,
    sick: Any,
    sick_start: GradientFlow,
    start: GradientFlow,
    after: list[np.ndarray],
    x: Any,
    labels: np.ndarray,
) -> bool:
    """True when model and training are the sick ones: same gradients, same weights at the end."""
    alike = len(start.names) == len(sick_start.names) and np.allclose(
        start.gradients, sick_start.gradients, rtol=1e-3, atol=0
    )
    if not alike:
        return False
    case.fw.set_seed(case.seed)
    answer.sick_train(sick, x, case.fw.from_labels(labels, case.device))
    return all(
        np.allclose(a, b, rtol=1e-5, atol=1e-8)
        for a, b in zip(after, case.fw.get_state(sick), strict=True)
    )


@lru_cache(maxsize=4)
def measure_control(case: Case) -> list[np.ndarray]:
    """What a healthy network with three convolutions says, trained for as long as the sick one.

    Kept, because it depends on the case alone.
    """
    fw, train = case.fw, _draw(case, "train", N_TRAIN)
    x, classes = fw.from_images(train.standardised(), case.device), len(train.classes)
    model = fw.small_network(SIZE, classes, width=16, seed=case.seed, device=case.device)
    fw.train(
        model,
        x,
        train.labels,
        steps=CONTROL_STEPS,
        batch_size=32,
        learning_rate=0.02,
        seed=case.seed,
    )
    x_unseen = fw.from_images(case.unseen(unseen_images).standardised(train), case.device)
    return predict_both_ways(fw, model, x_unseen)


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Six gates: the gradient arrives, is used, lasts; the loss falls; unseen images; size."""
    return [
        _arrives(evidence),
        _moves(evidence),
        _lasts(evidence),
        _learns(evidence),
        _unseen(evidence, unseen_images(case.of_unseen())),
        _sized(evidence),
    ]


def _exploded(evidence: Evidence) -> bool:
    guessing = math.log(evidence["classes"])
    return not evidence["first_loss"] <= 10 * guessing  # NaN has exploded


def _explosion(evidence: Evidence) -> str:
    return (
        f"The first loss is {number(evidence['first_loss'])}, guessing costs "
        f"{number(math.log(evidence['classes']))}: here the signal grows from layer to layer, and "
        "the gradient with it."
    )


def _arrives(evidence: Evidence) -> Finding:
    lost = evidence["start"]
    if _exploded(evidence):
        # How far apart the layers are says nothing once every one of them is out of scale.
        measured, lost = "Before training, no layer's gradient is of any use.", math.inf
        means = _explosion(evidence)
        look_next = "Measure by how much one layer changes the spread of its input."
    elif lost >= NOTHING_ARRIVES:
        measured = "Before training, a layer gets no gradient at all."
        means = "What the model gives out does not depend on that layer's weights."
        look_next = "Follow one image through the model: where does its trace end?"
    else:
        measured = (
            f"Before the first step, the weakest layer's relative gradient is {number(lost)} "
            "powers of ten below the strongest; in the sick model it is "
            f"{number(evidence['sick_start'])}."
        )
        means = (
            "No step has been taken yet, so neither the learning rate nor the optimizer, the "
            "clipping, or the number of epochs can change this. It depends on the layers and on "
            "their initial weights."
        )
        look_next = (
            "Draw the bars for your model before training. From which layer on do they fall?"
        )
    return ARRIVES.finding(lost, measured=measured, means=means, look_next=look_next)


def _moves(evidence: Evidence) -> Finding:
    least, still, layers = evidence["least_moved"], evidence["still"], evidence["layers"]
    if _exploded(evidence):
        measured, means = f"The stillest layer changes by {number(least)}.", _explosion(evidence)
    elif 0 < still < layers and evidence["strongest"] > FAINT:
        measured = f"{still} of {layers} layers have the same weights after training as before."
        means = (
            "The gradient would reach them and is not used: they are frozen, or left out of the "
            "optimizer. What they compute is what chance gave them."
        )
    else:
        measured = (
            f"After training, the stillest of {layers} layers has changed by {number(least)} of "
            "its weights."
        )
        means = (
            "The bars stand level, but all of them stand low: a gradient that is small everywhere "
            "moves nothing either."
        )
    return MOVES.finding(
        math.log10(max(least, 10**-NOTHING_ARRIVES)) if math.isfinite(least) else math.nan,
        measured=measured,
        means=means,
        look_next="Compare the weights of each layer before and after training.",
    )


def _lasts(evidence: Evidence) -> Finding:
    lost = evidence["end"]
    if math.isnan(lost):
        measured = "After training, a layer's gradient is not a finite number."
    elif evidence["silent_at_the_end"]:
        measured = (
            f"After training, {evidence['silent_at_the_end']} of {evidence['layers']} layers get "
            "no gradient at all."
        )
    else:
        measured = (
            f"After training, weakest and strongest layer are {number(lost)} powers of ten apart."
        )
    return LASTS.finding(
        lost,
        measured=measured,
        means="The gradient reached every layer before training; training itself has cut it off.",
        look_next="Draw the bars after each epoch, and the loss beside them.",
    )


def _learns(evidence: Evidence) -> Finding:
    guessing = math.log(evidence["classes"])
    if _exploded(evidence):
        means = _explosion(evidence)
    else:
        means = "The gradient arrives at every layer, and the loss hardly moves all the same."
    return LEARNS.finding(
        evidence["last_loss"] / guessing,
        measured=f"The training loss ends at {number(evidence['last_loss'])}; guessing costs "
        f"{number(guessing)}.",
        means=means,
        look_next="Look at the height of the bars, and at the length of the steps taken with them.",
    )


def _unseen(evidence: Evidence, images: Images) -> Finding:
    guessing = 1 / len(images.classes)
    reached, control = (
        share_right_at_best(evidence[name], images.labels) for name in ("predicted", "control")
    )
    limit = UNSEEN if evidence["size"] >= SMALL else UNSEEN_SMALL
    return limit.finding(
        (reached - guessing) / (control - guessing) if control > guessing else math.nan,
        measured=f"On unseen images the model is right on {100 * reached:.0f} %; guessing on "
        f"{100 * guessing:.0f} %, a healthy network of three convolutions on "
        f"{100 * control:.0f} %.",
        means="The gradient flows, but what it teaches falls short of what a small convolutional "
        "network learns from the same images.",
        look_next="Compare the loss on training and on unseen images: has the model learned too "
        "little, or the wrong thing?",
    )


def _sized(evidence: Evidence) -> Finding:
    return SIZED.finding(
        evidence["size"],
        measured=f"The model has {number(evidence['size'])} times the parameters of the sick one.",
        means="It learns, and it is paid for with size; the disease was not a lack of parameters.",
        look_next="Draw the bars for a narrower version of your model.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="vanishing-gradient",
        reading="powers of ten that the gradient loses on its way to the weakest layer",
        measure=sick_loss_on_the_way,
        tolerance=0.05,
    ),
    Check(
        name="repair",
        points=6,
        takes=("build_model", "train", "sick_train"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: bool(evidence["untouched"]),
        unseen=unseen_images,
        measure=lambda case, evidence: {"control": measure_control(case)},
        seconds=4,
    ),
]
