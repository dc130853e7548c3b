"""The dead-units instrument: what it measures, however the activation is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib.figure import Figure

from grader import frameworks
from grader.frameworks.base import UnitSignals, UnitTally
from grader.instruments.dead_units import (
    DeadUnits,
    LayerUnits,
    count_slopes,
    draw_dead_against_rate,
    draw_dead_units,
    draw_slopes,
    measure_dead_units,
    say_dead_against_rate,
    say_dead_units,
    say_slopes,
)

IMAGES = np.random.default_rng(0).normal(size=(40, 8, 8, 3)).astype(np.float32)


def layer(passes: list[float], differs: list[float] | None = None, name: str = "a") -> LayerUnits:
    values = np.array(passes)
    return LayerUnits(
        name,
        "Dense",
        values,
        (values > 0).astype(float),
        np.ones(len(values)) if differs is None else np.array(differs),
        count_slopes(values),
    )


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


# What counts as dead.


def test_a_unit_to_which_nothing_ever_comes_back_is_dead():
    assert layer([0.0, 0.5, 1e-12]).dead.tolist() == [True, False, True]


def test_a_unit_that_says_the_same_for_every_image_is_constant_and_not_dead():
    units = layer([0.5, 0.5, 0.0], differs=[0.0, 0.3, 0.0])
    assert units.constant.tolist() == [True, False, False]
    assert units.dead_share == pytest.approx(1 / 3)
    assert units.silent_share == pytest.approx(2 / 3)


def test_gradients_that_are_not_a_number_count_as_none():
    signal = UnitSignals(
        "a",
        "Dense",
        np.array([[np.nan, 1.0]], np.float32),
        np.array([np.nan, 1.0]),
        np.array([1.0, 1.0]),
    )

    class Adapter:
        @staticmethod
        def unit_signals(model, x, *, training):
            return [signal]

    measured = measure_dead_units(Adapter, None, [0])
    assert measured.layers[0].dead.tolist() == [True, False]


def test_the_hidden_share_leaves_the_logits_out():
    units = DeadUnits((layer([0.0, 1.0]), layer([0.0, 0.0])), 8)
    assert units.hidden_dead_share == 0.5
    assert units.silent_shares.tolist() == [0.5, 1.0]
    assert units.zero_gradients == 0.75


@given(
    arrays.arrays(
        float, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0, 1e6)
    )
)
def test_every_slope_is_counted_once(passed):
    counted = count_slopes(passed)
    assert counted.sum() == pytest.approx(1)
    if passed.max() > 0:
        assert counted[-1] > 0


@given(st.integers(1, 6))
def test_how_the_images_are_cut_into_batches_changes_nothing(cut):
    rng = np.random.default_rng(cut)
    sums, gradients = rng.normal(size=(2, 7, 3, 3, 4))
    whole, parts = UnitTally("a", "b"), UnitTally("a", "b")
    whole.add(sums, gradients)
    for rows in (slice(None, cut), slice(cut, None)):
        parts.add(sums[rows], gradients[rows])
    for name in ("passed", "spread", "size"):
        assert np.array_equal(getattr(whole.signals(), name), getattr(parts.signals(), name))
    assert whole.signals().passed.shape == (7, 4)


# Known networks. Channel 1 of the convolution and units 0 and 1 of the dense layer are dead.


def with_dead_units(fw, way: str):
    """A convolution of 4 channels, a dense layer of 6 units and 3 logits, with ReLU in `way`."""
    if fw.NAME == "pytorch":
        return _torch_network(way)
    return _keras_network(way)


def _torch_network(way: str):
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Functional(nn.Module):
        def __init__(self, activation):
            super().__init__()
            self.norm = nn.BatchNorm2d(4) if way == "norm" else nn.Identity()
            self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(64, 6)
            self.third, self.activation = nn.Linear(6, 3), activation

        def forward(self, x):
            x = F.max_pool2d(self.activation(self.norm(self.first(x))), 2).flatten(1)
            return self.third(self.activation(self.second(x)))

    activation = {
        "separate": nn.ReLU(),
        "in place": nn.ReLU(inplace=True),
        "function": lambda x: F.relu(x),
        "norm": nn.ReLU(),
        "leaky": nn.LeakyReLU(),
        "sigmoid": torch.sigmoid,
    }[way]
    model = Functional(activation)
    with torch.no_grad():
        model.first.bias[1] = -50
        if way == "norm":
            model.norm.bias[1] = -50
        model.second.bias[:2] = -50
    return model


def _keras_network(way: str):
    import keras

    layers = keras.layers

    def block(layer, units, **options):
        if way in ("separate", "in place"):
            return [layer(units, **options), layers.ReLU()]
        if way == "leaky":
            return [layer(units, activation=layers.LeakyReLU(), **options)]
        if way == "function":
            relu = layers.Lambda(lambda x: keras.ops.maximum(x, 0))
            return [layer(units, **options), relu]
        if way == "norm" and layer is layers.Conv2D:
            return [layer(units, **options), layers.BatchNormalization(), layers.ReLU()]
        return [layer(units, activation="sigmoid" if way == "sigmoid" else "relu", **options)]

    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            *block(layers.Conv2D, 4, kernel_size=3, padding="same"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            *block(layers.Dense, 6),
            layers.Dense(3),
        ]
    )
    for layer, dead in ((layers.Conv2D, [1]), (layers.Dense, [0, 1])):
        chosen = next(x for x in model.layers if isinstance(x, layer))
        kernel, bias = chosen.get_weights()
        bias[dead] = -50
        chosen.set_weights([kernel, bias])
    for norm in model.layers:
        if isinstance(norm, layers.BatchNormalization):
            gamma, beta, mean, variance = norm.get_weights()
            beta[1] = -50
            norm.set_weights([gamma, beta, mean, variance])
    return model


@pytest.mark.parametrize("way", ["separate", "in place", "function", "norm"])
@pytest.mark.parametrize("training", [False, True])
def test_dead_units_are_found_however_the_relu_is_written(fw, way, training):
    model = with_dead_units(fw, way)
    before = fw.get_state(model)
    units = measure_dead_units(fw, model, fw.from_images(IMAGES), training=training)
    convolution, dense, logits = units.layers
    assert np.flatnonzero(convolution.dead).tolist() == [1]
    assert {0, 1} <= set(np.flatnonzero(dense.dead))
    assert not logits.dead.any()
    assert units.images == 40
    for old, new in zip(before, fw.get_state(model), strict=True):
        assert np.array_equal(old, new)


@pytest.mark.parametrize("way", ["separate", "function"])
def test_the_same_model_answers_the_same_before_and_after(fw, way):
    model, x = with_dead_units(fw, way), fw.from_images(IMAGES)
    before = fw.predict(model, x)
    measure_dead_units(fw, model, x)
    assert np.array_equal(before, fw.predict(model, x))


def test_a_leaky_relu_never_dies(fw):
    units = measure_dead_units(fw, with_dead_units(fw, "leaky"), fw.from_images(IMAGES))
    assert not any(layer.dead.any() for layer in units.layers)


def test_a_sigmoid_at_its_end_is_flat(fw):
    units = measure_dead_units(fw, with_dead_units(fw, "sigmoid"), fw.from_images(IMAGES))
    assert np.flatnonzero(units.layers[0].dead).tolist() == [1]
    assert units.layers[0].saturated == pytest.approx(1 / 4)
    assert units.layers[1].saturated == pytest.approx(2 / 6)


def test_one_batch_calls_more_units_dead_than_all_images_do(fw):
    model, x = with_dead_units(fw, "separate"), fw.from_images(IMAGES)
    whole = measure_dead_units(fw, model, x).layers[1].dead
    single = measure_dead_units(fw, model, x[:1]).layers[1].dead
    assert set(np.flatnonzero(whole)) <= set(np.flatnonzero(single))
    assert single.sum() > whole.sum()


def test_behind_a_dead_layer_everything_is_constant(fw):
    model = with_dead_units(fw, "separate")
    state = [np.full_like(v, -50) if v.shape == (6,) else v for v in fw.get_state(model)]
    fw.set_state(model, state)
    units = measure_dead_units(fw, model, fw.from_images(IMAGES))
    assert units.layers[1].dead.all()
    assert units.layers[2].constant.all()
    assert not units.layers[0].dead.all()
    assert "3 more say the same for every image" in say_dead_units(units)


def test_a_relu_on_the_logits_is_seen(fw):
    model = with_dead_units(fw, "separate")
    if fw.NAME == "pytorch":
        from torch import nn

        model.third.bias.data[2] = -50
        model = nn.Sequential(model, nn.ReLU())
    else:
        import keras

        kernel, bias = model.layers[-1].get_weights()
        bias[2] = -50
        model.layers[-1].set_weights([kernel, bias])
        model = keras.Sequential([model, keras.layers.ReLU()])
    units = measure_dead_units(fw, model, fw.from_images(IMAGES))
    assert np.flatnonzero(units.layers[-1].dead).tolist() == [2]


def test_a_model_without_a_kernel_is_refused(fw):
    if fw.NAME == "pytorch":
        from torch import nn

        model = nn.Flatten()
    else:
        import keras

        model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="no layer"):
        measure_dead_units(fw, model, fw.from_images(IMAGES))


def test_weights_that_are_not_finite_are_measured_without_complaint(fw):
    model = with_dead_units(fw, "separate")
    fw.set_state(model, [np.full_like(v, np.inf) for v in fw.get_state(model)])
    with np.errstate(invalid="raise"):
        units = measure_dead_units(fw, model, fw.from_images(IMAGES))
    assert units.layers[0].silent_share == 1


# Pictures and sentences.


def test_the_sentence_counts_every_layer():
    units = DeadUnits((layer([0.0, 1.0, 0.0]), layer([1.0, 1.0])), 320)
    text = say_dead_units(units)
    assert "layer 1 2 of 3" in text
    assert "layer 2 0 of 2" in text
    assert "67% of all hidden units" in text


@pytest.mark.parametrize("n", [1, 3, 200])
def test_every_map_can_be_drawn(n):
    units = DeadUnits((layer([0.0] * n), layer([1.0] * n, differs=[0.0] * n)), 8)
    figure = draw_dead_units({"before": units, "after": units}, {"sick": [1.4, 0.9, 1.39]}, 4)
    assert isinstance(figure, Figure)
    figure.canvas.draw()


def test_rates_and_slopes_are_drawn_and_said():
    numbers = ([1e-3, 1e-1], [0.1, 0.9], [0.3, 0.95], 32)
    draw_dead_against_rate(*numbers).canvas.draw()
    assert "30% instead of 10%" in say_dead_against_rate(*numbers)
    layers = {"sigmoid": layer([1.0, 1e-6]), "relu": layer([1.0, 0.0])}
    draw_slopes(layers).canvas.draw()
    assert "relu: 50% flat, 50% of the units dead" in say_slopes(layers)


# The patient.


@pytest.mark.slow
def test_the_patient_dies_in_both_frameworks_and_its_training_repeats(fw):
    x, labels = fw.from_images(IMAGES), np.arange(40) % 4
    losses = []
    for _ in range(2):
        fw.set_seed(0)
        model = fw.dying_network(8, 4)
        fw.set_seed(0)
        losses.append(fw.train_in_one_cycle(model, x, labels, highest=0.5, epochs=30))
    assert losses[0] == losses[1]
    units = measure_dead_units(fw, model, x)
    assert units.silent_shares.max() == 1
    assert units.images == 40
