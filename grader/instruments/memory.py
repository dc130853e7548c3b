"""Memory: how many bytes do a program's tensors take, and which of them are never given back?

Bytes are counted, not asked of the system. What a process has by the system's account depends on
what its allocator keeps for later; what its tensors take depends on the program alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from grader.instruments.style import OTHER, REPAIRED, SICK, new_figure, style

_LOOKS = (SICK, REPAIRED, OTHER)
MB = 1e6
"""Bytes in a megabyte, as disks are sold; a mebibyte has 5 % more."""


@dataclass(frozen=True)
class MemoryUse:
    """The bytes that a program's tensors took while it ran.

    The model's weights and what the program was given do not count.

    Attributes:
        live: bytes after every operation, int64 (O,).
        entries: operations that had run before each call of the model, (C,).
        images: images in each call, (C,).
        end: bytes that the program's result still holds.
        steps: that the program took, as its caller says.
        arrays: bytes of NumPy's arrays at each call, (C,); (0,) unless `tracemalloc` traces them.
    """

    live: np.ndarray
    entries: np.ndarray
    images: np.ndarray
    end: int
    steps: int = 1
    arrays: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @property
    def peak(self) -> int:
        """Most bytes at once."""
        return int(self.live.max(initial=0))

    @property
    def floors(self) -> np.ndarray:
        """Fewest bytes in each quarter of the operations, (4,): what was not given back."""
        if len(self.live) < 4:
            return np.zeros(4)
        return np.array([part.min() for part in np.array_split(self.live, 4)], dtype=np.float64)

    @property
    def floor(self) -> float:
        """Fewest bytes in the second half: what the program keeps all the time."""
        return float(self.floors[2:].min())

    @property
    def growth(self) -> float:
        """Bytes by which the floor rises with every step.

        Looked at where the model is called, from the second quarter of the calls to the last one:
        what the first steps set up once, as an optimizer's averages, is no growth. Without calls,
        it is what the floors of the operations' quarters say.
        """
        first, last = (float(self.floors[quarter]) for quarter in (1, 3))
        between = self.steps / 2
        calls = len(self.entries)
        if calls >= 4 and self.entries[-1]:
            at = self.live[np.maximum(self.entries - 1, 0)]
            quarter, half = calls // 4, calls // 2
            first = float(at[quarter:half].min())
            last = float(at[quarter + half : 2 * half].min())
            between = self.steps * half / calls
        return (last - first) / max(1.0, between)


def measure_memory(
    fw: Any,
    model: Any,
    program: Callable[[], Any],
    *,
    steps: int = 1,
    given: Any = (),
) -> tuple[MemoryUse, Any]:
    """Run a program and count the bytes of its tensors after every operation.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: whose calls are noted, and whose weights do not count.
        program: uses the model; takes nothing.
        steps: that it will take.
        given: tensors that were there before and do not count, in lists or tuples.

    Returns:
        What was counted, and what the program returned.
    """
    with fw.watch_memory(model, given) as ledger:
        result = program()
        end = ledger.now
    entered = np.array(ledger.entered, dtype=np.int64).reshape(-1, 2)
    live = np.array(ledger.live, dtype=np.int64)
    arrays = np.array(ledger.arrays, dtype=np.int64)
    return MemoryUse(live, entered[:, 0], entered[:, 1], end, steps, arrays), result


def draw_memory(uses: Mapping[str, MemoryUse], cap: float | None = None) -> Figure:
    """The live bytes of programs, operation by operation, one below the other on one scale.

    Args:
        cap: bytes; drawn as a line.
    """
    top = max([use.peak for use in uses.values()] + [cap or 0]) / MB
    with style():
        figure, axes = new_figure(1, len(uses), width=9.0, height=2.7)
        for ax, (name, use), look in zip(np.atleast_1d(axes), uses.items(), _LOOKS, strict=False):
            color = look["color"]
            course = use.live / MB
            ax.fill_between(np.arange(len(course)), course, color=color, alpha=0.25, linewidth=0)
            ax.plot(course, color=color, linewidth=1)
            floor = np.repeat(use.floors / MB, 2)
            edges = np.linspace(0, len(course), 5)
            ax.plot(
                np.repeat(edges, 2)[1:-1], floor, color="black", linewidth=2,
                label="never less than this, in each quarter",
            )  # fmt: skip
            if cap is not None:
                ax.axhline(cap / MB, color="black", linestyle="--", linewidth=1)
                ax.annotate(
                    "cap", (1, cap / MB), (0, 3), xycoords=("axes fraction", "data"),
                    textcoords="offset points", ha="right",
                )  # fmt: skip
            ax.set_ylim(0, 1.12 * top)
            ax.set_xlim(0, max(1, len(course)))
            ax.set_title(name, fontsize=11, loc="left")
            ax.set_ylabel("live tensors (MB)")
        np.atleast_1d(axes)[-1].set_xlabel("operations run")
        np.atleast_1d(axes)[0].legend(loc="upper left", frameon=False, fontsize=9)
    return figure


def say_memory(use: MemoryUse) -> str:
    """The reading in words: the highest point, and what is not given back."""
    return (
        f"At most {use.peak / MB:.2f} MB are live at once. Over {use.steps} steps the floor rises "
        f"by {use.growth / MB:.3f} MB with every step."
    )


def gradient_error(found: list[np.ndarray], whole: list[np.ndarray]) -> tuple[float, float]:
    """How far a gradient lies from another one, and how long it is, both over the other's length.

    Args:
        found, whole: one array a parameter, of the same shapes.
    """
    a, b = (np.concatenate([x.ravel() for x in g]).astype(np.float64) for g in (found, whole))
    length = float(np.linalg.norm(b))
    with np.errstate(all="ignore"):  # a gradient may have left the range of numbers
        distance, own = float(np.linalg.norm(a - b)), float(np.linalg.norm(a))
    if not math.isfinite(distance):
        return math.inf, math.inf
    return (distance / length, own / length) if length else (distance, own)
