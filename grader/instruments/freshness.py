"""Is an image another one in every epoch? What a pipeline shows, and the gap that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import REPAIRED, SICK, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Epoch:
    """What a pipeline yields in one epoch, in the order in which it comes.

    Attributes:
        images: float32 (M, H, W, C), values as the model eats them.
        numbers: int64 (M,): the label of each image; where labels are shares of several classes,
            the class with the largest.
    """

    images: np.ndarray
    numbers: np.ndarray


class PipelineError(ValueError):
    """A pipeline cannot be followed; the sentence says what it yields instead."""


def follow(
    batches: Iterable[Any],
    epochs: int,
    *,
    as_images: Callable[[Any], np.ndarray],
    to_numpy: Callable[[Any], np.ndarray],
    most: int = 100_000,
) -> list[Epoch]:
    """Run through a pipeline several times.

    Give every image its own number as its label, and each one can be followed through the epochs.

    Args:
        batches: yields pairs of images and labels; every `for` loop over it is one epoch.
        as_images, to_numpy: the framework's, see `grader.frameworks`.
        most: images of one epoch; a pipeline that yields more does not end.

    Raises:
        PipelineError: no pairs, images and labels of different number or size, an epoch that is
            empty or does not end; the sentence says which.
    """
    if not isinstance(batches, Iterable):
        raise PipelineError(
            f"A {type(batches).__name__} is nothing that a `for` loop can run over, epoch after "
            "epoch."
        )
    return [_one_epoch(batches, number, as_images, to_numpy, most) for number in range(epochs)]


def _one_epoch(
    batches: Iterable[Any],
    number: int,
    as_images: Callable[[Any], np.ndarray],
    to_numpy: Callable[[Any], np.ndarray],
    most: int,
) -> Epoch:
    images: list[np.ndarray] = []
    numbers: list[int] = []
    for batch in batches:
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise PipelineError(
                f"A batch is a {type(batch).__name__}, not a pair of images, labels."
            )
        if len(np.shape(to_numpy(batch[0]))) != 4:
            raise PipelineError(
                f"A batch of images has the shape {np.shape(to_numpy(batch[0]))}; it needs four "
                "axes, one of them for the images."
            )
        x, y = as_images(batch[0]), to_numpy(batch[1])
        y = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
        if len(x) != len(y):
            raise PipelineError(f"A batch has {len(x)} images and {len(y)} labels.")
        images += list(np.array(x, dtype=np.float32))
        numbers += [int(label) for label in y]
        if len(images) > most:
            raise PipelineError(f"An epoch has not ended after {len(images)} images.")
    if not images:
        which = ("first", "second", "third")[number] if number < 3 else f"{number + 1}th"
        raise PipelineError(
            f"The {which} epoch is empty. A generator can be run through once; what is needed here "
            "can be run through again."
        )
    if len({image.shape for image in images}) > 1:
        raise PipelineError("The images of an epoch differ in size.")
    return Epoch(np.stack(images), np.array(numbers, dtype=np.int64))


@dataclass(frozen=True)
class Freshness:
    """How much new a pipeline shows from epoch to epoch.

    Attributes:
        epochs: E.  shown: images in all epochs together.
        different: how many of them are not, bit for bit, one that came before.
        changed: share of the images that are others in the next epoch, 0..1; NaN for one epoch.
        moved: mean distance of an image from itself in the next epoch, root mean square, in
            standard deviations of all values; those that stay count as 0.
        versions: one image as it is in each epoch, float32 (E, H, W, C).
    """

    epochs: int
    shown: int
    different: int
    changed: float
    moved: float
    versions: np.ndarray


def measure_freshness(epochs: Sequence[Epoch], *, number: int = 0) -> Freshness:
    """Compare each image with itself in the next epoch.

    Args:
        epochs: of a pipeline whose labels number the images, so that no two share a label.
        number: the image of which `versions` are kept.
    """
    spread = max(float(np.concatenate([e.images.ravel() for e in epochs]).std()), 1e-12)
    by_number = [dict(zip(e.numbers.tolist(), e.images, strict=True)) for e in epochs]
    distances = []
    for now, then in pairwise(by_number):
        for key in now.keys() & then.keys():
            same = np.array_equal(now[key], then[key])
            distances.append(0.0 if same else max(_distance(now[key], then[key]), 1e-30))
    return Freshness(
        epochs=len(epochs),
        shown=sum(len(e.images) for e in epochs),
        different=len({image.tobytes() for e in epochs for image in e.images}),
        changed=float(np.mean(np.array(distances) > 0)) if distances else float("nan"),
        moved=float(np.mean(distances)) / spread if distances else float("nan"),
        versions=np.stack([images[number] for images in by_number if number in images]),
    )


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float64) - b) ** 2)))


@dataclass(frozen=True)
class History:
    """Accuracy in every epoch, 0..1, (E,): on the images trained on, and on validation images."""

    training: np.ndarray
    validation: np.ndarray

    @property
    def gap(self) -> float:
        """Training minus validation accuracy, mean of the last three epochs."""
        return float(np.mean(np.asarray(self.training)[-3:] - np.asarray(self.validation)[-3:]))


def draw_freshness(freshness: Mapping[str, Freshness], histories: Mapping[str, History]) -> Figure:
    """A row for each program: its accuracies and their gap, and one image in every epoch."""
    with style():
        figure, axes = new_figure(2, len(freshness), width=10.5, height=2.9)
        for row, name in zip(np.atleast_2d(axes), freshness, strict=True):
            _draw_history(row[0], name, histories[name])
            _draw_versions(row[1], name, freshness[name])
    return figure


def _draw_history(ax: Axes, name: str, history: History) -> None:
    look = look_of(name)
    epochs = 1 + np.arange(len(history.training))
    training, validation = 100 * np.asarray(history.training), 100 * np.asarray(history.validation)
    ax.fill_between(
        epochs, validation, training, facecolor="none", edgecolor="#bbbbbb", hatch="..", linewidth=0
    )
    for values, words, style_ in ((training, "training", ":"), (validation, "validation", "-")):
        ax.plot(epochs, values, color=look["color"], linestyle=style_)
        ax.annotate(
            f"{words} {values[-3:].mean():.0f} %",
            (epochs[-1], values[-3:].mean()),
            (6, 0),
            textcoords="offset points",
            va="bottom" if values is training else "top",
        )
    ax.set_xlim(1, 1.42 * epochs[-1])
    ax.set_xticks([t for t in ax.get_xticks() if 1 <= t <= epochs[-1]])
    ax.set_ylim(0, 112)
    ax.set_xlabel("epoch")
    ax.set_ylabel("right (%)")
    ax.set_title(f"{name}: gap of {100 * history.gap:.0f} points", fontsize=11)


def _draw_versions(ax: Axes, name: str, freshness: Freshness) -> None:
    versions = freshness.versions
    low, high = float(versions.min()), float(versions.max())
    shown = (versions - low) / max(high - low, 1e-12)
    n, height, width = shown.shape[:3]
    gap = max(1, width // 8)
    strip = np.ones((height, n * width + (n - 1) * gap, shown.shape[3]))
    for i, image in enumerate(shown):
        strip[:, i * (width + gap) : i * (width + gap) + width] = image
    ax.imshow(strip, interpolation="nearest")
    ax.set_xticks([i * (width + gap) + width / 2 - 0.5 for i in range(n)])
    ax.set_xticklabels([f"epoch {i + 1}" for i in range(n)])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(
        f"{name}: one photograph in {n} epochs.\n"
        f"Of all {freshness.shown} images shown, {freshness.different} are different",
        fontsize=11,
    )


def say_freshness(freshness: Freshness, history: History) -> str:
    """The reading in words: images shown, images that differ, accuracies, gap."""
    training, validation = (
        np.asarray(a)[-3:].mean() for a in (history.training, history.validation)
    )
    return (
        f"In {freshness.epochs} epochs the network is shown {freshness.shown} images, of which "
        f"{freshness.different} are different; {100 * freshness.changed:.0f} % of the photographs "
        f"change from one epoch to the next. In the end it is right on {100 * training:.0f} % of "
        f"what it trains on and on {100 * validation:.0f} % of the validation images, a gap of "
        f"{100 * history.gap:.0f} points."
    )


@dataclass(frozen=True)
class Worth:
    """A learning curve, and where on it a program with more variety stands.

    Attributes:
        sizes: images a class, increasing, (S,).  accuracies: without augmentation, 0..1, (S, R).
        reached: accuracy of the program in question, at `sizes[0]`.
        images: images a class that give as much without augmentation, between the sizes by
            interpolation; infinite above the largest.
    """

    sizes: np.ndarray
    accuracies: np.ndarray
    reached: float
    images: float


def measure_worth(
    sizes: Sequence[int], accuracies: Sequence[Sequence[float]], reached: float
) -> Worth:
    """How many images a class a plain program needs to be as accurate as `reached`.

    Interpolates the mean accuracy over the logarithm of the number of images, where the curve does
    not fall.
    """
    means = np.maximum.accumulate(np.asarray(accuracies, dtype=np.float64).mean(axis=1))
    logs = np.log2(np.asarray(sizes, dtype=np.float64))
    images = float("inf")
    if reached <= means[-1]:
        images = float(2 ** np.interp(reached, means + 1e-9 * np.arange(len(means)), logs))
    return Worth(np.asarray(sizes), np.asarray(accuracies), float(reached), images)


def draw_worth(worth: Worth) -> Figure:
    """The learning curve without augmentation, and the repaired program as a level line."""
    with style():
        figure, ax = new_figure(width=7.5)
        means = 100 * worth.accuracies.mean(axis=1)
        ax.plot(worth.sizes, 100 * worth.accuracies, SICK["marker"], color=SICK["color"])
        ax.plot(worth.sizes, means, color=SICK["color"], linestyle=SICK["linestyle"])
        ax.annotate(
            "without augmentation",
            (worth.sizes[0], means[0]),
            (10, -4),
            textcoords="offset points",
            va="top",
        )
        ax.axhline(100 * worth.reached, color=REPAIRED["color"])
        ax.annotate(
            f"{worth.sizes[0]} a class, varied in every epoch",
            (worth.sizes[-1], 100 * worth.reached),
            (0, -5),
            textcoords="offset points",
            ha="right",
            va="top",
        )
        if np.isfinite(worth.images):
            ax.plot(worth.images, 100 * worth.reached, REPAIRED["marker"], color=REPAIRED["color"])
        ax.set_xscale("log", base=2)
        ax.set_xticks(worth.sizes, [str(size) for size in worth.sizes])
        ax.set_ylim(0, 108)
        ax.set_xlabel("photographs a class")
        ax.set_ylabel("right on unseen images (%)")
    return figure


def say_worth(worth: Worth) -> str:
    """The reading in words: both ends of the curve, and what the repair is worth in images."""
    means = 100 * worth.accuracies.mean(axis=1)
    more = (
        f"about {worth.images:.0f}" if np.isfinite(worth.images) else f"more than {worth.sizes[-1]}"
    )
    return (
        f"Without augmentation, {worth.sizes[0]} photographs a class give {means[0]:.0f} % and "
        f"{worth.sizes[-1]} give {means[-1]:.0f} % on unseen images. Varied in every epoch, "
        f"{worth.sizes[0]} give {100 * worth.reached:.0f} %: as much as {more} a class."
    )
