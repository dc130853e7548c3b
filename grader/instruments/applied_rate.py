"""Which learning rate was applied? Read from the optimizer at every step, whatever was planned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import REPAIRED, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A rate counts as low at this share of the highest or below: a tenth, and room for rounding.
LOW = 0.12


@dataclass(frozen=True)
class AppliedRate:
    """The learning rate of every step of one training, in order, (S,)."""

    rates: np.ndarray

    @property
    def steps(self) -> int:
        return len(self.rates)

    @property
    def highest(self) -> float:
        """NaN where no step was taken."""
        return float(np.max(self.rates)) if self.steps else math.nan

    @property
    def last(self) -> float:
        """Rate of the last step; NaN where no step was taken."""
        return float(self.rates[-1]) if self.steps else math.nan

    @property
    def end_share(self) -> float:
        """Last rate over the highest: 1 for a rate that never falls. NaN where none is above 0."""
        return self.last / self.highest if self.highest > 0 else math.nan

    @property
    def high_share(self) -> float:
        """Share of the steps whose rate is above `LOW` of the highest; NaN without steps."""
        return float(np.mean(self.rates > LOW * self.highest)) if self.steps else math.nan

    @property
    def changes(self) -> int:
        """How often a step's rate differs from that of the step before, rounding left aside."""
        before, after = self.rates[:-1], self.rates[1:]
        return int((~np.isclose(after, before, rtol=1e-6, atol=0)).sum())


def measure_applied_rate(
    fw: Any, train: Callable[..., Any], *arguments: Any, **options: Any
) -> tuple[AppliedRate, Any]:
    """Call a function that trains, and note the rate of every step that an optimizer takes in it.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        train: called with the arguments and options; its model and its optimizer are its own.

    Returns:
        The rates, and what the function returned.
    """
    with fw.rates_applied() as rates:
        result = train(*arguments, **options)
    return AppliedRate(np.array(rates, dtype=np.float64)), result


def draw_applied_rates(traces: Mapping[str, AppliedRate], columns: int = 4) -> Figure:
    """Small panels side by side, one for each training, all on the same axes."""
    rows = math.ceil(len(traces) / columns)
    with style():
        figure, axes = new_figure(columns, rows, width=3.0 * columns, height=2.3)
        flat = np.atleast_1d(axes).ravel()
        top = max((trace.highest for trace in traces.values() if trace.steps), default=1.0)
        for ax in flat[len(traces) :]:
            ax.set_axis_off()
        for i, (ax, (name, trace)) in enumerate(zip(flat, traces.items(), strict=False)):
            ax.plot(np.arange(1, trace.steps + 1), trace.rates, **REPAIRED | {"marker": ""})
            ax.set_ylim(-0.04 * top, 1.08 * top)
            ax.set_title(name, fontsize=11)
            if i % columns == 0:
                ax.set_ylabel("rate applied")
            if i + columns >= len(traces):
                ax.set_xlabel("step")
    return figure


def say_applied_rates(traces: Mapping[str, AppliedRate]) -> str:
    """For each training the highest and the last rate, and how often it changed."""
    return "; ".join(f"{name}: {describe(trace)}" for name, trace in traces.items()) + "."


def describe(trace: AppliedRate) -> str:
    """One trace in a few words."""
    if not trace.steps:
        return "no optimizer took a step"
    if not trace.changes:
        return f"{trace.last:.3g} at every one of {trace.steps} steps"
    times = "once" if trace.changes == 1 else f"{trace.changes} times"
    return (
        f"highest {trace.highest:.3g}, at the end {trace.last:.2g}, changed {times} in "
        f"{trace.steps} steps"
    )
