"""`grader autograde`: a class from its submissions to the gradebook, on all cores, losing nothing.

Results are kept in the store first, then entered into the gradebook, a submission a transaction.
Both are compared at every call, so that a call that was cut short anywhere is completed by the
next. Only this process writes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import queue
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from tqdm import tqdm

from grader.checks.verdict import number
from grader.errors import ClinicError
from grader.harness import batch, course, results
from grader.harness.cores import available
from grader.harness.gradebook import GradebookWriter
from grader.harness.grading import Done, Task, content_key, give_up
from grader.harness.journal import Journal
from grader.harness.rebuild import Submission, read_submission
from grader.harness.results import Result
from grader.harness.secrets import learner_secret
from grader.harness.workers import LocalWorkers, TimedOut, WorkerLost, Workers

if TYPE_CHECKING:
    from nbgrader.coursedir import CourseDirectory

NOTHING = "No notebook was handed in."
_TIMESTAMP = "timestamp.txt"


def autograde(
    root: Path,
    assignment: str,
    students: Sequence[str] | None = None,
    *,
    processes: int | None = None,
    force: bool = False,
    shut_in: bool = True,
    workers: Workers | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Grade what was handed in for an assignment and is new or changed; return an exit status.

    Args:
        root: the course folder.
        students: everybody who has handed something in, unless given.
        processes: kernels at a time on this machine, one a core unless given.
        force: whether unchanged work is graded again as well.
        shut_in: whether kernels run in the sandbox.
        workers: where kernels run, processes of this machine unless given; the caller closes them.
        say: is told a line for each submission that was graded.

    Returns:
        0 when everything has been graded, 1 when something could not be run.

    Raises:
        ClinicError: the course folder, a student or the machine is not fit for it; what was graded
            before is kept.
        KeyboardInterrupt: after an interrupt; what was graded before is kept.
    """
    if shut_in and workers is None:
        from grader.harness.sandbox import why_not

        if fault := why_not():
            raise ClinicError(fault)
    given = Given(root, assignment, shut_in)
    with alone(root), contextlib.ExitStack() as stack:
        writer = GradebookWriter(given.directory, assignment)
        stack.callback(writer.close)
        given.keep_to(writer.notebooks)
        who = given.students(students)
        if workers is None:
            workers = LocalWorkers(processes or available(), given.framework, shut_in)
            stack.callback(workers.close)
        with writable(root):
            journal = Journal(results.folder(root, assignment).parent / "journal.jsonl")
        stack.callback(journal.close)
        if journal.interrupted:
            say(journal.sentence())
        call = _Call(given, writer, workers, journal, say)
        with _interrupts_to(call.stop), writable(root):
            return call.grade(who, force)


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Be the only call in a course folder; the lock ends with the process that holds it.

    Raises:
        ClinicError: another call is at work.
    """
    path = root / "build" / "grading" / "lock"
    with writable(root):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ClinicError(
                f"Another `grader autograde` is at work in {root} (process "
                f"{file.read().strip() or 'unknown'}); wait until it has ended."
            ) from None
        with writable(root):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield


@contextlib.contextmanager
def writable(root: Path) -> Iterator[None]:
    """Turn a disk that takes no more into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ClinicError(
                f"The disk that holds {root} is full; free some space and call again, what was "
                "graded before is kept."
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ClinicError(
                f"{error.filename or root} cannot be written ({error.strerror}); allow it and call "
                "again, what was graded before is kept."
            ) from None
        raise


@contextlib.contextmanager
def _interrupts_to(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first interrupt end the call in order; a second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def first(*_: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    for number_ in before:
        signal.signal(number_, first)
    try:
        yield
    finally:
        for number_, handler in before.items():
            signal.signal(number_, handler)


@dataclass(frozen=True)
class Source:
    """One of the assignment's own notebooks: its text, and what it is of."""

    text: str
    lab: str
    framework: str


class Given:
    """What a course folder holds for an assignment: own notebooks, submissions, settings."""

    def __init__(self, root: Path, assignment: str, shut_in: bool) -> None:
        from grader.harness.nbgrader_plugins import ExecuteAnswers

        self.root, self.assignment, self._shut_in = root, assignment, shut_in
        self.directory: CourseDirectory = course.directory(root)
        conditions = ExecuteAnswers(config=self.directory.config).conditions("")
        self._cell_seconds = conditions.cell_seconds
        self._notebook_seconds = conditions.notebook_seconds
        self.sources = {
            path.stem: _source(path)
            for path in sorted(self._folder(self.directory.source_directory, ".").glob("*.ipynb"))
        }

    def keep_to(self, notebooks: Sequence[str]) -> None:
        """Leave out notebooks that the gradebook does not know, as nbgrader does.

        Raises:
            ClinicError: one that it knows is not there.
        """
        for name in notebooks:
            if name not in self.sources:
                raise ClinicError(
                    f"{self._folder(self.directory.source_directory, '.') / name}.ipynb is not "
                    "there, but the gradebook knows it; run `grader build`."
                )
        self.sources = {name: self.sources[name] for name in notebooks}

    @cached_property
    def framework(self) -> str | None:
        """The framework of the notebooks, None without any."""
        return next((source.framework for source in self.sources.values()), None)

    def students(self, wanted: Sequence[str] | None) -> list[str]:
        """Who has handed something in; of those, the wanted ones.

        Raises:
            ClinicError: a wanted one has not, or nobody has.
        """
        excluded = set(filter(None, self.directory.student_id_exclude.split(",")))
        there = [s for s in course.students(self.root, self.assignment) if s not in excluded]
        for student in wanted or ():
            if student not in there:
                raise ClinicError(
                    f"{student!r} has handed in nothing for {self.assignment}; there is no folder "
                    f"{self.submitted(student)}."
                )
        if not there:
            raise ClinicError(
                f"Nobody has handed in anything for {self.assignment}; submissions go to "
                f"{self.submitted('STUDENT')}."
            )
        return list(dict.fromkeys(wanted)) if wanted else there

    def submitted(self, student: str) -> Path:
        """The folder of a submission."""
        return self._folder(self.directory.submitted_directory, student)

    def autograded(self, student: str) -> Path:
        """The folder in which formgrader and `generate_feedback` look for the graded notebooks."""
        return self._folder(self.directory.autograded_directory, student)

    def timestamp(self, student: str) -> datetime | None:
        """When a submission was handed in, UTC; None where nothing, or no time, says so."""
        path = self.submitted(student) / _TIMESTAMP
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 1000:
            return None
        from nbgrader.utils import parse_utc

        try:
            return parse_utc(path.read_text(encoding="utf-8").strip())
        except Exception:  # whatever its parsers stumble over
            return None

    def task(self, student: str, notebook: str) -> Task:
        """A submitted notebook with all that grading it takes."""
        source = self.sources[notebook]
        path = self.submitted(student) / f"{notebook}.ipynb"
        there = path.is_symlink() or path.exists()
        submission = read_submission(path) if there else Submission(unreadable=NOTHING)
        secret = learner_secret(self.root, student, self.assignment)
        return Task(
            student=student,
            assignment=self.assignment,
            notebook=notebook,
            lab=source.lab,
            framework=source.framework,
            source=source.text,
            submission=submission,
            secret=secret,
            shut_in=self._shut_in,
            cell_seconds=self._cell_seconds,
            notebook_seconds=self._notebook_seconds,
            key=content_key(source.text, source.lab, source.framework, submission, secret),
        )

    def known(self, task: Task) -> Result | None:
        """The result of the same work, if it is in the store.

        What ran outside the sandbox is no result of a call inside it.
        """
        path = results.path_of(self.root, task.assignment, task.student, task.notebook)
        if not path.is_file() or not path.with_suffix(".ipynb").is_file():
            return None
        try:
            result = results.read(path)
        except ClinicError:
            return None  # it is graded again and replaced
        same = result.key == task.key and (result.shut_in or not task.shut_in)
        return result if same else None

    def kept(self, student: str) -> list[Result]:
        """All results of a submission."""
        return [
            results.read(results.path_of(self.root, self.assignment, student, notebook))
            for notebook in self.sources
        ]

    def _folder(self, step: str, student: str) -> Path:
        return Path(self.directory.format_path(step, student, self.assignment))


def _source(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    ours = nbformat.reads(text, as_version=4).metadata.get("cnn_clinic")
    if not ours:
        raise ClinicError(
            f"{path} is not a notebook of CNN Clinic; grade its assignment with `nbgrader "
            "autograde`."
        )
    return Source(text, ours["lab"], ours["framework"])


class _Call:
    """One call: events from the workers to the batch, its instructions to store and gradebook."""

    def __init__(
        self,
        given: Given,
        writer: GradebookWriter,
        workers: Workers,
        journal: Journal,
        say: Callable[[str], None],
    ) -> None:
        self._given, self._writer, self._workers = given, writer, workers
        self._journal, self._say = journal, say
        self._batch = batch.Batch(window=_window(workers))
        self._inbox: queue.SimpleQueue[tuple[batch.Name, Future[Done]] | None] = queue.SimpleQueue()
        self._done: dict[batch.Name, Done] = {}
        self._fresh: Counter[str] = Counter()
        self._entered = self._unchanged = 0
        self._not_run: list[batch.Name] = []

    def stop(self) -> None:
        """End the call as soon as may be. Can be called from a signal handler."""
        self._inbox.put(None)

    def grade(self, who: Sequence[str], force: bool) -> int:
        """Grade submissions; return an exit status."""
        with tqdm(total=0, unit="notebook", disable=None, leave=False) as bar:
            self._bar = bar
            for student in who:
                self._look_at(student, force)
                while not self._inbox.empty():
                    self._take(self._inbox.get())
            while not self._batch.ended:
                self._take(self._inbox.get())
        self._journal.end()
        self._tell(f"{self._summary(len(who))}")
        return 1 if self._not_run else 0

    def _look_at(self, student: str, force: bool) -> None:
        """Find out what of a submission is to be run, and have it run."""
        tasks = [self._given.task(student, notebook) for notebook in self._given.sources]
        known = {} if force else {t.notebook: r for t in tasks if (r := self._given.known(t))}
        missing = tuple(task.notebook for task in tasks if task.notebook not in known)
        if not missing and self._is_entered(student, list(known.values())):
            self._unchanged += 1
            return
        self._bar.total += len(missing)
        self._bar.refresh()
        self._handle(batch.Added(student, missing))

    def _is_entered(self, student: str, kept: Sequence[Result]) -> bool:
        timestamp = self._given.timestamp(student)
        return self._written(student) and self._writer.holds(student, kept, timestamp)

    def _take(self, news: tuple[batch.Name, Future[Done]] | None) -> None:
        if news is None:
            self._handle(batch.Stopped())
            self._tell(f"Stopped; {self._batch.left} notebooks are left for the next call.")
            raise KeyboardInterrupt
        self._batch.window = _window(self._workers)  # workers of a cluster come and go
        task, future = news
        try:
            self._done[task] = future.result()
            event: batch.Event = batch.Finished(task)
        except TimedOut as error:
            event = batch.TimedOut(task, str(error))
        except WorkerLost as error:
            event = batch.WorkerLost(task, str(error))
        self._handle(event)

    def _handle(self, event: batch.Event) -> None:
        for instruction in self._batch.handle(event):
            match instruction:
                case batch.Run(name):
                    self._run(name)
                case batch.Save(name):
                    self._save(name, self._done.pop(name))
                case batch.GiveUp(name, why):
                    self._give_up(name, why)
                case batch.Enter(student):
                    self._enter(student)

    def _run(self, name: batch.Name) -> None:
        self._journal.begun(name)
        future = self._workers.submit(self._given.task(*name))
        future.add_done_callback(lambda done: self._inbox.put((name, done)))

    def _save(self, name: batch.Name, done: Done) -> None:
        results.write(self._given.root, done.result, done.executed)
        self._journal.kept(name)
        self._fresh[name.student] += 1
        self._bar.update()

    def _give_up(self, name: batch.Name, why: str) -> None:
        """Keep a result that says why; where the same work has one already, that one is right."""
        self._not_run.append(name)
        task = self._given.task(*name)
        if self._given.known(task) is None:
            self._save(name, give_up(task, why))

    def _enter(self, student: str) -> None:
        kept = self._given.kept(student)
        self._write(student)
        self._writer.enter(student, kept, self._given.timestamp(student))
        self._journal.entered(student)
        self._entered += 1
        self._tell(_line(student, kept, self._fresh.pop(student, 0)))

    def _write(self, student: str) -> None:
        """Put the graded notebooks where formgrader and `generate_feedback` look for them."""
        for source, target in self._files(student):
            if source is None:
                target.unlink(missing_ok=True)
            elif not _same_file(source, target):
                target.parent.mkdir(parents=True, exist_ok=True)
                beside = target.with_name(f".{target.name}.{os.getpid()}")
                shutil.copy2(source, beside)
                beside.replace(target)

    def _written(self, student: str) -> bool:
        return all(
            _same_file(source, target) if source is not None else not target.exists()
            for source, target in self._files(student)
        )

    def _files(self, student: str) -> Iterator[tuple[Path | None, Path]]:
        """Pairs of a file and where it belongs; None for one that is to be away."""
        given, folder = self._given, self._given.autograded(student)
        for notebook in given.sources:
            submitted = given.submitted(student) / f"{notebook}.ipynb"
            path = results.path_of(given.root, given.assignment, student, notebook)
            there = submitted.is_symlink() or submitted.exists()
            yield path.with_suffix(".ipynb") if there else None, folder / f"{notebook}.ipynb"
        if given.timestamp(student) is not None:
            yield given.submitted(student) / _TIMESTAMP, folder / _TIMESTAMP

    def _tell(self, line: str) -> None:
        with self._bar.external_write_mode():
            self._say(line)

    def _summary(self, submissions: int) -> str:
        text = (
            f"{submissions} submissions: {self._entered} graded, {self._unchanged} unchanged since "
            "the last call."
        )
        if self._not_run:
            names = ", ".join(f"{n} of {s}" for s, n in self._not_run[:8])
            text += f" Could not be run and will be tried again by the next call: {names}."
        return text


def _window(workers: Workers) -> int:
    """Tasks to have out: a spare one a worker, so that none waits for this process."""
    return max(1, 2 * workers.slots)


def _same_file(source: Path, target: Path) -> bool:
    """Whether `target` is a copy of `source` that `shutil.copy2` has made."""
    try:
        ours, theirs = source.stat(), target.stat()
    except FileNotFoundError:
        return False
    return (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)


def _line(student: str, kept: Sequence[Result], fresh: int) -> str:
    """A submission in one line."""
    checks = [check for result in kept for check in result.checks]
    points, most = sum(c.points for c in checks), sum(c.max_points for c in checks)
    seconds = sum(result.seconds for result in kept)
    line = f"{student}: {number(points)} of {number(most)} points, "
    line += f"{fresh} of {len(kept)} notebooks run, {seconds:.1f} s" if fresh else "graded before"
    stops = [f"{r.notebook}: {r.stop}" for r in kept if r.stop and r.stop != NOTHING]
    return " ".join([f"{line}.", *stops])
