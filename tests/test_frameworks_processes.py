"""Functions in processes of their own: what comes back, and what becomes of those that fail."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from grader.errors import ClinicError
from grader.frameworks.processes import ENDED, LATE, RAISED, RETURNED, Launcher

pytestmark = pytest.mark.slow


def ends(process: int) -> bool:
    """True when a process is gone, or dead and waiting for its parent to notice, within 10 s."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{process}/stat") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def launcher():
    started = Launcher(["cloudpickle"])
    yield started
    started.close()


def test_functions_of_a_notebook_run_side_by_side(launcher):
    offset = 10

    def square(n):
        print("square of", n)
        return n * n + offset, os.getpid()

    first, second = launcher.run([lambda: square(2), lambda: square(3)], seconds=20)
    assert (first.how, second.how) == (RETURNED, RETURNED)
    assert (first.value[0], second.value[0]) == (14, 19)
    assert len({first.value[1], second.value[1], os.getpid()}) == 3
    assert first.printed == "square of 2\n"


def test_nothing_is_left_from_one_run_to_the_next(launcher):
    def leave():
        os.environ["LEFT_BEHIND"] = "yes"

    launcher.run([leave], seconds=20)
    (ending,) = launcher.run([lambda: os.environ.get("LEFT_BEHIND")], seconds=20)
    assert ending.value is None


def test_an_error_comes_back_with_its_name(launcher):
    def fail():
        raise KeyError("weights")

    (ending,) = launcher.run([fail], seconds=20)
    assert ending.how == RAISED
    assert type(ending.error()).__name__ == "KeyError"
    assert "weights" in str(ending.error())


def test_a_process_that_ends_by_itself_is_told_from_one_that_returns(launcher):
    (ending,) = launcher.run([lambda: os._exit(7)], seconds=20)
    assert ending.how == ENDED
    assert ending.message == "7"


def test_who_is_late_is_stopped(launcher):
    start = time.monotonic()
    quick, slow = launcher.run([lambda: 1, lambda: time.sleep(60)], seconds=2)
    assert quick.value == 1
    assert slow.how == LATE
    assert time.monotonic() - start < 20


def test_what_cannot_travel_back_is_an_error_of_the_function(launcher):
    (ending,) = launcher.run([lambda: (n for n in range(3))], seconds=20)
    assert ending.how == RAISED
    assert launcher.run([lambda: 5], seconds=20)[0].value == 5


def test_processes_that_a_function_leaves_behind_are_ended(launcher):
    def leave_one():
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        return child

    (ending,) = launcher.run([leave_one], seconds=20)
    assert ending.how == RETURNED
    assert ends(ending.value)


def test_a_process_that_closes_everything_and_stays_is_ended(launcher):
    def stay():
        os.closerange(3, 256)
        time.sleep(60)

    start = time.monotonic()
    assert launcher.run([stay], seconds=30)[0].how == ENDED
    assert time.monotonic() - start < 20


def test_what_runs_ends_with_the_process_that_asked_for_it(tmp_path):
    note = tmp_path / "process"
    program = f"""
import os, pathlib, time
from grader.frameworks.processes import Launcher

def stay():
    pathlib.Path({str(note)!r}).write_text(f"{{os.getpid()}} ")
    time.sleep(60)

Launcher(["cloudpickle"]).run([stay], seconds=60)
"""
    asker = subprocess.Popen([sys.executable, "-c", program])
    try:
        deadline = time.monotonic() + 30
        while not (note.exists() and note.read_text().endswith(" ")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        asker.kill()
        asker.wait()
    assert ends(int(note.read_text()))


def test_what_cannot_be_sent_is_said_in_a_sentence(launcher):
    lock = threading.Lock()
    with pytest.raises(ClinicError, match="cannot be sent"):
        launcher.run([lambda: lock], seconds=20)


def test_large_values_come_through(launcher):
    (ending,) = launcher.run([lambda: bytes(5_000_000)], seconds=20)
    assert len(ending.value) == 5_000_000


def test_a_launcher_that_was_closed_says_so():
    started = Launcher(["cloudpickle"])
    assert started.usable
    started.close()
    assert not started.usable
