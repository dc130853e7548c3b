"""Label noise: are the wrong labels found, the right ones spared, and is training better for it?

On these few hundred images confident learning itself suspects about one right label in ten. So the
right labels are not held to a share of their own, but to what the same network suspects beside the
learner.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.predictions import class_numbers, share_right
from grader.datasets import Images, UnlabelledImages, faults
from grader.instruments.label_noise import measure_found, twins

KINDS = (0, 6, 7)  # of the ten kinds of ground; as far apart on tiles as in common photographs
SIZE, N_DRAWN, N_TEST = 16, 1600, 2000  # of which three in ten are of these kinds
RATE, COPIES = 0.15, 8
BATCH, LEARNING_RATE = 48, 0.007
FOLDS, STEPS = 4, 60  # of the control

CAUSES = {
    "label-noise": "The same image cannot be of two kinds, so some labels are wrong. The network "
    "learns them by heart, and is surer and surer of what it should not believe.",
    "learning-rate": "The training accuracy reaches its ceiling, so the steps suit the task. No "
    "step size gives one image two labels.",
    "too-small": "A network that is too small cannot repeat its training labels. This one does.",
    "imbalance": "Each kind of ground has about as many images. Count the labels.",
    "input-scale": "Images on the wrong scale show in the first batch, and training would stall.",
    "validation-split": "Validation images are drawn apart from the training images. What is there "
    "twice is among the training images themselves.",
}

# Limits lie in the gaps between right and wrong answers that calibration/ records.
RECALL = Threshold("wrong labels that are suspected, share", 0.45, "at least")
SPARED = Threshold("right labels suspected beyond the control's, share", 0.2, "at most")
LEFT = Threshold("wrong labels in the new training set, share of those planted", 0.75, "at most")
RECOVERED = Threshold("accuracy, share of the way from noisy to true labels", 0.1, "at least")


def same_image_twice(case: Case) -> float:
    """Images that are there twice with two labels."""
    noisy = _plant(case.data, case.seed).noisy
    return float(len(twins(noisy.images, noisy.labels)))


def _drawn(case: Case, split: str) -> Images:
    return case.draw(split, N_DRAWN if split == "train" else N_TEST, SIZE).only(KINDS)


class Planted(NamedTuple):
    """Images with the labels they carry, the true ones, and where both differ."""

    noisy: Images
    true: np.ndarray
    wrong: np.ndarray


@lru_cache(maxsize=4)
def _plant(data: str, seed: int) -> Planted:
    case = Case(lab="", framework="", seed=seed, data=data)
    noisy, truth = faults.careless_labels(
        _drawn(case, "train"), RATE, copies=COPIES, seed=case.seed
    )
    return Planted(noisy, truth.parameters["labels"], truth.affected)


@lru_cache(maxsize=4)
def _unseen(data: str, seed: int) -> Images:
    return _drawn(Case(lab="", framework="", seed=seed, data=data), "test")


def _prepared(case: Case, images: np.ndarray) -> Any:
    assert case.fw is not None
    return case.fw.from_images((images.astype(np.float32) - 110) / 45)


def _ask(case: Case, sets: list[tuple[np.ndarray, np.ndarray]], unseen: np.ndarray) -> np.ndarray:
    """Logits (sets, M, K) of the notebook's network, as its `confidence_after` trains it."""
    fw = case.fw
    assert fw is not None
    fw.set_seed(case.seed)
    return fw.outputs_after_training(
        fw.quick_cnn(SIZE, len(KINDS)),
        [(_prepared(case, images), labels) for images, labels in sets],
        _prepared(case, unseen),
        steps=STEPS,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        seed=case.seed,
    )


@lru_cache(maxsize=4)
def _control(case: Case) -> np.ndarray:
    """What confident learning out of fold suspects, bool (N,).

    Kept, because it depends on the case alone: a second answer need not train it again.
    """
    asked = case.unseen(unseen_images)
    images, given = asked.images, asked.given
    assert given is not None
    fold = np.random.default_rng(case.seed % 2**32).permutation(len(given)) % FOLDS
    sets = [(images[fold != k], given[fold != k]) for k in range(FOLDS)]
    logits = _ask(case, sets, images)[fold, np.arange(len(given))].astype(np.float64)
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = exp / exp.sum(axis=1, keepdims=True)
    # Northcutt et al. (2021), section 3.1: a class is believed where it is surer than is usual for
    # images that carry its label.
    usual = np.array([p[given == k, k].mean() for k in range(p.shape[1])])
    sure = np.where(p >= usual, p, -1)
    return (sure.max(axis=1) > 0) & (sure.argmax(axis=1) != given)


def _look(images: np.ndarray) -> np.ndarray:
    """Colour, its spread and its roughness, float (N, 9): what a glance tells kinds apart by."""
    pixels = images.astype(np.float64)
    return np.concatenate(
        [
            pixels.mean(axis=(1, 2)),
            pixels.std(axis=(1, 2)),
            np.abs(np.diff(pixels, axis=2)).mean(axis=(1, 2)),
        ],
        axis=1,
    )


def _nearest(images: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Position of the training image that looks most like each unseen one, int64 (M,)."""
    x, u = _look(images), _look(unseen)
    scale = x.std(axis=0) + 1e-9
    x, u = x / scale, u / scale
    return ((u**2).sum(1)[:, None] - 2 * u @ x.T + (x**2).sum(1)).argmin(axis=1)


def unseen_images(case: Case) -> UnlabelledImages:
    """New images with new noise: the labels that they carry, not the true ones."""
    noisy = _plant(case.data, case.seed).noisy
    return UnlabelledImages(noisy.images, noisy.classes, noisy.labels)


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """Search new images with new noise."""
    asked = case.unseen(unseen_images)
    suspects, labels = _call(answer, asked)
    return {
        "suspects": suspects,
        "labels": labels,
        "unchanged": bool(np.array_equal(labels, asked.given)),
    }


def _call(answer: Answer, noisy: UnlabelledImages) -> tuple[np.ndarray, np.ndarray]:
    """What the learner's function returns: suspects, bool (N,), and labels, int64 (N,).

    Raises:
        AnswerError: something else.
    """
    n, classes = len(noisy), len(noisy.classes)
    assert noisy.given is not None
    returned = answer.find_wrong_labels(noisy.images.copy(), noisy.given.copy())
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise AnswerError(
            f"`find_wrong_labels` returned {type(returned).__name__}; return two arrays, the "
            "suspects and the labels to train on."
        )
    suspects, labels = (np.asarray(part) for part in returned)
    if suspects.shape != (n,) or suspects.dtype != bool:
        raise AnswerError(
            f"The suspects are {suspects.dtype} of shape {suspects.shape} for {n} images; return "
            "True or False for each."
        )
    if labels.shape != (n,) or labels.dtype.kind not in "iuf" or not np.isfinite(labels).all():
        raise AnswerError(
            f"The labels to train on are {labels.dtype} of shape {labels.shape} for {n} images; "
            "return one whole number for each, -1 to leave an image out."
        )
    whole = bool((labels == labels.astype(np.int64)).all())
    if not whole or labels.min() < -1 or labels.max() >= classes:
        raise AnswerError(
            f"The labels to train on run from {labels.min()} to {labels.max()}; there are classes "
            f"0 to {classes - 1}, and -1 leaves an image out."
        )
    return suspects, labels.astype(np.int64)


def untouched_repair(evidence: Evidence) -> bool:
    """The starter suspects nobody."""
    return not any(evidence["suspects"]) and bool(evidence["unchanged"])


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Four gates: wrong labels found, right ones spared, the training set cleaner, accuracy."""
    seed = case.of_unseen().seed
    planted, unseen = _plant(case.data, seed), _unseen(case.data, seed)
    suspects = np.asarray(evidence["suspects"], bool)
    labels = class_numbers(evidence["labels"], len(planted.true))
    return [
        _recall(planted, suspects),
        _spared(planted, suspects, np.asarray(evidence["control"], bool)),
        _left(planted, labels, suspects),
        _recovered(planted, labels, unseen),
    ]


def _recall(planted: Planted, suspects: np.ndarray) -> Finding:
    wrong = planted.wrong
    found = measure_found(suspects, wrong)
    share = suspects.mean()
    classes = np.bincount(planted.noisy.labels[suspects], minlength=len(KINDS))
    if suspects.sum() >= 10 and classes.max() > 0.85 * classes.sum():
        means = (
            f"{100 * classes.max() / classes.sum():.0f} % of the suspects carry one and the same "
            "label, and wrong labels are in every class."
        )
        look_next = "Count suspects for each given label."
    elif share < 0.5 * wrong.mean():
        means = (
            "Few labels are doubted. A network that has learned the labels by heart repeats them, "
            "wrong ones as well."
        )
        look_next = "Was the network asked about images that it had been trained on?"
    elif found.precision < 1.5 * wrong.mean():
        means = (
            f"Of the suspects {100 * found.precision:.0f} % carry a wrong label, as of any images "
            f"drawn at random ({100 * wrong.mean():.0f} %)."
        )
        look_next = "Look at the losses of suspects and of the others: do they differ?"
    else:
        means = (
            "What picks them tells hard images from easy ones, or what was learned late from what "
            "was learned early, and wrong labels stay hidden among the learned ones."
        )
        look_next = "Had the network that judged an image been trained on this very label?"
    return RECALL.finding(
        found.recall,
        measured=f"{int(suspects.sum())} of {len(wrong)} labels are suspected, among them "
        f"{100 * found.recall:.0f} % of the {int(wrong.sum())} wrong ones.",
        means=means,
        look_next=look_next,
    )


def _spared(planted: Planted, suspects: np.ndarray, control: np.ndarray) -> Finding:
    right = ~planted.wrong
    own, usual = float(suspects[right].mean()), float(control[right].mean())
    return SPARED.finding(
        own - usual,
        measured=f"{100 * own:.0f} % of the right labels are suspected too; a control suspects "
        f"{100 * usual:.0f} %. The difference is {own - usual:.2f}.",
        means="An image can be hard without being mislabelled, and hard images are worth having.",
        look_next="How sure is the network of another class where it contradicts a label, and how "
        "sure is it usually of that class?",
    )


def _left(planted: Planted, labels: np.ndarray, suspects: np.ndarray) -> Finding:
    trained = labels >= 0
    left = int((trained & (labels != planted.true)).sum())
    touched = int((labels[suspects] != planted.noisy.labels[suspects]).sum())
    if touched < 0.5 * suspects.sum():
        means = f"Of the {int(suspects.sum())} suspects only {touched} have another label, or none."
        look_next = "Compare the labels to train on with the given ones, at the suspects."
    else:
        means = "Many labels were replaced by other wrong ones, or wrong ones stayed."
        look_next = "Compare each new label with the network's prediction for that image."
    return LEFT.finding(
        left / max(1, int(planted.wrong.sum())),
        measured=f"{left} wrong labels are in the new training set; "
        f"{int(planted.wrong.sum())} were planted.",
        means=means,
        look_next=look_next,
    )


def _recovered(planted: Planted, labels: np.ndarray, unseen: Images) -> Finding:
    # A nearest neighbour believes every label it is given, as a network does that has learned them
    # by heart, and needs no training: the same labels give the same accuracy everywhere.
    def accuracy(own: np.ndarray) -> float:
        kept = own >= 0
        if not kept.any():
            return 0.0
        nearest = _nearest(planted.noisy.images[kept], unseen.images)
        return share_right(own[kept][nearest], unseen.labels)

    own, noisy, oracle = (accuracy(x) for x in (labels, planted.noisy.labels, planted.true))
    return RECOVERED.finding(
        (own - noisy) / (oracle - noisy) if oracle > noisy else math.nan,
        measured=f"A classifier that believes every label is right on {100 * own:.0f} % of "
        f"{len(unseen)} unseen images with the new labels, on {100 * noisy:.0f} % with the given "
        f"ones, and on {100 * oracle:.0f} % with the true ones.",
        means="The list of suspects is good, and what is trained on is poorer than it could be.",
        look_next="Count what is left in each class, and how many of the new labels are right.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="label-noise",
        reading="number of images that are there twice with two different labels",
        measure=same_image_twice,
        tolerance=0.01,
    ),
    Check(
        name="repair",
        points=4,
        takes=("find_wrong_labels",),
        collect=collect_repair,
        judge=judge_repair,
        untouched=untouched_repair,
        unseen=unseen_images,
        measure=lambda case, evidence: {"control": _control(case)},
        measured_inside=False,
        seconds=3,
    ),
]
