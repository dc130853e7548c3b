"""Which units tell the next layer nothing? Dead, constant and saturated units of any model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import HATCH, OTHER, SICK, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAINT = 1e-7
"""A gradient that counts as none, for weightings of size 1: what float32 cannot tell from none
beside 1."""
ALIKE = 1e-5
"""Difference between images that counts as none, as a share of the layer's largest sum."""
DECADES = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)
"""Lower edges of the classes in which slopes are counted, as shares of the layer's steepest."""
SHOWN = 64
"""Units of a layer that a map shows at most."""


@dataclass(frozen=True)
class LayerUnits:
    """The units of one layer: channels of a convolution, or outputs of a dense layer.

    Attributes:
        name, kind: of the layer, and of its class.
        passes: largest gradient that came back to each unit's sum, over all images, (U,).
        open: share of the images for which a gradient came back at all, (U,).
        differs: largest difference of the unit's sum between two images, as a share of the layer's
            largest sum, (U,).
        slopes: share of all pairs of an image and a unit in each class of `DECADES`, (5,): how
            steep the activation is there, relative to the steepest in the layer.
    """

    name: str
    kind: str
    passes: np.ndarray
    open: np.ndarray
    differs: np.ndarray
    slopes: np.ndarray

    @property
    def dead(self) -> np.ndarray:
        """True for units from which nothing reaches the next layer, for no image; bool (U,)."""
        return ~(self.passes > FAINT)

    @property
    def constant(self) -> np.ndarray:
        """True for units that are not dead and say the same for every image; bool (U,)."""
        return ~self.dead & ~(self.differs > ALIKE)

    @property
    def dead_share(self) -> float:
        """Share of the units that are dead."""
        return float(self.dead.mean())

    @property
    def silent_share(self) -> float:
        """Share of the units that are dead or constant: nothing of the image gets past them."""
        return float((self.dead | self.constant).mean())

    @property
    def saturated(self) -> float:
        """Share of pairs of an image and a unit whose slope is below a thousandth of the steepest.

        For a ReLU that is where it is off; for a sigmoid, where it is flat.
        """
        return float(self.slopes[:2].sum())


@dataclass(frozen=True)
class DeadUnits:
    """All layers with a kernel or a matrix, in the order of the calls; the last gives the logits.

    Attributes:
        images: number of images they were measured with.
    """

    layers: tuple[LayerUnits, ...]
    images: int

    @property
    def hidden_dead_share(self) -> float:
        """Share of dead units, over the units of all layers but the last."""
        hidden = self.layers[:-1] or self.layers
        return float(np.concatenate([layer.dead for layer in hidden]).mean())

    @property
    def silent_shares(self) -> np.ndarray:
        """Share of dead and constant units of every layer, (L,)."""
        return np.array([layer.silent_share for layer in self.layers])

    @property
    def zero_gradients(self) -> float:
        """Share of pairs of an image and a unit to which no gradient comes back."""
        return float(1 - np.concatenate([layer.open for layer in self.layers]).mean())


def measure_dead_units(fw: Any, model: Any, x: Any, *, training: bool = False) -> DeadUnits:
    """Measure every unit over all of x; the activations may be written in any way.

    A unit counts as dead when no change of its sum, whatever the image, would be noticed by what
    uses it next. Nothing is asked of the activation itself.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: maps x to logits (N, K); left as it was.
        x: what the model eats, first axis N. All of the images: a unit that is silent for a batch
            need not be dead.
        training: measure as in a training step (batch statistics, dropout on).

    Raises:
        ValueError: a model without a kernel or a matrix.
    """
    signals = fw.unit_signals(model, x, training=training)
    if not signals:
        raise ValueError("the model has no layer with a kernel or a matrix")
    return DeadUnits(tuple(_layer(signal) for signal in signals), len(x))


def _layer(signal: Any) -> LayerUnits:
    passed = np.nan_to_num(signal.passed.astype(np.float64), nan=0.0, posinf=np.finfo(float).max)
    passes = passed.max(axis=0)
    largest = float(signal.size.max())
    with np.errstate(invalid="ignore"):
        differs = signal.spread / largest if largest > 0 else np.zeros(len(passes))
    return LayerUnits(
        signal.name,
        signal.kind,
        passes,
        (passed > FAINT).mean(axis=0),
        np.nan_to_num(differs, nan=0.0),
        count_slopes(passed),
    )


def count_slopes(passed: np.ndarray) -> np.ndarray:
    """Share of the values in each class of `DECADES`, relative to the largest value.

    Args:
        passed: not negative, any shape.

    Returns:
        Float (5,), adding up to 1; everything is in the lowest class when all values are zero.
    """
    steepest = passed.max()
    relative = (passed / steepest if steepest > 0 else passed).ravel()
    classes = np.searchsorted(DECADES, relative, side="right") - 1
    return np.bincount(classes, minlength=len(DECADES)) / len(relative)


def draw_dead_units(
    units: Mapping[str, DeadUnits], losses: Mapping[str, Sequence[float]], classes: int
) -> Figure:
    """A map of the units for every entry, then the losses of training.

    Args:
        units: by the title of their map, such as "before training".
        losses: in nats, before training and then of every epoch, by name; "sick" and "repaired"
            have their usual looks.
        classes: number of classes K, for the line of guessing, ln K.
    """
    with style():
        figure, axes = new_figure(len(units) + 1, width=4.3 * (len(units) + 1), height=4.2)
        for ax, (name, measured) in zip(axes, units.items(), strict=False):
            _draw_map(ax, name, measured)
        _draw_losses(axes[-1], losses, classes)
    return figure


_COLUMNS = 4


def _draw_map(ax: Axes, name: str, units: DeadUnits) -> None:
    from matplotlib.patches import Patch, Rectangle

    looks: dict[str, dict[str, Any]] = {
        "alive": {"facecolor": "white", "edgecolor": "#595959"},
        "dead": {"facecolor": "#f3c9a5", "edgecolor": SICK["color"], "hatch": "xxxx"},
        "constant": {"facecolor": "#dddddd", "edgecolor": "#595959", "hatch": "////"},
    }
    rows = 1
    labels = []
    for number, layer in enumerate(units.layers):
        left = number * (_COLUMNS + 1.5)
        shown = np.unique(np.linspace(0, len(layer.dead) - 1, SHOWN).round().astype(int))
        for place, unit in enumerate(shown):
            state = "dead" if layer.dead[unit] else "constant" if layer.constant[unit] else "alive"
            row, column = divmod(place, _COLUMNS)
            rows = max(rows, row + 1)
            corner = (left + column, row)
            ax.add_patch(Rectangle(corner, 0.86, 0.86, linewidth=0.8, **looks[state]))
        count = len(layer.dead)
        labels.append(f"layer {number + 1}\n{int(layer.dead.sum())} of {count}")
    ax.set_xlim(-0.5, len(units.layers) * (_COLUMNS + 1.5) - 1)
    ax.set_ylim(rows + 0.2, -0.4)
    ax.set_xticks([i * (_COLUMNS + 1.5) + _COLUMNS / 2 for i in range(len(labels))], labels)
    ax.tick_params(axis="x", length=0, labelsize=10 if len(labels) <= 5 else 7)
    ax.set_yticks([])
    ax.grid(visible=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.set_title(f"{name}: dead units", fontsize=11)
    ax.legend(
        handles=[Patch(label=state, **look) for state, look in looks.items()],
        loc="lower right",
        fontsize=9,
        framealpha=0.9,
    )


def _draw_losses(ax: Axes, losses: Mapping[str, Sequence[float]], classes: int) -> None:
    guessing = math.log(classes)
    ax.axhline(guessing, color="black", linewidth=1)
    for name, values in losses.items():
        look = {**look_of(name), "linewidth": 1.5}
        ax.plot(np.arange(len(values)), values, markersize=5, **look)
    ax.set_ylim(0, 1.6 * guessing)
    ax.annotate(
        f"guessing, ln {classes} = {guessing:.2f}",
        (0.98, guessing),
        (0, 6),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
    )
    if len(losses) > 1:
        for name in losses:
            ax.plot([], [], label=name, **look_of(name))
        ax.legend(loc="upper right", fontsize=9)
    ax.set_xlabel("epoch (0: before training)")
    ax.set_ylabel("training loss (nats)")
    ax.set_title("loss of every epoch", fontsize=11)


def draw_dead_against_rate(
    rates: Sequence[float], whole: Sequence[float], batch: Sequence[float], batch_size: int
) -> Figure:
    """Share of dead units against the highest learning rate, from all images and from one batch.

    Args:
        rates: highest learning rate of each training.
        whole, batch: share of dead units measured with all images, and with one batch.
        batch_size: images in that batch.
    """
    with style():
        figure, ax = new_figure(width=6.5)
        ax.plot(rates, batch, label=f"read from {batch_size} images", **OTHER)
        ax.plot(rates, whole, label="read from all images", **look_of("repaired"))
        ax.set_xscale("log")
        ax.set_ylim(-0.03, 1.05)
        ax.set_xlabel("highest learning rate of the run")
        ax.set_ylabel("share of hidden units dead")
        ax.legend(loc="upper left", fontsize=9)
    return figure


def say_dead_against_rate(
    rates: Sequence[float], whole: Sequence[float], batch: Sequence[float], batch_size: int
) -> str:
    """The reading of the rates in words."""
    worst = int(np.argmax(np.asarray(batch) - np.asarray(whole)))
    return (
        f"With a highest rate of {rates[0]:g}, {whole[0]:.0%} of the hidden units are dead after "
        f"training, with {rates[-1]:g} {whole[-1]:.0%}. At {rates[worst]:g} a batch of "
        f"{batch_size} images would have said {batch[worst]:.0%} instead of {whole[worst]:.0%}."
    )


def draw_slopes(layers: Mapping[str, LayerUnits]) -> Figure:
    """How steep the activations of a layer are, a group of bars an entry.

    Args:
        layers: by name, such as that of the activation.
    """
    labels = ["below 1/10000", "to 1/1000", "to 1/100", "to 1/10", "above"]
    hatches = [*HATCH.values(), "xx", "\\\\", "--"]
    place = np.arange(len(labels))
    width = 0.8 / len(layers)
    with style():
        figure, ax = new_figure(width=7.5)
        for number, (name, layer) in enumerate(layers.items()):
            ax.bar(
                place + (number - (len(layers) - 1) / 2) * width,
                layer.slopes,
                width,
                color="white",
                edgecolor=["#d55e00", "#0072b2", "#595959", "#009e73"][number % 4],
                hatch=hatches[number % len(hatches)],
                label=name,
            )
        ax.set_xticks(place, labels)
        ax.set_ylim(0, 1)
        ax.set_xlabel("slope of the activation, as a share of the steepest in its layer")
        ax.set_ylabel("share of images times units")
        ax.legend(fontsize=9)
    return figure


def say_slopes(layers: Mapping[str, LayerUnits]) -> str:
    """The reading of the slopes in words."""
    parts = [
        f"{name}: {layer.saturated:.0%} flat, {layer.dead_share:.0%} of the units dead"
        for name, layer in layers.items()
    ]
    return "Slopes below a thousandth of the steepest count as flat. " + "; ".join(parts) + "."


def say_dead_units(units: DeadUnits) -> str:
    """The reading in words: dead and constant units of every layer, and the share of all hidden."""
    parts = []
    for number, layer in enumerate(units.layers, 1):
        text = f"layer {number} {int(layer.dead.sum())} of {len(layer.dead)}"
        if layer.constant.any():
            text += f" ({int(layer.constant.sum())} more say the same for every image)"
        parts.append(text)
    return (
        f"Dead over all {units.images} images: {', '.join(parts)}. That is "
        f"{units.hidden_dead_share:.0%} of all hidden units."
    )
