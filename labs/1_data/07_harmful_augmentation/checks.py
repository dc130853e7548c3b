"""Augmentation: range, labels that survive, variety, and what a network learns from it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.predictions import share_right
from grader.checks.verdict import number
from grader.datasets import Images, shores
from grader.instruments.label_keeping import measure_augmentation

SIZE, N_TRAIN, N_TEST = 16, 48, 300
ROUNDS = 10  # augmented versions of every training image; a network is trained on all of them
BATCHES = (32, 64) * 5  # they arrive in batches of two sizes
STEPS, BATCH, LEARNING_RATE = 80, 32, 0.02
MOST_STEPS = 2000

CAUSES = {
    "labels-destroyed": "The transforms move the sea to another side, and the label stays behind: "
    "images and labels contradict each other.",
    "too-weak": "Too little augmentation leaves a network that fits its training images. Here the "
    "training accuracy is low as well.",
    "too-few-steps": "The same number of steps, without augmentation, is enough for the same "
    "images.",
    "too-small-a-network": "The same network learns the same images without augmentation.",
    "value-range": "Some values leave the range that the model is fed with, by a fifth of it. That "
    "is a second fault; it does not move the sea to another side.",
    "evaluation": "Unseen images are left alone here: they are what they are for the control.",
}

# Limits from 20 seeds of every answer in both frameworks; see calibration/.
RANGE = Threshold("distance by which the values leave 0 to 1", 0.02, "at most")
ENDS = Threshold("share of the values pushed to an end of the range", 0.5, "at most")
KEEPS = Threshold("labels that survive, share of those of the originals", 0.9, "at least")
VARIES = Threshold("distance of the versions, in distances of two images", 0.07, "at least")
KIN = Threshold("distance of versions of one image, share of that of two", 0.97, "at most")
LEARNS = Threshold("accuracy on clean unseen images, less the control's", -0.1, "at least")

DEGREES = 72.0  # a fifth of a turn each way


@lru_cache(maxsize=4)
def surviving_labels(case: Case) -> float:
    """Share of the sick program's augmented images that show what their label says.

    Expected over all flips and angles, on the practice images. Turned by looking up the nearest
    pixel, with the edge repeated.
    """
    train = shores.draw(case.data, "train", N_TRAIN, size=SIZE, seed=case.seed)
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    y, x = axis[:, None], axis[None, :]
    kept = []
    for angle in np.deg2rad((np.arange(60) + 0.5) / 60 * DEGREES):
        row = np.rint(np.cos(angle) * y + np.sin(angle) * x + (SIZE - 1) / 2).astype(int)
        column = np.rint(np.cos(angle) * x - np.sin(angle) * y + (SIZE - 1) / 2).astype(int)
        row, column = row.clip(0, SIZE - 1), column.clip(0, SIZE - 1)
        for flipped in (
            train.images,
            train.images[:, ::-1],
            train.images[:, :, ::-1],
            train.images[:, ::-1, ::-1],
        ):
            kept.append(shores.water_side(flipped[:, row, column]) == train.labels)
    return float(np.mean(kept))


def _draw(case: Case, split: str) -> Images:
    n = {"train": N_TRAIN, "test": N_TEST}[split]
    return shores.draw(case.data, split, n, size=SIZE, seed=case.seed)


def unseen_images(case: Case) -> Images:
    """The clean images that the trained networks are asked about."""
    return _draw(case, "test")


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """Augment the training images ten times; measure that; train on it where it is worth it."""
    steps = answer.steps
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MOST_STEPS:
        raise AnswerError(f"`steps` is {steps!r}; give a whole number, 1 to {MOST_STEPS}.")
    train = _draw(case, "train")
    rounds = _augmented(case, answer.augment, train)
    measured = measure_augmentation(
        train.images / 255, train.labels, rounds, shores.water_side, shores.OPPOSITE
    )
    evidence: dict[str, Any] = {
        "sick": getattr(answer.augment, "__name__", "") == "sick_augment",
        "steps": steps,
        "agreement": measured.agreement,
        "clean": measured.clean,
        "across": measured.across,
        "beside": measured.beside,
        "lost": measured.lost,
        "low": measured.low,
        "high": measured.high,
        "overshoot": measured.overshoot,
        "ends": measured.ends,
        "moved": measured.moved,
        "spread": measured.spread,
        "kinship": measured.kinship,
        "predicted": None,
    }
    # A network is trained only where the gates before it are passed: otherwise it decides nothing.
    if all(f.holds for f in _gates_before_training(evidence)):
        fw = case.fw
        assert fw is not None
        images = np.concatenate([x for x, _ in rounds])
        labels = np.concatenate([y for _, y in rounds])
        evidence["predicted"] = _train_and_predict(case, images, labels, steps)
    return evidence


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """What the control says, where the answer was trained."""
    return {"control": None if evidence["predicted"] is None else _run_control(case)}


def _augmented(case: Case, augment: Any, train: Images) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rounds of what the learner's function makes of the training images, on the host.

    Images (N, SIZE, SIZE, 3) float64 and labels int64 (N,).
    """
    fw = case.fw
    assert fw is not None
    fw.set_seed(case.seed)
    images, labels = np.tile(train.images, (ROUNDS, 1, 1, 1)), np.tile(train.labels, ROUNDS)
    starts = np.cumsum(BATCHES)[:-1]
    batches = zip(np.split(images, starts), np.split(labels, starts), strict=True)
    pairs = [_augment_batch(fw, augment, x, y) for x, y in batches]
    return list(
        zip(
            np.split(np.concatenate([x for x, _ in pairs]), ROUNDS),
            np.split(np.concatenate([y for _, y in pairs]), ROUNDS),
            strict=True,
        )
    )


def _augment_batch(
    fw: Any, augment: Any, images: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One batch through the learner's function.

    Raises:
        AnswerError: no pair, other shapes, or values and labels that are none.
    """
    returned = augment(fw.from_images(images / 255), fw.from_labels(labels))
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise AnswerError(
            f"`augment` returned {type(returned).__name__}; return the images and their labels, "
            "both."
        )
    x, y = fw.to_numpy(returned[0]), fw.to_numpy(returned[1])
    expected = fw.to_numpy(fw.from_images(images)).shape
    if x.shape != expected:
        raise AnswerError(
            f"`augment` returned images of shape {x.shape} for a batch of shape {expected}; return "
            "one image of the same size for each."
        )
    if y.shape != labels.shape:
        raise AnswerError(
            f"`augment` returned labels of shape {y.shape} for {len(labels)} images; return one "
            "whole number for each."
        )
    if not np.isfinite(x.astype(np.float64)).all():
        raise AnswerError("`augment` returned values that are not finite.")
    known = np.isin(y, np.arange(len(shores.SIDES)))
    if not known.all():
        raise AnswerError(
            f"`augment` returned the label {y[~known][0]}; labels are 0 to {len(shores.SIDES) - 1}."
        )
    return fw.as_images(returned[0]).astype(np.float64), y.astype(np.int64)


def _train_and_predict(
    case: Case, images: np.ndarray, labels: np.ndarray, steps: int
) -> np.ndarray:
    """Train the same small network on images in 0..1; its classes of the clean unseen images."""
    fw = case.fw
    assert fw is not None
    fw.set_seed(case.seed)
    model = fw.plain_cnn(SIZE, len(shores.SIDES))
    fw.train(
        model,
        fw.from_images(images),
        labels,
        steps=steps,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        seed=case.seed,
    )
    unseen = case.unseen(unseen_images).images / 255
    return fw.predict(model, fw.from_images(unseen)).argmax(axis=1)


@lru_cache(maxsize=4)
def _run_control(case: Case) -> np.ndarray:
    """Classes of the clean unseen images, learned without augmentation.

    Kept, because it depends on the case alone.
    """
    train = _draw(case, "train")
    return _train_and_predict(case, train.images / 255, train.labels, STEPS)


def untouched_repair(evidence: Evidence) -> bool:
    """The starter: the sick function itself, which leaves the range and loses most labels."""
    return bool(
        evidence["sick"]
        and evidence["steps"] == STEPS
        and evidence["overshoot"] > RANGE.limit
        and evidence["agreement"] < 0.6
    )


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Six gates: range, ends of the range, labels, variety, origin, and what a network learns."""
    return [*_gates_before_training(evidence), _learns(case, evidence)]


def _gates_before_training(evidence: Evidence) -> list[Finding]:
    return [
        _in_range(evidence),
        _not_at_ends(evidence),
        _keeps(evidence),
        _varies(evidence),
        _is_kin(evidence),
    ]


def _in_range(evidence: Evidence) -> Finding:
    return RANGE.finding(
        evidence["overshoot"],
        measured=f"The augmented values run from {number(evidence['low'])} to "
        f"{number(evidence['high'])}; the model is fed 0 to 1.",
        means="Some step counts brightness in another unit than these images, or adds to them "
        "without minding the end of the range."
        if evidence["overshoot"] > 1
        else "Some step adds to the images without minding the end of the range.",
        look_next="Print the smallest and the largest value after each step of the augmentation.",
    )


def _not_at_ends(evidence: Evidence) -> Finding:
    return ENDS.finding(
        evidence["ends"],
        measured=f"{100 * evidence['ends']:.0f} % of the values have been pushed onto 0 or 1, "
        "where the originals have none.",
        means="The range is kept, but what lay between its ends is gone: cutting off hides a step "
        "that is far too strong.",
        look_next="Look at the augmented grid, and measure the range before anything is cut off.",
    )


def _keeps(evidence: Evidence) -> Finding:
    across, beside, lost = evidence["across"], evidence["beside"], evidence["lost"]
    shares = f"{100 * across:.0f} % show the sea on the opposite side, {100 * beside:.0f} % on a "
    shares += f"neighbouring side, {100 * lost:.0f} % nowhere."
    if lost > max(across, beside):
        means = "Mostly the sea itself is gone, cut away or painted over."
        look_next = "Look for the sea in the augmented grid. Which step removes it?"
    elif evidence["agreement"] < 0.45:
        means = "That is close to chance, a quarter: labels and images hardly have anything to do "
        means += "with each other any more."
        look_next = "Follow one image and its label through each step, and each step alone."
    elif across > 0.1:
        means = "An image that shows the opposite side was mirrored or turned upside down, and its "
        means += "label was not told."
        look_next = "Apply each step alone, to one image of each side, and compare with the label."
    else:
        means = "An image that shows a neighbouring side was turned by more than half a right "
        means += "angle."
        look_next = "Measure which angles really occur; mind the unit that the step counts in."
    if evidence["steps"] > STEPS:
        means += " No number of steps can teach a network labels that contradict the images."
    return KEEPS.finding(
        evidence["agreement"] / evidence["clean"] if evidence["clean"] else math.nan,
        measured=f"Only {100 * evidence['agreement']:.0f} % of the augmented images show what "
        f"their label says; of the originals {100 * evidence['clean']:.0f} %. {shares}",
        means=means,
        look_next=look_next,
    )


def _varies(evidence: Evidence) -> Finding:
    moved, spread = evidence["moved"], evidence["spread"]
    if spread < VARIES.limit and moved >= VARIES.limit:
        measured = f"Two versions of one image differ by {number(spread)} of the distance between "
        measured += "two images."
        means = "Every image is changed, and always in the same way: the network sees as many "
        means += "different images as before."
        look_next = "Augment one image five times, and look at the five."
    else:
        measured = f"An augmented image lies {number(moved)} of the distance between two images "
        measured += "away from the nearest original."
        means = "The labels survive because the images hardly change: with the harm, the "
        means += "augmentation itself is gone."
        look_next = "Ask which changes leave the sea where it is, or where its label can follow, "
        look_next += "and can still be seen in the grid."
    return VARIES.finding(min(moved, spread), measured=measured, means=means, look_next=look_next)


def _is_kin(evidence: Evidence) -> Finding:
    return KIN.finding(
        evidence["kinship"],
        measured=f"Versions of one image are {number(evidence['kinship'])} times as far apart as "
        "versions of two different images.",
        means="What comes back in a row does not seem to be made from the image that went in.",
        look_next="Augment a single image five times, and look for it in the five.",
    )


def _learns(case: Case, evidence: Evidence) -> Finding:
    learned = control = math.nan
    if evidence["predicted"] is not None:
        labels = unseen_images(case.of_unseen()).labels
        learned = share_right(evidence["predicted"], labels)
        control = share_right(evidence["control"], labels)
    return LEARNS.finding(
        learned - control,
        measured=f"On clean unseen images the network is right on {100 * learned:.0f} %; one "
        f"trained without augmentation on {100 * control:.0f} %.",
        means="The labels are right, but the network was trained on images unlike those it is "
        "asked about.",
        look_next="Put augmented and clean images side by side: scale, brightness, contrast, "
        "and how often each label occurs.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="labels-destroyed",
        reading="share of the augmented images that show what their label says, 0 to 1",
        measure=surviving_labels,
        tolerance=0.16,
    ),
    Check(
        name="repair",
        points=6,
        takes=("steps", "augment"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=untouched_repair,
        unseen=unseen_images,
        measure=measure_repair,
        seconds=2,
    ),
]
