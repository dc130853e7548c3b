"""How often files are opened, by whatever program, framework or worker process opens them."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import Any

# From the system's header <sys/inotify.h>.
_OPENED, _CLOSED_UNWRITTEN, _CLOSED_WRITTEN = 0x20, 0x10, 0x08
_IS_FOLDER = 0x40000000
_EVENT = struct.Struct("iIII")


class OpenCounter:
    """Counts opens of the files in some folders, and in the folders below them, while it is active.

    Linux itself reports them (inotify), so that a file opened by a framework's native code, by a
    memory map or by a worker process counts like any other. Two opens without a close between them
    may count as one. Elsewhere a file counts once when its time of last access changes.

    Attributes:
        opens: times by path, complete when the `with` block has ended.

    Example:
        with OpenCounter("photographs") as counter:
            read_everything()
        print(counter.opens.total())
    """

    def __init__(self, *folders: str | os.PathLike[str]) -> None:
        self.folders = [Path(folder) for folder in folders]
        self.opens: Counter[Path] = Counter()
        self._descriptor = -1
        self._watched: dict[int, Path] = {}

    def __enter__(self) -> OpenCounter:
        if sys.platform == "linux":
            self._watch()
        else:
            _forget_access(self._files())
        return self

    def __exit__(self, *_: Any) -> None:
        if sys.platform == "linux":
            try:
                self._count()
            finally:
                os.close(self._descriptor)
        else:
            self.opens.update(file for file in self._files() if _accessed(file))

    def within(self, folder: str | os.PathLike[str]) -> Counter[Path]:
        """The opens in one folder and those below it."""
        root = Path(folder)
        inside = {path: times for path, times in self.opens.items() if root in path.parents}
        return Counter(inside)

    def _files(self) -> list[Path]:
        return [path for folder in self.folders for path in folder.rglob("*") if path.is_file()]

    def _watch(self) -> None:
        system = ctypes.CDLL(None, use_errno=True)
        self._descriptor = system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "the system watches no more files for this program")
        for folder in self.folders:
            for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
                watch = system.inotify_add_watch(
                    self._descriptor,
                    os.fsencode(place),
                    # Equal events in a row become one; a close between two opens keeps them apart.
                    _OPENED | _CLOSED_UNWRITTEN | _CLOSED_WRITTEN,
                )
                if watch < 0:
                    raise OSError(ctypes.get_errno(), f"{place} cannot be watched")
                self._watched[watch] = place

    def _count(self) -> None:
        while True:
            try:
                events = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return
            start = 0
            while start < len(events):
                watch, what, _, length = _EVENT.unpack_from(events, start)
                start += _EVENT.size
                name = events[start : start + length].rstrip(b"\0")
                start += length
                if watch in self._watched and what & _OPENED and not what & _IS_FOLDER:
                    self.opens[self._watched[watch] / os.fsdecode(name)] += 1


def _forget_access(files: list[Path]) -> None:
    # Systems that write down the last access do so when it lies before the last change.
    for file in files:
        os.utime(file, ns=(0, file.stat().st_mtime_ns))


def _accessed(file: Path) -> bool:
    return file.stat().st_atime_ns != 0
