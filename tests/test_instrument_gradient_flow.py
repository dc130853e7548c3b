"""The gradient-flow instrument: what it measures, what it draws, what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from grader import frameworks
from grader.instruments.gradient_flow import (
    NOTHING_ARRIVES,
    GradientFlow,
    draw_depths,
    draw_gradient_flow,
    measure_gradient_flow,
    measure_movement,
    powers_of_ten,
    say_depths,
    say_gradient_flow,
)

IMAGES = np.random.default_rng(0).normal(size=(16, 16, 16, 3)).astype(np.float32)
LABELS = np.arange(16) % 4


def flow(*gradients: float, weights: float = 1.0) -> GradientFlow:
    names = tuple(f"layer{i}" for i in range(len(gradients)))
    return GradientFlow(names, np.array(gradients), np.full(len(gradients), weights))


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def test_the_loss_on_the_way_is_counted_in_powers_of_ten():
    assert flow(1e-6, 1e-4, 1e-2).lost == pytest.approx(4)
    assert flow(0.3, 0.3).lost == 0


def test_the_order_of_the_layers_does_not_matter():
    assert flow(1e-6, 1e-2, 1e-4).lost == pytest.approx(flow(1e-2, 1e-4, 1e-6).lost)


@given(st.lists(st.floats(1e-20, 1e5), min_size=1, max_size=30), st.floats(1e-3, 1e3))
def test_one_factor_for_all_layers_changes_nothing(gradients, factor):
    values = np.array(gradients)
    assert powers_of_ten(values * factor) == pytest.approx(powers_of_ten(values), abs=1e-6)
    assert powers_of_ten(values) >= 0


def test_a_layer_without_gradient_is_not_taken_for_a_weak_one():
    assert flow(0.0, 1e-2).lost == NOTHING_ARRIVES
    assert flow(0.0, 1e-2).silent == 1


def test_before_the_first_step_a_branch_that_is_switched_off_is_left_out():
    assert flow(0.0, 1e-4, 1e-2).lost_on_the_way == pytest.approx(2)
    assert flow(0.0, 0.0).lost_on_the_way == NOTHING_ARRIVES


def test_a_gradient_that_is_not_finite_is_not_a_number():
    assert math.isnan(flow(math.inf, 1.0).lost)
    assert math.isnan(flow(math.nan, 1.0).lost_on_the_way)
    assert "not a finite number" in say_gradient_flow(flow(math.nan, 1.0))


def test_weights_that_are_zero_do_not_divide():
    assert flow(1.0, weights=0.0).relative.tolist() == [0]


def test_movement_is_relative_and_leaves_biases_out():
    before = [np.ones((2, 2)), np.ones(3), np.zeros((2, 2)), np.zeros((1, 2))]
    after = [np.full((2, 2), 1.5), np.zeros(3), np.zeros((2, 2)), np.ones((1, 2))]
    assert measure_movement(before, after).tolist() == [0.5, 0, math.inf]


def test_the_sentence_names_both_layers_and_what_lies_between():
    text = say_gradient_flow(flow(2e-6, 1e-4, 2e-2))
    assert "layer 1 of 3" in text
    assert "layer 3" in text
    assert "4.0 powers of ten" in text
    assert "everything lost" in say_gradient_flow(flow(0.0, 1.0))


@pytest.mark.parametrize(
    "gradients", [(1e-6, 1e-2), (0.0, 1e-2), (0.0, 0.0), (math.nan, 1.0), (0.5,)]
)
def test_every_flow_can_be_drawn(gradients):
    figure = draw_gradient_flow(
        {"sick": flow(*gradients), "repaired": flow(0.1, 0.2)},
        {"sick": [1.39, 1.39], "repaired": [1.2, 0.4]},
        4,
    )
    assert isinstance(figure, Figure)
    figure.canvas.draw()


def test_depths_are_read_as_a_factor_a_layer():
    first = {2: 0.1, 4: 0.1 * 0.4**2, 8: 0.1 * 0.4**6}
    assert "multiplies it by 0.40" in say_depths(first)
    assert "From 2 to 8 convolutions" in say_depths(first)
    draw_depths(first, 0.41).canvas.draw()


@pytest.mark.slow
def test_the_deep_patient_is_sick_in_the_same_way_in_both_frameworks(fw):
    x = fw.from_images(IMAGES)
    sick = measure_gradient_flow(fw, fw.deep_stack(16, 4), x, LABELS)
    assert len(sick.names) == 15
    assert 3 < sick.lost < 6
    assert sick.relative.argmin() < 4
    assert sick.relative.argmax() > 11


@pytest.mark.slow
def test_a_network_with_normalisation_is_not_accused(fw):
    x = fw.from_images(IMAGES)
    healthy = fw.small_network(16, 4, width=8, seed=0)
    assert measure_gradient_flow(fw, healthy, x, LABELS).lost < 2


@pytest.mark.slow
def test_frozen_layers_are_measured_too(fw):
    x = fw.from_images(IMAGES)
    model = fw.deep_stack(16, 4)
    before = measure_gradient_flow(fw, model, x, LABELS)
    if fw.NAME == "pytorch":
        model[0].requires_grad_(False)
    else:
        model.layers[0].trainable = False
    after = measure_gradient_flow(fw, model, x, LABELS)
    assert after.gradients == pytest.approx(before.gradients, rel=1e-3)


@pytest.mark.slow
def test_outputs_as_in_training_leave_the_model_as_it_was(fw):
    x = fw.from_images(IMAGES)
    model = fw.small_network(16, 4, width=8, seed=0)
    fw.predict(model, x)
    before = fw.get_state(model)
    outputs = fw.predict_in_training(model, x)
    assert outputs.shape == (16, 4)
    assert outputs.dtype == np.float32
    assert not np.allclose(outputs, fw.predict(model, x))
    for old, new in zip(before, fw.get_state(model), strict=True):
        assert np.array_equal(old, new)


@pytest.mark.slow
def test_logits_that_no_weight_enters_have_no_gradient(fw):
    if fw.NAME == "pytorch":
        from torch import nn

        class Zeros(nn.Module):
            def __init__(self):
                super().__init__()
                self.unused = nn.Linear(3, 3)

            def forward(self, x):
                return x.new_zeros(len(x), 4)

        model = Zeros()
    else:
        import keras

        model = keras.Sequential(
            [
                keras.Input((16, 16, 3)),
                keras.layers.Flatten(),
                keras.layers.Dense(4),
                keras.layers.Lambda(lambda logits: keras.ops.zeros_like(logits)),
            ]
        )
    measured = measure_gradient_flow(fw, model, fw.from_images(IMAGES), LABELS)
    assert measured.lost_on_the_way == NOTHING_ARRIVES
