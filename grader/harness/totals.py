"""What each learner has in all, as nbgrader's gradebook counts it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import ClinicError


@dataclass(frozen=True)
class Total:
    """One learner and one assignment.

    Attributes:
        points: scores by hand and extra credit included, late penalty taken off, never below 0;
            None where nothing was handed in, and where something is not graded yet.
        submitted: whether the gradebook has a submission.
        penalty: points taken off for being late.
        by_hand: how many scores were given by hand.
    """

    student: str
    first_name: str
    last_name: str
    email: str
    lms_user_id: str
    points: float | None
    max_points: float
    submitted: bool
    penalty: float = 0.0
    by_hand: int = 0

    @property
    def name(self) -> str:
        """ "Last, First" as far as they are known; the id of the learner where neither is."""
        return ", ".join(filter(None, (self.last_name, self.first_name))) or self.student


def read_totals(root: Path, assignment: str) -> list[Total]:
    """Everybody in the gradebook of a course folder, in order of id.

    Raises:
        ClinicError: there is no gradebook, or no such assignment in it.
    """
    from sqlalchemy.exc import SQLAlchemyError

    path = root / "gradebook.db"
    if not path.is_file():
        raise ClinicError(
            f"There is no gradebook in {root}; run `nbgrader generate_assignment {assignment}`."
        )
    try:
        with _database(path) as connection:
            return list(_totals(connection, assignment))
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", error)).splitlines()[0]
        raise ClinicError(
            f"The gradebook {path} cannot be read ({cause}); close what uses it, or restore it "
            "from a copy."
        ) from None


@contextmanager
def _database(path: Path) -> Iterator[Any]:
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{path.resolve()}")
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _totals(connection: Any, assignment: str) -> Iterator[Total]:
    # A few sums over nbgrader's tables: its objects cost a query for each grade of each learner.
    from nbgrader.api import (
        Assignment,
        Grade,
        GradeCell,
        Notebook,
        Student,
        SubmittedAssignment,
        SubmittedNotebook,
        TaskCell,
    )
    from sqlalchemy import and_, case, func, select

    known = connection.execute(select(Assignment.id, Assignment.name)).all()
    ids = {name: id_ for id_, name in known}
    if assignment not in ids:
        raise ClinicError(
            f"The gradebook has no assignment {assignment!r}; it has: "
            f"{', '.join(sorted(ids)) or 'none'}."
        )
    max_points = 0.0
    for kind in (GradeCell, TaskCell):
        points = select(func.sum(kind.max_score)).join(Notebook, Notebook.id == kind.notebook_id)
        points = points.where(Notebook.assignment_id == ids[assignment])
        max_points += connection.scalar(points) or 0
    open_ = and_(Grade.id.is_not(None), Grade.auto_score.is_(None), Grade.manual_score.is_(None))
    scores = (
        select(
            SubmittedNotebook.assignment_id.label("submission"),
            func.sum(Grade.score).label("points"),
            func.sum(case((open_, 1), else_=0)).label("open"),
            func.count(Grade.manual_score).label("by_hand"),
        )
        .join(Grade, Grade.notebook_id == SubmittedNotebook.id)
        .group_by(SubmittedNotebook.assignment_id)
        .subquery()
    )
    penalties = (
        select(
            SubmittedNotebook.assignment_id.label("submission"),
            func.sum(SubmittedNotebook.late_submission_penalty).label("penalty"),
        )
        .group_by(SubmittedNotebook.assignment_id)
        .subquery()
    )
    rows = connection.execute(
        select(
            Student.id,
            Student.first_name,
            Student.last_name,
            Student.email,
            Student.lms_user_id,
            SubmittedAssignment.id.label("submission"),
            scores.c.points,
            scores.c.open,
            scores.c.by_hand,
            penalties.c.penalty,
        )
        .outerjoin(
            SubmittedAssignment,
            and_(
                SubmittedAssignment.student_id == Student.id,
                SubmittedAssignment.assignment_id == ids[assignment],
            ),
        )
        .outerjoin(scores, scores.c.submission == SubmittedAssignment.id)
        .outerjoin(penalties, penalties.c.submission == SubmittedAssignment.id)
        .order_by(Student.id)
    )
    for row in rows:
        graded = row.points is not None and not row.open
        penalty = float(row.penalty or 0)
        yield Total(
            student=row.id,
            first_name=row.first_name or "",
            last_name=row.last_name or "",
            email=row.email or "",
            lms_user_id=row.lms_user_id or "",
            points=round(max(0.0, row.points - penalty), 2) if graded else None,
            max_points=float(max_points),
            submitted=row.submission is not None,
            penalty=penalty,
            by_hand=row.by_hand or 0,
        )
