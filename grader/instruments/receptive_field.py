"""How far does a unit of a map see, how much, and is a far cue seen together with its partner?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import HATCH, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Field:
    """The effective receptive field of the middle of one map (Luo et al. 2016).

    Attributes:
        name: of the layer that gives the map.
        mass: share of |d middle / d input| that falls on every pixel, float64 (H, W); sums to 1,
            or is 0 everywhere when nothing reaches the middle.
    """

    name: str
    mass: np.ndarray

    @property
    def side(self) -> int:
        """Larger side of the rectangle around every pixel that reaches the middle; 0 if none."""
        rows, columns = np.nonzero(self.mass)
        return int(max(np.ptp(rows), np.ptp(columns))) + 1 if len(rows) else 0

    def side_of(self, share: float) -> int:
        """Side of the smallest square around the centre of the mass that holds this share of it."""
        height, width = self.mass.shape
        y, x = np.mgrid[:height, :width]
        away = np.maximum(
            np.abs(y - (self.mass * y).sum().round()), np.abs(x - (self.mass * x).sum().round())
        )
        reached = [self.mass[away <= r].sum() for r in range(max(height, width))]
        return 2 * int(np.searchsorted(reached, share * self.mass.sum())) + 1


def measure_fields(fw: Any, model: Any, x: Any) -> tuple[Field, ...]:
    """The field of every map of more than one position, in the order of the calls.

    Measured by differentiating, over all images: a layer is never asked for its settings.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: maps x to logits (N, K); left as it was.
        x: what the model eats, images; a few dozen, as a ReLU may close a way for one of them.
    """
    maps = [c.shape for c in fw.layer_costs(model, x) if len(c.shape) == 3]
    fields = []
    for (name, gradient), shape in zip(fw.centre_gradients(model, x), maps, strict=True):
        if shape[0] * shape[1] > 1:
            mass = gradient.sum(axis=0)
            fields.append(Field(name, mass / (mass.sum() or 1.0)))
    return tuple(fields)


def theoretical_side(layers: Iterable[tuple[int, int, int]]) -> int:
    """Side of the field of a chain of layers, in pixels of its input.

    Args:
        layers: (kernel, stride, dilation) of every convolution and pooling, input side first.
    """
    side, step = 1, 1
    for kernel, stride, dilation in layers:
        side += (kernel - 1) * dilation * step
        step *= stride
    return side


def measure_relation(fw: Any, model: Any, pairs: Any) -> float:
    """What it changes in the logits how two marks lie, as a share of what the marks change at all.

    The two ways in which they lie hold the same single marks in the same places. So the result is 0
    for every model whose logits are built from what is seen of one mark at a time: from a sum or a
    maximum over the map with anything behind it, or from a weighted sum of the places. For such a
    model the rest is the rounding of float32.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: maps x to logits (N, K); left as it was.
        pairs: what the model eats, five images as `grader.datasets.masts.four_pairs` gives them:
            two marks in one relation twice, in the other twice, and no marks.

    Returns:
        |a + b - c - d| over the mean |a - none|, in Euclidean norms; 0 when marks change nothing,
        NaN when logits are not finite.
    """
    a, b, c, d, none = fw.predict(model, pairs).astype(np.float64)
    change = float(np.mean([np.linalg.norm(logits - none) for logits in (a, b, c, d)]))
    together = float(np.linalg.norm(a + b - c - d))
    return together / change if change != 0 else 0.0


@dataclass(frozen=True)
class ByDistance:
    """Accuracy for each distance of the two cues.

    Attributes:
        distances: pixels, rising, (D,).
        accuracy: share that is right, (D,).
        count: images, (D,).
    """

    distances: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    def at(self, distance: int) -> float:
        """Accuracy at one distance."""
        return float(self.accuracy[self.distances == distance][0])


def measure_by_distance(
    predicted: np.ndarray, labels: np.ndarray, distance: np.ndarray
) -> ByDistance:
    """Accuracy by the distance of the cues, all arguments int (N,)."""
    distances = np.unique(distance)
    right = np.asarray(predicted) == np.asarray(labels)
    return ByDistance(
        distances,
        np.array([right[distance == d].mean() for d in distances]),
        np.array([(distance == d).sum() for d in distances]),
    )


def draw_fields(
    image: np.ndarray,
    top: np.ndarray,
    left: np.ndarray,
    fields: Mapping[str, Field],
    accuracy: Mapping[str, ByDistance],
    *,
    guessing: float,
) -> Figure:
    """The fields over an image with its two cues, the fields themselves, accuracy by distance.

    Args:
        image: uint8 (H, W, 3).  top, left: of its two cues, int (2,).
        fields: by name; "sick" and "repaired" have their usual looks.
        accuracy: by the same names.
        guessing: accuracy of guessing.
    """
    with style():
        columns = len(fields) + 2
        figure, axes = new_figure(columns, width=3.7 * columns, height=3.9)
        _draw_over_image(axes[0], image, top, left, fields)
        for ax, (name, field) in zip(axes[1:], fields.items(), strict=False):
            _draw_mass(ax, name, field, int(max(np.ptp(top), np.ptp(left))))
        _draw_accuracy(axes[-1], accuracy, guessing)
    return figure


def _draw_over_image(
    ax: Axes, image: np.ndarray, top: np.ndarray, left: np.ndarray, fields: Mapping[str, Field]
) -> None:
    from matplotlib.patches import Rectangle

    ax.imshow(image)
    middle = float(left.mean()) + 0.5, float(top.mean()) + 0.5
    for name, field in fields.items():
        look = look_of(name)
        corner = middle[0] - field.side / 2, middle[1] - field.side / 2
        # White below the colour, so that the line shows on any ground.
        for colour, width in (("white", 4.5), (look["color"], 2.2)):
            ax.add_patch(
                Rectangle(
                    corner,
                    field.side,
                    field.side,
                    fill=False,
                    edgecolor=colour,
                    linewidth=width,
                    linestyle="-" if colour == "white" else look["linestyle"],
                    clip_on=True,
                )
            )
    ax.set_title(f"two masts, {max(np.ptp(top), np.ptp(left))} px apart", fontsize=11)
    ax.set_xlabel("squares: the field between the masts")
    _without_ticks(ax)


def _draw_mass(ax: Axes, name: str, field: Field, distance: int) -> None:
    # The root shows the faint rim beside the strong middle.
    ax.imshow(np.sqrt(field.mass), cmap="Greys")
    rows, columns = np.nonzero(field.mass)
    if len(rows):
        middle = (columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2
        places = [middle[0] - distance / 2, middle[0] + distance / 2]
        ax.plot(places, [middle[1]] * 2, linestyle="", marker="s", markersize=9, color="white")
        ax.plot(
            places,
            [middle[1]] * 2,
            linestyle="",
            marker="s",
            markersize=7,
            markerfacecolor="none",
            markeredgewidth=1.6,
            color=look_of(name)["color"],
        )
    ax.set_title(f"{name}: field of {field.side} px", fontsize=11)
    ax.set_xlabel(f"dark: sees much; squares: {distance} px apart")
    _without_ticks(ax)


def _without_ticks(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)


def _draw_accuracy(ax: Axes, accuracy: Mapping[str, ByDistance], guessing: float) -> None:
    width = 0.8 / len(accuracy)
    for number, (name, by) in enumerate(accuracy.items()):
        place = np.arange(len(by.distances)) + (number - (len(accuracy) - 1) / 2) * width
        ax.bar(
            place,
            by.accuracy,
            width * 0.92,
            color="white",
            edgecolor=look_of(name)["color"],
            hatch=HATCH.get(name, HATCH["other"]),
            label=name,
        )
        for x, value in zip(place, by.accuracy, strict=True):
            ax.annotate(
                f"{value:.2f}",
                (x, value),
                (0, 4),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
            )
        ax.set_xticks(np.arange(len(by.distances)), [str(d) for d in by.distances])
    ax.axhline(guessing, color="black", linewidth=1, zorder=0)
    ax.set_ylim(0, 1.12 if len(accuracy) == 1 else 1.32)
    ax.set_yticks([0, guessing, 1], ["0", "guessing", "1"])
    ax.set_xlabel("distance of the masts (pixels)")
    ax.set_ylabel("accuracy")
    ax.set_title("unseen images", fontsize=11)
    if len(accuracy) > 1:
        ax.legend(frameon=False, ncols=len(accuracy), loc="upper center", fontsize=9)


def say_field(field: Field, distance: int, mark: int = 0) -> str:
    """The reading of a field in words.

    Args:
        distance: pixels between the cues.  mark: pixels on a cue's side.
    """
    needed = distance + mark
    return (
        f"The middle of the last map sees a square of {field.side} pixels, and half of what it "
        f"sees lies within {field.side_of(0.5)}. Two masts {distance} pixels apart take {needed}."
    )


def say_by_distance(by: ByDistance) -> str:
    """The accuracies in words."""
    parts = [f"{a:.0%} at {d} pixels" for d, a in zip(by.distances, by.accuracy, strict=True)]
    return "Right on unseen images: " + ", ".join(parts) + "."
