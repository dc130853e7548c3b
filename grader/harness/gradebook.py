"""Grades with their reasons, read from nbgrader's gradebook and entered into it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.checks.verdict import Outcome, number
from grader.errors import ClinicError
from grader.harness.course import programs_of_this_python
from grader.harness.judging import outcome_of
from grader.harness.markdown import from_markdown, to_markdown
from grader.harness.rebuild import check_name
from grader.harness.results import CheckResult, Result

if TYPE_CHECKING:
    from nbgrader.coursedir import CourseDirectory

PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts at a gradebook that is locked; each attempt waits for 5 s itself."""


@dataclass(frozen=True)
class Row:
    """One graded check of one student.

    Attributes:
        points: as nbgrader counts them, a manual score included; None before grading.
        outcome: None before grading.
        reason: what the learner reads, in plain words; it begins with the outcome.
        by_hand: True where somebody has given a score by hand.
    """

    student: str
    assignment: str
    notebook: str
    check: str
    points: float | None
    max_points: float
    outcome: Outcome | None
    reason: str
    by_hand: bool = False


def read_grades(root: Path, assignment: str | None = None) -> list[Row]:
    """All grades of a course folder, in order of assignment, student, notebook and check.

    Raises:
        ClinicError: there is no gradebook, or no such assignment in it.
    """
    from nbgrader.api import Gradebook

    path = root / "gradebook.db"
    if not path.is_file():
        raise ClinicError(f"There is no gradebook in {root}; run `nbgrader generate_assignment`.")
    with Gradebook(f"sqlite:///{path.resolve()}") as gradebook:
        chosen = gradebook.assignments if assignment is None else [_find(gradebook, assignment)]
        rows = [
            _row(submission, notebook, grade)
            for one in chosen
            for submission in one.submissions
            for notebook in submission.notebooks
            for grade in notebook.grades
        ]
    return sorted(rows, key=lambda r: (r.assignment, r.student, r.notebook, r.check))


def _find(gradebook: Any, assignment: str) -> Any:
    from nbgrader.api import MissingEntry

    try:
        return gradebook.find_assignment(assignment)
    except MissingEntry:
        known = ", ".join(a.name for a in gradebook.assignments) or "none"
        raise ClinicError(
            f"The gradebook has no assignment {assignment!r}; it has: {known}."
        ) from None


def _row(submission: Any, notebook: Any, grade: Any) -> Row:
    check = check_name(grade.name)
    comment = next((c.auto_comment for c in notebook.comments if c.name == check), None)
    if comment:
        reason = from_markdown(comment)
        outcome = outcome_of(reason)
    elif grade.auto_score is None:
        reason, outcome = "It has not been graded yet.", None
    else:
        # nbgrader itself gives a notebook that is not there 0 points, without a word.
        reason, outcome = "Not run. No notebook was handed in.", Outcome.NOT_RUN
    return Row(
        student=submission.student.id,
        assignment=submission.name,
        notebook=notebook.name,
        check=check,
        points=None if grade.auto_score is None and grade.manual_score is None else grade.score,
        max_points=grade.max_score,
        outcome=outcome,
        reason=reason,
        by_hand=grade.manual_score is not None,
    )


def as_table(rows: Iterable[Row], width: int = 100) -> str:
    """The grades as text: one line of figures a check, the reason below, folded at `width`."""
    from textwrap import fill

    head: Sequence[str] = ("student", "notebook", "check", "points", "outcome")
    lines: list[tuple[Sequence[str], str]] = []
    for row in rows:
        points = "—" if row.points is None else number(row.points)
        figures: Sequence[str] = (
            row.student,
            f"{row.assignment}/{row.notebook}",
            row.check,
            f"{points} of {number(row.max_points)}{' by hand' if row.by_hand else ''}",
            row.outcome.value if row.outcome else "not graded",
        )
        lines.append((figures, row.reason))
    widths = [max(len(f[i]) for f in (head, *(line[0] for line in lines))) for i in range(5)]

    def columns(cells: Sequence[str]) -> str:
        return "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip()

    text = [columns(head), columns(["-" * w for w in widths])]
    for figures, reason in lines:
        text.append(columns(figures))
        text.append(fill(reason, width, initial_indent="    ", subsequent_indent="    "))
    return "\n".join(text)


def enter_checks(notebook: Any, checks: Iterable[CheckResult]) -> None:
    """Put points and reasons into the rows of a submitted notebook, as nbgrader's autograde does.

    A manual score or comment is never touched; a grade that has one is marked for another look.

    Args:
        notebook: nbgrader's `SubmittedNotebook`, of an open session that the caller commits.

    Raises:
        ClinicError: the gradebook does not know a check.
    """
    grades = {grade.name: grade for grade in notebook.grades}
    comments = {comment.name: comment for comment in notebook.comments}
    for check in checks:
        if check.cell not in grades:
            raise ClinicError(
                f"The gradebook has no cell {check.cell!r} in {notebook.name}; run "
                f"`nbgrader generate_assignment {notebook.assignment.name} --force`."
            )
        grade = grades[check.cell]
        grade.auto_score = check.points
        grade.needs_manual_grade = grade.manual_score is not None
        if check.answer in comments:
            comments[check.answer].auto_comment = to_markdown(check.reason)


class GradebookWriter:
    """The one writer of an assignment's grades: a submission is entered whole or not at all.

    Args:
        patience: seconds to wait between attempts at a gradebook that somebody else has locked.

    Raises:
        ClinicError: the gradebook does not know the assignment, stays locked, or cannot be
            written to.
    """

    def __init__(
        self, course: CourseDirectory, assignment: str, patience: Sequence[float] = PATIENCE
    ) -> None:
        from nbgrader.api import Gradebook
        from nbgrader.preprocessors import AssignLatePenalties

        self._patience = patience
        self._assignment = assignment
        self._url = course.db_url
        self._penalties = AssignLatePenalties(config=course.config)
        self._penalties.init_plugin()
        self._gradebook: Any = None
        with programs_of_this_python():  # nbgrader asks one when the database is not there
            self._gradebook = self._patiently(lambda: Gradebook(course.db_url, course.course_id))
        # The assignment's own rows are read once, not again after every submission.
        self._gradebook.db.remove()
        self._gradebook.db.configure(expire_on_commit=False)
        self._row = self._patiently(self._find)
        self.notebooks: list[str] = [notebook.name for notebook in self._row.notebooks]
        # nbgrader's tables have their indices on these; without, every look-up reads them whole.
        self._notebook_ids = [notebook.id for notebook in self._row.notebooks]
        self._cell_ids = [
            cell.id
            for notebook in self._row.notebooks
            for cell in (*notebook.grade_cells, *notebook.solution_cells, *notebook.task_cells)
        ]

    def close(self) -> None:
        """Close the database."""
        self._gradebook.close()

    def holds(self, student: str, results: Sequence[Result], timestamp: datetime | None) -> bool:
        """True when the gradebook has all of a submission as `enter` would leave it.

        A late submission never counts as that: its penalty may depend on anything.
        """
        return self._patiently(lambda: self._holds(student, results, timestamp))

    def enter(self, student: str, results: Sequence[Result], timestamp: datetime | None) -> None:
        """Enter a submission in one transaction; what is there already is brought up to date.

        Args:
            results: of notebooks of the assignment.
            timestamp: when it was handed in, in UTC without a time zone; None leaves what is there.
        """
        self._patiently(lambda: self._enter(student, results, timestamp))

    def _find(self) -> Any:
        from nbgrader.api import MissingEntry

        try:
            return self._gradebook.find_assignment(self._assignment)
        except MissingEntry:
            raise ClinicError(
                f"The gradebook does not know {self._assignment!r}; run "
                f"`nbgrader generate_assignment {self._assignment}` first."
            ) from None

    def _holds(self, student: str, results: Sequence[Result], timestamp: datetime | None) -> bool:
        from nbgrader.api import (
            Assignment,
            BaseCell,
            Comment,
            Grade,
            Notebook,
            SubmittedAssignment,
            SubmittedNotebook,
        )
        from sqlalchemy import select

        session = self._gradebook.db
        of_student = (
            SubmittedAssignment.student_id == student,
            Assignment.name == self._assignment,
        )

        def rows(kind: Any, value: Any) -> dict[tuple[str, str], Any]:
            query = (
                select(Notebook.name, BaseCell.name, value)
                .select_from(kind)
                .join(SubmittedNotebook, SubmittedNotebook.id == kind.notebook_id)
                .join(Notebook, Notebook.id == SubmittedNotebook.notebook_id)
                .join(BaseCell, BaseCell.id == kind.cell_id)
                .join(
                    SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id
                )
                .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
                .where(*of_student)
                .where(kind.cell_id.in_(self._cell_ids))
                .where(SubmittedNotebook.notebook_id.in_(self._notebook_ids))
            )
            return {(notebook, cell): found for notebook, cell, found in session.execute(query)}

        try:
            query = (
                select(SubmittedAssignment.timestamp, Assignment.duedate)
                .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
                .where(*of_student)
            )
            submission = session.execute(query).one_or_none()
            if submission is None or (timestamp is not None and submission[0] != timestamp):
                return False
            if None not in submission and submission[0] > submission[1]:
                return False
            points, comments = rows(Grade, Grade.auto_score), rows(Comment, Comment.auto_comment)
        finally:
            session.commit()  # ends the reading, which would keep others from writing
        return all(
            points.get((result.notebook, check.cell)) == check.points
            and comments.get((result.notebook, check.answer), "") in ("", to_markdown(check.reason))
            for result in results
            for check in result.checks
        )

    def _enter(self, student: str, results: Sequence[Result], timestamp: datetime | None) -> None:
        session = self._gradebook.db
        submission, rows = self._submission(student)
        if timestamp is not None:
            submission.timestamp = timestamp
        notebooks = {notebook.name: notebook for notebook in rows}
        for result in results:
            enter_checks(notebooks[result.notebook], result.checks)
        session.flush()
        for result in results:
            self._penalise(student, submission, notebooks[result.notebook])
        session.commit()

    def _submission(self, student: str) -> tuple[Any, list[Any]]:
        """The row of a submission and those of its notebooks, made where they are missing.

        Nothing is committed; nbgrader's own `add_submission` makes the same rows and commits them.
        """
        from nbgrader.api import (
            Comment,
            Grade,
            Student,
            SubmittedAssignment,
            SubmittedNotebook,
            new_uuid,
        )
        from sqlalchemy.orm.attributes import set_committed_value

        session = self._gradebook.db
        submission = (
            session.query(SubmittedAssignment)
            .filter_by(assignment_id=self._row.id, student_id=student)
            .one_or_none()
        )
        if submission is None:
            if session.get(Student, student) is None:
                session.add(Student(id=student))
            submission = SubmittedAssignment(assignment_id=self._row.id, student_id=student)
            session.add(submission)
            session.flush()
        there = self._rows_of(submission)
        known = {notebook.notebook_id for notebook in there}
        missing = [notebook for notebook in self._row.notebooks if notebook.id not in known]
        for notebook in missing:
            row = SubmittedNotebook(
                id=new_uuid(), notebook_id=notebook.id, assignment_id=submission.id
            )
            graded = [*notebook.grade_cells, *notebook.task_cells]
            commented = [*notebook.solution_cells, *notebook.task_cells]
            session.add(row)
            session.add_all(Grade(cell_id=cell.id, notebook_id=row.id) for cell in graded)
            session.add_all(Comment(cell_id=cell.id, notebook_id=row.id) for cell in commented)
        if missing:
            session.flush()
            there = self._rows_of(submission)
        for kind, name in ((Grade, "grades"), (Comment, "comments")):
            query = session.query(kind).filter(
                kind.cell_id.in_(self._cell_ids),
                kind.notebook_id.in_([notebook.id for notebook in there]),
            )
            rows = query.all()
            for notebook in there:
                own = [row for row in rows if row.notebook_id == notebook.id]
                set_committed_value(notebook, name, own)
        return submission, there

    def _rows_of(self, submission: Any) -> list[Any]:
        from nbgrader.api import SubmittedNotebook

        query = self._gradebook.db.query(SubmittedNotebook).filter(
            SubmittedNotebook.notebook_id.in_(self._notebook_ids),
            SubmittedNotebook.assignment_id == submission.id,
        )
        return query.all()

    def _penalise(self, student: str, submission: Any, notebook: Any) -> None:
        """Set the penalty for a late submission by nbgrader's configured plugin, or none."""
        notebook.late_submission_penalty = None
        late = submission.total_seconds_late
        if late > 0:
            self._gradebook.db.refresh(notebook, ["score"])
            penalty = self._penalties.plugin_inst.late_submission_penalty(
                student, notebook.score, late
            )
            if penalty is not None:
                penalty = self._penalties._check_late_penalty(notebook, penalty)
                notebook.late_submission_penalty = penalty

    def _patiently(self, action: Callable[[], Any]) -> Any:
        """Do something with the database, again when it is locked; roll back what fails."""
        from sqlalchemy.exc import DBAPIError

        for seconds in (*self._patience, None):
            try:
                return action()
            except DBAPIError as error:
                self._roll_back()
                reason = str(error.orig)
                if "locked" not in reason or seconds is None:
                    raise ClinicError(self._sentence(reason)) from None
                time.sleep(seconds)
            except BaseException:
                self._roll_back()
                raise
        raise AssertionError("the last attempt returns or raises")

    def _roll_back(self) -> None:
        if self._gradebook is not None:
            self._gradebook.db.rollback()

    def _sentence(self, reason: str) -> str:
        where = f"The gradebook {self._url.removeprefix('sqlite:///')}"
        kept = "call again, what was graded is kept"
        if "locked" in reason:
            return f"{where} stays locked by another program; end that one and {kept}."
        if "full" in reason:
            return (
                f"{where} cannot be written because the disk is full; free some space and {kept}."
            )
        return f"{where} cannot be used ({reason}); see `nbgrader db --help`, then {kept}."
