"""A calibration refuses thin margins and unexpected verdicts, and proof names each surprise."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.authoring.source import ProvingAnswer
from grader.checks.verdict import Outcome, Threshold, Verdict
from grader.cli import main
from grader.harness import calibrate
from grader.harness.calibrate import MARGIN, Measurement, faults, summarise, table
from grader.harness.gradebook import Row
from grader.harness.prove import find_surprise, submissions

ROOT = Path(__file__).resolve().parent.parent
GAIN = Threshold("gain", 0.5, "at least")


def measurement(name, kind, expect, value, seed):
    finding = GAIN.finding(value, measured=f"It is {value}.", means="Low.", look_next="Look.")
    outcome = Outcome.PASSED if finding.holds else Outcome.NOT_YET
    points = 3.0 if finding.holds else 0.0
    verdict = Verdict("repair", outcome, points, 3.0, (finding,), "It is low.")
    answer = ProvingAnswer(name, "repair", kind, expect, "", "")
    return Measurement(answer, "repair", seed, verdict, 0.1)


def runs(name, kind, expect, values):
    return [measurement(name, kind, expect, v, seed) for seed, v in enumerate(values)]


def test_wide_gaps_are_accepted():
    good = runs("scales", "right", "passed", [0.90, 0.91, 0.89])
    bad = runs("clips", "wrong", "not yet", [0.10, 0.11, 0.09])
    assert faults(summarise(good + bad)) == []


@pytest.mark.parametrize(
    ("good", "bad", "blamed"),
    [([0.7, 0.9, 0.6], [0.1, 0.1, 0.1], "scales"), ([0.9, 0.9, 0.9], [0.4, 0.3, 0.45], "clips")],
)
def test_a_threshold_close_to_either_side_is_refused_and_names_the_answer(good, bad, blamed):
    summary = summarise(
        runs("scales", "right", "passed", good) + runs("clips", "wrong", "not yet", bad)
    )
    (fault,) = faults(summary)
    assert blamed in fault
    assert f"at least {MARGIN:g}" in fault


def test_an_unexpected_verdict_is_a_fault_whatever_the_margin():
    found = faults(summarise(runs("scales", "right", "passed", [0.9, 0.9, 0.1])))
    assert any("2 of 3 verdicts as expected" in f for f in found)


def test_not_a_number_counts_as_stopped_and_spoils_no_statistics():
    summary = summarise(runs("explodes", "wrong", "not yet", [math.nan, 0.1, 0.1]))
    metrics = summary["answers"]["repair/explodes"]["metrics"]["gain"]
    assert (metrics["n"], metrics["finite"], metrics["mean"]) == (3, 2, 0.1)
    assert faults(summary) == []


def test_the_table_shows_each_answer_with_its_spread():
    text = table("1_data/01_x", "pytorch", runs("scales", "right", "passed", [0.8, 0.9]))
    assert "repair/scales" in text
    assert "2 of 2" in text
    assert "gain 0.85 ±" in text


def row(check, outcome, points, reason="Passed, 3 of 3."):
    return Row("s", "pytorch-1-data", "01_x", check, points, 3.0, outcome, reason)


PASSED = row("repair", Outcome.PASSED, 3.0)
ANSWER = ProvingAnswer("clips", "repair", "wrong", "not yet", "flat", "")


@pytest.mark.parametrize(
    ("graded", "words"),
    [
        (None, "no grade"),
        (PASSED, "passed, expected not yet"),
        (row("repair", Outcome.NOT_YET, 1.0, "Not yet, 1 of 3. It is round."), "lacks 'flat'"),
        (row("repair", Outcome.NOT_YET, None, "Not yet. It is flat."), "no points"),
        (row("repair", Outcome.NOT_YET, 3.0, "Not yet. It is flat."), "3 points for not yet"),
        (row("repair", Outcome.NOT_YET, 1.0, "Not yet. It is flat."), ""),
    ],
)
def test_proof_names_what_is_surprising(graded, words):
    found = find_surprise(ANSWER, graded)
    assert words in found
    assert bool(found) == bool(words)


def test_a_submission_of_the_proof_holds_one_answer_for_each_cell():
    def answer(name, cell, kind="wrong"):
        return ProvingAnswer(name, cell, kind, "not yet", "", "")

    answers = [answer("a", "diagnosis"), answer("r", "", "reference"), answer("b", "repair")]
    answers += [answer("c", "repair")]
    held = submissions(answers)
    assert {s: {c: a.name for c, a in h.items()} for s, h in held.items()} == {
        "r": {"": "r"},
        "answers_00": {"diagnosis": "a", "repair": "b"},
        "answers_01": {"repair": "c"},
    }


@given(st.integers(1, 9), st.integers(1, 5))
def test_the_parts_of_the_proof_hold_every_answer_once_and_the_reference_each(answers, parts):
    named = [ProvingAnswer(str(i), "repair", "wrong", "not yet", "", "") for i in range(answers)]
    named.append(ProvingAnswer("r", "", "reference", "passed", "", ""))
    held = [submissions(named, slice(i, None, parts)) for i in range(parts)]
    found = [a.name for class_ in held for h in class_.values() for a in h.values()]
    assert sorted(found) == sorted([*map(str, range(answers)), *["r"] * parts])


@pytest.mark.parametrize(("seeds", "stores"), [("3", 0), ("20", 1)])
def test_a_quick_look_does_not_replace_what_is_stored(monkeypatch, seeds, stores):
    stored = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(calibrate, "measure", lambda *args, **kwargs: iter(()))
    monkeypatch.setattr(calibrate, "store", lambda *args: stored.append(args) or ROOT / "labs")
    main(["calibrate", "1_data/01_input_scale", "--framework", "pytorch", "--seeds", seeds])
    assert len(stored) == stores
