"""Does the accelerator wait for data? Waiting, computing and reading on one clock."""

from __future__ import annotations

import io
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from grader.datasets.storage import Storage
from grader.instruments.style import HATCH, OTHER, REPAIRED, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Timeline:
    """One epoch, seen from the loop that trains. Times are seconds of `time.monotonic`.

    Attributes:
        waits: float (S, 2), start and end of the wait for the batch of every step.
        computes: float (S, 2), start and end of the computation of every step.
        reads: float (R, 2), start and end of every read of a file, by start.
    """

    waits: np.ndarray
    computes: np.ndarray
    reads: np.ndarray

    @property
    def steps(self) -> int:
        """Number of batches that arrived."""
        return len(self.waits)

    @property
    def waiting(self) -> np.ndarray:
        """Seconds waited for each batch, (S,)."""
        return self.waits[:, 1] - self.waits[:, 0]

    @property
    def computing(self) -> np.ndarray:
        """Seconds computed in each step, (S,)."""
        return self.computes[:, 1] - self.computes[:, 0]

    @property
    def wait_ms(self) -> float:
        """Mean wait for a batch, in milliseconds, without the first; NaN with fewer than two steps.

        The first wait holds the start-up (forking workers, tracing a pipeline), which is paid once
        and says nothing about the steps that follow.
        """
        return 1000 * float(self.waiting[1:].mean()) if self.steps > 1 else float("nan")

    @property
    def compute_ms(self) -> float:
        """Mean computation of a step, in milliseconds, without the first step."""
        return 1000 * float(self.computing[1:].mean()) if self.steps > 1 else float("nan")

    @property
    def step_ms(self) -> float:
        """Mean time of a step, in milliseconds, without the first step."""
        return self.wait_ms + self.compute_ms

    @property
    def waiting_share(self) -> float:
        """Waiting as a share of a step, 0..1, without the first step."""
        return self.wait_ms / self.step_ms

    @property
    def reading_steps(self) -> float:
        """Share of the steps in which a file was being read while the accelerator computed, 0..1.

        Steps after the last read began are left out, because nothing was left to read; 0 when
        there are no others.
        """
        if not len(self.reads):
            return 0.0
        open_steps = self.computes[self.computes[:, 0] < self.reads[:, 0].max()]
        if not len(open_steps):
            return 0.0
        started = self.reads[None, :, 0] < open_steps[:, None, 1]
        unfinished = self.reads[None, :, 1] > open_steps[:, None, 0]
        return float((started & unfinished).any(axis=1).mean())

    @property
    def parallel_reads(self) -> float:
        """Share of the reads during which another file was being read as well, 0..1; 0 for none.

        A count, not a time: one reader reaches exactly 0 on any machine, however busy.
        """
        if not len(self.reads):
            return 0.0
        starts, ends = self.reads[:, 0], self.reads[:, 1]
        under_way = (starts[None, :] < ends[:, None]) & (ends[None, :] > starts[:, None])
        return float((under_way.sum(axis=1) > 1).mean())  # every read meets itself

    @property
    def reads_at_once(self) -> int:
        """The largest number of reads under way at the same time."""
        starts, ends = self.reads[:, 0], self.reads[:, 1]
        # A read that begins in the very moment another one ends does not count as a second one.
        return max((int((starts <= t).sum() - (ends <= t).sum()) for t in starts), default=0)

    @property
    def read_ahead_share(self) -> float:
        """Share of the epoch's reads that had finished when the first batch arrived, 0..1."""
        if not self.steps or not len(self.reads):
            return 0.0
        return float((self.reads[:, 1] <= self.waits[0, 1]).mean())


def measure_overlap(
    loader: Iterable[Any],
    compute: Callable[[Any], None],
    storage: Storage,
    *,
    steps: int | None = None,
    each: Callable[[Any], None] | None = None,
) -> Timeline:
    """Run one epoch, or its first `steps` steps, and note waiting, computing and reading.

    The reads are all those since the storage was last told to forget, so that reads made while the
    loader was built count as well.

    Args:
        loader: yields batches.
        compute: takes one batch and returns when the accelerator is done with it.
        storage: where the loader reads; its log tells the reads.
        steps: no more steps than this.
        each: given every batch, outside of what is measured.
    """
    waits: list[tuple[float, float]] = []
    computes: list[tuple[float, float]] = []
    batches = iter(loader)
    while steps is None or len(waits) < steps:
        asked = time.monotonic()
        try:
            batch = next(batches)
        except StopIteration:
            break
        came = time.monotonic()
        compute(batch)
        waits.append((asked, came))
        computes.append((came, time.monotonic()))
        if each is not None:
            each(batch)
    return Timeline(
        _pairs(waits), _pairs(computes), _pairs([(r.start, r.end) for r in storage.reads()])
    )


def _pairs(intervals: Sequence[tuple[float, float]]) -> np.ndarray:
    return np.array(intervals, dtype=float).reshape(-1, 2)


# ---- two loaders to compare with, without a framework --------------------------------------------

Batch = tuple[np.ndarray, np.ndarray]


def decode(content: bytes) -> np.ndarray:
    """An image file's bytes as float32 (H, W, 3), RGB, 0..1."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float32) / 255


def in_turn(
    files: Sequence[str], labels: Sequence[int], storage: Storage, batch_size: int
) -> Iterator[Batch]:
    """Batches of images (B, H, W, 3) and labels (B,): one file after the other, when asked."""
    for first in range(0, len(files), batch_size):
        part = slice(first, first + batch_size)
        yield np.stack([decode(storage.read(f)) for f in files[part]]), np.asarray(labels[part])


def ahead(
    files: Sequence[str],
    labels: Sequence[int],
    storage: Storage,
    batch_size: int,
    *,
    readers: int,
    batches: int = 2,
) -> Iterator[Batch]:
    """The same batches, read by `readers` threads, at most `batches` batches ahead of need."""
    if readers < 1:
        raise ValueError(f"{readers} readers cannot read; give at least 1")

    def load(file: str) -> np.ndarray:
        return decode(storage.read(file))

    def finish(futures: list[Future[np.ndarray]], labels: Sequence[int]) -> Batch:
        return np.stack([future.result() for future in futures]), np.asarray(labels)

    with ThreadPoolExecutor(readers) as pool:
        pending: deque[tuple[list[Future[np.ndarray]], Sequence[int]]] = deque()
        for first in range(0, len(files), batch_size):
            part = slice(first, first + batch_size)
            pending.append(([pool.submit(load, file) for file in files[part]], labels[part]))
            if len(pending) > batches:
                yield finish(*pending.popleft())
        while pending:
            yield finish(*pending.popleft())


# ---- pictures and sentences ----------------------------------------------------------------------


def draw_overlap(timelines: Mapping[str, Timeline], *, first: int = 3, steps: int = 5) -> Figure:
    """Waiting, computing and reading on one axis of time, one panel a timeline.

    Args:
        timelines: titles and what was measured; all panels share the scale of time.
        first: the step at which the picture begins.  steps: how many steps it shows.
    """
    with style():
        figure, axes = new_figure(rows=len(timelines), height=2.5)
        panels = list(np.atleast_1d(axes))
        ends = [
            _draw_panel(ax, title, timeline, first, steps)
            for ax, (title, timeline) in zip(panels, timelines.items(), strict=True)
        ]
        for ax in panels:
            ax.set_xlim(0, max(ends))
        panels[-1].set_xlabel("milliseconds")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False)
    return figure


def _draw_panel(ax: Axes, title: str, timeline: Timeline, first: int, steps: int) -> float:
    """Draw one timeline; return its right end in milliseconds."""
    first = min(first, max(0, timeline.steps - steps))
    shown = slice(first, first + steps)
    origin, end = timeline.waits[first, 0], timeline.computes[shown][-1, 1]
    reads = timeline.reads[(timeline.reads[:, 1] > origin) & (timeline.reads[:, 0] < end)]
    lanes = _lanes(reads)
    last = max(lanes, default=0)

    def bars(intervals: np.ndarray, lane: float, height: float, **look: Any) -> None:
        ms = 1000 * (np.clip(intervals, origin, end) - origin)
        ax.broken_barh(
            [(a, b - a) for a, b in ms], (lane - height / 2, height), edgecolor="black", **look
        )

    bars(timeline.computes[shown], 0, 0.9, facecolor=REPAIRED["color"], label="computes")
    bars(
        timeline.waits[shown],
        0,
        0.9,
        facecolor="white",
        hatch=HATCH["sick"],
        label="waits for a batch",
    )
    height = min(0.9, 2.4 / (last + 1))
    for lane in range(last + 1):
        bars(
            reads[[of == lane for of in lanes]],
            -1.2 - lane * height,
            height,
            facecolor="#d9d9d9",
            hatch=HATCH["other"],
            linewidth=0.5,
            label="reads a file" if lane == 0 else None,
        )
    ax.set_yticks([0, -1.2 - last * height / 2], ["accelerator", "storage"])
    ax.set_ylim(-1.4 - (last + 0.5) * height, 0.7)
    ax.set_title(title, loc="left", fontsize=11)
    ax.grid(axis="y", visible=False)
    ax.set_axisbelow(True)
    return 1000 * (end - origin)


def _lanes(intervals: np.ndarray) -> list[int]:
    """For each interval the first lane that is free when it begins, as parallel readers appear."""
    free: list[float] = []
    lanes = []
    for start, end in intervals:
        lane = next((i for i, until in enumerate(free) if until <= start), len(free))
        if lane == len(free):
            free.append(end)
        else:
            free[lane] = end
        lanes.append(lane)
    return lanes


def say_overlap(timeline: Timeline) -> str:
    """The numbers of a timeline in one sentence."""
    most = timeline.reads_at_once
    return (
        f"A step takes {timeline.step_ms:.0f} ms, {timeline.wait_ms:.0f} ms of it waiting and "
        f"{timeline.compute_ms:.0f} ms "
        f"computing: the accelerator waits for {timeline.waiting_share:.0%} of the time; files are "
        f"read during {timeline.reading_steps:.0%} of the computations, at most {most} "
        f"file{'' if most == 1 else 's'} at once."
    )


def draw_readers(step_ms: Mapping[int, float], *, load_ms: float, compute_ms: float) -> Figure:
    """Step time against the number of readers, with what waiting alone would give.

    Args:
        step_ms: readers and the mean step they reached, in ms, at least two; 0 readers: the loop
            itself reads.
        load_ms: a batch read in turn, in ms.  compute_ms: the computation of a step, in ms.
    """
    readers, measured = list(step_ms), list(step_ms.values())
    ideal = [max(load_ms / n, compute_ms) if n else load_ms + compute_ms for n in readers]
    places = range(len(readers))
    with style():
        figure, ax = new_figure()
        ax.plot(places, ideal, **OTHER)
        ax.plot(places, measured, **REPAIRED)
        ax.axhline(compute_ms, color="black", linewidth=0.8)
        ax.annotate(
            f"computation, {compute_ms:.0f} ms",
            (0, compute_ms),
            xytext=(0, -4),
            textcoords="offset points",
            va="top",
        )
        # The names stand where the two lines lie farthest apart: where reading ahead does not yet
        # suffice, at the second point.
        above = 1 if measured[1] >= ideal[1] else -1
        for name, value, side in (("measured", measured[1], above), ("rule", ideal[1], -above)):
            ax.annotate(
                name, (1, value), xytext=(10, 12 * side), textcoords="offset points", va="center"
            )
        ax.set_xticks(places, ["in turn", *map(str, readers[1:])] if 0 in step_ms else readers)
        ax.set_xlabel("files read at once, ahead of need")
        ax.set_ylabel("step (ms)")
        ax.set_ylim(0)
    return figure


def say_readers(step_ms: Mapping[int, float], *, load_ms: float, compute_ms: float) -> str:
    """The sweep over readers in one sentence."""
    steps = ", ".join(
        f"{ms:.0f} ms {'in turn' if n == 0 else f'with {n}'}" for n, ms in step_ms.items()
    )
    return (
        f"A step takes {steps}; the rule max(load / readers, computation), with {load_ms:.0f} ms "
        f"load and {compute_ms:.0f} ms computation, reaches the computation at "
        f"{int(np.ceil(load_ms / compute_ms))} readers."
    )
