"""Values that both frameworks return."""

from __future__ import annotations

from dataclasses import dataclass


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
