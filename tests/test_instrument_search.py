"""The search instrument: the books it keeps, what it reads from them, what it draws and says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from grader.instruments.search import (
    Sweep,
    Trials,
    configuration,
    draw_search,
    draw_strategies,
    fall_at_the_end,
    measure_search,
    say_search,
    say_strategies,
    widest_gap,
)

SPACE = {"rate": (1e-4, 1.0), "decay": (1e-6, 1e-2)}


def curves(config, epochs):
    """Falls from 2 with the rate's distance from 0.01; diverges above 0.5."""
    distance = abs(math.log10(config["rate"]) + 2)
    losses = 2 - np.arange(1, epochs + 1) / 20 + 0.1 * distance
    if config["rate"] > 0.5:
        losses[1:] = np.nan
    return losses, losses + 0.01


def new_trials(**changes):
    return Trials(curves, tuple(SPACE), **{"longest": 20} | changes)


def test_epochs_are_paid_once():
    trial = new_trials()
    assert trial({"rate": 0.01, "decay": 1e-4}, 3) == pytest.approx([1.95, 1.9, 1.85])
    assert trial.spent == 3
    trial({"decay": 1e-4, "rate": 0.01}, 10)
    assert trial.spent == 10
    trial({"rate": 0.01, "decay": 1e-4}, 5)
    assert trial.spent == 10
    trial({"rate": 0.01, "decay": 2e-4}, 1)
    assert trial.spent == 11


def test_a_result_can_be_changed_without_changing_the_books():
    trial = new_trials()
    trial({"rate": 0.01, "decay": 1e-4}, 3)[:] = 0
    assert trial({"rate": 0.01, "decay": 1e-4}, 3)[0] == pytest.approx(1.95)


def test_the_test_images_cost_nothing_and_are_counted():
    trial = new_trials()
    trial({"rate": 0.01, "decay": 1e-4}, 3)
    assert trial.test({"rate": 0.01, "decay": 1e-4}, 3) == pytest.approx(1.86)
    trial({"rate": 0.1, "decay": 1e-4}, 3)
    trial.test({"rate": 0.1, "decay": 1e-4}, 3)
    assert trial.spent == 6
    search = measure_search(trial)
    assert (search.tested, search.tested_before_the_end) == (2, 1)


@pytest.mark.parametrize(
    ("config", "epochs", "words"),
    [
        ({"rate": 0.1}, 3, "one value for each"),
        ({"rate": 0.1, "decay": 1e-4, "width": 3}, 3, "one value for each"),
        ([0.1, 1e-4], 3, "one value for each"),
        ({"rate": 0.0, "decay": 1e-4}, 3, "above zero"),
        ({"rate": math.nan, "decay": 1e-4}, 3, "above zero"),
        ({"rate": None, "decay": 1e-4}, 3, "one number"),
        ({"rate": 0.1, "decay": 1e-4}, 0, "whole number"),
        ({"rate": 0.1, "decay": 1e-4}, 21, "1 to 20"),
        ({"rate": 0.1, "decay": 1e-4}, 2.5, "whole number"),
    ],
)
def test_a_trial_that_cannot_be_made_is_refused_in_words(config, epochs, words):
    trial = new_trials()
    with pytest.raises(ValueError, match=words):
        trial(config, epochs)
    assert trial.spent == 0


def test_a_search_that_goes_on_is_stopped():
    trial = new_trials(most=30)
    trial({"rate": 0.01, "decay": 1e-4}, 20)
    trial({"rate": 0.02, "decay": 1e-4}, 10)
    with pytest.raises(RuntimeError, match="goes on"):
        trial({"rate": 0.03, "decay": 1e-4}, 2)
    assert trial.spent == 32


def test_a_configuration_becomes_plain_numbers():
    values = configuration({"b": np.float32(0.5), "a": 1}, ("a", "b"))
    assert values == {"a": 1.0, "b": 0.5}
    assert all(type(v) is float for v in values.values())


def test_a_grid_of_nine_tries_three_values_of_each_knob():
    trial = new_trials()
    for rate in (1e-4, 0.5, 1.0):
        for decay in (1e-6, 1e-4, 1e-2):
            trial({"rate": rate, "decay": decay}, 3)
    search = measure_search(trial)
    assert len(search.losses) == 9
    assert search.distinct("rate") == search.distinct("decay") == 3
    assert search.spent[-1] == 27
    assert np.isnan(search.losses).sum() == 3
    assert search.best_so_far[-1] == pytest.approx(2 - 3 / 20 + 0.1 * math.log10(50))
    text = say_search(search, SPACE)
    assert "9 trainings, 27 epochs" in text
    assert "rate at 3 values, its widest gap 3.70 decades" in text
    assert "decay at 3 values, its widest gap 2.00 decades" in text
    assert "looked at not once" in text


def test_a_training_that_was_carried_on_is_one_training():
    trial = new_trials()
    for epochs in (3, 9, 9, 2):
        trial({"rate": 0.01, "decay": 1e-4}, epochs)
    search = measure_search(trial)
    assert search.epochs.tolist() == [9]
    assert search.spent.tolist() == [3, 9, 9, 9]


def test_a_training_that_diverged_is_never_the_best():
    trial = new_trials()
    trial({"rate": 1.0, "decay": 1e-4}, 3)
    trial({"rate": 1e-4, "decay": 1e-4}, 1)
    assert measure_search(trial).best_so_far == pytest.approx([math.inf, 2.15])


def test_a_search_without_a_trial_cannot_be_read():
    with pytest.raises(ValueError, match="no training"):
        measure_search(new_trials())


def test_the_widest_gap_counts_the_ends_of_the_space():
    assert widest_gap([1e-5, 0.5, 1.0], 1e-5, 1.0) == pytest.approx(math.log10(5e4))
    assert widest_gap([1e-3], 1e-5, 1.0) == pytest.approx(3)
    assert widest_gap([], 1e-5, 1.0) == pytest.approx(5)
    assert widest_gap([10.0, 1e-9], 1e-5, 1.0) == pytest.approx(5)


@given(st.lists(st.floats(1e-6, 10), max_size=20))
def test_another_value_never_widens_the_gap(values):
    before = widest_gap(values, 1e-5, 1.0)
    assert 0 < before <= 5 + 1e-9
    assert widest_gap([*values, 1e-3], 1e-5, 1.0) <= before + 1e-9


def test_the_fall_at_the_end_is_a_slope():
    assert fall_at_the_end(2 - 0.05 * np.arange(12)) == pytest.approx(0.05)
    assert fall_at_the_end(np.r_[np.linspace(2, 1, 8), np.ones(4)]) == pytest.approx(0)
    assert fall_at_the_end(np.r_[np.linspace(2, 1, 8), np.linspace(1, 2, 4)]) < 0
    assert math.isnan(fall_at_the_end(np.array([2.0])))
    assert math.isnan(fall_at_the_end(np.array([2.0, 1.0, np.nan])))


def test_a_sweep_is_read_early_and_at_its_best():
    sweep = Sweep(np.array([0.1, 1.0]), np.array([[2.0, 1.5, 1.8], [2.5, np.nan, np.nan]]))
    assert sweep.after(3)[0] == 1.8
    assert sweep.lowest().tolist() == [1.5, 2.5]
    assert Sweep(np.array([9.0]), np.array([[np.nan]])).lowest().tolist() == [math.inf]


@pytest.mark.parametrize("rates_tried", [(1e-4, 0.01, 1.0, 20.0), (1.0, 20.0)])
@pytest.mark.parametrize("names", [("sick",), ("sick", "repaired"), ("something else",)])
def test_every_search_can_be_drawn(names, rates_tried):
    trial = new_trials()
    for rate in rates_tried:
        trial({"rate": rate, "decay": 1e-4}, 3)
    rates = np.geomspace(1e-4, 1, 7)
    sweep = Sweep(rates, np.array([curves({"rate": r, "decay": 1}, 20)[0] for r in rates]))
    flat = Sweep(np.geomspace(1e-6, 1e-2, 4), np.ones((4, 20)))
    figure = draw_search(
        dict.fromkeys(names, measure_search(trial)),
        {"rate": sweep, "decay": flat},
        short=3,
        guessing=2.3,
    )
    assert isinstance(figure, Figure)
    figure.canvas.draw()


def test_strategies_are_drawn_and_read_as_shares():
    shares = {"grid": np.array([0.0, 0.5]), "random": np.array([-7.0, 1.0, 0.9])}
    draw_strategies(shares).canvas.draw()
    text = say_strategies(shares)
    assert "grid 0.25 (better on 1 of 2)" in text
    assert "random 0.30 (better on 2 of 3)" in text
