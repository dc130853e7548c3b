"""The instrument for splits: recalls with their intervals, and copies across the split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from grader.datasets import draw
from grader.datasets.archive import archive
from grader.instruments.splits import (
    COPY,
    distances,
    draw_copies,
    draw_recalls,
    measure_copies,
    measure_recalls,
    say_copies,
    say_recalls,
    wilson,
)

NAMES = ("coast", "cropland", "forest")
TILES = draw("tiles", "train", 300, size=12, seed=2)


def test_the_interval_is_that_of_the_textbook():
    # Brown, Cai and DasGupta (2001), table 3: of 10, none and five; formula (4) for z = 1.96.
    assert wilson(0, 10) == pytest.approx((0, 0.2775), abs=1e-3)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-3)
    assert wilson(0, 0) == (0, 1)


@given(st.integers(1, 500), st.data())
def test_the_interval_holds_the_share_and_shrinks_with_more_images(n, data):
    right = data.draw(st.integers(0, n))
    low, high = wilson(right, n)
    assert 0 <= low <= right / n + 1e-12
    assert right / n - 1e-12 <= high <= 1
    more_low, more_high = wilson(4 * right, 4 * n)
    assert more_high - more_low < high - low


def test_a_constant_answer_has_the_accuracy_of_the_commonest_class():
    labels = np.repeat([0, 1, 2], [90, 6, 4])
    recalls = measure_recalls(labels, np.zeros(100, int), NAMES)
    assert recalls.accuracy == recalls.constant == 0.9
    assert recalls.balanced == pytest.approx(1 / 3)
    assert recalls.recall.tolist() == [1, 0, 0]
    assert recalls.named.tolist() == [100, 0, 0]


def test_a_class_without_images_has_no_recall_and_is_said():
    recalls = measure_recalls(np.zeros(30, int), np.zeros(30, int), NAMES)
    assert np.isnan(recalls.recall[1:]).all()
    assert recalls.balanced == 1
    assert "cropland and forest there is no image" in say_recalls("validation", recalls)
    assert "nothing to measure" in recalls.table()


@pytest.mark.parametrize(("labels", "predicted"), [([], []), ([0, 1], [0]), ([[0]], [[0]])])
def test_something_that_is_no_prediction_is_refused(labels, predicted):
    with pytest.raises(ValueError, match="predictions"):
        measure_recalls(np.array(labels, int), np.array(predicted, int), NAMES)


def test_the_sentence_holds_the_numbers():
    labels = np.repeat([0, 1, 2], [90, 6, 4])
    said = say_recalls("validation", measure_recalls(labels, np.zeros(100, int), NAMES))
    assert "accuracy is 90.0 %" in said
    assert "cropland it recognises 0 of 6" in said


def test_copies_are_near_and_other_scenes_are_far():
    images, scenes = archive(TILES, (0, 1, 2), (30, 15, 9), copies=0.5, seed=1)
    between = distances(images.images)
    same = scenes[:, None] == scenes[None]
    assert between.shape == (54, 54)
    assert between[same].max() < COPY < between[~same].min()
    assert np.allclose(between, between.T, atol=1e-5)


def test_a_copy_is_found_brighter_and_moved():
    image = TILES.images[:1].astype(np.float32)
    moved = np.roll(image * 0.9 + 10, 1, axis=2)
    assert distances(image, moved)[0, 0] < 1e-3
    assert distances(TILES.images[1:2], moved)[0, 0] > COPY


def test_copies_across_a_split_are_told_by_bytes_and_by_looks():
    train = TILES.images[:20]
    near = np.clip(np.roll(train[3], 1, axis=0) * 1.02, 0, 255).astype(np.uint8)
    copies = measure_copies(train, np.stack([train[7], near, TILES.images[50]]))
    assert copies.identical.tolist() == [True, False, False]
    assert copies.shared.tolist() == [True, True, False]
    assert copies.partner[:2].tolist() == [7, 3]
    assert "Of 3 validation images 1 have the same bytes" in say_copies(copies)


def test_the_pictures_have_units_and_a_panel_for_each_set():
    labels = np.repeat([0, 1, 2], [30, 2, 0])
    sick = measure_recalls(labels, np.zeros(32, int), NAMES)
    figure = draw_recalls(
        {"validation": {"sick": sick, "repaired": sick}, "unseen": {"sick": sick}}
    )
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 2
    assert all("%" in ax.get_ylabel() for ax in figure.axes)
    for others in (TILES.images[:5], TILES.images[100:110]):
        copies = measure_copies(TILES.images[:20], others)
        figure = draw_copies(copies, TILES.images[:20], others)
        assert figure.axes[0].get_xlabel()
        assert say_copies(copies)
