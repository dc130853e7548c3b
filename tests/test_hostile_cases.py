"""The files in tests/hostile/ are complete: each has its header and its place in the README."""

from __future__ import annotations

import re
from fnmatch import fnmatch

import hostile_class as hostile
import hostile_lab as lab
import pytest

CASES = hostile.load()


def test_every_case_stands_in_the_checklist():
    words = re.findall(r"`([\w/*]+)`", (hostile.CASES / "README.md").read_text())

    def listed(case):
        stem = case.name.split("/")[1]
        return any(
            fnmatch(case.name, w) or fnmatch(stem, w) or w == f"{case.folder}/" for w in words
        )

    assert [case.name for case in CASES if not listed(case)] == []


def test_nobody_hands_in_twice():
    students = [case.student for case in CASES]
    assert len(set(students)) == len(students)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_a_correct_answer_has_points(case):
    correct = case.tries.startswith("nothing") or "name" in case.tries
    assert case.points == (lab.POINTS if correct and "passed" in case.outcomes else 0)
