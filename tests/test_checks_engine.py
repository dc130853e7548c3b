"""The engine's five outcomes, its points, and that a check never raises for the learner."""

import math
import subprocess
import sys

import pytest

from grader.checks import AnswerError, Case, Check, Diagnosis, Threshold
from grader.checks.display import as_html, as_text
from grader.checks.engine import collect, headline, judge, measure, not_run
from grader.checks.evidence import EvidenceError
from grader.checks.verdict import Outcome, number

CASE = Case(lab="1_data/01_x", framework="pytorch", seed=0)
WIDTH = Threshold("width", 1.0, "at least")
SPREAD = Threshold("spread", 0.5, "at most")


def finding(threshold, value):
    return threshold.finding(
        value, measured=f"It is {value}.", means="Too small.", look_next="Look at it."
    )


def measure_value(case, answer):
    value = answer.value() if callable(answer.value) else answer.value
    if value is None:
        raise AnswerError("`value` returns nothing; return a pair of numbers.")
    return {"width": value[0], "spread": value[1]}


CHECK = Check(
    name="repair",
    points=3,
    takes=("value",),
    collect=measure_value,
    judge=lambda case, e: [finding(WIDTH, e["width"]), finding(SPREAD, e["spread"])],
    untouched=lambda e: e["width"] == 0,
)


def verdict_on(namespace, check=CHECK, unseen=False):
    record = collect(check, CASE, namespace, unseen=unseen)
    return judge(check, CASE, measure(check, CASE, record))


def test_a_right_answer_passes_and_says_what_was_not_verified():
    verdict = verdict_on({"value": (2.0, 0.1)})
    assert verdict.outcome is Outcome.PASSED
    assert verdict.points == 3
    assert "Grading repeats this" in verdict.sentence


def test_a_missing_name_is_not_attempted_and_names_it():
    verdict = verdict_on({})
    assert verdict.outcome is Outcome.NOT_ATTEMPTED
    assert "`value` is not defined" in verdict.sentence


def test_the_sick_program_itself_is_not_attempted():
    verdict = verdict_on({"value": (0, 0.1)})
    assert verdict.outcome is Outcome.NOT_ATTEMPTED
    assert verdict.points == 0


def test_points_count_the_gates_before_the_first_that_fails():
    first = verdict_on({"value": (0.5, 0.1)})
    second = verdict_on({"value": (2.0, 0.9)})
    assert (first.points, second.points) == (0, 1.5)
    assert second.sentence == "It is 0.9. Expected: at most 0.5. Too small. Look at it."


def crash():
    raise KeyError("who")


def leave():
    sys.exit(0)


@pytest.mark.parametrize(("value", "words"), [(crash, "KeyError: 'who'"), (leave, "SystemExit")])
def test_a_learners_error_is_shown_as_theirs_in_one_line(value, words):
    verdict = verdict_on({"value": value})
    assert verdict.outcome is Outcome.RAISED
    assert words in verdict.sentence
    assert "\n" not in verdict.sentence


def test_an_error_in_a_cell_is_shown_with_the_learners_line():
    import linecache

    source = "def value():\n    return [][1]\n"
    name = "<answer x 0>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    namespace = {}
    exec(compile(source, name, "exec"), namespace)
    assert "in your line `return [][1]`" in verdict_on(namespace).sentence


def test_an_answer_that_cannot_be_measured_gets_its_sentence():
    verdict = verdict_on({"value": lambda: None})
    assert verdict.outcome is Outcome.NOT_YET
    assert verdict.sentence.startswith("`value` returns nothing")


@pytest.mark.parametrize("value", [(math.nan, 0.1), (2.0, math.nan)])
def test_not_a_number_never_passes(value):
    assert not verdict_on({"value": value}).passed


def test_what_is_not_data_does_not_pass():
    assert verdict_on({"value": (object(), 0.1)}).outcome is Outcome.NOT_YET


def test_an_interrupt_is_not_swallowed():
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(CHECK, CASE, {"value": stop}, unseen=False)


def test_incomplete_evidence_is_refused_by_the_judge():
    record = collect(CHECK, CASE, {"value": (2.0, 0.1)}, unseen=False)
    del record.evidence["width"]
    with pytest.raises(EvidenceError):
        judge(CHECK, CASE, record)


def test_the_same_record_gets_the_same_verdict():
    record = collect(CHECK, CASE, {"value": (2.0, 0.9)}, unseen=True)
    assert judge(CHECK, CASE, record) == judge(CHECK, CASE, record)


def a_diagnosis():
    return Diagnosis(
        causes={"scale": "The numbers are too big.", "rate": "The rate is usual."},
        cause="scale",
        reading="loss of the first batch, in nats",
        measure=lambda case: 50.0,
        tolerance=0.1,
    )


@pytest.mark.parametrize(
    ("cause", "reading", "points", "outcome"),
    [
        ("scale", 52.0, 2, Outcome.PASSED),
        ("scale", 5.2, 1, Outcome.NOT_YET),
        ("rate", 50.0, 0, Outcome.NOT_YET),
        (..., ..., 0, Outcome.NOT_ATTEMPTED),
        ("weather", 50.0, 0, Outcome.NOT_YET),
        ("scale", "many", 0, Outcome.NOT_YET),
        ("scale", math.nan, 1, Outcome.NOT_YET),
    ],
)
def test_a_diagnosis_grades_the_cause_and_the_number(cause, reading, points, outcome):
    verdict = verdict_on({"cause": cause, "reading": reading}, a_diagnosis())
    assert (verdict.points, verdict.outcome) == (points, outcome)


def test_a_wrong_cause_is_explained_without_naming_the_right_one():
    verdict = verdict_on({"cause": "rate", "reading": 50.0}, a_diagnosis())
    assert "The rate is usual." in verdict.sentence
    assert "scale" not in verdict.sentence


def test_a_verdict_reads_the_same_as_text_and_as_a_card():
    verdict = verdict_on({"value": (2.0, 0.9)})
    for shown in (as_text(verdict, "lab.hint('repair')"), as_html(verdict)):
        assert "Not yet, 1.5 of 3." in shown
        assert "It is 0.9." in shown


def test_a_card_escapes_what_the_learner_wrote():
    verdict = verdict_on({"value": lambda: (_ for _ in ()).throw(ValueError("<script>x</script>"))})
    assert "<script>" not in as_html(verdict)


def test_a_check_that_did_not_run_says_so():
    assert headline(not_run(CHECK)) == "Not run."


def test_a_threshold_refuses_an_unknown_side():
    with pytest.raises(ValueError, match="side"):
        Threshold("width", 1.0, "about")


def test_numbers_are_short():
    assert number(math.nan) == "not a number"
    assert number(0.123456, "s") == "0.123 s"


def test_import_grader_loads_no_framework_and_no_numpy():
    code = (
        "import grader, sys; print([m for m in ('torch','tensorflow','numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
