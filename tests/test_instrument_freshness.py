"""The freshness instrument: it follows images through epochs, and says how many are new."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from grader.instruments.freshness import (
    Epoch,
    History,
    PipelineError,
    draw_freshness,
    draw_worth,
    follow,
    measure_freshness,
    measure_worth,
    say_freshness,
    say_worth,
)

N = 12
IMAGES = np.random.default_rng(0).random((N, 6, 6, 3)).astype(np.float32)


class Pipeline:
    """Shuffled batches of 5; `vary` makes an epoch's images from the epoch's number."""

    def __init__(self, vary):
        self.vary = vary
        self.epoch = 0

    def __iter__(self):
        images, order = self.vary(self.epoch), np.random.default_rng(self.epoch).permutation(N)
        self.epoch += 1
        for first in range(0, N, 5):
            yield images[order[first : first + 5]], order[first : first + 5]


def run(batches, epochs=4, **more):
    return follow(batches, epochs, as_images=np.asarray, to_numpy=np.asarray, **more)


def half_changed(epoch):
    images = IMAGES.copy()
    images[: N // 2] += epoch
    return images


@pytest.mark.parametrize(
    ("vary", "changed", "different"),
    [
        (lambda epoch: IMAGES, 0.0, N),
        (lambda epoch: IMAGES + epoch, 1.0, 4 * N),
        (half_changed, 0.5, N // 2 + 4 * (N // 2)),
        (lambda epoch: IMAGES + epoch % 2, 1.0, 2 * N),
    ],
)
def test_what_changes_is_counted_whatever_the_order(vary, changed, different):
    freshness = measure_freshness(run(Pipeline(vary)))
    assert freshness.changed == changed
    assert (freshness.shown, freshness.different) == (4 * N, different)
    np.testing.assert_array_equal(freshness.versions[0], IMAGES[0])


def test_a_change_that_nobody_sees_is_a_change_over_a_small_distance():
    freshness = measure_freshness(run(Pipeline(lambda epoch: IMAGES + 1e-4 * epoch)))
    assert freshness.changed == 1
    assert freshness.moved < 1e-3


def test_one_epoch_has_no_next():
    assert math.isnan(measure_freshness(run(Pipeline(lambda epoch: IMAGES), 1)).changed)


def test_shares_of_classes_count_for_the_largest():
    batch = (IMAGES[:3], np.array([[0.2, 0.8], [0.9, 0.1], [0.5, 0.5]]))
    assert run([batch], 1)[0].numbers.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (3, "nothing that a `for` loop"),
        ([IMAGES], "not a pair"),
        ([(IMAGES, np.arange(3))], "12 images and 3 labels"),
        ([(IMAGES[0], np.arange(6))], "four axes"),
        (iter([(IMAGES, np.arange(N))]), "second epoch is empty"),
        ([(IMAGES, np.arange(N))] * 9, "not ended after 60"),
        ([(IMAGES, np.arange(N)), (IMAGES[:, :4], np.arange(N))], "differ in size"),
    ],
)
def test_what_is_no_pipeline_is_named(batches, message):
    with pytest.raises(PipelineError, match=message):
        run(batches, 2, most=50)


def test_the_gap_is_that_of_the_last_epochs():
    history = History(np.array([0.1, 1, 1, 1]), np.array([0.1, 0.3, 0.4, 0.5]))
    assert history.gap == pytest.approx(0.6)


def test_the_picture_has_a_row_for_each_program():
    freshness = {
        "sick": measure_freshness(run(Pipeline(lambda epoch: IMAGES))),
        "repaired": measure_freshness(run(Pipeline(lambda epoch: IMAGES + epoch))),
    }
    history = History(np.linspace(0.1, 1, 9), np.linspace(0.1, 0.4, 9))
    figure = draw_freshness(freshness, {"sick": history, "repaired": history})
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 4
    assert "12 are different" in figure.axes[1].get_title()
    # Training and validation are told apart without colour.
    styles = [line.get_linestyle() for line in figure.axes[0].get_lines()]
    assert styles == [":", "-"]
    said = say_freshness(freshness["sick"], history)
    assert "48 images" in said
    assert "12 are different" in said
    assert said.endswith(".")


def test_a_program_on_the_curve_is_worth_what_the_curve_says():
    curve = [[0.3, 0.3], [0.5, 0.5], [0.8, 0.8]]
    assert measure_worth([20, 40, 80], curve, 0.5).images == pytest.approx(40)
    assert 40 < measure_worth([20, 40, 80], curve, 0.6).images < 80
    assert math.isinf(measure_worth([20, 40, 80], curve, 0.9).images)


@pytest.mark.parametrize(("reached", "words"), [(0.5, "about 40"), (0.9, "more than 80")])
def test_the_curve_is_drawn_and_said(reached, words):
    worth = measure_worth([20, 40, 80], [[0.3], [0.5], [0.8]], reached)
    (ax,) = draw_worth(worth).axes
    assert ax.get_xlabel() == "photographs a class"
    assert words in say_worth(worth)


def test_an_epoch_keeps_the_order_of_its_batches():
    assert isinstance(run(Pipeline(lambda epoch: IMAGES), 1)[0], Epoch)
    order = np.random.default_rng(0).permutation(N)
    np.testing.assert_array_equal(run(Pipeline(lambda epoch: IMAGES), 1)[0].numbers, order)
