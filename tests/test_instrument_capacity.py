"""The capacity instrument: what it measures, what it draws, what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from grader import frameworks
from grader.instruments.capacity import (
    Ceiling,
    OneBatch,
    draw_capacity,
    draw_ceilings,
    measure_nonlinearity,
    measure_one_batch,
    say_capacity,
    say_ceilings,
)

IMAGES = np.random.default_rng(0).normal(size=(16, 16, 16, 3)).astype(np.float32)
LABELS = np.arange(16) % 4


class Function:
    """A stand-in for an adapter whose model is a plain function of arrays."""

    @staticmethod
    def predict(model, x):
        return model(x).astype(np.float32)


def batch(*ends: float, steps: int = 5) -> OneBatch:
    losses = np.stack([np.linspace(2.3, end, steps) for end in ends])
    settled = np.where(np.isnan(ends), np.nan, ends)
    return OneBatch((0.01, 0.003, 0.03)[: len(ends)], losses, settled, 32)


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def test_a_matrix_with_an_offset_is_affine():
    matrix = np.random.default_rng(1).normal(size=(16 * 16 * 3, 4))
    affine = measure_nonlinearity(Function, lambda x: x.reshape(len(x), -1) @ matrix + 5, IMAGES)
    assert affine < 1e-5


def test_a_square_deviates_by_what_can_be_calculated():
    x = np.array([[1.0], [1.0]])  # a = b = 1: (2² - 1 - 1 + 0) / (1 + 1)
    assert measure_nonlinearity(Function, np.square, x) == pytest.approx(1)


def test_the_scale_of_the_outputs_does_not_matter():
    small = measure_nonlinearity(Function, lambda x: np.tanh(x).mean(axis=(1, 2)), IMAGES)
    large = measure_nonlinearity(Function, lambda x: 1e3 * np.tanh(x).mean(axis=(1, 2)), IMAGES)
    assert small == pytest.approx(large, rel=1e-3)
    assert small > 0.01


def test_the_same_output_for_all_images_counts_as_affine():
    assert measure_nonlinearity(Function, lambda x: np.ones((len(x), 4)), IMAGES) == 0


def test_outputs_that_are_not_finite_are_no_number():
    value = measure_nonlinearity(Function, lambda x: np.full((len(x), 4), np.inf), IMAGES)
    assert math.isnan(value)


def test_the_floor_is_that_of_the_best_rate():
    assert batch(1.5, 0.2, 0.9).floor == pytest.approx(0.2)
    assert batch(1.5, 0.2, 0.9).best == 1
    assert batch(0.01, math.nan, math.nan).floor == pytest.approx(0.01)
    assert batch(math.inf, 0.4).floor == pytest.approx(0.4)


def test_the_sentence_names_the_loss_and_the_kind_of_map():
    text = say_capacity("sick", batch(1.5, 1.25), 1e-7)
    assert text.startswith("Sick: after 5 steps on the same 32 images their loss is 1.25")
    assert "an affine map, up to rounding" in text
    assert "more than an affine map" in say_capacity("repaired", batch(0.001), 0.3)


@pytest.mark.parametrize("ends", [(1.5, 1.2, 1.7), (0.001,), (math.nan, 0.5), (math.inf, 0.5)])
def test_every_batch_can_be_drawn(ends):
    figure = draw_capacity(
        {"sick": batch(*ends), "repaired": batch(0.0, 0.1)},
        {"sick": 0.0, "repaired": math.nan},
        10,
    )
    assert isinstance(figure, Figure)
    figure.canvas.draw()


def test_ceilings_are_read_from_the_cheapest_to_the_dearest():
    ceilings = [
        Ceiling("2 filters", 1000, 0.3, 0.28),
        Ceiling("8 filters", 9000, 0.7, 0.6),
        Ceiling("64 filters", 100_000, 1.0, 0.55),
    ]
    text = say_ceilings(ceilings)
    assert "From 2 filters to 64 filters the multiply-adds grow 100-fold" in text
    assert "Best on unseen images: 8 filters, with 60%" in text
    draw_ceilings(ceilings).canvas.draw()
    draw_ceilings(ceilings, Ceiling("sick", 5000, 0.2, 0.2)).canvas.draw()


@pytest.mark.slow
def test_the_quick_patient_is_affine_and_holds_no_batch_in_both_frameworks(fw):
    x = fw.from_images(IMAGES)
    sick = fw.strided_network(16, 4, squeeze=1, activation=False)
    assert measure_nonlinearity(fw, sick, x) < 1e-4
    assert measure_one_batch(fw, sick, x, LABELS, rates=(0.01,), steps=60).floor > 0.2


@pytest.mark.slow
def test_a_healthy_network_bends_and_holds_the_batch(fw):
    x = fw.from_images(IMAGES)
    healthy = fw.strided_network(16, 4)
    before = fw.get_state(healthy)
    assert measure_nonlinearity(fw, healthy, x) > 0.02
    measured = measure_one_batch(fw, healthy, x, LABELS, rates=(0.01, 0.003), steps=60, enough=0.2)
    assert measured.floor < 0.2
    assert measured.losses.shape == (2, 60)
    assert np.isnan(measured.losses[1]).all()  # the first rate was enough
    for old, new in zip(before, fw.get_state(healthy), strict=True):
        assert np.array_equal(old, new)


@pytest.mark.slow
def test_a_rate_that_explodes_is_left_behind_for_one_that_does_not(fw):
    x = fw.from_images(IMAGES * 1e18)
    model = fw.plain_cnn(16, 4)
    measured = measure_one_batch(fw, model, x, LABELS, rates=(1e30, 1e-3), steps=5)
    assert np.isinf(measured.settled[0])
