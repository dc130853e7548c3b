"""How long are the steps? Update-to-weight ratios of a run, and the learning-rate range test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import OTHER, REPAIRED, SICK, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEALTHY_UPDATE = (1e-4, 1e-1)
"""Band of the update-to-weight ratio in which training usually works.

TheDeepChecker (Ben Braiek and Khomh, 2023) warns when the base-10 logarithm of the ratio leaves
[-4, -1]; the band depends on momentum and normalisation, and is a rule of thumb.
"""

SMOOTHING = 0.9
DIVERGED = 2.0
FALLEN = 2 / 3
_RUN_LOOKS = (OTHER, REPAIRED, SICK)
_RANGE_LOOKS = (REPAIRED, SICK, OTHER)
_LIFT = (
    4,
    -3,
    -11,
)  # points by which names are moved, so that curves that end together keep theirs


def update_ratio(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> float:
    """How far one step moved the weights, relative to their size.

    Args:
        before, after: a model's state around one step, as `get_state` returns it.

    Returns:
        ||after - before|| / ||before||, median over arrays with two axes or more (kernels and
        matrices; biases and statistics start near zero and have no meaningful ratio). NaN when
        there is none, or none that differs from zero.
    """
    ratios = [
        float(np.linalg.norm(new - old) / np.linalg.norm(old))
        for old, new in zip(before, after, strict=True)
        if np.ndim(old) >= 2 and np.linalg.norm(old) > 0
    ]
    return float(np.median(ratios)) if ratios else float("nan")


@dataclass(frozen=True)
class Run:
    """What one training leaves behind.

    Attributes:
        rate: learning rate as the optimizer reports it.
        losses: of every step's batch, in nats an image, (S,).
        ratios: update-to-weight ratio of every step, (S,).
    """

    rate: float
    losses: np.ndarray
    ratios: np.ndarray


def draw_runs(runs: Mapping[str, Run]) -> Figure:
    """Loss and update-to-weight ratio of up to three runs, step by step; the second is healthy."""
    with style():
        figure, (left, right) = new_figure(columns=2)
        for (name, run), look, lift in zip(runs.items(), _RUN_LOOKS, _LIFT, strict=False):
            _curve(left, np.asarray(run.losses), name, look, lift)
            _curve(right, np.asarray(run.ratios), name, look, lift)
        left.set(xlabel="step", ylabel="loss, nats an image", title="What the log shows")
        right.set(xlabel="step", ylabel="size of update / size of weights", yscale="log")
        right.set_title("How far a step moves the weights")
        right.axhspan(*HEALTHY_UPDATE, color="0.9", zorder=0)
        right.annotate(
            "usual", (0.02, HEALTHY_UPDATE[0]), xycoords=("axes fraction", "data"),
            xytext=(0, 3), textcoords="offset points", fontsize=9, color="0.35",
        )  # fmt: skip
        return figure


def _curve(
    axes: Axes, values: np.ndarray, label: str, look: Mapping[str, Any], lift: float
) -> None:
    """One curve with its name at its last finite point."""
    steps = np.arange(1, len(values) + 1)
    axes.plot(steps, values, markevery=max(1, len(values) // 8), markersize=5, **look)
    finite = np.flatnonzero(np.isfinite(values))
    if len(finite):
        last = finite[-1]
        axes.annotate(
            label, (steps[last], values[last]), xytext=(4, lift), textcoords="offset points",
            color=look["color"], weight="bold",
        )  # fmt: skip


def say_runs(runs: Mapping[str, Run]) -> str:
    """The runs in one sentence: first and last loss, and the size of the first update."""
    parts = [
        f"{name} at rate {run.rate:g} goes from {run.losses[0]:.4f} to "
        f"{np.mean(run.losses[-5:]):.2f} nats, and its first update is {run.ratios[0]:.3g} of "
        "the weights"
        for name, run in runs.items()
    ]
    return "; ".join(parts) + "."


@dataclass(frozen=True)
class RangeTest:
    """One training in which the learning rate rises by the same factor at every step.

    Attributes:
        rates: of every step, (S,), rising.
        losses: of every step's batch, (S,); NaN after a loss that was not finite.
        smooth: `losses` as a running mean, (S,); see `smoothed`.
        fallen: rate at which two thirds of the whole fall of the smoothed loss are behind.
        lowest: rate at which the smoothed loss is lowest.
        diverged: rate at which the loss is twice its first value; NaN when that never happens.
    """

    rates: np.ndarray
    losses: np.ndarray
    smooth: np.ndarray
    fallen: float
    lowest: float
    diverged: float


def smoothed(losses: np.ndarray, keep: float = SMOOTHING) -> np.ndarray:
    """Running mean that keeps the share `keep` of its last value at every step, (S,).

    The start is corrected by the sum of the weights, as in Adam (Kingma and Ba, 2015).
    """
    mean, result = 0.0, []
    for step, loss in enumerate(losses, start=1):
        mean = keep * mean + (1 - keep) * float(loss)
        result.append(mean / (1 - keep**step))
    return np.array(result)


def read_range(rates: np.ndarray, losses: np.ndarray) -> RangeTest:
    """Read a range test (Smith, "Cyclical learning rates", 2017).

    Args:
        rates: positive and rising, (S,).  losses: (S,), the first one finite.

    Raises:
        ValueError: different lengths, rates that do not rise, or a first loss that is not finite.
    """
    rates, losses = np.asarray(rates, float), np.asarray(losses, float)
    if rates.shape != losses.shape or rates.ndim != 1:
        raise ValueError(f"{rates.shape} rates and {losses.shape} losses; one loss for each rate")
    if not (rates[0] > 0 and np.all(np.diff(rates) > 0)):
        raise ValueError("the rates do not rise from a positive one")
    if not np.isfinite(losses[0]):
        raise ValueError(f"the first loss is {losses[0]}")
    beyond = ~(losses <= DIVERGED * losses[0])  # NaN is beyond, too
    end = int(np.argmax(beyond)) if beyond.any() else len(losses)
    smooth = smoothed(losses)
    lowest = int(np.argmin(smooth[:end]))
    start = float(np.mean(losses[: max(1, min(end, len(losses) // 6))]))
    level = start - FALLEN * (start - smooth[lowest])
    above = np.flatnonzero(smooth[:lowest] > level)  # the last time, so that noise cannot decide
    fallen = rates[min(above[-1] + 1, lowest)] if len(above) else rates[lowest]
    return RangeTest(
        rates,
        losses,
        smooth,
        float(fallen),
        float(rates[lowest]),
        float(rates[end]) if end < len(rates) else float("nan"),
    )


def measure_range(
    train_at_rates: Callable[..., np.ndarray],
    model: Any,
    x: Any,
    y: Any,
    *,
    low: float = 1e-6,
    high: float = 1e2,
    steps: int = 120,
    **training: Any,
) -> RangeTest:
    """Run a range test from `low` to `high` and read it; the model is left as it was.

    Args:
        train_at_rates: the framework's; `training` is handed on to it (`batch_size`,
            `loss_function`, `momentum`, `seed`).
    """
    rates = np.geomspace(low, high, steps)
    return read_range(rates, train_at_rates(model, x, y, rates=rates, **training)[0])


def draw_range(tests: Mapping[str, RangeTest], rates: Mapping[str, float]) -> Figure:
    """Up to three range tests in one picture, each with a mark at a rate chosen for it."""
    with style():
        figure, axes = new_figure(height=4.0)
        for (name, test), look in zip(tests.items(), _RANGE_LOOKS, strict=False):
            axes.plot(test.rates, test.smooth, **look | {"marker": ""})
            chosen = rates.get(name)
            if chosen is None:
                continue
            height = float(np.interp(np.log(chosen), np.log(test.rates), test.smooth))
            axes.plot(chosen, height, marker=look["marker"], color=look["color"], markersize=10)
            left = look is SICK  # its curve lies to the left, and so does its label
            axes.annotate(
                f"{name}, {chosen:.2g}", (chosen, height), xytext=(-9, -12) if left else (9, 8),
                ha="right" if left else "left", textcoords="offset points",
                color=look["color"], weight="bold",
            )  # fmt: skip
        first = max(test.losses[0] for test in tests.values())
        lowest = min(np.nanmin(test.smooth) for test in tests.values())
        axes.set(xscale="log", xlabel="learning rate of the step", ylabel="loss, nats an image")
        axes.set_ylim(0.8 * lowest, 1.4 * first)
        axes.set_title("The rate rises at every step; the mark is the rate that was chosen")
        return figure


def say_range(tests: Mapping[str, RangeTest], rates: Mapping[str, float]) -> str:
    """The range tests in one sentence: where the loss falls, and the rate chosen for each."""
    parts = [
        f"{name}: the loss is lowest at the rate {test.lowest:.2g}"
        + (f", the rate chosen is {rates[name]:.2g}" if name in rates else "")
        for name, test in tests.items()
    ]
    return "; ".join(parts) + "."
