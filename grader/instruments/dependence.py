"""Which samples of a batch a sample's loss depends on: the gradient probe.

The probe is A. Karpathy's ("A Recipe for Training Neural Networks", 2019: "use backprop to chart
dependencies"): a loss of sample i alone has a gradient with respect to sample i alone, unless
something on the way mixes the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from grader.instruments.style import SICK, new_figure, style


@dataclass(frozen=True)
class Dependence:
    """Gradient norms, float64 (N, N): row i, column j is |d loss_i / d x_j|."""

    gradient: np.ndarray

    @property
    def foreign(self) -> int:
        """Pairs of different samples in which one's loss depends on the other's input."""
        n = len(self.gradient)
        return int(np.count_nonzero(self.gradient[~np.eye(n, dtype=bool)]))

    @property
    def pairs(self) -> int:
        """Pairs of different samples."""
        return len(self.gradient) * (len(self.gradient) - 1)

    @property
    def own(self) -> int:
        """Samples whose loss depends on their own input."""
        return int(np.count_nonzero(np.diag(self.gradient)))


def measure_dependence(
    fw: ModuleType, logits_of: Callable[..., Any], x: Any, y: np.ndarray
) -> Dependence:
    """Probe a program that maps a batch x to logits, on a small batch with its labels.

    Raises:
        ValueError: fewer than two samples, or another number of labels.
    """
    if len(x) < 2 or len(x) != len(y):
        raise ValueError(f"{len(x)} samples with {len(y)} labels are no batch to probe")
    return Dependence(fw.batch_dependence(logits_of, x, np.asarray(y)))


def draw_dependence(dependences: Mapping[str, Dependence]) -> Figure:
    """One square of squares for every program: dark where a loss depends on an input.

    The area of a mark grows with the gradient; marks off the diagonal are hatched.
    """
    with style():
        figure, axes = new_figure(len(dependences), width=3.9 * len(dependences), height=4.0)
        for ax, (name, dependence) in zip(np.atleast_1d(axes), dependences.items(), strict=True):
            gradient = dependence.gradient
            n = len(gradient)
            top = float(gradient.max()) or 1.0
            for i, j in zip(*np.nonzero(gradient), strict=True):
                side = 0.25 + 0.65 * (gradient[i, j] / top) ** 0.5
                own = i == j
                ax.add_patch(
                    Rectangle(
                        (j - side / 2, i - side / 2),
                        side,
                        side,
                        facecolor="black" if own else "white",
                        edgecolor="black" if own else SICK["color"],
                        hatch="" if own else "////",
                    )
                )
            ax.set_xlim(-0.6, n - 0.4)
            ax.set_ylim(n - 0.4, -0.6)
            ax.set_aspect("equal")
            ax.set_xticks(range(n))
            ax.set_yticks(range(n))
            ax.set_xlabel("input of image j")
            ax.set_ylabel("loss of image i")
            ax.set_title(
                f"{name}\n{dependence.foreign} of {dependence.pairs} pairs see each other",
                fontsize=11,
            )
    return figure


def say_dependence(dependence: Dependence) -> str:
    """The reading in words: foreign pairs, own inputs."""
    n = len(dependence.gradient)
    return (
        f"In {dependence.foreign} of {dependence.pairs} pairs of different images one image's loss "
        f"has a gradient with respect to the other's pixels; {dependence.own} of {n} losses depend "
        "on their own image."
    )
