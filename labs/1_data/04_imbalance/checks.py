"""Imbalance and leakage: is validation told the truth, and is every class recognised?"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.evidence import EvidenceError
from grader.checks.predictions import class_numbers
from grader.checks.verdict import number
from grader.datasets import Images, UnseenArrays
from grader.datasets.archive import archive

SIZE = 12
COUNTS = (400, 14, 14)  # images of the common class and of the two rare ones
N_TRAIN, N_TEST = 4000, 2000  # drawn over ten classes, so 400 and 200 a class
STEPS, BATCH, LEARNING_RATE = 168, 32, 0.002  # of the controls
HELD_OUT = 32  # images in the sick validation part
FIFTH, SLACK = 0.2, 0.05  # share that is to be held out

# Classes and counts of the archives that `split` is measured on. Several classes each, because
# every class is one more chance for a split by lot to miss its share.
ARCHIVES = (
    ((0, 1, 2), (200, 24, 12)),
    ((3, 4, 1, 6, 7), (15, 80, 40, 25, 60)),
    ((8, 9, 0, 1), (60, 20, 100, 35)),
    ((2, 4, 6, 8, 3), (70, 50, 30, 15, 70)),
    ((3, 9, 7, 1, 6), (20, 90, 20, 60, 30)),
    ((0, 3, 8), (120, 60, 40)),
    ((9, 2, 4, 7, 0, 1), (40, 40, 15, 60, 25, 40)),
    ((6, 0, 3, 9), (30, 90, 60, 40)),
)

# Counts of the classes in the labels that `score` is measured on.
PROBED = (COUNTS, (9, 11, 13, 500))

CAUSES = {
    "imbalance": "One class is so common that naming it always is right nearly always, and a loss "
    "averaged over images hardly hears the others.",
    "leak": "Copies in both parts make validation kinder than it should be. Here the rare classes "
    "are missed on images without copies, and in training too.",
    "labels": "Wrong labels spare no class. Here one class is recognised nearly always, on unseen "
    "images as well.",
    "overfitting": "What is learned by heart is recognised at least in training. Look at the rare "
    "classes in the first panel.",
    "drift": "Images from elsewhere would be missed in the last panel only, and the common class "
    "with them.",
}

# Limits from 20 seeds of every answer in both frameworks; see calibration/.
KEPT = Threshold("scenes lost or images used twice", 0, "at most")
LEAK = Threshold("validation images whose scene is in training, share", 0.02, "at most")
STRATA = Threshold("a class's miss of its share, against a draw by lot", 0.31, "at most")
SCORE = Threshold("pairs of classifiers put in the right order, share", 1, "at least")
# Youden's index (1950): the share of a rare class that is told from the common one, less the share
# of the common class that is taken for a rare one. Nobody earns it by naming one class more often.
TOLD = Threshold("rare told from common, share of the balanced control's", 0.32, "at least")
# From fourteen images two rare classes are hard to tell from each other, and how well that goes is
# chance: the recall of each one varies by a third of its mean. So each only has to be named at all.
NEVER = Threshold("classes that are never named", 0, "at most")


def constant_accuracy(case: Case) -> float:
    """What always naming the commonest class is right on, in the sick validation part."""
    images, _ = archive(case.draw("train", N_TRAIN, SIZE), (0, 1, 2), COUNTS, copies=0.5,
                        seed=case.seed)  # fmt: skip
    _, validation = _sick_split(len(images))
    counts = np.bincount(images.labels[validation])
    return float(counts.max() / counts.sum())


def _sick_split(n: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(0).permutation(n)
    return order[HELD_OUT:], order[:HELD_OUT]


# ---- the split and the number --------------------------------------------------------------------


@lru_cache(maxsize=4)
def _archives(case: Case) -> list[tuple[Images, np.ndarray]]:
    """Images and the number of each one's scene. Kept, because it depends on the case alone."""
    drawn = case.draw("train", 2000, SIZE)
    return [
        archive(drawn, classes, counts, copies=0.5, seed=100 * case.seed + i)
        for i, (classes, counts) in enumerate(ARCHIVES)
    ]


def unseen_archives(case: Case) -> UnseenArrays:
    """Archives without their scenes, and labels with what four classifiers say, in no order."""
    arrays = {}
    for i, (images, _) in enumerate(_archives(case)):
        arrays[f"archive {i}/images"] = images.images
        arrays[f"archive {i}/labels"] = images.labels
    for i, labels in enumerate(_probe_labels(case)):
        said = np.stack(list(_probes(labels).values()))
        arrays[f"score {i}/labels"] = labels
        arrays[f"score {i}/predicted"] = said[_order(case, i)]
    return UnseenArrays(arrays)


def collect_validation(case: Case, answer: Answer) -> dict[str, Any]:
    """Split every archive, and score classifiers without knowing which is which."""
    asked = case.unseen(unseen_archives).arrays
    splits, scored = [], []
    for i in range(len(ARCHIVES)):
        images, labels = asked[f"archive {i}/images"], asked[f"archive {i}/labels"]
        splits.append(_indices(answer.split(images.copy(), labels.copy()), len(images)))
    for i in range(len(PROBED)):
        labels, said = asked[f"score {i}/labels"], asked[f"score {i}/predicted"]
        scored.append([_score(answer.score, labels, predicted) for predicted in said])
    return {"splits": splits, "scored": scored}


def measure_validation(case: Case, evidence: Evidence) -> dict[str, Any]:
    """The scores in the order of `_probes`."""
    scored = np.asarray(evidence["scored"], np.float64)
    asked = case.of_unseen()
    orders = np.stack([_order(asked, i) for i in range(len(PROBED))])
    if scored.shape != orders.shape:
        raise EvidenceError(f"there are scores {scored.shape} for classifiers {orders.shape}")
    return {"scores": np.take_along_axis(scored, np.argsort(orders), axis=1)}


def _indices(parts: Any, n: int) -> dict[str, Any]:
    """What `split` returned for `n` images, as lists of positions.

    Raises:
        AnswerError: no pair of index arrays, positions that do not exist, or an empty part.
    """
    try:
        train, validation = (np.asarray(part) for part in parts)
    except (TypeError, ValueError):
        raise AnswerError(
            f"`split` returned a {type(parts).__name__}; return two arrays of positions, those for "
            "training and those for validation."
        ) from None
    read = []
    for name, part in (("training", train), ("validation", validation)):
        if part.dtype == bool and part.shape == (n,):
            part = np.flatnonzero(part)
        if part.ndim != 1 or part.size == 0 or part.dtype.kind not in "iu":
            raise AnswerError(
                f"For {name}, `split` returned an array of shape {part.shape} and type "
                f"{part.dtype}; return the positions of at least one image, as integers."
            )
        if part.min() < 0 or part.max() >= n:
            raise AnswerError(
                f"For {name}, `split` returned positions from {part.min()} to {part.max()}; "
                f"there are {n} images, so give positions from 0 to {n - 1}."
            )
        read.append(part)
    return {"train": read[0], "validation": read[1]}


def _score(function: Callable[..., Any], labels: np.ndarray, predicted: np.ndarray) -> float:
    value = function(labels.copy(), predicted.copy())
    try:
        return float(value)
    except (TypeError, ValueError):
        raise AnswerError(
            f"`score` returned a {type(value).__name__}; return one number, higher for the better "
            "classifier."
        ) from None


def _probe_labels(case: Case) -> list[np.ndarray]:
    """Labels of two archives in which the commonest class is another one each time."""
    return [
        np.random.default_rng([case.seed, i]).permutation(np.repeat(np.arange(len(counts)), counts))
        for i, counts in enumerate(PROBED)
    ]


def _order(case: Case, i: int) -> np.ndarray:
    """In which order the classifiers are handed out: which one it is is not to be told."""
    return np.random.default_rng([case.seed, i, 1]).permutation(4)


def _probes(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions of four classifiers.

    "fair" recognises four fifths of every class and gives the rest to the next class; its accuracy
    is below that of "common", which always names the commonest class.
    """
    counts = np.bincount(labels)
    fair = labels.copy()
    for label in range(len(counts)):
        members = np.flatnonzero(labels == label)
        fair[members[round(0.8 * len(members)) :]] = (label + 1) % len(counts)
    return {
        "common": np.full_like(labels, counts.argmax()),
        "rare": np.full_like(labels, counts.argmin()),
        "fair": fair,
        "perfect": labels.copy(),
    }


def untouched_validation(evidence: Evidence) -> bool:
    """The starter: the same images by lot, and accuracy as the number."""
    same = all(
        np.array_equal(s["validation"], _sick_split(len(s["train"]) + len(s["validation"]))[1])
        for s in evidence["splits"]
    )
    return same and all(common > fair for common, _, fair, _ in evidence["scores"])


def judge_validation(case: Case, evidence: Evidence) -> list[Finding]:
    """Four gates: nothing lost, nothing shared, every class in its share, an honest number."""
    archives = _archives(case.of_unseen())
    parts = [
        _Part(
            images, scenes, *(_positions(s[name], len(images)) for name in ("train", "validation"))
        )
        for (images, scenes), s in zip(archives, evidence["splits"], strict=True)
    ]
    return [_kept(parts), _leaks(parts), _strata(parts), _orders(evidence["scores"])]


def _positions(part: Any, n: int) -> np.ndarray:
    """Positions that were handed over, of `n` images.

    Raises:
        EvidenceError: none, or some that do not exist.
    """
    positions = np.asarray(part)
    if positions.ndim != 1 or positions.dtype.kind != "i" or not np.isin(positions, range(n)).all():
        raise EvidenceError(f"a part of a split is not a list of positions below {n}")
    return positions


class _Part(NamedTuple):
    """One archive and how it was split."""

    images: Images
    scenes: np.ndarray
    train: np.ndarray
    validation: np.ndarray

    @property
    def share(self) -> float:
        """Share of the images that is held out."""
        return len(np.unique(self.validation)) / len(self.images)

    def misses(self, first: np.ndarray | None) -> np.ndarray:
        """How far each class is from its share, in standard deviations of a draw by lot.

        Args:
            first: one image of each scene, to count scenes; None counts images.
        """
        labels, held = self.images.labels, np.zeros(len(self.images), bool)
        held[self.validation] = True
        if first is not None:
            held = np.isin(self.scenes, self.scenes[held])[first]
            labels = labels[first]
        counts = np.bincount(labels)
        share = np.clip(held.mean(), FIFTH - SLACK, FIFTH + SLACK)
        expected = share * counts
        by_lot = np.sqrt(FIFTH * (1 - FIFTH) * counts)  # of a binomial count
        return np.abs(np.bincount(labels[held], minlength=len(counts)) - expected) / by_lot


def _kept(parts: list[_Part]) -> Finding:
    lost = sum(len(np.setdiff1d(p.scenes, p.scenes[np.r_[p.train, p.validation]])) for p in parts)
    repeated = sum(len(p.validation) - len(np.unique(p.validation)) for p in parts)
    both = sum(len(np.intersect1d(p.train, p.validation)) for p in parts)
    total = sum(len(p.images) for p in parts)
    if both:
        measured = f"{both} of {total} images are in both parts."
        means = "What is repeated before the split comes to lie on both sides of it."
        look_next = "Count how often each position occurs in what `split` returns."
    elif repeated:
        measured = f"The validation parts name {repeated} images more than once."
        means = "A repeated image adds weight and no knowledge; validation is to stay as it is."
        look_next = "Count how often each position occurs in the validation part."
    else:
        measured = f"{lost} scenes are in neither part."
        means = "What is left out is neither learned nor measured; of rare classes little is left."
        look_next = "Count the images of each class before and after the split."
    return KEPT.finding(lost + repeated + both, measured=measured, means=means, look_next=look_next)


def _leaks(parts: list[_Part]) -> Finding:
    held = sum(len(p.validation) for p in parts)
    leaked = identical = 0
    for p in parts:
        shared = np.isin(p.scenes[p.validation], p.scenes[p.train])
        leaked += int(shared.sum())
        known = {p.images.images[i].tobytes() for i in p.train}
        identical += sum(p.images.images[i].tobytes() in known for i in p.validation)
    if identical:
        means = f"{identical} of them have the same bytes as a training image."
        look_next = "Compare the bytes of the images in the two parts, then how they look."
    else:
        means = "None has the same bytes as a training image, so a hash of the bytes is silent."
        look_next = (
            "Look at the nearest training image of each validation image, and how far it is."
        )
    return LEAK.finding(
        leaked / held,
        measured=f"Of {held} validation images, {leaked} show a scene that is in training too.",
        means=means,
        look_next=look_next,
    )


def _strata(parts: list[_Part]) -> Finding:
    firsts = [np.unique(p.scenes, return_index=True)[1] for p in parts]
    by_image = np.concatenate([p.misses(None) for p in parts])
    by_scene = np.concatenate([p.misses(f) for p, f in zip(parts, firsts, strict=True)])
    # Who counts scenes must miss a little in images, and the other way round: the kinder one.
    miss = min(by_image.mean(), by_scene.mean())
    shares = [p.share for p in parts]
    if not FIFTH - SLACK <= float(np.mean(shares)) <= FIFTH + SLACK:
        means = (
            f"Held out are {100 * min(shares):.0f} to {100 * max(shares):.0f} % of the images, "
            "and a fifth was asked for; of a rare class that is too few to measure, or too many to "
            "do without."
        )
    else:
        means = "The classes are held out as chance has it, and chance is unkind to rare classes."
    at = int(np.argmax(by_image))
    names = [(p, label) for p in parts for label in range(len(p.images.classes))]
    part, label = names[at]
    n = int((part.images.labels == label).sum())
    got = int((part.images.labels[part.validation] == label).sum())
    return STRATA.finding(
        float(miss),
        measured=f"The classes miss their share of validation by {number(miss)} standard "
        f"deviations of a draw by lot, on average; the worst has {got} of its {n} images there.",
        means=means,
        look_next="Count the images of each class in the two parts, for several archives.",
    )


def _orders(scores: list[list[float]]) -> Finding:
    right, wrong = 0, ""
    for common, rare, fair, perfect in scores:
        pairs = {
            "always names the commonest class": (common, fair),
            "always names the rarest class": (rare, fair),
        }
        for name, (worse, better) in pairs.items():
            right += better > worse
            if not better > worse and not wrong:
                wrong = (
                    f"A classifier that {name} scores {number(worse)}; one that recognises four "
                    f"fifths of every class scores {number(better)}."
                )
        right += perfect > fair
        if not perfect > fair and not wrong:
            wrong = (
                f"A classifier without a mistake scores {number(perfect)}; one that recognises "
                f"four fifths of every class scores {number(fair)}."
            )
    return SCORE.finding(
        right / (3 * len(scores)),
        measured=wrong,
        means="The number does not weigh what it is to weigh: every class alike, however rare.",
        look_next="Work out by hand what `score` gives to a program that looks at no image.",
    )


# ---- the training --------------------------------------------------------------------------------


def _runs(case: Case) -> list[Case]:
    """Two archives: of fourteen images a class, one may be unlucky."""
    return [replace(case, seed=case.seed + 1000 * i) for i in range(2)]


# The common class is another number than in the notebook: what counts is in the labels.
ORDER = (1, 0, 2)


@lru_cache(maxsize=8)
def _material(case: Case) -> tuple[Images, Images]:
    """Training images, and as many balanced ones."""
    classes, counts = ORDER, tuple(COUNTS[i] for i in ORDER)
    drawn = case.draw("train", N_TRAIN, SIZE)
    train, _ = archive(drawn, classes, counts, seed=case.seed)
    even = [len(train) // len(train.classes)] * len(counts)
    balanced, _ = archive(drawn, classes, even, seed=case.seed + 1)
    return train, balanced


@lru_cache(maxsize=4)
def unseen_images(case: Case) -> Images:
    """Balanced images for both archives, one after the other, as many for each."""
    parts = [
        archive(run.draw("test", N_TEST, SIZE), ORDER, [N_TEST] * 3, seed=run.seed)[0]
        for run in _runs(case)
    ]
    n = min(map(len, parts))  # of a folder, one archive may have an image more
    return Images(
        np.concatenate([part.images[:n] for part in parts]),
        np.concatenate([part.labels[:n] for part in parts]),
        parts[0].classes,
    )


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """Train on few images of some classes and predict unseen images of all, twice."""
    starter = _same_program(answer.train, answer.sick_train) and _same_program(
        answer.predict, answer.sick_predict
    )
    parts = np.split(case.unseen(unseen_images).images, 2)
    return {
        "starter": starter,
        "predicted": [
            _predicted(run, answer, images) for run, images in zip(_runs(case), parts, strict=True)
        ],
    }


@lru_cache(maxsize=4)
def measure_repair(case: Case) -> dict[str, Any]:
    """The same of two controls; kept, because it depends on the case alone."""
    parts = np.split(case.unseen(unseen_images).images, 2)
    runs = zip(_runs(case), parts, strict=True)
    return {"balanced": [_control(run, images) for run, images in runs]}


def _predicted(case: Case, answer: Answer, unseen: np.ndarray) -> np.ndarray:
    """Class numbers (M,) that the learner's program gives the unseen images.

    Raises:
        AnswerError: anything else than one integer for each image.
    """
    fw = case.fw
    assert fw is not None
    train, _ = _material(case)
    fw.set_seed(case.seed)
    model = answer.train(train.images.copy(), train.labels.copy())
    named = fw.to_numpy(answer.predict(model, unseen.copy()))
    if named.shape != (len(unseen),) or named.dtype.kind not in "iu":
        raise AnswerError(
            f"`predict` returned an array of shape {named.shape} and type {named.dtype} for "
            f"{len(unseen)} images; return one class number for each, as integers."
        )
    return named


def _same_program(one: Any, other: Any) -> bool:
    """True for two functions whose text says the same, but for their names and comments."""
    try:
        a, b = (ast.parse(textwrap.dedent(inspect.getsource(f))).body[0] for f in (one, other))
    except (OSError, TypeError, SyntaxError, IndexError):
        return False  # no text to compare, so nothing is known to be the starter
    if not isinstance(a, ast.FunctionDef) or not isinstance(b, ast.FunctionDef):
        return False
    return [ast.dump(n) for n in (a.args, *a.body)] == [ast.dump(n) for n in (b.args, *b.body)]


def _control(case: Case, unseen: np.ndarray) -> np.ndarray:
    """What a plain program says of the unseen images after as many balanced training images."""
    fw = case.fw
    assert fw is not None
    _, balanced = _material(case)
    fw.set_seed(case.seed)
    model = fw.plain_cnn(SIZE, len(balanced.classes))
    fw.train(
        model,
        fw.from_images(balanced.images / 255),
        balanced.labels,
        steps=STEPS,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        optimizer="adam",
        seed=case.seed,
    )
    return np.asarray(fw.predict(model, fw.from_images(unseen / 255)).argmax(axis=1))


def untouched_repair(evidence: Evidence) -> bool:
    """The starter: both functions do what the sick ones do, and one class is nearly all it says."""
    if not evidence["starter"]:
        return False
    first = evidence["predicted"][0]
    # Not `bincount`, which takes memory for every number below the largest that was forged.
    _, counts = np.unique(np.maximum(class_numbers(first, len(first)), 0), return_counts=True)
    return bool(counts.max() > 0.8 * len(first))


class _Named(NamedTuple):
    """How the images of each class were named: rows true classes, columns named, in shares.

    The last column is for numbers that are no class.
    """

    shares: np.ndarray
    common: int

    @property
    def away(self) -> np.ndarray:
        """Share of each class that is named otherwise than the common class."""
        return 1 - self.shares[:, self.common]

    @property
    def told(self) -> float:
        """Youden's index of each rare class against the common one, geometric mean.

        A geometric mean is near zero as soon as one class is missed (Kubat and Matwin 1997).
        """
        gained = np.maximum(np.delete(self.away, self.common) - self.away[self.common], 0)
        return float(np.prod(gained) ** (1 / len(gained)))


def _read(case: Case, predicted: Any, labels: np.ndarray) -> _Named:
    train, _ = _material(case)
    k = len(train.classes)
    named = class_numbers(predicted, len(labels))
    named = np.where((named >= 0) & (named < k), named, k)
    counts = np.zeros((k, k + 1))
    np.add.at(counts, (labels, named), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return _Named(shares, int(np.bincount(train.labels).argmax()))


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Two gates: the rare classes are told from the common one, and each has its own name."""
    labels = np.split(unseen_images(case.of_unseen()).labels, 2)
    answer, control = (
        [_read(*each) for each in zip(_runs(case), evidence[name], labels, strict=True)]
        for name in ("predicted", "balanced")
    )
    return [_told(answer, control), _never(answer)]


def _percent(values: np.ndarray) -> str:
    return " and ".join(f"{100 * v:.0f} %" for v in values)


def _told(answer: list[_Named], control: list[_Named]) -> Finding:
    told, possible = (float(np.mean([n.told for n in names])) for names in (answer, control))
    common = answer[0].common
    away = np.mean([n.away for n in answer], axis=0)
    if away[common] > 0.5:
        means = (
            "The rare classes are named whatever the image shows: the mistake has only moved. They "
            "weigh more now than the common class does."
        )
        look_next = (
            "Add up what each class weighs in one epoch: its images, times how often each is "
            "drawn, times its weight in the loss."
        )
    else:
        means = (
            "A rare class is still missed: it disappears in the common one. The class numbers of "
            "these images are others than in the notebook; what counts is how many images there "
            "are of each."
        )
        look_next = "Add up what each class weighs in one epoch, for these labels."
    return TOLD.finding(
        told / possible if possible else np.nan,
        measured=f"Of the two rare classes {_percent(np.delete(away, common))} of the unseen "
        f"images are named otherwise than the common class, and {_percent(away[[common]])} of the "
        "common class itself.",
        means=means,
        look_next=look_next,
    )


def _never(answer: list[_Named]) -> Finding:
    named = np.mean([n.shares.mean(axis=0) for n in answer], axis=0)
    *classes, nobody = named
    return NEVER.finding(
        sum(share == 0 for share in classes),
        measured=f"Class 0, class 1 and so on are given to {_percent(np.array(classes))} of the "
        f"unseen images, and {_percent(np.array([nobody]))} get a number that is no class.",
        means="The rare classes are told from the common one, and share one name or get one that "
        "is nobody's: together they are found, each by itself is not.",
        look_next="Draw the confusion matrix of the validation images. Which column is empty?",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="imbalance",
        reading="accuracy of always naming the commonest class on the validation images, from 0 "
        "to 1",
        measure=constant_accuracy,
        tolerance=0.006,
    ),
    Check(
        name="validation",
        points=4,
        takes=("split", "score"),
        collect=collect_validation,
        judge=judge_validation,
        untouched=untouched_validation,
        unseen=unseen_archives,
        measure=measure_validation,
        measured_inside=False,
        seconds=2,
        when_passed="Nothing is lost and nothing is shared, every class is held out in its share, "
        "and the number cannot be earned without looking at the images.",
    ),
    Check(
        name="repair",
        points=3,
        takes=("train", "predict", "sick_train", "sick_predict"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=untouched_repair,
        unseen=unseen_images,
        measure=lambda case, evidence: measure_repair(case),
        measured_inside=False,
        seconds=4,
    ),
]
