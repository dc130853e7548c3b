"""Does it learn or learn by heart? Curves and their gap, evaluation repeated, a penalty's share.

A model that learns its training images by heart goes on getting better on them while it gets worse
on all others. The gap between the two losses shows it, and the epoch in which the validation loss
is lowest shows from when on. Both are only worth what the evaluation is: one that still drops
units, or uses the batch's own statistics, gives another number whenever it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LAST = 3  # epochs whose mean is "the end": a single one jumps


@dataclass(frozen=True)
class Curve:
    """Losses of every epoch, in nats, (E,): on the images trained on, and on validation images."""

    training: np.ndarray
    validation: np.ndarray

    @property
    def lowest_epoch(self) -> int:
        """Epoch of the lowest validation loss, from 1."""
        return int(np.nanargmin(self.validation)) + 1

    @property
    def lowest(self) -> float:
        """The lowest validation loss."""
        return float(np.nanmin(self.validation))

    @property
    def end(self) -> float:
        """Validation loss, mean of the last three epochs."""
        return float(np.mean(self.validation[-LAST:]))

    @property
    def rise(self) -> float:
        """By how much the validation loss at the end lies above its lowest point."""
        return self.end - self.lowest

    @property
    def gap(self) -> float:
        """Validation minus training loss, mean of the last three epochs."""
        return float(np.mean((self.validation - self.training)[-LAST:]))


def measure_curve(history: Mapping[str, Sequence[float]]) -> Curve:
    """Read the curve of a training.

    Args:
        history: "loss" and "val_loss", a number for every epoch, as Keras's `fit` keeps them.

    Raises:
        ValueError: a curve is missing or empty, they differ in length, or no validation loss is a
            number.
    """
    for name in ("loss", "val_loss"):
        if name not in history:
            raise ValueError(f"the history has no {name!r}")
    training, validation = (
        np.array(history[name], dtype=np.float64).reshape(-1) for name in ("loss", "val_loss")
    )
    if len(training) != len(validation):
        raise ValueError(
            f"{len(training)} losses of training and {len(validation)} of validation; a history "
            "has one of each for every epoch"
        )
    if not np.isfinite(validation).any():
        raise ValueError("no validation loss is a number")
    return Curve(training, validation)


@dataclass(frozen=True)
class Repeats:
    """The loss of one model on the same images, asked for several times, in nats.

    Attributes:
        values: what the evaluation in question says, (R,).
        reference: what a model says that is not in training: no unit dropped, kept statistics.
    """

    values: np.ndarray
    reference: float

    @property
    def spread(self) -> float:
        """Largest minus smallest value; 0 for an evaluation that can be repeated, NaN for NaN."""
        return float(self.values.max() - self.values.min())

    @property
    def offset(self) -> float:
        """Mean value minus the reference."""
        return float(self.values.mean() - self.reference)


def measure_repeats(
    fw: Any, evaluate: Callable[..., Any], model: Any, x: Any, labels: Any, *, times: int = 12
) -> Repeats:
    """Ask for the loss of one model on the same images several times.

    Args:
        fw: framework adapter, see `grader.frameworks`.
        evaluate: (model, x, y) -> a loss in nats, or a tuple that begins with one.
        model: gives logits.  x, labels: what `evaluate` takes.
    """
    values = []
    for _ in range(times):
        value = evaluate(model, x, labels)
        values.append(float(value[0] if isinstance(value, tuple | list) else value))
    reference = fw.loss(model, x, fw.to_numpy(labels), training=False)
    return Repeats(np.array(values), float(reference))


@dataclass(frozen=True)
class Penalty:
    """What a penalty on the weights adds to the loss and to its gradient.

    The penalty is decay / 2 times the sum of all squared weights (kernels and matrices, no biases),
    so that its gradient is decay times the weights.

    Attributes:
        weight_norm: Euclidean norm of all weights.
        data_loss, loss: cross-entropy of a batch, and the penalty, in nats.
        data_gradient, gradient: norms of the gradients of both.
    """

    weight_norm: float
    data_loss: float
    loss: float
    data_gradient: float
    gradient: float

    @property
    def share_of_loss(self) -> float:
        """Penalty over the sum of both losses, 0..1."""
        return self.loss / (self.loss + self.data_loss)

    @property
    def share_of_gradient(self) -> float:
        """Norm of the penalty's gradient over the sum of both norms, 0..1."""
        return self.gradient / (self.gradient + self.data_gradient)


def measure_penalty(fw: Any, model: Any, x: Any, labels: np.ndarray, *, decay: float) -> Penalty:
    """Weigh a penalty of the strength `decay` against the loss on a batch.

    Args:
        fw: framework adapter, see `grader.frameworks`.
        model: gives logits; left as it was.  x: what it eats, first axis N.
        labels: int (N,).  decay: see `Penalty`; 0 measures the weights alone.
    """
    layers = fw.layer_gradients(model, x, labels)
    weights = math.sqrt(sum(layer.weight**2 for layer in layers))
    return Penalty(
        weight_norm=weights,
        data_loss=float(fw.loss(model, x, labels, training=False)),
        loss=decay / 2 * weights**2,
        data_gradient=math.sqrt(sum(layer.gradient**2 for layer in layers)),
        gradient=decay * weights,
    )


def draw_overfitting(
    curves: Mapping[str, Curve],
    repeats: Mapping[str, Repeats],
    classes: int,
    *,
    floor: float = math.nan,
) -> Figure:
    """For each program a row: its two curves with the gap, and its evaluation repeated.

    Args:
        curves, repeats: by name; "sick" and "repaired" have their usual looks. Rows share axes.
        classes: number of classes K, for the line of guessing, ln K.
        floor: the lowest loss that anybody can reach on unseen images, if it is known.
    """
    with style():
        figure, axes = new_figure(2, len(curves), width=10.5, height=3.5)
        highest = max(float(np.nanmax(curve.validation)) for curve in curves.values())
        top = 1.12 * max(highest, 1.15 * math.log(classes))
        values = np.concatenate([np.append(r.values, r.reference) for r in repeats.values()])
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        margin = max(0.25 * (high - low), 0.02 * abs(high), 1e-3)
        longest = max(len(curve.validation) for curve in curves.values())
        for row, name in zip(np.atleast_2d(axes), curves, strict=True):
            _draw_curve(row[0], name, curves[name], math.log(classes), floor, (longest, top))
            _draw_repeats(row[1], name, repeats[name], (low - margin, high + margin))
    return figure


def _draw_curve(
    ax: Axes, name: str, curve: Curve, guessing: float, floor: float, reach: tuple[int, float]
) -> None:
    longest, top = reach
    color = look_of(name)["color"]
    epochs = 1 + np.arange(len(curve.validation))
    ax.fill_between(
        epochs,
        curve.training,
        curve.validation,
        facecolor="none",
        edgecolor="#bbbbbb",
        hatch="..",
        linewidth=0,
    )
    for level, words in ((guessing, "guessing"), (floor, "nobody can go lower")):
        if math.isfinite(level):
            ax.axhline(level, color="black", linewidth=1, linestyle=":")
            ax.annotate(
                f"{words} {level:.2f}",
                (1.4 * max(longest, 2), level),
                (0, 2),
                textcoords="offset points",
                ha="right",
                va="bottom",
                fontsize=9,
            )
    for values, words, line in (
        (curve.training, "training", ":"),
        (curve.validation, "validation", "-"),
    ):
        ax.plot(epochs, values, color=color, linestyle=line, linewidth=1.8)
        ax.annotate(
            f"{words} {values[-1]:.2f}",
            (epochs[-1], values[-1]),
            (9, 0),
            textcoords="offset points",
            va="center",
        )
    ax.plot(
        curve.lowest_epoch, curve.lowest, marker="v", color=color, markersize=9, linestyle="none"
    )
    ax.set_xlim(0.5, 1.42 * max(longest, 2))
    ax.set_xticks([tick for tick in ax.get_xticks() if 1 <= tick <= longest])
    ax.set_ylim(-0.03 * top, top)  # room below a loss of nought
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss (nats)")
    ax.set_title(
        f"{name}: lowest {curve.lowest:.2f} in epoch {curve.lowest_epoch} of {len(epochs)}",
        fontsize=11,
    )


def _draw_repeats(ax: Axes, name: str, repeats: Repeats, limits: tuple[float, float]) -> None:
    look = look_of(name)
    number = 1 + np.arange(len(repeats.values))
    ax.axhline(repeats.reference, color="black", linewidth=1)
    ax.annotate(
        f"not in training\n{repeats.reference:.3f}",
        (number[-1] + 0.6, repeats.reference),
        (0, 3),
        textcoords="offset points",
        va="bottom",
        fontsize=9,
    )
    ax.plot(
        number, repeats.values, marker=look["marker"], color=look["color"], linestyle="none",
        markersize=7,
    )  # fmt: skip
    ax.set_xlim(0.5, 1.3 * number[-1] + 0.6)
    ax.set_ylim(*limits)
    ax.set_xticks(number)
    ax.set_xlabel("evaluation of the same model on the same images")
    ax.set_ylabel("loss (nats)")
    ax.set_title(f"{name}: {len(number)} evaluations, spread {repeats.spread:.3f}", fontsize=11)


def say_overfitting(curve: Curve, repeats: Repeats) -> str:
    """The reading in words: lowest point, end, gap, and what repeating the evaluation gives."""
    text = (
        f"The validation loss is lowest in epoch {curve.lowest_epoch} of {len(curve.validation)} "
        f"at {curve.lowest:.2f}; in the last {min(LAST, len(curve.validation))} it is "
        f"{curve.end:.2f}, which is {curve.rise:.2f} higher, while the training loss is "
        f"{np.mean(curve.training[-LAST:]):.2f}: a gap of {curve.gap:.2f} nats."
    )
    if repeats.spread == 0:
        return f"{text} All {len(repeats.values)} evaluations of the model give the same loss."
    return (
        f"{text} {len(repeats.values)} evaluations of the same model on the same images differ by "
        f"up to {repeats.spread:.3f}."
    )


def say_penalty(penalty: Penalty) -> str:
    """The reading in words: the penalty's share of loss and gradient, and the norm."""
    return (
        f"The weights have a norm of {penalty.weight_norm:.1f}. The penalty is "
        f"{penalty.share_of_loss:.0%} of the loss and {penalty.share_of_gradient:.0%} of the "
        "gradient."
    )
