"""Points need one valid record; everything else is nothing, with a reason."""

from __future__ import annotations

import harness_course as tiny
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook, new_output

from grader.checks import evidence
from grader.checks.session import unseen_seed
from grader.checks.verdict import Outcome
from grader.errors import ClinicError
from grader.harness.judging import Stop, grade_notebook, outcome_of, plain_output, show_grade
from grader.harness.markdown import from_markdown, to_markdown
from grader.harness.rebuild import Difference, cell_name
from grader.harness.secrets import for_the_kernel

SECRET = "of one learner"


@pytest.fixture(autouse=True, scope="module")
def labs(tmp_path_factory):
    root = tmp_path_factory.mktemp("labs")
    folder = root / "labs" / tiny.LAB
    folder.mkdir(parents=True)
    (folder / "lab.py").write_text(tiny.LAB_PY)
    (folder / "checks.py").write_text(tiny.CHECKS_PY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNN_CLINIC_LABS", str(root / "labs"))
        yield


def record(**changes):
    fields = {
        "lab": tiny.LAB,
        "check": "repair",
        "framework": "pytorch",
        "seed": unseen_seed(tiny.LAB, 0, for_the_kernel(SECRET)),
        "data": "tiles",
        "unseen": True,
        "status": "collected",
        "evidence": {"three": 6.0, "hundred": 200.0},
    }
    return evidence.to_json(evidence.Record(**(fields | changes)))


def shown(data):
    return new_output("display_data", data={evidence.MIME: data, "text/html": "<b>Passed</b>"})


def graded(*outputs, stop=None, answer_outputs=(), differences=()):
    metadata = {"nbgrader": {"grade_id": "repair", "solution": True}}
    check = {"nbgrader": {"grade_id": "check-repair", "grade": True, "points": 4}}
    notebook = new_notebook(
        metadata={"cnn_clinic": {"lab": tiny.LAB, "framework": "pytorch"}},
        cells=[
            new_code_cell("", id="repair", metadata=metadata, outputs=list(answer_outputs)),
            new_code_cell("", id="check-repair", metadata=check, outputs=list(outputs)),
        ],
    )
    (grade,) = grade_notebook(notebook, differences, stop, secret=SECRET)
    return grade


def test_one_valid_record_earns_its_points():
    grade = graded(shown(record()))
    assert (grade.verdict.outcome, grade.verdict.points) == (Outcome.PASSED, 4)
    assert grade.reason == "Passed, 4 of 4. Measured on images you have not seen."


def test_partial_credit_comes_from_the_evidence():
    grade = graded(shown(record(evidence={"three": 6.0, "hundred": 103.0})))
    assert (grade.verdict.outcome, grade.verdict.points) == (Outcome.NOT_YET, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"check": "diagnosis"}, "its check is 'diagnosis', expected 'repair'"),
        ({"lab": "1_data/01_input_scale"}, "its lab is"),
        ({"framework": "tensorflow"}, "its framework is"),
        ({"data": "folder"}, "its data is"),
        ({"unseen": False}, "not measured on the images of this grading"),
        ({"seed": 0}, "not measured on the images of this grading"),
        ({"status": "passed"}, "status"),
        ({"evidence": {}}, "incomplete or malformed"),
        ({"evidence": {"three": "six", "hundred": 200}}, "incomplete or malformed"),
    ],
)
def test_a_record_that_is_not_this_checks_earns_nothing(changes, words):
    grade = graded(shown(record(**changes)))
    assert (grade.verdict.outcome, grade.verdict.points) == (Outcome.NOT_RUN, 0)
    assert words in grade.reason


@pytest.mark.parametrize(
    "changes", [{"status": "your code raised", "error": "x" * 10**6}, {"framework": "x" * 10**6}]
)
def test_a_sentence_of_the_learners_process_is_cut(changes):
    assert len(graded(shown(record(**changes))).reason) < 1_100


def test_two_records_earn_nothing():
    grade = graded(shown(record()), shown(record()))
    assert grade.verdict.points == 0
    assert "2 records instead of one" in grade.reason


def test_a_claim_without_a_record_earns_nothing():
    outputs = [
        new_output("execute_result", data={"text/plain": "4.0"}),
        new_output("display_data", data={"text/html": "Passed, 4 of 4."}),
        new_output("stream", text="4.0"),
    ]
    grade = graded(*outputs)
    assert grade.verdict.points == 0
    assert "left no record" in grade.reason


def test_stderr_beside_the_record_costs_nothing():
    noise = new_output("stream", name="stderr", text="This build of the framework is optimised")
    assert graded(noise, shown(record())).verdict.points == 4


def test_a_dead_process_is_the_reason():
    stop = Stop("repair", "The Python process ended in the cell 'repair'.")
    assert graded(stop=stop).reason == "Not run. The Python process ended in the cell 'repair'."


def test_the_error_of_the_answer_cell_is_told():
    error = new_output("error", ename="ValueError", evalue="bad\nshape", traceback=[])
    grade = graded(answer_outputs=[error])
    assert "The answer cell 'repair' ended with ValueError: bad." in grade.reason


def test_what_differs_is_told_with_the_grade_it_bears_upon():
    said = [Difference("repair", "This one."), Difference("", "And that one.")]
    grade = graded(shown(record()), differences=said)
    assert grade.notes == ("And that one.", "This one.")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(json_values, json_values)
def test_no_evidence_stops_the_class(three, hundred):
    forged = record() | {"evidence": {"three": three, "hundred": hundred}}
    assert 0 <= graded(shown(forged)).verdict.points <= 4


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(json_values)
def test_no_record_stops_the_class(data):
    assert graded(shown(data)).verdict.points == 0


def test_a_foreign_notebook_is_refused():
    with pytest.raises(ClinicError, match="not one of CNN Clinic"):
        grade_notebook(new_notebook(), secret=SECRET)


def test_the_card_is_the_judges():
    cell = new_code_cell(
        "",
        id="check-repair",
        outputs=[
            shown(record(check="diagnosis")),
            new_output("execute_result", data={"text/plain": "4.0"}),
            new_output("stream", text="printed"),
            new_output("error", ename="E", evalue="", traceback=["in engine.py"]),
        ],
    )
    show_grade(cell, graded(shown(record(check="diagnosis"))))
    assert [o.output_type for o in cell.outputs] == ["display_data", "stream"]
    assert "Not run." in cell.outputs[0].data["text/html"]
    assert "<b>Passed</b>" not in cell.outputs[0].data["text/html"]
    assert cell_name(cell) == "check-repair"


def test_outputs_keep_nothing_that_a_browser_runs():
    output = new_output(
        "display_data",
        data={
            "text/html": "<script>",
            "image/svg+xml": "<svg onload=x>",
            "application/javascript": "x",
            "text/markdown": "<script>",
            "image/png": 'AAAA"><script>',
            "image/jpeg": "AAAA\n",
            "text/plain": "plain",
        },
        metadata={"image/png": {"width": '"><script>'}},
    )
    kept = plain_output(output)
    assert kept.data == {"image/jpeg": "AAAA\n", "text/plain": "plain"}
    assert kept.metadata == {}


def test_a_long_line_is_cut():
    kept = plain_output(new_output("stream", text="x" * 1_000_000))
    assert len(kept.text) < 25_000
    assert "980000 characters more were left out" in kept.text


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" ")))
def test_markdown_gives_the_sentence_back(text):
    assert from_markdown(to_markdown(text)) == " ".join(text.split())


def test_markdown_lets_no_html_through():
    from nbconvert.filters import markdown2html

    page = markdown2html(to_markdown("NameError: <script>x</script> `<b>` [a](b) *c* _d_ &lt;"))
    assert "<script" not in page
    assert "<b>" not in page
    assert "<a" not in page
    assert "<em>" not in page
    assert "&amp;lt;" in page


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_reason_begins_with_its_outcome(outcome):
    assert outcome_of(f"{outcome.value.capitalize()}. Because.") is outcome
    assert outcome_of("A comment by hand.") is None
