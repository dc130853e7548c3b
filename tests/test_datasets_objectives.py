"""Trainings by formula: the shape that was measured, and an optimum that is one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.datasets.objectives import GUESSING, LONGEST, Objective, draw_objectives


def objective(**changes) -> Objective:
    values = {
        "space": {"a": (1e-5, 1.0), "b": (1e-6, 1e-2)},
        "knob": "a",
        "best": -3.0,
        "pace": 16.0,
        "floor": 1.6,
        "diverges": 1.6,
        "indifferent": -4.0,
        "beyond": False,
        "seed": 5,
    }
    return Objective(**values | changes)


def at(decades: float, b: float = 1e-4) -> dict[str, float]:
    return {"a": 10 ** (-3 + decades), "b": b}


def test_the_loss_depends_on_value_times_epochs():
    slow = objective().truth(at(-1), 30)
    quick = objective().truth(at(0), 3)
    assert slow[29] == pytest.approx(quick[2])


def test_a_training_starts_near_guessing_and_reaches_its_floor_at_its_pace():
    curve = objective().truth(at(0), 16)
    assert 0.9 * GUESSING < curve[0] < GUESSING
    assert curve[15] == pytest.approx(1.6, abs=0.02)


def test_a_training_that_goes_on_for_too_long_memorises():
    curve = objective().truth(at(0.4))
    assert curve.argmin() < LONGEST - 4
    assert curve[-1] > curve.min() + 0.1


def test_three_epochs_favour_a_higher_value_than_the_whole_training():
    steps = np.linspace(-1, 1.5, 51)
    short = steps[np.argmin([objective().truth(at(d), 3)[2] for d in steps])]
    best = steps[np.argmin([objective().lowest(at(d)) for d in steps])]
    assert short > best + 0.3


def test_high_values_have_a_higher_floor_and_then_diverge():
    assert objective().lowest(at(1.2)) > objective().lowest(at(0.2)) + 0.2
    assert np.isnan(objective().truth(at(1.7))[2:]).all()
    assert objective().lowest(at(1.7)) > GUESSING
    assert np.isfinite(objective().truth(at(1.7), 1)).all()


def test_the_other_knob_hardly_matters():
    losses = [objective().lowest(at(0, b)) for b in (1e-6, 1e-4, 1e-2)]
    assert max(losses) - min(losses) < 0.02


def test_what_is_measured_can_be_asked_again_and_carried_on():
    first = objective().measured(at(0), 5, "validation")
    assert np.array_equal(first, objective().measured(at(0), 9, "validation")[:5])
    assert not np.array_equal(first, objective().measured(at(0), 5, "test"))
    assert not np.array_equal(first, objective(seed=6).measured(at(0), 5, "validation"))


def test_noise_grows_where_the_loss_is_low():
    def spread(decades):
        values = [objective(seed=s).measured(at(decades), 20, "validation")[19] for s in range(200)]
        return np.std(values)

    assert spread(-2) < 0.01
    assert 0.03 < spread(0) < 0.07
    assert spread(1) > 1.5 * spread(0)


@given(st.floats(1e-30, 1e30), st.floats(1e-30, 1e30), st.integers(1, LONGEST))
def test_any_positive_values_give_a_curve(a, b, epochs):
    curve = objective().measured({"a": a, "b": b}, epochs, "validation")
    assert curve.shape == (epochs,)
    assert np.isfinite(curve[:2]).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_objectives_are_what_they_are_said_to_be(seed):
    drawn = draw_objectives(seed)
    assert [o.beyond for o in drawn] == [False] * 24 + [True] * 12
    for o in drawn:
        low, high = np.log10(o.space[o.knob])
        assert o.beyond == (not low <= o.best <= high)
        # Both are the lowest of some dozens of values, and not of the same ones.
        assert o.lowest_anywhere() <= o.lowest_inside() + 1e-4
        gained = o.lowest_inside() - o.lowest_anywhere()
        assert gained > 0.05 if o.beyond else gained < 0.005
        corner = {name: ends[0] for name, ends in o.space.items()}
        assert o.lowest(corner) > o.lowest_anywhere() + 0.05
    assert {o.knob for o in drawn[:24]} == {o.knob for o in drawn[24:]} == {"a", "b"}
    sides = {math.log10(o.space[o.knob][0]) < o.best for o in drawn if o.beyond}
    assert sides == {True, False}


def test_another_seed_gives_other_objectives_and_the_same_seed_the_same():
    assert draw_objectives(3) == draw_objectives(3)
    assert draw_objectives(3)[0].best != draw_objectives(4)[0].best
