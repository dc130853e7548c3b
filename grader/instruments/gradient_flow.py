"""How far does the gradient get? The gradient of every layer, relative to its own weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import HATCH, SICK, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


#: What is reported instead of infinity when a layer gets no gradient at all. float32 ends near
#: 1e-45, so no ratio of two gradients that arrived is that large.
NOTHING_ARRIVES = 50.0


@dataclass(frozen=True)
class GradientFlow:
    """Gradients of one batch, layer by layer, from the input side to the output.

    Attributes:
        names: of the layers with a kernel or a matrix, (L,).
        gradients: Euclidean norm of the loss's gradient with respect to the layer's weights, (L,).
        weights: Euclidean norm of those weights, (L,).
    """

    names: tuple[str, ...]
    gradients: np.ndarray
    weights: np.ndarray

    @property
    def relative(self) -> np.ndarray:
        """Gradient over weights, (L,): how much of a layer one step of learning rate 1 changes.

        Comparable between layers of different size; 0 for a layer whose weights are all zero.
        """
        return np.divide(
            self.gradients,
            self.weights,
            out=np.zeros(len(self.names)),
            where=self.weights > 0,
        )

    @property
    def lost(self) -> float:
        """Powers of ten between the strongest and the weakest layer, every layer counted.

        `NOTHING_ARRIVES` when a layer's gradient is exactly zero, NaN when one is not finite.
        """
        return powers_of_ten(self.relative)

    @property
    def lost_on_the_way(self) -> float:
        """The same, without the layers whose gradient is exactly zero.

        For the moment before the first step: a residual branch that starts at zero on purpose
        (Goyal et al. 2017, section 5.1) passes nothing back until its scale has moved.
        """
        relative = self.relative
        return powers_of_ten(relative[relative != 0])

    @property
    def silent(self) -> int:
        """Number of layers whose gradient is exactly zero."""
        return int((self.gradients == 0).sum())


def powers_of_ten(values: np.ndarray) -> float:
    """log10 of the largest value over the smallest.

    `NOTHING_ARRIVES` when one of them is zero or there is none, NaN when one is not finite.
    """
    if not np.isfinite(values).all():
        return math.nan
    if not len(values) or values.min() <= 0:
        return NOTHING_ARRIVES
    return float(np.log10(values.max()) - np.log10(values.min()))


def measure_gradient_flow(fw: Any, model: Any, x: Any, y: np.ndarray) -> GradientFlow:
    """Measure one batch in training mode; layers that are frozen are measured too.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: maps x to logits (N, K); left as it was.
        x: what the model eats, first axis N.  y: int labels (N,).

    Raises:
        ValueError: a model without a kernel or a matrix.
    """
    layers = fw.layer_gradients(model, x, y)
    if not layers:
        raise ValueError("the model has no layer with a kernel or a matrix")
    return GradientFlow(
        names=tuple(layer.name for layer in layers),
        gradients=np.array([layer.gradient for layer in layers], dtype=np.float64),
        weights=np.array([layer.weight for layer in layers], dtype=np.float64),
    )


def measure_movement(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> np.ndarray:
    """How much training changed each kernel or matrix, relative to what it was, (L,).

    Args:
        before, after: what an adapter's `get_state` returned; arrays of fewer than two axes
            (biases, statistics) are left out.

    Returns:
        Norm of the change over the norm before, in the order of the state; infinite for weights
        that were all zero and no longer are.
    """
    shares = []
    for old, new in zip(before, after, strict=True):
        if old.ndim >= 2:
            change = float(np.linalg.norm(new.astype(np.float64) - old))
            size = float(np.linalg.norm(old.astype(np.float64)))
            shares.append(change / size if size > 0 else (math.inf if change > 0 else 0.0))
    return np.array(shares)


def draw_gradient_flow(
    flows: Mapping[str, GradientFlow], losses: Mapping[str, Sequence[float]], classes: int
) -> Figure:
    """Relative gradient of every layer, a panel a model, then the losses of training.

    Args:
        flows: by name; "sick" and "repaired" have their usual looks. The panels share their axis.
        losses: mean loss of every epoch, in nats, by the same names.
        classes: number of classes K, for the line of guessing, ln K.
    """
    with style():
        figure, axes = new_figure(len(flows) + 1, width=4.6 * (len(flows) + 1), height=3.6)
        arriving = np.concatenate([flow.relative for flow in flows.values()])
        arriving = arriving[np.isfinite(arriving) & (arriving > 0)]
        low, high = (arriving.min(), arriving.max()) if len(arriving) else (1e-9, 1.0)
        limits = (10 ** math.floor(math.log10(low) - 0.3), 10 ** math.ceil(math.log10(high) + 0.3))
        for ax, (name, flow) in zip(axes, flows.items(), strict=False):
            _draw_layers(ax, name, flow, limits)
        _draw_losses(axes[-1], losses, classes)
    return figure


def _draw_layers(ax: Axes, name: str, flow: GradientFlow, limits: tuple[float, float]) -> None:
    relative = flow.relative
    shown = np.where(np.isfinite(relative) & (relative > 0), relative, limits[0])
    position = np.arange(1, len(relative) + 1)
    ax.bar(
        position,
        shown - limits[0],
        bottom=limits[0],
        color="white",
        edgecolor=look_of(name)["color"],
        hatch=HATCH.get(name, HATCH["other"]),
    )
    ax.set_yscale("log")
    ax.set_ylim(*limits)
    for place in position[~(np.isfinite(relative) & (relative > 0))]:
        ax.annotate("0", (place, limits[0]), (0, 3), textcoords="offset points", ha="center")
    ax.set_xlabel("layer (1 sees the image, the last gives logits)")
    ax.set_ylabel("norm of gradient / norm of weights")
    ax.set_title(f"{name}: {_in_powers(flow.lost)} lost", fontsize=11)


def _draw_losses(ax: Axes, losses: Mapping[str, Sequence[float]], classes: int) -> None:
    guessing = math.log(classes)
    ax.axhline(guessing, color="black", linewidth=1)
    longest = max(len(values) for values in losses.values())
    for name, values in losses.items():
        ax.plot(np.arange(1, len(values) + 1), values, markersize=5, **look_of(name))
        ax.annotate(
            name, (len(values), values[-1]), (8, 0), textcoords="offset points", va="center"
        )
    ax.set_xlim(0, 1.3 * longest)
    ax.annotate(
        f"guessing, ln {classes} = {guessing:.2f}",
        (0, guessing),
        (4, 7),
        textcoords="offset points",
    )
    highest = max([guessing, *(v for values in losses.values() for v in values if v < 1e3)])
    ax.set_ylim(0, 1.2 * highest)
    ax.set_xlabel("epoch")
    ax.set_ylabel("training loss (nats)")
    ax.set_title("loss of every epoch", fontsize=11)


def draw_depths(first: Mapping[int, float], factor: float) -> Figure:
    """Relative gradient of the first layer against the number of convolutions behind one another.

    Args:
        first: relative gradient of the first layer, by number of convolutions.
        factor: what a layer should pass on; drawn as a line from the first point on.
    """
    depths = np.array(sorted(first))
    measured = np.array([first[d] for d in depths])
    expected = measured[0] * factor ** (depths - depths[0])
    with style():
        figure, ax = new_figure(width=6.5)
        ax.plot(depths, expected, color="black", linewidth=1)
        ax.annotate(
            f"calculated: times {factor:.2f} a layer",
            (depths[len(depths) // 2], expected[len(depths) // 2]),
            (-14, -4),
            textcoords="offset points",
            ha="right",
            va="top",
        )
        ax.plot(depths, measured, **SICK)
        ax.annotate(
            "measured", (depths[0], measured[0]), (10, 2), textcoords="offset points", va="center"
        )
        ax.set_yscale("log")
        ax.set_xticks(depths)
        ax.set_xlabel("convolutions behind one another")
        ax.set_ylabel("first layer: gradient / weights")
    return figure


def say_depths(first: Mapping[int, float]) -> str:
    """The reading of the depths in words: what each added layer costs."""
    shallow, deep = min(first), max(first)
    each = (first[deep] / first[shallow]) ** (1 / (deep - shallow))
    return (
        f"From {shallow} to {deep} convolutions the relative gradient of the first layer falls "
        f"from {first[shallow]:.2g} to {first[deep]:.2g}: each added layer multiplies it by "
        f"{each:.2f}."
    )


def say_gradient_flow(flow: GradientFlow) -> str:
    """The reading in words: the weakest and the strongest layer, and what lies between them."""
    relative = flow.relative
    if not np.isfinite(relative).all():
        broken = int((~np.isfinite(relative)).sum())
        return f"The gradient of {broken} of {len(relative)} layers is not a finite number."
    weakest, strongest = int(relative.argmin()), int(relative.argmax())
    return (
        f"One step of learning rate 1 would change layer {weakest + 1} of {len(relative)} by "
        f"{relative[weakest]:.2g} of its weights and layer {strongest + 1} by "
        f"{relative[strongest]:.2g}: {_in_powers(flow.lost)} lost on the way."
    )


def _in_powers(lost: float) -> str:
    if math.isnan(lost):
        return "a gradient that is not finite,"
    if lost >= NOTHING_ARRIVES:
        return "everything"
    return f"{lost:.1f} powers of ten"
