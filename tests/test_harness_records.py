"""What a change of a limit leaves good is judged again; whatever else changes is measured anew."""

import json

import pytest

from grader.checks.evidence import Record
from grader.harness import calibrate
from grader.harness.records import Records, collecting_code, fingerprint

CHECKS = """
from grader.checks import Threshold
GAIN = Threshold("gain", 0.5, "at least")
STEPS = 20

def collect(case, answer):
    return {"gain": answer.gain(STEPS)}

def judge(case, evidence):
    means = "Dark."
    return [GAIN.finding(evidence["gain"], measured="It is low.", means=means, look_next="Up.")]

CHECKS = [Check(name="repair", collect=collect, judge=judge)]
"""


def record(**evidence):
    return Record("9_tests/01_x", "repair", "pytorch", 3, "tiles", True, "collected", evidence)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.5", "0.7"),
        ("It is low.", "It is dark."),
        ("Dark.", "Dim."),
        ("STEPS = 20", "STEPS = 20  # enough"),
    ],
)
def test_limits_sentences_and_comments_are_not_collecting(old, new):
    assert collecting_code(CHECKS.replace(old, new)) == collecting_code(CHECKS)


@pytest.mark.parametrize(
    ("old", "new"), [("20", "30"), ('"gain"]', '"loss"]'), ("answer.g", "a.g")]
)
def test_whatever_else_changes_counts(old, new):
    assert collecting_code(CHECKS.replace(old, new)) != collecting_code(CHECKS)


@pytest.mark.parametrize("asks", ["GAIN.holds(0.6)", "enough(0.6)"])
def test_a_limit_that_a_collector_asks_is_collecting(asks):
    helper = "def enough(gain):\n    return GAIN.holds(gain)\n\ndef collect"
    checks = CHECKS.replace("def collect", helper).replace("answer.gain(STEPS)", asks)
    assert collecting_code(checks.replace("0.5", "0.7")) != collecting_code(checks)


def test_a_fingerprint_tells_cells_checks_and_frameworks_apart(tmp_path):
    checks = tmp_path / "checks.py"
    checks.write_text(CHECKS)

    def mark(check="repair", cells=("x = 1",), framework="pytorch", version="2"):
        return fingerprint(check, cells, checks, framework, version)

    others = [
        mark(check="diagnosis"),
        mark(cells=("x = 2",)),
        mark(cells=("x = 1", "")),
        mark(cells=("import grader.datasets.masts", "x = 1")),
        mark(cells=("x = ",)),
        mark(framework="tensorflow"),
        mark(version="3"),
    ]
    assert len({mark(), *others}) == 1 + len(others)
    assert mark() == mark()
    checks.write_text(CHECKS.replace("20", "30"))
    assert mark() not in {*others}


def test_a_fingerprint_follows_the_files_behind_the_checks(tmp_path, monkeypatch):
    package = tmp_path / "grader"
    (package / "frameworks").mkdir(parents=True)
    (package / "frameworks" / "pytorch.py").write_text("")
    (package / "checks.py").write_text("from grader import deeper")
    (package / "deeper.py").write_text("x = 1")
    (package / "other.py").write_text("x = 1")
    monkeypatch.setattr("grader.harness.records.PACKAGE", package)
    checks = tmp_path / "checks.py"
    checks.write_text(CHECKS)
    before = fingerprint("repair", [], checks, "pytorch", "2")
    (package / "other.py").write_text("x = 2")
    assert fingerprint("repair", [], checks, "pytorch", "2") == before
    (package / "deeper.py").write_text("x = 2")
    assert fingerprint("repair", [], checks, "pytorch", "2") != before


def test_records_come_back_and_a_line_cut_short_is_left_out(tmp_path):
    path = tmp_path / "lab" / "pytorch.jsonl"
    kept = Records(path)
    assert kept.find("f", 0) is None
    kept.keep("f", 0, record(gain=float("nan"), rows=[1, 2]))
    kept.keep("f", 1, record(gain=0.5))
    path.write_text(path.read_text() + json.dumps({"key": "f/2"})[:-3])
    again = Records(path)
    assert again.find("f", 1) == record(gain=0.5)
    assert again.find("f", 0).evidence["rows"] == [1, 2]
    assert again.find("f", 2) is None
    assert again.find("g", 1) is None
    again.keep("f", 2, record(gain=0.7))
    assert Records(path).find("f", 2) == record(gain=0.7)


def test_what_was_not_asked_for_is_forgotten(tmp_path):
    path = tmp_path / "pytorch.jsonl"
    kept = Records(path)
    kept.keep("old", 0, record(gain=0.1))
    kept.keep("new", 0, record(gain=0.2))
    again = Records(path)
    again.find("new", 0)
    again.forget_unused()
    assert Records(path).find("old", 0) is None
    assert Records(path).find("new", 0) == record(gain=0.2)


@pytest.mark.slow
def test_a_second_calibration_judges_the_records_of_the_first(tmp_path):
    def run():
        lab = "1_data/01_input_scale"
        return list(calibrate.measure(lab, "pytorch", [0], only="constant", records=tmp_path))

    first, second = run(), run()
    assert first
    assert not any(m.kept for m in first)
    assert all(m.kept for m in second)
    assert [m.verdict for m in first] == [m.verdict for m in second]
