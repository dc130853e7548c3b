"""2.1: what the grader keeps of its control is right for every submission of a class."""

from __future__ import annotations

import pytest

from grader import frameworks
from grader.checks.catalogue import load_checks
from grader.checks.check import Case

LAB = "2_architecture/01_capacity"

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("framework", frameworks.NAMES)
def test_a_control_that_is_no_longer_kept_is_trained_from_the_start_again(framework):
    fw = frameworks.load(framework)
    measure = load_checks(LAB)["repair"].measure
    case = Case(LAB, framework, seed=3, device=fw.choose_device("cpu"), fw=fw)
    kept = measure.__globals__["_control_predictions"]
    first = measure(case, {"seen": []})["control"]
    kept.cache_clear()
    again = measure(case, {"seen": []})["control"]
    assert again is not first
    for name in ("seen", "unseen"):
        for one, other in zip(first[name], again[name], strict=True):
            assert one.tolist() == other.tolist()
