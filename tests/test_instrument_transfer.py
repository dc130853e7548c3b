"""The transfer instrument: what moved, what drifted, and what a probe still reads."""

from __future__ import annotations

import math
import socket

import numpy as np
import pytest
from matplotlib.figure import Figure

from grader import frameworks
from grader.datasets import Images
from grader.datasets.grain import add_grain
from grader.errors import ClinicError
from grader.instruments.transfer import (
    Change,
    draw_change,
    draw_tuning,
    fit_head,
    measure_change,
    measure_probe,
    say_change,
    say_tuning,
)

IMAGES = np.random.default_rng(0).normal(size=(24, 16, 16, 3)).astype(np.float32)
LABELS = np.arange(24) % 4


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def change(parameters_changed: int = 0, statistics_changed: int = 0) -> Change:
    return Change(
        ("conv", "norm"),
        np.array([0.5, 0.1]) * (parameters_changed > 0),
        ("norm",),
        np.array([2.0]) * (statistics_changed > 0),
        parameters_changed,
        4,
        statistics_changed,
        2,
    )


def test_the_sentence_tells_weights_from_statistics():
    assert "bit for bit" in say_change(change())
    assert "none of them weights" in say_change(change(0, 2))
    assert "2 standard deviations" in say_change(change(0, 2))
    assert "no running statistic" in say_change(change(4, 0))
    assert "6 of the backbone's 6 arrays" in say_change(change(4, 2))


@pytest.mark.parametrize("what", [(0, 0), (4, 2), (0, 2)])
def test_every_change_can_be_drawn(what):
    figure = draw_change(change(*what), {"frozen features": 0.8, "sick, at the end": 0.4}, 0.25)
    assert isinstance(figure, Figure)
    figure.canvas.draw()


def test_changes_that_are_not_finite_can_be_drawn():
    broken = Change(("conv",), np.array([math.nan]), (), np.array([]), 1, 1, 0, 0)
    draw_change(broken, {"repaired": 1.0}, 0.25).canvas.draw()
    assert math.isnan(broken.most_moved)
    assert broken.most_drifted == 0


def test_epochs_of_tuning_are_drawn_and_read():
    own = {"sick": [0.8, 0.4], "repaired": [0.8, 0.85, 0.9]}
    probes = {"sick": [0.82, 0.75], "repaired": [0.8, 0.85, 0.91]}
    draw_tuning(own, probes, 0.8, 0.5, 0.25).canvas.draw()
    assert "80 % before fine-tuning and on 40 % after" in say_tuning(own, probes)
    assert "82 % and 75 %" in say_tuning(own, probes)


def test_a_probe_reads_what_is_there_and_nothing_else():
    rng = np.random.default_rng(0)
    labels, unseen_labels = np.arange(90) % 3, np.arange(60) % 3
    features = rng.normal(size=(90, 5)) + 6 * np.eye(5)[labels]
    unseen = rng.normal(size=(60, 5)) + 6 * np.eye(5)[unseen_labels]
    probe = measure_probe(features, labels, unseen, unseen_labels)
    assert probe.accuracy > 0.95
    assert probe.weights.shape == (5, 3)
    weights, biases = fit_head(features, labels)
    assert np.array_equal(weights, probe.weights)
    assert np.array_equal(biases, probe.biases)
    assert ((unseen @ probe.weights + probe.biases).argmax(axis=1) == unseen_labels).mean() > 0.95
    noise = measure_probe(rng.normal(size=(90, 5)), labels, unseen * 0, unseen_labels)
    assert noise.accuracy < 0.5


@pytest.mark.slow
def test_a_network_that_nobody_touched_has_not_changed(fw):
    backbone = fw.feature_network(16, width=4, seed=0)
    still = measure_change(fw, backbone, fw.get_state(backbone))
    assert (still.arrays_changed, still.parameters, still.statistics) == (0, 20, 10)
    assert len(still.layers) == 10
    assert len(still.normalisers) == 5
    assert still.most_moved == still.most_drifted == 0


@pytest.mark.slow
def test_a_pass_in_training_mode_moves_statistics_and_no_weight(fw):
    backbone = fw.feature_network(16, width=4, seed=0)
    before = fw.get_state(backbone)
    x = fw.from_images(IMAGES + 3)
    if fw.NAME == "pytorch":
        backbone.train()
        backbone(x)
    else:
        backbone(x, training=True)
    drifted = measure_change(fw, backbone, before)
    assert drifted.parameters_changed == 0
    assert drifted.statistics_changed == 10
    assert drifted.most_drifted > 0


@pytest.mark.slow
def test_the_change_is_relative_to_the_layer(fw):
    backbone = fw.feature_network(16, width=4, seed=0)
    before = fw.get_state(backbone)
    fw.set_state(backbone, [b * (1.5 if b.ndim == 4 else 1) for b in before])
    moved = measure_change(fw, backbone, before)
    assert moved.parameters_changed == 5
    assert moved.most_moved == pytest.approx(0.5, abs=0.05)
    assert (moved.moved > 0).sum() == 5


@pytest.mark.slow
def test_another_network_is_not_compared(fw):
    backbone = fw.feature_network(16, width=4, seed=0)
    with pytest.raises(ValueError, match="other arrays"):
        measure_change(fw, fw.feature_network(16, width=6, seed=0), fw.get_state(backbone))


@pytest.mark.slow
def test_a_classifier_is_a_backbone_and_a_dense_layer(fw):
    x = fw.from_images(IMAGES)
    whole = fw.feature_classifier(16, 4, width=4, seed=3)
    backbone = fw.feature_network(16, width=4, seed=0)
    *state, weights, biases = fw.get_state(whole)
    fw.set_state(backbone, state)
    assert fw.predict(backbone, x).shape == (24, 8)
    weights = weights.T if fw.NAME == "pytorch" else weights
    joined = fw.with_head(backbone, weights, biases)
    assert fw.predict(joined, x) == pytest.approx(fw.predict(whole, x), abs=1e-5)


@pytest.mark.slow
def test_training_to_rest_is_repeatable_and_learns(fw):
    x = fw.from_images(IMAGES)
    states = []
    for _ in range(2):
        model = fw.feature_classifier(16, 4, width=4, seed=3)
        before = fw.loss(model, x, LABELS, training=True)
        fw.train_to_rest(model, x, LABELS, steps=30, batch_size=12, learning_rate=0.01, seed=1)
        assert fw.loss(model, x, LABELS, training=True) < before / 2
        states.append(fw.get_state(model))
    for one, other in zip(*states, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.slow
def test_weights_that_cannot_be_downloaded_are_one_sentence(fw, capfd):
    def fails():
        print("Downloading from https://example.org to /home/somebody/cache")
        assert socket.getdefaulttimeout() == 3
        raise OSError("<urlopen error [Errno -2] Name or service not known>")

    model, sentence = fw.imagenet_backbone(fails, seconds=3)
    assert model is None
    assert "cannot be downloaded" in sentence
    assert "http" not in sentence
    assert "/" not in sentence
    assert capfd.readouterr().out == ""
    assert socket.getdefaulttimeout() is None


@pytest.mark.slow
def test_weights_that_arrive_are_handed_out_in_inference_mode(fw):
    backbone = fw.feature_network(16, width=4, seed=0)
    model, sentence = fw.imagenet_backbone(lambda: backbone)
    assert model is backbone
    assert f"{fw.parameter_count(backbone):,} parameters" in sentence
    assert not (model.training if fw.NAME == "pytorch" else model.trainable)


def blank(n: int) -> Images:
    return Images(np.full((n, 8, 8, 3), 128, np.uint8), np.zeros(n, np.int64), ("grey",))


def test_grain_has_the_strength_that_was_asked_for():
    noisy = add_grain(blank(50), 30, "a", 1)
    assert noisy.images.astype(float).std() == pytest.approx(30, rel=0.03)
    assert noisy.images.astype(float).mean() == pytest.approx(128, abs=1)
    assert noisy.images.dtype == np.uint8


def test_grain_depends_on_the_draw_and_on_nothing_else():
    few, many = add_grain(blank(5), 30, "a", 1), add_grain(blank(50), 30, "a", 1)
    assert np.array_equal(few.images, many.images[:5])
    assert not np.array_equal(few.images, add_grain(blank(5), 30, "b", 1).images)
    assert not np.array_equal(few.images, add_grain(blank(5), 30, "a", 2).images)
    assert np.array_equal(add_grain(blank(5), 0, "a", 1).images, blank(5).images)


def test_a_negative_grain_is_refused():
    with pytest.raises(ClinicError, match="out of range"):
        add_grain(blank(1), -1)
