"""Capacity: is the model more than one layer, does it hold one batch, and then all of them?"""

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
from grader.instruments.capacity import (
    RATES,
    STEPS,
    measure_nonlinearity,
    measure_one_batch,
)

SIZE, N_TRAIN, N_TEST = 16, 480, 400
BATCH = 32  # images of the one batch, and of the pairs that are added
CONTROL = {"steps": 180, "batch_size": 32, "learning_rate": 0.003, "optimizer": "adam"}
ENOUGH = 0.05  # a loss on the one batch at which no further learning rate is tried

CAUSES = {
    "learning-rate": "The one batch was tried at a third, at three times and at the usual rate. "
    "At the best of them the loss still stands, where another network's falls to nothing.",
    "vanishing-gradient": "The gradient of the weakest layer is within a few powers of ten of the "
    "strongest, so every layer is moved. What they can compute together is another question.",
    "overfitting": "A network that overfits is right on the images it has seen. This one is wrong "
    "on most of them.",
    "too-little-data": "With little data the training images are learned by heart and the others "
    "are not. Here 32 images are too many to be learned by heart.",
    "label-noise": "Wrong labels can be learned by heart too, one by one; the other network has "
    "the same labels. They would cost it unseen images, not these 32.",
    "too-small": "What this network can compute, with any weights, does not include these labels: "
    "it is an affine map, and it gives its last layer one number for each image.",
}

# Limits from 20 seeds of every answer in both frameworks, see calibration/.
BENDS = Threshold("distance from an affine map, relative", 0.01, "at least")
HOLDS = Threshold("loss left on one batch, best of three learning rates", 0.3, "at most", "nats")
SEEN = Threshold(
    "training accuracy, share of the way from guessing to the control", 0.7, "at least"
)
UNSEEN = Threshold(
    "unseen accuracy, share of the way from guessing to the control", 0.73, "at least"
)
PRICE = Threshold("multiply-adds, times those of the control", 3, "at most")


@lru_cache(maxsize=8)
def sick_floor(case: Case) -> float:
    """Loss that the sick model keeps on one batch, at the best of the learning rates (nats)."""
    fw = case.fw
    assert fw is not None
    train = _draw(case, "train", N_TRAIN)
    x = fw.from_images(train.standardised(), case.device)
    model = _sick(case, len(train.classes))
    return measure_one_batch(fw, model, x[:BATCH], train.labels[:BATCH]).floor


@lru_cache(maxsize=8)
def _draw(case: Case, split: str, n: int) -> Images:
    return case.draw(split, n, SIZE)


def _sick(case: Case, classes: int) -> Any:
    assert case.fw is not None
    case.fw.set_seed(case.seed)
    return case.fw.strided_network(SIZE, classes, squeeze=1, activation=False)


# ---- measuring -----------------------------------------------------------------------------------


def unseen_images(case: Case) -> Images:
    """The images that the trained models are asked about."""
    return _draw(case, "test", N_TEST)


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """Probe the fresh model, then teach it one batch, then let the learner train it.

    What a gate has already decided is not measured any further.
    """
    fw = case.fw
    assert fw is not None
    train = _draw(case, "train", N_TRAIN)
    classes = len(train.classes)
    x = fw.from_images(train.standardised(), case.device)

    fw.set_seed(case.seed)
    model = answer.build_model(SIZE, classes)
    if not fw.is_model(model):
        raise AnswerError(
            f"`build_model` returned a {type(model).__name__}; return a fresh model that gives "
            "one logit for each class."
        )
    first = _outputs(case, model, x[:BATCH], classes)
    evidence: dict[str, Any] = {
        "classes": classes,
        "constant": bool((first == first[:1]).all()),
        "nonlinearity": _nonlinearity(fw, model, x[:BATCH]),
        "untouched": False,
        "left": None,
        "seen": None,
        "unseen": None,
        "price": None,
    }
    if not _bends(evidence).holds:
        evidence["untouched"] = _same_program(case, answer, model, first)
        return evidence
    fw.set_seed(case.seed)
    evidence["left"] = measure_one_batch(
        fw, model, x[:BATCH], train.labels[:BATCH], enough=ENOUGH
    ).floor
    evidence["price"] = fw.multiply_adds(model, x[:1]) / fw.multiply_adds(_control(case), x[:1])
    if not (_holds(evidence).holds and _priced(evidence).holds):
        return evidence
    # Images of their own, in case the learner's code works in place.
    fw.set_seed(case.seed)
    own = fw.from_images(train.standardised(), case.device)
    answer.train(model, own, fw.from_labels(train.labels, case.device))
    x_unseen = fw.from_images(case.unseen(unseen_images).standardised(train), case.device)
    _outputs(case, model, x[:BATCH], classes)  # `train` may have changed what the model gives
    evidence["seen"] = predict_both_ways(fw, model, x)
    evidence["unseen"] = predict_both_ways(fw, model, x_unseen)
    return evidence


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """What the control says, where the answer was trained."""
    return {} if evidence["seen"] is None else {"control": _control_predictions(case)}


def _outputs(case: Case, model: Any, x: Any, classes: int) -> np.ndarray:
    assert case.fw is not None
    outputs: np.ndarray = case.fw.predict(model, x)
    if outputs.shape != (len(x), classes):
        raise AnswerError(
            f"The model gives outputs of shape {outputs.shape} for {len(x)} images; give one logit "
            f"for each of the {classes} classes."
        )
    return outputs


def _nonlinearity(fw: Any, model: Any, x: Any) -> float:
    """The probe on the fresh model, and once more on weights nearby.

    A branch that starts at zero on purpose hides what is behind it until its scale has moved.
    """
    fresh = measure_nonlinearity(fw, model, x)
    if not fresh < BENDS.limit:
        return fresh
    state, rng = fw.get_state(model), np.random.default_rng(0)
    fw.set_state(
        model,
        [
            (a + 0.1 * rng.random(a.shape)).astype(a.dtype) if a.dtype.kind == "f" else a
            for a in state
        ],
    )
    near = measure_nonlinearity(fw, model, x)
    fw.set_state(model, state)
    return max(fresh, near) if math.isfinite(near) else fresh


def _same_program(case: Case, answer: Answer, model: Any, first: np.ndarray) -> bool:
    """True when the fresh model is the sick one, and training makes the same of some images."""
    fw = case.fw
    assert fw is not None
    train = _draw(case, "train", N_TRAIN)
    x, y = fw.from_images(train.standardised(), case.device)[:BATCH], train.labels[:BATCH]
    sick = _sick(case, len(train.classes))
    if not np.allclose(first, fw.predict(sick, x), rtol=1e-4, atol=1e-6):
        return False
    in_training = [fw.predict_in_training(m, x) for m in (model, sick)]
    if not np.allclose(*in_training, rtol=1e-4, atol=1e-6):  # dropout, which only shows there
        return False
    states = []
    for network, function in ((model, answer.train), (sick, answer.sick_train)):
        fw.set_seed(case.seed)
        function(network, x, fw.from_labels(y, case.device))
        states.append(fw.get_state(network))
    return all(np.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(*states, strict=True))


def _control(case: Case) -> Any:
    """A healthy network of three convolutions, fresh at every call: whoever asks may train it."""
    assert case.fw is not None
    case.fw.set_seed(case.seed)
    classes = len(_draw(case, "train", N_TRAIN).classes)
    return case.fw.strided_network(SIZE, classes)


@lru_cache(maxsize=4)
def _control_predictions(case: Case) -> dict[str, list[np.ndarray]]:
    """What it says after as many steps as the sick program's; kept, as the case alone decides."""
    fw = case.fw
    assert fw is not None
    train, model = _draw(case, "train", N_TRAIN), _control(case)
    x = fw.from_images(train.standardised(), case.device)
    x_unseen = fw.from_images(case.unseen(unseen_images).standardised(train), case.device)
    fw.train(model, x, train.labels, seed=case.seed, **CONTROL)
    return {
        "seen": predict_both_ways(fw, model, x),
        "unseen": predict_both_ways(fw, model, x_unseen),
    }


# ---- judging -------------------------------------------------------------------------------------


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Five gates: not affine; one batch; the price; all training images; unseen ones."""
    return [
        _bends(evidence),
        _holds(evidence),
        _priced(evidence),
        _reaches(SEEN, evidence, "seen", _draw(case, "train", N_TRAIN)),
        _reaches(UNSEEN, evidence, "unseen", unseen_images(case.of_unseen())),
    ]


def _bends(evidence: Evidence) -> Finding:
    value = evidence["nonlinearity"]
    if math.isnan(value):
        measured = "The fresh model gives out numbers that are not finite."
        means = "Nothing can be learned from there."
        look_next = "Follow one image through the layers: where does it leave the finite numbers?"
    elif evidence["constant"]:
        measured = "The fresh model gives the same logits for all images."
        means = "What it gives out does not depend on the image."
        look_next = "Follow two images through the layers: where do they become the same?"
    else:
        measured = (
            f"For pairs of images, f(a + b) - f(a) - f(b) + f(0) is {number(value)} of its parts."
        )
        means = (
            "That is an affine map: all of its layers together are one matrix, and more layers, "
            "filters or units make no more of it. Nothing has been trained here yet, so neither "
            "the number of epochs nor the learning rate or dropout can change this."
        )
        look_next = "Write down what stands between one layer with weights and the next."
    return BENDS.finding(value, measured=measured, means=means, look_next=look_next)


def _not_measured(threshold: Threshold) -> Finding:
    return threshold.finding(
        math.nan, measured="Not measured, because of what was found before.", means="", look_next=""
    )


def _holds(evidence: Evidence) -> Finding:
    left = evidence["left"]
    if left is None:
        return _not_measured(HOLDS)
    guessing = math.log(evidence["classes"])
    if math.isinf(left):
        means = "Training leaves the finite numbers at each of these rates."
        look_next = "Look at the first loss, and at the spread of what each layer gives out."
    elif left > 0.9 * guessing:
        means = (
            "That is hardly less than guessing. A network that is only too small learns some of "
            "the images; here next to nothing arrives."
        )
        look_next = "Measure the gradient of every layer, and how many units ever fire."
    else:
        means = (
            "The check trains here, not you, so the number of epochs and the learning rate are no "
            "excuse. Somewhere between image and logits so few numbers are left that not even one "
            "batch can be told apart."
        )
        look_next = (
            "Write down how many numbers every layer hands on for one image. Where are there "
            "fewest, and how many classes are to be told apart with them?"
        )
    return HOLDS.finding(
        left,
        measured=f"After {STEPS} steps on the same {BATCH} images, a loss of {number(left)} is "
        f"left at the best of {len(RATES)} learning rates; guessing costs {number(guessing)}.",
        means=means,
        look_next=look_next,
    )


def _reaches(threshold: Threshold, evidence: Evidence, name: str, images: Images) -> Finding:
    if evidence[name] is None:
        return _not_measured(threshold)
    guessing = 1 / len(images.classes)
    reached = share_right_at_best(evidence[name], images.labels)
    control = share_right_at_best(evidence["control"][name], images.labels)
    if name == "seen":
        which = "training images"
        means = (
            "One batch can be learned by heart, all of them cannot: there is still too little that "
            "the layers hand on, or `train` holds back a model that could do more."
        )
        look_next = (
            "Look at the training accuracy of every epoch. A model that is too small stands on a "
            "plateau; one that is held back still climbs."
        )
    else:
        which = "unseen images"
        means = (
            "The training images are recognised, so the model is large enough. What it has learned "
            "is the images themselves, and less of what they have in common."
        )
        look_next = "Compare where the parameters are: in small filters that are used everywhere?"
    return threshold.finding(
        (reached - guessing) / (control - guessing) if control > guessing else math.nan,
        measured=f"After your training, the model is right on {100 * reached:.0f} % of the "
        f"{which}; guessing on {100 * guessing:.0f} %, a healthy network of three convolutions on "
        f"{100 * control:.0f} %.",
        means=means,
        look_next=look_next,
    )


def _priced(evidence: Evidence) -> Finding:
    if evidence["price"] is None:
        return _not_measured(PRICE)
    return PRICE.finding(
        evidence["price"],
        measured=f"For one image, the model takes {number(evidence['price'])} times the "
        "multiply-adds of a healthy network of three convolutions.",
        means="It holds one batch, and it is no longer quick: the size was raised until the "
        "symptom went away, and then some.",
        look_next="Make it smaller until one batch is no longer held, and take one step back.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="too-small",
        reading="loss that the sick network keeps on the one batch, at its best learning rate",
        measure=sick_floor,
        tolerance=0.05,
    ),
    Check(
        name="repair",
        points=5,
        takes=("build_model", "train", "sick_train"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: bool(evidence["untouched"]),
        unseen=unseen_images,
        measure=measure_repair,
        seconds=4,
    ),
]
