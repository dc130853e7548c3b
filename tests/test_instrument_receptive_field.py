"""The receptive-field instrument: what it measures, what it draws, what it says."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import frameworks
from grader.datasets.masts import four_pairs
from grader.instruments.receptive_field import (
    Field,
    draw_fields,
    measure_by_distance,
    measure_fields,
    measure_relation,
    say_by_distance,
    say_field,
    theoretical_side,
)

IMAGES = np.random.default_rng(0).normal(size=(24, 28, 28, 3)).astype(np.float32)


def square(side: int, size: int = 28) -> Field:
    mass = np.zeros((size, size))
    start = (size - side) // 2
    mass[start : start + side, start : start + side] = 1 / side**2
    return Field("square", mass)


def predicting(logits: list[list[float]]) -> SimpleNamespace:
    return SimpleNamespace(predict=lambda model, x: np.array(logits, np.float32))


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def test_the_side_counts_every_pixel_that_reaches():
    assert square(7).side == 7
    assert Field("nothing", np.zeros((8, 8))).side == 0


def test_nine_tenths_may_lie_within_a_smaller_square():
    mass = np.zeros((15, 15))
    mass[7, 7], mass[7, 0], mass[7, 14] = 0.95, 0.025, 0.025
    assert Field("peaked", mass).side == 15
    assert Field("peaked", mass).side_of(0.9) == 1
    assert Field("peaked", mass).side_of(1.0) == 15


def test_a_chain_of_layers_by_arithmetic():
    assert theoretical_side([(3, 1, 1)] * 3) == 7
    assert theoretical_side([(3, 1, 1), (3, 1, 2), (3, 1, 4)]) == 15
    assert theoretical_side([(3, 1, 1), (2, 2, 1), (3, 1, 1), (2, 2, 1), (3, 1, 1)]) == 18
    assert theoretical_side([(11, 4, 1), (3, 1, 1)]) == 19
    assert theoretical_side([]) == 1


@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 3), st.integers(1, 3)), max_size=6))
def test_every_layer_keeps_or_widens_the_field(layers):
    sides = [theoretical_side(layers[:n]) for n in range(len(layers) + 1)]
    assert sides == sorted(sides)


def test_a_sum_of_single_marks_knows_no_relation():
    assert measure_relation(predicting([[3, 0], [5, 1], [4, 1], [4, 0], [1, 1]]), None, None) == 0
    assert measure_relation(predicting([[2, 0]] * 4 + [[1, 1]]), None, None) == 0
    assert measure_relation(predicting([[1, 1]] * 5), None, None) == 0


def test_a_relation_is_measured_in_what_marks_change_at_all():
    logits = [[2, 0], [2, 0], [0, 2], [0, 2], [1, 1]]
    assert measure_relation(predicting(logits), None, None) == pytest.approx(4)
    assert math.isnan(measure_relation(predicting([[math.nan] * 2] * 5), None, None))


def test_accuracy_by_distance():
    labels = np.array([0, 1, 0, 1])
    by = measure_by_distance(np.array([0, 1, 0, 0]), labels, np.array([4, 4, 12, 12]))
    assert by.at(4) == 1
    assert by.at(12) == 0.5
    assert by.count.tolist() == [2, 2]
    assert "100% at 4 pixels, 50% at 12 pixels" in say_by_distance(by)


def test_the_sentence_names_the_field_and_what_the_masts_take():
    text = say_field(square(7), 12, 2)
    assert "square of 7 pixels" in text
    assert "12 pixels apart take 14" in text


@pytest.mark.parametrize("field", [square(7), square(27), Field("nothing", np.zeros((28, 28)))])
def test_every_field_can_be_drawn(field):
    by = measure_by_distance(np.array([0, 1]), np.array([0, 1]), np.array([4, 12]))
    figure = draw_fields(
        four_pairs(28, 12)[0],
        np.array([7, 7]),
        np.array([7, 19]),
        {"sick": square(7), "repaired": field},
        {"sick": by, "repaired": by},
        guessing=0.5,
    )
    figure.canvas.draw()


@pytest.mark.slow
def test_the_patient_sees_seven_pixels_and_no_far_relation(fw):
    model = fw.seven_pixel_stack(28, 2)
    fields = measure_fields(fw, model, fw.from_images(IMAGES))
    assert [f.side for f in fields if f.side > 1][-1] == 7
    assert fields[-1].mass.sum() == pytest.approx(1)
    far = measure_relation(fw, model, fw.from_images(four_pairs(28, 12) / 64.0 - 1))
    near = measure_relation(fw, model, fw.from_images(four_pairs(28, 4) / 64.0 - 1))
    assert far < 1e-4 < near


@pytest.mark.slow
def test_dilation_is_measured_without_asking_the_layers(fw):
    model = fw.seven_pixel_stack(28, 2, dilations=(1, 2, 4))
    x = fw.from_images(IMAGES)
    assert measure_fields(fw, model, x)[-1].side == 15
    assert fw.multiply_adds(model, x) == fw.multiply_adds(fw.seven_pixel_stack(28, 2), x)
    assert measure_relation(fw, model, fw.from_images(four_pairs(28, 12) / 64.0 - 1)) > 1e-4
