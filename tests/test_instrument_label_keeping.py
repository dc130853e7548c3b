"""The instrument for augmentations: labels, variety, range, and what it draws and says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from grader.datasets import shores
from grader.instruments.label_keeping import (
    draw_grid,
    draw_ranges,
    draw_strength,
    measure_augmentation,
    say_augmentation,
)

TRAIN = shores.draw("tiles", "train", 24, size=16, seed=4)
IMAGES, LABELS = TRAIN.images / 255, TRAIN.labels
MIRRORED = np.array([0, 2, 1, 3])


def measure(rounds):
    return measure_augmentation(IMAGES, LABELS, rounds, shores.water_side, shores.OPPOSITE)


def noisy(seed, strength=0.05):
    noise = np.random.default_rng(seed).normal(0, strength, IMAGES.shape)
    return np.clip(IMAGES + noise, 0, 1)


def test_no_augmentation_keeps_every_label_and_varies_nothing():
    found = measure([(IMAGES, LABELS)] * 3)
    assert (found.images, found.agreement, found.clean) == (72, 1, 1)
    assert (found.across, found.beside, found.lost) == (0, 0, 0)
    assert (found.moved, found.spread, found.ends, found.overshoot) == (0, 0, 0, 0)


def test_a_mirror_that_forgets_the_label_shows_the_opposite_side():
    found = measure([(IMAGES, LABELS), (IMAGES[:, :, ::-1], LABELS)])
    assert found.agreement == pytest.approx(0.75)
    assert found.across == pytest.approx(0.25)
    assert found.beside == found.lost == 0
    told = measure([(IMAGES, LABELS), (IMAGES[:, :, ::-1], MIRRORED[LABELS])])
    assert told.agreement == 1


def test_a_quarter_turn_shows_a_neighbouring_side():
    found = measure([(np.rot90(IMAGES, 1, (1, 2)), LABELS)] * 2)
    assert (found.agreement, found.across, found.beside) == (0, 0, 1)


def test_where_nothing_is_left_to_see_the_label_is_lost():
    found = measure([(np.zeros_like(IMAGES), LABELS)] * 2)
    assert (found.agreement, found.lost) == (0, 1)
    assert found.ends > 0.99


@given(st.floats(0.01, 5))
def test_values_beyond_the_range_are_measured_by_how_far(beyond):
    found = measure([(IMAGES, LABELS), (IMAGES - IMAGES.max() + 1 + beyond, LABELS)])
    assert found.high == pytest.approx(1 + beyond)
    assert found.overshoot == pytest.approx(max(beyond, -found.low))


def test_values_that_are_not_finite_have_no_overshoot():
    broken = IMAGES.copy()
    broken[0, 0, 0, 0] = np.inf
    assert np.isnan(measure([(IMAGES, LABELS), (broken, LABELS)]).overshoot)


def test_a_fixed_change_moves_images_and_spreads_nothing():
    found = measure([(IMAGES[:, :, ::-1], MIRRORED[LABELS])] * 3)
    assert found.moved > 0.3
    assert found.spread == 0


def test_another_order_moves_nothing():
    order = np.roll(np.arange(len(IMAGES)), 1)
    found = measure([(IMAGES, LABELS), (IMAGES[order], LABELS[order])])
    assert found.moved == 0
    assert found.agreement == 1


def test_noise_spreads_in_proportion_to_its_strength():
    weak = measure([(noisy(i, 0.01), LABELS) for i in range(3)])
    strong = measure([(noisy(i, 0.02), LABELS) for i in range(3)])
    assert strong.spread == pytest.approx(2 * weak.spread, rel=0.1)


def test_versions_of_one_image_are_closer_than_those_of_two_unless_they_are_no_versions():
    assert measure([(noisy(i), LABELS) for i in range(3)]).kinship < 0.6
    rng = np.random.default_rng(0)
    strangers = [rng.random(IMAGES.shape) for _ in range(3)]
    assert measure([(x, LABELS) for x in strangers]).kinship == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("rounds", [[], [(IMAGES, LABELS)], [(IMAGES[:, :8], LABELS)] * 2])
def test_something_that_is_no_set_of_rounds_is_refused(rounds):
    with pytest.raises(ValueError, match="rounds"):
        measure(rounds)


def test_the_sentence_holds_the_numbers():
    found = measure([(IMAGES, LABELS), (IMAGES[:, :, ::-1], LABELS)])
    said = say_augmentation("sick", found)
    for part in ("Sick: 75.0 % of 48", "25.0 % show the opposite", f"{found.high:.3f}"):
        assert part in said
    assert said.endswith(".")


def test_the_grid_marks_wrong_labels_by_more_than_colour():
    rounds = [(IMAGES, LABELS), (np.rot90(IMAGES, 2, (1, 2)), LABELS)]
    figure = draw_grid(IMAGES, LABELS, rounds, shores.water_side, shores.SIDES, rows=3)
    assert isinstance(figure, Figure)
    axes = np.array(figure.axes).reshape(3, 3)
    assert [len(ax.texts) for ax in axes[0]] == [0, 0, 1]
    styles = [ax.lines[0].get_linestyle() for ax in axes[0]]
    assert styles[0] == styles[1] != styles[2]


def test_the_curves_against_strength_are_labelled():
    figure = draw_strength(
        [0, 45, 90], [1, 0.9, 0.5], {"seed 0": [1, 0.9, 0.6]}, classes=4, control=0.95
    )
    (ax,) = figure.axes
    assert "degrees" in ax.get_xlabel()
    assert "%" in ax.get_ylabel()
    words = {text.get_text() for text in ax.texts}
    assert {"labels that survive", "seed 0", "no augmentation", "guessing"} <= words


def test_the_range_plot_has_a_row_for_each_program():
    figure = draw_ranges({"sick": IMAGES * 1.2, "repaired": IMAGES, "grey levels": IMAGES + 30})
    assert len(figure.axes) == 3
    assert "0 to 1" in figure.axes[-1].get_xlabel()
    assert figure.axes[0].get_title().startswith("sick: ")
