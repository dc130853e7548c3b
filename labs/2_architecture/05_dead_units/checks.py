"""Dead units: do enough live, are the logits free, is anything learned, and what does it cost?"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.predictions import share_right, share_right_at_best
from grader.checks.verdict import number
from grader.datasets import Images
from grader.instruments.dead_units import measure_dead_units

SIZE, N_TRAIN, N_TEST = 16, 320, 300
KINDS = (0, 2, 5, 7)  # coast, forest, meadow, residential
HIGHEST = 0.5  # highest learning rate of the sick program
CONTROL_STEPS, CONTROL_RATE = 120, 0.003

CAUSES = {
    "small-learning-rate": "With steps that are too small the loss falls slowly. This one fell at "
    "once, went up again, and then stood still to the last digit.",
    "vanishing-gradient": "A gradient that vanishes grows small from layer to layer and is not "
    "zero; the first layers still creep. Here it is exactly zero, from the logits on.",
    "labels": "A network that is given wrong labels still says different things for different "
    "images, and its loss does not stand still to the last digit.",
    "saturated-sigmoid": "There is no sigmoid in this network. A ReLU has one flat side only, and "
    "its units are off there, not saturated.",
    "dead-units": "The sums of these units are negative for every image. A ReLU passes nothing on "
    "from there, and no gradient back, so no step can bring them home.",
    "too-few-filters": "A network that is too narrow still tells some images apart. This one lost "
    "the units that it had.",
}

# From 20 seeds of every answer. A healthy network of these layers has 14 to 37 % of its hidden
# layer dead, so a limit of a few per cent, as it is often given, would accuse it; batch
# normalisation at a rate of 0.3 had up to 64 %. Where the network has stopped learning, a layer is
# lost altogether; three of four logits may also be lost by a floor alone, which the next gate says.
ALIVE = Threshold("dead or constant units in the worst layer, share", 0.75, "at most")
FREE = Threshold("logits that stop at a lowest value, share", 0.1, "at most")
LEARNS = Threshold("loss at the end over the loss of guessing, power of ten", -0.1, "at most")
UNSEEN = Threshold("accuracy, share of the way from guessing to the control", 0.75, "at least")
COSTS = Threshold("multiply-adds, times those of the sick model", 3, "at most")

OFTEN = 0.02  # share of the images from which a common lowest value is no coincidence


def _draw(case: Case, split: str, n: int) -> Images:
    classes = len(case.draw(split, 20, SIZE).classes)
    kinds = [k for k in KINDS if k < classes]  # of a folder with fewer classes, what there is
    return case.draw(split, n * classes // min(classes, len(KINDS)), SIZE).only(kinds)


_READINGS: dict[tuple[str, int, str], float] = {}


def sick_hidden_dead_share(case: Case) -> float:
    """Share of the sick model's hidden units that are dead after training, over all images."""
    key = (case.framework, case.seed, case.data)
    if key not in _READINGS:
        _READINGS[key] = _measured_dead_share(case)
    return _READINGS[key]


def _measured_dead_share(case: Case) -> float:
    fw = case.fw
    train = _draw(case, "train", N_TRAIN)
    x = fw.from_images(train.standardised(), case.device)
    fw.set_seed(case.seed)
    model = fw.dying_network(SIZE, len(train.classes), device=case.device)
    fw.set_seed(case.seed)
    fw.train_in_one_cycle(model, x, train.labels, highest=HIGHEST)
    return measure_dead_units(fw, model, x).hidden_dead_share


def unseen_images(case: Case) -> Images:
    """The images that the trained models are asked about."""
    return _draw(case, "test", N_TEST)


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    fw = case.fw
    train, unseen = _draw(case, "train", N_TRAIN), case.unseen(unseen_images)
    classes = len(train.classes)
    x, labels = fw.from_images(train.standardised(), case.device), train.labels
    x_unseen = fw.from_images(unseen.standardised(train), case.device)

    fw.set_seed(case.seed)
    model = answer.build_model(SIZE, classes)
    if not fw.is_model(model):
        raise AnswerError(
            f"`build_model` returned a {type(model).__name__}; return a fresh model that gives "
            "one logit for each class."
        )
    outputs = fw.predict(model, x[:8])
    if outputs.shape != (8, classes):
        raise AnswerError(
            f"The model gives outputs of shape {outputs.shape} for 8 images; give one logit for "
            f"each of the {classes} classes."
        )
    before = fw.get_state(model)
    fw.set_seed(case.seed)
    answer.train(model, x, fw.from_labels(labels, case.device))
    after = fw.get_state(model)
    if [a.shape for a in before] != [a.shape for a in after]:
        raise AnswerError("`train` changed the shapes of the weights; train the model it is given.")
    try:
        worst, silent, units = _worst_layer(fw, model, x_unseen)
    except ValueError:
        raise AnswerError(
            "The model has no layer with a kernel or a matrix, so it has no units to look at."
        ) from None
    logits = fw.predict(model, x_unseen)
    sick = fw.dying_network(SIZE, classes, device=case.device)
    return {
        "classes": classes,
        "untouched": _same_program(case, answer, outputs, before, after, x, labels),
        "finite": bool(np.isfinite(logits).all()),
        "worst_layer": worst,
        "silent": silent,
        "units": units,
        "floor": float(logits.min()),
        "stopped": stopped_logits(logits),
        "on_the_floor": float((logits == logits.min()).mean()),
        "probabilities": bool(logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1, atol=1e-3)),
        "predicted": logits.argmax(axis=1),
        "in_training": fw.predict_in_training(model, x_unseen).argmax(axis=1),
        "last_loss": fw.loss(model, x, labels, training=True),
        "costs": fw.multiply_adds(model, x) / fw.multiply_adds(sick, x),
    }


def _worst_layer(fw: Any, model: Any, x: Any) -> tuple[int, int, int]:
    """Number of the worst layer (from 1), its silent units and all of its units.

    Measured once as the model is served and once with the batch's statistics, and the better of
    the two counts: Keras's batch normalisation needs hundreds of steps until its running
    statistics hold, and that is another lab's disease.
    """
    served, trained = (measure_dead_units(fw, model, x, training=t).layers for t in (False, True))
    counts = [
        (round(min(a.silent_share, b.silent_share) * len(a.dead)), len(a.dead))
        for a, b in zip(served, trained, strict=True)
    ]
    worst = max(range(len(counts)), key=lambda i: counts[i][0] / counts[i][1])
    return worst + 1, *counts[worst]


def _same_program(
    case: Case,
    answer: Answer,
    first_outputs: np.ndarray,
    before: list[np.ndarray],
    after: list[np.ndarray],
    x: Any,
    labels: np.ndarray,
) -> bool:
    """True when model and training are the sick ones: same outputs before, same weights after."""
    fw = case.fw
    fw.set_seed(case.seed)
    sick = answer.build_sick(SIZE, first_outputs.shape[1])
    start = fw.get_state(sick)
    alike = [a.shape for a in start] == [b.shape for b in before] and np.array_equal(
        fw.predict(sick, x[:8]), first_outputs
    )
    if not alike:
        return False
    fw.set_seed(case.seed)
    answer.sick_train(sick, x, fw.from_labels(labels, case.device))
    return all(
        np.allclose(a, b, rtol=1e-5, atol=1e-8)
        for a, b in zip(after, fw.get_state(sick), strict=True)
    )


@lru_cache(maxsize=4)
def measure_control(case: Case) -> np.ndarray:
    """Classes (N,) named by the same layers in health.

    Kept, because it depends on the case alone.
    """
    fw, train = case.fw, _draw(case, "train", N_TRAIN)
    fw.set_seed(case.seed)
    (logits,) = fw.outputs_after_training(
        fw.plain_cnn(SIZE, len(train.classes)),
        [(fw.from_images(train.standardised(), case.device), train.labels)],
        fw.from_images(case.unseen(unseen_images).standardised(train), case.device),
        steps=CONTROL_STEPS,
        batch_size=32,
        learning_rate=CONTROL_RATE,
        seed=case.seed,
    )
    return np.asarray(logits.argmax(axis=1))


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Five gates: units live, logits are free, the loss fell, unseen images, cost."""
    return [
        _alive(evidence),
        _free(evidence),
        _learns(evidence),
        _unseen(evidence, unseen_images(case.of_unseen())),
        _costs(evidence),
    ]


def _alive(evidence: Evidence) -> Finding:
    layer, silent, units = evidence["worst_layer"], evidence["silent"], evidence["units"]
    predicted = np.asarray(evidence["predicted"])
    if not evidence["finite"]:
        return ALIVE.finding(
            math.nan,
            measured="After training the model gives outputs that are not finite numbers.",
            means="The steps were so long that the weights left the range of their numbers.",
            look_next="Print the loss of every step: where does it leave the range?",
        )
    measured = (
        f"After training, {silent} of {units} units of layer {layer} pass nothing of the image on, "
        f"for any of {len(predicted)} unseen images."
    )
    if len(np.unique(predicted)) == 1:
        measured += " The model names the same class for all of them."
    return ALIVE.finding(
        silent / units,
        measured=measured,
        means="A step threw the weights so far that the sums are negative whatever the image. From "
        "there no gradient comes back, so more epochs, more filters or dropout cannot revive them.",
        look_next="Measure the dead units after every epoch, beside the learning rate of that "
        "epoch. When do they die?",
    )


def stopped_logits(logits: np.ndarray) -> int:
    """Number of logits, of (N, K), whose lowest value is shared by many images and logits.

    Numbers that are free to move hardly ever agree in all their digits; a floor makes them agree.
    """
    floor = logits.min()
    return int(((logits == floor).mean(axis=0) > OFTEN).sum())


def _free(evidence: Evidence) -> Finding:
    stopped, classes = evidence["stopped"], evidence["classes"]
    if evidence["probabilities"]:
        return FREE.finding(
            1,
            measured="The outputs lie between 0 and 1 and add up to 1 for every image.",
            means="They are probabilities, held from below and from above. The loss expects "
            "logits, which may be any numbers; between 0 and 1 they cannot say enough for it to "
            "fall.",
            look_next="Look at what stands behind the last layer, and at what the loss expects.",
        )
    return FREE.finding(
        stopped / classes,
        measured=f"{stopped} of {classes} logits have the same lowest value, "
        f"{number(evidence['floor'])}, for many images; {100 * evidence['on_the_floor']:.0f} % of "
        "all logits sit exactly there.",
        means="Something holds the outputs up from below. A logit that wants to say less than that "
        "gets no gradient, and more epochs do not bring it back; a class whose logit is held for "
        "every image is lost.",
        look_next="Look at the smallest output of the model, and at what stands behind its last "
        "layer.",
    )


def _learns(evidence: Evidence) -> Finding:
    guessing, loss = math.log(evidence["classes"]), evidence["last_loss"]
    if loss > 2 * guessing:
        means = (
            "The units live, and their weights were thrown far away: a loss above guessing says "
            "that the model is sure of wrong answers. What killed units before is still there."
        )
    else:
        means = "The units live, and the loss hardly fell all the same."
    return LEARNS.finding(
        # Below a hundredth of guessing, how small it is depends on chance and says nothing.
        math.log10(max(loss / guessing, 0.01)) if math.isfinite(loss) else math.nan,
        measured=f"The training loss ends at {number(loss)}; guessing costs {number(guessing)}.",
        means=means,
        look_next="Draw the loss of every epoch, and the learning rate beside it.",
    )


def _unseen(evidence: Evidence, images: Images) -> Finding:
    guessing = 1 / len(images.classes)
    control = share_right(evidence["control"], images.labels)
    reached = share_right_at_best([evidence["predicted"], evidence["in_training"]], images.labels)
    return UNSEEN.finding(
        (reached - guessing) / (control - guessing) if control > guessing else math.nan,
        measured=f"On unseen images the model is right on {100 * reached:.0f} %; guessing on "
        f"{100 * guessing:.0f} %, a healthy network of the same layers on {100 * control:.0f} %.",
        means="The units live, but what they learned falls short of what these layers can learn "
        "from the same images.",
        look_next="Compare the loss on training and on unseen images: has the model learned too "
        "little, or the wrong thing?",
    )


def _costs(evidence: Evidence) -> Finding:
    return COSTS.finding(
        evidence["costs"],
        measured=f"The model takes {number(evidence['costs'])} times the multiply-adds of the sick "
        "one.",
        means="It learns, and it is paid for with size; the disease was not a lack of units.",
        look_next="Count the living units of a narrower version of your model.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="dead-units",
        reading="share of all hidden units that are dead over all training images",
        measure=sick_hidden_dead_share,
        tolerance=0.01,
        seconds=3,
    ),
    Check(
        name="repair",
        points=5,
        takes=("build_model", "train", "build_sick", "sick_train"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: bool(evidence["untouched"]),
        unseen=unseen_images,
        measure=lambda case, evidence: {"control": measure_control(case)},
        seconds=4,
    ),
]
