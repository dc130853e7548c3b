"""What a check says: findings, outcome, points. Pure values, no framework, no display."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """The five outcomes, each with its own voice. Values are stored in records; do not change."""

    NOT_RUN = "not run"
    NOT_ATTEMPTED = "not attempted"
    RAISED = "your code raised"
    NOT_YET = "not yet"
    PASSED = "passed"


@dataclass(frozen=True)
class Threshold:
    """A limit for one measured number, calibrated by `grader calibrate`.

    Attributes:
        metric: name of the measured number, unique within the check.
        limit: the value that decides.
        side: "at least" or "at most"; a value equal to the limit is on the good side.
        unit: unit for people, "" for a ratio.
    """

    metric: str
    limit: float
    side: str
    unit: str = ""

    def __post_init__(self) -> None:
        if self.side not in ("at least", "at most"):
            raise ValueError(f"side is {self.side!r}, expected 'at least' or 'at most'")

    def holds(self, value: float) -> bool:
        """True when the value is on the good side; NaN never is."""
        if math.isnan(value):
            return False
        return value >= self.limit if self.side == "at least" else value <= self.limit

    def says(self) -> str:
        """The expectation in words, such as "at least 0.35"."""
        return f"{self.side} {number(self.limit, self.unit)}"

    def finding(self, value: float, *, measured: str, means: str, look_next: str) -> Finding:
        """Compare a measured value with the limit; the texts are used when it does not hold.

        Args:
            value: the measured number.
            measured: sentence on what was measured, with the number in it.
            means: what a value on the wrong side usually means.
            look_next: what to measure next; no answer is given away.
        """
        return Finding(
            metric=self.metric,
            value=float(value),
            expected=self.says(),
            holds=self.holds(float(value)),
            measured=measured,
            means=means,
            look_next=look_next,
            limit=self.limit,
            side=self.side,
        )


@dataclass(frozen=True)
class Finding:
    """One measured fact and what follows from it. Findings of a check are gates, in order."""

    metric: str
    value: float
    expected: str
    holds: bool
    measured: str
    means: str
    look_next: str
    limit: float = math.nan
    side: str = ""


@dataclass(frozen=True)
class Verdict:
    """The decision on one check.

    `points` are the points of the findings that hold before the first one that does not: gates in
    order, so that what the untouched program does right by itself earns nothing.
    """

    check: str
    outcome: Outcome
    points: float
    max_points: float
    findings: tuple[Finding, ...]
    sentence: str
    unseen: bool = False

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED

    @property
    def failing(self) -> Finding | None:
        """The first finding that does not hold."""
        return next((f for f in self.findings if not f.holds), None)


def number(value: float, unit: str = "") -> str:
    """A number for a sentence: three significant digits, no trailing zeros, unit appended.

    >>> number(2.302585), number(0.00012345), number(1234567.0), number(0.25, "of the steps")
    ('2.3', '0.000123', '1.23e+06', '0.25 of the steps')
    """
    if math.isnan(value):
        text = "not a number"
    elif math.isinf(value):
        text = "infinite"
    else:
        text = f"{value:.3g}"
    return f"{text} {unit}".rstrip()
