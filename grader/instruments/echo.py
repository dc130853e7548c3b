"""How long does a training loop repeat a batch? The echo of one batch among empty ones."""

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

Train = Callable[[Any, list[tuple[Any, Any]], float], Any]
"""(model, batches, rate): trains in place, one step for each batch, in their order."""

EMPTIES = 30
"""Empty batches until the echo is read.

Momentum of 0.9 has then kept 0.9^31 = 4 % of a gradient and momentum of 0.99 three quarters, while
a sum that nobody clears has kept all of it.
"""

LISTENED = 6
"""Further batches over which it is read; see `Echo`."""

_SIZE, _IMAGES = 8, 8  # of the batches with which a loop is probed


@dataclass(frozen=True)
class Echo:
    """One batch, then nothing but empty ones, whose gradient is exactly zero.

    Attributes:
        empties: numbers of empty batches after the one that is not, (P,), rising.
        ways: distance of the weights from their start after that many, (P,).
        silent: how far the weights go on `LISTENED` more empty batches.
        returning: how much further, or elsewhere, they go if the first of these is not empty but
            the first batch once more.
    """

    empties: np.ndarray
    ways: np.ndarray
    silent: float
    returning: float

    @property
    def share(self) -> float:
        """What the old batch still does over what it does when it comes anew.

        0 for a loop that forgets what it has used, and small for momentum and Adam. 1 or more for
        one that adds each gradient to all before: there the old batch pushes like the new one,
        which has less to teach than it had at first. Infinite for weights that go on and do not
        heed the new one; NaN when nothing moves or a weight is not finite.
        """
        if not (math.isfinite(self.silent) and math.isfinite(self.returning)):
            return math.nan
        if self.returning == 0:
            return math.inf if self.silent > 0 else math.nan
        return self.silent / self.returning

    @property
    def in_first_steps(self) -> np.ndarray:
        """`ways` in lengths of the first step, (P,); NaN when there was none."""
        first = self.ways[0]
        return self.ways / first if first > 0 else np.full(len(self.ways), math.nan)


class EchoError(ValueError):
    """A training function cannot be measured; the sentence says what it did instead."""


def probe_batches(fw: Any, *, classes: int, seed: int, device: Any = "cpu") -> tuple[Any, Any]:
    """A batch of noise with labels and a batch of black images with the same labels."""
    rng = np.random.default_rng([seed % 2**32, 17])
    noise = rng.normal(size=(_IMAGES, _SIZE, _SIZE, 3)).astype(np.float32)
    labels = np.arange(_IMAGES) % classes
    full, black = (fw.from_images(images, device) for images in (noise, 0 * noise))
    return (full, fw.from_labels(labels, device)), (black, fw.from_labels(labels, device))


def measure_echo(
    fw: Any,
    train: Train,
    *,
    rate: float,
    empties: Sequence[int] = (0, EMPTIES),
    classes: int = 4,
    seed: int = 0,
    device: Any = "cpu",
) -> Echo:
    """Measure a training function from outside, on a network of the instrument's own.

    The weights are read only when `train` has returned: it is run once for every number of empty
    batches, from the same start, and twice more for what follows. So it does not matter how it
    computes its gradients, which optimizer it uses, or whether it reads batches ahead.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        train: see `Train`.  rate: learning rate that it is given.
        empties: numbers of empty batches, rising, the first one 0.

    Raises:
        EchoError: `train` changed the shapes of the weights.
    """

    def weights_after(*full: bool) -> np.ndarray:
        # Made anew for every run: a loop may change what it is given.
        pair = probe_batches(fw, classes=classes, seed=seed, device=device)
        model = fw.resting_network(_SIZE, classes, seed=seed, device=device)
        shapes = [a.shape for a in fw.get_state(model)]
        fw.set_seed(seed)
        if full:
            train(model, [pair[0] if some else pair[1] for some in full], rate)
        state = fw.get_state(model)
        if [a.shape for a in state] != shapes:
            raise EchoError(
                "The training changed the shapes of the weights; it should train the model that "
                "it is given."
            )
        return np.concatenate([a.ravel() for a in state]).astype(np.float64)

    start, quiet = weights_after(), (True, *[False] * empties[-1])
    ends = [weights_after(True, *[False] * n) for n in empties]
    on = weights_after(*quiet, *[False] * LISTENED)
    # Both have the same number of batches, for the sake of a loop whose rate depends on it.
    anew = weights_after(*quiet, True, *[False] * (LISTENED - 1))
    with np.errstate(invalid="ignore", over="ignore"):
        return Echo(
            np.array(empties),
            np.array([float(np.linalg.norm(end - start)) for end in ends]),
            silent=float(np.linalg.norm(on - ends[-1])),
            returning=float(np.linalg.norm(anew - on)),
        )


@dataclass(frozen=True)
class UsedGradient:
    """What one step of plain gradient descent used, beside what it should have used.

    Attributes:
        batch: number of the step, from 1.
        used: norm of the change of the weights over the learning rate.
        fresh: norm of the gradient of that step's own batch.
    """

    batch: int
    used: float
    fresh: float

    @property
    def ratio(self) -> float:
        """Used over fresh; 1 for plain gradient descent."""
        return self.used / self.fresh if self.fresh > 0 else math.inf


def measure_used_gradient(
    fw: Any,
    train: Train,
    build_model: Callable[[], Any],
    batches: list[tuple[Any, Any]],
    *,
    rate: float,
    seed: int = 0,
) -> UsedGradient:
    """Measure the last step of a training by plain gradient descent on all of `batches`.

    Args:
        build_model: returns a fresh model, called right after the seed is set; no statistics in it.
    """

    def trained(some: list[tuple[Any, Any]]) -> Any:
        fw.set_seed(seed)
        model = build_model()
        if some:
            train(model, some, rate)
        return model

    model = trained(batches[:-1])
    x, y = batches[-1]
    fresh = fw.loss_gradients(model, x, fw.to_numpy(y))
    moved = [
        after.astype(np.float64) - before
        for before, after in zip(
            fw.get_state(model), fw.get_state(trained(list(batches))), strict=True
        )
    ]
    return UsedGradient(len(batches), norm(moved) / rate, norm(fresh))


def norm(arrays: Sequence[np.ndarray]) -> float:
    """Euclidean norm of all entries of some arrays."""
    return math.sqrt(sum(float((a.astype(np.float64) ** 2).sum()) for a in arrays))


def different_units(fw: Any, model: Any, x: Any) -> tuple[int, int]:
    """How many units of the first layer with maps say different things, and how many there are.

    Two units that give the same for every image of x also get the same gradient as long as what
    follows treats them alike, and then nothing will ever tell them apart.
    """
    first = next(layer.output for layer in fw.layer_outputs(model, x) if layer.output.ndim == 4)
    values = first.reshape(-1, first.shape[-1]).astype(np.float64)
    scale = max(float(np.abs(values).max()), 1e-30)
    return len(np.unique(np.round(values / scale, 6), axis=1).T), values.shape[1]


def draw_echo(
    echoes: Mapping[str, Echo], losses: Mapping[str, Sequence[float]], classes: int
) -> Figure:
    """The way of the weights after one batch and many empty ones, then the losses of trainings.

    Args:
        echoes: by name; "sick" and "repaired" have their usual looks.
        losses: of every step (nats), by name. A name that begins with "sick" or "repaired" has that
            look; several of one look differ in their width.
        classes: number of classes K, for the line of guessing, ln K.
    """
    with style():
        figure, (left, right) = new_figure(columns=2, width=11, height=3.9)
        for name, echo in echoes.items():
            _draw_way(left, name, echo)
        left.set(xlabel="empty batches since the only real one", ylim=(0, None))
        left.set_ylabel("way of the weights, in first steps")
        left.set_title("One batch, and then nothing more to learn", fontsize=11)
        longest = max(int(echo.empties[-1]) for echo in echoes.values())
        left.set_xlim(0, 1.4 * longest)
        left.set_xticks(next(iter(echoes.values())).empties)
        _draw_losses(right, losses, classes)
    return figure


def _draw_way(ax: Axes, name: str, echo: Echo) -> None:
    ways = echo.in_first_steps
    ax.plot(echo.empties, ways, **look_of(name))
    if np.isfinite(ways[-1]):
        ax.annotate(
            name, (echo.empties[-1], ways[-1]), (7, 0), textcoords="offset points", va="center",
            color=look_of(name)["color"],
        )  # fmt: skip


def _draw_losses(ax: Axes, losses: Mapping[str, Sequence[float]], classes: int) -> None:
    guessing, seen = math.log(classes), dict[str, int]()
    top, apart = 2.2 * guessing, 0.055 * 2.2 * guessing
    taken = [guessing, guessing + apart]  # heights of names; the line of guessing has the first
    for name, values in losses.items():
        kind = name.split()[0].rstrip(",")
        seen[kind] = seen.get(kind, 0) + 1
        curve = np.minimum(np.nan_to_num(_running_mean(values), nan=top, posinf=top), top)
        look = {**look_of(kind), "linewidth": 0.8 * seen[kind], "markersize": 5}
        ax.plot(np.arange(1, len(curve) + 1), curve, markevery=(5 * seen[kind], 20), **look)
        height = float(curve[-1])
        while any(abs(height - other) < apart for other in taken):
            height += apart / 4  # names that would overlap are lifted
        taken.append(height)
        ax.annotate(
            name, (len(curve), height), (6, 0), textcoords="offset points", va="center",
            color=look["color"], fontsize=10,
        )  # fmt: skip
    longest = max(len(values) for values in losses.values())
    ax.axhline(guessing, color="black", linewidth=1)
    ax.annotate(
        f"guessing, ln {classes} = {guessing:.2f}", (1.4 * longest, guessing), (0, 4),
        textcoords="offset points", ha="right", fontsize=10,
    )  # fmt: skip
    ax.set(xlim=(0, 1.4 * longest), ylim=(0, top), xlabel="batch")
    ax.set_xticks(np.linspace(0, longest, 6))
    ax.set_ylabel("training loss (nats), mean of 8")
    ax.set_title("The loss of every batch", fontsize=11)


def _running_mean(values: Sequence[float], width: int = 8) -> np.ndarray:
    """Mean of each value and up to seven before it."""
    array = np.asarray(values, dtype=np.float64)
    return np.array([array[max(0, i + 1 - width) : i + 1].mean() for i in range(len(array))])


def say_echo(echo: Echo) -> str:
    """The reading in words: how far the weights went on empty batches, and their next step."""
    ways, last = echo.in_first_steps, int(echo.empties[-1])
    if not np.isfinite(ways).all() or math.isnan(echo.share):
        return "The weights do not move on the first batch, or leave the range of their numbers."
    return (
        f"After one batch and {last} empty ones the weights are {ways[-1]:.3g} times as far from "
        f"their start as the first step took them. On {LISTENED} more empty batches they go "
        f"{echo.silent:.2g} further; the first batch, given anew, makes a difference of "
        f"{echo.returning:.2g}."
    )


def say_used_gradient(used: UsedGradient) -> str:
    """The reading in words: how much longer than its own batch's gradient the used one is."""
    return (
        f"Step {used.batch} used a gradient of norm {used.used:.3g}. The gradient of its own batch "
        f"has the norm {used.fresh:.3g}: {used.ratio:.3g} times as long."
    )
