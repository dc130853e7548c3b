"""The learning-rate range test: what it reads off a curve, and what a step does to weights."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.checks import AnswerError, Case
from grader.checks.catalogue import labs_root
from grader.instruments.lr_range import (
    Run,
    draw_range,
    draw_runs,
    measure_range,
    read_range,
    say_range,
    say_runs,
    smoothed,
    update_ratio,
)
from grader.instruments.style import as_png

LAB = "3_hyperparameters/01_learning_rate"
RATES = np.geomspace(1e-6, 1e2, 160)


def curve(best: float) -> np.ndarray:
    """A smooth range test: flat, lowest at `best`, then far above its start."""
    decades = np.log10(RATES / best)
    return 2.3 - 1.5 * np.exp(-((decades / 0.7) ** 2)) + 40 * np.maximum(0, decades - 1)


@pytest.fixture(scope="module")
def checks():
    spec = importlib.util.spec_from_file_location("lr_checks", labs_root() / LAB / "checks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_update_is_measured_relative_to_the_weights():
    before = [np.ones((3, 4)), np.full((2, 2), 2.0), np.zeros(5)]
    after = [1.01 * before[0], 1.01 * before[1], np.full(5, 9.0)]
    assert update_ratio(before, after) == pytest.approx(0.01)


def test_without_weights_there_is_no_ratio():
    assert np.isnan(update_ratio([np.zeros((2, 2)), np.ones(3)], [np.ones((2, 2)), np.ones(3)]))


@given(st.floats(1e-6, 1e3), st.floats(1e-3, 1e3))
def test_the_ratio_does_not_depend_on_the_unit_of_the_weights(step, unit):
    before = [np.arange(1.0, 7.0).reshape(2, 3)]
    after = [before[0] + step]
    scaled = update_ratio([unit * before[0]], [unit * after[0]])
    assert scaled == pytest.approx(update_ratio(before, after))


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=40))
def test_smoothing_starts_at_the_first_loss_and_stays_within_the_range(losses):
    smooth = smoothed(np.array(losses))
    assert smooth[0] == pytest.approx(losses[0])
    assert min(losses) - 1e-9 <= smooth.min() <= smooth.max() <= max(losses) + 1e-9


def test_the_three_rates_come_in_order():
    test = read_range(RATES, curve(0.1))
    assert 0.01 < test.fallen < test.lowest < test.diverged
    assert 0.1 < test.lowest < 0.3  # the running mean lags by a few steps


@given(st.floats(1e-3, 1e3))
def test_a_loss_times_a_factor_has_the_same_readings(factor):
    one, other = read_range(RATES, curve(0.1)), read_range(RATES, factor * curve(0.1))
    assert (one.fallen, one.lowest, one.diverged) == (other.fallen, other.lowest, other.diverged)


def test_losses_that_are_not_numbers_count_as_exploded():
    losses = curve(0.1)
    losses[130:] = np.nan
    test = read_range(RATES, losses)
    assert test.diverged <= RATES[130]
    assert np.isfinite(test.lowest)


def test_a_loss_that_never_explodes_has_no_such_rate():
    assert np.isnan(read_range(RATES, np.full(160, 2.3)).diverged)


@pytest.mark.parametrize(
    ("rates", "losses"),
    [
        (RATES, np.ones(3)),
        (RATES[::-1], np.ones(160)),
        (np.zeros(2), np.ones(2)),
        (RATES, np.full(160, np.nan)),
    ],
)
def test_what_is_not_a_range_test_is_refused(rates, losses):
    with pytest.raises(ValueError, match=r"rates|loss"):
        read_range(rates, losses)


def test_the_sweep_asks_the_framework_for_one_row_of_rising_rates():
    asked = {}

    def train_at_rates(model, x, y, *, rates, **training):
        asked.update(training, rates=rates)
        return np.full((1, len(rates)), 2.3)

    measure_range(train_at_rates, None, None, None, steps=10, batch_size=32)
    assert asked["batch_size"] == 32
    assert asked["rates"][0] == pytest.approx(1e-6)
    assert asked["rates"][-1] == pytest.approx(1e2)


def test_pictures_and_sentences_carry_the_numbers():
    run = Run(0.05, [2.3, 1.9, 1.2], [0.011, 0.01, 0.009])
    assert "0.011" in say_runs({"B": run})
    assert as_png(draw_runs({"A": run, "B": run, "C": run})).startswith(b"\x89PNG")
    test = read_range(RATES, curve(0.1))
    assert "0.05" in say_range({"B": test}, {"B": 0.05})
    assert as_png(draw_range({"B": test, "C": test}, {"B": 0.05})).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "value", [None, "0.1", True, float("nan"), float("inf"), 0, -0.1, [0.1, 1]]
)
def test_what_is_not_a_rate_is_answered_in_a_sentence(checks, value):
    with pytest.raises(AnswerError, match="pick_learning_rate"):
        checks.positive_number(value)


def test_the_programs_of_the_check_need_rates_decades_apart(checks):
    for seed in range(20):
        summed, weighted = (p.scale for p in checks.programs(Case(LAB, "pytorch", seed)))
        assert summed > 100 * weighted


@pytest.mark.parametrize(
    ("rate", "end", "words"),
    [
        (0.1 / 32, 1.5, ""),
        (1e-6, 2.31, "too short"),
        (1e-6, 2.29, "too short"),
        (0.1, 2.6, "too long"),
        (0.1, float("nan"), "far too long"),
        (0.02, 2.0, "too long to settle"),
    ],
)
def test_each_mistake_has_its_own_message(checks, rate, end, words):
    program = checks.programs(Case(LAB, "pytorch", 0))[0]
    measured = {"rate": rate, "start": 2.3, "ends": [end, 1.7, 1.5, 1.6]}
    finding = checks.compare(checks.LIMITS[0], program, measured)
    assert finding.holds == (words == "")
    assert words in finding.means


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])
def test_a_summed_loss_takes_the_steps_of_a_mean_at_a_smaller_rate(framework):
    fw = pytest.importorskip(f"grader.frameworks.{framework}")
    rng = np.random.default_rng(0)
    x = fw.from_images(rng.integers(0, 256, (32, 8, 8, 3), np.uint8)) / 127.5 - 1
    y = np.arange(32) % 4
    model = fw.small_network(8, 4, width=2, seed=0)
    start = fw.get_state(model)
    settings = SimpleNamespace(batch_size=8, seed=0)
    mean, summed = (
        fw.train_at_rates(
            model,
            x,
            y,
            rates=np.full((1, 6), rate),
            loss_function=fw.cross_entropy(reduction=reduction),
            **vars(settings),
        )
        for reduction, rate in (("mean", 0.08), ("sum", 0.01))
    )
    np.testing.assert_allclose(mean, summed, rtol=1e-3)
    for old, new in zip(start, fw.get_state(model), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])
def test_rows_are_independent_trainings_and_training_calls_are_counted(framework):
    fw = pytest.importorskip(f"grader.frameworks.{framework}")
    rng = np.random.default_rng(0)
    x = fw.from_images(rng.integers(0, 256, (32, 8, 8, 3), np.uint8)) / 127.5 - 1
    y = np.arange(32) % 4
    model = fw.small_network(8, 4, width=2, seed=0)
    twice = fw.train_at_rates(
        model,
        x,
        y,
        rates=np.full((2, 5), 0.05),
        batch_size=8,
        loss_function=fw.cross_entropy(weight=2.0),
    )
    np.testing.assert_allclose(twice[0], twice[1], rtol=1e-4)
    calls = fw.count_training_calls(model)
    fw.train(model, x, y, steps=7, batch_size=8, learning_rate=0.01)
    fw.predict(model, x)
    assert calls() == 7
