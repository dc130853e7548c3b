"""Values that both frameworks return."""

from __future__ import annotations

from dataclasses import dataclass

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
