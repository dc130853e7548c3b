"""Grades with their reasons, read from nbgrader's gradebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.checks.verdict import Outcome, number
from grader.errors import ClinicError
from grader.harness.judging import check_name, outcome_of
from grader.harness.markdown import from_markdown


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
