"""A real class in PyTorch: `grader autograde` and stock nbgrader give the same grades."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from grader.authoring.source import read_lab
from grader.harness import course, demo, results
from grader.harness.gradebook import read_grades

pytestmark = pytest.mark.slow

FRAMEWORK = "pytorch"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNN_CLINIC_SEED", "everybody's")
        folder = tmp_path_factory.mktemp("class") / "course"
        header = read_lab(demo.LAB).header
        demo.make_class(course.repository(), folder, header, (FRAMEWORK,))
        yield folder


def autograde(root, *arguments):
    assignment = read_lab(demo.LAB).header.assignment(FRAMEWORK)
    command = [sys.executable, "-m", "grader", "autograde", assignment, "--unsafe", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=280)


def grades(root, assignment):
    rows = read_grades(root, assignment)
    return {(row.student, row.check): (row.points, row.outcome) for row in rows}


def test_grades_are_those_of_stock_nbgrader_and_unchanged_work_starts_no_kernel(root):
    assignment = read_lab(demo.LAB).header.assignment(FRAMEWORK)
    stock = root.parent / "stock"
    shutil.copytree(root, stock)
    done = autograde(root)
    assert done.returncode == 0, done.stderr
    ours = grades(root, assignment)
    before = [r.graded_at for r in results.read_all(root, assignment)]
    again = autograde(root)
    assert "0 graded" in again.stdout
    assert [r.graded_at for r in results.read_all(root, assignment)] == before
    steps = course.autograde(stock, assignment, processes=2)
    assert all(step.succeeded for step in steps)
    assert ours == grades(stock, assignment)
    assert {points > 0 for (student, _), (points, _) in ours.items() if student == "right"} == {
        True
    }
