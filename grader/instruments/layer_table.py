"""What every layer gives, costs and sees: map, channels, parameters, multiply-adds, field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LayerRow:
    """One layer, for one image.

    Attributes:
        name, kind: of the layer, and of its class.
        shape: what it gives, (H, W, C) or (C,).
        parameters: that it holds.
        multiply_adds: that it computes.
        field: side of the square of the input that reaches the middle of its map, in pixels, the
            image's border included; 0 when nothing does, None for a layer without a map.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    field: int | None


@dataclass(frozen=True)
class LayerTable:
    """The layers in the order in which they are called.

    Attributes:
        image: side of the input, in pixels.
        multiply_adds: of the whole model for one image; more than the layers' sum where something
            is computed outside of layers.
    """

    image: int
    rows: tuple[LayerRow, ...]
    multiply_adds: int

    @property
    def maps(self) -> tuple[LayerRow, ...]:
        """The layers that give a map."""
        return tuple(row for row in self.rows if row.field is not None)


def measure_layers(fw: Any, model: Any, x: Any) -> LayerTable:
    """Measure any model by calling it; no layer is asked for its settings.

    The field is measured, not calculated: the pixels whose change changes the middle of a map, in
    any of the images. So it holds for shortcuts, dilation and attention alike.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: maps x to logits (N, K); left as it was.
        x: what the model eats, images; a handful, as a ReLU may close a way for one of them.
    """
    costs = fw.layer_costs(model, x)
    fields = iter(fw.centre_gradients(model, x))
    rows = tuple(
        LayerRow(
            cost.name,
            cost.kind,
            cost.shape,
            cost.parameters,
            cost.multiply_adds,
            _side(next(fields)[1]) if len(cost.shape) == 3 else None,
        )
        for cost in costs
    )
    return LayerTable(fw.as_images(x).shape[1], rows, fw.multiply_adds(model, x))


def _side(gradient: np.ndarray) -> int:
    """Larger side of the rectangle around every pixel that reaches, from (N, H, W)."""
    rows, columns = np.nonzero((gradient > 0).any(axis=0))
    if not len(rows):
        return 0
    return int(max(np.ptp(rows), np.ptp(columns))) + 1


def table_as_text(table: LayerTable) -> str:
    """The table as lines of fixed width, for printing."""
    lines = [f"{'layer':32s}{'gives':>14s}{'parameters':>12s}{'multiply-adds':>15s}{'sees':>7s}"]
    for row in table.rows:
        # The end of a long name tells the layers apart, its beginning the blocks.
        label = row.kind if row.name == row.kind else f"{row.name} {row.kind}"
        label = label if len(label) < 32 else f"..{label[-29:]}"
        gives = " x ".join(str(n) for n in row.shape)
        sees = "" if row.field is None else f"{row.field} px"
        lines.append(
            f"{label:32s}{gives:>14s}{row.parameters:12,d}{row.multiply_adds:15,d}{sees:>7s}"
        )
    total = sum(row.parameters for row in table.rows)
    lines.append(f"{'whole model':32s}{'':14s}{total:12,d}{table.multiply_adds:15,d}")
    return "\n".join(lines)


def draw_layers(tables: Mapping[str, LayerTable]) -> Figure:
    """Side of the map and side of the field, layer by layer; a line for each model.

    Args:
        tables: by name; "sick" and "repaired" have their usual looks.
    """
    with style():
        figure, (left, right) = new_figure(2, width=9.5, height=3.6)
        for name, table in tables.items():
            position = np.arange(1, len(table.maps) + 1)
            sides = [max(row.shape[:2]) for row in table.maps]
            left.plot(position, sides, label=name, **look_of(name))
            right.plot(position, [row.field for row in table.maps], label=name, **look_of(name))
        image = max(table.image for table in tables.values())
        for ax, title in ((left, "side of the map"), (right, "what its middle sees of the image")):
            ax.axhline(image, color="black", linewidth=1)
            ax.set_ylim(0, 1.18 * image)
            ax.annotate("the image", (1, image), (0, 4), textcoords="offset points", va="bottom")
            ax.set_xlabel("layer with a map (1 is next to the image)")
            ax.set_ylabel("pixels")
            ax.set_title(title, fontsize=11)
        if len(tables) > 1:
            left.legend(frameon=False)
    return figure


def say_layers(table: LayerTable) -> str:
    """The reading in words: the maps, the field, the cost."""
    costs = (
        f"The model takes {sum(row.parameters for row in table.rows):,d} parameters and "
        f"{table.multiply_adds:,d} multiply-adds an image."
    )
    if not table.maps:
        return f"No layer gives a map. {costs}"
    last = table.maps[-1]
    return (
        f"The last map has {last.shape[0]} x {last.shape[1]} positions, and its middle sees "
        f"{last.field} of the image's {table.image} pixels on a side. {costs}"
    )
