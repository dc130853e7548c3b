"""What a kernel is handed: pixels and names of classes, never labels or a seed."""

from __future__ import annotations

import numpy as np
import pytest

from grader.datasets import LabelsWithheld, UnlabelledImages, UnseenArrays, bundle, draw
from grader.errors import ClinicError

IMAGES = draw("tiles", "test", 20, size=8, seed=5)


def test_images_come_back_as_they_were(tmp_path):
    bundle.write(tmp_path / "x.npz", {"repair": bundle.without_labels(IMAGES)})
    read = bundle.read(tmp_path / "x.npz")["repair"]
    assert read.images.dtype == IMAGES.images.dtype
    assert np.array_equal(read.images, IMAGES.images)
    assert read.classes == IMAGES.classes
    assert len(read) == 20


def test_a_file_without_sets_is_read_as_one(tmp_path):
    bundle.write(tmp_path / "x.npz", {})
    assert bundle.read(tmp_path / "x.npz") == {}


def test_the_file_holds_neither_labels_nor_a_seed(tmp_path):
    bundle.write(tmp_path / "x.npz", {"repair": bundle.without_labels(IMAGES)})
    with np.load(tmp_path / "x.npz") as arrays:
        assert sorted(arrays) == ["repair.classes", "repair.images"]
        assert not any(np.array_equal(a, IMAGES.labels) for a in arrays.values())


def test_labels_that_an_answer_is_to_search_go_along(tmp_path):
    carried = UnlabelledImages(IMAGES.images, IMAGES.classes, IMAGES.labels[::-1])
    bundle.write(tmp_path / "x.npz", {"repair": bundle.without_labels(carried)})
    assert np.array_equal(bundle.read(tmp_path / "x.npz")["repair"].given, IMAGES.labels[::-1])


def test_arrays_without_an_image_come_back_by_name_beside_images(tmp_path):
    numbers = UnseenArrays(
        {"A": np.linspace(0, 1, 7), "folder/b.images": np.arange(6).reshape(2, 3)}
    )
    sets = {"compare": bundle.without_labels(numbers), "repair": bundle.without_labels(IMAGES)}
    bundle.write(tmp_path / "x.npz", sets)
    read = bundle.read(tmp_path / "x.npz")
    assert set(read) == set(sets)
    for name, array in numbers.arrays.items():
        assert read["compare"][name].dtype == array.dtype
        assert np.array_equal(read["compare"][name], array)
    assert np.array_equal(read["repair"].images, IMAGES.images)


def test_whoever_asks_for_labels_is_told_where_they_are():
    images = bundle.without_labels(IMAGES)
    for some in (images, images.take(3), images.pick(np.arange(2))):
        with pytest.raises(LabelsWithheld, match="hand over predictions"):
            _ = some.labels


def test_images_are_prepared_alike_with_and_without_labels():
    like = draw("tiles", "train", 20, size=8, seed=5)
    ours = bundle.without_labels(IMAGES).standardised(like)
    assert np.array_equal(ours, IMAGES.standardised(like))
    assert np.array_equal(bundle.without_labels(IMAGES).take(3).images, IMAGES.take(3).images)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive"])
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ClinicError, match="cannot be read"):
        bundle.read(tmp_path / "x.npz")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ClinicError, match="cannot be read"):
        bundle.read(tmp_path / "x.npz")
