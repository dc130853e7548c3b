"""What is booked while a program runs: the blocks of memory that its tensors live in."""

from __future__ import annotations

import tracemalloc
from collections.abc import Hashable

import numpy as np


class Ledger:
    """Bytes of the blocks that somebody holds, after every operation.

    A block is counted once, however many tensors lie in it, and until the last of them is gone.
    What an allocator keeps for later, or rounds up to, is not in it, so that the same program gives
    the same numbers on every machine.

    Attributes:
        live: bytes after every operation.
        entered: (operations that had run, images) of every call of the model.
        arrays: bytes of NumPy's arrays at every call of the model. They are no tensors, and known
            only while `tracemalloc` is tracing, from then on.
    """

    def __init__(self) -> None:
        self.live: list[int] = []
        self.entered: list[tuple[int, int]] = []
        self.arrays: list[int] = []
        self._blocks: dict[Hashable, list[int]] = {}
        self._now = 0

    def hold(self, block: Hashable, size: int) -> None:
        """One more tensor lies in a block; the first one tells how many bytes it has."""
        if block in self._blocks:
            self._blocks[block][0] += 1
        else:
            self._blocks[block] = [1, size]
            self._now += size

    def drop(self, block: Hashable) -> None:
        """One tensor less lies in a block."""
        held = self._blocks[block]
        held[0] -= 1
        if not held[0]:
            del self._blocks[block]
            self._now -= held[1]

    def note(self) -> None:
        """An operation is over."""
        self.live.append(self._now)

    def enter(self, images: int) -> None:
        """The model is called."""
        self.entered.append((len(self.live), images))
        if tracemalloc.is_tracing():
            traces = tracemalloc.take_snapshot().traces
            self.arrays.append(
                sum(trace.size for trace in traces if trace.domain == np.lib.tracemalloc_domain)
            )

    @property
    def now(self) -> int:
        """Bytes that are held now."""
        return self._now
