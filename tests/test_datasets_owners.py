"""Owners: labels of which half is not in the picture."""

from __future__ import annotations

import numpy as np

from grader.datasets import Images, draw
from grader.datasets.owners import add_owners


def plots(n: int) -> Images:
    return draw("tiles", "train", n, size=8, seed=3).only((2, 5, 7))


def test_the_kind_stays_readable_from_the_label_and_the_images_stay_as_they_are():
    before = plots(300)
    after = add_owners(before, "train", 3)
    assert np.array_equal(after.images, before.images)
    assert np.array_equal(after.labels // 2, before.labels)
    assert after.classes[:2] == ("forest, private", "forest, public")
    assert len(after.classes) == 6


def test_half_of_the_plots_are_public_whatever_grows_there():
    after = add_owners(plots(3000), "train", 3)
    for kind in range(3):
        public = after.labels[after.labels // 2 == kind] % 2
        assert abs(public.mean() - 0.5) < 0.08


def test_an_owner_depends_on_position_and_seed_only():
    long, short = add_owners(plots(300), "train", 3), add_owners(plots(100), "train", 3)
    assert np.array_equal(long.labels[: len(short)], short.labels)
    other = add_owners(plots(300), "train", 4)
    assert 0.3 < np.mean(long.labels != other.labels) < 0.7
