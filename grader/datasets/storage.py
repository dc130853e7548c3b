"""Image files on a storage that answers late, as a network disk does; every read is logged."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grader.datasets import folder
from grader.datasets.images import Images
from grader.errors import ClinicError

_LOG = ".reads"


@dataclass(frozen=True)
class Read:
    """One read of one file.

    Attributes:
        file: path below the storage's root.
        start, end: seconds of `time.monotonic`, which all processes of a machine share.
        reader: process and thread that read, "812/140243".
    """

    file: str
    start: float
    end: float
    reader: str


class Storage:
    """Files behind a latency; can be handed to threads, forked processes and pickled.

    The latency is slept, not computed, so that waiting for many files at once costs no processor
    time, as with a real network disk.

    Args:
        root: folder of the files.
        latency: seconds from asking for a file to its first byte.
    """

    def __init__(self, root: str | os.PathLike[str], latency: float) -> None:
        self.root = Path(root)
        self.latency = latency
        self._log = self.root / _LOG

    def read(self, file: str | bytes | np.ndarray) -> bytes:
        """The bytes of one file, after the latency.

        Args:
            file: a path below the root, as text, as bytes, or as the array of shape () that a
                TensorFlow operation hands over.

        Raises:
            ClinicError: there is no such file.
        """
        name = os.fsdecode(file.item() if isinstance(file, np.ndarray) else file)
        start = time.monotonic()
        time.sleep(self.latency)
        try:
            content = (self.root / name).read_bytes()
        except OSError:
            raise ClinicError(
                f"The storage has no file {name!r}; ask for one of the files it was given."
            ) from None
        end = time.monotonic()
        # One write of one short line to a file opened for appending is not split, so that worker
        # processes can share the log without a lock.
        line = f"{start:.6f} {end:.6f} {os.getpid()}/{threading.get_ident()} {name}\n"
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(log, line.encode())
        finally:
            os.close(log)
        return content

    def reads(self) -> list[Read]:
        """All finished reads since the last `forget`, by the time they began."""
        if not self._log.exists():
            return []
        reads = []
        for line in self._log.read_text(encoding="utf-8").splitlines():
            start, end, reader, file = line.split(" ", 3)
            reads.append(Read(file, float(start), float(end), reader))
        return sorted(reads, key=lambda read: read.start)

    def forget(self) -> None:
        """Empty the log."""
        self._log.unlink(missing_ok=True)


def store(images: Images, latency: float) -> tuple[Storage, list[str]]:
    """Write images as JPEG files to a temporary folder behind a latency.

    Returns:
        The storage and its files in the order of the images. The folder is removed with the
        storage.
    """
    root = tempfile.mkdtemp(prefix="cnn-clinic-")
    files = folder.write_folder(images, Path(root) / "files")
    storage = Storage(Path(root) / "files", latency)
    weakref.finalize(storage, _remove, root, os.getpid())
    return storage, list(files)


@contextmanager
def stored(images: Images, latency: float) -> Iterator[tuple[Storage, list[str]]]:
    """As `store`, and the folder is removed at the end of the `with` block.

    Deterministic where `store` is not: a pipeline that a framework keeps until the process ends
    keeps its storage too.
    """
    storage, files = store(images, latency)
    try:
        yield storage, files
    finally:
        shutil.rmtree(storage.root.parent, ignore_errors=True)


def _remove(root: str, owner: int) -> None:
    # A forked worker inherits the finalizer, but not the folder.
    if os.getpid() == owner:
        shutil.rmtree(root, ignore_errors=True)
