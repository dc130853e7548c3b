"""Values that both frameworks return."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LayerGradient:
    """Gradient of the loss with respect to one layer's weights (kernel or matrix, not biases).

    `gradient` and `weight` are Euclidean norms; `relative` is their ratio, which can be compared
    between layers of different size: the update-to-weight ratio of a gradient step of rate 1.
    """

    name: str
    gradient: float
    weight: float

    @property
    def relative(self) -> float:
        return self.gradient / self.weight if self.weight > 0 else 0.0


@dataclass(frozen=True)
class LayerOutput:
    """What one layer gave for a batch: float32 (N, H, W, C) or (N, C), channels last.

    `kind` is the name of the layer's class in its framework.
    """

    name: str
    kind: str
    output: np.ndarray


@dataclass(frozen=True)
class LayerCost:
    """What one layer gives and takes for one image.

    `shape` is (H, W, C) or (C,); `multiply_adds` counts the products of convolutions, matrices and
    attention, each with its addition as one.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class UnitSignals:
    """What the units of one layer with a kernel or a matrix tell the layers after them.

    A unit is a channel of a convolution or one output of a dense layer. Its sum is what it
    computes before its activation.

    Attributes:
        name: of the layer.  kind: name of the layer's class in its framework.
        passed: largest gradient, over the positions of a map, that comes back to the unit's sum
            from what uses it next; float32 (N, U).
        spread: largest difference between two images of the unit's sum at one position, (U,).
        size: largest magnitude of the unit's sum, (U,).
    """

    name: str
    kind: str
    passed: np.ndarray
    spread: np.ndarray
    size: np.ndarray


class UnitTally:
    """Gathers one layer's `UnitSignals`, batch by batch."""

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind
        self.passed: list[np.ndarray] = []
        self.low = np.array(np.inf)
        self.high = np.array(-np.inf)

    def add(self, sums: np.ndarray, gradients: np.ndarray) -> None:
        """One batch's sums and the gradients that come back to them, both (N, ..., U)."""
        places = tuple(range(1, gradients.ndim - 1))
        self.passed.append(np.abs(gradients).max(axis=places))
        self.low = np.minimum(self.low, sums.min(axis=0))
        self.high = np.maximum(self.high, sums.max(axis=0))

    def signals(self) -> UnitSignals:
        """What was gathered."""
        places = tuple(range(self.low.ndim - 1))
        largest = np.maximum(np.abs(self.low), np.abs(self.high))
        with np.errstate(invalid="ignore"):  # the weights may have left the range of numbers
            spread = (self.high - self.low).max(axis=places)
        return UnitSignals(
            self.name,
            self.kind,
            np.concatenate(self.passed).astype(np.float32),
            spread,
            largest.max(axis=places),
        )


@dataclass(frozen=True)
class StateArray:
    """What one array of a model's state is, in the order of `get_state`.

    `layer` is the layer's name, `name` the array's own. `statistic` is True for what a layer
    counts or averages while it is called, and no gradient changes.
    """

    layer: str
    name: str
    statistic: bool


@dataclass(frozen=True)
class Passes:
    """What entered a model while it was trained, told by its calls and by its weights.

    Attributes:
        images: that entered since the weights had last changed, one entry for every step and one
            more for what entered after the last step, if anything did; int (S,).
        largest: images in the largest call, 0 when there was none.
    """

    images: np.ndarray
    largest: int

    @property
    def total(self) -> int:
        """Images that entered, each as often as it did."""
        return int(self.images.sum())

    @property
    def typical(self) -> float:
        """Size of the step that the average image goes through; 0 when none entered.

        A ragged last batch of an epoch hardly counts, as few images go through it.
        """
        return float((self.images**2).sum() / self.total) if self.total else 0.0


@dataclass(frozen=True)
class ReplicaCall:
    """One call of one replica's model, with a gradient to follow.

    Attributes:
        images: numbers of the images that entered, -1 for one that is none of the set, (B,).
        weights: the replica's parameters at that moment, flat, (P,).
    """

    images: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class ReplicaRun:
    """What one replica was seen to do, and the weights of the model it returned.

    `returned` is None for something that is not such a model; `kind` names what it is. `place` is
    the device that its model lives on, where replicas of one process could share one.
    """

    calls: list[ReplicaCall]
    returned: np.ndarray | None
    kind: str
    place: str = ""


@dataclass(frozen=True)
class ReplicaEvaluation:
    """What one process said about a model, and what it did for it.

    Attributes:
        value: what the learner's function returned, NaN for something that is no number.
        entered: images that went through each replica of this process.
        waits: how often the host asked for the value of a tensor.
    """

    value: float
    entered: list[int]
    waits: int


@dataclass(frozen=True)
class PlacedRun:
    """What a training did that was told to use a device that is not the usual one.

    Attributes:
        entered: images that went through its models.
        there: those of them that met parameters, and in PyTorch came, on that device.
        waits: how often the host asked for the value of a tensor.
    """

    entered: int
    there: int
    waits: int


def number_or_nan(value: Any) -> float:
    """A number as a float, whatever holds it; NaN for something that is none."""
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):  # a tensor of two values, 10**400
        return math.nan
