"""What a model says of images, and how much of that is right.

Predictions come from the learner's process, and whoever forges them may hand over anything that
JSON can hold. NumPy compares numbers of other lengths and types readily; here they are refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grader.checks.evidence import EvidenceError

_LARGEST = int(np.iinfo(np.int64).max)


def predict_both_ways(fw: Any, model: Any, x: Any) -> list[np.ndarray]:
    """Predicted classes (N,), once as when a model is served and once with the batch's statistics.

    Keras's batch normalisation needs hundreds of steps until its running statistics hold. Where
    that is not the disease, the better of the two counts, see `share_right_at_best`.

    Args:
        fw: the framework's adapter.
        x: images as the framework takes them.
    """
    return [fw.predict(model, x).argmax(axis=1), fw.predict_in_training(model, x).argmax(axis=1)]


def class_numbers(predicted: Any, n: int) -> np.ndarray:
    """Check predictions that were handed over: int64 (n,), -1 for numbers below the first class.

    Args:
        predicted: a list or an array.  n: how many images were asked about.

    Raises:
        EvidenceError: another number of them, or not all whole numbers; True is none.
    """
    numbers = predicted.tolist() if isinstance(predicted, np.ndarray) else predicted
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise EvidenceError("the predictions are not a list of whole numbers")
    if len(numbers) != n:
        raise EvidenceError(f"the number of predictions is {len(numbers)}, expected {n}")
    return np.array([min(max(number, -1), _LARGEST) for number in numbers], np.int64)


def share_right(predicted: Any, labels: np.ndarray) -> float:
    """Share of the images whose class was predicted, 0 to 1.

    Args:
        predicted: as handed over, one class number for each label; a number that is no class is
            wrong.
        labels: int (N,), the grader's own.

    Raises:
        EvidenceError: as `class_numbers`.
    """
    return float((class_numbers(predicted, len(labels)) == labels).mean())


def share_right_at_best(predicted: Any, labels: np.ndarray) -> float:
    """The larger share of two, of what `predict_both_ways` said.

    Raises:
        EvidenceError: not two; or as `class_numbers`.
    """
    if not isinstance(predicted, list | tuple) or len(predicted) != 2:
        raise EvidenceError("the predictions are not two lists, as served and as in training")
    return max(share_right(each, labels) for each in predicted)
