"""Can this network learn at all? One batch by heart, and whether the layers are more than one."""

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

#: Learning rates of Adam that are tried on the one batch, the most usual first.
RATES = (0.01, 0.003, 0.03)
#: Steps on the one batch, at each rate.
STEPS = 100
#: A deviation below this is what float32 leaves of an affine map; drawn as the foot of the bars.
ROUNDING = 1e-8


@dataclass(frozen=True)
class OneBatch:
    """The same few images over and over, from the same weights, once for every learning rate.

    Attributes:
        rates: Adam's first rate, which falls to 0 in a straight line, (R,).
        losses: cross-entropy of every step as in training (nats), (R, S); NaN where not run.
        settled: loss after the last step (nats), (R,): as in training or in evaluation, whichever
            is lower, so that neither dropout nor young running statistics count; infinite where
            training left the finite numbers, NaN where not run.
        images: number of images in the batch.
    """

    rates: tuple[float, ...]
    losses: np.ndarray
    settled: np.ndarray
    images: int

    @property
    def floor(self) -> float:
        """Loss after the last step at the best rate (nats)."""
        return float(np.nanmin(self.settled))

    @property
    def best(self) -> int:
        """Which of the rates led there."""
        return int(np.nanargmin(self.settled))


def measure_one_batch(
    fw: Any,
    model: Any,
    x: Any,
    y: np.ndarray,
    *,
    rates: Sequence[float] = RATES,
    steps: int = STEPS,
    enough: float = -math.inf,
) -> OneBatch:
    """Try to learn one batch by heart, whatever the learner's own training does.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: maps x to logits (N, K); left as it was.
        x: what the model eats, all N images of the batch.  y: int labels (N,).
        enough: further rates are not tried once a loss (nats) has got this low.
    """
    losses, settled = fw.fit_one_batch(model, x, y, rates=rates, steps=steps, enough=enough)
    return OneBatch(tuple(rates), losses, settled, len(y))


def measure_nonlinearity(fw: Any, model: Any, x: Any) -> float:
    """How far the model is from an affine map of the image: 0 for a stack without activations.

    For an affine f, f(a + b) - f(a) - f(b) + f(0) vanishes whatever the weights are. Its norm is
    compared with that of f(a) - f(0) and f(b) - f(0), over pairs a, b of images and all logits; the
    model is asked in evaluation mode, in which batch normalisation is affine.

    Args:
        x: what the model eats, 2 N images whose mean is near zero, in pairs.

    Returns:
        About 1e-7 for an affine map in float32, near 1 at the most; 0 when the outputs are the
        same for all images, NaN when they are not finite.
    """
    half = len(x) // 2
    a, b = x[:half], x[half : 2 * half]
    nothing, of_a, of_b, of_both = (
        fw.predict(model, images).astype(np.float64) for images in (0 * a, a, b, a + b)
    )
    parts = np.linalg.norm(of_a - nothing) + np.linalg.norm(of_b - nothing)
    rest = np.linalg.norm(of_both - of_a - of_b + nothing)
    return float(rest / parts) if parts != 0 else 0.0


def draw_capacity(
    batches: Mapping[str, OneBatch], nonlinearity: Mapping[str, float], classes: int
) -> Figure:
    """Loss of the one batch over the steps, and the deviation from an affine map.

    Args:
        batches: by name; "sick" and "repaired" have their usual looks.
        nonlinearity: by the same names.
        classes: number of classes K, for the line of guessing, ln K.
    """
    with style():
        figure, (left, right) = new_figure(2, width=10, height=3.8)
        _draw_batches(left, batches, classes)
        _draw_nonlinearity(right, nonlinearity)
    return figure


def _draw_batches(ax: Axes, batches: Mapping[str, OneBatch], classes: int) -> None:
    lowest = 0.01
    for name, batch in batches.items():
        look = look_of(name) | {"marker": ""}
        for rate, losses in enumerate(batch.losses):
            if np.isfinite(losses).any():
                width = 2.2 if rate == batch.best else 0.8
                ax.plot(np.arange(1, len(losses) + 1), losses, **(look | {"linewidth": width}))
        lowest = min(lowest, np.nanmin(np.where(batch.losses > 0, batch.losses, np.nan)))
        end = batch.losses[batch.best][np.isfinite(batch.losses[batch.best])][-1:]
        for value in end:
            ax.annotate(
                f"{name}: {batch.floor:.2g}",
                (batch.losses.shape[1], max(value, 1e-5)),
                (6, 0),
                textcoords="offset points",
                va="center",
            )
    guessing = math.log(classes)
    ax.axhline(guessing, color="black", linewidth=1)
    steps = max(batch.losses.shape[1] for batch in batches.values())
    ax.annotate(
        f"guessing, ln {classes} = {guessing:.2f}",
        (steps, guessing),
        (0, 5),
        textcoords="offset points",
        ha="right",
    )
    ax.set_yscale("log")
    ax.set_ylim(max(lowest / 2, 5e-6), 8)
    ax.set_xlim(0, 1.45 * steps)
    ax.set_xticks(np.linspace(0, steps, 5, dtype=int))
    images = next(iter(batches.values())).images
    ax.set_xlabel(f"step, always on the same {images} images")
    ax.set_ylabel("loss of these images (nats)")
    ax.set_title("one batch by heart (bold: best of the rates)", fontsize=11)


def _draw_nonlinearity(ax: Axes, nonlinearity: Mapping[str, float]) -> None:
    for place, (name, value) in enumerate(nonlinearity.items()):
        shown = max(value, ROUNDING) if math.isfinite(value) else ROUNDING
        ax.bar(
            place,
            shown - ROUNDING,
            bottom=ROUNDING,
            width=0.55,
            color="white",
            edgecolor=look_of(name)["color"],
            hatch=HATCH.get(name, HATCH["other"]),
        )
        ax.annotate(f"{value:.1g}", (place, shown), (0, 3), textcoords="offset points", ha="center")
    ax.set_yscale("log")
    ax.set_ylim(ROUNDING, 10)
    ax.set_xlim(-0.6, len(nonlinearity) - 0.4)
    ax.set_xticks(range(len(nonlinearity)), list(nonlinearity))
    ax.set_ylabel("|f(a+b) - f(a) - f(b) + f(0)|, relative")
    ax.set_title("distance from an affine map", fontsize=11)


def say_capacity(name: str, batch: OneBatch, nonlinearity: float) -> str:
    """The reading of one network in words: what is left of the one batch, and affine or not."""
    kind = "more than an affine map" if nonlinearity > 1e-4 else "an affine map, up to rounding"
    return (
        f"{name.capitalize()}: after {batch.losses.shape[1]} steps on the same {batch.images} "
        f"images their loss is {batch.floor:.3g} at the best of {len(batch.rates)} learning rates; "
        f"f(a+b) - f(a) - f(b) + f(0) is {nonlinearity:.1g} of its parts: {kind}."
    )


@dataclass(frozen=True)
class Ceiling:
    """What one network reaches for its price.

    Attributes:
        name: what tells it from the others, such as its number of filters.
        multiply_adds: for one image.
        seen, unseen: accuracy on the training images and on others, 0 to 1.
    """

    name: str
    multiply_adds: int
    seen: float
    unseen: float


def draw_ceilings(ceilings: Sequence[Ceiling], sick: Ceiling | None = None) -> Figure:
    """Accuracy on seen and on unseen images against multiply-adds, a point a network.

    Args:
        ceilings: joined by lines, in rising price.
        sick: stands by itself.
    """
    with style():
        figure, ax = new_figure(width=7.5, height=3.8)
        price = [c.multiply_adds for c in ceilings]
        seen, unseen = [c.seen for c in ceilings], [c.unseen for c in ceilings]
        ax.plot(price, seen, color="#0072b2", linestyle="-", marker="o")
        ax.plot(price, unseen, **OTHER)
        for ceiling in ceilings:
            ax.annotate(
                ceiling.name,
                (ceiling.multiply_adds, ceiling.seen),
                (-5, 6),
                textcoords="offset points",
                ha="right",
            )
        for label, values in (("seen", seen), ("unseen", unseen)):
            ax.annotate(
                label, (price[-1], values[-1]), (9, 0), textcoords="offset points", va="center"
            )
        if sick is not None:
            look = SICK | {"linestyle": ""}
            ax.plot([sick.multiply_adds] * 2, [sick.seen, sick.unseen], **look)
            ax.annotate(
                f"{sick.name}, both",
                (sick.multiply_adds, min(sick.seen, sick.unseen)),
                (0, -8),
                textcoords="offset points",
                ha="center",
                va="top",
            )
        ax.set_xscale("log")
        ax.margins(x=0.16)
        ax.set_ylim(0, 1.12)
        ax.set_xlabel("multiply-adds for one image")
        ax.set_ylabel("share of images recognised")
    return figure


def say_ceilings(ceilings: Sequence[Ceiling]) -> str:
    """The ceilings in words: the cheapest, the dearest, and the best on unseen images."""
    least, most = ceilings[0], ceilings[-1]
    best = max(ceilings, key=lambda c: c.unseen)
    return (
        f"From {least.name} to {most.name} the multiply-adds grow "
        f"{most.multiply_adds / least.multiply_adds:.0f}-fold; on training images "
        f"{least.seen:.0%} and then {most.seen:.0%} are recognised, on unseen ones "
        f"{least.unseen:.0%} and {most.unseen:.0%}. Best on unseen images: {best.name}, with "
        f"{best.unseen:.0%}."
    )
