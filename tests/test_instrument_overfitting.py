"""The overfitting instrument: what it measures, what it draws, what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from grader import frameworks
from grader.instruments.overfitting import (
    Curve,
    Penalty,
    Repeats,
    draw_overfitting,
    measure_curve,
    measure_penalty,
    measure_repeats,
    say_overfitting,
    say_penalty,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(24, 16, 16, 3)).astype(np.float32)
LABELS = np.arange(24) % 4


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def curve(training, validation) -> Curve:
    return Curve(np.array(training, dtype=float), np.array(validation, dtype=float))


def test_a_curve_that_turns_up_is_read_at_its_lowest_point_and_at_its_end():
    turned = curve([1.5, 0.9, 0.5, 0.2, 0.1, 0.0], [1.6, 1.0, 1.2, 2.0, 2.2, 2.1])
    assert turned.lowest_epoch == 2
    assert turned.lowest == 1.0
    assert turned.end == pytest.approx(2.1)
    assert turned.rise == pytest.approx(1.1)
    assert turned.gap == pytest.approx(2.0)


def test_a_history_is_read_as_keras_keeps_it():
    read = measure_curve({"loss": [1.0, 0.5], "val_loss": [1.1, 0.9], "accuracy": [0.2, 0.3]})
    assert read.validation.tolist() == [1.1, 0.9]
    assert read.lowest_epoch == 2


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ({"loss": [1.0]}, "no 'val_loss'"),
        ({"loss": [1.0, 2.0], "val_loss": [1.0]}, "for every epoch"),
        ({"loss": [], "val_loss": []}, "is a number"),
        ({"loss": [1.0], "val_loss": [math.nan]}, "is a number"),
    ],
)
def test_a_history_that_cannot_be_read_is_named(history, words):
    with pytest.raises(ValueError, match=words):
        measure_curve(history)


@given(st.lists(st.floats(0.01, 9), min_size=1, max_size=40))
def test_the_end_is_never_below_the_lowest_point(losses):
    read = curve(np.zeros(len(losses)), losses)
    assert read.rise >= -1e-9
    assert read.validation[read.lowest_epoch - 1] == read.lowest


def test_repeats_are_read_as_spread_and_offset():
    assert Repeats(np.array([1.0, 1.2, 1.1]), 1.0).spread == pytest.approx(0.2)
    assert Repeats(np.array([1.0, 1.2, 1.1]), 1.0).offset == pytest.approx(0.1)
    assert Repeats(np.array([1.0, 1.0]), 1.0).spread == 0


def test_shares_of_a_penalty_are_those_of_its_loss_and_gradient():
    penalty = Penalty(weight_norm=10, data_loss=1.5, loss=0.5, data_gradient=3, gradient=1)
    assert penalty.share_of_loss == pytest.approx(0.25)
    assert penalty.share_of_gradient == pytest.approx(0.25)
    assert "25% of the loss and 25% of the gradient" in say_penalty(penalty)


def test_the_sentence_says_rise_gap_and_spread():
    turned = curve([1.5, 0.1, 0.1, 0.1], [1.0, 2.0, 2.0, 2.0])
    text = say_overfitting(turned, Repeats(np.array([2.0, 2.5]), 2.0))
    assert "lowest in epoch 1 of 4 at 1.00" in text
    assert "1.00 higher" in text
    assert "a gap of 1.90 nats" in text
    assert "differ by up to 0.500" in text
    assert "the same loss" in say_overfitting(turned, Repeats(np.array([2.0, 2.0]), 2.0))


@pytest.mark.parametrize("epochs", [1, 2, 40])
def test_every_curve_can_be_drawn(epochs):
    read = curve(np.linspace(1, 0, epochs), np.linspace(1, 2, epochs))
    same = Repeats(np.ones(3), 1.0)
    figure = draw_overfitting(
        {"sick": read, "repaired": read}, {"sick": same, "repaired": same}, 6, floor=math.log(2)
    )
    assert isinstance(figure, Figure)
    figure.canvas.draw()


@pytest.mark.slow
def test_an_evaluation_in_training_mode_differs_and_one_in_inference_mode_does_not(fw):
    model, x = fw.wide_network(16, 4), fw.from_images(IMAGES)

    def in_training(model, x, y):
        logits = fw.to_numpy(model(x) if fw.NAME == "pytorch" else model(x, training=True))
        return float(np.log(np.exp(logits).sum(axis=1)).mean()), 0.5

    def in_inference(model, x, y):
        return fw.loss(model, x, y, training=False)

    dropped = measure_repeats(fw, in_training, model, x, LABELS)
    kept = measure_repeats(fw, in_inference, model, x, LABELS)
    assert dropped.spread > 0
    assert kept.spread == 0
    assert kept.offset == 0


@pytest.mark.slow
def test_a_penalty_grows_with_its_strength_and_leaves_the_model_alone(fw):
    model, x = fw.wide_network(16, 4), fw.from_images(IMAGES)
    before = fw.get_state(model)
    weak, strong = (measure_penalty(fw, model, x, LABELS, decay=d) for d in (0.001, 0.1))
    norm = math.sqrt(sum(float((w.astype(float) ** 2).sum()) for w in before if w.ndim >= 2))
    assert weak.weight_norm == pytest.approx(norm, rel=1e-4)
    assert weak.loss == pytest.approx(0.0005 * norm**2, rel=1e-4)
    assert strong.gradient == pytest.approx(0.1 * norm, rel=1e-4)
    assert weak.share_of_loss < strong.share_of_loss < 1
    for old, new in zip(before, fw.get_state(model), strict=True):
        assert np.array_equal(old, new)


@pytest.mark.slow
def test_the_training_with_a_curve_keeps_the_lowest_epoch(fw):
    x = fw.from_images(IMAGES)
    model = fw.wide_network(16, 4)
    history, lowest = fw.train_with_curve(
        model, x, LABELS, x, LABELS[::-1], epochs=3, batch_size=8, learning_rate=0.001
    )
    assert [len(history[name]) for name in ("loss", "val_loss", "logged")] == [3, 3, 3]
    fw.set_state(model, lowest)
    kept = fw.loss(model, x, LABELS[::-1], training=False)
    assert kept == pytest.approx(min(history["val_loss"]), rel=1e-4)
