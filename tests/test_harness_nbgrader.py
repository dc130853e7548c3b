"""A class goes through nbgrader, with the configuration of the repository and nothing patched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import harness_course as tiny
import nbformat
import pytest
from harness_pages import Page
from nbformat.v4 import new_code_cell

from grader.checks import evidence
from grader.checks.session import unseen_seed
from grader.checks.verdict import Outcome
from grader.errors import ClinicError
from grader.harness import course
from grader.harness.gradebook import as_table, read_grades
from grader.harness.secrets import for_the_kernel

pytestmark = pytest.mark.slow

CHECK = "check-repair"
SECRET = "of the whole class"
KERNELS_SEED = unseen_seed(tiny.LAB, 0, for_the_kernel(SECRET))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (tiny.environment(root) | {"CNN_CLINIC_SEED": SECRET}).items():
            patch.setenv(name, value)
        folder = tiny.make(root)
        # The timeout of the repository would make the class below wait for minutes.
        config = folder / course.CONFIG
        config.write_text(config.read_text().replace("timeout = 120", "timeout = 4", 1))
        course.generate_assignment(folder, tiny.ASSIGNMENT)
        yield folder


@pytest.fixture(scope="module")
def release(root):
    return course.released(root, tiny.ASSIGNMENT, tiny.NOTEBOOK)


def forged():
    fields = {"lab": tiny.LAB, "check": "repair", "framework": "pytorch", "data": "tiles"}
    fields |= {"seed": KERNELS_SEED, "unseen": True, "status": "collected"}
    record = evidence.Record(**fields, evidence={"three": 6.0, "hundred": 200.0})
    return (
        "from IPython.display import display\n"
        f"display({{{evidence.MIME!r}: {evidence.to_json(record)!r}}}, raw=True)\n"
    )


def changed(notebook, cell, **changes):
    for found in notebook.cells:
        if found.id == cell:
            found.update(changes)
    return notebook


ANSWERS = {
    "right": tiny.RIGHT,
    "wrong": "def double(x):\n    return x + 3",
    "crashing": "def double(x):\n    return missing_name",
    "no-function": "raise RuntimeError('half done')",
    "noisy": f"import os, sys\nprint('warning', file=sys.stderr)\nos.write(2, b'n')\n{tiny.RIGHT}",
    "noisy-inside": "import sys\ndef double(x):\n    print(x, file=sys.stderr)\n    return 2 * x",
    "dead": "import os\nos._exit(0)",
    "dead-inside": "def double(x):\n    import os\n    os._exit(0)",
    "endless": "def double(x):\n    while True:\n        pass",
    "forger": forged() + "def double(x):\n    return x + 3",
    "forger-inside": "def double(x):\n"
    + "".join(f"    {line}\n" for line in forged().splitlines())
    + "    return x + 3",
    "no-lab": "class Lab:\n    def __getattr__(self, name):\n"
    "        return lambda *a: 4.0\nlab = Lab()",
    "talker": "from IPython.display import HTML, display\n"
    f"display(HTML('<script>x</script>'))\nprint('y' * 10**6)\n{tiny.RIGHT}",
}


@pytest.fixture(scope="module")
def grades(root, release):
    """Everybody hands in, everybody is graded; rows by student and check."""

    def submit(student, content):
        course.hand_in(root, student, tiny.ASSIGNMENT, tiny.NOTEBOOK, content)

    def answered(source=tiny.RIGHT):
        return course.make_submission(release, {"diagnosis": tiny.DIAGNOSED, "repair": source})

    submit("untouched", release)
    for student, source in ANSWERS.items():
        submit(student, answered(source))
    submit("cheat-changed-check", changed(answered(ANSWERS["wrong"]), CHECK, source="4.0"))
    submit(
        "cheat-skipped-check",
        changed(answered(ANSWERS["wrong"]), CHECK, metadata={"tags": ["skip-execution"]}),
    )
    without = answered()
    without.cells = [c for c in without.cells if c.id != CHECK]
    submit("right-without-check", without)
    twice = answered(ANSWERS["wrong"])
    again = next(c for c in answered().cells if c.id == "repair")
    twice.cells.append(new_code_cell(tiny.RIGHT, metadata=again.metadata))
    submit("right-second-time", twice)
    submit("not-json", b"{ this is no notebook")
    submit("not-notebook", json.dumps({"nbformat": 4, "cells": 7}).encode())
    submit("no-cells", nbformat.v4.new_notebook())
    submit("bytes", b"\xff\xfe\x00")
    path = submit_link(root, "linked")
    assert path.is_symlink()
    # A module beside the notebook would be imported in the place of the real one.
    folder = root / "submitted" / "right" / tiny.ASSIGNMENT
    (folder / "numpy.py").write_text("raise SystemExit")

    steps = course.autograde(root, tiny.ASSIGNMENT, processes=2)
    assert [s.student for s in steps] == course.students(root, tiny.ASSIGNMENT)
    assert [s.student for s in steps if not s.succeeded] == []
    course.generate_feedback(root, tiny.ASSIGNMENT)
    return {(row.student, row.check): row for row in read_grades(root, tiny.ASSIGNMENT)}


def submit_link(root, student):
    path = root / "submitted" / student / tiny.ASSIGNMENT / f"{tiny.NOTEBOOK}.ipynb"
    path.parent.mkdir(parents=True)
    path.symlink_to(root / "solutions" / tiny.ASSIGNMENT / path.name)
    return path


def test_nobody_is_left_without_grade_and_reason(grades):
    assert len(grades) == 2 * (len(ANSWERS) + 10)
    for row in grades.values():
        assert row.points is not None
        assert row.outcome is not None
        assert len(row.reason) > 20


@pytest.mark.parametrize(
    ("student", "points", "outcome", "words"),
    [
        ("right", 4, Outcome.PASSED, "images you have not seen"),
        ("untouched", 0, Outcome.NOT_ATTEMPTED, "differs from the sick program"),
        ("wrong", 2, Outcome.NOT_YET, "double(100) is 103"),
        ("crashing", 0, Outcome.RAISED, "name 'missing_name' is not defined"),
        ("no-function", 0, Outcome.NOT_ATTEMPTED, "ended with RuntimeError: half done"),
        ("noisy", 4, Outcome.PASSED, ""),
        ("noisy-inside", 4, Outcome.PASSED, ""),
        ("talker", 4, Outcome.PASSED, ""),
        ("dead", 0, Outcome.NOT_RUN, "The Python process ended in the cell 'repair'"),
        ("dead-inside", 0, Outcome.NOT_RUN, "The Python process ended in the cell 'check-repair'"),
        ("endless", 0, Outcome.NOT_RUN, "ran longer than 4 s and was stopped"),
        ("forger", 2, Outcome.NOT_YET, "double(100) is 103"),
        ("forger-inside", 0, Outcome.NOT_RUN, "records instead of one"),
        ("no-lab", 0, Outcome.NOT_RUN, "left no record"),
        ("cheat-changed-check", 2, Outcome.NOT_YET, "'check-repair' was changed; it was graded"),
        ("cheat-skipped-check", 2, Outcome.NOT_YET, "tagged 'skip-execution'; grading ran it"),
        ("right-without-check", 4, Outcome.PASSED, "'check-repair' was missing; it was graded"),
        ("right-second-time", 4, Outcome.PASSED, "was there 2 times; the last one was graded"),
        ("not-json", 0, Outcome.NOT_RUN, "is not JSON"),
        ("not-notebook", 0, Outcome.NOT_RUN, "not a notebook"),
        ("no-cells", 0, Outcome.NOT_RUN, "has no cells"),
        ("bytes", 0, Outcome.NOT_RUN, "is not text"),
        ("linked", 0, Outcome.NOT_RUN, "is a link"),
    ],
)
def test_a_submission_gets_what_it_deserves_and_is_told_why(
    grades, student, points, outcome, words
):
    row = grades[student, "repair"]
    assert (row.points, row.outcome) == (points, outcome)
    assert words in row.reason


@pytest.mark.parametrize("student", ["dead", "dead-inside", "endless", "forger-inside", "crashing"])
def test_what_was_measured_before_the_trouble_keeps_its_points(grades, student):
    assert grades[student, "diagnosis"].points == 2


def test_feedback_shows_every_reason_and_nothing_of_ours(root, grades):
    secret = str(KERNELS_SEED)
    for (student, _), row in grades.items():
        page = (root / "feedback" / student / tiny.ASSIGNMENT / "01_double.html").read_text()
        headline = row.reason.split(". ")[0]
        assert headline in page
        assert "HIDDEN" not in page
        assert "/grader/checks/" not in page
        assert "x-cnn-clinic" not in page
        assert secret not in page or student.startswith("forger")
        shown = Page(page)
        assert (shown.active, shown.loaded) == ([], [])
        assert len(page) < 500_000


def test_the_table_tells_everything_in_text(grades):
    text = as_table(grades.values())
    assert "cheat-changed-check" in text
    assert "2 of 4" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_score_and_a_comment_by_hand_are_kept(root, grades):
    from nbgrader.api import Gradebook

    where = (tiny.NOTEBOOK, tiny.ASSIGNMENT, "wrong")
    url = f"sqlite:///{root / 'gradebook.db'}"
    with Gradebook(url) as gradebook:
        gradebook.find_grade(CHECK, *where).manual_score = 3.5
        gradebook.find_comment("repair", *where).manual_comment = "A fair attempt."
        gradebook.db.commit()
    (step,) = course.autograde(root, tiny.ASSIGNMENT, ["wrong"])
    assert step.succeeded
    with Gradebook(url) as gradebook:
        grade = gradebook.find_grade(CHECK, *where)
        assert (grade.auto_score, grade.manual_score, grade.score) == (2, 3.5, 3.5)
        assert grade.needs_manual_grade
        assert gradebook.find_comment("repair", *where).comment == "A fair attempt."
        other = gradebook.find_grade("check-diagnosis", *where)
        assert not other.needs_manual_grade
    (row,) = (r for r in read_grades(root) if (r.student, r.check) == ("wrong", "repair"))
    assert (row.points, row.by_hand) == (3.5, True)


def test_an_instructors_points_are_shared_out(root, grades):
    """An assignment's source notebook may give a check other points than the lab does."""
    path = root / "solutions" / tiny.ASSIGNMENT / f"{tiny.NOTEBOOK}.ipynb"
    before = path.read_text()
    notebook = nbformat.reads(before, as_version=4)
    changed(notebook, CHECK)["cells"]
    next(c for c in notebook.cells if c.id == CHECK).metadata.nbgrader["points"] = 10
    path.write_text(nbformat.writes(notebook))
    try:
        course.autograde(root, tiny.ASSIGNMENT, ["forger"])
        (row,) = (r for r in read_grades(root) if (r.student, r.check) == ("forger", "repair"))
        assert row.points == 5
    finally:
        path.write_text(before)


def nbgrader(folder, *arguments):
    """Run one of nbgrader's commands as in an activated environment."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_stock_commands_do_the_whole_way(root, release, tmp_path):
    source = root.parent
    folder = course.make_course(tmp_path, [tiny.ASSIGNMENT], source=source)
    assert nbgrader(folder, "generate_assignment", tiny.ASSIGNMENT).returncode == 0
    made = folder / "notebooks" / tiny.ASSIGNMENT / f"{tiny.NOTEBOOK}.ipynb"
    built = source / "notebooks" / tiny.ASSIGNMENT / f"{tiny.NOTEBOOK}.ipynb"
    assert made.read_text() == built.read_text()

    course.hand_in(folder, "broken", tiny.ASSIGNMENT, tiny.NOTEBOOK, b"{")
    answers = {"diagnosis": tiny.DIAGNOSED, "repair": tiny.RIGHT}
    right = course.make_submission(release, answers)
    course.hand_in(folder, "right", tiny.ASSIGNMENT, tiny.NOTEBOOK, right)
    done = nbgrader(folder, "autograde", tiny.ASSIGNMENT)
    assert done.returncode == 0, done.stderr
    assert nbgrader(folder, "generate_feedback", tiny.ASSIGNMENT).returncode == 0
    rows = read_grades(folder)
    assert [r.points for r in rows] == [0, 0, 2, 4]
    assert all((folder / "feedback" / r.student).is_dir() for r in rows)


def test_validate_agrees_with_the_grades(root):
    solution = root / "solutions" / tiny.ASSIGNMENT / f"{tiny.NOTEBOOK}.ipynb"
    passed = nbgrader(root, "validate", str(solution))
    assert "Success! Your notebook passes all the tests." in passed.stdout
    released = root / "notebooks" / tiny.ASSIGNMENT / f"{tiny.NOTEBOOK}.ipynb"
    failed = nbgrader(root, "validate", str(released))
    assert "VALIDATION FAILED ON 2 CELL(S)" in failed.stdout


def test_wrong_requests_are_answered_in_a_sentence(root, release, tmp_path):
    with pytest.raises(ClinicError, match=r"no notebook \*\.ipynb in .*nowhere"):
        course.make_course(tmp_path, ["nowhere"], source=root)
    with pytest.raises(ClinicError, match="no answer cell 'cure'; it has: diagnosis, repair"):
        course.make_submission(release, {"cure": ""})
    with pytest.raises(ClinicError, match="There is no gradebook"):
        read_grades(tmp_path)
    with pytest.raises(ClinicError, match="no assignment 'other'"):
        read_grades(root, "other")
    with pytest.raises(ClinicError, match=r"There is no nbgrader_config\.py"):
        course.load_config(tmp_path)
