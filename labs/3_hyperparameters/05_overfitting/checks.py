"""Overfitting: can the evaluation be trusted, and is the model kept that knows most?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.predictions import share_right
from grader.checks.verdict import number
from grader.datasets import Images
from grader.datasets.grain import add_grain
from grader.datasets.owners import add_owners
from grader.instruments.overfitting import measure_curve, measure_repeats

SIZE, GRAIN = 16, 10
KINDS = (2, 5, 7)  # forest, meadow, residential
OF_A_FOLDER = (0, 1, 2)
N_TRAIN, N_VALIDATION, N_UNSEEN = 96, 180, 480
N_PROBED = 128  # images on which `evaluate` is asked; whole batches of any usual size
EPOCHS, BATCH, RATE = 24, 8, 0.005  # of the sick program
MOST = 2  # times the multiply-adds of the sick model

CAUSES = {
    "learning-rate": "A rate that is too large keeps the training loss up or makes it leap. Here "
    "the training loss falls to the end.",
    "too-small-a-network": "A network that is too small cannot get the training loss down. This "
    "one gets it far below that of guessing.",
    "too-few-epochs": "The validation loss has been rising for many epochs. More of them move it "
    "further up.",
    "learning-by-heart": "The training loss goes on falling while the validation loss rises: from "
    "the lowest point on, what the network learns is true of its training images only.",
    "dropout-left-on": "Units that are dropped during evaluation make its numbers jump, and lift "
    "them a little. They would do that in the first epoch as well; they do not make a curve turn "
    "up.",
    "other-images": "Validation images of another kind would cost more from the first epoch on. "
    "In the first epochs both curves fall side by side.",
}

# Limits from 20 seeds of every answer in both frameworks, see calibration/. A program that stops or
# that need not, gives up .43 of the best knowledge at most, one that runs on all of it. Right
# answers have a gap of .46 of the sick program's at most, one that trains on validation images .73
# and more. Of what can be learned about unseen images they learn .71 and more; a training that ends
# too soon learns .39 at most.
# Shares of the loss as powers of ten: float32 stays below -5, a unit that is dropped or a batch's
# own statistics are orders of magnitude above.
POWER = "as a power of ten"
SAME = Threshold("difference between two evaluations, share of the loss", -5, "at most", POWER)
TRUE = Threshold("error of the evaluation, share of the loss", -3, "at most", POWER)
LOWEST = Threshold(
    "share of the best knowledge of validation images given up again", 0.7, "at most"
)
TRAINED = Threshold("nats learned about training images, times the control's", 0.07, "at least")
GAP = Threshold("gap between unseen and training loss, times the sick program's", 0.65, "at most")
UNSEEN = Threshold("nats learned about unseen images, times the control's", 0.5, "at least")

ALL = 1.0  # shares above this are all the same


# ---- what is given -------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _draw(case: Case, split: str, n: int) -> Images:
    """About `n` plots of three kinds with their owners."""
    drawn = case.draw_kinds(split, n, SIZE, KINDS if case.data == "tiles" else OF_A_FOLDER)
    return add_owners(add_grain(drawn, GRAIN, split, case.seed), split, case.seed)


def unseen_images(case: Case) -> Images:
    """The plots that the trained models are asked about."""
    return _draw(case, "test", N_UNSEEN)


def _renumbered(case: Case, labels: np.ndarray, classes: int) -> np.ndarray:
    """Other numbers for the classes, so that only images that were handed in fit the labels."""
    order = np.random.default_rng([case.seed % 2**32, 5]).permutation(classes)
    while (order == np.arange(classes)).any():  # no class keeps its number
        order = np.roll(order, 1)
    return np.asarray(order[labels], dtype=np.int64)


def _given(case: Case, *, renumbered: bool) -> dict[str, Any]:
    """Fresh arrays for one training: x, y, x_val, y_val as the framework's, labels as NumPy."""
    fw = case.fw
    assert fw is not None
    train, validation = _draw(case, "train", N_TRAIN), _draw(case, "validation", N_VALIDATION)
    given: dict[str, Any] = {"classes": len(train.classes)}
    for images, ending in ((train, ""), (validation, "_val")):
        labels = images.labels
        if renumbered:
            labels = _renumbered(case, labels, len(train.classes))
        given["x" + ending] = fw.from_images(images.standardised(train), case.device)
        given["y" + ending] = fw.from_labels(labels, case.device)
        given["labels" + ending] = labels
    return given


# ---- measuring -----------------------------------------------------------------------------------


def lowest_of_the_sick_run(case: Case) -> float:
    """The lowest validation loss that the sick program logs, in nats.

    Behind it the run is chaotic: initial weights that differ by 10^-7 can double the rise to the
    end, so that another machine reads another number there.
    """
    history, _ = _sick_run(case, renumbered=False)
    return measure_curve({"loss": history["loss"], "val_loss": history["logged"]}).lowest


def _sick_run(case: Case, *, renumbered: bool) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """History of the sick program, and what its two models make of the images.

    Kept by the caller where it depends on the case alone.
    """
    fw = case.fw
    assert fw is not None
    given = _given(case, renumbered=renumbered)
    fw.set_seed(case.seed)
    model = fw.wide_network(SIZE, given["classes"], device=case.device)
    history, lowest = fw.train_with_curve(
        model, given["x"], given["y"], given["x_val"], given["y_val"],
        epochs=EPOCHS, batch_size=BATCH, learning_rate=RATE,
    )  # fmt: skip
    measured = {"multiply_adds": fw.multiply_adds(model, given["x"])}
    measured["end"] = _losses(case, model, given)
    fw.set_state(model, lowest)
    measured["lowest"] = _losses(case, model, given)
    return history, measured


@lru_cache(maxsize=4)
def _control(case: Case) -> tuple[Mapping[str, Any], dict[str, Any]]:
    return _sick_run(case, renumbered=True)


def _losses(case: Case, model: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Loss on training and validation images, not in training, and logits of the unseen ones."""
    fw = case.fw
    assert fw is not None
    unseen = case.unseen(unseen_images)
    train = _draw(case, "train", N_TRAIN)
    x = fw.from_images(unseen.standardised(train), case.device)
    return {
        "training": _cross_entropy(fw.predict(model, given["x"]), given["labels"]),
        "validation": _cross_entropy(fw.predict(model, given["x_val"]), given["labels_val"]),
        "unseen": fw.predict(model, x).astype(np.float64).round(4),
    }


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    logits = logits.astype(np.float64)
    highest = logits.max(axis=1, keepdims=True)
    total = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
    return float((total - logits[np.arange(len(labels)), labels]).mean())


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    fw = case.fw
    assert fw is not None
    asked = _ask(case, answer.evaluate)
    evidence: dict[str, Any] = {
        **asked,
        "untouched": False,
        "trained": None,
    }
    # What an earlier gate decides already need not be trained for. The sick evaluation is an
    # exception: whether nothing else was changed shows in the training.
    sick = _ask(case, answer.sick_evaluate) == asked
    if not sick and not all(finding.holds for finding in _evaluation_gates(evidence)):
        return evidence
    given = _given(case, renumbered=True)
    history, control = _control(case)
    model, curve = _train(case, answer, given, control["multiply_adds"])
    evidence["trained"] = _losses(case, model, given)
    evidence["trained"]["curve"] = curve
    evidence["untouched"] = sick and _alike(curve, history["logged"])
    return evidence


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """The sick program's model at the end and at its lowest, where the answer was trained."""
    if evidence["trained"] is None:
        return {}
    _, control = _control(case)
    return {"sick": control["end"], "control": control["lowest"]}


def _alike(curve: np.ndarray, logged: Any) -> bool:
    return len(curve) == len(logged) and np.allclose(curve, logged, rtol=1e-4, atol=1e-6)


def _probes(case: Case) -> dict[str, Any]:
    """Two models that nobody has compiled: one drops units, one keeps statistics of its own."""
    fw = case.fw
    assert fw is not None
    classes = len(_draw(case, "train", N_TRAIN).classes)
    fw.set_seed(case.seed)
    dropping = fw.wide_network(SIZE, classes, device=case.device)
    normalising = fw.small_network(SIZE, classes, width=8, seed=case.seed, device=case.device)
    rng = np.random.default_rng(case.seed % 2**32)
    state = [
        (rng.uniform(0.5, 1.5, value.shape).astype(value.dtype))
        if array.statistic and value.ndim == 1
        else value
        for array, value in zip(
            fw.state_arrays(normalising), fw.get_state(normalising), strict=True
        )
    ]
    fw.set_state(normalising, state)
    return {"dropout": dropping, "batch normalisation": normalising}


def _ask(case: Case, evaluate: Any) -> dict[str, Any]:
    """What an evaluation says of two models: repeated, beside the truth, and what it changes."""
    fw = case.fw
    assert fw is not None
    given = _given(case, renumbered=False)
    x, y, labels = given["x_val"][:N_PROBED], given["y_val"][:N_PROBED], given["labels_val"]
    labels = labels[:N_PROBED]
    differences, errors, first, changed = {}, {}, [], {}
    for name, model in _probes(case).items():
        before = fw.get_state(model)
        logits = fw.predict(model, x)
        fw.set_seed(case.seed)
        told: list[float] = []

        def asked(*arguments: Any, told: list[float] = told) -> float:
            loss, right = _pair(evaluate(*arguments))
            told.append(right)
            return loss

        repeats = measure_repeats(fw, asked, model, x, y, times=3)
        truth = _cross_entropy(logits, labels)
        accuracy = share_right(logits.argmax(axis=1), labels)
        differences[name] = max(repeats.spread / truth, max(told) - min(told))
        errors[name] = max(abs(float(repeats.values[0]) - truth) / truth, abs(told[0] - accuracy))
        after = fw.get_state(model)
        changed[name] = sum(
            not np.array_equal(old, new) for old, new in zip(before, after, strict=True)
        )
        first += [float(repeats.values[0]), told[0]]
    return {"differences": differences, "errors": errors, "changed": changed, "first": first}


def _pair(value: Any) -> tuple[float, float]:
    try:
        loss, right = value
        return float(loss), float(right)
    except (TypeError, ValueError):
        raise AnswerError(
            f"`evaluate` returned {_named(value)}; return two numbers, the mean cross-entropy in "
            "nats and the share of right answers."
        ) from None


def _named(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _train(
    case: Case, answer: Answer, given: Mapping[str, Any], multiply_adds: float
) -> tuple[Any, np.ndarray]:
    """The learner's model after the learner's training, and the validation losses it reports."""
    fw = case.fw
    assert fw is not None
    classes = given["classes"]
    fw.set_seed(case.seed)
    model = answer.build_model(SIZE, classes)
    if not fw.is_model(model):
        raise AnswerError(
            f"`build_model` returned {_named(model)}; return a fresh model that gives one logit "
            "for each class."
        )
    outputs = fw.predict(model, given["x"][:2])
    if outputs.shape != (2, classes):
        raise AnswerError(
            f"The model gives outputs of shape {outputs.shape} for 2 images; give one logit for "
            f"each of the {classes} classes."
        )
    if fw.multiply_adds(model, given["x"]) > MOST * multiply_adds:
        raise AnswerError(
            f"The model costs more than {MOST} times the multiply-adds of the sick one; the "
            "disease is not a lack of them."
        )
    history = answer.train(model, given["x"], given["y"], given["x_val"], given["y_val"])
    if not isinstance(history, Mapping):
        raise AnswerError(
            f"`train` returned {_named(history)}; train the model in place and return the "
            'history, a dictionary with "loss" and "val_loss" of every epoch.'
        )
    try:
        curve = measure_curve(history).validation
    except (TypeError, ValueError) as error:
        raise AnswerError(f"`train` returned a history that cannot be read: {error}.") from None
    if fw.predict(model, given["x"][:2]).shape != (2, classes):
        raise AnswerError("`train` changed what the model gives; train the model it is given.")
    return model, curve


# ---- judging -------------------------------------------------------------------------------------


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Six gates: repeatable, true, lowest kept, enough learned, gap, unseen images."""
    return [*_evaluation_gates(evidence), *_training_gates(case, evidence)]


def _evaluation_gates(evidence: Evidence) -> list[Finding]:
    differs = {name: float(value) for name, value in evidence["differences"].items()}
    errors = {name: float(value) for name, value in evidence["errors"].items()}
    changed = sum(int(count) for count in evidence["changed"].values())
    jumpy, worst = _largest(differs), _largest(errors)
    if changed:
        measured = f"`evaluate` leaves {changed} arrays of a model other than it found them."
        means = "Evaluation reads; what it changes, the next training or serving goes on with."
        look_next = "Compare the model's statistics before and after one call."
    else:
        measured = (
            f"For a model with {worst}, `evaluate` is off by {number(100 * errors[worst])} % of "
            "what the model says when it is not in training."
        )
        means = (
            "A number that repeats can still be the wrong one: the same units are dropped each "
            "time, or the batch's own statistics are used instead of the kept ones."
        )
        look_next = (
            "Evaluate one image by itself, and the same image within a batch. Does its loss change?"
        )
    return [
        SAME.finding(
            _power(differs[jumpy]),
            measured=f"Asked three times about one model with {jumpy} and the same images, "
            f"`evaluate` gives answers that differ by {number(100 * differs[jumpy])} % of the "
            "loss.",
            means="Nothing was trained in between. A part of the model still behaves as in "
            "training: units are dropped by chance, or statistics move.",
            look_next="Call `evaluate` twice by hand, and look at what tells the model that it is "
            "not in training.",
        ),
        TRUE.finding(
            math.inf if changed else _power(errors[worst]),
            measured=measured,
            means=means,
            look_next=look_next,
        ),
    ]


def _power(share: float) -> float:
    return math.log10(max(share, 1e-12)) if not math.isnan(share) else math.nan


def _largest(values: Mapping[str, float]) -> str:
    """Name of the largest value; NaN counts as largest."""
    return max(values, key=lambda name: math.inf if math.isnan(values[name]) else values[name])


def _training_gates(case: Case, evidence: Evidence) -> list[Finding]:
    if evidence["trained"] is None:
        return [
            limit.finding(
                math.nan,
                measured="The training was not measured.",
                means="A training is only worth what its evaluation is.",
                look_next="Repair the evaluation first.",
            )
            for limit in (LOWEST, TRAINED, GAP, UNSEEN)
        ]
    unseen = unseen_images(case.of_unseen())
    labels = _renumbered(case, unseen.labels, len(unseen.classes))
    guessing = math.log(len(unseen.classes))
    mine, sick, control = (
        {
            "training": float(evidence[name]["training"]),
            "validation": float(evidence[name]["validation"]),
            "unseen": _cross_entropy(np.asarray(evidence[name]["unseen"]), labels),
        }
        for name in ("trained", "sick", "control")
    )
    curve = np.asarray(evidence["trained"]["curve"], dtype=np.float64)
    return [
        _lowest(mine, curve, guessing),
        _trained(mine, control, guessing),
        _gap(mine, sick),
        _unseen(mine, control, guessing),
    ]


def _lowest(mine: Mapping[str, float], curve: np.ndarray, guessing: float) -> Finding:
    lowest, epoch = float(np.nanmin(curve)), int(np.nanargmin(curve)) + 1
    known = guessing - lowest
    given_up = (mine["validation"] - lowest) / known if known > 0.02 * guessing else 0.0
    return LOWEST.finding(
        min(given_up, ALL),
        measured=f"The model that `train` leaves has a validation loss of "
        f"{number(mine['validation'])}; in epoch {epoch} of {len(curve)} its own run was at "
        f"{number(lowest)}. Guessing costs {number(guessing)}.",
        means=f"Of what the run knew about validation images, {100 * given_up:.0f} % is given up "
        "again. What is left is not the best model that was passed through, and what chose it did "
        "not look at the validation loss, or nothing kept the weights.",
        look_next="Mark in the curve the epoch whose weights the model has in the end.",
    )


def _trained(mine: Mapping[str, float], control: Mapping[str, float], guessing: float) -> Finding:
    learned, could = guessing - mine["training"], guessing - control["training"]
    return TRAINED.finding(
        min(learned / could, ALL) if could > 0 else math.nan,
        measured=f"On its training images the model has a loss of {number(mine['training'])}; "
        f"guessing costs {number(guessing)}, and the sick program at its lowest validation loss "
        f"had {number(control['training'])}.",
        means="A model that learns nothing has no gap either. The regularisation outweighs the "
        "data, training ends too soon, or too little of the network is left.",
        look_next="Compare the gradient of the penalty with that of the data. Or in which epoch "
        "did training end, and on which images and labels was that decided?",
    )


def _unseen(mine: Mapping[str, float], control: Mapping[str, float], guessing: float) -> Finding:
    learned, could = guessing - mine["unseen"], guessing - control["unseen"]
    return UNSEEN.finding(
        min(learned / could, ALL) if could > 0 else math.nan,
        measured=f"On unseen images the model has a loss of {number(mine['unseen'])}. The sick "
        f"program passed through {number(control['unseen'])}; guessing costs {number(guessing)}.",
        means="There is no gap to speak of, and still it knows much less than the sick program "
        "once did. Training ended too soon, or something holds it back too much.",
        look_next="In which epoch did training end, and on which images and labels was that "
        "decided?",
    )


def _gap(mine: Mapping[str, float], sick: Mapping[str, float]) -> Finding:
    gap, before = (who["unseen"] - who["training"] for who in (mine, sick))
    return GAP.finding(
        min(gap / before, ALL) if before > 0 else math.nan,
        measured=f"Unseen images cost {number(gap)} nats more than training images; in the sick "
        f"program it was {number(before)}.",
        means="Much of what the model says of its training images is true of them only. What it "
        "was chosen by is not independent of what it was trained on, or nothing chose.",
        look_next="Which images has the model been trained on, and which were kept apart?",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="learning-by-heart",
        reading="validation loss at its lowest point, in nats",
        measure=lowest_of_the_sick_run,
        tolerance=0.2,
        seconds=4,
    ),
    Check(
        name="repair",
        points=6,
        takes=("evaluate", "build_model", "train", "sick_evaluate"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: bool(evidence["untouched"]),
        unseen=unseen_images,
        measure=measure_repair,
        seconds=8,
    ),
]
