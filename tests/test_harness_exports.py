"""Grades leave in the layouts that Canvas and Moodle import, and nothing in a name is computed."""

import csv
import io

import harness_gradebook as made
import pytest
from harness_gradebook import ASSIGNMENT, Learner
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import ClinicError
from grader.harness import exports
from grader.harness.totals import read_totals

CLASS = [
    Learner("ada", "Ada", "Byron", "ada@example.org", "101", {"diagnosis": 2, "repair": 4}),
    Learner("bob", "Bob", "Stone", "bob@example.org", "102", {"diagnosis": 2, "repair": 0}),
    Learner("eve", "=cmd()", "+Evil", "eve@example.org", "103", {"diagnosis": 0, "repair": 0}),
    Learner("gone", "Grace", "Gone", "gone@example.org", "104"),
    Learner("hand", "Hans", "Hand", "", "105", {"diagnosis": 1, "repair": 1}, {"repair": 3.5}),
    Learner("late", "Lena", "Late", "", "S-6", {"diagnosis": 2, "repair": 4}, penalty=1.5),
    Learner("open", "Olga", "Open", "", "107", {"diagnosis": 2, "repair": None}),
    Learner("plus", "Paul", "Plus", "", "108", {"diagnosis": 2, "repair": 4}, extra=1),
    Learner("very-late", "Vera", "Late", "", "", {"diagnosis": 1, "repair": 0}, penalty=5),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return made.make(tmp_path_factory.mktemp("course"), CLASS)


@pytest.fixture(scope="module")
def totals(root):
    return read_totals(root, ASSIGNMENT)


def rows_of(export, delimiter=","):
    return list(csv.reader(io.StringIO(export.text), delimiter=delimiter))


def test_totals_hold_scores_by_hand_extra_credit_and_the_late_penalty(totals):
    points = {t.student: t.points for t in totals}
    assert points == {
        "ada": 6,
        "bob": 2,
        "eve": 0,
        "gone": None,
        "hand": 4.5,
        "late": 4.5,
        "open": None,
        "plus": 7,
        "very-late": 0,
    }
    assert {t.max_points for t in totals} == {6}
    assert {t.student for t in totals if t.by_hand} == {"hand"}
    assert {t.student for t in totals if not t.submitted} == {"gone"}


def test_totals_are_nbgraders_own(root, totals):
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        for total in totals:
            if total.points is not None:
                theirs = book.find_submission(ASSIGNMENT, total.student)
                penalty = theirs.late_submission_penalty
                assert total.points == max(0, theirs.score - penalty)
                assert total.max_points == theirs.max_score


def test_canvas_gets_its_own_columns_and_the_possible_points(root):
    export = exports.export(root, ASSIGNMENT, "canvas")
    header, possible, *rows = rows_of(export)
    assert header == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", ASSIGNMENT]
    assert possible == ["    Points Possible", "", "", "", "", "6"]
    assert rows[0] == ["Byron, Ada", "101", "", "ada", "", "6"]
    assert ["Late, Lena", "", "S-6", "late", "", "4.5"] in rows


def test_a_missing_grade_is_empty_and_a_graded_zero_is_zero(root):
    export = exports.export(root, ASSIGNMENT, "canvas")
    grades = {row[3]: row[5] for row in rows_of(export)[2:]}
    assert (grades["gone"], grades["open"], grades["eve"]) == ("", "", "0")
    assert any("handed in nothing" in s and "gone" in s for s in export.said)
    assert any("not graded to the end" in s and "open" in s for s in export.said)


def test_a_name_that_is_a_formula_is_text(root):
    for platform in ("canvas", "moodle"):
        cells = [c for row in rows_of(exports.export(root, ASSIGNMENT, platform)) for c in row]
        assert not [c for c in cells if c.startswith(("=", "+", "@", "-"))]
        assert any("Evil" in c for c in cells)


@given(st.text(max_size=30))
def test_no_text_is_left_that_a_spreadsheet_computes(text):
    guarded = exports.guard(text)
    assert guarded.removeprefix("'") == text.removeprefix("'")
    if guarded.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n")) and len(guarded) > 1:
        float(guarded.rstrip("%").replace(",", "."))


def test_moodle_gets_the_grade_with_its_feedback(root):
    header, *rows = rows_of(exports.export(root, ASSIGNMENT, "moodle"))
    assert header[:4] == ["Username", "First name", "Last name", "Email address"]
    by_name = {row[0]: row for row in rows}
    grade, feedback = by_name["bob"][4:]
    assert grade == "2"
    assert feedback.startswith("01_dark, diagnosis: not yet, 2 of 2; 01_dark, repair: not yet")
    assert by_name["gone"][4:] == ["", ""]
    assert "by hand, 3.5 of 4" in by_name["hand"][5]


CELLS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=3, max_size=3
)


@given(st.lists(CELLS, max_size=5))
def test_a_roster_in_which_nobody_is_known_comes_back_with_an_empty_column(cells):
    roster = exports.Roster(["Student", "ID", "Section"], cells)
    header, *rows = rows_of(exports.fill_canvas(roster, "new", []))
    assert header == ["Student", "ID", "Section", "new"]
    assert rows == [[*map(exports.guard, row), ""] for row in cells]


CANVAS = """\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Quiz (55),Module 9 (77),Final Score
    Points Possible,,,,,10,12,(read only)
"Stone, Bob",102,,bob@example.org,A,7,,88
"Byron, Ada",9,,,A,,,91
"Late, Lena",,S-6,,B,3,1,70
"Nobody, Known",999,,,B,,,
"Student, Test",1000,,,B,,,
"""


def test_a_roster_of_canvas_is_filled_in_and_otherwise_kept(root, tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text(CANVAS, encoding="utf-8")
    export = exports.export(root, ASSIGNMENT, "canvas", path, "Module 9")
    header, possible, *rows = rows_of(export)
    assert header[5:] == ["Quiz (55)", "Module 9 (77)", "Final Score"]
    assert possible == ["    Points Possible", "", "", "", "", "10", "12", "(read only)"]
    assert [row[6] for row in rows] == ["2", "6", "4.5", "", ""]
    assert [row[5] for row in rows] == ["7", "", "3", "", ""]
    assert [row[0] for row in rows][:2] == ["Stone, Bob", "Byron, Ada"]
    said = " ".join(export.said)
    assert "Nobody, Known" in said
    assert "Student, Test" not in said
    assert "hand, open, plus, very-late" in said
    assert "Canvas counts 12 points" in said


def test_a_column_that_is_not_there_is_added_at_the_end(root, tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text(CANVAS, encoding="utf-8")
    header, possible, *rows = rows_of(exports.export(root, ASSIGNMENT, "canvas", path))
    assert header[-1] == ASSIGNMENT
    assert possible[-1] == "6"
    assert rows[0][-1] == "2"


def test_a_roster_of_moodle_is_filled_in_by_email_address(root, tmp_path):
    path = tmp_path / "roster.csv"
    path.write_text(
        "First name;Last name;ID number;Email address;Assignment: Module 9 (Real);"
        "Assignment: Module 9 (Feedback)\n"
        "Ada;Byron;;ADA@example.org;-;\nGrace;Gone;;gone@example.org;-;\nHans;Hand;105;;-;\n"
    )
    export = exports.export(root, ASSIGNMENT, "moodle", path, "Module 9")
    header, ada, gone, hand = rows_of(export, ";")
    assert len(header) == 6
    assert (ada[4], gone[4], hand[4]) == ("6", "", "4.5")
    assert ada[5].startswith("01_dark, diagnosis")
    assert gone[5] == ""


def test_the_grading_worksheet_of_a_task_in_moodle_is_filled_in(root, tmp_path):
    path = tmp_path / "worksheet.csv"
    path.write_text(
        "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Feedback comments\n"
        "Participant 7,Bob Stone,bob@example.org,Submitted,,6.00,\n"
    )
    header, bob = rows_of(exports.export(root, ASSIGNMENT, "moodle", path))
    assert len(header) == 7
    assert (bob[0], bob[4]) == ("Participant 7", "2")
    assert bob[6].startswith("01_dark")


def test_two_learners_of_one_name_are_not_matched_by_it(tmp_path):
    twins = [Learner(f"t{i}", "Kim", "Lee", points={"diagnosis": i, "repair": 0}) for i in (1, 2)]
    made.make(tmp_path, twins)
    path = tmp_path / "roster.csv"
    path.write_text('Student,ID,Section\n"Lee, Kim",7,A\n')
    export = exports.export(tmp_path, ASSIGNMENT, "canvas", path)
    assert rows_of(export)[1] == ["Lee, Kim", "7", "A", ""]
    assert "2 learners of the gradebook are not in the roster of Canvas" in export.said[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"a,b\n1,2,3\n", "row 2 has 3 cells and the header 2"),
        (b"Name,Mark\nx,1\n", "no columns 'Student' and 'ID'"),
        (b'Student,ID\n"Byron', "is not a CSV file"),
    ],
)
def test_a_roster_that_cannot_be_used_is_one_sentence(root, tmp_path, content, words):
    path = tmp_path / "roster.csv"
    path.write_bytes(content)
    with pytest.raises(ClinicError, match=words):
        exports.export(root, ASSIGNMENT, "canvas", path)


def test_wrong_requests_are_answered_in_a_sentence(root, tmp_path):
    with pytest.raises(ClinicError, match="no gradebook"):
        read_totals(tmp_path, ASSIGNMENT)
    with pytest.raises(ClinicError, match="no assignment 'x'; it has: another, pytorch-9-tests"):
        read_totals(root, "x")
    (tmp_path / "gradebook.db").write_bytes(b"no database" * 100)
    with pytest.raises(ClinicError, match="cannot be read"):
        read_totals(tmp_path, ASSIGNMENT)
    with pytest.raises(ClinicError, match="cannot be read"):
        exports.read_roster(tmp_path / "none.csv")
