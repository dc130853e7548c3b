"""What does validation measure? Recall of each class, and copies across the split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import HATCH, REPAIRED, SICK, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FLOOR = 1e-4  # smallest distance on the logarithmic axis; rounding to 8 bits is of this size

COPY = 0.005
"""Distance below which two images show one scene.

At 12 and 16 pixels, copies that are moved by a pixel stay below 0.002. Different scenes are above
0.05 on CIFAR-10, and on tiles as well, but for meadows, which are smooth: above 0.007.
"""


def wilson(right: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval of a share (E. B. Wilson 1927), 95 % for z = 1.96.

    Args:
        right: successes.  n: trials; none of them gives (0, 1), which says nothing.
    """
    if n == 0:
        return 0.0, 1.0
    share, extra = right / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * math.sqrt(share * (1 - share) / n + extra / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Recalls:
    """How a classifier does on one set of images, class by class.

    Attributes:
        classes: names (K).  counts: images of each class, int (K,).
        right: of these recognised, int (K,).  named: how often each class was named, int (K,).
    """

    classes: tuple[str, ...]
    counts: np.ndarray
    right: np.ndarray
    named: np.ndarray

    @property
    def recall(self) -> np.ndarray:
        """Share of each class that is recognised, float (K,); NaN for a class without images."""
        there = self.counts > 0
        return np.where(there, self.right / np.maximum(self.counts, 1), np.nan)

    @property
    def intervals(self) -> np.ndarray:
        """Wilson's 95 % interval of each recall, float (K, 2)."""
        pairs = zip(self.right, self.counts, strict=True)
        return np.array([wilson(int(right), int(n)) for right, n in pairs])

    @property
    def accuracy(self) -> float:
        """Share of all images that is recognised."""
        return float(self.right.sum() / self.counts.sum())

    @property
    def balanced(self) -> float:
        """Balanced accuracy: the mean recall of the classes that have images."""
        return float(np.nanmean(self.recall))

    @property
    def constant(self) -> float:
        """Accuracy of an answer that is always the class which is commonest here."""
        return float(self.counts.max() / self.counts.sum())

    def table(self) -> str:
        """Counts, recall and its interval of each class, as text."""
        width = max(len(name) for name in self.classes)
        lines = [f"{'class':{width}s}  images  recognised  recall   95 % interval"]
        lines += [
            f"{name:{width}s}  {n:6d}  {right:10d}  {100 * recall:4.0f} %   "
            f"{100 * low:.0f} to {100 * high:.0f} %"
            if n
            else f"{name:{width}s}  {n:6d}           -       -   nothing to measure"
            for name, n, right, recall, (low, high) in zip(
                self.classes, self.counts, self.right, self.recall, self.intervals, strict=True
            )
        ]
        return "\n".join(lines)


def measure_recalls(labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> Recalls:
    """Count what is recognised in each class.

    Args:
        labels, predicted: int (N,), N >= 1, positions in `classes`.

    Raises:
        ValueError: no images, or not one prediction for each.
    """
    truth, named = np.asarray(labels), np.asarray(predicted)
    if truth.ndim != 1 or truth.shape != named.shape or not len(truth):
        raise ValueError(f"{named.shape} predictions for labels {truth.shape}")
    k = len(classes)
    return Recalls(
        tuple(classes),
        np.bincount(truth, minlength=k),
        np.bincount(truth[truth == named], minlength=k),
        np.bincount(named, minlength=k),
    )


def draw_recalls(panels: Mapping[str, Mapping[str, Recalls]]) -> Figure:
    """Recall of each class with its interval; one panel a set of images, one mark a program.

    Args:
        panels: by set of images, such as "validation"; in each by program, "sick" or "repaired".
    """
    with style():
        figure, axes = new_figure(len(panels), width=4.6 * len(panels), height=3.9)
        for ax, (name, programs) in zip(np.atleast_1d(axes), panels.items(), strict=True):
            _draw_panel(ax, name, programs)
    return figure


def _draw_panel(ax: Axes, name: str, programs: Mapping[str, Recalls]) -> None:
    first = next(iter(programs.values()))
    k = len(first.classes)
    for i, (program, recalls) in enumerate(programs.items()):
        look = look_of(program)
        x = np.arange(k) + (i - (len(programs) - 1) / 2) * 0.3
        for place, recall, (low, high), n in zip(
            x, recalls.recall, recalls.intervals, recalls.counts, strict=True
        ):
            if n == 0:
                ax.annotate("no image", (place, 50), rotation=90, ha="center", va="center")
                continue
            ax.plot([place, place], [100 * low, 100 * high], color=look["color"], linewidth=2)
            ax.plot(place, 100 * recall, look["marker"], color=look["color"], markersize=9)
            ax.annotate(
                f"{100 * recall:.0f}", (place, 100 * recall), (8, 0), textcoords="offset points",
                va="center",
            )  # fmt: skip
        ax.axhline(100 * recalls.accuracy, color=look["color"], linestyle=look["linestyle"], lw=1)
    ax.set_xticks(
        np.arange(k), [f"{c}\nn = {n}" for c, n in zip(first.classes, first.counts, strict=True)]
    )
    ax.set_xlim(-0.5, k - 0.4)
    ax.set_ylim(-4, 112)
    ax.set_yticks(np.arange(0, 101, 25))
    ax.set_ylabel("recall (%), 95 % interval")
    accuracies = ", ".join(f"{p} {100 * r.accuracy:.0f} %" for p, r in programs.items())
    ax.set_title(f"{name}: {first.counts.sum()} images\naccuracy (line): {accuracies}", fontsize=11)


def say_recalls(name: str, recalls: Recalls) -> str:
    """The reading in words: accuracy beside that of a constant answer, and the lowest recall."""
    if np.isnan(recalls.recall).any():
        missing = [c for c, n in zip(recalls.classes, recalls.counts, strict=True) if n == 0]
        rest = f"of {' and '.join(missing)} there is no image to measure on."
    else:
        lowest = int(np.argmin(recalls.recall))
        low, high = recalls.intervals[lowest]
        rest = (
            f"of {recalls.classes[lowest]} it recognises {recalls.right[lowest]} of "
            f"{recalls.counts[lowest]} (95 % interval {100 * low:.0f} to {100 * high:.0f} %)."
        )
    return (
        f"On {name} the accuracy is {100 * recalls.accuracy:.1f} %, and that of always naming the "
        f"commonest class {100 * recalls.constant:.1f} %; the balanced accuracy is "
        f"{100 * recalls.balanced:.1f} %; {rest}"
    )


# ---- copies --------------------------------------------------------------------------------------


def distances(images: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """How different two images look: 1 minus their correlation, at the best shift by one pixel.

    The correlation ignores brightness and contrast. 0 for copies, about 1 for unrelated images.

    Args:
        images, others: uint8 or float (N, H, W, C) and (M, H, W, C), at least 4 pixels on a side;
            without `others` the images are compared among themselves.

    Returns:
        float32 (N, M).
    """
    a = np.asarray(images, np.float32)
    b = a if others is None else np.asarray(others, np.float32)
    best = np.maximum(_correlation(a, b), _correlation(b, a).T)
    return np.maximum(0, 1 - best)  # rounding must not make it negative


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The inner part of a, correlated with b moved up, down, left, right and not at all."""
    height, width = b.shape[1:3]
    inner = _unit(a[:, 1:-1, 1:-1])
    best = np.full((len(a), len(b)), -1, np.float32)
    for dy, dx in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)):
        moved = _unit(b[:, 1 + dy : height - 1 + dy, 1 + dx : width - 1 + dx])
        np.maximum(best, inner @ moved.T, out=best)
    return best


def _unit(pixels: np.ndarray) -> np.ndarray:
    rows = pixels.reshape(len(pixels), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)


@dataclass(frozen=True)
class Copies:
    """What of the validation images lies among the training images as well.

    Attributes:
        nearest: distance of each validation image to the training image most like it, (V,).
        partner: position of that image, int (V,).
        identical: True where a training image has the same bytes, (V,).
        limit: distance below which two images show one scene.
    """

    nearest: np.ndarray
    partner: np.ndarray
    identical: np.ndarray
    limit: float

    @property
    def shared(self) -> np.ndarray:
        """True for a validation image whose scene is among the training images, (V,)."""
        return self.identical | (self.nearest < self.limit)


def measure_copies(train: np.ndarray, validation: np.ndarray, limit: float = COPY) -> Copies:
    """Look for each validation image among the training images, by its bytes and by its looks.

    Args:
        train, validation: uint8 (N, H, W, C) and (V, H, W, C), both at least one.
    """
    between = distances(validation, train)
    hashes = {hash(image.tobytes()) for image in np.asarray(train)}
    identical = np.array([hash(image.tobytes()) in hashes for image in np.asarray(validation)])
    return Copies(between.min(axis=1), between.argmin(axis=1), identical, limit)


def draw_copies(copies: Copies, train: np.ndarray, validation: np.ndarray) -> Figure:
    """Distances to the nearest training image, and the four pairs in the middle of the copies."""
    with style():
        figure, (left, right) = new_figure(2, width=9.2, height=3.7)
        _draw_distances(left, copies)
        _draw_pairs(right, copies, train, validation)
    return figure


def _draw_distances(ax: Axes, copies: Copies) -> None:
    bins = np.geomspace(_FLOOR / 2, 2, 25)
    groups: dict[str, tuple[np.ndarray, Any, str]] = {
        "same bytes": (copies.identical, SICK, HATCH["sick"]),
        "same scene": (copies.shared & ~copies.identical, SICK, HATCH["other"]),
        "another scene": (~copies.shared, REPAIRED, HATCH["repaired"]),
    }
    below = np.zeros(len(bins) - 1)
    for name, (members, look, hatch) in groups.items():
        counts, _ = np.histogram(np.maximum(copies.nearest[members], _FLOOR), bins)
        ax.bar(
            bins[:-1], counts, np.diff(bins), bottom=below, align="edge", color="white",
            edgecolor=look["color"], hatch=hatch, label=f"{name}: {members.sum()}",
        )  # fmt: skip
        below += counts
    ax.axvline(copies.limit, color="black", linewidth=1)
    ax.set_xscale("log")
    ax.set_xlabel(f"distance to the nearest training image\n(below {_FLOOR:g} drawn there)")
    ax.set_ylabel("validation images")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3, frameon=False, fontsize=9)


def _draw_pairs(ax: Axes, copies: Copies, train: np.ndarray, validation: np.ndarray) -> None:
    near = np.flatnonzero(copies.shared)
    near = near[np.argsort(-copies.nearest[near], kind="stable")][:4]
    ax.axis("off")
    if not len(near):
        ax.text(0.5, 0.5, "no scene in both parts", ha="center", transform=ax.transAxes)
        return
    for column, i in enumerate(near):
        for row, (image, words) in enumerate(
            ((train[copies.partner[i]], "training"), (validation[i], "validation"))
        ):
            ax.imshow(image, extent=(column, column + 0.9, row, row + 0.9), interpolation="nearest")
            if column == 0:
                ax.text(-0.08, row + 0.45, words, ha="right", va="center", fontsize=10)
        ax.text(column + 0.45, -0.05, f"{copies.nearest[i]:.4f}", ha="center", va="top")
    ax.text(-0.08, -0.05, "distance", ha="right", va="top", fontsize=10)
    ax.set_xlim(-0.9, 4)
    ax.set_ylim(-0.35, 2)
    ax.set_aspect("equal")


def say_copies(copies: Copies) -> str:
    """The reading in words: how many validation images are copies, by bytes and by looks."""
    n = len(copies.nearest)
    rest = copies.nearest[~copies.shared]
    closest = f"; the closest of the others is {rest.min():.2f} away" if len(rest) else ""
    return (
        f"Of {n} validation images {copies.identical.sum()} have the same bytes as a training "
        f"image, and {copies.shared.sum()} show the same scene as one (distance below "
        f"{copies.limit:g}){closest}."
    )
