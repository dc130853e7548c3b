"""What became of a pre-trained network: how far each layer and each statistic moved, and what a
linear probe still reads in its features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import HATCH, OTHER, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Change:
    """What training did to a network that was there before, layer by layer.

    Attributes:
        layers: names of the layers with parameters, (L,).
        moved: norm of the change of a layer's parameters over their norm before, (L,).
        normalisers: names of the layers that keep a mean and a variance, (M,).
        drift: how far their means drifted, in the standard deviations that they kept before, root
            of the mean square over the channels, (M,).
        parameters_changed, parameters: arrays that a gradient can change, those that are not
            bit-identical and all.
        statistics_changed, statistics: the same for running means and variances.
    """

    layers: tuple[str, ...]
    moved: np.ndarray
    normalisers: tuple[str, ...]
    drift: np.ndarray
    parameters_changed: int
    parameters: int
    statistics_changed: int
    statistics: int

    @property
    def arrays_changed(self) -> int:
        """Arrays of parameters and statistics that are not bit-identical."""
        return self.parameters_changed + self.statistics_changed

    @property
    def arrays(self) -> int:
        return self.parameters + self.statistics

    @property
    def most_moved(self) -> float:
        """The largest relative change of a layer; 0 without layers, NaN if one is not finite."""
        return float(np.max(self.moved)) if len(self.moved) else 0.0

    @property
    def most_drifted(self) -> float:
        """The largest drift of a mean; 0 where none is kept, NaN if one is not finite."""
        return float(np.max(self.drift)) if len(self.drift) else 0.0


def measure_change(fw: Any, model: Any, before: Sequence[np.ndarray]) -> Change:
    """Compare a model with what it was.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: the model now.
        before: what the adapter's `get_state` returned then.

    Counters, such as the number of batches seen, are left out.

    Raises:
        ValueError: the state has other arrays than before.
    """
    after, arrays = fw.get_state(model), fw.state_arrays(model)
    if [a.shape for a in after] != [b.shape for b in before]:
        raise ValueError("the model has other arrays than before")
    squares: dict[str, list[float]] = {}
    kept: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    changed, total = [0, 0], [0, 0]
    for what, old, new in zip(arrays, before, after, strict=True):
        if not np.issubdtype(old.dtype, np.floating):
            continue
        total[what.statistic] += 1
        changed[what.statistic] += not np.array_equal(old, new)
        old, new = old.astype(np.float64), new.astype(np.float64)
        if what.statistic:
            kept.setdefault(what.layer, []).append((old, new))
        else:
            change, size = squares.setdefault(what.layer, [0.0, 0.0])
            squares[what.layer] = [change + ((new - old) ** 2).sum(), size + (old**2).sum()]
    # Both frameworks keep a layer's mean first and its variance second.
    pairs = {name: both for name, both in kept.items() if len(both) == 2}
    return Change(
        layers=tuple(squares),
        moved=np.array([_share(*pair) for pair in squares.values()]),
        normalisers=tuple(pairs),
        drift=np.array(
            [
                float(np.sqrt((((mean[1] - mean[0]) ** 2) / np.maximum(var[0], 1e-12)).mean()))
                for mean, var in pairs.values()
            ]
        ),
        parameters_changed=changed[False],
        parameters=total[False],
        statistics_changed=changed[True],
        statistics=total[True],
    )


def _share(change: float, size: float) -> float:
    if size > 0:
        return math.sqrt(change / size)
    return math.inf if change > 0 else 0.0


@dataclass(frozen=True)
class Probe:
    """A linear classifier on features.

    Attributes:
        weights: (F, K).  biases: (K,).  accuracy: on unseen images, 0..1.
    """

    weights: np.ndarray
    biases: np.ndarray
    accuracy: float


def measure_probe(
    features: np.ndarray, labels: np.ndarray, unseen: np.ndarray, unseen_labels: np.ndarray
) -> Probe:
    """Fit a logistic regression on features and ask it about unseen ones.

    Args:
        features: float (N, F), what the backbone gives for the images with labels (N,), of K >= 3
            classes 0..K-1.
        unseen: float (M, F), with labels (M,).

    The regression is scikit-learn's, with its usual penalty.
    """
    model = _regression(features, labels)
    accuracy = model.score(np.asarray(unseen, np.float64), unseen_labels)
    return Probe(*_as_layer(model), float(accuracy))


def fit_head(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (F, K) and biases (K,) of the probe that `measure_probe` fits, without unseen ones.

    Args:
        features, labels: as there.
    """
    return _as_layer(_regression(features, labels))


def _regression(features: np.ndarray, labels: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=2000).fit(np.asarray(features, np.float64), labels)


def _as_layer(model: Any) -> tuple[np.ndarray, np.ndarray]:
    return model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32)


def draw_change(change: Change, accuracies: Mapping[str, float], guessing: float) -> Figure:
    """Change of every layer, drift of every running mean, and accuracies beside them.

    Args:
        accuracies: on unseen images, 0..1, by name; a name that begins with "sick" has its look.
        guessing: accuracy of guessing, 0..1.
    """
    with style():
        figure, axes = new_figure(3, width=13, height=3.8)
        moved_title = f"weights: {change.parameters_changed} of {change.parameters} arrays changed"
        _bars(axes[0], change.moved, "layer with weights", "change / weights before", moved_title)
        drift_title = (
            f"statistics: {change.statistics_changed} of {change.statistics} arrays changed"
        )
        _bars(
            axes[1],
            change.drift,
            "layer with running statistics",
            "drift of the running mean (SD)",
            drift_title,
        )
        _accuracies(axes[2], accuracies, guessing)
    return figure


def _bars(ax: Axes, values: np.ndarray, xlabel: str, ylabel: str, title: str) -> None:
    position = np.arange(1, len(values) + 1)
    shown = np.where(np.isfinite(values), values, 0.0)
    ax.bar(position, shown, color="white", edgecolor=look_of("sick")["color"], hatch=HATCH["sick"])
    top = max(float(shown.max(initial=0.0)), 1e-3)
    for place, value in zip(position, values, strict=True):
        text = "0" if value == 0 else f"{value:.2g}"
        height = value if np.isfinite(value) else 0.0
        ax.annotate(
            text, (place, height), (0, 3), textcoords="offset points", ha="center", fontsize=9
        )
    ax.set_ylim(0, 1.2 * top)
    ax.set_xticks(position)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_title(title, fontsize=11)


def _accuracies(ax: Axes, accuracies: Mapping[str, float], guessing: float) -> None:
    names = list(accuracies)
    for place, name in enumerate(names):
        look = "sick" if name.startswith("sick") else name
        kind = look if look in HATCH else "other"
        percent = 100 * accuracies[name]
        colour = look_of(look)["color"]
        ax.barh(place, percent, color="white", edgecolor=colour, hatch=HATCH[kind])
        ax.annotate(
            f"{percent:.0f} %", (percent, place), (4, 0), textcoords="offset points", va="center"
        )
    ax.axvline(100 * guessing, color="black", linewidth=1)
    ax.set_yticks(np.arange(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.9)
    ax.annotate(
        "guessing", (100 * guessing, -0.9), (4, -11), textcoords="offset points", fontsize=9
    )
    ax.set_xlim(0, 118)
    ax.set_xlabel("right on unseen images (%)")
    ax.set_title("what came of it", fontsize=11)


def draw_tuning(
    own: Mapping[str, Sequence[float]],
    probes: Mapping[str, Sequence[float]],
    frozen: float,
    scratch: float,
    guessing: float,
) -> Figure:
    """Accuracy of fine-tuned models after every epoch: with their own heads, and by a probe.

    Args:
        own: accuracies 0..1 by name, the first one before the first epoch; "sick" and "repaired"
            have their usual looks.
        probes: the same for a linear probe, fitted anew on the features after every epoch.
        frozen: accuracy of the head on frozen features.  scratch: of a network without them.
        guessing: accuracy of guessing.
    """
    with style():
        figure, axes = new_figure(2, width=12, height=4.2)
        references = {"frozen features": frozen, "from scratch": scratch, "guessing": guessing}
        _draw_epochs(axes[0], own, references, "the model with its own head")
        _draw_epochs(axes[1], probes, references, "a new linear probe on its features")
    return figure


def _draw_epochs(
    ax: Axes, curves: Mapping[str, Sequence[float]], references: Mapping[str, float], title: str
) -> None:
    longest = max(len(values) for values in curves.values()) - 1
    for name, value in references.items():
        ax.axhline(100 * value, color=OTHER["color"], linewidth=1)
        ax.annotate(
            name, (1.04 * longest, 100 * value), (2, 3), textcoords="offset points", fontsize=9
        )
    for name, values in curves.items():
        ax.plot(np.arange(len(values)), 100 * np.asarray(values), label=name, **look_of(name))
    ax.set_xlim(-0.2, 1.4 * longest)
    ax.set_ylim(0, 105)
    ax.legend(loc="lower left", frameon=False)
    ax.set_xlabel("epoch of fine-tuning")
    ax.set_ylabel("right on unseen images (%)")
    ax.set_title(title, fontsize=11)


def say_change(change: Change) -> str:
    """The reading in words."""
    if change.arrays_changed == 0:
        return f"All {change.arrays} arrays of the backbone are bit for bit what they were."
    parts = [f"{change.arrays_changed} of the backbone's {change.arrays} arrays changed"]
    if change.parameters_changed:
        parts.append(
            f"the weights of a layer by up to {change.most_moved:.2g} times what they were"
        )
    else:
        parts.append("none of them weights")
    if change.statistics_changed:
        parts.append(f"a running mean by up to {change.most_drifted:.2g} standard deviations")
    else:
        parts.append("no running statistic")
    return f"{parts[0]}: {parts[1]}, {parts[2]}."


def say_tuning(own: Mapping[str, Sequence[float]], probes: Mapping[str, Sequence[float]]) -> str:
    """The reading in words: what fine-tuning made of each model, and of its features."""
    return " ".join(
        f"{name.capitalize()}: right on {100 * values[0]:.0f} % before fine-tuning and on "
        f"{100 * values[-1]:.0f} % after it; a new probe on the features, on "
        f"{100 * probes[name][0]:.0f} % and {100 * probes[name][-1]:.0f} %."
        for name, values in own.items()
    )
