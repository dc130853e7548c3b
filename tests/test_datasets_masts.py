"""Two masts on the ground: what the truth says, and that one mast at a time says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from grader.datasets import Images, draw
from grader.datasets.masts import (
    DIRECTIONS,
    DISTANCES,
    MARGIN,
    MAST,
    four_pairs,
    paint_masts,
)
from grader.errors import ClinicError

GROUND = draw("tiles", "train", 48, size=28, seed=0)


def black(n: int, size: int = 28) -> Images:
    return Images(np.zeros((n, size, size, 3), np.uint8), np.zeros(n, np.int64), ("ground",))


def test_the_seed_decides_and_the_ground_is_left_alone():
    before = GROUND.images.copy()
    (first, _), (again, _), (other, _) = (paint_masts(GROUND, "train", s) for s in (1, 1, 2))
    assert np.array_equal(first.images, again.images)
    assert first.images.tobytes() != other.images.tobytes()
    assert np.array_equal(GROUND.images, before)
    assert first.images.dtype == np.uint8
    assert first.classes == DIRECTIONS


def test_a_longer_draw_begins_with_the_shorter_one():
    short, _ = paint_masts(black(30), "train", 3)
    long, _ = paint_masts(black(60), "train", 3)
    assert np.array_equal(short.images, long.images[:30])
    assert np.array_equal(short.labels, long.labels[:30])


def test_directions_and_distances_come_equally_often():
    painted, truth = paint_masts(GROUND, 4)
    for distance in DISTANCES:
        of_it = painted.labels[truth.parameters["distance"] == distance]
        assert np.bincount(of_it).tolist() == [8, 8]


def test_the_masts_stand_where_the_truth_says_and_the_label_is_their_direction():
    painted, truth = paint_masts(black(200), 5)
    top, left, distance = (truth.parameters[k] for k in ("top", "left", "distance"))
    for image, label, y, x, d in zip(
        painted.images, painted.labels, top, left, distance, strict=True
    ):
        rows, columns = np.nonzero(image.any(axis=-1))
        assert len(rows) == 2 * MAST**2
        assert min(rows.min(), columns.min()) >= MARGIN
        assert max(rows.max(), columns.max()) < 28 - MARGIN
        assert {(r, c) for r, c in zip(rows, columns, strict=True)} >= set(zip(y, x, strict=True))
        assert (abs(x[1] - x[0]), abs(y[1] - y[0])) == ((d, 0) if label == 0 else (0, d))


@pytest.mark.parametrize("distance", DISTANCES)
def test_single_masts_stand_in_the_same_places_whatever_the_label(distance):
    painted, truth = paint_masts(black(8000), 6, distances=(distance,))
    counts = np.zeros((2, 28, 28))
    for mast in range(2):
        place = truth.parameters["top"][:, mast], truth.parameters["left"][:, mast]
        np.add.at(counts, (painted.labels, *place), 1)
    assert np.array_equal(counts[0] > 0, counts[1] > 0)
    used = counts[0] > 0
    spread = np.sqrt(counts.sum(axis=0)[used])
    assert (np.abs(counts[0] - counts[1])[used] < 5 * spread).all()


def test_the_windows_of_seven_pixels_hold_the_same_whatever_the_direction():
    images = four_pairs(28, 12)[..., 0]
    windows = [
        sorted(image[r : r + 7, c : c + 7].tobytes() for r in range(22) for c in range(22))
        for image in images[:4]
    ]
    assert windows[0] == windows[1] == windows[2] == windows[3]
    near = [
        sorted(image[r : r + 7, c : c + 7].tobytes() for r in range(22) for c in range(22))
        for image in four_pairs(28, 4)[..., 0][:4]
    ]
    assert near[0] == near[1] != near[2] == near[3]


def test_level_and_upright_pairs_hold_the_same_single_masts():
    level_top, level_bottom, left, right, empty = four_pairs(28, 12).astype(int)
    assert np.array_equal(level_top + level_bottom, left + right)
    assert len(np.unique(empty)) == 1


def test_masts_need_room():
    with pytest.raises(ClinicError, match="need images of 26 pixels"):
        paint_masts(black(2, 24), 0)
