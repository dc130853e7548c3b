"""What a call of `grader autograde` was doing, for the next one to say when it was cut short.

Grades do not depend on it: those are compared with the results and the gradebook themselves.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from grader.harness.batch import Name


class Journal:
    """A file of JSON lines, started anew by every call.

    Attributes:
        interrupted: whether the call before did not come to its end.
        running: tasks that it had begun and not finished.
        not_entered: students whose results were kept and not entered into the gradebook.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.interrupted = False
        self.running: list[Name] = []
        self.not_entered: list[str] = []
        self._read()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")

    def begun(self, task: Name) -> None:
        """A task was handed to a worker."""
        self._write({"begun": task})

    def kept(self, task: Name) -> None:
        """The result of a task is in the store."""
        self._write({"kept": task})

    def entered(self, student: str) -> None:
        """A submission is in the gradebook."""
        self._write({"entered": student})

    def end(self) -> None:
        """The call has come to its end."""
        self._write({"end": True})

    def close(self) -> None:
        """Close the file; what a full disk did not take has been told before."""
        with contextlib.suppress(OSError):
            self._file.close()

    def sentence(self) -> str:
        """What the call before left, in a line; "" when it came to its end."""
        if not self.interrupted:
            return ""
        parts = ["The call before was interrupted."]
        if self.running:
            parts.append(f"Not finished: {_listed([f'{n} of {s}' for s, n in self.running])}.")
        if self.not_entered:
            parts.append(f"Graded and not yet in the gradebook: {_listed(self.not_entered)}.")
        return " ".join([*parts, "This call goes on from there."])

    def _read(self) -> None:
        if not self._path.is_file():
            return
        running: dict[Name, None] = {}
        waiting: dict[str, None] = {}
        self.interrupted = True
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            match _entry(line):
                case {"begun": [str(student), str(notebook)]}:
                    running[Name(student, notebook)] = None
                case {"kept": [str(student), str(notebook)]}:
                    running.pop(Name(student, notebook), None)
                    waiting[student] = None
                case {"entered": str(student)}:
                    waiting.pop(student, None)
                case {"end": True}:
                    self.interrupted = False
        unfinished = {student for student, _ in running}
        self.running = list(running)
        self.not_entered = [student for student in waiting if student not in unfinished]

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


def _entry(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None  # the line that was being written


def _listed(names: list[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
