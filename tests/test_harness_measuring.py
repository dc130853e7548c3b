"""What the grader measures itself is measured in another process, and its trouble is told."""

from __future__ import annotations

import os

import harness_course as tiny
import pytest

from grader.checks import engine
from grader.checks.check import Case
from grader.checks.evidence import EvidenceError, Record
from grader.harness import measuring

CHECKS_PY = """
import os
from grader.checks import Check


def measure(case, evidence):
    if evidence["ask"] == "end":
        os._exit(3)
    if evidence["ask"] == "fail":
        raise RuntimeError("no such control")
    return {"process": os.getpid(), "value": float("nan"), "device": str(case.device)}


CHECKS = [
    Check(
        name="repair", points=4, takes=(), collect=lambda case, answer: {},
        judge=lambda case, evidence: [], untouched=lambda e: False, measure=measure,
    ),
    Check(
        name="plain", points=4, takes=(), collect=lambda case, answer: {},
        judge=lambda case, evidence: [], untouched=lambda e: False,
    ),
]
"""
CASE = Case(lab=tiny.LAB, framework="pytorch", seed=1, device="cpu")


@pytest.fixture(autouse=True, scope="module")
def labs(tmp_path_factory):
    root = tmp_path_factory.mktemp("labs")
    folder = root / "labs" / tiny.LAB
    folder.mkdir(parents=True)
    (folder / "lab.py").write_text(tiny.LAB_PY)
    (folder / "checks.py").write_text(CHECKS_PY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNN_CLINIC_LABS", str(root / "labs"))
        yield
    measuring._process.cache_clear()


def record(check="repair", status=engine.COLLECTED, **evidence):
    return Record(tiny.LAB, check, "pytorch", 1, "tiles", True, status, evidence)


@pytest.mark.slow
def test_measuring_happens_in_one_other_process_over_what_was_claimed():
    measured = [
        measuring.measure(CASE, record(ask="", process=0, value=1.0)).evidence for _ in range(2)
    ]
    assert measured[0]["process"] == measured[1]["process"] not in (0, os.getpid())
    assert measured[0]["value"] != measured[0]["value"]
    assert measured[0]["device"] == "cpu"


@pytest.mark.slow
def test_evidence_that_lacks_what_is_asked_for_is_refused():
    with pytest.raises(EvidenceError, match="incomplete or malformed"):
        measuring.measure(CASE, record())


@pytest.mark.slow
def test_a_measurement_that_fails_is_the_courses_own_fault():
    with pytest.raises(measuring.NotMeasured, match="cannot be measured: RuntimeError"):
        measuring.measure(CASE, record(ask="fail"))


@pytest.mark.slow
def test_a_process_that_ended_is_told_and_replaced():
    with pytest.raises(measuring.NotMeasured, match="ended, perhaps for want of memory"):
        measuring.measure(CASE, record(ask="end"))
    assert measuring.measure(CASE, record(ask="")).evidence["process"] != os.getpid()


def test_where_nothing_is_to_be_measured_no_process_is_started(monkeypatch):
    monkeypatch.setattr(measuring, "_process", None)
    for one in (record("plain"), record(status=engine.UNMEASURABLE)):
        assert measuring.measure(CASE, one) == one
