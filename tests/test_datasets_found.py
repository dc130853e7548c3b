"""Folders as one finds them."""

from __future__ import annotations

import numpy as np
from PIL import Image

from grader.datasets import folder
from grader.datasets.found import mosaics, write_found

CLASSES = ("barley", "corn", "oats")


def test_mosaics_are_balanced_and_come_from_their_seed():
    first, again, other = (mosaics(30, 24, CLASSES, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)
    assert np.bincount(first.labels).tolist() == [10, 10, 10]
    assert first.images.shape == (30, 24, 24, 3)
    assert first.images.min() == 0
    assert first.images.max() == 255


def test_no_two_mosaics_look_alike():
    x = mosaics(40, 24, CLASSES).images.reshape(40, -1, 3).astype(float)
    x -= x.mean(axis=1, keepdims=True)
    x = x.reshape(40, -1) / np.linalg.norm(x.reshape(40, -1), axis=1, keepdims=True)
    assert np.triu(x @ x.T, 1).max() < 0.6


def test_a_found_folder_holds_what_was_asked_for(tmp_path):
    index = write_found(
        mosaics(40, 24, CLASSES),
        tmp_path / "found",
        grey=3,
        palette=2,
        transparent=2,
        cmyk=1,
        resized=4,
        text=2,
        empty=1,
        truncated=2,
        seed=5,
    )
    assert len(index) == 40
    assert len(folder.unreadable(index)) == 5
    bad = set(folder.unreadable(index))
    images = [Image.open(index.root / file) for file in index.files if file not in bad]
    modes = [image.mode for image in images]
    assert {"L", "P", "RGBA", "RGB"} <= set(modes)
    assert {image.size for image in images} == {(24, 24), (72, 48)}


def test_a_folder_without_extras_is_plain(tmp_path):
    index = write_found(mosaics(9, 16, CLASSES), tmp_path / "plain", format="png")
    assert not folder.unreadable(index)
    assert all(file.endswith(".png") for file in index.files)
