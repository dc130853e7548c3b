"""A search for good settings: what was tried, what it cost, and what was never tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import OTHER, SICK, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = Callable[[dict[str, float], int], tuple[np.ndarray, np.ndarray]]
"""(configuration, epochs) -> loss after each epoch on validation and on test images, (epochs,)."""


@dataclass(frozen=True)
class Asked:
    """One call of a trial.

    Attributes:
        config: value of each knob.  epochs: that the training had by then.
        cost: epochs that were new.  losses: on the validation images after each epoch, (epochs,).
    """

    config: dict[str, float]
    epochs: int
    cost: int
    losses: np.ndarray


class Trials:
    """Trainings for a search to call, and the counters beside them.

    `trial(config, epochs)` trains with a configuration, which may lie outside the space, and
    returns the validation loss after each epoch, (epochs,); NaN once it has diverged. It costs its
    epochs. A training that has been asked for before is carried on: only new epochs cost.
    `trial.test(config, epochs)` is the loss on the test images after that many epochs. It costs
    nothing, and a counter notes it.

    Attributes:
        longest: epochs of the longest training.
        spent: epochs so far.
        asked: the calls in order.
        tested: for each time the test images were looked at, how many calls had been made.
    """

    def __init__(
        self, curves: Curves, names: Sequence[str], *, longest: int, most: float = math.inf
    ) -> None:
        """Args: most: epochs after which a search is stopped by a `RuntimeError`."""
        self._curves, self._names, self._most = curves, frozenset(names), most
        self._trained: dict[tuple[tuple[str, float], ...], tuple[np.ndarray, np.ndarray]] = {}
        self.longest = longest
        self.spent = 0
        self.asked: list[Asked] = []
        self.tested: list[int] = []

    def __call__(self, config: Mapping[str, float], epochs: int) -> np.ndarray:
        """Validation loss (nats) after each epoch, float64 (epochs,).

        Raises:
            ValueError: other knobs than the space has, a value that is not above zero, epochs that
                are no whole number from 1 to `longest`.
        """
        config, epochs = self._checked(config, epochs)
        before = len(self._curves_so_far(config)[0])
        losses = self._train(config, epochs)[0].copy()
        cost = max(0, epochs - before)
        self.spent += cost
        self.asked.append(Asked(config, epochs, cost, losses))
        if self.spent > self._most:
            raise RuntimeError(
                f"the search has spent {self.spent} epochs and goes on; it was given a third"
            )
        return losses

    def test(self, config: Mapping[str, float], epochs: int) -> float:
        """Test loss (nats) after so many epochs."""
        config, epochs = self._checked(config, epochs)
        self.tested.append(len(self.asked))
        return float(self._train(config, epochs)[1][-1])

    def _checked(self, config: Any, epochs: Any) -> tuple[dict[str, float], int]:
        checked = configuration(config, self._names)
        whole = int(epochs)
        if whole != epochs or not 1 <= whole <= self.longest:
            raise ValueError(
                f"epochs is {epochs!r}; a training takes a whole number of epochs, 1 to "
                f"{self.longest}"
            )
        return checked, whole

    def _curves_so_far(self, config: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
        return self._trained.get(tuple(sorted(config.items())), (np.empty(0), np.empty(0)))

    def _train(self, config: dict[str, float], epochs: int) -> tuple[np.ndarray, np.ndarray]:
        known = self._curves_so_far(config)
        if len(known[0]) < epochs:
            validation, test = self._curves(dict(config), epochs)
            known = np.asarray(validation, np.float64), np.asarray(test, np.float64)
            self._trained[tuple(sorted(config.items()))] = known
        return known[0][:epochs], known[1][:epochs]


def configuration(config: Any, names: Sequence[str] | frozenset[str]) -> dict[str, float]:
    """A configuration as plain numbers.

    Raises:
        ValueError: no mapping, other knobs than `names`, or a value that is not finite and above
            zero; the message is a sentence's end.
    """
    if not isinstance(config, Mapping) or set(config) != set(names):
        raise ValueError(
            f"a configuration has one value for each of {', '.join(sorted(names))}, and this is "
            f"{config!r}"
        )
    values = {}
    for name in sorted(names):
        try:
            values[name] = float(config[name])
        except (TypeError, ValueError):
            raise ValueError(f"{name} is {config[name]!r}, and a knob is one number") from None
        if not (math.isfinite(values[name]) and values[name] > 0):
            raise ValueError(f"{name} is {values[name]:g}, and a knob is a number above zero")
    return values


@dataclass(frozen=True)
class Search:
    """What a search did, in the order in which it began its trainings.

    Attributes:
        values: value of each knob in every training, {name: (N,)}.
        epochs: of every training, (N,).
        losses: on the validation images after the last of them, (N,); NaN where it diverged.
        spent: epochs spent after each call, (M,).  best_so_far: lowest loss by then, (M,),
            of trainings that have not diverged; infinite before the first one.
        tested: how often the test images were looked at.
        tested_before_the_end: how often before the last training.
    """

    values: dict[str, np.ndarray]
    epochs: np.ndarray
    losses: np.ndarray
    spent: np.ndarray
    best_so_far: np.ndarray
    tested: int
    tested_before_the_end: int

    def distinct(self, name: str) -> int:
        """How many different values of a knob were tried."""
        return len(np.unique(self.values[name]))


def measure_search(trials: Trials) -> Search:
    """Read the counters of a search that is over.

    Raises:
        ValueError: no training was asked for.
    """
    if not trials.asked:
        raise ValueError("the search has asked for no training")
    trainings: dict[tuple[tuple[str, float], ...], Asked] = {}
    for asked in trials.asked:
        key = tuple(sorted(asked.config.items()))
        if key not in trainings or trainings[key].epochs < asked.epochs:
            trainings[key] = asked
    last = list(trainings.values())
    lowest = [
        float(np.min(a.losses)) if np.isfinite(a.losses).all() else math.inf for a in trials.asked
    ]
    return Search(
        values={name: np.array([a.config[name] for a in last]) for name in last[0].config},
        epochs=np.array([a.epochs for a in last]),
        losses=np.array([a.losses[-1] for a in last]),
        spent=np.cumsum([a.cost for a in trials.asked]),
        best_so_far=np.minimum.accumulate(lowest),
        tested=len(trials.tested),
        tested_before_the_end=sum(calls < len(trials.asked) for calls in trials.tested),
    )


def widest_gap(values: Sequence[float] | np.ndarray, low: float, high: float) -> float:
    """Decades of the widest stretch between low and high in which no value was tried."""
    inside = [v for v in values if low < v < high]
    return float(np.diff(np.log10(np.sort([low, high, *inside]))).max())


def fall_at_the_end(losses: np.ndarray) -> float:
    """How fast a curve still falls: nats an epoch over its last third, at least two epochs.

    The slope of a straight line through them with its sign turned; negative for a curve that rises,
    NaN for one that has diverged or has one epoch.
    """
    last = np.asarray(losses, np.float64)[-max(2, len(losses) // 3) :]
    if len(last) < 2 or not np.isfinite(last).all():
        return math.nan
    return -float(np.polyfit(np.arange(len(last)), last, 1)[0])


@dataclass(frozen=True)
class Sweep:
    """One knob over its whole space, the other one held.

    Attributes:
        values: of the knob, (V,), rising.
        curves: validation loss after each epoch, (V, E); NaN where a training diverged.
    """

    values: np.ndarray
    curves: np.ndarray

    def after(self, epochs: int) -> np.ndarray:
        """Loss after so many epochs, (V,)."""
        return self.curves[:, epochs - 1]

    def lowest(self) -> np.ndarray:
        """Lowest loss of each training, (V,); infinite without a finite one."""
        return np.where(np.isfinite(self.curves), self.curves, np.inf).min(axis=1)


def draw_search(
    searches: Mapping[str, Search],
    sweeps: Mapping[str, Sweep],
    *,
    short: int,
    guessing: float,
) -> Figure:
    """The trainings of a search over each knob, on the curve of the whole knob; then its progress.

    Args:
        searches: by name; "sick" and "repaired" have their usual looks.
        sweeps: by knob; one panel each.
        short: epochs after which the sweep is drawn a first time; the second line is its lowest.
        guessing: loss of guessing, nats; what is above, or not a number, is drawn at the top.
    """
    lowest = min(
        [float(s.lowest().min()) for s in sweeps.values()]
        + [float(np.min(s.best_so_far)) for s in searches.values()]
    )
    top = guessing + 0.25 * (guessing - lowest)
    bottom = lowest - 0.12 * (guessing - lowest)
    columns = len(sweeps) + 1
    with style():
        figure, axes = new_figure(columns, width=4.4 * columns, height=3.9)
        for ax, (knob, sweep) in zip(axes, sweeps.items(), strict=False):
            _draw_knob(ax, knob, sweep, searches, short, top)
            ax.set_ylim(bottom, top + 0.05 * (top - bottom))
        axes[0].set_ylabel("validation loss (nats)")
        _draw_progress(axes[-1], searches, guessing)
        axes[-1].set_ylim(bottom, top + 0.05 * (top - bottom))
    return figure


def _draw_knob(
    ax: Axes,
    knob: str,
    sweep: Sweep,
    searches: Mapping[str, Search],
    short: int,
    top: float,
) -> None:
    def shown(losses: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(losses), np.minimum(losses, top), top)

    ax.plot(sweep.values, shown(sweep.after(short)), color="0.35", linestyle=":", linewidth=1.5)
    ax.plot(sweep.values, shown(sweep.lowest()), color="black", linewidth=1.5)
    best = int(sweep.lowest().argmin())
    ax.annotate(
        "at its best",
        (sweep.values[best], sweep.lowest()[best]),
        (0, -13),
        textcoords="offset points",
        ha="center",
        fontsize=9,
    )
    early = len(sweep.values) // 3
    ax.annotate(
        f"after {short} epochs",
        (sweep.values[early], shown(sweep.after(short))[early]),
        (3, 5),
        textcoords="offset points",
        fontsize=9,
        color="0.35",
    )
    for name, search in searches.items():
        look = {**look_of(name), "linestyle": ""}
        ax.plot(
            search.values[knob], shown(search.losses), markersize=8, markeredgewidth=2,
            fillstyle="none", clip_on=False, zorder=3, **look,
        )  # fmt: skip
    ax.axhline(top, color="0.7", linewidth=1)
    ax.annotate(
        "not a number, or above", (0.02, top), (0, 3), xycoords=("axes fraction", "data"),
        textcoords="offset points", fontsize=8, color="0.35",
    )  # fmt: skip
    tried = ", ".join(f"{s.distinct(knob)} values" for s in searches.values())
    ax.set_xscale("log")
    ax.set_xlabel(knob)
    ax.set_title(f"{knob}: {tried} tried" if len(searches) == 1 else knob, fontsize=11)


def _draw_progress(ax: Axes, searches: Mapping[str, Search], guessing: float) -> None:
    ax.axhline(guessing, color="black", linewidth=1)
    ax.annotate(
        "guessing", (0.02, guessing), (0, 3), xycoords=("axes fraction", "data"),
        textcoords="offset points", fontsize=9,
    )  # fmt: skip
    furthest = max(float(s.spent[-1]) for s in searches.values())
    for name, search in searches.items():
        ax.step(
            search.spent, search.best_so_far, where="post", markersize=5,
            markevery=max(1, len(search.spent) // 8), **look_of(name),
        )  # fmt: skip
        if math.isfinite(search.best_so_far[-1]):
            ax.annotate(
                name, (search.spent[-1], search.best_so_far[-1]), (5, -4),
                textcoords="offset points", color=look_of(name)["color"], weight="bold",
            )  # fmt: skip
    ax.set_xlim(0, 1.28 * furthest)
    ax.set_xlabel("epochs spent")
    ax.set_title("best so far", fontsize=11)


def say_search(search: Search, space: Mapping[str, tuple[float, float]]) -> str:
    """The search in words: trainings, distinct values and widest gap of each knob, cost, best."""
    knobs = "; ".join(
        f"{name} at {search.distinct(name)} values, its widest gap "
        f"{widest_gap(search.values[name], *space[name]):.2f} decades"
        for name in space
    )
    looks = "once" if search.tested == 1 else f"{search.tested} times"
    return (
        f"{len(search.losses)} trainings, {int(search.spent[-1])} epochs: {knobs}. The lowest "
        f"validation loss is {float(search.best_so_far[-1]):.2f}; the test images were looked at "
        f"{looks if search.tested else 'not once'}."
    )


def draw_strategies(shares: Mapping[str, np.ndarray]) -> Figure:
    """How far each strategy got, one dot a network, with the mean as a bar.

    Args:
        shares: by strategy, share of the way from the planted grid to the optimum, (N,), at most 1.
    """
    with style():
        figure, ax = new_figure(width=8.5, height=0.55 * len(shares) + 1.2)
        names = list(shares)
        for row, name in enumerate(names):
            values = np.clip(np.asarray(shares[name], np.float64), -1, 1)
            ax.plot(
                values, np.full(len(values), row) + np.linspace(-0.22, 0.22, len(values)),
                **{**OTHER, "linestyle": "", "markersize": 4, "fillstyle": "none"},
            )  # fmt: skip
            ax.plot([values.mean()] * 2, [row - 0.32, row + 0.32], color="black", linewidth=2.5)
        ax.axvline(0, color=SICK["color"], linestyle="--", linewidth=1)
        ax.set_yticks(range(len(names)), names)
        ax.invert_yaxis()
        ax.set_xlim(-1.08, 1.08)
        ax.set_xlabel("share of the way from the grid's result (0) to the optimum (1)")
    return figure


def say_strategies(shares: Mapping[str, np.ndarray]) -> str:
    """Mean share of each strategy, and on how many networks it beat the grid."""
    parts = [
        f"{name} {float(np.clip(v, -1, 1).mean()):.2f} (better on "
        f"{int((np.asarray(v) > 0).sum())} of {len(v)})"
        for name, v in shares.items()
    ]
    return "Mean share of the way from the grid to the optimum: " + ", ".join(parts) + "."
