"""The feedback page names what was measured, and nothing of a submission runs in it."""

import base64
import warnings

import harness_gradebook as made
import nbformat
import pytest
from harness_gradebook import ASSIGNMENT, NOTEBOOK, Learner
from harness_pages import Page
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from grader.checks import evidence
from grader.checks.verdict import Finding, Outcome, Verdict
from grader.harness import course
from grader.harness.feedback import page
from grader.harness.judging import Graded, show_grade
from grader.harness.markdown import to_markdown

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 20).decode()
SCRIPT = "<script>alert(1)</script>"
LINK = "[x](javascript:alert(1))"
ONLOAD = '<svg onload="alert(1)"><script>alert(2)</script></svg>'
IMAGE = '<img src="https://evil.example/x.png" onerror="alert(1)">'
NASTY = "\n".join([SCRIPT, LINK, ONLOAD, IMAGE, "</pre></style></details>", IMAGE])

FINDING = Finding(
    "brightness", 0.2, "at least 0.35", False, "The brightness is 0.2.", "Too dark.", "Look again."
)
VERDICT = Verdict(
    "repair", Outcome.NOT_YET, 0, 4, (FINDING,), "The brightness is 0.2. Too dark. Look again."
)


def cell(name, source, outputs=(), **grading):
    grading = {"grade": False, "solution": False, "locked": False, "schema_version": 3, **grading}
    nbgrader = {"grade_id": name, "task": False, **grading}
    nbgrader |= {"points": 4} if grading["grade"] else {}
    made_cell = new_code_cell(source, outputs=list(outputs), metadata={"nbgrader": nbgrader})
    made_cell.id = name
    return made_cell


def graded(source="x = 1", outputs=(), verdict=VERDICT, notes=(), streams=()):
    """A graded notebook with one answer and one check."""
    hidden = "### BEGIN HIDDEN TESTS\nassert secret_value == 42\n### END HIDDEN TESTS"
    check = cell("check-repair", f'lab.check("repair")\n{hidden}', streams, grade=True)
    record = evidence.Record("9/x", "repair", "pytorch", 987654, "tiles", True, "collected", {})
    data = {evidence.MIME: evidence.to_json(record)}
    check.outputs.append(new_output("display_data", data=data))
    show_grade(check, Graded("check-repair", "repair", verdict, tuple(notes)))
    answer = cell("repair", source, outputs, solution=True)
    story = new_markdown_cell("# A dark picture\n\nA story.")
    return new_notebook(cells=[story, answer, check])


def with_grades(notebook, comment="", score=0.0, by_hand=False, reason="Not yet, 0 of 4. Dark."):
    """The notebook as `FeedbackGrades` leaves it."""
    answer, check = notebook.cells[1:]
    answer.metadata.nbgrader.update(comment=comment, reason=to_markdown(reason))
    check.metadata.nbgrader.update(score=score, points=4, by_hand=by_hand)
    return notebook


def page_of(notebook, **grades):
    grades = {"score": 0.0, "max_score": 6.0, "late_penalty": 0.0, **grades}
    ids = {"student": "ada", "assignment": ASSIGNMENT, "notebook": NOTEBOOK}
    return Page(page(notebook, ids | grades))


def test_the_page_names_the_check_what_was_measured_and_what_it_means():
    text = page_of(with_grades(graded()), score=2.5).text
    for words in ("A dark picture", "Repair", "Not yet, 0 of 4.", "The brightness is 0.2."):
        assert words in text
    assert "Too dark. Look again." in text
    assert "at least 0.35" in text
    assert "2.5 of 6 points" in text


def test_no_hidden_test_no_evidence_and_no_seed_is_on_the_page():
    source = page_of(with_grades(graded())).source
    for words in ("HIDDEN", "secret_value", "x-cnn-clinic", evidence.MIME, "987654"):
        assert words not in source


@pytest.mark.parametrize("nasty", [SCRIPT, LINK, ONLOAD, IMAGE, NASTY, f"# {NASTY}", f"'''{NASTY}"])
def test_nothing_of_a_submission_runs_and_nothing_is_loaded(nasty):
    outputs = [
        new_output("stream", name="stdout", text=nasty),
        new_output("error", ename=nasty, evalue=nasty, traceback=[nasty]),
        new_output(
            "display_data",
            data={
                "text/html": nasty,
                "text/markdown": nasty,
                "image/svg+xml": nasty,
                "application/javascript": "alert(1)",
                "text/plain": nasty,
            },
        ),
        new_output("display_data", data={"image/png": nasty, "text/plain": nasty}),
    ]
    raised = Verdict("repair", Outcome.RAISED, 0, 4, (), f"ValueError: {nasty}")
    notebook = graded(nasty, outputs, raised, [nasty], [outputs[0]])
    shown = page_of(
        with_grades(notebook, comment=nasty, reason=f"Your code raised. {nasty}"), student=nasty
    )
    assert (shown.active, shown.loaded) == ([], [])
    assert "alert(1)" in shown.text, "it is shown as the text it is"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_no_text_becomes_an_element(text):
    def tags(shown):
        return shown.source.count("<script") + shown.source.count("<img")

    outputs = [new_output("stream", name="stdout", text=text)]
    shown = page_of(with_grades(graded(f"# <script {text}", outputs)))
    assert (shown.active, shown.loaded, tags(shown)) == ([], [], 0)


def test_a_bitmap_is_shown():
    outputs = [new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"})]
    shown = page_of(with_grades(graded(outputs=outputs)))
    assert f"data:image/png;base64,{PIXEL}" in shown.source
    assert shown.loaded == []


def test_an_instructors_comment_and_points_are_marked_as_theirs():
    comment = "Read *this*: [a chapter](https://example.org/c). <script>x</script>"
    shown = page_of(with_grades(graded(), comment, score=3.0, by_hand=True))
    assert "These points were given by hand." in shown.text
    assert "3 of 4" in shown.text
    assert shown.loaded == ["a href=https://example.org/c"]
    assert shown.active == []


def test_a_late_penalty_is_said():
    assert (
        "1.5 taken off for handing in late" in page_of(with_grades(graded()), late_penalty=1.5).text
    )


@pytest.mark.slow
def test_the_stock_command_writes_this_page(tmp_path):
    learner = Learner("ada", points={"diagnosis": 2, "repair": 0}, by_hand={"repair": 3})
    made.make(tmp_path, [learner])
    notebook = graded(NASTY)
    diagnosis = cell("diagnosis", "cause = 1", solution=True)
    check = cell("check-diagnosis", "lab.check('diagnosis')", grade=True)
    passed = Verdict("diagnosis", Outcome.PASSED, 2, 2, (), "It agrees.")
    show_grade(check, Graded("check-diagnosis", "diagnosis", passed))
    notebook.cells[1:1] = [diagnosis, check]
    path = tmp_path / "autograded" / "ada" / ASSIGNMENT / f"{NOTEBOOK}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    (tmp_path / course.CONFIG).write_text((course.repository() / course.CONFIG).read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ((written,),) = course.generate_feedback(tmp_path, ASSIGNMENT, ["ada"]).values()
    shown = Page(written.read_text())
    assert (shown.active, shown.loaded) == ([], [])
    assert "5 of 6 points" in shown.text
    assert "These points were given by hand." in shown.text
    assert "It agrees." in shown.text
