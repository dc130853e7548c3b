"""The echo instrument: what it measures, what it draws, what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from grader import frameworks
from grader.instruments.echo import (
    Echo,
    EchoError,
    UsedGradient,
    different_units,
    draw_echo,
    measure_echo,
    measure_used_gradient,
    probe_batches,
    say_echo,
    say_used_gradient,
)


def echo(*ways: float, silent: float = 0.0, returning: float = 1.0) -> Echo:
    return Echo(np.arange(len(ways)), np.array(ways), silent, returning)


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    return frameworks.load(request.param)


def descent(fw, *, keep: float = 0.0, clears: bool = True):
    """Gradient descent by hand, on what any framework hands out: momentum, or a sum that grows."""

    def train(model, batches, rate):
        state = fw.get_state(model)
        speed = [np.zeros_like(a) for a in state]
        for x, y in batches:
            fresh = fw.loss_gradients(model, x, fw.to_numpy(y))
            held = keep if clears else 1.0
            speed = [held * s + g for s, g in zip(speed, fresh, strict=True)]
            state = [a - rate * s for a, s in zip(state, speed, strict=True)]
            fw.set_state(model, state)

    return train


def test_a_loop_at_rest_has_no_echo():
    assert echo(1, 1, 1).share == 0


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3))
def test_the_echo_is_a_ratio(silent, factor):
    one, other = (echo(1, silent=silent * f, returning=2 * silent * f) for f in (1, factor))
    assert one.share == pytest.approx(other.share)
    assert one.share == pytest.approx(0.5)


def test_a_batch_that_moves_nothing_is_not_taken_for_rest():
    assert math.isnan(echo(0, 0, returning=0).share)
    assert echo(1, 9, silent=1, returning=0).share == math.inf
    assert math.isnan(echo(1, math.nan, silent=math.nan).share)
    assert "do not move" in say_echo(echo(0, 0, returning=0))


def test_ways_are_counted_in_first_steps():
    assert echo(2, 4, 6).in_first_steps.tolist() == [1, 2, 3]
    assert np.isnan(echo(0, 0).in_first_steps).all()


def test_the_sentences_carry_the_numbers():
    text = say_echo(echo(0.5, 1, 20.5, silent=0.5, returning=1.0))
    assert "41 times as far" in text
    assert "2 empty ones" in text
    assert "12.5 times as long" in say_used_gradient(UsedGradient(20, 25.0, 2.0))


@pytest.mark.parametrize("ways", [(1, 1, 1), (1, 5, 9), (0, 0, 0), (1, math.nan, math.nan)])
def test_every_echo_can_be_drawn(ways):
    figure = draw_echo(
        {"sick": echo(*ways), "repaired": echo(1, 1, 1)},
        {"sick, rate 0.1": [1.4, math.nan], "sick, rate 0.01": [1.4, 9.0], "repaired": [1, 0.2]},
        4,
    )
    assert isinstance(figure, Figure)
    figure.canvas.draw()


@pytest.mark.slow
def test_black_images_teach_the_resting_network_nothing(fw):
    full, empty = probe_batches(fw, classes=3, seed=1)
    model = fw.resting_network(8, 3, seed=1)
    for (x, y), still in ((empty, True), (full, False)):
        gradients = fw.loss_gradients(model, x, fw.to_numpy(y))
        assert [g.shape for g in gradients] == [a.shape for a in fw.get_state(model)]
        assert all((g == 0).all() == still for g in gradients)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resting_network", "steady_network", "seeded_quick_cnn"])
def test_a_network_of_the_probe_depends_on_its_seed_only(fw, name):
    build = getattr(fw, name)
    fw.set_seed(5)
    first = fw.get_state(build(8, 3, seed=1))
    fw.set_seed(6)
    again, other = (fw.get_state(build(8, 3, seed=s)) for s in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.slow
def test_every_parameter_of_the_steady_network_gets_a_gradient(fw):
    model = fw.steady_network(8, 4, seed=0)
    (x, y), _ = probe_batches(fw, classes=4, seed=0)
    sizes = [np.linalg.norm(g) for g in fw.loss_gradients(model, x, fw.to_numpy(y))]
    assert len(sizes) == len(fw.get_state(model)) == 8
    assert min(sizes) > 1e-2 * max(sizes)


@pytest.mark.slow
def test_a_training_that_changes_shapes_is_told_so(fw):
    def train(model, batches, rate):
        if fw.NAME == "pytorch":
            model[-1] = type(model[-1])(64, 7, bias=False)
        else:
            dense = type(model.layers[-1])
            model.pop()
            model.add(dense(7, use_bias=False))

    with pytest.raises(EchoError, match="shapes"):
        measure_echo(fw, train, rate=0.01)


@pytest.mark.slow
def test_fresh_gradients_rest_momentum_fades_and_a_sum_goes_on(fw):
    shares = {
        name: measure_echo(fw, train, rate=0.01).share
        for name, train in (
            ("plain", descent(fw)),
            ("momentum", descent(fw, keep=0.9)),
            ("sum", descent(fw, clears=False)),
        )
    }
    assert shares["plain"] == 0
    assert 0.03 < shares["momentum"] < 0.05
    assert 0.97 < shares["sum"] < 10


@pytest.mark.slow
def test_a_sum_walks_on_as_far_as_it_is_given_batches(fw):
    ways = measure_echo(fw, descent(fw, clears=False), rate=0.01, empties=(0, 3, 6)).in_first_steps
    assert ways == pytest.approx([1, 4, 7], rel=1e-3)


@pytest.mark.slow
def test_the_used_gradient_of_plain_descent_is_the_fresh_one(fw):
    full, empty = probe_batches(fw, classes=4, seed=2)

    def build():
        return fw.resting_network(8, 4, seed=3)

    fresh = measure_used_gradient(fw, descent(fw), build, [full, empty, full], rate=0.01)
    assert fresh.ratio == pytest.approx(1, rel=1e-2)
    piled = measure_used_gradient(
        fw, descent(fw, clears=False), build, [full, empty, full], rate=0.01
    )
    assert piled.batch == 3
    assert piled.ratio == pytest.approx(2, rel=0.1)


@pytest.mark.slow
def test_units_that_say_the_same_are_counted_once(fw):
    model = fw.resting_network(8, 4, seed=0)
    (x, _), _ = probe_batches(fw, classes=4, seed=0)
    assert different_units(fw, model, x) == (4, 4)
    fw.set_state(model, [np.full_like(a, 0.1) for a in fw.get_state(model)])
    assert different_units(fw, model, x) == (1, 4)
