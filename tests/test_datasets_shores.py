"""The sea on one side: what is drawn, and the rule that reads it back."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.datasets import exact, shores
from grader.datasets.shores import NO_SIDE, OPPOSITE, SIDES


@pytest.mark.parametrize("size", [8, 12, 16, 33, 64])
def test_the_rule_reads_every_side_on_tiles_of_any_size(size):
    drawn = shores.draw("tiles", "train", 120, size=size, seed=5)
    assert drawn.images.shape == (120, size, size, 3)
    assert drawn.images.dtype == np.uint8
    np.testing.assert_array_equal(shores.water_side(drawn.images), drawn.labels)


@given(st.integers(0, 2**31), st.sampled_from([8, 16, 24]))
def test_the_rule_reads_every_side_on_any_ground(seed, size):
    """Photographs are not like tiles: here the ground is all blue, all black, or anything."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 256, (12, size, size, 3), dtype=np.uint8)
    ground[:2], ground[2:4], ground[4:6] = 0, (0, 0, 255), 255
    labels = np.arange(12) % 4
    stream = exact.Stream(exact.keys(12, "test", seed))
    flooded = shores._flood(shores._warm(ground), labels, stream)
    np.testing.assert_array_equal(shores.water_side(flooded), labels)


def test_the_same_arguments_give_the_same_bytes():
    """On every machine: the digest was written down once."""
    drawn = shores.draw("tiles", "test", 40, size=16, seed=1)
    assert hashlib.sha256(drawn.images.tobytes()).hexdigest()[:16] == "2527b409225c8777"


def test_sides_are_balanced_and_splits_differ():
    train = shores.draw("tiles", "train", 48, seed=0)
    test = shores.draw("tiles", "test", 48, seed=0)
    assert train.classes == SIDES == tuple(sorted(SIDES))
    assert np.bincount(train.labels).tolist() == [12, 12, 12, 12]
    assert (train.labels != test.labels).any()
    assert (train.images != test.images).any()


def test_a_flip_moves_the_sea_and_the_rule_follows():
    drawn = shores.draw("tiles", "train", 48, seed=2)
    upside_down, mirrored = drawn.images[:, ::-1], drawn.images[:, :, ::-1]
    vertical = np.isin(drawn.labels, [SIDES.index("bottom"), SIDES.index("top")])
    across = OPPOSITE[drawn.labels]
    np.testing.assert_array_equal(
        shores.water_side(upside_down), np.where(vertical, across, drawn.labels)
    )
    np.testing.assert_array_equal(
        shores.water_side(mirrored), np.where(vertical, drawn.labels, across)
    )


@given(st.floats(0.05, 4))
def test_brightness_does_not_move_the_sea(gain):
    drawn = shores.draw("tiles", "train", 16, seed=3)
    np.testing.assert_array_equal(shores.water_side(drawn.images / 255 * gain), drawn.labels)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.4, -3.0, np.nan])
def test_without_water_there_is_no_side(value):
    assert shores.water_side(np.full((2, 8, 8, 3), value)).tolist() == [NO_SIDE, NO_SIDE]


def test_a_crop_that_leaves_the_sea_out_has_no_side():
    ground = np.full((1, 16, 16, 3), (0.5, 0.5, 0.2))
    ground[:, :4] = (0.1, 0.2, 0.4)
    assert shores.water_side(ground).tolist() == [SIDES.index("top")]
    assert shores.water_side(ground[:, 4:]).tolist() == [NO_SIDE]
