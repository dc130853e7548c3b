"""Is one recipe better than another? Equal seeds for both, an interval for the difference."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtrit

from grader.instruments.applied_rate import AppliedRate, describe
from grader.instruments.style import OTHER, REPAIRED, SICK, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: How sure the interval is, in repeated comparisons.
CONFIDENCE = 0.95
CANNOT_TELL = "cannot tell"


def fingerprint(fw: Any, model: Any) -> str:
    """Eight hexadecimal digits that are the same for the same weights and statistics.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: any model of that framework; not changed.
    """
    digest = hashlib.sha256()
    for array in fw.get_state(model):
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:8]


@dataclass(frozen=True)
class Comparison:
    """Scores of two arms, A and B, for the same seeds; higher is better.

    Attributes:
        a, b: score of each arm for each seed, (N,).
        starts_a, starts_b: `fingerprint` of the weights from which each training started, (N,).
    """

    a: np.ndarray
    b: np.ndarray
    starts_a: tuple[str, ...] = ()
    starts_b: tuple[str, ...] = ()

    @property
    def differences(self) -> np.ndarray:
        """B minus A, seed by seed, (N,)."""
        return self.b - self.a

    @property
    def mean(self) -> float:
        """Mean difference, B minus A."""
        return float(self.differences.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true mean difference may lie: Student's t on the differences ("Student" 1908).

        With one seed, or a score that is not finite, everything is possible.
        """
        n = len(self.differences)
        if n < 2 or not np.isfinite(self.differences).all():
            return -math.inf, math.inf
        error = float(self.differences.std(ddof=1)) / math.sqrt(n)
        reach = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * error
        return self.mean - reach, self.mean + reach

    @property
    def verdict(self) -> str:
        """ "A", "B", or "cannot tell" where the interval holds zero."""
        low, high = self.interval
        if low > 0:
            return "B"
        return "A" if high < 0 else CANNOT_TELL

    @property
    def same_starts(self) -> bool:
        """True when both arms started from the same weights for each seed, other ones each time."""
        starts = self.starts_a
        return bool(starts) and starts == self.starts_b and len(set(starts)) == len(starts)


def measure_comparison(
    scores_a: Sequence[float],
    scores_b: Sequence[float],
    starts_a: Sequence[str] = (),
    starts_b: Sequence[str] = (),
) -> Comparison:
    """Compare two arms that were trained with the same seeds, in the same order.

    Raises:
        ValueError: no scores, or not one of each arm for each seed.
    """
    a, b = np.asarray(scores_a, dtype=np.float64), np.asarray(scores_b, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or not len(a):
        raise ValueError(f"scores of shapes {a.shape} and {b.shape}; one of each arm for each seed")
    for starts in (starts_a, starts_b):
        if starts and len(starts) != len(a):
            raise ValueError(f"{len(starts)} fingerprints and {len(a)} scores; one for each")
    return Comparison(a, b, tuple(starts_a), tuple(starts_b))


def draw_comparisons(comparisons: Mapping[str, Comparison], unit: str = "points") -> Figure:
    """A row for each comparison: a dot for each seed, the mean and its interval.

    Args:
        comparisons: scores are shares; they are drawn times 100.
    """
    with style():
        figure, ax = new_figure(width=9.0, height=1.3 + 0.75 * len(comparisons))
        ax.axvline(0, color="black", linewidth=1)
        for row, comparison in enumerate(comparisons.values()):
            _draw_row(ax, -row, comparison)
        ax.set_yticks([-row for row in range(len(comparisons))], list(comparisons))
        ax.set_ylim(-len(comparisons) + 0.4, 0.6)
        low, high = ax.get_xlim()
        reach = max(abs(low), abs(high), 1.0)
        ax.set_xlim(-reach, reach)
        ax.set_xlabel(
            f"B minus A, {unit} (dot: one seed; line: {CONFIDENCE:.0%} interval of the mean)"
        )
        ax.grid(axis="y", visible=False)
    return figure


def _draw_row(ax: Axes, height: float, comparison: Comparison) -> None:
    told = comparison.verdict != CANNOT_TELL
    look = REPAIRED if told else OTHER
    low, high = (100 * edge for edge in comparison.interval)
    ax.plot(
        100 * comparison.differences, np.full(len(comparison.differences), height), linestyle="",
        marker="o", markersize=5, markerfacecolor="none", color="#595959",
    )  # fmt: skip
    if math.isfinite(low):
        ax.plot([low, high], [height - 0.2] * 2, color=look["color"], linewidth=3)
    ax.plot(100 * comparison.mean, height - 0.2, marker="D", color=look["color"], markersize=7)
    ax.annotate(
        comparison.verdict if not told else f"{comparison.verdict} is better",
        (100 * comparison.mean, height - 0.2), (0, -8), textcoords="offset points", ha="center",
        va="top", fontsize=9, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def say_comparisons(comparisons: Mapping[str, Comparison]) -> str:
    """Each comparison in words: mean difference, interval, verdict."""
    return " ".join(f"{name}: {say_comparison(c)}" for name, c in comparisons.items())


def say_comparison(comparison: Comparison) -> str:
    """One comparison in words; scores are shares and are said in points."""
    n, verdict = len(comparison.differences), comparison.verdict
    low, high = comparison.interval
    if not math.isfinite(low):
        return (
            f"B minus A is {_points(comparison.mean)} points for {n} seed{'s' * (n != 1)}; without "
            f"a spread there is no interval: {CANNOT_TELL}."
        )
    return (
        f"over {n} seeds B minus A is {_points(comparison.mean)} points, between {_points(low)} "
        f"and {_points(high)}: {verdict if verdict == CANNOT_TELL else f'{verdict} is better'}."
    )


def _points(share: float) -> str:
    """A share as points with its sign; 0.0 has none, even where -0.04 was rounded."""
    points = round(100 * share, 1)
    return f"{points:+.1f}" if points else "0.0"


@dataclass(frozen=True)
class Arm:
    """One training of one arm of a comparison.

    Attributes:
        rate: what the optimizer applied.
        losses: loss on all training images before the first step, then the mean of every epoch.
        start, end: `fingerprint` of the weights before the first step and after the last.
        score: what is compared, a share.
    """

    rate: AppliedRate
    losses: np.ndarray
    start: str
    end: str
    score: float


def head_start(arms: Mapping[str, Arm]) -> float:
    """Loss before the first step, first arm minus last arm (nats): 0 for arms that start alike."""
    first, *_, last = arms.values()
    return float(first.losses[0] - last.losses[0])


def draw_arms(arms: Mapping[str, Arm]) -> Figure:
    """Applied rate of every step, and loss before the first step and after every epoch."""
    looks = (REPAIRED, SICK, OTHER)
    with style():
        figure, (left, right) = new_figure(2, width=11.0, height=3.8)
        for (name, arm), look in zip(arms.items(), looks, strict=False):
            steps = np.arange(1, arm.rate.steps + 1)
            every = max(1, arm.rate.steps // 6)
            first = 0 if look is REPAIRED else every // 2
            left.plot(steps, arm.rate.rates, markevery=(first, every), label=name, **look)
            right.plot(
                np.arange(len(arm.losses)), arm.losses, markersize=6,
                label=f"{name}: from {arm.start} to {arm.end}", **look,
            )  # fmt: skip
        top = max(arm.rate.highest for arm in arms.values())
        left.set(ylim=(0, 1.35 * top), xlabel="step", ylabel="learning rate applied")
        left.legend(loc="lower left", frameon=False)
        left.set_title("rate, read from the optimizer", fontsize=11)
        right.set(xlabel="epochs behind it", ylabel="training loss (nats)")
        right.set_ylim(0, 1.45 * max(float(np.nanmax(arm.losses)) for arm in arms.values()))
        right.legend(loc="upper right", frameon=False, fontsize=10)
        right.set_title("loss before the first step and of every epoch", fontsize=11)
    return figure


def say_arms(arms: Mapping[str, Arm]) -> str:
    """Each arm in words: its rate, where it starts and ends, its score."""
    return " ".join(
        f"{name}: rate {describe(arm.rate)}; it starts from the weights {arm.start} at a loss of "
        f"{arm.losses[0]:.3f} and ends at {arm.end}; score {100 * arm.score:.1f} %."
        for name, arm in arms.items()
    )
