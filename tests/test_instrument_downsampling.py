"""The downsampling instrument: what it measures, what it draws, what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from grader import frameworks
from grader.instruments.downsampling import (
    Downsampling,
    KernelUse,
    Stage,
    _idle_taps,
    draw_downsampling,
    linear_readout,
    measure_downsampling,
    measure_stages,
    say_downsampling,
    say_stages,
)

IMAGES = np.random.default_rng(0).normal(size=(24, 20, 20, 3)).astype(np.float32)
LABELS = np.arange(24) % 10
SICK = Downsampling((KernelUse("a", 10, 49, 0, 1176), KernelUse("b", 1, 9, 8, 900)), 2100)
STAGES = (Stage("image", 20, 1200, 0.2), Stage("a", 10, 800, 0.3), Stage("b", 1, 64, 0.25))


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def test_idle_weights_are_counted_by_positions_of_the_window():
    assert SICK.kernels[1].idle_weights == 800
    assert SICK.idle == pytest.approx(800 / 2100)
    assert SICK.last_side == 1


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_as_many_positions_are_idle_as_have_no_gradient(height, width, data):
    taps = height * width
    idle = data.draw(st.integers(0, taps - 1))
    gradient = np.ones((taps, 3, 2), np.float32)
    gradient[:idle] = 0
    assert _idle_taps(gradient.reshape(height, width, 3, 2)) == (taps, idle)


def test_a_kernel_that_is_switched_off_is_not_called_idle():
    assert _idle_taps(np.zeros((3, 3, 4, 4))) == (9, 0)


def test_rounding_noise_is_no_gradient():
    gradient = np.full((3, 3, 2, 2), 1e-9)
    gradient[1, 1] = 1
    assert _idle_taps(gradient) == (9, 8)


def test_a_readout_finds_what_is_linear_and_nothing_in_noise():
    rng = np.random.default_rng(1)
    labels, held = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    centres = rng.normal(size=(4, 6))
    clear = linear_readout(
        centres[labels] + 0.01 * rng.normal(size=(200, 6)), labels, centres[held], held
    )
    noise = linear_readout(rng.normal(size=(200, 6)), labels, rng.normal(size=(200, 6)), held)
    assert clear == 1
    assert noise < 0.4


def test_a_constant_map_has_nothing_to_read():
    labels = np.arange(40) % 4
    assert linear_readout(np.ones((40, 5)), labels, np.ones((40, 5)), labels) <= 0.5


def test_the_sentences_hold_the_numbers():
    assert "1 x 1 positions" in say_downsampling(SICK)
    assert "38.1 %" in say_downsampling(SICK)
    assert "no convolution" in say_downsampling(Downsampling((), 10))
    assert "20% of unseen images from the pixels" in say_stages(STAGES)
    assert "30% at 10, 25% at 1" in say_stages(STAGES)


@pytest.mark.parametrize("models", [{"sick": SICK}, {"sick": SICK, "repaired": SICK}])
def test_every_model_can_be_drawn(models):
    figure = draw_downsampling(models, {"sick, before": STAGES, "sick": STAGES[:2]}, 10)
    assert isinstance(figure, Figure)
    figure.canvas.draw()


@pytest.mark.slow
def test_behind_the_stem_for_photographs_most_weights_of_a_small_image_are_idle(fw):
    x = fw.from_images(IMAGES)
    sick = fw.residual_network(20, 10, photograph_stem=True)
    measured = measure_downsampling(fw, sick, x, LABELS)
    # The last block's kernels: 4 of 9 positions meet the 2x2 map, 1 of 9 the 1x1 map.
    idle = 9 * 32 * 64 * 5 // 9 + 9 * 64 * 64 * 8 // 9
    assert measured.idle == idle / fw.parameter_count(sick)
    assert [kernel.side for kernel in measured.kernels][:3] == [10, 5, 5]
    assert measured.last_side == 1


@pytest.mark.slow
def test_behind_a_stem_for_small_images_none_is(fw):
    x = fw.from_images(IMAGES)
    healthy = fw.residual_network(20, 10, photograph_stem=False)
    measured = measure_downsampling(fw, healthy, x, LABELS)
    assert measured.idle == 0
    assert measured.last_side == 3


@pytest.mark.slow
def test_on_a_photograph_the_same_stem_is_not_accused(fw):
    x = fw.from_images(np.random.default_rng(0).normal(size=(2, 128, 128, 3)))
    model = fw.residual_network(128, 10, photograph_stem=True)
    assert measure_downsampling(fw, model, x, LABELS[:2]).idle == 0


@pytest.mark.slow
def test_stages_go_from_the_image_to_the_last_map_and_leave_the_model_alone(fw):
    x = fw.from_images(IMAGES)
    model = fw.residual_network(20, 10, photograph_stem=True)
    fw.predict(model, x)
    before = fw.get_state(model)
    stages = measure_stages(fw, model, x, LABELS, x, LABELS)
    measure_downsampling(fw, model, x, LABELS)
    assert [stage.side for stage in stages] == [20, 10, 5, 3, 2, 1]
    assert [stage.values for stage in stages] == [1200, 800, 200, 144, 128, 64]
    assert all(0 <= stage.accuracy <= 1 for stage in stages)
    for old, new in zip(before, fw.get_state(model), strict=True):
        assert np.array_equal(old, new)


@pytest.mark.slow
def test_a_model_without_a_map_has_the_image_only(fw):
    x = fw.from_images(IMAGES)
    if fw.NAME == "pytorch":
        from torch import nn

        model = nn.Sequential(nn.Flatten(), nn.Linear(1200, 10))
    else:
        import keras

        layers = [keras.Input((20, 20, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
        model = keras.Sequential(layers)
    stages = measure_stages(fw, model, x, LABELS, x, LABELS)
    assert [stage.name for stage in stages] == ["image"]
    assert measure_downsampling(fw, model, x, LABELS).idle == 0
