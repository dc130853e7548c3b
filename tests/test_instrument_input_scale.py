"""The scale instrument: what it measures, what it draws, what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from matplotlib.figure import Figure

from grader.instruments.input_scale import (
    doublings,
    draw_scale,
    guessing_loss,
    measure_scale,
    measure_start,
    say_scale,
)

images = arrays(np.uint8, array_shapes(min_dims=4, max_dims=4, max_side=5))


def photograph(n: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 6, 6, 3)).astype(np.float32)


def test_each_channel_is_measured_by_itself():
    x = np.zeros((2, 3, 3, 3), np.float32)
    x[..., 1] = 5
    x[0, ..., 2] = 10
    scale = measure_scale(x)
    assert scale.mean.tolist() == [0, 5, 5]
    assert scale.std.tolist() == [0, 0, 5]
    assert (scale.minimum.tolist(), scale.maximum.tolist()) == ([0, 5, 0], [0, 5, 10])
    assert scale.dtype == "float32"


@given(images)
def test_the_histogram_counts_every_value(x):
    assert measure_scale(x).counts.sum() == x.size


@given(images, st.floats(0.01, 100), st.floats(-100, 100))
def test_the_spread_follows_the_scale_and_ignores_the_offset(x, factor, offset):
    before, after = measure_scale(x), measure_scale(x * factor + offset)
    assert after.spread == pytest.approx(before.spread * factor, abs=1e-6)
    assert after.middle == pytest.approx(before.middle * factor + offset, abs=1e-6)


def test_images_that_became_one_number_are_noticed():
    x = photograph()
    assert measure_scale(np.zeros_like(x)).commonest == 1
    assert measure_scale(np.clip(x, 0, 1)).commonest > 0.9
    assert measure_scale(x / 255).commonest < 0.1


def test_values_that_are_not_finite_leave_a_readable_histogram():
    x = photograph()
    x[0, 0, 0, 0] = np.nan
    scale = measure_scale(x)
    assert scale.counts.sum() == x.size - 1
    assert math.isnan(scale.spread)
    assert measure_scale(np.full((1, 2), np.inf)).counts.sum() == 0


@pytest.mark.parametrize("x", [np.zeros(3), np.zeros((0, 4, 4, 3))])
def test_something_that_is_no_batch_is_refused(x):
    with pytest.raises(ValueError, match="expected"):
        measure_scale(x)


@given(st.integers(2, 1000))
def test_guessing_is_no_doubling_away_from_guessing(classes):
    guessing = guessing_loss(classes)
    assert doublings(guessing, classes) == pytest.approx(0)
    assert doublings(4 * guessing, classes) == pytest.approx(2)
    assert doublings(guessing / 4, classes) == pytest.approx(2)


def test_a_loss_that_is_no_loss_is_never_near_guessing():
    assert math.isnan(doublings(math.nan, 10))
    assert doublings(math.inf, 10) == math.inf
    assert doublings(0.0, 10) == math.inf


def test_a_run_is_read_from_its_first_and_its_last_losses():
    start = measure_start(np.r_[40.0, np.full(50, 2.0)], 10)
    assert (start.first, start.last) == (40.0, 2.0)
    assert start.guessing == pytest.approx(math.log(10))


def test_a_run_that_broke_down_has_no_last_loss():
    assert math.isnan(measure_start(np.array([40.0, np.nan, np.nan]), 10).last)


@pytest.mark.parametrize(("losses", "classes"), [([], 10), ([1.0], 1), ([[1.0]], 10)])
def test_something_that_is_no_run_is_refused(losses, classes):
    with pytest.raises(ValueError, match="not a training run"):
        measure_start(np.asarray(losses), classes)


def test_the_picture_has_a_histogram_for_each_program_and_one_axis_of_losses():
    x = photograph()
    scales = {"sick": measure_scale(x), "repaired": measure_scale(x / 255)}
    starts = {
        "sick": measure_start(np.array([40.0, 2.3]), 10),
        "repaired": measure_start(np.array([2.3, np.nan]), 10),
    }
    figure = draw_scale(scales, starts)
    assert isinstance(figure, Figure)
    *histograms, losses = figure.axes
    assert len(histograms) == 2
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)
    assert losses.get_ylabel() == "loss (nats)"
    # Told apart without colour: line style and hatch differ.
    assert len({line.get_linestyle() for line in losses.get_lines()[1::2]}) == 2
    assert len({ax.patches[0].get_hatch() for ax in histograms}) == 2


def test_the_sentence_holds_the_numbers_of_the_picture():
    scale = measure_scale(photograph())
    said = say_scale(scale, measure_start(np.full(30, 3.21), 10))
    for part in (f"{scale.middle:.3g}", f"{scale.spread:.3g}", "3.21", "ln 10 = 2.3", "float32"):
        assert part in said
    assert said.endswith(".")


def test_the_table_has_a_line_for_each_channel():
    assert len(measure_scale(photograph()).table().splitlines()) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pytorch", "tensorflow"])
def test_normalising_inside_the_model_shows_at_its_first_layer(name):
    from grader import frameworks

    fw = frameworks.load(name)
    fw.set_seed(0)
    x = fw.from_images(np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.uint8))
    plain = fw.plain_cnn(16, 10)
    reached = fw.entering_first_layer(plain, x)
    np.testing.assert_array_equal(reached, fw.as_images(x))
    before = fw.get_state(plain)
    normalising = _behind_batch_norm(name, plain)
    scale = measure_scale(fw.entering_first_layer(normalising, x))
    assert scale.spread == pytest.approx(1, abs=0.02)
    assert scale.middle == pytest.approx(0, abs=0.02)
    for old, new in zip(before, fw.get_state(plain), strict=True):
        np.testing.assert_array_equal(old, new)


def _behind_batch_norm(name, model):
    if name == "pytorch":
        from torch import nn

        return nn.Sequential(nn.BatchNorm2d(3), model)
    import keras

    return keras.Sequential([keras.layers.BatchNormalization(), model])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pytorch", "tensorflow"])
def test_the_plain_patient_is_the_model_that_the_lab_shows(name):
    """The check compares with `plain_cnn`; the learner reads `plain_model` in the notebook."""
    import grader
    from grader.authoring.source import read_lab

    lab = grader.open_lab("1_data/01_input_scale", name, device="cpu")
    program = next(
        cell.source
        for cell in read_lab("1_data/01_input_scale").for_framework(name)
        if cell.name == "sick-program" and not cell.markdown
    )
    namespace = {"lab": lab, "__name__": "__main__"}
    exec(program, namespace)
    lab.fw.set_seed(3)
    shown = lab.fw.get_state(namespace["plain_model"](16, 10))
    lab.fw.set_seed(3)
    control = lab.fw.get_state(lab.fw.plain_cnn(16, 10))
    for a, b in zip(shown, control, strict=True):
        np.testing.assert_array_equal(a, b)
