"""Results are kept whole, come back as they were, and are read one at a time."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import ClinicError
from grader.harness import results
from grader.harness.results import CheckResult, Result

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CHECKS = st.builds(
    CheckResult,
    points=st.floats(0, 9),
    max_points=st.floats(1, 9),
    seconds=st.floats(0, 100),
    measured_inside=st.booleans(),
    notes=st.lists(TEXT, max_size=3).map(tuple),
    **dict.fromkeys(["check", "cell", "answer", "outcome", "reason", "metric", "mistake"], TEXT),
)
RESULTS = st.builds(
    Result,
    checks=st.lists(CHECKS, max_size=3).map(tuple),
    misbehaved=st.lists(TEXT, max_size=3).map(tuple),
    shut_in=st.booleans(),
    seconds=st.floats(0, 100),
    answers=st.dictionaries(TEXT, TEXT, max_size=3),
    **dict.fromkeys(
        ["student", "assignment", "notebook", "lab", "framework", "key", "stop", "graded_at"], TEXT
    ),
)


def result(student="ada", notebook="01_dark", **changes):
    return Result(student, "pytorch-9", notebook, "9_tests/01_dark", "pytorch", "k", **changes)


@given(RESULTS)
def test_a_result_comes_back_as_it_was(kept):
    assert results.from_json(json.loads(json.dumps(results.to_json(kept)))) == kept


@given(st.recursive(st.none() | st.booleans() | st.text(), st.lists) | st.dictionaries(TEXT, TEXT))
def test_what_is_no_result_is_refused(data):
    with pytest.raises(ValueError, match="not"):
        results.from_json(data)


def test_results_are_read_in_order_of_student_and_notebook(tmp_path):
    for one in (result("bob"), result("ada", "02_b"), result("ada")):
        results.write(tmp_path, one, "{}")
    found = [(r.student, r.notebook) for r in results.read_all(tmp_path, "pytorch-9")]
    assert found == [("ada", "01_dark"), ("ada", "02_b"), ("bob", "01_dark")]


def test_the_executed_notebook_stands_beside_its_result(tmp_path):
    path = results.write(tmp_path, result(), "executed")
    assert path.with_suffix(".ipynb").read_text() == "executed"
    assert sorted(p.name for p in path.parent.iterdir()) == ["01_dark.ipynb", "01_dark.json"]


def test_a_result_that_cannot_be_read_is_one_sentence(tmp_path):
    path = results.write(tmp_path, result(), "{}")
    path.write_text("{")
    with pytest.raises(ClinicError, match="delete it and grade again"):
        list(results.read_all(tmp_path, "pytorch-9"))


def test_what_was_there_before_stays_when_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    path = results.write(tmp_path, result(), "first")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="space"):
        results.write(tmp_path, result(stop="another"), "second")
    assert results.read(path) == result()
    assert len(list(path.parent.iterdir())) == 2


def test_an_earlier_result_of_the_same_work_is_kept_where_it_differs(tmp_path):
    def graded(outcome, key="k"):
        check = CheckResult("repair", "check-repair", "repair", 0, 4, outcome, "")
        return replace(result(checks=(check,), answers={"repair": "x"}), key=key)

    for one in (graded("passed"), graded("passed"), graded("not yet"), graded("not yet")):
        results.write(tmp_path, one, "{}")
    last = graded("not yet")
    (earlier,) = results.read_earlier(tmp_path, last)
    assert earlier == replace(graded("passed"), answers={})
    assert list(results.read_all(tmp_path, "pytorch-9")) == [last]
    changed = graded("passed", key="another submission")
    results.write(tmp_path, changed, "{}")
    assert results.read_earlier(tmp_path, changed) == []
