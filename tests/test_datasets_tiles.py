"""The tiles: the same bytes everywhere, balanced, and no image in two splits."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from grader.datasets import CLASSES, Images, cards, checksums, draw, exact, faults, tiles
from grader.errors import ClinicError


def _fingerprints(images: Images) -> set[bytes]:
    return {image.tobytes() for image in images.images}


# ---- the interface -------------------------------------------------------------------------------


def test_a_draw_has_the_promised_shapes_and_types():
    drawn = draw("tiles", "train", 30, size=16, seed=3)
    assert drawn.images.shape == (30, 16, 16, 3)
    assert drawn.images.dtype == np.uint8
    assert drawn.labels.dtype == np.int64
    assert drawn.classes == CLASSES
    assert len(drawn) == 30


def test_images_are_standardised_by_themselves_or_by_others():
    known, others = (draw("tiles", split, 30, size=16, seed=3) for split in ("train", "test"))
    own = known.standardised()
    assert own.shape == (30, 16, 16, 3)
    assert np.allclose(own.mean(axis=(0, 1, 2)), 0)
    assert np.allclose(own.std(axis=(0, 1, 2)), 1)
    by_others = others.standardised(known)
    assert not np.allclose(by_others.mean(axis=(0, 1, 2)), 0)
    # The same pixel gives the same number, whichever images it comes with.
    assert np.array_equal(known.take(5).standardised(known), own[:5])


def test_classes_are_numbered_as_a_folder_of_them_would_be():
    assert list(CLASSES) == sorted(CLASSES)
    assert list(tiles.TARGET_CLASSES) == sorted(tiles.TARGET_CLASSES)


@given(n=st.integers(10, 200), seed=st.integers(-(2**70), 2**70))
def test_every_prefix_is_balanced(n: int, seed: int):
    labels = exact.balanced_labels(n, 10, "labels", seed)
    counts = np.bincount(labels, minlength=10)
    assert len(labels) == n
    assert counts.max() - counts.min() <= 1


@settings(max_examples=10, deadline=None)
@given(n=st.integers(10, 40), fewer=st.integers(1, 10), seed=st.integers(0, 2**64))
def test_a_tile_does_not_depend_on_how_many_are_drawn(n: int, fewer: int, seed: int):
    many, few = (
        draw("tiles", "test", n, size=8, seed=seed),
        tiles.make(fewer, 8, seed, split="test"),
    )
    assert np.array_equal(many.take(fewer).images, few[0])
    assert np.array_equal(many.take(fewer).labels, few[1])


@pytest.mark.parametrize("size", [8, 16, 17, 32, 64])
def test_every_size_can_be_painted(size: int):
    images, labels = tiles.make(10, size)
    assert images.shape == (10, size, size, 3)
    assert sorted(labels) == list(range(10))
    assert (images.reshape(10, -1).std(axis=1) > 1).all()


def test_a_seed_shows_about_the_same_scene_at_every_size():
    small, _ = tiles.make(40, 16, 5)
    large, _ = tiles.make(40, 32, 5)
    halved = large.reshape(40, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    pairs = np.abs(small - halved).mean(axis=(1, 2, 3))
    strangers = np.abs(np.roll(small, 1, axis=0) - halved).mean(axis=(1, 2, 3))
    assert np.median(pairs) < np.median(strangers) / 2


# ---- splits --------------------------------------------------------------------------------------


def test_no_image_is_in_two_splits_or_in_two_seeds():
    draws = [draw("tiles", split, 300, size=16, seed=seed) for seed in (0, 1)
             for split in ("train", "validation", "test", "field")]  # fmt: skip
    together = set().union(*(_fingerprints(drawn) for drawn in draws))
    assert len(together) == 8 * 300


def test_labels_of_two_splits_come_in_different_orders():
    assert not np.array_equal(draw("tiles", "train", 50).labels, draw("tiles", "test", 50).labels)


def test_field_is_the_test_split_under_the_known_drift():
    test, field = draw("tiles", "test", 40, seed=2), draw("tiles", "field", 40, seed=2)
    drifted, truth = faults.lighting_drift(test, seed=2, **faults.FIELD)
    assert np.array_equal(field.images, drifted.images)
    assert np.array_equal(field.labels, test.labels)
    assert field.images.mean() < 0.7 * test.images.mean()
    assert truth.affected.all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("tiles", "exam", 20), "no split 'exam'; take one of train, validation, test, field"),
        (("tiles", "train", 9), "9 images cannot cover 10 classes"),
        (("tiles", "train", 0), "0 images cannot cover 10 classes"),
        (("nowhere", "train", 20), "no image folder at nowhere"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments, sentence):
    with pytest.raises(ClinicError, match=sentence):
        draw(*arguments)


@pytest.mark.parametrize("size", [0, 7, 1025])
def test_a_size_out_of_range_is_refused(size: int):
    with pytest.raises(ClinicError, match="out of range"):
        draw("tiles", "train", 20, size=size)


# ---- the same bytes everywhere -------------------------------------------------------------------


def test_the_reference_draws_have_the_committed_checksums():
    results = checksums.verify()
    assert [result.name for result in results if not result.ok] == []
    assert {name.split("/")[1].split()[0] for name in checksums.REFERENCES} >= {
        "train", "validation", "test", "field"
    }  # fmt: skip


def test_a_changed_checksum_is_reported(tmp_path):
    wrong = json.loads(checksums.PATH.read_text())
    name = next(iter(wrong))
    wrong[name] = "0" * 64
    path = tmp_path / "checksums.json"
    path.write_text(json.dumps(wrong))
    assert [result.name for result in checksums.verify(path) if not result.ok] == [name]


@pytest.mark.parametrize("text", [None, "no json", "{}", "[]", "3"])
def test_a_missing_or_broken_checksum_file_is_one_sentence(tmp_path, text):
    path = tmp_path / "checksums.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ClinicError, match="restore"):
        checksums.verify(path)


def test_the_chunk_size_changes_nothing():
    whole, _ = tiles.make(60, 16, chunk=1000)
    for chunk in (1, 3):
        assert np.array_equal(tiles.make(60, 16, chunk=chunk)[0], whole)


PRINT_DIGEST = """
from grader.datasets import checksums, tiles
print(checksums.digest(*tiles.make(100, 32, 0)))
"""
OLD_PROCESSOR = {
    # NumPy and OpenBLAS choose their code by the processor; these make them choose the oldest.
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512_SKX AVX2 FMA3 X86_V3 X86_V4",
    "OPENBLAS_CORETYPE": "Nehalem",
    "OPENBLAS_NUM_THREADS": "1",
}


@pytest.mark.parametrize("settings", [OLD_PROCESSOR, {"OPENBLAS_NUM_THREADS": "4"}])
def test_an_older_processor_and_other_thread_counts_paint_the_same_tiles(settings):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRINT_DIGEST],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == checksums.digest(*tiles.make(100, 32, 0))


def test_the_only_power_in_a_draw_stays_clear_of_rounding():
    # lighting_drift rounds 255 * gain * cast * v ** gamma; pow may differ in the last bit of a
    # float64 (1e-13 here) between processors, so no entry may lie that close to a half.
    test = draw("tiles", "test", 500, seed=0)
    _, truth = faults.lighting_drift(test, seed=0, **faults.FIELD)
    gain, gamma, cast = (truth.parameters[name] for name in ("gain", "gamma", "cast"))
    shape = (np.arange(256) / 255)[None, :] ** gamma[:, None]
    value = 255 * gain[:, None, None] * cast[None, :, None] * shape[:, None, :]
    assert np.abs(value % 1 - 0.5).min() > 1e-9


def test_the_sine_is_one():
    turns = np.linspace(-3, 3, 10_001, dtype=np.float32)
    assert np.abs(exact.sine(turns) - np.sin(2 * np.pi * turns)).max() < 0.0012


def test_the_hashed_numbers_are_evenly_spread():
    stream = exact.Stream(exact.keys(200, "spread"))
    bits = stream.bits(32, 32)
    assert abs((bits / 2**32).mean() - 0.5) < 0.005
    ones = (bits[..., None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
    assert np.abs(ones.mean(axis=(0, 1, 2)) - 0.5).max() < 0.01
    centred = bits / 2**32 - 0.5
    assert abs(np.mean(centred[:, 1:] * centred[:, :-1]) * 12) < 0.01
    assert abs(np.mean(centred[1:] * centred[:-1]) * 12) < 0.01


# ---- the second task, and the sample -------------------------------------------------------------


def test_the_target_task_has_six_classes_and_no_tile_of_the_first():
    images, labels = tiles.make_target(60, 16, 0)
    assert np.bincount(labels).tolist() == [10] * 6
    first, _ = tiles.make(60, 16, 0)
    assert not {image.tobytes() for image in images} & {image.tobytes() for image in first}


def test_difficulty_adds_noise():
    def roughness(difficulty: float) -> float:
        images, _ = tiles.make(40, 32, difficulty=difficulty)
        return float(np.abs(np.diff(images.astype(float), 2, axis=2)).mean())

    assert roughness(0.0) < roughness(1.0) < roughness(2.0)


def test_the_committed_sample_is_what_is_drawn():
    sample = cards.sample_images()
    for label, name in enumerate(sample.classes):
        for k, index in enumerate(np.flatnonzero(sample.labels == label)):
            committed = np.asarray(Image.open(cards.SAMPLE / name / f"{k}.png"))
            assert np.array_equal(committed, sample.images[index])


def test_a_contact_sheet_has_one_row_a_class():
    sheet = cards.contact_sheet(draw("tiles", "train", 30, size=16), per_class=3, scale=2)
    assert sheet.shape == ((10 * 18 - 2) * 2, (3 * 18 - 2) * 2, 3)
