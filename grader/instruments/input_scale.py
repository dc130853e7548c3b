"""What does the network see? The scale of its input, and what that does to the first loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grader.instruments.style import HATCH, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 48


@dataclass(frozen=True)
class Scale:
    """The values of one prepared batch, in whatever unit the preparation gave them.

    Attributes:
        dtype: of the values, such as "float32".
        mean, std, minimum, maximum: of each channel, float (C,).
        spread: standard deviation over all values.  middle: mean over all values.
        commonest: share of the values that equal the most frequent one, 0..1. Near 1, the images
            have become one and the same number.
        counts, edges: histogram over all finite values, int (48,) and float (49,).
    """

    dtype: str
    mean: np.ndarray
    std: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    spread: float
    middle: float
    commonest: float
    counts: np.ndarray
    edges: np.ndarray

    def table(self) -> str:
        """Mean, standard deviation and range of each channel, as text."""
        lines = [f"channel      mean       std       min       max   ({self.dtype})"]
        lines += [
            f"{channel:7d} {mean:9.4g} {std:9.4g} {low:9.4g} {high:9.4g}"
            for channel, (mean, std, low, high) in enumerate(
                zip(self.mean, self.std, self.minimum, self.maximum, strict=True)
            )
        ]
        return "\n".join(lines)


def measure_scale(x: np.ndarray) -> Scale:
    """Measure what enters a network, or what reaches its first layer.

    Args:
        x: channels last, (N, H, W, C) or (N, C), any real dtype, N >= 1.

    Raises:
        ValueError: an empty array, or no channel axis.
    """
    array = np.asarray(x)
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"the values have the shape {array.shape}, expected (N, ..., C)")
    values = array.reshape(-1, array.shape[-1]).astype(np.float64)
    finite = values[np.isfinite(values)]
    counts, edges = np.histogram(finite, bins=_BINS) if finite.size else _no_histogram()
    _, repeats = np.unique(values, return_counts=True)
    with np.errstate(invalid="ignore"):  # of an infinite value the spread is NaN, and that is said
        return Scale(
            dtype=str(array.dtype),
            mean=values.mean(axis=0),
            std=values.std(axis=0),
            minimum=values.min(axis=0),
            maximum=values.max(axis=0),
            spread=float(values.std()),
            middle=float(values.mean()),
            commonest=float(repeats.max() / values.size),
            counts=counts,
            edges=edges,
        )


def _no_histogram() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(_BINS, np.int64), np.linspace(0, 1, _BINS + 1)


def guessing_loss(classes: int) -> float:
    """Cross-entropy of a uniform guess among K balanced classes: ln K, in nats."""
    return math.log(classes)


def doublings(loss: float, classes: int) -> float:
    """How often the guessing loss must be doubled, or halved, to reach `loss`: |log2(loss / ln K)|.

    0 where an untrained network commits itself to nothing; infinite for a loss of 0 or less.
    """
    if math.isnan(loss):
        return math.nan
    return abs(math.log2(loss / guessing_loss(classes))) if loss > 0 else math.inf


@dataclass(frozen=True)
class Start:
    """How training starts and goes on.

    Attributes:
        losses: of every step, in nats, (S,); NaN after a loss that was not finite. The first is
            measured before any weight has changed.
        classes: number of classes K.
    """

    losses: np.ndarray
    classes: int

    @property
    def first(self) -> float:
        """Loss of the first batch, in nats."""
        return float(self.losses[0])

    @property
    def last(self) -> float:
        """Mean loss of the last twenty steps, in nats; NaN when training broke down."""
        return float(np.mean(self.losses[-20:]))

    @property
    def guessing(self) -> float:
        """Loss of guessing, ln K, in nats."""
        return guessing_loss(self.classes)


def measure_start(losses: np.ndarray, classes: int) -> Start:
    """Keep the losses of a training run beside the loss of guessing.

    Raises:
        ValueError: no losses, or fewer than two classes.
    """
    array = np.asarray(losses, dtype=np.float64)
    if array.ndim != 1 or not len(array) or classes < 2:
        raise ValueError(f"losses {array.shape} of {classes} classes are not a training run")
    return Start(array, classes)


def draw_scale(scales: Mapping[str, Scale], starts: Mapping[str, Start]) -> Figure:
    """Histograms of what reaches the first layer, then the loss from the first batch on.

    Args:
        scales, starts: by name; "sick" and "repaired" have their usual looks. Each histogram has
            its own axis, because the point of a repair is that the ranges differ.
    """
    with style():
        figure, axes = new_figure(len(scales) + 1, width=4.3 * (len(scales) + 1))
        for ax, (name, scale) in zip(axes, scales.items(), strict=False):
            _draw_histogram(ax, name, scale)
        _draw_losses(axes[-1], starts)
    return figure


def _draw_histogram(ax: Axes, name: str, scale: Scale) -> None:
    ax.bar(
        scale.edges[:-1],
        100 * scale.counts / max(1, scale.counts.sum()),
        width=np.diff(scale.edges),
        align="edge",
        color="white",
        edgecolor=look_of(name)["color"],
        hatch=HATCH.get(name, HATCH["other"]),
        linewidth=0.8,
    )
    ax.axvline(scale.middle, color="black", linewidth=1)
    ax.set_title(f"{name}: mean {scale.middle:.3g}, std {scale.spread:.3g}", fontsize=11)
    ax.set_xlabel("value that reaches the first layer")
    ax.set_ylabel("share of the values (%)")


def _draw_losses(ax: Axes, starts: Mapping[str, Start]) -> None:
    guessing = next(iter(starts.values())).guessing
    ax.axhline(guessing, color="black", linewidth=1)
    ax.annotate(
        f"guessing\n{guessing:.2f}",
        (1, guessing),
        (4, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
    )
    for name, start in starts.items():
        look = look_of(name)
        steps = 1 + np.arange(len(start.losses))
        # Above the curve for the program that starts high, below for those that start lower.
        above = start.first == max(other.first for other in starts.values())
        ax.plot(steps, start.losses, color=look["color"], linestyle=look["linestyle"])
        ax.plot(1, start.first, look["marker"], color=look["color"], markersize=9, clip_on=False)
        for x, y, words, side in (
            (1, start.first, f"first batch {start.first:.3g}", "left"),
            (len(steps), start.last, f"{name} {start.last:.3g}", "right"),
        ):
            if np.isfinite(y):
                ax.annotate(
                    words,
                    (x, y),
                    (8 if side == "left" else 0, 8 if above else -16),
                    textcoords="offset points",
                    ha=side,
                    bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
                )
    # The drama is in the first steps: a linear axis would hide them in its first pixel.
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.5 * min(float(np.nanmin(s.losses)) for s in starts.values()))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter("{x:g}")
    ax.set_xlabel("batch, from the first on")
    ax.set_ylabel("loss (nats)")
    ax.set_title("loss of every batch", fontsize=11)


def say_scale(scale: Scale, start: Start) -> str:
    """The reading in words: scale of the input, first loss, last loss."""
    return (
        f"What reaches the first layer has mean {scale.middle:.3g} and standard deviation "
        f"{scale.spread:.3g} ({scale.minimum.min():.3g} to {scale.maximum.max():.3g}, "
        f"{scale.dtype}). The first batch costs {start.first:.3g} nats before any step; guessing "
        f"among {start.classes} classes costs ln {start.classes} = {start.guessing:.3g}. "
        f"The last twenty batches cost {start.last:.3g}."
    )
