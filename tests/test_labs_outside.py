"""Evidence made up from what a kernel knows, its own seed, where a check is decided outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grader.checks import engine
from grader.checks.catalogue import load_checks
from grader.checks.check import Case
from grader.checks.evidence import EvidenceError, Record

GRADER = Case("1_data", "pytorch", seed=11, unseen_seed=2**61 + 7)
KERNEL = replace(GRADER, unseen_seed=None)  # all that can be drawn there


def judged(lab, name, forged):
    check = load_checks(lab)[name]
    record = Record(lab, name, "pytorch", GRADER.seed, "tiles", True, engine.COLLECTED, forged)
    return engine.judge(check, GRADER, engine.measure(check, GRADER, record))


def of_kernel(lab, name):
    """What the check asks about when it is drawn from the kernel's seed."""
    return load_checks(lab)[name].unseen(KERNEL).arrays


MONITOR = ("1_data/05_lighting_drift", "monitor")
VALIDATION = ("1_data/04_imbalance", "validation")


def test_alarms_in_the_light_that_the_kernels_seed_gives_earn_nothing():
    alarms = []
    for place in range(2):
        asked = of_kernel(*MONITOR)
        usual = asked[f"{place}/reference"].mean(axis=(0, 1, 2))
        lights = asked[f"{place}/windows"].mean(axis=(1, 2, 3, 4))
        changed = np.abs(lights / usual - 1).max(axis=1) > 0.08
        assert changed.sum() == 5
        alarms.append(np.repeat(changed[:, None], 10, axis=1).tolist())
    assert judged(*MONITOR, {"alarms": alarms, "black": False}).points == 0


@pytest.mark.parametrize(
    "alarms", [[], True, [[[0.5] * 10] * 15] * 2, [[[1] * 10] * 15] * 2, [[[True] * 9] * 15] * 2]
)
def test_alarms_of_another_form_do_not_count(alarms):
    with pytest.raises(EvidenceError):
        judged(*MONITOR, {"alarms": alarms, "black": False, "false": [0, 0], "caught": [[1] * 5]})


def test_a_split_of_the_kernels_own_archives_and_scores_in_its_own_order_fall_short():
    splits = []
    for i in range(8):
        n = len(of_kernel(*VALIDATION)[f"archive {i}/labels"])
        splits.append({"train": list(range(n // 5, n)), "validation": list(range(n // 5))})
    asked = of_kernel(*VALIDATION)
    scored = [
        [len(np.unique(p)) + float((p == asked[f"score {i}/labels"]).mean()) for p in said]
        for i, said in ((i, asked[f"score {i}/predicted"]) for i in range(2))
    ]
    verdict = judged(*VALIDATION, {"splits": splits, "scored": scored})
    leak, order = verdict.findings[1], verdict.findings[3]
    assert not leak.holds
    assert not order.holds


@pytest.mark.parametrize("position", [-1, 10**6, 0.5, "first", None])
def test_positions_that_do_not_exist_do_not_count(position):
    splits = [{"train": [0, 1], "validation": [position]}] * 8
    scored = [[0.0, 0.0, 0.5, 1.0]] * 2
    with pytest.raises(EvidenceError):
        judged(*VALIDATION, {"splits": splits, "scored": scored})
