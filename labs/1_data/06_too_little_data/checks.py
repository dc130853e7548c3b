"""Too little data: is every image another one in every epoch, and does the change teach?"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.predictions import share_right
from grader.checks.verdict import number
from grader.datasets import Images
from grader.datasets.letters import LETTERS, paint_letters
from grader.instruments.freshness import Epoch, PipelineError, follow, measure_freshness

N_TRAIN, PRACTICE_SIZE = 20 * len(LETTERS), 16
SIZE, N_UNSEEN = 18, 600  # of the check's images, another size than the notebook's
N_HARD = 30  # images in hard contrast, which leave a range sooner than others
FIRST, VERSIONS = 3, 6  # epochs that decide most gates, and from which unseen images are looked up
COMPARED = 40  # images of an epoch that are compared with as many originals
SHIFT = 2  # pixels of the reference's shifts, each way
ALIKE = 1e-3  # of the range: float32 arithmetic differs by less, a shade of grey is four times that

CAUSES = {
    "stale-augmentation": "The variations are drawn once, and every epoch shows the same ones "
    "again: the network can learn all of them by heart.",
    "no-augmentation": "The photograph is moved against its original; the line that does it is "
    "there, and it is run.",
    "weak-augmentation": "The photographs are moved by up to two pixels, and other amounts would "
    "be learned by heart in the same way. Count how often the amount is drawn.",
    "too-large-network": "A smaller network has a smaller gap because it learns less. Look at what "
    "this one is shown in five epochs.",
    "too-few-images": "Twenty a class is all there is, and that is why the photographs are to be "
    "varied. Look at whether they are.",
    "labels": "With wrong labels the validation accuracy would stay near that of guessing, one in "
    "ten; it is several times that, and no label shows in the row of pictures.",
}

# Limits from 20 seeds of every answer in both frameworks; see calibration/.
FRESH = Threshold("share of the images that are others in the next epoch", 0.25, "at least")
ONCE = Threshold("training images missing or repeated", 0, "at most")
PAIRED = Threshold("share of the images that show what their label says", 0.25, "at least")
ALONE = Threshold("evaluation images that are not the originals, once each", 0, "at most")
RANGE = Threshold("share of the training values outside the range of evaluation", 0.02, "at most")
TEACHES = Threshold("gain on unseen images, share of the reference's", 0.43, "at least")


def different_images(case: Case) -> float:
    """How many different images the sick program shows in five epochs: as many as there are."""
    images = _letters(case, "train", N_TRAIN, PRACTICE_SIZE).images
    return float(len({image.tobytes() for image in images}))


@lru_cache(maxsize=8)
def _letters(case: Case, split: str, n: int, size: int = SIZE) -> Images:
    painted, _ = paint_letters(case.draw(split, n, size), split, case.seed)
    return painted


# ---- measuring -----------------------------------------------------------------------------------


def unseen_images(case: Case) -> Images:
    """The letters that are looked up in what was shown."""
    return _letters(case, "test", N_UNSEEN)


def collect(case: Case, answer: Answer) -> dict[str, Any]:
    """Follow numbered images through both functions; then look unseen ones up in what was shown."""
    assert case.fw is not None
    images, unseen = _given(case), case.unseen(unseen_images).images
    case.fw.set_seed(case.seed)
    pipeline = _ask(answer.training_batches, images)
    epochs = _run(case, answer.training_batches, pipeline, images, FIRST)
    asked = _ask(answer.evaluation_batches, unseen)
    passes = _run(case, answer.evaluation_batches, asked, unseen, 2)
    freshness = measure_freshness(epochs, number=int(epochs[0].numbers[0]))
    scale = _scale(passes[0], unseen)
    evidence: dict[str, Any] = {
        "changed": freshness.changed,
        "moved": freshness.moved,
        "missing": max(_missing(epoch, images) for epoch in epochs),
        "repeated": max(_repeated(epoch) for epoch in epochs),
        "paired": _paired(epochs[0], images),
        "eval_missing": max(_missing(epoch, unseen) for epoch in passes),
        "eval_repeated": max(_repeated(epoch) for epoch in passes),
        "eval_altered": max(_altered(epoch, unseen, scale) for epoch in passes),
        "eval_changed": measure_freshness(passes, number=int(passes[0].numbers[0])).changed,
        **_outside(epochs, scale),
        "sick": freshness.changed == 0 and _same_as_sick(case, answer, images, epochs[0]),
        "taught": None,
    }
    # What was already decided by an earlier gate need not be shown five epochs more.
    if all(finding.holds for finding in _gates(evidence)):
        epochs += _run(case, answer.training_batches, pipeline, images, VERSIONS - FIRST)
        evidence["taught"] = _taught(case, epochs, passes[0])
    return evidence


def measure(case: Case, evidence: Evidence) -> dict[str, Any]:
    """The look-up in what two controls show, where the answer's was made."""
    return {} if evidence["taught"] is None else _controls(case)


def _given(case: Case) -> np.ndarray:
    """Training images, and behind them some in hard contrast."""
    plain = _letters(case, "train", N_TRAIN).images
    hard = _letters(case, "validation", N_HARD).images.astype(np.int64)
    hard = np.clip((hard - int(np.median(hard))) * 4 + 128, 0, 255).astype(np.uint8)
    return np.concatenate([plain, hard])


def _ask(function: Callable[..., Any], images: np.ndarray) -> Any:
    """What a learner's function makes of images whose labels are their own numbers."""
    return function(images.copy(), np.arange(len(images)))


def _run(
    case: Case, function: Callable[..., Any], pipeline: Any, images: np.ndarray, epochs: int
) -> list[Epoch]:
    """Epochs of a learner's pipeline on images (N, H, W, 3).

    Raises:
        AnswerError: it yields no pairs, another size, values that are not finite, or does not end.
    """
    fw = case.fw
    assert fw is not None
    name = getattr(function, "__name__", "the function")
    try:
        run = follow(
            pipeline, epochs, as_images=fw.as_images, to_numpy=fw.to_numpy, most=2 * len(images)
        )
    except PipelineError as error:
        raise AnswerError(f"`{name}`: {error}") from None
    last = len(images) - 1
    for epoch in run:
        if epoch.images.shape[1:] != images.shape[1:]:
            raise AnswerError(
                f"`{name}` yields images (channels last) {epoch.images.shape[1:]} for images "
                f"{images.shape[1:]}; the model is built for that size."
            )
        if not np.isfinite(epoch.images).all():
            raise AnswerError(f"`{name}` yields values that are not finite.")
        if epoch.numbers.min() < 0 or epoch.numbers.max() > last:
            raise AnswerError(
                f"`{name}` yields labels from {epoch.numbers.min()} to {epoch.numbers.max()}; "
                f"those given go from 0 to {last}."
            )
    return run


def _same_as_sick(case: Case, answer: Answer, images: np.ndarray, epoch: Epoch) -> bool:
    """Whether an epoch shows what the sick program shows when it starts from the same seed."""
    assert case.fw is not None
    case.fw.set_seed(case.seed)
    function = answer.sick_training_batches
    sick = _run(case, function, _ask(function, images), images, 1)[0]
    rows, sick_rows = np.argsort(epoch.numbers), np.argsort(sick.numbers)
    return bool(
        np.array_equal(epoch.numbers[rows], sick.numbers[sick_rows])
        and np.array_equal(epoch.images[rows], sick.images[sick_rows])
    )


def _missing(epoch: Epoch, images: np.ndarray) -> int:
    return len(images) - len(np.unique(epoch.numbers))


def _repeated(epoch: Epoch) -> int:
    return len(epoch.numbers) - len(np.unique(epoch.numbers))


class Scale(NamedTuple):
    """How prepared values follow from those in 0..1, by channel: factor * value + offset."""

    factor: np.ndarray
    offset: np.ndarray


def _scale(epoch: Epoch, images: np.ndarray) -> Scale:
    """The preparation that evaluation uses: 0..1 where it fits most images, else least squares."""
    plain = Scale(np.ones(3), np.zeros(3))
    given, wanted = epoch.images.astype(np.float64), images[epoch.numbers] / 255
    if np.mean(np.abs(given - wanted).max(axis=(1, 2, 3)) < ALIKE) > 0.5:
        return plain
    lines = [np.polyfit(wanted[..., c].ravel(), given[..., c].ravel(), 1) for c in range(3)]
    factor, offset = np.array(lines).T
    # A factor of zero or less is no preparation: blank or inverted images would fit it.
    return Scale(factor, offset) if (factor > 1e-6).all() else plain


def _altered(epoch: Epoch, images: np.ndarray, scale: Scale) -> int:
    """Images that are not their originals, prepared."""
    values = (epoch.images - scale.offset) / scale.factor
    wanted = images[epoch.numbers] / 255
    return int((np.abs(values - wanted) > ALIKE).any(axis=(1, 2, 3)).sum())


def _outside(epochs: list[Epoch], scale: Scale) -> dict[str, float]:
    """Training values in the units of the originals: lowest, highest, share outside of 0..1.

    A tenth of the range is allowed on both sides: interpolation overshoots, and noise may.
    """
    values = np.concatenate([epoch.images for epoch in epochs])
    values = (values - scale.offset) / scale.factor
    return {
        "outside": float(((values < -0.1) | (values > 1.1)).mean()),
        "lowest": float(values.min()),
        "highest": float(values.max()),
    }


def _paired(epoch: Epoch, images: np.ndarray) -> float:
    """Share of the training images that resemble the original of their label more than any other.

    Likeness is the highest correlation over all shifts, turns by a quarter, and mirror images, so
    that the usual variations leave it high. Forty images are compared with as many originals.
    """
    originals = images[:COMPARED]
    mirrored = (originals, originals[:, :, ::-1])
    turned = [np.rot90(views, turns, (1, 2)) for views in mirrored for turns in range(4)]
    known = np.conj(np.fft.rfft2(_pattern(np.stack(turned))))  # (8, numbers, H, W / 2 + 1)
    mine = epoch.numbers < COMPARED
    shown = np.fft.rfft2(_pattern(epoch.images[mine]))
    right = [
        _most_alike(image, known, originals.shape[1:3]) == number
        for image, number in zip(shown, epoch.numbers[mine], strict=True)
    ]
    return float(np.mean(right)) if right else math.nan


def _most_alike(image: np.ndarray, known: np.ndarray, shape: tuple[int, ...]) -> int:
    """Number of the original with the highest correlation; image and originals as spectra."""
    return int(np.fft.irfft2(image * known, s=shape).max(axis=(0, 2, 3)).argmax())


def _pattern(images: np.ndarray) -> np.ndarray:
    """Grey images of mean 0 and length 1, float64 (..., H, W)."""
    grey = images.astype(np.float64).mean(axis=-1)
    grey -= grey.mean(axis=(-2, -1), keepdims=True)
    return grey / np.maximum(np.sqrt((grey**2).sum(axis=(-2, -1), keepdims=True)), 1e-9)


def _taught(case: Case, epochs: list[Epoch], asked: Epoch) -> np.ndarray:
    """For each unseen image the letter of the most similar one that was shown, int64 (M,).

    -1 for an image that the evaluation leaves out.
    """
    shown = np.concatenate([epoch.images for epoch in epochs])
    numbers = np.concatenate([epoch.numbers for epoch in epochs])
    plain = numbers < N_TRAIN  # those in hard contrast are no photographs
    labels = _letters(case, "train", N_TRAIN).labels[numbers[plain]]
    named = np.full(N_UNSEEN, -1)
    named[asked.numbers] = _looked_up(shown[plain], labels, asked.images)
    return named


def _looked_up(shown: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    known, unseen = (_pattern(a).reshape(len(a), -1).astype(np.float32) for a in (shown, asked))
    return np.asarray(labels[(unseen @ known.T).argmax(axis=1)])


@lru_cache(maxsize=4)
def _controls(case: Case) -> dict[str, np.ndarray]:
    """The look-up without augmentation, and with fresh shifts of up to two pixels.

    Kept, because they depend on the case alone.
    """
    train, unseen = _letters(case, "train", N_TRAIN), case.unseen(unseen_images)
    rng = np.random.default_rng(case.seed)
    labels = np.tile(train.labels, VERSIONS)
    shifted = np.concatenate([_shift(train.images, rng) for _ in range(VERSIONS)])
    return {
        "control": _looked_up(train.images, train.labels, unseen.images),
        "reference": _looked_up(shifted, labels, unseen.images),
    }


def _shift(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every image moved by up to two pixels along both axes, black where nothing is known."""
    n, size = images.shape[:2]
    wide = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    top, left = rng.integers(0, 2 * SHIFT + 1, (2, n))
    rows = top[:, None, None] + np.arange(size)[None, :, None]
    columns = left[:, None, None] + np.arange(size)[None, None, :]
    return wide[np.arange(n)[:, None, None], rows, columns]


# ---- judging -------------------------------------------------------------------------------------


def judge(case: Case, evidence: Evidence) -> list[Finding]:
    """Six gates: fresh, complete, paired, evaluation left alone, in range, of use."""
    return [*_gates(evidence), _teaches(case, evidence)]


def _gates(evidence: Evidence) -> list[Finding]:
    return [
        FRESH.finding(
            evidence["changed"],
            measured=f"From one epoch to the next, {100 * evidence['changed']:.0f} % of the images "
            f"change ({N_TRAIN + N_HARD} images followed through {FIRST} epochs).",
            means="Variations that are drawn once, or drawn again from the same start, are learned "
            "by heart like any other image.",
            look_next="Find the line that draws, and count how often it runs in two epochs, and "
            "from which seed.",
        ),
        ONCE.finding(
            evidence["missing"] + evidence["repeated"],
            measured=f"Of {N_TRAIN + N_HARD} images, {evidence['missing']} are missing from an "
            f"epoch and {evidence['repeated']} come again.",
            means="An epoch shows every image once; of two hundred none is to spare, and one that "
            "comes more often counts more.",
            look_next="Give every image its own number as label, and count the numbers of an "
            "epoch.",
        ),
        PAIRED.finding(
            evidence["paired"],
            measured=f"{100 * evidence['paired']:.0f} % of the training images resemble the "
            "original that belongs to their label more than any other.",
            means="Either images and labels went different ways, or the variation leaves nothing "
            "of the image.",
            look_next="Show one batch with its labels beside the originals.",
        ),
        _left_alone(evidence),
        RANGE.finding(
            evidence["outside"],
            measured=f"On a scale on which evaluation goes from 0 to 1, training goes from "
            f"{number(evidence['lowest'])} to {number(evidence['highest'])}.",
            means="The network is trained on values that it never meets again. A transform has a "
            "range of values that it expects, and it is not always asked for.",
            look_next="Print minimum and maximum before and after each transform.",
        ),
    ]


def _left_alone(evidence: Evidence) -> Finding:
    missing, repeated = evidence["eval_missing"], evidence["eval_repeated"]
    altered = evidence["eval_altered"]
    if missing or repeated:
        measured = (
            f"Of {N_UNSEEN} evaluation images, {missing} are missing and {repeated} come again."
        )
        means = "An accuracy over other images than the ones asked for is another number."
        look_next = "Count the images of the last batch."
    elif evidence["eval_changed"] > 0:
        measured = (
            f"{100 * evidence['eval_changed']:.0f} % of the evaluation images are others when they "
            "are asked for a second time."
        )
        means = "Two evaluations of one network then differ, and neither is about the photographs."
        look_next = "Follow one image through `evaluation_batches`."
    else:
        measured = (
            f"{altered} of {N_UNSEEN} evaluation images are not their originals on one common "
            "scale."
        )
        means = "The network is asked about other images than the ones that were taken."
        look_next = "Show an evaluation image beside its original, and their difference."
    return ALONE.finding(
        missing + repeated + altered + N_UNSEEN * evidence["eval_changed"],
        measured=measured,
        means=means,
        look_next=look_next,
    )


def _teaches(case: Case, evidence: Evidence) -> Finding:
    if evidence["taught"] is None:
        return TEACHES.finding(
            math.nan,
            measured="Not measured, because of what was found before.",
            means="",
            look_next="",
        )
    labels = unseen_images(case.of_unseen()).labels
    taught, control, reference = (
        share_right(evidence[name], labels) for name in ("taught", "control", "reference")
    )
    if evidence["moved"] < 0.05:
        means = (
            "The images change from epoch to epoch, by "
            f"{number(evidence['moved'])} standard deviations: other numbers, the same picture."
        )
    else:
        means = (
            "The images change from epoch to epoch, but not in what tells an unseen photograph "
            "of the same letter from those at hand."
        )
    return TEACHES.finding(
        (taught - control) / (reference - control) if reference > control else math.nan,
        measured=f"When each of {N_UNSEEN} unseen images is named after the most similar image of "
        f"{VERSIONS} epochs, {100 * taught:.0f} % are right; with the {N_TRAIN} originals alone "
        f"{100 * control:.0f} %, with a reference {100 * reference:.0f} %.",
        means=means,
        look_next="Lay photographs of one letter side by side: in what do they differ, and which "
        "of your transforms makes such a difference?",
    )


def untouched(evidence: Evidence) -> bool:
    """The sick program's own images in every epoch, and evaluation as it was."""
    return bool(
        evidence["sick"]
        and evidence["changed"] == 0
        and evidence["eval_changed"] == 0
        and not evidence["missing"]
        and not evidence["repeated"]
        and not evidence["eval_missing"]
        and not evidence["eval_repeated"]
        and not evidence["eval_altered"]
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="stale-augmentation",
        reading="number of different images in five epochs",
        measure=different_images,
        tolerance=0.02,
    ),
    Check(
        name="repair",
        points=6,
        takes=("training_batches", "evaluation_batches", "sick_training_batches"),
        collect=collect,
        judge=judge,
        untouched=untouched,
        unseen=unseen_images,
        measure=measure,
        seconds=2,
    ),
]
