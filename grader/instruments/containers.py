"""What does a container notice? Images are written, read back, and read from damaged copies."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grader.datasets.opens import OpenCounter
from grader.instruments.input_cost import bytes_in

KEPT = 0.6
"""Share of a file that is left when it is cut off."""
STRUCK = 0.55
"""Where in a file one byte changes, as a share of its length; not the border of two records."""

Write = Callable[[Path], object]
Read = Callable[[Path], Iterable[tuple[int, np.ndarray | None]]]


@dataclass(frozen=True)
class Arrived:
    """What a reader handed out.

    Attributes:
        right: images equal to what was written.  changed: images that are not.
        missing: images that were not handed out, or handed out as damaged.
        error: type of the error that ended the reading, "" where it went on to the end.
    """

    right: int
    changed: int
    missing: int
    error: str = ""

    def __str__(self) -> str:
        stopped = f", stopped by {self.error}" if self.error else ""
        return f"{self.right} as written, {self.changed} changed, {self.missing} missing{stopped}"


@dataclass(frozen=True)
class Container:
    """One way of storing images.

    Attributes:
        kilobytes: stored for an image, in units of 1,000 bytes.
        ms: processor time of reading an image, in milliseconds.
        opens: how often a file was opened while all images were read.
        sound: what arrived as long as nothing was damaged.
        cut: what arrived after the largest file had lost its last 40 %.
        struck: what arrived after one byte of the largest file had changed.
    """

    kilobytes: float
    ms: float
    opens: int
    sound: Arrived
    cut: Arrived
    struck: Arrived


def measure_container(images: np.ndarray, write: Write, read: Read) -> Container:
    """Write images into a folder, read them back, and read two damaged copies of the folder.

    Args:
        images: (N, ...), at least one.
        write: given an empty folder, writes all images into it.
        read: given such a folder, yields pairs of an image's number and the image, or None for one
            that it knows to be damaged. What it raises counts as the end of the reading.
    """
    with tempfile.TemporaryDirectory(prefix="cnn-clinic-") as place:
        folder = Path(place) / "sound"
        folder.mkdir()
        write(folder)
        with OpenCounter(folder) as counter:
            start = time.process_time()
            sound = _arrived(images, read, folder)
            seconds = time.process_time() - start
        return Container(
            kilobytes=bytes_in(folder) / len(images) / 1000,
            ms=1000 * seconds / len(images),
            opens=counter.opens.total(),
            sound=sound,
            cut=_arrived(images, read, _damaged(folder, "cut", _cut)),
            struck=_arrived(images, read, _damaged(folder, "struck", _strike)),
        )


def _arrived(images: np.ndarray, read: Read, folder: Path) -> Arrived:
    right = changed = 0
    error = ""
    try:
        for number, image in read(folder):
            if image is None:
                continue
            if np.array_equal(image, images[number]):
                right += 1
            else:
                changed += 1
    except Exception as stopped:  # whatever a reader raises
        error = type(stopped).__name__
    return Arrived(right, changed, len(images) - right - changed, error)


def _damaged(folder: Path, name: str, harm: Callable[[bytes], bytes]) -> Path:
    """A copy of the folder whose largest file was harmed."""
    copy = folder.with_name(name)
    shutil.copytree(folder, copy)
    files = [path for path in copy.rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: (path.stat().st_size, str(path)))
    largest.write_bytes(harm(largest.read_bytes()))
    return copy


def _cut(content: bytes) -> bytes:
    return content[: int(KEPT * len(content))]


def _strike(content: bytes) -> bytes:
    at = int(STRUCK * len(content))
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


def say_container(name: str, container: Container) -> str:
    """A container in four lines: what it costs, and what arrives in each state."""
    opens = "1 file" if container.opens == 1 else f"{container.opens} files"
    return "\n".join(
        [
            f"{name}: {container.kilobytes:.1f} KB and {container.ms:.2f} ms an image, "
            f"{opens} opened",
            f"    sound             {container.sound}",
            f"    cut off           {container.cut}",
            f"    one byte changed  {container.struck}",
        ]
    )
