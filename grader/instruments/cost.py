"""What a network pays for: parameters are stored, multiply-adds computed, operations started."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import HATCH, OTHER, SICK, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Sides of the square maps on which a layer's operations are counted, in pixels.
SIDES = (4, 6, 8, 12)

#: Calls with which two layers are compared: height and width of the maps, height and width of the
#: kernel, stride, padding. Odd and even sides, strides that do not divide, kernels that are no
#: squares.
CALLS = ((5, 7, 3, 3, 1, 1), (8, 8, 3, 3, 2, 1), (8, 5, 5, 3, 2, 2), (10, 7, 3, 1, 3, 0))


@dataclass(frozen=True)
class Costs:
    """The layers of one model that multiply, in the order of their calls, for one image.

    Attributes:
        layers: what each is and gives, such as "Conv2d, 16 x 16 x 12", (L,).
        parameters: that each holds, (L,).
        multiply_adds: that each computes, (L,).
        all_parameters: of the whole model, those of layers that do not multiply included.
        all_multiply_adds: of the whole model, those outside of layers included.
    """

    layers: tuple[str, ...]
    parameters: np.ndarray
    multiply_adds: np.ndarray
    all_parameters: int
    all_multiply_adds: int

    @property
    def shares(self) -> np.ndarray:
        """Share of the model's multiply-adds that each layer computes, (L,)."""
        return self.multiply_adds / max(self.all_multiply_adds, 1)

    @property
    def parameter_shares(self) -> np.ndarray:
        """Share of the model's parameters that each layer holds, (L,)."""
        return self.parameters / max(self.all_parameters, 1)

    @property
    def hottest(self) -> int:
        """Which layer computes most; the first one is 0."""
        return int(self.multiply_adds.argmax())

    @property
    def heaviest(self) -> int:
        """Which layer holds most parameters; the first one is 0."""
        return int(self.parameters.argmax())

    @property
    def hot_share(self) -> float:
        """Share of the multiply-adds in the layer that computes most; NaN when none does."""
        return float(self.shares.max()) if self.layers else math.nan


def measure_costs(fw: Any, model: Any, x: Any) -> Costs:
    """Count on any model by calling it; no layer is asked for its settings.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: left as it was.
        x: what the model eats, first axis N; the first one is used.
    """
    rows = [cost for cost in fw.layer_costs(model, x) if cost.multiply_adds]
    return Costs(
        tuple(f"{row.kind}, {' x '.join(str(n) for n in row.shape)}" for row in rows),
        np.array([row.parameters for row in rows], dtype=np.int64),
        np.array([row.multiply_adds for row in rows], dtype=np.int64),
        fw.parameter_count(model),
        fw.multiply_adds(model, x),
    )


def costs_as_text(costs: Costs) -> str:
    """The table as lines of fixed width, for printing."""
    lines = [f"{'':4s}{'layer and what it gives':34s}{'parameters':>12s}{'multiply-adds':>15s}"]
    rows = zip(costs.layers, costs.parameters, costs.multiply_adds, strict=True)
    for number, (layer, parameters, multiply_adds) in enumerate(rows, 1):
        lines.append(f"{number:<4d}{layer[:33]:34s}{parameters:12,d}{multiply_adds:15,d}")
    lines.append(
        f"{'':4s}{'whole model':34s}{costs.all_parameters:12,d}{costs.all_multiply_adds:15,d}"
    )
    return "\n".join(lines)


def draw_costs(models: Mapping[str, Costs]) -> Figure:
    """Share of parameters and of multiply-adds, layer by layer; a panel for each model.

    Args:
        models: by name; "sick" and "repaired" have their usual looks.
    """
    layers = max(len(costs.layers) for costs in models.values())
    with style():
        figure, axes = new_figure(
            len(models), width=4.2 + 4.8 * len(models), height=1.5 + 0.6 * max(layers, 2)
        )
        for ax, (name, costs) in zip(np.atleast_1d(axes), models.items(), strict=True):
            _draw_shares(ax, name, costs)
    return figure


def _draw_shares(ax: Axes, name: str, costs: Costs) -> None:
    look = look_of(name)
    place = np.arange(len(costs.layers))
    bars = (
        ("parameters", costs.parameter_shares, -0.2, "white", HATCH["sick"]),
        ("multiply-adds", costs.shares, 0.2, look["color"], ""),
    )
    for label, shares, offset, colour, hatch in bars:
        ax.barh(
            place + offset, 100 * shares, 0.36, label=label, color=colour, hatch=hatch,
            edgecolor=look["color"],
        )  # fmt: skip
        for at, share in zip(place, shares, strict=True):
            text = f"{100 * share:.0f} %" if share >= 0.01 else "below 1 %"
            ax.annotate(
                text, (100 * share, at + offset), (4, 0), textcoords="offset points", va="center"
            )
    ax.set_yticks(place, [f"{n}  {layer}" for n, layer in enumerate(costs.layers, 1)])
    ax.invert_yaxis()
    ax.set_xlim(0, 118)
    ax.set_xlabel("share of the whole model, percent")
    ax.set_title(
        f"{name}: {costs.all_parameters:,d} parameters,\n"
        f"{costs.all_multiply_adds:,d} multiply-adds an image",
        fontsize=11,
    )
    ax.grid(visible=False, axis="y")
    ax.legend(frameon=False, loc="lower right")


def say_costs(costs: Costs) -> str:
    """The reading in words: where the parameters are, and where the multiply-adds."""
    if not costs.layers:
        return "No layer of this model multiplies."
    hot, heavy = costs.hottest, costs.heaviest
    text = (
        f"One image costs {costs.all_multiply_adds:,d} multiply-adds. Layer {hot + 1} "
        f"({costs.layers[hot]}) computes {100 * costs.hot_share:.1f} % of them with "
        f"{100 * costs.parameter_shares[hot]:.1f} % of the parameters"
    )
    if hot == heavy:
        return f"{text}; no layer holds more."
    return (
        f"{text}. Layer {heavy + 1} ({costs.layers[heavy]}) holds "
        f"{100 * costs.parameter_shares[heavy]:.1f} % of the parameters and computes "
        f"{100 * costs.shares[heavy]:.1f} % of the multiply-adds."
    )


# ---- operations ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operations:
    """How many of the framework's operations one call of a layer executes.

    Attributes:
        positions: of the map that the layer gives, (S,), rising.
        operations: executed for that map, (S,).
    """

    positions: np.ndarray
    operations: np.ndarray

    @property
    def growth(self) -> float:
        """Operations on the largest map, times those on the smallest; 1 where both are none."""
        first, last = int(self.operations[0]), int(self.operations[-1])
        if first == last:
            return 1.0
        return last / first if first else math.inf


def measure_operations(
    fw: Any, layer: Callable[..., Any], sides: Sequence[int] = SIDES
) -> Operations:
    """Count what a function `layer(x, weight, stride, padding)` executes on maps of several sizes.

    Kernels 3x3, stride 1, padding 1: the layer gives as many positions as it gets.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        sides: of the square maps, in pixels, rising.
    """
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((3, 3, 2, 4)).astype(np.float32)
    counts = [
        fw.layer_operations(
            layer, generator.standard_normal((2, side, side, 2)).astype(np.float32), weight, 1, 1
        )
        for side in sides
    ]
    return Operations(np.array(sides) ** 2, np.array(counts))


def draw_operations(layers: Mapping[str, Operations]) -> Figure:
    """Executed operations against positions of the map, both axes logarithmic; a line each.

    Args:
        layers: by name; "sick" and "repaired" have their usual looks.
    """
    with style():
        figure, ax = new_figure(width=7.5, height=3.8)
        for name, counted in layers.items():
            look = look_of(name)
            ax.plot(counted.positions, np.maximum(counted.operations, 0.8), label=name, **look)
            ax.annotate(
                f"{name}: {counted.operations[-1]}",
                (counted.positions[-1], max(counted.operations[-1], 0.8)),
                (8, 0),
                textcoords="offset points",
                va="center",
            )
        ax.set_xscale("log")
        ax.set_yscale("log")
        positions = next(iter(layers.values())).positions
        ax.set_xticks(positions, [str(n) for n in positions])
        ax.minorticks_off()
        ax.set_xlim(positions[0] * 0.8, positions[-1] * 2.6)
        ax.set_ylim(0.7, 2 * max(1, *(counted.operations.max() for counted in layers.values())))
        ax.set_xlabel("positions of the map that the layer gives")
        ax.set_ylabel("operations executed")
    return figure


def say_operations(counted: Operations) -> str:
    """The reading in words: from the smallest map to the largest."""
    few, many = counted.positions[0], counted.positions[-1]
    text = (
        f"One call executes {counted.operations[0]} operations for {few} positions and "
        f"{counted.operations[-1]} for {many}"
    )
    if counted.growth == 1:
        return f"{text}: their number does not depend on the map."
    return f"{text}: {counted.growth:.1f} times as many for {many / few:.0f} times the positions."


# ---- agreement -----------------------------------------------------------------------------------


def measure_agreement(
    fw: Any, layer: Callable[..., Any], other: Callable[..., Any], dtype: str
) -> tuple[float, float, float]:
    """How far two functions `layer(x, weight, stride, padding)` are apart, over `CALLS`.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        dtype: of maps and weights, "float32" or "float64".

    Returns:
        Largest difference over the largest value: of the outputs, of the gradients of the maps, of
        the gradients of the weights. Infinite where one is missing, not finite or of another shape.
    """
    generator = np.random.default_rng(0)
    worst = dict.fromkeys(("output", "x", "weight"), 0.0)
    for height, width, rows, columns, stride, padding in CALLS:
        down = (height + 2 * padding - rows) // stride + 1
        across = (width + 2 * padding - columns) // stride + 1
        shapes = (2, height, width, 3), (rows, columns, 3, 4), (2, down, across, 4)
        x, weight, towards = (generator.standard_normal(shape).astype(dtype) for shape in shapes)
        one, two = (
            fw.layer_trial(function, x, weight, towards, stride, padding)
            for function in (layer, other)
        )
        worst = {name: max(far, _apart(one[name], two[name])) for name, far in worst.items()}
    return worst["output"], worst["x"], worst["weight"]


def _apart(values: np.ndarray | None, others: np.ndarray | None) -> float:
    if values is None or others is None or values.shape != others.shape:
        return math.inf
    apart = np.abs(values - others).max() / np.abs(others).max()
    return float(apart) if np.isfinite(apart) else math.inf


# ---- time ----------------------------------------------------------------------------------------


def draw_times(rows: Mapping[str, tuple[float, float]]) -> Figure:
    """How many times cheaper, counted and clocked, beside one another; a logarithmic axis.

    Args:
        rows: by name: how many times fewer multiply-adds, and how many times less time.
    """
    place = np.arange(len(rows))
    bars = (
        ("multiply-adds, times fewer", 0, -0.2, "white", HATCH["sick"], SICK),
        ("time, times less", 1, 0.2, OTHER["color"], "", OTHER),
    )
    with style():
        figure, ax = new_figure(width=8.5, height=2.1 + 0.6 * len(rows))
        for label, column, offset, colour, hatch, look in bars:
            values = [row[column] for row in rows.values()]
            ax.barh(
                place + offset, values, 0.36, label=label, color=colour, hatch=hatch,
                edgecolor=look["color"],
            )  # fmt: skip
            for at, value in zip(place, values, strict=True):
                ax.annotate(
                    f"{value:.1f}", (value, at + offset), (4, 0), textcoords="offset points",
                    va="center",
                )  # fmt: skip
        everything = [value for row in rows.values() for value in row]
        left, right = 0.8 * min(1.0, *everything), 1.3 * max(1.0, *everything)
        ax.set_xscale("log")
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if left <= t <= right]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set_xlim(left, right)
        ax.set_xlabel("how many times cheaper; 1 is as dear as before")
        ax.axvline(1, color="black", linewidth=1)
        ax.set_yticks(place, list(rows))
        ax.invert_yaxis()
        ax.grid(visible=False, axis="y")
        ax.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    return figure
