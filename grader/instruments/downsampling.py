"""Downsampling: how small the maps become, what still meets a pixel, what can still be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import HATCH, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A tap whose gradient is this much smaller than its kernel's largest meets no pixel. Exact zeros
# come out as rounding noise where a convolution is computed by a transform.
_NOISE = 1e-6


@dataclass(frozen=True)
class KernelUse:
    """How many positions of one convolution's window ever lie on the map.

    Attributes:
        name: of the layer.
        side: of the map it gives, in positions; 0 where the kernel belongs to no simple layer.
        taps: positions of the window, 9 for 3x3.
        idle: positions that lie outside the map, on padding, wherever the window stands.
        weights: that the kernel holds.
    """

    name: str
    side: int
    taps: int
    idle: int
    weights: int

    @property
    def idle_weights(self) -> int:
        """Weights that are multiplied by padding only."""
        return self.weights * self.idle // self.taps


@dataclass(frozen=True)
class Downsampling:
    """The kernels of a model, in the order of the calls.

    Attributes:
        parameters: of the whole model, those outside of convolutions included.
    """

    kernels: tuple[KernelUse, ...]
    parameters: int

    @property
    def idle(self) -> float:
        """Share of the model's parameters that are multiplied by padding only, 0 to 1."""
        return sum(kernel.idle_weights for kernel in self.kernels) / max(self.parameters, 1)

    @property
    def last_side(self) -> int:
        """Side of the map that the last convolution gives, in positions; 0 without one."""
        return self.kernels[-1].side if self.kernels else 0


@dataclass(frozen=True)
class Stage:
    """What a linear readout gets from the last layer before the map becomes smaller.

    Attributes:
        name: of that layer; "image" for the input.
        side: of its map, in positions.
        values: numbers in the map.
        accuracy: of the readout on images that it was not fitted to, 0 to 1.
    """

    name: str
    side: int
    values: int
    accuracy: float


def measure_downsampling(fw: Any, model: Any, x: Any, labels: np.ndarray) -> Downsampling:
    """Measure which weights of a model can meet a pixel; nothing is trained.

    A weight that is always multiplied by the zeros around the map has a gradient of exactly zero.
    So has every weight of a branch that is switched off at the start; a kernel without any
    gradient therefore counts as used, and only single positions of a window count as idle.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: maps x to logits (N, K); left as it was.
        x: what the model eats, images.  labels: (N,).
    """
    sides = {
        cost.name: max(cost.shape[:2]) for cost in fw.layer_costs(model, x) if len(cost.shape) == 3
    }
    order = {name: position for position, name in enumerate(sides)}
    kernels = [
        KernelUse(name, sides.get(name, 0), *_idle_taps(gradient), int(gradient.size))
        for name, gradient in fw.kernel_gradients(model, x, labels)
    ]
    kernels.sort(key=lambda kernel: order.get(kernel.name, len(order)))
    return Downsampling(tuple(kernels), int(fw.parameter_count(model)))


def _idle_taps(gradient: np.ndarray) -> tuple[int, int]:
    """Positions of the window, and those without gradient, of (height, width, inputs, outputs)."""
    each = np.abs(gradient).max(axis=(2, 3))
    return each.size, int((each <= _NOISE * each.max()).sum()) if each.max() > 0 else 0


def measure_stages(
    fw: Any,
    model: Any,
    x: Any,
    labels: np.ndarray,
    x_held: Any,
    labels_held: np.ndarray,
    *,
    last_only: bool = False,
) -> tuple[Stage, ...]:
    """Read the labels linearly off the image, and off the last layer at every side of the map.

    Args:
        model: left as it was.
        x, labels: what the readout is fitted to; some hundred images.
        x_held, labels_held: what its accuracy is measured on.
        last_only: leave out what lies between the image and the last map.

    Returns:
        From the image to the last map on which the model computes; what averages that map, or
        flattens it, comes behind.
    """
    stages = _maps(fw, model, x, x_held)
    if last_only and len(stages) > 2:
        stages = [stages[0], stages[-1]]
    return tuple(
        Stage(name, side, a[0].size, linear_readout(a, labels, b, labels_held))
        for name, side, a, b in stages
    )


def read_last_map(
    fw: Any, model: Any, x: Any, labels: np.ndarray, x_held: Any, classes: int
) -> tuple[int, np.ndarray]:
    """What can be read linearly off the last map on which the model computes.

    Returns:
        Side of that map, 0 where the model computes on none and the image itself is read; classes
        read off the held-out images, int (M,).
    """
    maps = _maps(fw, model, x, x_held)
    _, side, a, b = maps[-1]
    return side if len(maps) > 1 else 0, _read_linearly(a, labels, b, classes)


def _maps(
    fw: Any, model: Any, x: Any, x_held: Any
) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
    """The image, and the last layer at every side of the map: name, side, values of both sets."""
    costs = fw.layer_costs(model, x)
    outputs = fw.layer_outputs(model, x)
    held = fw.layer_outputs(model, x_held)
    image, image_held = fw.as_images(x), fw.as_images(x_held)
    stages = [("image", image.shape[1], image, image_held)]
    computes = [i for i, c in enumerate(costs) if len(c.shape) == 3 and c.multiply_adds]
    for i, (cost, a, b) in enumerate(zip(costs, outputs, held, strict=True)):
        if len(cost.shape) != 3 or not computes:
            continue
        side = max(cost.shape[:2])
        if i > computes[-1] and side != stages[-1][1]:
            break
        if len(stages) > 1 and side == stages[-1][1]:
            stages.pop()
        stages.append((a.name, side, a.output, b.output))
    return stages


def linear_readout(
    values: np.ndarray, labels: np.ndarray, held: np.ndarray, labels_held: np.ndarray
) -> float:
    """Accuracy of a ridge classifier on held-out images, 0 to 1: a linear probe.

    G. Alain and Y. Bengio, "Understanding intermediate layers using linear classifier probes",
    2016. The regression is solved between the images, not between the values, of which a map can
    have thousands.

    Args:
        values, held: float (N, ...), (M, ...).  labels, labels_held: int (N,), (M,).
    """
    classes = int(max(labels.max(), labels_held.max())) + 1
    return float((_read_linearly(values, labels, held, classes) == labels_held).mean())


def _read_linearly(
    values: np.ndarray, labels: np.ndarray, held: np.ndarray, classes: int
) -> np.ndarray:
    a, b = (v.reshape(len(v), -1).astype(np.float64) for v in (values, held))
    centre, spread = a.mean(axis=0), a.std()
    a, b = (a - centre) / (spread or 1), (b - centre) / (spread or 1)
    wanted = np.eye(classes)[labels] - np.eye(classes)[labels].mean(axis=0)
    products = a @ a.T
    products[np.diag_indices(len(a))] += 0.3 * np.trace(products) / len(a) + 1e-9
    weights = np.linalg.solve(products, wanted)
    scores = b @ (a.T @ weights)
    return np.asarray(scores.argmax(axis=1))


def draw_downsampling(
    models: Mapping[str, Downsampling],
    stages: Mapping[str, tuple[Stage, ...]],
    classes: int,
) -> Figure:
    """Side of the map and what can be read off it, stage by stage; then the idle weights.

    Args:
        models: by name; "sick" and "repaired" have their usual looks.
        stages: by any names; the same looks.
        classes: K, for the line of guessing.
    """
    with style():
        figure, axes = new_figure(1 + len(models), width=4.9 * (1 + len(models)), height=3.9)
        _draw_stages(axes[0], stages, classes)
        for ax, (name, model) in zip(axes[1:], models.items(), strict=True):
            _draw_kernels(ax, name, model)
    return figure


def _draw_stages(ax: Axes, stages: Mapping[str, tuple[Stage, ...]], classes: int) -> None:
    for name, row in stages.items():
        position = np.arange(len(row))
        look = look_of(name.split(",")[0])
        look = {**look, "linestyle": ":"} if "before" in name else look
        ax.plot(position, [100 * stage.accuracy for stage in row], label=name, **look)
        above = name != next(iter(stages)) or len(stages) == 1
        for place, stage in zip(position, row, strict=True):
            ax.annotate(
                str(stage.side),
                (place, 100 * stage.accuracy),
                (0, 8 if above else -16),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )
    ax.axhline(100 / classes, color="black", linewidth=1)
    longest = max(len(row) for row in stages.values())
    ax.annotate("guessing", (0.5, 100 / classes), (0, -13), textcoords="offset points", ha="center")
    ax.set_xlim(-0.4, longest - 0.4)
    ax.set_xticks(range(longest), ["image", *(str(i) for i in range(1, longest))])
    ax.set_ylim(0, 108)
    ax.set_xlabel("stage (numbers at the line: side of the map)")
    ax.set_ylabel("right on unseen images (%)")
    ax.set_title("read linearly off each stage", fontsize=11)
    ax.legend(frameon=False, loc="upper left")


def _draw_kernels(ax: Axes, name: str, model: Downsampling) -> None:
    position = np.arange(1, len(model.kernels) + 1)
    weights = np.array([kernel.weights for kernel in model.kernels]) / 1000
    idle = np.array([kernel.idle_weights for kernel in model.kernels]) / 1000
    colour = look_of(name)["color"]
    ax.bar(position, weights, color="white", edgecolor="black", label="meet a pixel")
    ax.bar(
        position,
        idle,
        color=colour,
        edgecolor="black",
        hatch=HATCH["sick"],
        label="meet padding only",
    )
    for place, height, kernel in zip(position, weights, model.kernels, strict=True):
        ax.annotate(
            str(kernel.side) if kernel.side else "-",
            (place, height),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    ax.set_ylim(0, 1.15 * max(weights.max(initial=0), 1e-3))
    ax.set_xlabel("convolution (number on top: side of its map)")
    ax.set_ylabel("weights (thousands)")
    ax.set_title(f"{name}: {100 * model.idle:.0f} % of the weights idle", fontsize=11)
    ax.legend(frameon=False, loc="upper left")


def say_downsampling(model: Downsampling) -> str:
    """The reading in words: the last map, and the weights that never meet a pixel."""
    if not model.kernels:
        return "The model has no convolution."
    side = model.last_side
    maps = f"The last convolution gives a map of {side} x {side} positions. " if side else ""
    return (
        f"{maps}{100 * model.idle:.1f} % of the model's {model.parameters:,d} parameters are "
        "multiplied by nothing but padding."
    )


def say_stages(stages: tuple[Stage, ...]) -> str:
    """The reading of the stages in words: sides and accuracies, from the image on."""
    steps = ", ".join(f"{stage.accuracy:.0%} at {stage.side}" for stage in stages[1:])
    return (
        f"A linear readout is right on {stages[0].accuracy:.0%} of unseen images from the pixels; "
        f"from the maps, by their side: {steps}."
    )
