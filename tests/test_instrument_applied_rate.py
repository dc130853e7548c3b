"""The applied-rate instrument: what the optimizer really did, in both frameworks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import frameworks
from grader.instruments.applied_rate import (
    AppliedRate,
    draw_applied_rates,
    measure_applied_rate,
    say_applied_rates,
)


def trace(*rates: float) -> AppliedRate:
    return AppliedRate(np.array(rates, dtype=float))


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def test_a_rate_that_never_falls_ends_at_its_highest():
    flat = trace(0.05, 0.05, 0.05)
    assert (flat.end_share, flat.high_share, flat.changes) == (1, 1, 0)
    assert "0.05 at every one of 3 steps" in say_applied_rates({"flat": flat})


def test_a_tenth_is_low_whatever_the_rounding():
    falls = trace(0.05, 0.05, np.float32(0.05) / np.float32(10))
    assert falls.end_share == pytest.approx(0.1)
    assert falls.high_share == pytest.approx(2 / 3)
    assert "changed once" in say_applied_rates({"falls": falls})


def test_rounding_is_no_change():
    assert trace(0.05, 0.05 * (1 + 1e-8), 0.05).changes == 0


def test_no_step_has_no_rate():
    assert math.isnan(trace().end_share)
    assert math.isnan(trace(0.0, 0.0).end_share)
    assert "no optimizer" in say_applied_rates({"nothing": trace()})


@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=40), st.floats(1e-3, 1e3))
def test_the_shares_do_not_depend_on_the_height_of_the_rate(rates, factor):
    one, other = trace(*rates), trace(*(factor * rate for rate in rates))
    assert one.end_share == pytest.approx(other.end_share)
    assert 0 < one.end_share <= 1
    assert 0 < one.high_share <= 1


def test_every_trace_can_be_drawn():
    traces = {"flat": trace(1, 1), "none": trace(), "falls": trace(1, 0.5, 0), "two": trace(2, 1)}
    draw_applied_rates(traces, columns=3).canvas.draw()


@pytest.mark.slow
def test_a_training_at_one_rate_shows_that_rate(fw):
    x = fw.from_images(np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype(np.float32))
    model = fw.patches_network(8, 4)
    rate, losses = measure_applied_rate(
        fw, fw.train_at_one_rate, model, x, np.arange(64) % 4, rate=0.05, epochs=3
    )
    assert rate.rates == pytest.approx([0.05] * 6)
    assert len(losses) == 3


@pytest.mark.slow
def test_what_was_planned_does_not_count(fw):
    x = fw.from_images(np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype(np.float32))
    y = np.arange(64) % 4
    model = fw.patches_network(8, 4)
    if fw.NAME == "pytorch":
        import torch
        from torch.nn import functional as F

        def train():
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)
            for _ in range(5):
                optimizer.lr = 7.0  # an attribute that no step reads
                optimizer.zero_grad()
                F.cross_entropy(model(x), torch.as_tensor(y)).backward()
                optimizer.step()
                schedule.step()

        expected = [0.1, 0.1, 0.05, 0.05, 0.025]
    else:
        import keras

        def train():
            schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [0.1, 0.05, 0.025])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.Adam(schedule), loss)  # compiled by XLA where it can be
            model.fit(x, y, batch_size=32, epochs=2, verbose=0)
            model.compile(keras.optimizers.SGD(0.3), loss, jit_compile=False)
            model.fit(x, y, batch_size=32, epochs=1, verbose=0)
            model.optimizer.learning_rate = 0.01  # in a step that is traced already
            model.fit(x, y, batch_size=32, epochs=1, verbose=0)

        expected = [0.1, 0.1, 0.05, 0.05, 0.3, 0.3, 0.01, 0.01]
    rate, _ = measure_applied_rate(fw, train)
    assert rate.rates == pytest.approx(expected)


@pytest.mark.slow
def test_nothing_is_noted_outside_of_the_block(fw):
    x = fw.from_images(np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype(np.float32))
    model = fw.patches_network(8, 4)
    with fw.rates_applied() as rates:
        pass
    fw.train_at_one_rate(model, x, np.arange(32) % 4, rate=0.05, epochs=1)
    assert rates == []
    with fw.rates_applied() as again:
        fw.train_at_one_rate(model, x, np.arange(32) % 4, rate=0.03, epochs=2)
    assert again == pytest.approx([0.03, 0.03])
