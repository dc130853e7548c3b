"""The order of a batch: which task runs, what becomes of it. Events in, instructions out, no I/O.

Every task ends with exactly one instruction to save a result or to give up, in whatever order
events come, unless the batch is stopped before. A task whose worker died is run once more, after
all others that wait: one bad notebook must not take worker after worker with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

ATTEMPTS = 2


class Name(NamedTuple):
    """A task: one notebook of one student's submission."""

    student: str
    notebook: str


@dataclass(frozen=True)
class Added:
    """A submission joined, with the notebooks that are to be run; none where all are known."""

    student: str
    notebooks: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """A worker has brought a task to its end."""

    task: Name


@dataclass(frozen=True)
class WorkerLost:
    """The worker of a task died, or could not run it; `why` is a sentence."""

    task: Name
    why: str


@dataclass(frozen=True)
class TimedOut:
    """A task took the time of a whole notebook and more, and its worker was ended."""

    task: Name
    why: str


@dataclass(frozen=True)
class Stopped:
    """Somebody wants the batch to end; what still runs is left."""


Event = Added | Finished | WorkerLost | TimedOut | Stopped


@dataclass(frozen=True)
class Run:
    """Hand the task to a worker."""

    task: Name


@dataclass(frozen=True)
class Save:
    """Keep the result that the worker has sent."""

    task: Name


@dataclass(frozen=True)
class GiveUp:
    """Keep a result that says why nothing was run."""

    task: Name
    why: str


@dataclass(frozen=True)
class Enter:
    """All results of a submission are kept; enter them into the gradebook."""

    student: str


Instruction = Run | Save | GiveUp | Enter


class Batch:
    """The state of a batch.

    Args:
        window: tasks that are out at the same time.
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self._waiting: deque[Name] = deque()
        self._out: set[Name] = set()
        self._attempts: dict[Name, int] = {}
        self._missing: dict[str, int] = {}
        self._stopped = False

    @property
    def ended(self) -> bool:
        """True when there is nothing to wait for."""
        return self._stopped or not (self._waiting or self._out)

    @property
    def left(self) -> int:
        """Tasks that have no result."""
        return len(self._waiting) + len(self._out)

    def handle(self, event: Event) -> list[Instruction]:
        """Take note of an event; return what is to be done now, in this order."""
        match event:
            case Stopped():
                self._stopped = True
                return []
            case Added(student, notebooks):
                return self._add(student, notebooks)
            case Finished(task) | WorkerLost(task) | TimedOut(task) if task not in self._out:
                return []  # news of an attempt that was already written off
            case Finished(task):
                return self._end(task, Save(task))
            case TimedOut(task, why):
                return self._end(task, GiveUp(task, why))
            case WorkerLost(task, why) if self._attempts[task] >= ATTEMPTS:
                return self._end(task, GiveUp(task, why))
            case WorkerLost(task):
                self._out.discard(task)
                self._waiting.append(task)
                return self._fill()
        raise TypeError(f"{event!r} is no event of a batch")

    def _add(self, student: str, notebooks: Iterable[str]) -> list[Instruction]:
        tasks = [Name(student, notebook) for notebook in dict.fromkeys(notebooks)]
        if self._stopped or student in self._missing:
            return []
        if not tasks:
            return [Enter(student)]
        self._missing[student] = len(tasks)
        self._waiting.extend(tasks)
        return self._fill()

    def _end(self, task: Name, instruction: Save | GiveUp) -> list[Instruction]:
        self._out.discard(task)
        del self._attempts[task]
        self._missing[task.student] -= 1
        done: list[Instruction] = [instruction]
        if not self._missing[task.student]:
            del self._missing[task.student]
            done.append(Enter(task.student))
        # The freed worker first gets its next task; saving may take a while.
        return [*self._fill(), *done]

    def _fill(self) -> list[Instruction]:
        runs: list[Instruction] = []
        while not self._stopped and self._waiting and len(self._out) < self.window:
            task = self._waiting.popleft()
            self._out.add(task)
            self._attempts[task] = self._attempts.get(task, 0) + 1
            runs.append(Run(task))
        return runs
