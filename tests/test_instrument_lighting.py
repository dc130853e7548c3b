"""The lighting instrument: distances without labels, slices, the curve and the monitor's chart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure

from grader.datasets import draw
from grader.instruments.lighting import (
    STATISTICS,
    Watch,
    draw_drift,
    draw_robustness,
    image_statistics,
    ks_distance,
    measure_curve,
    measure_drift,
    measure_slices,
    population_stability,
    relight,
    say_drift,
    say_robustness,
)

samples = arrays(np.float64, st.integers(2, 30), elements=st.floats(-100, 100))


@pytest.fixture(scope="module")
def noon():
    return draw("tiles", "validation", 300, size=12, seed=0)


@pytest.fixture(scope="module")
def later():
    return draw("tiles", "test", 300, size=12, seed=0)


def test_the_light_of_the_field_has_strength_one(later):
    field = draw("tiles", "field", 300, size=12, seed=0)
    np.testing.assert_array_equal(relight(later, 1, seed=0).images, field.images)
    np.testing.assert_array_equal(relight(later, 0).images, later.images)


def test_the_statistics_of_known_images():
    images = np.zeros((3, 2, 2, 3), np.uint8)
    images[1] = (30, 60, 90)
    images[2, 0] = 200
    numbers = image_statistics(images)
    np.testing.assert_allclose(numbers[0], [0, 0, 1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(numbers[1], [60, 0, 1 / 6, 1 / 3, 1 / 2])
    np.testing.assert_allclose(numbers[2, :2], [100, 100])


@given(samples, samples)
def test_the_distance_is_a_distance(a, b):
    assert ks_distance(a, a) == 0
    assert 0 <= ks_distance(a, b) <= 1
    assert ks_distance(a, b) == ks_distance(b, a)
    assert ks_distance(a, a + 500) == 1


@given(samples, samples)
def test_stability_is_zero_for_the_same_shares_and_never_negative(a, b):
    assert population_stability(a, a) == 0
    assert population_stability(a, b) >= 0


def test_equal_light_is_quiet_and_another_light_is_loud(noon, later):
    quiet = measure_drift(noon.images, later.images)
    assert (quiet.distance < quiet.loud).all()
    loud = measure_drift(noon.images, relight(later, 0.5).images)
    assert loud.brightness > 2 * loud.loud
    colder = later.images * np.array([0.85, 1, 1.15])
    assert measure_drift(noon.images, colder).distance.argmax() in (2, 4)


def test_something_that_is_no_images_is_refused(noon):
    for images in (noon.images[:1], noon.images[..., 0], noon.images[..., :2]):
        with pytest.raises(ValueError, match="expected"):
            measure_drift(noon.images, images)


def test_slices_follow_the_brightness():
    images = np.arange(8, dtype=np.uint8)[::-1, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    slices = measure_slices(images, np.arange(8) < 4)
    np.testing.assert_allclose(slices.brightness, [0.5, 2.5, 4.5, 6.5])
    np.testing.assert_allclose(slices.accuracy, [0, 0, 1, 1])


def test_the_curve_keeps_noon_apart():
    labels = np.array([0, 1, 2, 3])
    curve = measure_curve((0, 0.5, 1), [labels, [0, 1, 0, 0], [3, 3, 3, 0]], labels)
    assert (curve.unshifted, curve.shifted, curve.n) == (1.0, 0.25, 4)


def test_pictures_and_sentences_hold_the_numbers(noon, later):
    drift = measure_drift(noon.images, relight(later, 1).images)
    slices = {
        "validation": measure_slices(noon.images, np.ones(300, bool)),
        "field": measure_slices(later.images, np.zeros(300, bool)),
    }
    figure = draw_drift(drift, slices)
    assert isinstance(figure, Figure)
    assert all(ax.get_xlabel() for ax in figure.axes)
    said = say_drift(drift)
    assert all(name in said for name in STATISTICS)
    assert f"{drift.brightness:.3f}" in said

    curve = measure_curve((0, 1), [[0, 1], [1, 1]], np.array([0, 1]))
    watch = Watch(np.r_[0, 0, 1, 1], np.r_[90, 91, 40, 41], np.r_[0, 0, 1, 1].astype(bool))
    assert isinstance(draw_robustness({"sick": curve, "repaired": curve}, watch), Figure)
    said = say_robustness({"sick": curve}, watch)
    assert "100 % at noon, 50 %" in said
    assert "0 % at strength 0, 100 % at strength 1" in said
