"""The gradient probe: whose pixels a loss depends on."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from grader import frameworks
from grader.instruments.dependence import (
    Dependence,
    draw_dependence,
    measure_dependence,
    say_dependence,
)

APART = Dependence(np.diag([0.5, 0.25, 1.0]))
MIXED = Dependence(np.ones((3, 3)))


def test_pairs_off_the_diagonal_are_counted():
    assert (APART.foreign, APART.own, APART.pairs) == (0, 3, 6)
    assert (MIXED.foreign, MIXED.own) == (6, 3)


def test_a_batch_of_one_cannot_be_probed():
    with pytest.raises(ValueError, match="no batch"):
        measure_dependence(None, None, np.zeros((1, 4, 4, 3)), np.zeros(1, int))


def test_the_picture_marks_own_and_foreign_gradients_differently():
    figure = draw_dependence({"apart": APART, "mixed": MIXED})
    assert isinstance(figure, Figure)
    apart, mixed = figure.axes
    assert len(apart.patches) == 3
    assert len(mixed.patches) == 9
    assert {patch.get_hatch() for patch in mixed.patches} == {"", "////"}
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)


def test_the_sentence_holds_the_counts():
    assert "6 of 6 pairs" in say_dependence(MIXED)
    assert say_dependence(APART).endswith(".")


@pytest.mark.slow
@pytest.mark.parametrize("name", frameworks.NAMES)
def test_a_mean_over_the_batch_is_seen_and_a_plain_network_is_not(name):
    fw = frameworks.load(name)
    fw.set_seed(0)
    x = fw.from_images(np.random.default_rng(0).random((4, 8, 8, 3)))
    model = fw.plain_cnn(8, 3)
    labels = np.array([0, 1, 2, 0])
    plain = measure_dependence(fw, model, x, labels)
    assert (plain.foreign, plain.own) == (0, 4)

    def over_the_batch(batch):
        return model(batch - sum(batch[i] for i in range(4)) / 4)

    mixed = measure_dependence(fw, over_the_batch, x, labels)
    assert (mixed.foreign, mixed.own) == (12, 4)
