"""`grader autograde` on a course folder: nothing runs twice, nothing that happens loses a grade."""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import harness_course as tiny
import pytest

from grader.errors import ClinicError
from grader.harness import autograde as module
from grader.harness import course, gradebook, results
from grader.harness.autograde import autograde
from grader.harness.gradebook import read_grades
from grader.harness.grading import grade
from grader.harness.workers import LocalWorkers, TimedOut, WorkerLost

pytestmark = pytest.mark.slow

WRONG = "def double(x):\n    return x + 3"
CLASS = {"right": tiny.RIGHT, "wrong": WRONG, "o'br \"ien 😀": tiny.RIGHT, "Right": WRONG}
POINTS = {"right": 6.0, "wrong": 4.0, "o'br \"ien 😀": 6.0, "Right": 4.0}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A course folder with the tiny lab in its gradebook, which each test copies."""
    root = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tiny.environment(root).items():
            patch.setenv(name, value)
        folder = tiny.make(root)
        config = folder / course.CONFIG
        config.write_text(config.read_text().replace("timeout = 120", "timeout = 4", 1))
        course.generate_assignment(folder, tiny.ASSIGNMENT)
        yield folder


@pytest.fixture
def root(template, tmp_path):
    import shutil

    folder = tmp_path / "course"
    shutil.copytree(template, folder)
    for student, source in CLASS.items():
        submit(folder, student, source)
    return folder


def submit(root, student, source):
    notebook = course.released(root, tiny.ASSIGNMENT, tiny.NOTEBOOK)
    answers = {"diagnosis": tiny.DIAGNOSED, "repair": source}
    content = course.make_submission(notebook, answers)
    return course.hand_in(root, student, tiny.ASSIGNMENT, tiny.NOTEBOOK, content)


def points(root):
    found: dict[str, float] = {}
    for row in read_grades(root, tiny.ASSIGNMENT):
        assert row.points is not None
        found[row.student] = found.get(row.student, 0) + row.points
    return found


class Simulated:
    """Workers that judge by the answer's text, at once, in the calling process."""

    slots = 2

    def __init__(self, fault=None):
        self.ran: list[str] = []
        self._fault = fault or (lambda task, attempt: None)

    def submit(self, task):
        future: Future = Future()
        self.ran.append(task.student)
        try:
            self._fault(task, self.ran.count(task.student))
            future.set_result(simulate(task))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self):
        pass


def simulate(task):
    if task.submission.unreadable:
        return grade(task)
    done = grade(replace(task, submission=replace(task.submission, unreadable="Simulated.")))
    answers = {cell.name: cell.source for cell in task.submission.cells}
    repair = 4.0 if answers.get("repair") == tiny.RIGHT else 2.0
    first, second = done.result.checks
    checks = (replace(first, points=2.0), replace(second, points=repair))
    return replace(done, result=replace(done.result, checks=checks, stop=""))


def call(root, workers=None, **options):
    """One call with simulated workers; returns them, the status and what was said."""
    workers, said = workers or Simulated(), []
    status = autograde(
        root, tiny.ASSIGNMENT, shut_in=False, workers=workers, say=said.append, **options
    )
    return workers, status, said


def test_everybody_is_graded_and_each_submission_has_a_line(root):
    workers, status, said = call(root)
    assert status == 0
    assert sorted(workers.ran) == sorted(CLASS)
    assert points(root) == POINTS
    for student in CLASS:
        assert sum(line.startswith(f"{student}: ") for line in said) == 1
    assert said[-1] == "4 submissions: 4 graded, 0 unchanged since the last call."


def test_unchanged_work_is_not_run_again_and_changed_work_is(root):
    call(root)
    workers, _, said = call(root)
    assert workers.ran == []
    assert said == ["4 submissions: 0 graded, 4 unchanged since the last call."]
    submit(root, "wrong", tiny.RIGHT)
    workers, _, _ = call(root)
    assert workers.ran == ["wrong"]
    assert points(root) == POINTS | {"wrong": 6.0}


def test_force_runs_everything_again(root):
    call(root)
    workers, _, _ = call(root, force=True)
    assert sorted(workers.ran) == sorted(CLASS)
    assert points(root) == POINTS


def test_only_the_students_that_are_named_are_graded(root):
    workers, _, _ = call(root, students=["wrong"])
    assert workers.ran == ["wrong"]
    with pytest.raises(ClinicError, match="'nobody' has handed in nothing"):
        call(root, students=["nobody"])


def test_formgrader_and_feedback_find_what_they_need(root):
    stamp = root / "submitted" / "right" / tiny.ASSIGNMENT / "timestamp.txt"
    stamp.write_text("2026-01-02 03:04:05 UTC\n")
    call(root)
    folder = root / "autograded" / "right" / tiny.ASSIGNMENT
    assert sorted(p.name for p in folder.iterdir()) == [f"{tiny.NOTEBOOK}.ipynb", "timestamp.txt"]
    pages = course.generate_feedback(root, tiny.ASSIGNMENT)
    assert set(pages) == set(CLASS)
    (folder / f"{tiny.NOTEBOOK}.ipynb").unlink()
    workers, _, _ = call(root)
    assert workers.ran == []
    assert (folder / f"{tiny.NOTEBOOK}.ipynb").is_file()


def test_a_notebook_that_is_not_there_counts_as_nothing_with_the_reason(root):
    (root / "submitted" / "empty" / tiny.ASSIGNMENT).mkdir(parents=True)
    call(root)
    rows = [row for row in read_grades(root) if row.student == "empty"]
    assert [row.points for row in rows] == [0, 0]
    assert "No notebook was handed in." in rows[0].reason
    assert not (root / "autograded" / "empty" / tiny.ASSIGNMENT).exists()
    course.generate_feedback(root, tiny.ASSIGNMENT)


def test_a_worker_that_dies_once_costs_nothing(root):
    def fault(task, attempt):
        if task.student == "right" and attempt == 1:
            raise WorkerLost("The worker process that ran it was ended by SIGKILL.")

    workers, status, _ = call(root, Simulated(fault))
    assert status == 0
    assert workers.ran.count("right") == 2
    assert points(root) == POINTS


@pytest.mark.parametrize(("error", "attempts"), [(WorkerLost, 2), (TimedOut, 1)])
def test_what_cannot_be_run_says_why_and_is_tried_again_by_the_next_call(root, error, attempts):
    def fault(task, attempt):
        if task.student == "right":
            raise error("Its worker is gone.")

    workers, status, said = call(root, Simulated(fault))
    assert status == 1
    assert workers.ran.count("right") == attempts
    assert f"Could not be run and will be tried again by the next call: {tiny.NOTEBOOK}" in said[-1]
    assert points(root) == POINTS | {"right": 0}
    (row, _) = (row for row in read_grades(root) if row.student == "right")
    assert "Its worker is gone." in row.reason
    workers, status, _ = call(root)
    assert (workers.ran, status) == (["right"], 0)
    assert points(root) == POINTS


def test_a_worker_that_dies_while_work_is_graded_again_costs_no_grade(root):
    call(root)

    def fault(task, attempt):
        raise WorkerLost("Its worker is gone.")

    _, status, _ = call(root, Simulated(fault), force=True)
    assert status == 1
    assert points(root) == POINTS


def test_a_score_by_hand_outlives_every_call(root):
    call(root)
    with gradebook_of(root) as opened:
        where = ("check-repair", tiny.NOTEBOOK, tiny.ASSIGNMENT, "wrong")
        opened.find_grade(*where).manual_score = 3.5
        opened.db.commit()
    call(root, force=True)
    assert points(root) == POINTS | {"wrong": 5.5}


def gradebook_of(root):
    from nbgrader.api import Gradebook

    return Gradebook(f"sqlite:///{root / 'gradebook.db'}")


class Ended(BaseException):
    """Ends a call where it stands, as a kill does."""


@contextmanager
def ends_at(monkeypatch, where, name, times):
    """End the call at the n-th use of a function."""
    original, left = getattr(where, name), [times]

    def ending(*arguments, **named):
        left[0] -= 1
        if not left[0]:
            raise Ended
        return original(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(where, name, ending)
        yield


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(
    ("where", "name"),
    [
        (results, "write"),
        (results, "_write_whole"),
        (module, "_line"),
        (module._Call, "_write"),
        (gradebook.GradebookWriter, "enter"),
        (gradebook, "enter_checks"),
    ],
)
def test_a_call_that_ends_anywhere_is_completed_by_the_next(root, monkeypatch, where, name, times):
    first = Simulated()
    with ends_at(monkeypatch, where, name, times), pytest.raises(Ended):
        call(root, first)
    _, status, said = call(root)
    assert status == 0
    assert said[0].startswith("The call before was interrupted.")
    assert points(root) == POINTS
    assert len(list(results.read_all(root, tiny.ASSIGNMENT))) == len(CLASS)
    workers, _, said = call(root)
    assert workers.ran == []
    assert len(said) == 1


def test_what_was_interrupted_between_store_and_gradebook_is_entered_and_said(root, monkeypatch):
    with ends_at(monkeypatch, gradebook, "enter_checks", 1), pytest.raises(Ended):
        call(root)
    stored = [r.student for r in results.read_all(root, tiny.ASSIGNMENT)]
    workers, _, said = call(root)
    assert f"Graded and not yet in the gradebook: {stored[0]}." in said[0]
    assert stored[0] not in workers.ran


def test_a_full_disk_is_told_in_a_sentence_and_loses_nothing(root, monkeypatch):
    left = [3]

    def fsync(descriptor):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(ClinicError, match=r"disk that holds .* is full; free some space"):
            call(root)
    kept = [r.student for r in results.read_all(root, tiny.ASSIGNMENT)]
    assert len(kept) == 1
    assert not list(results.folder(root, tiny.ASSIGNMENT).glob("*/.*"))
    workers, _, _ = call(root)
    assert sorted(workers.ran) == sorted(set(CLASS) - set(kept))
    assert points(root) == POINTS


def test_a_gradebook_locked_for_a_while_is_waited_for(root):
    other = sqlite3.connect(root / "gradebook.db", check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(6.5, other.rollback)  # longer than sqlite waits by itself
    timer.start()
    try:
        call(root)
    finally:
        timer.join()
    assert points(root) == POINTS


def test_a_second_call_at_the_same_time_is_refused_in_a_sentence(root):
    with module.alone(root):
        code = (
            "import sys; from grader.cli import main; sys.exit(main(sys.argv[1:]))",
            "autograde",
            tiny.ASSIGNMENT,
            "--unsafe",
        )
        done = subprocess.run(
            [sys.executable, "-c", *code], cwd=root, capture_output=True, text=True, timeout=120
        )
    assert done.returncode == 2
    assert f"is at work in {root} (process {os.getpid()})" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_interrupt_keeps_what_was_finished(root):
    class Slow(Simulated):
        def submit(self, task):
            if len(self.ran) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return super().submit(task)

    with pytest.raises(KeyboardInterrupt):
        call(root, Slow())
    call(root)
    assert points(root) == POINTS


# From here on with kernels.


def kernels(root, **options):
    said: list[str] = []
    status = autograde(root, tiny.ASSIGNMENT, shut_in=False, say=said.append, **options)
    return status, said


TROUBLE = {
    "dead": "import os\nos._exit(0)",
    "killer": "import os\nos.kill(os.getpid(), 9)",
    "endless": "def double(x):\n    while True:\n        pass",
    "talker": f"for i in range(300):\n    print('y' * 10**5)\n{tiny.RIGHT}",
    "crashing": "def double(x):\n    return missing_name",
}


def test_grades_and_reasons_are_those_of_stock_nbgrader(root, template, tmp_path):
    for student, source in TROUBLE.items():
        submit(root, student, source)
    course.hand_in(root, "no-json", tiny.ASSIGNMENT, tiny.NOTEBOOK, b"{")
    import shutil

    other = tmp_path / "stock"
    shutil.copytree(root, other)
    assert kernels(root)[0] == 0
    steps = course.autograde(other, tiny.ASSIGNMENT, processes=2)
    assert all(step.succeeded for step in steps)
    ours, stock = read_grades(root), read_grades(other)
    assert ours == stock
    assert {r.student: r.points for r in ours if r.check == "repair"}["talker"] == 4


def test_a_kernel_that_floods_its_output_fills_no_memory_and_is_noted(root):
    submit(root, "flood", f"for i in range(3000):\n    display(i)\n{tiny.RIGHT}")
    kernels(root, students=["flood"])
    (result,) = results.read_all(root, tiny.ASSIGNMENT)
    assert "put out more than" in result.misbehaved[0]
    assert sum(check.points for check in result.checks) == 6


def start(root, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "grader", "autograde", tiny.ASSIGNMENT, "--unsafe", *arguments],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def descendants(pid):
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def wait_until(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


def running(pids):
    return {pid for pid in pids if (Path("/proc") / str(pid)).exists() and not _zombie(pid)}


def _zombie(pid):
    try:
        return " Z " in (Path("/proc") / str(pid) / "stat").read_text()
    except OSError:
        return True


def stored(root):
    return len(list(results.folder(root, tiny.ASSIGNMENT).glob("*/[!.]*.json")))


def test_a_killed_grader_leaves_no_process_and_the_next_call_completes_it(root):
    for i in range(8):
        submit(root, f"more-{i}", tiny.RIGHT)
    process = start(root)
    wait_until(lambda: stored(root) >= 2)
    family = descendants(process.pid)
    assert len(family) >= 4
    process.kill()
    process.wait()
    wait_until(lambda: not running(family), 30)
    status, said = kernels(root)
    assert status == 0
    assert said[0].startswith("The call before was interrupted.")
    assert points(root) == POINTS | {f"more-{i}": 6.0 for i in range(8)}
    assert len(read_grades(root)) == 2 * (len(CLASS) + 8)


def test_a_killed_worker_costs_no_grade(root):
    submit(root, "slow", "import time\ntime.sleep(3)\n" + tiny.RIGHT)
    (killed,) = [[]]

    def kill_one():
        wait_until(lambda: len(worker_processes()) == 2)
        time.sleep(1)
        pid = worker_processes()[0]
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    thread = threading.Thread(target=kill_one)
    thread.start()
    status, _ = kernels(root, processes=2)
    thread.join()
    assert (status, len(killed)) == (0, 1)
    assert points(root) == POINTS | {"slow": 6.0}
    assert worker_processes() == []


def worker_processes():
    import multiprocessing

    return [p.pid for p in multiprocessing.active_children()]


def _wait_for_ever(task):
    while True:
        time.sleep(1)


def test_a_worker_that_does_not_come_back_is_ended(root):
    given = module.Given(root, tiny.ASSIGNMENT, False)
    task = replace(given.task("right", tiny.NOTEBOOK), notebook_seconds=0)
    workers = LocalWorkers(1, None, False, work=_wait_for_ever, spare_seconds=3)
    try:
        with pytest.raises(TimedOut, match="did not end within 3 s"):
            workers.submit(task).result(60)
        assert worker_processes() == []
    finally:
        workers.close()


def test_an_interrupt_of_the_command_ends_it_in_order(root):
    submit(root, "slow", "import time\ntime.sleep(60)\n" + tiny.RIGHT)
    process = start(root)
    wait_until(lambda: stored(root) >= 1)
    family = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "what was finished before is kept" in said
    assert "Traceback" not in said
    wait_until(lambda: not running(family), 30)


def test_a_notebook_has_a_time_limit_of_its_own_besides_that_of_its_cells(root):
    given = module.Given(root, tiny.ASSIGNMENT, False)
    submit(root, "slow", "import time\ntime.sleep(2.5)\n" + tiny.RIGHT)
    task = replace(given.task("slow", tiny.NOTEBOOK), notebook_seconds=2)
    workers = LocalWorkers(1, "pytorch", False)
    try:
        done = workers.submit(task).result(120)
    finally:
        workers.close()
    assert done.result.stop or "CellTimeoutError" in done.result.checks[1].reason
    assert done.result.checks[1].points == 0


def test_the_result_is_plain_json(root):
    call(root)
    path = results.path_of(root, tiny.ASSIGNMENT, "right", tiny.NOTEBOOK)
    assert json.loads(path.read_text())["student"] == "right"
