"""Grades as the CSV files that Canvas and Moodle import.

Canvas reads Student, ID, SIS User ID, SIS Login ID, Section, then one column an assignment, with a
row "Points Possible" below the header; it finds a learner by ID, else by an SIS column, else by
name. Moodle lets the instructor map columns, one of which identifies the learner (email address,
username or ID number); grade and feedback are imported together, because either alone clears the
other.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.checks.verdict import number
from grader.errors import ClinicError
from grader.harness.gradebook import Row
from grader.harness.totals import Total

_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?%?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
# Columns by which a learner is found, in the order in which they are tried.
_IDENTIFIERS = {
    "canvas": ("ID", "SIS User ID", "SIS Login ID", "Integration ID"),
    "moodle": ("Email address", "ID number", "Username"),
}
_NOT_A_LEARNER = re.compile(r"\s*(Points Possible\b.*|Student, Test|)", re.IGNORECASE)


@dataclass(frozen=True)
class Export:
    """A file for a learning platform.

    Attributes:
        text: the CSV.
        said: sentences on what the instructor should know: who was not matched, what is empty.
    """

    text: str
    said: tuple[str, ...]


@dataclass(frozen=True)
class Roster:
    """A CSV that a learning platform exported: its header, its other rows, its delimiter."""

    header: list[str]
    rows: list[list[str]]
    delimiter: str = ","

    def position(self, *names: str) -> int | None:
        """Where the first of these columns is that there is, in any case; None without one."""
        titles = [title.strip().casefold() for title in self.header]
        found = (titles.index(n.casefold()) for n in names if n.casefold() in titles)
        return next(found, None)


def guard(text: str) -> str:
    """The text as a spreadsheet shows it, and never computes it: names can begin with "="."""
    if text.lstrip(" ").startswith(_FORMULA) and len(text) > 1 and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def points_text(points: float | None) -> str:
    """Points with at most two decimals; "" for None, which no platform takes for 0."""
    return "" if points is None else f"{points:.2f}".rstrip("0").rstrip(".")


def as_canvas(assignment: str, totals: Sequence[Total]) -> Export:
    """A file for Canvas from nbgrader's own fields.

    A number in `lms_user_id` is Canvas's ID; anything else there is the SIS User ID. The id of the
    learner in nbgrader is taken for the SIS Login ID.
    """
    header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment]
    possible = ["    Points Possible", "", "", "", "", points_text(_max_points(totals))]
    rows = [
        [
            t.name,
            t.lms_user_id if t.lms_user_id.isdecimal() else "",
            "" if t.lms_user_id.isdecimal() else t.lms_user_id,
            t.student,
            "",
            points_text(t.points),
        ]
        for t in totals
    ]
    return Export(_write([header, possible, *rows]), tuple(_without_points(totals)))


def as_moodle(assignment: str, totals: Sequence[Total], feedback: Mapping[str, str]) -> Export:
    """A file for Moodle from nbgrader's own fields.

    Args:
        feedback: a line for each learner, by id.
    """
    header = ["Username", "First name", "Last name", "Email address", assignment]
    rows = [
        [
            t.student,
            t.first_name,
            t.last_name,
            t.email,
            points_text(t.points),
            "" if t.points is None else feedback.get(t.student, ""),
        ]
        for t in totals
    ]
    text = _write([[*header, f"{assignment} feedback"], *rows])
    return Export(text, tuple(_without_points(totals)))


def read_roster(path: Path) -> Roster:
    """Read a CSV that Canvas or Moodle exported: UTF-8 with or without a mark, any delimiter.

    Raises:
        ClinicError: it cannot be read, is empty, or its rows have different lengths.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ClinicError(
            f"{path} is not UTF-8 text; export it again as CSV, or save it as 'CSV UTF-8'."
        ) from None
    except OSError as error:
        raise ClinicError(
            f"{path} cannot be read ({error.strerror}); give the CSV that the platform exported."
        ) from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ClinicError(f"{path} is not a CSV file ({error}); export it again.") from None
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise ClinicError(f"{path} is empty; give the CSV that the platform exported.")
    header, *rest = rows
    for n, row in enumerate(rest, start=2):
        if len(row) > len(header):
            raise ClinicError(
                f"{path}: row {n} has {len(row)} cells and the header {len(header)}; export it "
                "again."
            )
    return Roster(header, [row + [""] * (len(header) - len(row)) for row in rest], delimiter)


def fill_canvas(
    roster: Roster, assignment: str, totals: Sequence[Total], column: str | None = None
) -> Export:
    """Put the points into a roster of Canvas; its other columns, rows and their order stay.

    Args:
        column: title of the column to fill, with or without Canvas's "(12345)" behind it; that of
            the assignment's name unless given. A column that is not there is added at the end.

    Raises:
        ClinicError: the roster has no columns by which Canvas knows learners.
    """
    if roster.position("Student", "LastName") is None or roster.position("ID") is None:
        raise ClinicError(
            "The roster has no columns 'Student' and 'ID'; export the gradebook from Canvas as CSV."
        )
    title = column or assignment
    titles = [re.sub(r"\s*\(\d+\)\s*$", "", t).strip() for t in roster.header]
    place = _place(roster, titles, title)
    max_points = _max_points(totals)
    matched = _match(roster, totals, "canvas")
    said = []
    header, rows = _widened(roster, place, title)
    for n, row in enumerate(rows):
        if row[0].strip().startswith("Points Possible"):
            theirs = row[place].strip()
            row[place] = theirs or points_text(max_points)
            if theirs and theirs != points_text(max_points) and not _equal(theirs, max_points):
                said.append(
                    f"Canvas counts {theirs} points for {header[place]!r} and the gradebook "
                    f"{points_text(max_points)}; the points were written as they are."
                )
        elif n in matched:
            row[place] = points_text(matched[n].points)
    said += _not_matched(roster, totals, matched, "canvas")
    said += _without_points(matched.values())
    return Export(_write([header, *rows], roster.delimiter), tuple(said))


def fill_moodle(
    roster: Roster,
    assignment: str,
    totals: Sequence[Total],
    feedback: Mapping[str, str],
    column: str | None = None,
) -> Export:
    """Put points and feedback into a roster of Moodle, or into the grading worksheet of one task.

    Args:
        feedback: a line for each learner, by id.
        column: title of the column to fill, with or without Moodle's "Assignment:" before and
            "(Real)" behind it; that of the assignment's name unless given, in a grading worksheet
            its column "Grade". A column that is not there is added at the end.

    Raises:
        ClinicError: the roster has no column by which Moodle knows learners.
    """
    if roster.position(*_IDENTIFIERS["moodle"]) is None:
        raise ClinicError(
            "The roster has none of the columns 'Email address', 'ID number' and 'Username'; "
            "export it from Moodle in English with one of them."
        )
    title = column or assignment
    titles = [_moodle_title(t) for t in roster.header]
    place = _place(roster, titles, title)
    worksheet = roster.position("Grade")
    if place == len(roster.header) and column is None and worksheet is not None:
        place = worksheet
    remark = roster.position("Feedback comments", f"{title} (Feedback)", f"{title} feedback")
    if remark is None:
        whole = (i for i, t in enumerate(roster.header) if _is_feedback(t, title))
        remark = next(whole, None)
    header, rows = _widened(roster, place, title)
    if remark is None:
        remark = len(header)
        header, rows = [*header, f"{title} feedback"], [[*row, ""] for row in rows]
    matched = _match(roster, totals, "moodle")
    for n, total in matched.items():
        rows[n][place] = points_text(total.points)
        rows[n][remark] = "" if total.points is None else feedback.get(total.student, "")
    said = [
        *_not_matched(roster, totals, matched, "moodle"),
        *_without_points(matched.values()),
    ]
    return Export(_write([header, *rows], roster.delimiter), tuple(said))


def _moodle_title(title: str) -> str:
    title = re.sub(r"^\w+:\s*", "", title.strip())
    return re.sub(r"\s*\((Real|Points|Letter|Percentage)\)$", "", title)


def _is_feedback(title: str, wanted: str) -> bool:
    return re.sub(r"^\w+:\s*", "", title.strip()).casefold() == f"{wanted} (feedback)".casefold()


def _place(roster: Roster, titles: Sequence[str], wanted: str) -> int:
    """Position of the wanted column; one behind the last where there is none."""
    for candidates in (roster.header, titles):
        for i, title in enumerate(candidates):
            if title.strip().casefold() == wanted.strip().casefold():
                return i
    return len(roster.header)


def _widened(roster: Roster, place: int, title: str) -> tuple[list[str], list[list[str]]]:
    if place < len(roster.header):
        return list(roster.header), [list(row) for row in roster.rows]
    return [*roster.header, title], [[*row, ""] for row in roster.rows]


def _match(roster: Roster, totals: Sequence[Total], kind: str) -> dict[int, Total]:
    """The learner of each row: by an identifier, else by a name that only one learner has."""
    by_identifier = _index(totals, lambda t: (t.lms_user_id, t.student, t.email))
    by_name = _index(totals, lambda t: (t.name, f"{t.first_name} {t.last_name}"))
    columns = [p for p in map(roster.position, _IDENTIFIERS[kind]) if p is not None]
    taken: set[str] = set()
    matched = {}
    for look_up, cells in (
        (by_identifier, lambda row: [row[c] for c in columns]),
        (by_name, lambda row: _names(roster, row)),
    ):
        for n, row in enumerate(roster.rows):
            if n in matched or _NOT_A_LEARNER.fullmatch(row[0]):
                continue
            keys = (_key(cell) for cell in cells(row))
            found = (look_up[key] for key in keys if len(look_up.get(key, ())) == 1)
            total = next((t for (t,) in found if t.student not in taken), None)
            if total is not None:
                matched[n] = total
                taken.add(total.student)
    return matched


def _index(
    totals: Iterable[Total], keys: Callable[[Total], Iterable[str]]
) -> dict[str, list[Total]]:
    found: dict[str, list[Total]] = defaultdict(list)
    for total in totals:
        for key in {_key(k) for k in keys(total)} - {""}:
            found[key].append(total)
    return found


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()


def _names(roster: Roster, row: Sequence[str]) -> list[str]:
    whole = roster.position("Student", "Full name")
    first = roster.position("First name", "FirstName")
    last = roster.position("Last name", "LastName", "Surname")
    names = [row[whole]] if whole is not None else []
    if first is not None and last is not None:
        names.append(f"{row[last]}, {row[first]}")
    return names


def _not_matched(
    roster: Roster, totals: Sequence[Total], matched: Mapping[int, Total], kind: str
) -> Iterator[str]:
    platform = kind.capitalize()
    taken = {t.student for t in matched.values()}
    ours = [t.student for t in totals if t.student not in taken and t.submitted]
    if ours:
        yield (
            f"{_count(ours, 'learner')} of the gradebook {_is(ours)} not in the roster of "
            f"{platform}, so their points are in no row: {_list(ours)}."
        )
    labels = [
        " ".join(_names(roster, row)[:1]) or row[0]
        for n, row in enumerate(roster.rows)
        if n not in matched and not _NOT_A_LEARNER.fullmatch(row[0])
    ]
    if labels:
        yield (
            f"{_count(labels, 'row')} of the roster {'has' if len(labels) == 1 else 'have'} "
            f"nobody in the gradebook and stayed unchanged: {_list(labels)}."
        )


def _without_points(totals: Iterable[Total]) -> Iterator[str]:
    totals = list(totals)
    missing = [t.student for t in totals if not t.submitted]
    waiting = [t.student for t in totals if t.submitted and t.points is None]
    if missing:
        yield (
            f"{_count(missing, 'learner')} handed in nothing; the grade is left empty: "
            f"{_list(missing)}."
        )
    if waiting:
        yield (
            f"{_count(waiting, 'submission')} {_is(waiting)} not graded to the end; the grade is "
            f"left empty: {_list(waiting)}."
        )


def _count(found: Sequence[str], noun: str) -> str:
    return f"{len(found)} {noun}{'' if len(found) == 1 else 's'}"


def _is(found: Sequence[str]) -> str:
    return "is" if len(found) == 1 else "are"


def _list(names: Sequence[str], longest: int = 10) -> str:
    rest = len(names) - longest
    return ", ".join(names[:longest]) + (f" and {rest} more" if rest > 0 else "")


def _max_points(totals: Sequence[Total]) -> float | None:
    return totals[0].max_points if totals else None


def _equal(text: str, value: float | None) -> bool:
    try:
        return value is not None and float(text.replace(",", ".")) == value
    except ValueError:
        return False


def _write(rows: Iterable[Sequence[str]], delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(
        [guard(cell) for cell in row] for row in rows
    )
    return text.getvalue()


def feedback_lines(rows: Iterable[Row]) -> dict[str, str]:
    """For each learner one line on every check: outcome and points, no measured value."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.points is not None:
            outcome = row.outcome.value if row.outcome and not row.by_hand else "by hand"
            points = f"{number(row.points)} of {number(row.max_points)}"
            found[row.student].append(f"{row.notebook}, {row.check}: {outcome}, {points}")
    return {student: "; ".join(lines) + "." for student, lines in found.items()}


def export(
    root: Path,
    assignment: str,
    platform: str,
    students: Path | None = None,
    column: str | None = None,
) -> Export:
    """The grades of an assignment for "canvas" or "moodle".

    Args:
        students: a roster that the platform exported, to be filled in.
        column: title of the roster's column; see `fill_canvas` and `fill_moodle`.

    Raises:
        ClinicError: no gradebook, no such assignment, or a roster that cannot be used.
    """
    from grader.harness.gradebook import read_grades
    from grader.harness.totals import read_totals

    totals = read_totals(root, assignment)
    roster = read_roster(students) if students else None
    if platform == "canvas":
        if roster:
            return fill_canvas(roster, assignment, totals, column)
        return as_canvas(column or assignment, totals)
    feedback = feedback_lines(read_grades(root, assignment))
    if roster:
        return fill_moodle(roster, assignment, totals, feedback, column)
    return as_moodle(column or assignment, totals, feedback)
