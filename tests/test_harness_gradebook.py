"""Entering results into nbgrader's gradebook: whole submissions, and nothing by hand is touched."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime

import pytest

from grader.errors import ClinicError
from grader.harness import course
from grader.harness.gradebook import GradebookWriter, read_grades
from grader.harness.markdown import to_markdown
from grader.harness.results import CheckResult, Result

pytestmark = pytest.mark.slow  # nbgrader takes seconds to import

ASSIGNMENT, NOTEBOOK = "pytorch-9-tiny", "01_double"
WHERE = (NOTEBOOK, ASSIGNMENT, "anna")


@pytest.fixture
def root(tmp_path):
    from nbgrader.api import Gradebook

    config = course.repository() / course.CONFIG
    (tmp_path / course.CONFIG).write_text(config.read_text())
    with (
        course.programs_of_this_python(),
        Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}", "cnn-clinic") as gradebook,
    ):
        gradebook.add_assignment(ASSIGNMENT, duedate="2026-01-10 12:00:00 UTC")
        gradebook.add_notebook(NOTEBOOK, ASSIGNMENT)
        for check, points in (("diagnosis", 2), ("repair", 4)):
            gradebook.add_grade_cell(
                f"check-{check}", NOTEBOOK, ASSIGNMENT, max_score=points, cell_type="code"
            )
            gradebook.add_solution_cell(check, NOTEBOOK, ASSIGNMENT)
    return tmp_path


@pytest.fixture
def writer(root):
    writer = GradebookWriter(course.directory(root), ASSIGNMENT, patience=(0.1,))
    yield writer
    writer.close()


def opened(root):
    from nbgrader.api import Gradebook

    return Gradebook(f"sqlite:///{root / 'gradebook.db'}", "cnn-clinic")


def check(name, points, most):
    reason = f"Not yet, {points} of {most}. It is *so*."
    return CheckResult(name, f"check-{name}", name, points, most, "not yet", reason)


def result(student="anna", repair=3.0):
    checks = (check("diagnosis", 2.0, 2.0), check("repair", repair, 4.0))
    return Result(student, ASSIGNMENT, NOTEBOOK, "9_tiny/01_double", "pytorch", "key", checks)


def points(root):
    return {(row.student, row.check): row.points for row in read_grades(root, ASSIGNMENT)}


def test_a_submission_is_entered_with_points_and_reasons(root, writer):
    writer.enter("anna", [result()], None)
    assert points(root) == {("anna", "diagnosis"): 2.0, ("anna", "repair"): 3.0}
    with opened(root) as gradebook:
        grade = gradebook.find_grade("check-repair", *WHERE)
        assert (grade.auto_score, grade.manual_score, grade.needs_manual_grade) == (
            3.0,
            None,
            False,
        )
        comment = gradebook.find_comment("repair", *WHERE)
        assert comment.auto_comment == to_markdown(result().checks[1].reason)


def test_entering_again_changes_nothing_and_doubles_nothing(root, writer):
    for _ in range(3):
        writer.enter("anna", [result()], None)
    assert len(read_grades(root)) == 2
    assert writer.holds("anna", [result()], None)
    assert not writer.holds("anna", [result(repair=4.0)], None)
    assert not writer.holds("bert", [result("bert")], None)


def test_a_score_and_a_comment_by_hand_are_never_overwritten(root, writer):
    writer.enter("anna", [result()], None)
    with opened(root) as gradebook:
        gradebook.find_grade("check-repair", *WHERE).manual_score = 3.5
        gradebook.find_comment("repair", *WHERE).manual_comment = "A fair attempt."
        gradebook.db.commit()
    writer.enter("anna", [result(repair=0.0)], None)
    with opened(root) as gradebook:
        grade = gradebook.find_grade("check-repair", *WHERE)
        assert (grade.auto_score, grade.manual_score, grade.score) == (0.0, 3.5, 3.5)
        assert grade.needs_manual_grade
        assert gradebook.find_comment("repair", *WHERE).comment == "A fair attempt."
        assert not gradebook.find_grade("check-diagnosis", *WHERE).needs_manual_grade


def test_a_submission_is_entered_whole_or_not_at_all(root, writer):
    unknown = replace(check("repair", 4.0, 4.0), cell="check-unknown")
    broken = replace(result(), checks=(check("diagnosis", 2.0, 2.0), unknown))
    with pytest.raises(ClinicError, match=r"no cell 'check-unknown'.*generate_assignment"):
        writer.enter("anna", [broken], None)
    assert points(root) == {}
    writer.enter("anna", [result()], None)
    assert len(points(root)) == 2


def test_names_may_hold_anything_and_differ_in_case_only(root, writer):
    students = ["Anna", "anna", "o'br \"ien; DROP TABLE grade", "zoë 😀"]
    for i, student in enumerate(students):
        writer.enter(student, [result(student, float(i))], None)
    found = points(root)
    assert [found[student, "repair"] for student in students] == [0, 1, 2, 3]


def test_a_late_submission_gets_the_penalty_that_is_configured(root):
    directory = course.directory(root)
    directory.config.LateSubmissionPlugin.penalty_method = "zero"
    writer = GradebookWriter(directory, ASSIGNMENT)
    late, early = datetime(2026, 1, 10, 12, 0, 1), datetime(2026, 1, 10, 11)
    writer.enter("anna", [result()], late)
    writer.enter("bert", [result("bert")], early)
    writer.close()
    with opened(root) as gradebook:
        submission = gradebook.find_submission(ASSIGNMENT, "anna")
        assert submission.total_seconds_late == 1
        assert gradebook.find_submission_notebook(*WHERE).late_submission_penalty == 5
        other = gradebook.find_submission_notebook(NOTEBOOK, ASSIGNMENT, "bert")
        assert other.late_submission_penalty is None
        assert gradebook.find_submission(ASSIGNMENT, "bert").timestamp == early


def test_a_gradebook_that_stays_locked_is_told_in_a_sentence(root, writer, monkeypatch):
    from sqlalchemy import event

    other = sqlite3.connect(root / "gradebook.db")
    other.execute("BEGIN IMMEDIATE")
    event.listen(
        writer._gradebook.engine, "connect", lambda c, _: c.execute("PRAGMA busy_timeout = 50")
    )
    writer._gradebook.engine.dispose()
    with pytest.raises(ClinicError, match="stays locked by another program"):
        writer.enter("anna", [result()], None)
    other.rollback()
    writer.enter("anna", [result()], None)
    assert len(points(root)) == 2


def test_an_assignment_that_was_never_generated_is_refused(root):
    with pytest.raises(ClinicError, match=r"does not know 'other'; run `nbgrader generate"):
        GradebookWriter(course.directory(root), "other")
