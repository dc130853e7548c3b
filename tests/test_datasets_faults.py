"""Planted faults: the truth that comes with them is the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.datasets import Images, draw, exact, faults, folder
from grader.errors import ClinicError

TILES = draw("tiles", "train", 100, size=8, seed=0)
rates = st.floats(0, 1)
seeds = st.integers(0, 2**63)


def _images(labels: np.ndarray, classes: int) -> Images:
    """Images of 4 pixels that differ from each other, with the labels given."""
    pixels = np.arange(len(labels) * 48, dtype=np.uint64).reshape(-1, 4, 4, 3)
    names = tuple(f"class{k}" for k in range(classes))
    return Images((pixels * 37 % 251).astype(np.uint8), labels.astype(np.int64), names)


PLANTERS = {
    "channel_order": lambda seed: faults.channel_order(TILES, rate=0.5, seed=seed),
    "flip": lambda seed: faults.flip(TILES, rate=0.5, seed=seed),
    "lighting_drift": lambda seed: faults.lighting_drift(TILES, gain=0.7, spread=0.1, seed=seed),
    "mislabel": lambda seed: faults.mislabel(TILES, 0.3, seed=seed),
    "imbalance": lambda seed: faults.imbalance(TILES, [1, 0.5] * 5, seed=seed),
    "near_duplicates": lambda seed: faults.near_duplicates(
        TILES, draw("tiles", "test", 50, size=8), 0.4, seed=seed
    ),
}


@pytest.mark.parametrize("name", PLANTERS)
def test_the_seed_decides_and_the_input_is_left_alone(name: str):
    before = TILES.images.copy(), TILES.labels.copy()
    (first, truth), (again, same), (other, _) = (PLANTERS[name](seed) for seed in (1, 1, 2))
    assert truth.fault == name
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels, again.labels)
    assert np.array_equal(truth.affected, same.affected)
    differs = first.images.tobytes() != other.images.tobytes()
    assert differs or first.labels.tobytes() != other.labels.tobytes()
    assert np.array_equal(TILES.images, before[0])
    assert np.array_equal(TILES.labels, before[1])


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_out_of_range_is_refused(rate: float):
    with pytest.raises(ClinicError, match="out of range"):
        faults.flip(TILES, rate=rate)


# ---- numbers -------------------------------------------------------------------------------------


def test_scale_leaves_the_images_undivided():
    pixels, truth = faults.scale(TILES.images)
    assert pixels.dtype == np.float32
    assert np.allclose(pixels, TILES.images, rtol=1e-6)
    assert truth.affected.all()
    assert truth.parameters["factor"] == 255


@given(rate=rates, seed=seeds)
def test_scale_of_some_images_is_told_image_by_image(rate: float, seed: int):
    pixels, truth = faults.scale(TILES.images, 100.0, rate=rate, seed=seed)
    healthy = TILES.images / np.float32(255)
    assert truth.affected.sum() == round(rate * len(TILES))
    assert np.allclose(pixels[truth.affected], 100 * healthy[truth.affected], rtol=1e-6)
    assert np.allclose(pixels[~truth.affected], healthy[~truth.affected], rtol=1e-6)


def test_normalise_twice_moves_and_stretches_what_was_normalised():
    mean, std = TILES.images.mean((0, 1, 2)) / 255, TILES.images.std((0, 1, 2)) / 255
    pixels, truth = faults.normalise_twice(TILES.images, mean, std, rate=0.5, seed=1)
    once = (TILES.images / 255 - mean) / std
    assert np.allclose(pixels[~truth.affected], once[~truth.affected], atol=1e-4)
    assert np.allclose(pixels[truth.affected] * std + mean, once[truth.affected], atol=1e-4)


# ---- pixels --------------------------------------------------------------------------------------


@given(rate=rates, seed=seeds)
def test_channel_order_is_swapped_where_the_truth_says_so(rate: float, seed: int):
    faulty, truth = faults.channel_order(TILES, rate=rate, seed=seed)
    assert truth.affected.sum() == round(rate * len(TILES))
    assert np.array_equal(faulty.images[truth.affected], TILES.images[truth.affected][..., ::-1])
    assert np.array_equal(faulty.images[~truth.affected], TILES.images[~truth.affected])


@pytest.mark.parametrize(("axis", "numpy_axis"), [("horizontal", 2), ("vertical", 1)])
def test_flips_are_undone_by_their_truth(axis: str, numpy_axis: int):
    faulty, truth = faults.flip(TILES, axis, rate=0.3, seed=4)
    repaired = faulty.images.copy()
    repaired[truth.indices] = np.flip(repaired[truth.indices], numpy_axis)
    assert len(truth.indices) == 30
    assert not np.array_equal(faulty.images, TILES.images)
    assert np.array_equal(repaired, TILES.images)


def test_an_unknown_axis_is_refused():
    with pytest.raises(ClinicError, match="diagonal"):
        faults.flip(TILES, "diagonal")


def test_no_drift_changes_nothing():
    faulty, _ = faults.lighting_drift(TILES)
    assert np.array_equal(faulty.images, TILES.images)


@settings(deadline=None)
@given(gain=st.floats(0.3, 1.5), gamma=st.floats(0.5, 2.5), blue=st.floats(0.5, 1.5), seed=seeds)
def test_drift_follows_its_curve(gain: float, gamma: float, blue: float, seed: int):
    some = TILES.take(5)
    faulty, truth = faults.lighting_drift(
        some, gain=gain, gamma=gamma, cast=(1, 1, blue), spread=0.1, seed=seed
    )
    for i in range(len(some)):
        light = truth.parameters["gain"][i] * np.array([1, 1, blue])
        expected = 255 * light * (some.images[i] / 255) ** truth.parameters["gamma"][i]
        assert np.abs(np.clip(expected, 0, 255) - faulty.images[i]).max() <= 0.51
        assert 0.9 * gain <= truth.parameters["gain"][i] <= 1.1 * gain


# ---- labels --------------------------------------------------------------------------------------


@given(rate=rates, seed=seeds, classes=st.integers(2, 7), n=st.integers(0, 60))
def test_mislabel_flips_exactly_the_rate_of_every_class(rate, seed, classes, n):
    healthy = _images(exact.balanced_labels(n, classes, seed), classes)
    faulty, truth = faults.mislabel(healthy, rate, seed=seed)
    assert np.array_equal(truth.affected, faulty.labels != healthy.labels)
    assert np.array_equal(truth.parameters["labels"], healthy.labels)
    assert ((faulty.labels >= 0) & (faulty.labels < classes)).all()
    for label in range(classes):
        mine = healthy.labels == label
        assert truth.affected[mine].sum() == round(rate * mine.sum())


def test_mislabel_reaches_every_other_class():
    healthy = _images(np.zeros(300, int), 4)
    faulty, _ = faults.mislabel(healthy, 1.0)
    assert np.bincount(faulty.labels, minlength=4)[0] == 0
    assert np.bincount(faulty.labels, minlength=4)[1:].min() > 70


def test_mislabel_can_depend_on_the_class():
    river, highway = TILES.classes.index("river"), TILES.classes.index("highway")
    faulty, truth = faults.mislabel(TILES, 0.5, confuse={river: highway}, seed=3)
    assert set(TILES.labels[truth.affected]) == {river}
    assert set(faulty.labels[truth.affected]) == {highway}
    assert truth.affected.sum() == 5


def test_mislabel_takes_one_rate_a_class():
    _, truth = faults.mislabel(TILES, [0.2] + [0.0] * 9)
    assert set(TILES.labels[truth.affected]) == {0}
    assert truth.affected.sum() == 2


def test_labels_from_one_leave_the_range():
    faulty, _ = faults.labels_from_one(TILES)
    assert np.array_equal(faulty.labels, TILES.labels + 1)
    assert faulty.labels.max() == len(TILES.classes)


def test_slipped_labels_belong_to_the_image_before():
    faulty, truth = faults.slipped_labels(TILES)
    assert np.array_equal(faulty.labels[1:], TILES.labels[:-1])
    assert np.array_equal(truth.affected, faulty.labels != TILES.labels)
    assert np.array_equal(faulty.images, TILES.images)


# ---- which images --------------------------------------------------------------------------------


@given(keep=st.lists(rates, min_size=10, max_size=10), seed=seeds)
def test_imbalance_keeps_the_share_of_each_class_and_the_order(keep, seed):
    faulty, truth = faults.imbalance(TILES, keep, seed=seed)
    assert np.array_equal(faulty.images, TILES.images[~truth.affected])
    assert np.array_equal(faulty.labels, TILES.labels[~truth.affected])
    expected = [max(1, round(share * 10)) for share in keep]
    assert truth.parameters["counts"].tolist() == expected


def test_imbalance_needs_one_share_a_class():
    with pytest.raises(ClinicError, match="3 shares for 10 classes"):
        faults.imbalance(TILES, [1, 1, 1])


def test_near_duplicates_look_like_their_originals_and_are_not_equal():
    held_out = draw("tiles", "test", 50, size=32)
    train = draw("tiles", "train", 100, size=32)
    faulty, truth = faults.near_duplicates(train, held_out, 0.4, seed=1)
    pairs = truth.parameters["pairs"]
    assert len(pairs) == 20
    assert np.array_equal(truth.indices, pairs[:, 0])
    assert np.array_equal(faulty.labels, train.labels)
    assert np.array_equal(faulty.images[~truth.affected], train.images[~truth.affected])
    copies = faulty.images[pairs[:, 0]].astype(float)
    originals = held_out.images[pairs[:, 1]].astype(float)
    replaced = train.images[pairs[:, 0]].astype(float)
    distance = np.abs(copies - originals).mean((1, 2, 3))
    assert (distance > 0).all()
    assert distance.mean() < np.abs(replaced - originals).mean() / 2
    assert np.array_equal(held_out.labels[pairs[:, 1]], train.labels[pairs[:, 0]])


def test_near_duplicates_stop_where_a_class_has_no_room():
    held_out = draw("tiles", "test", 100, size=8)
    _, truth = faults.near_duplicates(TILES.take(10), held_out, 1.0)
    assert len(truth.parameters["pairs"]) == 10


def test_sorted_order_says_where_each_image_was():
    faulty, truth = faults.sorted_by_class(TILES)
    assert (np.diff(faulty.labels) >= 0).all()
    assert np.array_equal(faulty.images, TILES.images[truth.parameters["order"]])
    moved = (faulty.images != TILES.images).any((1, 2, 3))
    assert not (moved & ~truth.affected[truth.parameters["order"]]).any()


# ---- files ---------------------------------------------------------------------------------------


def test_corrupt_files_are_the_unreadable_ones(tmp_path):
    folder.write_folder(TILES, tmp_path / "tiles")
    index, truth = faults.corrupt_files(tmp_path / "tiles", truncated=3, text=2, empty=1, seed=5)
    kinds = ("truncated", "text", "empty")
    assert [len(truth.parameters[kind]) for kind in kinds] == [3, 2, 1]
    assert folder.unreadable(index) == [index.files[i] for i in truth.indices]
    assert {file for kind in kinds for file in truth.parameters[kind]} == set(
        folder.unreadable(index)
    )


def test_mixed_files_stay_readable_and_look_as_before(tmp_path):
    large = draw("tiles", "train", 40, size=32)
    folder.write_folder(large, tmp_path / "tiles", format="png")
    before = {
        file.rsplit(".")[0]: folder.read_image(tmp_path / "tiles" / file, 32)
        for file in folder.scan(tmp_path / "tiles").files
    }
    index, truth = faults.mix_files(tmp_path / "tiles", seed=2)
    assert len(index) == 40
    assert truth.affected.sum() == 6
    assert folder.unreadable(index) == []
    for kind, files in truth.parameters.items():
        for file in files:
            image = folder.read_image(index.root / file, 32)
            was = before[file.rsplit(".")[0]].astype(float)
            if kind in ("grey", "deep"):
                was[:] = (was @ [0.299, 0.587, 0.114])[..., None]
            if kind == "transparent":
                assert (image[:15, :15] == 255).all()
                was[:16, :16] = image[:16, :16]
            # `resized` goes through a crop to the middle third, so only its brightness is compared.
            compared = (image.mean(), was.mean()) if kind == "resized" else (image, was)
            assert np.abs(np.subtract(*compared)).mean() < 20, kind


def test_nobodys_photographs_are_damaged(tmp_path):
    folder.write_folder(TILES, tmp_path / "tiles")
    (tmp_path / "tiles" / folder.MARKER).unlink()
    contents = {file: file.read_bytes() for file in (tmp_path / "tiles").rglob("*.jpg")}
    for damage in (faults.corrupt_files, faults.mix_files):
        with pytest.raises(ClinicError, match="stays as it is"):
            damage(tmp_path / "tiles")
    assert contents == {file: file.read_bytes() for file in (tmp_path / "tiles").rglob("*.jpg")}


def test_more_damage_than_files_is_refused(tmp_path):
    folder.write_folder(TILES.take(20), tmp_path / "tiles")
    with pytest.raises(ClinicError, match="20 images, too few for 21 changes"):
        faults.corrupt_files(tmp_path / "tiles", truncated=21, text=0, empty=0)
