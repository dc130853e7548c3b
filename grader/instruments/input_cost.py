"""What do the images cost before the model sees them? Stages of one image, counts of one epoch."""

from __future__ import annotations

import io
import itertools
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Patch
from PIL import Image
from threadpoolctl import threadpool_limits

from grader.datasets.opens import OpenCounter
from grader.instruments.style import HATCH, REPAIRED, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# ---- the stages of one image ---------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """One step of an image on its way to the model, as a mean over images.

    Attributes:
        name: of the step.
        ms: processor time, in milliseconds an image.
        dtype: of what leaves the step; "bytes" for the content of a file.
        kilobytes: size of what leaves the step, in units of 1,000 bytes.
        same: True where the result for an image is the same in every epoch.
    """

    name: str
    ms: float
    dtype: str
    kilobytes: float
    same: bool


@dataclass(frozen=True)
class StageCosts:
    """The stages in the order in which an image passes them."""

    stages: tuple[Stage, ...]

    @property
    def ms(self) -> float:
        """Processor time of one image, in milliseconds."""
        return sum(stage.ms for stage in self.stages)

    @property
    def same_share(self) -> float:
        """Share of the processor time whose result is the same in every epoch, 0..1."""
        return sum(stage.ms for stage in self.stages if stage.same) / self.ms

    @property
    def largest(self) -> Stage:
        """The stage that gives out most bytes."""
        return max(self.stages, key=lambda stage: stage.kilobytes)

    def table(self) -> str:
        """Milliseconds, share, type and size of each stage, as text."""
        lines = ["stage               ms  share       KB  type"]
        lines += [
            f"{s.name:16s} {s.ms:5.2f}  {s.ms / self.ms:5.0%} {s.kilobytes:8.1f}  {s.dtype}"
            for s in self.stages
        ]
        return "\n".join([*lines, f"{'one image':16s} {self.ms:5.2f}"])


def measure_stages(
    fw: ModuleType | None,
    stages: Mapping[str, Callable[[Any], Any]],
    files: Sequence[str],
    *,
    drawn: Collection[str] = ("flip",),
) -> StageCosts:
    """Send files through the stages, one after the other, and note what each stage takes.

    Processor time, not time on the wall: another busy program changes it little.

    Args:
        fw: the framework's adapter, whose tensors the stages may hand on; None where they hand on
            bytes and arrays only.
        stages: by name, in order. The first one takes a path, each of the others what the one
            before it returned.
        files: at least one. The first is sent through once more beforehand, unmeasured, so that
            imports and tracing do not count.
        drawn: names of the stages that draw at random, whose result differs between epochs.
    """
    if not files:
        raise ValueError("without files there is nothing to measure")
    seconds = dict.fromkeys(stages, 0.0)
    sizes = dict.fromkeys(stages, 0)
    kinds: dict[str, str] = {}
    for place, file in enumerate([files[0], *files]):
        value: Any = file
        for name, stage in stages.items():
            start = time.process_time()
            value = stage(value)
            spent = time.process_time() - start
            if place:
                kinds[name], size = _kind_and_size(fw, value)
                seconds[name] += spent
                sizes[name] += size
    n = len(files)
    return StageCosts(
        tuple(
            Stage(
                name=name,
                ms=1000 * seconds[name] / n,
                dtype=kinds[name],
                kilobytes=sizes[name] / n / 1000,
                same=name not in drawn,
            )
            for name in stages
        )
    )


def _kind_and_size(fw: ModuleType | None, value: Any) -> tuple[str, int]:
    """Type and bytes of what leaves a stage."""
    array = value if isinstance(value, bytes) or fw is None else fw.to_numpy(value)
    if not isinstance(array, bytes):
        array = np.asarray(array)
        if array.dtype != object:
            return str(array.dtype), array.nbytes
        array = array.item()  # a framework's string tensor
    return "bytes", len(array)


def plain_stages(
    size: int, mean: Sequence[float], std: Sequence[float]
) -> dict[str, Callable[[Any], Any]]:
    """A wasteful way of preparing a photograph, without a framework: a control to measure against.

    Decode, convert to float64, flip and only then shrink to `size`, and standardise pixel by pixel.
    Every second photograph is mirrored, beginning with the first.
    """
    mean_, std_ = np.asarray(mean, float), np.asarray(std, float)

    def read(file: str) -> bytes:
        return Path(file).read_bytes()

    def decode(content: bytes) -> np.ndarray:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))

    def to_float(pixels: np.ndarray) -> np.ndarray:
        return pixels / 255

    turn = itertools.cycle((True, False))

    def flip(pixels: np.ndarray) -> np.ndarray:
        return pixels[:, ::-1].copy() if next(turn) else pixels

    def shrink(pixels: np.ndarray) -> np.ndarray:
        planes = np.moveaxis(pixels, -1, 0).astype(np.float32)
        channels = [Image.fromarray(plane) for plane in planes]
        small = [c.resize((size, size), Image.Resampling.BILINEAR) for c in channels]
        return np.stack([np.asarray(c, dtype=np.float64) for c in small], axis=-1)

    def standardise(pixels: np.ndarray) -> np.ndarray:
        done = np.empty_like(pixels)
        for y in range(size):
            for x in range(size):
                done[y, x] = (pixels[y, x] - mean_) / std_
        return done

    return {
        "read": read,
        "decode": decode,
        "to float": to_float,
        "flip": flip,
        "shrink": shrink,
        "standardise": standardise,
    }


# ---- one epoch -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EpochCost:
    """What one epoch of batches took.

    Attributes:
        images: that were handed out.
        seconds: of processor time, worker processes included once they have ended.
        originals: how often one of the photographs was opened.
        stored: how often a file of the store was opened.
        opened_bytes: of all files that were opened, each counted once.
    """

    images: int
    seconds: float
    originals: int
    stored: int
    opened_bytes: int

    @property
    def ms(self) -> float:
        """Processor time of one image, in milliseconds; NaN without images."""
        return 1000 * self.seconds / self.images if self.images else float("nan")

    @property
    def opens(self) -> int:
        """How often a file was opened."""
        return self.originals + self.stored

    @property
    def megabytes(self) -> float:
        """Size of the files that were opened, in units of 1,000,000 bytes."""
        return self.opened_bytes / 1e6


def measure_epoch(
    fw: ModuleType,
    begin: Callable[[], Iterable[Any]],
    originals: str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    each: Callable[[Any], None] | None = None,
) -> EpochCost:
    """Run one epoch; count the files it opens and the processor time it takes.

    With one thread a pool: on busy cores a second one, which turns in a circle while it waits for
    its turn, has been seen to take thirty times what the work takes.

    Args:
        fw: the framework's adapter.
        begin: called once, returns the epoch's batches, pairs of images and labels.
        originals: folder of the photographs.
        store: folder of what was made of them; neither folder lies in the other.
        each: given every batch. What it takes counts as the epoch's, so it has to be cheap.
    """
    images = 0
    with OpenCounter(originals, store) as counter, threadpool_limits(1):
        start = _processor_seconds()
        for batch in begin():
            if each is not None:
                each(batch)
            images += len(fw.to_numpy(batch[1]))
        seconds = _processor_seconds() - start
    return EpochCost(
        images,
        seconds,
        counter.within(originals).total(),
        counter.within(store).total(),
        sum(path.stat().st_size for path in counter.opens if path.exists()),
    )


def _processor_seconds() -> float:
    """Of this process, all its threads, and its child processes that have ended."""
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def bytes_in(folder: str | os.PathLike[str]) -> int:
    """Size of all files in a folder and those below it."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


# ---- pixels --------------------------------------------------------------------------------------


def finest_detail(images: np.ndarray) -> np.ndarray:
    """Root mean square of what an image of half the size cannot hold, of each image: (N,).

    That is the half of the waves that are shorter than four pixels along a row or a column, by the
    cosine transform. A difference between two images is small or large beside this number: a
    photograph stored at half the size differs from itself by about as much.

    Args:
        images: (N, H, W, C), on any scale; what is returned is on the same.
    """
    values = np.asarray(images, np.float64)
    down, along = (_cosines(n) for n in values.shape[1:3])
    waves = np.einsum("uh,nhwc,vw->nuvc", down, values, along, optimize=True)
    waves[:, : -(-len(down) // 2), : -(-len(along) // 2)] = 0
    return np.asarray(np.sqrt((waves**2).mean(axis=(1, 2, 3))))


def _cosines(n: int) -> np.ndarray:
    """Orthonormal cosine transform (type II) of n values, longest wave first: (n, n)."""
    waves = np.cos(np.pi * np.arange(n)[:, None] * (np.arange(n) + 0.5) / n) * np.sqrt(2 / n)
    waves[0] /= np.sqrt(2)
    return np.asarray(waves)


# ---- pictures and sentences ----------------------------------------------------------------------


def draw_stages(costs: StageCosts) -> Figure:
    """Processor time of each stage, and what leaves it; the work that repeats is hatched."""
    stages = costs.stages
    places = np.arange(len(stages))[::-1]
    with style():
        figure, (left, right) = new_figure(columns=2, width=10.5, height=3.6)
        for place, stage in zip(places, stages, strict=True):
            look: dict[str, Any] = (
                {"facecolor": "white", "hatch": HATCH["sick"]}
                if stage.same
                else {"facecolor": REPAIRED["color"]}
            )
            left.barh(place, stage.ms, edgecolor="black", **look)
            _beside(left, stage.ms, place, f"{stage.ms:.2f}")
            right.barh(place, stage.kilobytes, color="#d9d9d9", edgecolor="black")
            _beside(right, stage.kilobytes, place, f"{stage.kilobytes:.0f}, {stage.dtype}")
        for ax in (left, right):
            ax.set_yticks(places, [stage.name for stage in stages])
            ax.grid(axis="y", visible=False)
        left.set_xlim(0, 1.2 * max(stage.ms for stage in stages))
        right.set_xlim(0, 1.5 * costs.largest.kilobytes)
        left.set_xlabel("processor time of one image (ms)")
        right.set_xlabel("what leaves the stage (KB)")
        same, drawn = "the same result in every epoch", "drawn anew in every epoch"
        figure.legend(
            handles=[
                Patch(facecolor="white", edgecolor="black", hatch=HATCH["sick"], label=same),
                Patch(facecolor=REPAIRED["color"], edgecolor="black", label=drawn),
            ],
            loc="outside upper center",
            ncols=2,
            frameon=False,
        )
    return figure


def say_stages(costs: StageCosts) -> str:
    """The stages in one sentence."""
    dearest = max(costs.stages, key=lambda stage: stage.ms)
    last = costs.stages[-1]
    return (
        f"One image takes {costs.ms:.1f} ms of processor time, the largest part of it "
        f"({dearest.ms:.1f} ms) in {dearest.name!r}; {costs.same_share:.0%} of the time gives the "
        f"same result in every epoch. On the way it grows to {costs.largest.kilobytes:.0f} KB "
        f"({costs.largest.dtype}); {last.kilobytes:.0f} KB ({last.dtype}) reach the model."
    )


def draw_epochs(epochs: Mapping[str, EpochCost]) -> Figure:
    """Files opened, their size and the processor time of an epoch, one bar a program."""
    measures: list[tuple[str, Callable[[EpochCost], float], str]] = [
        ("files opened, an epoch", lambda epoch: epoch.opens, "{:.0f}"),
        ("size of these files (MB)", lambda epoch: epoch.megabytes, "{:.2f}"),
        ("processor time of one image (ms)", lambda epoch: epoch.ms, "{:.2f}"),
    ]
    places = np.arange(len(epochs))[::-1]
    with style():
        figure, axes = new_figure(columns=3, width=11, height=1.2 + 0.55 * len(epochs))
        for ax, (title, value, form) in zip(axes, measures, strict=True):
            for place, (name, epoch) in zip(places, epochs.items(), strict=True):
                look = look_of(name)
                ax.barh(
                    place,
                    value(epoch),
                    facecolor="white",
                    edgecolor=look["color"],
                    hatch=HATCH.get(name, HATCH["other"]),
                )
                _beside(ax, value(epoch), place, form.format(value(epoch)))
            ax.set_xlim(0, 1.3 * max(*(value(e) for e in epochs.values()), 1e-9))
            ax.set_xlabel(title)
            ax.set_yticks(places, list(epochs) if ax is axes[0] else [""] * len(epochs))
            ax.grid(axis="y", visible=False)
    return figure


def _beside(ax: Axes, value: float, place: float, words: str) -> None:
    """Words at the end of a horizontal bar."""
    ax.annotate(words, (value, place), (4, 0), textcoords="offset points", va="center", fontsize=9)


def say_epochs(epochs: Mapping[str, EpochCost]) -> str:
    """Each program's epoch in one sentence."""
    return " ".join(
        f"The {name} program opens {epoch.opens} files ({epoch.megabytes:.2f} MB) for "
        f"{epoch.images} images and takes {epoch.ms:.2f} ms of processor time an image."
        for name, epoch in epochs.items()
    )
