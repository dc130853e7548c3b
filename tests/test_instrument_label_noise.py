"""The label instrument: copies that disagree, what a network says of labels, what was found."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from grader.datasets import draw, faults
from grader.instruments.label_noise import (
    Course,
    draw_audit,
    draw_course,
    measure_found,
    measure_labels,
    say_audit,
    say_course,
    twins,
)

CONFIDENCE = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.05, 0.95]])
GIVEN = np.array([0, 0, 1, 1])
WRONG = np.array([False, True, False, False])


def a_course() -> Course:
    return Course(np.array([0.5, 0.8, 1.0]), np.array([0.9, 0.6, 1.2]))


def test_twins_are_identical_images_with_two_labels():
    images = np.zeros((4, 2, 2, 3), np.uint8)
    images[1] = 7
    assert twins(images, np.array([0, 0, 1, 0])).tolist() == [[0, 2], [2, 3]]
    assert twins(images, np.zeros(4, int)).shape == (0, 2)


def test_an_audit_counts_given_against_predicted():
    audit = measure_labels(CONFIDENCE, GIVEN)
    assert audit.predicted.tolist() == [0, 1, 0, 1]
    assert audit.contradicted.tolist() == [False, True, True, False]
    assert audit.confusion.tolist() == [[1, 1], [1, 1]]
    assert audit.loss[0] == pytest.approx(-math.log(0.9))


def test_the_ranking_is_one_where_wrong_labels_cost_most():
    audit = measure_labels(CONFIDENCE, GIVEN)
    assert audit.ranking(WRONG) == 1
    assert audit.ranking(~WRONG) == 0
    assert math.isnan(audit.ranking(np.zeros(4, bool)))


@pytest.mark.parametrize(("p", "y"), [(np.ones(3), GIVEN), (CONFIDENCE, GIVEN[:2])])
def test_something_that_does_not_fit_is_refused(p, y):
    with pytest.raises(ValueError, match="do not fit"):
        measure_labels(p, y)


def test_suspects_are_compared_with_the_truth():
    found = measure_found(np.array([True, True, False, False]), WRONG)
    assert (found.recall, found.precision) == (1, 0.5)
    assert found.spared == pytest.approx(2 / 3)
    assert math.isnan(measure_found(np.zeros(4, bool), WRONG).precision)


def test_pictures_have_axes_and_sentences_have_the_numbers():
    image = np.zeros((4, 4, 3), np.uint8)
    figure = draw_course({"sick": a_course()}, [(image, "river", image, "coast")])
    assert isinstance(figure, Figure)
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes[:2])
    audit = measure_labels(CONFIDENCE, GIVEN)
    picture = draw_audit({"by heart": audit, "held out": audit}, WRONG, ("a", "b"))
    assert len(picture.axes) == 3
    said = say_course(a_course(), 8)
    assert "100 %" in said
    assert "after epoch 2 of 3" in said
    assert "8 images" in said
    assert "Of 1 wrong labels among 4" in say_audit({"held out": audit}, WRONG)


def test_careless_labels_are_planted_as_described():
    images = draw("tiles", "train", 300, size=8, seed=3).only((0, 6, 7))
    assert images.classes == ("coast", "orchard", "residential")
    assert np.bincount(images.labels).tolist() == [30, 30, 30]
    noisy, truth = faults.careless_labels(images, 0.2, copies=4, seed=5)
    true, confuse = truth.parameters["labels"], truth.parameters["confuse"]
    assert len(noisy) == 94
    np.testing.assert_array_equal(truth.affected, noisy.labels != true)
    np.testing.assert_array_equal(noisy.labels[truth.affected], confuse[true[truth.affected]])
    assert truth.affected.sum() == sum(round(r * 30) for r in truth.parameters["rate"]) + 4
    original, copy = truth.parameters["pairs"].T
    np.testing.assert_array_equal(noisy.images[original], noisy.images[copy])
    assert not truth.affected[original].any()
    assert truth.affected[copy].all()
    assert len(twins(noisy.images, noisy.labels)) == 4
    again, _ = faults.careless_labels(images, 0.2, copies=4, seed=5)
    np.testing.assert_array_equal(noisy.labels, again.labels)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pytorch", "tensorflow"])
def test_the_quick_network_has_the_same_size_in_both_frameworks(name):
    from grader import frameworks

    fw = frameworks.load(name)
    fw.set_seed(0)
    model = fw.quick_cnn(16, 3)
    x = fw.from_images(np.zeros((2, 16, 16, 3), np.uint8))
    assert fw.predict(model, x).shape == (2, 3)
    assert fw.parameter_count(model) == 12 * 76 + 16 * 109 + 48 * 257 + 3 * 49
