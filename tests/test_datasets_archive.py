"""The archive: rare classes, and scenes that are there more than once."""

from __future__ import annotations

import numpy as np
import pytest

from grader.datasets import draw
from grader.datasets.archive import archive

TILES = draw("tiles", "train", 600, size=12, seed=1)


def test_the_counts_are_those_asked_for_with_copies_and_without():
    for copies in (0.0, 0.5):
        images, scenes = archive(TILES, (2, 7, 0), (60, 9, 6), copies=copies, seed=3)
        assert np.bincount(images.labels).tolist() == [60, 9, 6]
        assert images.classes == tuple(TILES.classes[c] for c in (2, 7, 0))
        assert len(scenes) == 75


def test_without_copies_every_image_is_a_scene_of_its_own():
    _, scenes = archive(TILES, (0, 1), (40, 5), seed=3)
    assert len(np.unique(scenes)) == 45


def test_a_scene_is_of_one_class_and_has_at_most_three_images():
    images, scenes = archive(TILES, (0, 1, 2), (60, 30, 12), copies=0.5, seed=4)
    for scene in np.unique(scenes):
        members = np.flatnonzero(scenes == scene)
        assert len(members) <= 3
        assert len(np.unique(images.labels[members])) == 1
    assert len(np.unique(scenes)) == 102 - 2 * 17  # a sixth is a near copy, a sixth an exact one


def test_exact_copies_have_the_same_bytes_and_near_copies_do_not():
    images, scenes = archive(TILES, (0, 1), (60, 30), copies=0.5, seed=5)
    hashes = [image.tobytes() for image in images.images]
    repeated = len(hashes) - len(set(hashes))
    copies = len(scenes) - len(np.unique(scenes))
    assert repeated == 15
    assert copies == 30
    by_hash = dict(zip(hashes, scenes, strict=True))
    assert all(by_hash[h] == scene for h, scene in zip(hashes, scenes, strict=True))


def test_the_seed_decides_and_the_input_is_left_alone():
    before = TILES.images.copy()
    (first, one), (again, same), (other, _) = (
        archive(TILES, (0, 1), (40, 8), copies=0.5, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(one, same)
    assert not np.array_equal(first.images, other.images)
    assert np.array_equal(TILES.images, before)


@pytest.mark.parametrize(("classes", "left"), [((8, 12), 2), ((1, 11), 1)])
def test_classes_beyond_the_last_count_on_from_the_first(classes, left):
    images, _ = archive(TILES, classes, (20, 5), seed=0)
    assert len(images.classes) == left
