"""Predictions that come from the learner's process count only when they are what was asked for."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.checks.evidence import EvidenceError, plain, restore
from grader.checks.predictions import (
    class_numbers,
    predict_both_ways,
    share_right,
    share_right_at_best,
)

LABELS = np.array([0, 1, 2, 0])

whole = st.integers(-(2**70), 2**70)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(st.tuples(st.integers(0, 9), whole), min_size=1, max_size=30))
def test_the_share_right_is_that_of_counting(pairs):
    labels = np.array([label for label, _ in pairs])
    predicted = [number for _, number in pairs]
    right = sum(label == number for label, number in pairs)
    assert share_right(predicted, labels) == right / len(pairs)


@given(st.lists(st.integers(-3, 12), min_size=1, max_size=30), st.randoms())
def test_predictions_survive_the_way_of_evidence(predicted, random):
    labels = np.array([random.randrange(10) for _ in predicted])
    over = restore(json.loads(json.dumps(plain(np.array(predicted)))))
    assert share_right(over, labels) == (np.array(predicted) == labels).mean()


@given(anything | st.lists(whole | st.booleans(), min_size=4, max_size=4))
def test_whatever_is_handed_over_is_refused_or_is_a_share(handed_over):
    counts = isinstance(handed_over, list) and [type(v) for v in handed_over] == [int] * 4
    if counts:
        assert 0 <= share_right(handed_over, LABELS) <= 1
    else:
        with pytest.raises(EvidenceError):
            share_right(handed_over, LABELS)


@pytest.mark.parametrize(
    "predicted",
    [
        [],
        [0],
        [[0], [1], [2], [0]],
        [[0, 1, 2, 0]],
        [[0, 1, 2, 0]] * 4,
        [0, 1, 2],
        [0, 1, 2, 0, 0],
        0,
        True,
        [0, True, 2, 0],
        [0.0, 1.0, 2.0, 0.0],
        [0, 1, 2, 0.0],
        [0, 1, 2, math.nan],
        [0, 1, 2, None],
        [0, 1, 2, [0]],
        ["0", "1", "2", "0"],
        "0120",
        {"0": 0, "1": 1, "2": 2, "3": 0},
        None,
        np.array(0),
        np.array([0.0, 1, 2, 0]),
        np.array([False, True, True, False]),
        np.array([[0, 1, 2, 0]]),
    ],
    ids=str,
)
def test_other_lengths_shapes_and_types_are_refused_in_one_sentence(predicted):
    with pytest.raises(EvidenceError, match=r"^(the predictions are not|the number of pred)[^.]+$"):
        share_right(predicted, LABELS)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_integers_of_any_width_count(dtype):
    assert share_right(np.array([0, 1, 2, 2], dtype), LABELS) == 0.75


def test_a_number_that_is_no_class_is_wrong_and_stays_none():
    predicted = [-1, -(2**80), 2**80, 0]
    assert share_right(predicted, LABELS) == 0.25
    numbers = class_numbers(predicted, 4)
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [-1, -1, 2**63 - 1, 0]


def test_a_model_is_asked_as_served_and_with_the_statistics_of_the_batch():
    class Framework:
        predict = staticmethod(lambda model, x: model(x))
        predict_in_training = staticmethod(lambda model, x: -model(x))

    both = predict_both_ways(Framework, np.eye(3)[LABELS].__getitem__, slice(None))
    assert [each.tolist() for each in both] == [[0, 1, 2, 0], [1, 0, 0, 1]]
    assert share_right_at_best(both, LABELS) == 1


def test_of_two_ways_the_better_counts():
    assert share_right_at_best([[0, 0, 0, 0], [0, 1, 2, 1]], LABELS) == 0.75
    assert share_right_at_best(([0, 1, 2, 1], [0, 0, 0, 0]), LABELS) == 0.75


@pytest.mark.parametrize(
    "predicted",
    [
        [[0, 1, 2, 0]],
        [[0, 1, 2, 0]] * 3,
        [0, 1, 2, 0],
        [[0, 1, 2, 0], [0]],
        [[0, 1, 2, 0], None],
        {"a": [0, 1, 2, 0], "b": [0, 1, 2, 0]},
        [],
        None,
        4,
    ],
    ids=str,
)
def test_two_ways_are_two_lists_and_no_more_guesses(predicted):
    with pytest.raises(EvidenceError):
        share_right_at_best(predicted, LABELS)
