"""A gradebook of nbgrader with a made-up class, for tests of what is read from it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.harness import course

ASSIGNMENT = "pytorch-9-tests"
NOTEBOOK = "01_dark"
POINTS = {"diagnosis": 2.0, "repair": 4.0}


@dataclass(frozen=True)
class Learner:
    """One student; `points` by check, None for one that is not graded, no dict without a notebook.

    `by_hand` holds manual scores by check.
    """

    id: str
    first: str = ""
    last: str = ""
    email: str = ""
    lms: str = ""
    points: Mapping[str, float | None] | None = None
    by_hand: Mapping[str, float] | None = None
    extra: float | None = None
    penalty: float | None = None
    reason: str = "Not yet, 0 of 4. Too dark."


def make(root: Path, learners: Sequence[Learner]) -> Path:
    """Write gradebook.db below `root` and return `root`."""
    from nbgrader.api import Gradebook

    with (
        course.programs_of_this_python(),
        Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book,
    ):
        book.add_assignment(ASSIGNMENT)
        book.add_notebook(NOTEBOOK, ASSIGNMENT)
        for check, points in POINTS.items():
            name = f"check-{check}"
            book.add_grade_cell(name, NOTEBOOK, ASSIGNMENT, max_score=points, cell_type="code")
            book.add_solution_cell(check, NOTEBOOK, ASSIGNMENT)
        book.add_assignment("another")
        book.add_notebook("01_other", "another")
        book.add_grade_cell("check-x", "01_other", "another", max_score=50, cell_type="code")
        for one in learners:
            fields = {"first_name": one.first, "last_name": one.last, "email": one.email}
            book.add_student(one.id, **fields, lms_user_id=one.lms)
            if one.points is None:
                continue
            day = datetime.datetime(2026, 1, 2)
            with book.db.no_autoflush:
                submission = book.add_submission(ASSIGNMENT, one.id, timestamp=day)
            (notebook,) = submission.notebooks
            notebook.late_submission_penalty = one.penalty
            for grade in notebook.grades:
                check = grade.name.removeprefix("check-")
                grade.auto_score = one.points.get(check)
                grade.manual_score = (one.by_hand or {}).get(check)
                if check == "repair":
                    grade.extra_credit = one.extra
            for comment in notebook.comments:
                comment.auto_comment = one.reason
            book.db.commit()
    return root
