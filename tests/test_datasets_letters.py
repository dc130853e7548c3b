"""Letters on the ground: label, place and ground are what the truth says."""

from __future__ import annotations

import numpy as np
import pytest

from grader.datasets import Images, draw
from grader.datasets.letters import HEIGHT, LETTERS, WIDTH, paint_letters
from grader.errors import ClinicError

GROUND = draw("tiles", "train", 50, size=16, seed=0)


def test_the_seed_decides_and_the_ground_is_left_alone():
    before = GROUND.images.copy()
    (first, _), (again, _), (other, _) = (paint_letters(GROUND, "train", s) for s in (1, 1, 2))
    assert np.array_equal(first.images, again.images)
    assert first.images.tobytes() != other.images.tobytes()
    assert np.array_equal(GROUND.images, before)
    assert first.images.dtype == np.uint8
    assert first.classes == LETTERS


def test_every_class_comes_equally_often():
    painted, _ = paint_letters(GROUND, 3)
    assert np.bincount(painted.labels).tolist() == [5] * 10


def test_the_letter_lies_where_the_truth_says_and_the_rest_is_ground():
    painted, truth = paint_letters(GROUND, 4)
    black = Images(np.zeros_like(GROUND.images), GROUND.labels, GROUND.classes)
    alone, same = paint_letters(black, 4)
    assert np.array_equal(truth.parameters["top"], same.parameters["top"])
    masks = {}
    for i in range(50):
        top, left = truth.parameters["top"][i], truth.parameters["left"][i]
        paint = alone.images[i].any(axis=-1)
        cut = paint[top : top + HEIGHT, left : left + WIDTH]
        assert cut.sum() == paint.sum() > 0
        masks.setdefault(int(alone.labels[i]), cut.copy())
        assert np.array_equal(masks[int(alone.labels[i])], cut)
        np.testing.assert_array_equal(
            painted.images[i][~paint], (GROUND.images[i][~paint].astype(int) * 115) >> 8
        )
    shapes = list(masks.values())
    for a in range(10):  # no letter is the mirror image of itself or of another
        assert not any(np.array_equal(shapes[a], shape[:, ::-1]) for shape in shapes)


def test_all_places_are_used():
    many = Images(np.zeros((3000, 12, 12, 3), np.uint8), np.zeros(3000, np.int64), ("a",))
    _, truth = paint_letters(many, 5)
    counts = np.zeros((12 - HEIGHT + 1, 12 - WIDTH + 1))
    np.add.at(counts, (truth.parameters["top"], truth.parameters["left"]), 1)
    assert counts.min() > 30


def test_a_letter_needs_room():
    small = Images(np.zeros((2, 6, 6, 3), np.uint8), np.zeros(2, np.int64), ("a",))
    with pytest.raises(ClinicError, match="does not fit"):
        paint_letters(small, 0)
