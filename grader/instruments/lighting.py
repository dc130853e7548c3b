"""Has the light changed? Live images against reference images, without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grader.datasets.faults import FIELD, lighting_drift
from grader.datasets.images import Images
from grader.instruments.style import REPAIRED, SICK, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATISTICS = ("brightness", "contrast", "red share", "green share", "blue share")
_LOUD = 1.95  # sqrt(-ln(0.001 / 2) / 2): the two-sample Kolmogorov-Smirnov test at 1 in 1,000
_BINS = 10


def relight(images: Images, strength: float, *, seed: int = 0) -> Images:
    """The same images in the light of a later hour: 0 is noon, 1 is the light of the field.

    Between, gain, gamma and colour cast are those of `faults.FIELD` to the power `strength`.
    """
    red, green, blue = (factor**strength for factor in FIELD["cast"])
    return lighting_drift(
        images,
        gain=FIELD["gain"] ** strength,
        gamma=FIELD["gamma"] ** strength,
        cast=(red, green, blue),
        spread=FIELD["spread"] * strength,
        seed=seed,
    )[0]


def image_statistics(images: np.ndarray) -> np.ndarray:
    """Five numbers an image, float64 (N, 5), in the order of `STATISTICS`.

    Args:
        images: uint8 or float (N, H, W, 3), 0..255.

    Returns:
        Brightness: mean of all values. Contrast: standard deviation over the pixels of their mean
        over the channels. Shares: mean of a channel over three times the brightness; 1/3 for grey,
        and for black.
    """
    x = np.asarray(images, np.float64).reshape(len(images), -1, 3)
    channels = x.mean(axis=1)
    brightness = channels.mean(axis=1)
    whole = 3 * brightness[:, None]
    shares = np.divide(channels, whole, out=np.full_like(channels, 1 / 3), where=whole > 0)
    return np.column_stack([brightness, x.mean(axis=2).std(axis=1), shares])


def ks_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of two samples' distribution functions, 0..1 (Kolmogorov, Smirnov)."""
    a, b = np.sort(a), np.sort(b)
    at = np.concatenate([a, b])
    below_a = np.searchsorted(a, at, side="right") / len(a)
    below_b = np.searchsorted(b, at, side="right") / len(b)
    return float(np.abs(below_a - below_b).max())


def population_stability(reference: np.ndarray, live: np.ndarray) -> float:
    """Population stability index over the tenths of the reference: 0 for the same shares.

    The sum of (q - p) ln(q / p); half an image is added to every tenth, so that it stays finite.
    """
    edges = np.quantile(reference, np.linspace(0, 1, _BINS + 1)[1:-1])

    def shares(values: np.ndarray) -> np.ndarray:
        counts = np.bincount(np.searchsorted(edges, values), minlength=_BINS) + 0.5
        return counts / counts.sum()

    p, q = shares(reference), shares(live)
    return float(((q - p) * np.log(q / p)).sum())


@dataclass(frozen=True)
class Drift:
    """Live images against reference images.

    Attributes:
        reference, live: `image_statistics` of both, (N, 5) and (M, 5).
        distance: Kolmogorov-Smirnov distance of each statistic, (5,), 0..1.
        stability: population stability index of each statistic, (5,).
        loud: distance that equal light exceeds once in a thousand, for N and M images.
    """

    reference: np.ndarray
    live: np.ndarray
    distance: np.ndarray
    stability: np.ndarray
    loud: float

    @property
    def brightness(self) -> float:
        """Distance of the brightness, 0..1."""
        return float(self.distance[0])


def measure_drift(reference: np.ndarray, live: np.ndarray) -> Drift:
    """Compare images with reference images; no labels, no model.

    Args:
        reference, live: uint8 or float (N, H, W, 3), 0..255; at least two images each.

    Raises:
        ValueError: fewer images, or no such shape.
    """
    for images in (reference, live):
        if np.ndim(images) != 4 or np.shape(images)[-1] != 3 or len(images) < 2:
            raise ValueError(f"images have the shape {np.shape(images)}, expected (N, H, W, 3)")
    a, b = image_statistics(reference), image_statistics(live)
    columns = range(len(STATISTICS))
    return Drift(
        reference=a,
        live=b,
        distance=np.array([ks_distance(a[:, i], b[:, i]) for i in columns]),
        stability=np.array([population_stability(a[:, i], b[:, i]) for i in columns]),
        loud=_LOUD * float(np.sqrt(1 / len(a) + 1 / len(b))),
    )


@dataclass(frozen=True)
class Slices:
    """Accuracy of images sorted by brightness, in quarters.

    Attributes:
        brightness: mean brightness of a quarter, (4,), 0..255.
        accuracy: share of right answers in it, (4,), 0..1.
    """

    brightness: np.ndarray
    accuracy: np.ndarray


def measure_slices(images: np.ndarray, right: np.ndarray) -> Slices:
    """Accuracy by brightness. `right` is bool (N,): which answers were right; N >= 4."""
    brightness = image_statistics(images)[:, 0]
    parts = np.array_split(np.argsort(brightness, kind="stable"), 4)
    return Slices(
        np.array([brightness[part].mean() for part in parts]),
        np.array([np.asarray(right)[part].mean() for part in parts]),
    )


def draw_drift(drift: Drift, slices: Mapping[str, Slices]) -> Figure:
    """Brightness of both, distance of every statistic, and accuracy by brightness."""
    with style():
        figure, (left, middle, right) = new_figure(3, width=12.5, height=3.6)
        _draw_brightness(left, drift)
        _draw_distances(middle, drift)
        for (name, part), look in zip(slices.items(), (REPAIRED, SICK), strict=False):
            right.plot(part.brightness, 100 * part.accuracy, **look)
            right.annotate(
                name, (part.brightness[-1], 100 * part.accuracy[-1]), (0, 7),
                textcoords="offset points", color=look["color"], ha="center",
            )  # fmt: skip
        right.set(ylim=(0, 105), xlabel="brightness of a quarter of the images, 0 to 255")
        right.set_ylabel("right answers (%)")
        right.set_title("accuracy by brightness", fontsize=11)
    return figure


def _draw_brightness(ax: Axes, drift: Drift) -> None:
    both = np.concatenate([drift.reference[:, 0], drift.live[:, 0]])
    edges = np.linspace(both.min(), both.max() + 1e-9, 25)
    for name, values, look, hatch in (
        ("reference", drift.reference[:, 0], REPAIRED, ""),
        ("live", drift.live[:, 0], SICK, "//"),
    ):
        shares = 100 * np.histogram(values, edges)[0] / len(values)
        ax.stairs(shares, edges, color=look["color"], linewidth=1.6, linestyle=look["linestyle"])
        ax.stairs(shares, edges, fill=True, color=look["color"], alpha=0.15, hatch=hatch)
        top = int(shares.argmax())
        ax.annotate(
            name, (edges[top], shares[top]), (0, 4), textcoords="offset points",
            color=look["color"],
        )  # fmt: skip
    ax.margins(y=0.15)
    ax.set_xlabel("mean brightness of an image, 0 to 255")
    ax.set_ylabel("share of the images (%)")
    ax.set_title("how bright the images are", fontsize=11)


def _draw_distances(ax: Axes, drift: Drift) -> None:
    places = np.arange(len(STATISTICS))[::-1]
    ax.barh(places, drift.distance, color="white", edgecolor=SICK["color"], hatch="//")
    for place, distance, stability in zip(places, drift.distance, drift.stability, strict=True):
        ax.annotate(
            f"{distance:.2f}  (PSI {stability:.1f})", (distance, place), (4, 0),
            textcoords="offset points", va="center", fontsize=9,
        )  # fmt: skip
    ax.axvline(drift.loud, color="black", linewidth=1, linestyle=":")
    ax.annotate(
        "equal light: below", (drift.loud, 1), (3, 3), fontsize=9,
        xycoords=("data", "axes fraction"), textcoords="offset points",
    )  # fmt: skip
    ax.set_yticks(places, STATISTICS)
    ax.set_xlim(0, 1.45)
    ax.set_xticks([0, 0.5, 1])
    ax.set_xlabel("distance of the distributions (KS), 0 to 1")


def say_drift(drift: Drift) -> str:
    """The reading in words."""
    names = [f"{name} {d:.3f}" for name, d in zip(STATISTICS, drift.distance, strict=True)]
    return (
        f"Mean brightness {drift.reference[:, 0].mean():.1f} in the {len(drift.reference)} "
        f"reference images, {drift.live[:, 0].mean():.1f} in the {len(drift.live)} live ones. "
        f"Distances (KS): {', '.join(names)}; equal light stays below {drift.loud:.3f} in 999 of "
        "1,000 comparisons."
    )


@dataclass(frozen=True)
class Curve:
    """Accuracy against the strength of a shift.

    Attributes:
        strengths: (S,), 0 for none.
        accuracy: share of right answers, (S,), 0..1.
        n: images at each strength.
    """

    strengths: np.ndarray
    accuracy: np.ndarray
    n: int

    @property
    def shifted(self) -> float:
        """Mean accuracy over the strengths above 0."""
        return float(self.accuracy[self.strengths > 0].mean())

    @property
    def unshifted(self) -> float:
        """Accuracy at strength 0."""
        return float(self.accuracy[self.strengths == 0].mean())


def measure_curve(
    strengths: Sequence[float], predicted: Sequence[np.ndarray], labels: np.ndarray
) -> Curve:
    """Accuracy at each strength; `predicted` holds classes, one array (N,) a strength."""
    accuracy = np.array([(np.asarray(p) == labels).mean() for p in predicted])
    return Curve(np.asarray(strengths, float), accuracy, len(labels))


@dataclass(frozen=True)
class Watch:
    """A monitor's answers, window after window.

    Attributes:
        strengths: shift of each window, (W,), 0 for none.
        brightness: mean brightness of each window, (W,), 0..255.
        alarms: bool (W,).
    """

    strengths: np.ndarray
    brightness: np.ndarray
    alarms: np.ndarray

    def rate(self, strength: float) -> float:
        """Share of the windows of one strength that raised an alarm."""
        return float(self.alarms[self.strengths == strength].mean())


def draw_robustness(curves: Mapping[str, Curve], watch: Watch) -> Figure:
    """Accuracy against the strength of the shift, and the monitor's chart of windows."""
    with style():
        figure, (left, right) = new_figure(2, width=11, height=3.8)
        for name, curve in curves.items():
            look = look_of(name)
            spread = 2 * np.sqrt(curve.accuracy * (1 - curve.accuracy) / curve.n)
            left.errorbar(curve.strengths, 100 * curve.accuracy, 100 * spread, capsize=3, **look)
            left.annotate(
                name, (curve.strengths[-1], 100 * curve.accuracy[-1]), (6, 0),
                textcoords="offset points", va="center", color=look["color"],
            )  # fmt: skip
        left.set(ylim=(0, 100), xlabel="strength of the shift: 0 noon, 1 the field")
        left.set_xlim(-0.05, 1.28)
        left.set_ylabel("right on unseen images (%)")
        left.set_title("accuracy against shift; bars: two standard errors", fontsize=11)
        _draw_watch(right, watch)
    return figure


def _draw_watch(ax: Axes, watch: Watch) -> None:
    windows = 1 + np.arange(len(watch.alarms))
    for wanted, look, name in ((False, REPAIRED, "silent"), (True, SICK, "alarm")):
        shown = watch.alarms == wanted
        ax.plot(
            windows[shown], watch.brightness[shown], look["marker"], color=look["color"],
            markersize=5, label=f"{name} ({int(shown.sum())})",
        )  # fmt: skip
    starts = [0, *(1 + np.flatnonzero(np.diff(watch.strengths)))]
    for start in starts:
        ax.axvline(start + 0.5, color="black", linewidth=0.8, linestyle=":")
        ax.annotate(
            f"strength {watch.strengths[start]:g}", (start + 1, 1), (2, -11), fontsize=9,
            xycoords=("data", "axes fraction"), textcoords="offset points",
        )  # fmt: skip
    ax.margins(y=0.2)
    ax.set_xlabel("window of live images, in turn")
    ax.set_ylabel("mean brightness, 0 to 255")
    ax.set_title("the monitor's answers", fontsize=11)
    ax.legend(loc="lower left", fontsize=9)


def say_robustness(curves: Mapping[str, Curve], watch: Watch) -> str:
    """The reading in words."""
    parts = [
        f"{name}: {100 * curve.unshifted:.0f} % at noon, {100 * curve.shifted:.0f} % on average "
        "over the shifted strengths"
        for name, curve in curves.items()
    ]
    rates = [
        f"{100 * watch.rate(strength):.0f} % at strength {strength:g}"
        for strength in dict.fromkeys(watch.strengths.tolist())
    ]
    return f"{'; '.join(parts)}. Windows with an alarm: {', '.join(rates)}."
