"""Does an augmentation keep its labels, still vary the images, and stay in the model's range?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import HATCH, OTHER, REPAIRED, SICK, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rule = Callable[[np.ndarray], np.ndarray]
"""Images (N, H, W, C) -> the class that can be seen in each, int (N,), -1 where none can."""

END = 0.5 / 255
"""A value this close to 0 or 1 is at the end of the range: no 8-bit image tells it from the end."""


@dataclass(frozen=True)
class Augmentation:
    """What several rounds of a random augmentation made of the same images.

    The model is fed values from 0 to 1. Distances are root mean squares over the values of an
    image (cut off at 0 and 1), in units of the median distance of two original images.

    Attributes:
        images: number of augmented images, all rounds together.
        agreement: share of them that show the class their label names.
        clean: the same share of the originals.
        across: share that shows the class opposite the label.
        beside: share that shows any other class.
        lost: share that shows no class at all.
        low, high: smallest and largest value.
        ends: share of the values within `END` of 0 or 1, or beyond, less that of the originals.
        moved: mean distance of an augmented image from the nearest of the originals.
        spread: mean distance of two augmented versions of one image.
        kinship: spread as a share of the mean distance of versions of two different images; about
            1 when what comes back has nothing to do with what went in.
    """

    images: int
    agreement: float
    clean: float
    across: float
    beside: float
    lost: float
    low: float
    high: float
    ends: float
    moved: float
    spread: float
    kinship: float

    @property
    def overshoot(self) -> float:
        """How far the values leave 0..1; 0 when they do not, NaN when one is not finite."""
        return max(0.0, -self.low, self.high - 1) if np.isfinite(self.low + self.high) else np.nan


def measure_augmentation(
    originals: np.ndarray,
    labels: np.ndarray,
    rounds: Sequence[tuple[np.ndarray, np.ndarray]],
    rule: Rule,
    opposite: np.ndarray,
) -> Augmentation:
    """Measure rounds of augmented images and labels against the originals.

    Args:
        originals: (N, H, W, C), 0..1, N >= 2.  labels: int (N,).
        rounds: at least two of (images (N, H, W, C), labels (N,)), in the order of the originals.
        rule: reads the class off an image.
        opposite: opposite[k] is the class across from k.

    Raises:
        ValueError: fewer than two rounds, or a round of another shape.
    """
    versions = np.stack([np.asarray(x, np.float64) for x, _ in rounds]) if rounds else np.zeros(0)
    if len(rounds) < 2 or versions.shape[1:] != originals.shape:
        raise ValueError(f"{len(rounds)} rounds {versions.shape[1:]} of {originals.shape}")
    given = np.concatenate([np.asarray(y) for _, y in rounds])
    seen = rule(versions.reshape(-1, *originals.shape[1:]))
    lost, agrees, across = seen < 0, seen == given, seen == opposite[given]
    before, after = _flat(originals), _flat(versions.reshape(-1, *originals.shape[1:]))
    unit = max(float(np.median(_pairs(before, before)[np.triu_indices(len(before), 1)])), 1e-9)
    between = _pairs(after, after)
    source = np.arange(len(after)) % len(before)
    kin = (source[:, None] == source) & ~np.eye(len(after), dtype=bool)
    spread, apart = between[kin].mean(), between[source[:, None] != source].mean()
    return Augmentation(
        images=len(given),
        agreement=float(agrees.mean()),
        clean=float((rule(originals) == labels).mean()),
        across=float(across.mean()),
        beside=float((~lost & ~agrees & ~across).mean()),
        lost=float((lost & ~agrees).mean()),
        low=float(versions.min()),
        high=float(versions.max()),
        ends=_at_ends(versions) - _at_ends(originals),
        moved=float(_pairs(after, before).min(axis=1).mean()) / unit,
        spread=float(spread) / unit,
        kinship=float(spread / max(apart, 1e-9)),
    )


def _at_ends(values: np.ndarray) -> float:
    return float(((values <= END) | (values >= 1 - END)).mean())


def _flat(images: np.ndarray) -> np.ndarray:
    values = np.nan_to_num(np.asarray(images, np.float64), nan=0.0)
    return np.clip(values, 0, 1).reshape(len(images), -1)


def _pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Root mean square differences of all rows of a from all rows of b."""
    squares = (a * a).mean(axis=1)[:, None] + (b * b).mean(axis=1) - 2 * a @ b.T / a.shape[1]
    # Rounding leaves some 1e-16 between equal rows, whose root would be a visible 1e-8.
    return np.sqrt(np.where(squares < 1e-12, 0, squares))


def say_augmentation(name: str, measured: Augmentation) -> str:
    """The reading in words: agreement and what the others show, variety, range."""
    m = measured
    return (
        f"{name.capitalize()}: {100 * m.agreement:.1f} % of {m.images} augmented images show what "
        f"their label says ({100 * m.clean:.0f} % of the originals); {100 * m.across:.1f} % show "
        f"the opposite, {100 * m.beside:.1f} % another side, {100 * m.lost:.1f} % nothing to go by."
        f" Two versions of an image differ by {m.spread:.2f} of the distance of two images. "
        f"Values run from {m.low:.3f} to {m.high:.3f}."
    )


# ---- the pictures --------------------------------------------------------------------------------


def draw_grid(
    originals: np.ndarray,
    labels: np.ndarray,
    rounds: Sequence[tuple[np.ndarray, np.ndarray]],
    rule: Rule,
    sides: Sequence[str],
    *,
    rows: int = 4,
) -> Figure:
    """Originals in the first column, versions beside them; a bar on the side that the label names.

    A solid bar is on the right side. A broken one is not, and a cross says so as well.

    Args:
        originals, labels, rounds, rule: as for `measure_augmentation`.
        sides: names of the classes, out of "bottom", "left", "right", "top".
    """
    columns = 1 + len(rounds)
    with style():
        figure, axes = new_figure(columns, rows, width=1.15 * columns, height=1.25)
        for column, (images, given) in enumerate([(originals, labels), *rounds]):
            seen = rule(np.asarray(images, np.float64))
            for row in range(rows):
                ax = axes[row, column]
                _draw_tile(
                    ax, images[row], sides[int(given[row])], right=seen[row] == int(given[row])
                )
                if row == 0:
                    ax.set_title("original" if column == 0 else f"{column}", fontsize=9, pad=9)
        figure.supxlabel("bar: the side that the label names (× = the sea is not there)", size=10)
    return figure


_BARS = {
    "left": ((-0.09, -0.09), (0, 1)),
    "right": ((1.09, 1.09), (0, 1)),
    "top": ((0, 1), (1.09, 1.09)),
    "bottom": ((0, 1), (-0.09, -0.09)),
}


def _draw_tile(ax: Axes, image: np.ndarray, side: str, *, right: bool) -> None:
    ax.imshow(np.clip(np.asarray(image, np.float64), 0, 1), interpolation="nearest")
    ax.set_axis_off()
    look = REPAIRED if right else SICK
    ax.plot(
        *_BARS[side],
        transform=ax.transAxes,
        clip_on=False,
        color=look["color"],
        linewidth=4,
        linestyle="-" if right else (0, (1.2, 0.8)),
        solid_capstyle="butt",
    )
    if not right:
        ax.text(
            0.5, 0.5, "×", transform=ax.transAxes, ha="center", va="center", size=14,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.1},
        )  # fmt: skip


def draw_strength(
    degrees: Sequence[float],
    agreement: Sequence[float],
    accuracy: Mapping[str, Sequence[float]],
    *,
    classes: int,
    control: float,
) -> Figure:
    """Labels that survive, and accuracy on clean images, against the largest angle of a rotation.

    Args:
        degrees: largest angle of each run.
        agreement: share of augmented images that show what their label says.
        accuracy: on unseen clean images, 0..1, a curve a seed by name.
        classes: number of classes, for the line of guessing.
        control: accuracy without augmentation.
    """
    with style():
        figure, ax = new_figure(width=8.0, height=3.8)
        curves = {"labels that survive": agreement, **accuracy}
        for i, values in enumerate(curves.values()):
            ax.plot(degrees, 100 * np.asarray(values), **(SICK if i else REPAIRED))
        ends = {name: 100 * values[-1] for name, values in curves.items()}
        for name, height in _apart(ends, by=6).items():
            ax.annotate(
                name, (degrees[-1], height), (9, 0), textcoords="offset points", va="center"
            )
        for level, words in ((100 * control, "no augmentation"), (100 / classes, "guessing")):
            ax.axhline(level, color=OTHER["color"], linestyle=OTHER["linestyle"])
            ax.annotate(words, (degrees[0], level), (4, -12), textcoords="offset points")
        ax.set_xlabel("largest angle of the rotation (degrees)")
        ax.set_ylabel("share of the images (%)")
        ax.set_ylim(0, 106)
    return figure


def _apart(heights: Mapping[str, float], *, by: float) -> dict[str, float]:
    """The heights of labels, moved up where they would cover one another."""
    placed: dict[str, float] = {}
    lowest = -np.inf
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        placed[name] = max(height, lowest)
        lowest = placed[name] + by
    return placed


def draw_ranges(values: Mapping[str, np.ndarray]) -> Figure:
    """How the values of each program lie about the 0..1 that the model is fed.

    Args:
        values: by name of the program, arrays of any shape; "sick" and "repaired" have their looks.
    """
    with style():
        figure, axes = new_figure(1, len(values), width=8.0, height=1.45)
        for ax, (name, array) in zip(np.atleast_1d(axes), values.items(), strict=True):
            _draw_values(ax, name, np.asarray(array, np.float64).ravel())
        np.atleast_1d(axes)[-1].set_xlabel("value; the model is fed 0 to 1, the grey field")
        figure.supylabel("share of the values (%)", fontsize=10)
    return figure


def _draw_values(ax: Axes, name: str, values: np.ndarray) -> None:
    finite = values[np.isfinite(values)]
    low, high = min(0.0, float(finite.min())), max(1.0, float(finite.max()))
    counts, edges = np.histogram(finite, bins=60, range=(low, high))
    look: dict[str, Any] = look_of(name)
    ax.axvspan(0, 1, color="0.9", zorder=0)
    ax.bar(
        edges[:-1],
        100 * counts / len(finite),
        width=np.diff(edges),
        align="edge",
        color="white",
        edgecolor=look["color"],
        hatch=HATCH.get(name, HATCH["other"]),
        linewidth=0.8,
    )
    ax.set_title(
        f"{name}: {finite.min():.3g} to {finite.max():.3g}, "
        f"{100 * _at_ends(values):.0f} % at an end or beyond",
        fontsize=10,
    )
