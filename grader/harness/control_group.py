"""A Linux control group for one kernel: all its processes together get so much memory.

Address space is limited for each process by itself, and as root the system does not limit the
number of processes at all; a control group covers both, where this process may make one.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_PREFIX = "cnn-clinic"
_CONTROLLERS = ("memory", "pids")
_numbers = itertools.count()


class ControlGroup:
    """Folders of the control group file system, version 1 or 2, that limit a kernel."""

    def __init__(self, memory: int, processes: int) -> None:
        """Make the group, as far as the system lets us; see `limits`.

        Args:
            memory: bytes.  processes: threads count as well.
        """
        name = f"{_PREFIX}-{os.getpid()}-{next(_numbers)}"
        self._folders: dict[str, Path] = {}
        for controller, parent in _parents().items():
            folder = parent / name
            try:
                folder.mkdir(exist_ok=True)
                self._set(controller, folder, memory, processes)
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            else:
                self._folders[controller] = folder

    @property
    def limits(self) -> frozenset[str]:
        """What it limits: "memory", "pids", both or nothing."""
        return frozenset(self._folders)

    @staticmethod
    def _set(controller: str, folder: Path, memory: int, processes: int) -> None:
        if controller == "pids":
            (folder / "pids.max").write_text(str(processes))
        elif (folder / "memory.max").exists():
            (folder / "memory.max").write_text(str(memory))
            with contextlib.suppress(OSError):  # no swap here
                (folder / "memory.swap.max").write_text("0")
        else:
            (folder / "memory.limit_in_bytes").write_text(str(memory))
            with contextlib.suppress(OSError):
                (folder / "memory.memsw.limit_in_bytes").write_text(str(memory))

    def add(self, pid: int) -> None:
        """Put a process and its later children into the group."""
        for folder in set(self._folders.values()):
            (folder / "cgroup.procs").write_text(str(pid))

    def has_run_out_of(self) -> str:
        """Return "memory" or "pids" when the system refused more of it, otherwise ""."""
        for controller, file, counter in (
            ("memory", "memory.events", "oom_kill"),
            ("memory", "memory.oom_control", "oom_kill"),
            ("pids", "pids.events", "max"),
        ):
            folder = self._folders.get(controller)
            if folder is not None and _count(folder / file, counter):
                return controller
        return ""

    def remove(self) -> None:
        """Remove the group, once its processes have ended."""
        for folder in set(self._folders.values()):
            for _ in range(200):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.01)  # its last process is about to end
                else:
                    break
        self._folders = {}


def _count(file: Path, counter: str) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return next((int(n) for name, n in map(str.split, lines) if name == counter), 0)


def _parents() -> dict[str, Path]:
    """For each controller the folder of the group in which this process is."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return {}
    found = {}
    for controllers, path in (line.split(":", 2)[1:] for line in lines):
        for controller in _CONTROLLERS:
            if controller in controllers.split(","):
                found[controller] = _folder(_ROOT / controllers, path)
    unified = next((line[3:] for line in lines if line.startswith("0::")), None)
    if unified is not None and (_ROOT / "cgroup.controllers").exists():
        folder = _folder(_ROOT, unified)
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text("+memory +pids")
        with contextlib.suppress(OSError):
            given = (folder / "cgroup.subtree_control").read_text().split()
            found.update((c, folder) for c in _CONTROLLERS if c in given)
    return found


def _folder(root: Path, path: str) -> Path:
    """The group's folder; in a container the path may be that of the machine outside."""
    folder = root / path.lstrip("/")
    return folder if folder.is_dir() else root


def remove_left_behind() -> None:
    """Remove the groups of owners that were killed before they could."""
    for parent in set(_parents().values()):
        for folder in _left_behind(parent):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _left_behind(parent: Path) -> Iterator[Path]:
    for folder in parent.glob(f"{_PREFIX}-*"):
        owner = folder.name.split("-")[2]
        if not Path("/proc", owner).exists():
            yield folder
