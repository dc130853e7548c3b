"""Hostile submissions: none gains a point, costs another one, or leaves something behind.

The cases are the files in tests/hostile/; see the README there. They are handed in as one class and
graded once, and each test looks at one grade. After the cases of each folder somebody hands in a
correct answer.
"""

from __future__ import annotations

import os
import re
import site
import socket
import tempfile
import time
import uuid
from pathlib import Path

import hostile_class as hostile
import hostile_lab as lab
import pytest

import grader
from grader.harness import course, sandbox
from grader.harness.autograde import autograde
from grader.harness.gradebook import Row, read_grades

pytestmark = pytest.mark.slow

CELL_SECONDS = 10
CASES = hostile.load()
FOLDERS = sorted({case.folder for case in CASES})


def grade(root: Path) -> None:
    """Grade the class, every kernel shut in."""
    autograde(root, lab.ASSIGNMENT, processes=2)


def why_left_out(case: hostile.HostileCase) -> str:
    """Why a case may not be handed in on this machine; "" where it may."""
    return sandbox.why_not() if case.needs == "sandbox" else ""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def root(place):
    """The course folder, after everybody was graded."""
    (place / "home").mkdir()
    (place / "tmp").mkdir()
    environment = {
        "CNN_CLINIC_LABS": str(place / "labs"),
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        hostile.MARKER: uuid.uuid4().hex,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(tempfile, "tempdir", None)  # it is read from TMPDIR once
        folder = lab.make(place, CELL_SECONDS)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            for case in CASES:
                if not why_left_out(case):
                    hostile.hand_in(folder, case, port)
            for name in FOLDERS:
                hostile.hand_in_right(folder, hostile.canary(name))
            grade(folder)
        yield folder


@pytest.fixture(scope="module")
def grades(root) -> dict[str, Row]:
    return {row.student: row for row in read_grades(root, lab.ASSIGNMENT)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_submission_gets_what_it_deserves_and_is_told_why(grades, case):
    if why := why_left_out(case):
        pytest.skip(why)
    row = grades[case.student]
    assert row.points == case.points, row.reason
    assert row.outcome is not None
    assert row.outcome.value in case.outcomes, row.reason
    assert any(words in row.reason for words in case.says), row.reason


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_correct_answer_beside_them_has_full_marks(grades, folder):
    row = grades[hostile.canary(folder)]
    assert row.points == lab.POINTS, row.reason


def test_nobody_is_left_without_a_grade(root, grades):
    assert sorted(grades) == course.students(root, lab.ASSIGNMENT)


def test_no_process_is_left_behind(root, grades):
    for _ in range(50):  # what was killed a moment ago needs one to be gone
        if not hostile.processes_of(root):
            break
        time.sleep(0.1)
    assert hostile.processes_of(root) == {}


def test_no_file_is_left_behind(place, root, grades):
    installed = Path(grader.__file__).parent
    everywhere = (place, installed, *map(Path, site.getsitepackages()))
    assert list(hostile.traces(*everywhere)) == []
    assert [p for d in ("/tmp", "/var/tmp", "/dev/shm") for p in Path(d).glob("hostile-*")] == []
    assert set(os.listdir(place / "tmp")) <= {"torchinductor_root"}  # empty; PyTorch makes it
    ours = {"solutions", "notebooks", "submitted", "autograded", "feedback", "build"}
    ours |= {course.CONFIG, "gradebook.db", ".cnn-clinic"}
    assert set(os.listdir(root)) <= ours


def test_no_link_of_a_submission_is_followed(root, grades):
    folder = root / "autograded" / "files-linked_files_beside"
    found = [p.name for p in folder.rglob("*") if p.is_symlink() or p.name in ("data.db", "course")]
    assert found == []


def test_feedback_runs_no_script_of_a_submission(root, grades):
    scripted = [c for c in CASES if "hostile()" in c.source and not why_left_out(c)]
    students = [case.student for case in scripted]
    pages = course.generate_feedback(root, lab.ASSIGNMENT, students)
    assert len(pages) == len(scripted)
    for student, (page,) in pages.items():
        text = page.read_text(encoding="utf-8")
        found = re.findall(r"<[^>]*hostile\(\)[^>]*>|<script>hostile|href=.javascript:", text)
        assert found == [], student
        assert len(text) < 1_000_000, student
