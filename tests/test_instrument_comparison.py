"""The comparison instrument: intervals, verdicts and the weights from which the arms started."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import frameworks
from grader.instruments.applied_rate import AppliedRate
from grader.instruments.comparison import (
    Arm,
    draw_arms,
    draw_comparisons,
    fingerprint,
    head_start,
    measure_comparison,
    say_arms,
    say_comparison,
    say_comparisons,
)


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def test_the_interval_is_students():
    # Differences 1, 2, 3, 4: mean 2.5, deviation 1.29, three degrees of freedom, 3.182 errors.
    compared = measure_comparison([0, 0, 0, 0], [1, 2, 3, 4])
    assert compared.mean == 2.5
    assert compared.interval == pytest.approx((0.446, 4.554), abs=1e-3)
    assert compared.verdict == "B"
    assert measure_comparison([1, 2, 3, 4], [0, 0, 0, 0]).verdict == "A"


def test_luck_that_both_arms_share_does_not_count():
    luck = np.array([0.1, 0.5, 0.3, 0.8])
    assert measure_comparison(luck, luck + np.array([0.011, 0.012, 0.01, 0.013])).verdict == "B"


def test_arms_that_do_the_same_cannot_be_told_apart():
    same = measure_comparison([0.4, 0.5], [0.4, 0.5])
    assert same.interval == (0, 0)
    assert same.verdict == "cannot tell"


def test_one_seed_tells_nothing():
    assert measure_comparison([0.1], [0.9]).verdict == "cannot tell"
    assert "no interval" in say_comparison(measure_comparison([0.1], [0.9]))


def test_a_score_that_is_not_a_number_tells_nothing():
    assert measure_comparison([0.1, math.nan, 0.2], [0.5, 0.6, 0.7]).verdict == "cannot tell"


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=12))
def test_exchanging_the_arms_exchanges_the_verdict(scores):
    a, b = zip(*scores, strict=True)
    other = {"A": "B", "B": "A", "cannot tell": "cannot tell"}
    forth, back = measure_comparison(a, b), measure_comparison(b, a)
    assert forth.verdict == other[back.verdict]
    assert forth.mean == pytest.approx(-back.mean)


def test_no_difference_is_rarely_claimed_where_there_is_none():
    rng = np.random.default_rng(0)
    claimed = [
        measure_comparison(rng.normal(size=6), rng.normal(size=6)).verdict != "cannot tell"
        for _ in range(2000)
    ]
    assert 0.035 < np.mean(claimed) < 0.065


def test_arms_start_alike_when_each_pair_shares_its_weights():
    def starts(a, b):
        return measure_comparison([0, 0], [0, 0], a, b).same_starts

    assert starts(["x", "y"], ["x", "y"])
    assert not starts(["x", "y"], ["y", "x"])
    assert not starts(["x", "x"], ["x", "x"])
    assert not starts([], [])


def test_scores_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="one of each arm"):
        measure_comparison([1, 2], [1])
    with pytest.raises(ValueError, match="one of each arm"):
        measure_comparison([], [])
    with pytest.raises(ValueError, match="fingerprints"):
        measure_comparison([1, 2], [1, 2], ["x"])


def test_the_sentence_has_mean_interval_and_verdict():
    text = say_comparisons({"step": measure_comparison([0.40, 0.42, 0.41], [0.50, 0.53, 0.52])})
    assert "step: over 3 seeds B minus A is +10.7 points" in text
    assert "B is better" in text


def test_every_comparison_can_be_drawn():
    figure = draw_comparisons(
        {
            "told": measure_comparison([0.1, 0.2, 0.3], [0.5, 0.6, 0.8]),
            "not told": measure_comparison([0.1, 0.2], [0.2, 0.1]),
            "one seed": measure_comparison([0.1], [0.2]),
            "the same": measure_comparison([0.1, 0.2], [0.1, 0.2]),
        }
    )
    figure.canvas.draw()


def test_a_head_start_is_what_the_second_arm_need_not_learn():
    def arm(start, losses):
        return Arm(AppliedRate(np.full(4, 0.05)), np.array(losses), start, "e", 0.5)

    arms = {"constant": arm("s", [2.4, 2.0, 1.5]), "schedule": arm("e", [1.4, 1.3, 1.1])}
    assert head_start(arms) == pytest.approx(1.0)
    assert "schedule: rate 0.05 at every one of 4 steps; it starts from the weights e" in say_arms(
        arms
    )
    draw_arms(arms).canvas.draw()


@pytest.mark.slow
def test_fingerprints_tell_weights_apart_and_equal_seeds_give_equal_ones(fw):
    def fresh(seed):
        fw.set_seed(seed)
        return fw.one_layer(6, 3)

    assert fingerprint(fw, fresh(1)) == fingerprint(fw, fresh(1))
    assert fingerprint(fw, fresh(1)) != fingerprint(fw, fresh(2))
    model = fresh(1)
    before = fingerprint(fw, model)
    state = fw.get_state(model)
    state[0] = state[0] + 1e-3
    fw.set_state(model, state)
    assert fingerprint(fw, model) != before
