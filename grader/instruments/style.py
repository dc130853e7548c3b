"""One look for all pictures: readable without colour, in print and for colour-blind readers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct for the common kinds of colour blindness. Sick and repaired
# differ in marker, line and hatch as well, never in colour alone.
SICK: dict[str, Any] = {"color": "#d55e00", "linestyle": "--", "marker": "x"}
REPAIRED: dict[str, Any] = {"color": "#0072b2", "linestyle": "-", "marker": "o"}
OTHER: dict[str, Any] = {"color": "#595959", "linestyle": ":", "marker": "s"}
HATCH = {"sick": "//", "repaired": "", "other": ".."}
_LOOKS = {"sick": SICK, "repaired": REPAIRED}

_SETTINGS: Any = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "figure.dpi": 96,
    "svg.hashsalt": "cnn-clinic",
}


def look_of(name: str) -> dict[str, Any]:
    """Colour, line and marker of a program: "sick", "repaired", or any other one."""
    return _LOOKS.get(name, OTHER)


@contextmanager
def style() -> Iterator[None]:
    """Draw in the course's style without changing the learner's own settings."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def new_figure(
    columns: int = 1, rows: int = 1, *, width: float = 8.5, height: float = 3.4
) -> tuple[Figure, Any]:
    """Return a figure and its axes (one axes, or an array of them); inches. Use inside `style()`.

    The figure is not registered with pyplot, so that it is drawn once, by `show_figure`.
    """
    figure = Figure(figsize=(width, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns)


def as_png(figure: Figure) -> bytes:
    """The figure as PNG; no date in it, so the same numbers give the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None}, facecolor="white")
    return buffer.getvalue()


def show_figure(figure: Figure, sentence: str) -> None:
    """Show a figure, then its reading in words; the sentence is also the alternative text."""
    import base64

    from IPython.display import Markdown, display

    png = base64.b64encode(as_png(figure)).decode("ascii")
    display(
        {"text/plain": f"[picture] {sentence}", "image/png": png},
        metadata={"image/png": {"alt": sentence}},
        raw=True,
    )
    display(Markdown(f"*{sentence}*"))
