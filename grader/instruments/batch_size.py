"""Which batch size? Accuracy per epoch, step and second; gradient noise; throughput; portions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.instruments.style import OTHER, REPAIRED, SICK, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENOUGH = 0.9
"""Share of the highest throughput from which on a larger batch gains nothing worth having."""

_LOOKS = (REPAIRED, OTHER, SICK)


@dataclass(frozen=True)
class Course:
    """One training, looked at after some of its steps.

    Attributes:
        batch_size: images of a step.  steps_per_epoch: of the program that was followed.
        steps: behind it at each look, (L,).
        seconds: since the first step was over, (L,), NaN for a look at that step: what it takes is
            start-up, such as tracing. The looks themselves take no time.
        accuracy: on unseen images, a share, (L,).
        loss: cross-entropy on the training images (nats), (L,).
    """

    batch_size: int
    steps_per_epoch: int
    steps: np.ndarray
    seconds: np.ndarray
    accuracy: np.ndarray
    loss: np.ndarray

    @property
    def epochs(self) -> np.ndarray:
        """Epochs behind it at each look, (L,)."""
        return self.steps / self.steps_per_epoch

    def at(self, axis: str, value: float, what: str = "accuracy") -> float:
        """Accuracy, or another array, at a number of "steps", "epochs" or "seconds".

        In a straight line between two looks; NaN outside of what was looked at.
        """
        places = getattr(self, axis)
        if not places[0] <= value <= places[-1]:
            return math.nan
        return float(np.interp(value, places, getattr(self, what)))


class Follower:
    """Looks at a model while a training loop calls it after every step.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: is trained by somebody else.
        seen, unseen: pairs of what the model eats and int labels; training and unseen images.
        batch_size: images of a step.  steps_per_epoch: of the loop.
        at: numbers of steps after which to look.
    """

    def __init__(
        self,
        fw: Any,
        model: Any,
        seen: tuple[Any, np.ndarray],
        unseen: tuple[Any, np.ndarray],
        *,
        batch_size: int,
        steps_per_epoch: int,
        at: Sequence[int],
    ) -> None:
        self._fw, self._model, self._seen, self._unseen = fw, model, seen, unseen
        self._size, self._per_epoch, self._at = batch_size, steps_per_epoch, set(at)
        self._steps, self._seconds, self._looks = 0, 0.0, list[tuple[float, ...]]()
        self._since = math.nan

    def __call__(self) -> None:
        """One step is over."""
        self._steps += 1
        if self._steps not in self._at:
            if self._steps == 1:
                self._since = time.perf_counter()
            return
        # Reading the weights waits for a device that is still at work.
        self._fw.get_state(self._model)
        if self._steps > 1:
            self._seconds += time.perf_counter() - self._since
        outputs = self._fw.predict(self._model, self._unseen[0])
        right = float((outputs.argmax(axis=1) == self._unseen[1]).mean())
        loss = self._fw.loss(self._model, *self._seen, training=False)
        seconds = self._seconds if self._steps > 1 else math.nan
        self._looks.append((self._steps, seconds, right, loss))
        self._since = time.perf_counter()

    def course(self) -> Course:
        """What was seen so far.

        Raises:
            ValueError: no look was taken.
        """
        if not self._looks:
            raise ValueError("no step that should be looked at has been taken")
        steps, seconds, accuracy, loss = (np.array(v) for v in zip(*self._looks, strict=True))
        return Course(self._size, self._per_epoch, steps, seconds, accuracy, loss)


def looks(last: int, *also: int, per_doubling: int = 1) -> list[int]:
    """Steps after which to look: evenly on a logarithmic axis from 1 to `last`, and `also`."""
    count = 2 + round(per_doubling * math.log2(max(last, 2)))
    return sorted({*np.geomspace(1, last, count).round().astype(int).tolist(), *also})


def draw_courses(courses: Sequence[Course], epochs: float, steps: int) -> Figure:
    """The same trainings three times: against epochs, against steps, against seconds.

    Args:
        epochs, steps: where the trainings are compared; marked by a line.
    """
    with style():
        figure, axes = new_figure(3, width=13.0, height=4.0)
        panels = (
            ("epochs", epochs),
            ("steps", steps),
            ("seconds", None),
        )
        for ax, (title, marked) in zip(axes, panels, strict=True):
            if marked is not None:
                ax.axvline(marked, color="black", linewidth=1)
                ax.annotate(
                    f"{marked:g} {title}", (marked, 0.02), (-4, 0),
                    xycoords=("data", "axes fraction"), textcoords="offset points", rotation=90,
                    ha="right", va="bottom", fontsize=9,
                )  # fmt: skip
            for course, look in zip(courses, _LOOKS, strict=False):
                ax.plot(
                    getattr(course, title), 100 * course.accuracy, markersize=5,
                    label=f"batch of {course.batch_size}", **look,
                )  # fmt: skip
            ax.set(xscale="log", xlabel=f"{title} (logarithmic)")
            ax.set_ylim(0, 100)
            ax.set_title(f"against {title}", fontsize=11)
        axes[0].set_ylabel("right on unseen images (%)")
        axes[-1].legend(loc="lower right", frameon=False, fontsize=10)
    return figure


def say_courses(courses: Sequence[Course], epochs: float, steps: int) -> str:
    """Both comparisons in words, and how many steps the epochs were."""

    def listed(axis: str, value: float) -> str:
        return ", ".join(
            f"batch of {c.batch_size} {100 * c.at(axis, value):.0f} %" for c in courses
        )

    taken = ", ".join(f"{epochs * c.steps_per_epoch:.0f}" for c in courses)
    return (
        f"After {epochs:g} epochs: {listed('epochs', epochs)} right on unseen images, in {taken} "
        f"steps. After {steps} steps: {listed('steps', steps)}."
    )


@dataclass(frozen=True)
class GradientNoise:
    """How far the gradient of a batch lies from that of all images.

    Attributes:
        sizes: of the batches, (S,).
        variance: mean squared distance over the squared length of the whole gradient, (S,).
    """

    sizes: np.ndarray
    variance: np.ndarray

    @property
    def slope(self) -> float:
        """Exponent with which the variance changes with the size; -1 for independent images."""
        return float(np.polyfit(np.log(self.sizes), np.log(self.variance), 1)[0])

    @property
    def scale(self) -> float:
        """Batch size at which noise and gradient are equally long: the simple noise scale of
        McCandlish et al. (2018), from a line of slope -1 through all sizes."""
        return float(np.exp(np.mean(np.log(self.variance * self.sizes))))


def measure_gradient_noise(
    fw: Any,
    model: Any,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    sizes: Sequence[int],
    draws: int = 12,
    seed: int = 0,
    device: Any = None,
) -> GradientNoise:
    """Draw batches of every size, with replacement, and compare their gradients with the whole.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: maps x to logits (N, K); not changed.
        images: standardised, (N, H, W, 3).  labels: int (N,).
    """
    where = () if device is None else (device,)

    def gradient(rows: np.ndarray) -> np.ndarray:
        x = fw.from_images(images[rows], *where)
        return _flat(fw.loss_gradients(model, x, labels[rows]))

    rng = np.random.default_rng([seed % 2**32, 23])
    whole = gradient(np.arange(len(labels)))
    variance = [
        np.mean(
            [
                ((gradient(rng.integers(0, len(labels), size)) - whole) ** 2).sum()
                for _ in range(draws)
            ]
        )
        for size in sizes
    ]
    return GradientNoise(np.array(sizes), np.array(variance) / (whole**2).sum())


def draw_gradient_noise(noise: GradientNoise) -> Figure:
    """The variance against the size, beside a line of slope -1."""
    with style():
        figure, ax = new_figure(width=6.5)
        ax.plot(noise.sizes, noise.scale / noise.sizes, color="black", linewidth=1)
        ax.annotate(
            "proportional to 1 / size", (noise.sizes[1], noise.scale / noise.sizes[1]), (8, 4),
            textcoords="offset points",
        )  # fmt: skip
        ax.plot(noise.sizes, noise.variance, **{**REPAIRED, "linestyle": ""})
        ax.set(xscale="log", yscale="log", xlabel="batch size", xticks=list(noise.sizes))
        ax.set_xticklabels([str(size) for size in noise.sizes])
        ax.minorticks_off()
        ax.set_ylabel("noise² / gradient²")
    return figure


def say_gradient_noise(noise: GradientNoise) -> str:
    """The reading in words: how the noise falls, and where it is as long as the gradient."""
    return (
        f"From a batch of {noise.sizes[0]} to one of {noise.sizes[-1]} the variance of the "
        f"gradient falls from {noise.variance[0]:.3g} to {noise.variance[-1]:.3g} of its squared "
        f"length, as the size to the power of {noise.slope:.2f}. Noise and gradient are equally "
        f"long at a batch of about {noise.scale:.0f}."
    )


@dataclass(frozen=True)
class Throughput:
    """Images a second at every batch size, measured several times.

    Attributes:
        sizes: rising, (S,).
        images_per_second: (R, S); a repeat that something else has disturbed is too low.
    """

    sizes: np.ndarray
    images_per_second: np.ndarray

    @property
    def typical(self) -> np.ndarray:
        """Median of the repeats, (S,)."""
        return np.median(self.images_per_second, axis=0)

    @property
    def knee(self) -> int:
        """Smallest size that reaches `ENOUGH` of the highest throughput."""
        return knee(self.sizes, self.typical)


def knee(sizes: np.ndarray, rates: np.ndarray, share: float = ENOUGH) -> int:
    """Smallest size whose rate is at least that share of the highest one."""
    return int(np.min(np.asarray(sizes)[np.asarray(rates) >= share * np.max(rates)]))


def measure_throughput(
    step: Callable[[int], Any], sizes: Sequence[int], repeats: int = 5
) -> Throughput:
    """Time one step of every size; the first one of a size is not timed.

    The sizes take turns, so that what disturbs a second or two does not fall on one of them.

    Args:
        step: takes one step on a batch of the size that it is given, and waits until it is over.
    """
    rates = np.zeros((repeats, len(sizes)))
    for size in sizes:
        step(size)
    for row in range(repeats):
        for column, size in enumerate(sizes):
            since = time.perf_counter()
            step(size)
            rates[row, column] = size / (time.perf_counter() - since)
    return Throughput(np.array(sizes), rates)


def draw_throughput(throughput: Throughput, chosen: int) -> Figure:
    """Images a second and the time of one step, against the batch size."""
    sizes, typical = throughput.sizes, throughput.typical
    with style():
        figure, (left, right) = new_figure(2, width=10.5, height=3.8)
        for row in throughput.images_per_second:
            left.plot(sizes, row, linestyle="", marker=".", color="#595959")
        left.plot(sizes, typical, **REPAIRED)
        left.axhline(ENOUGH * typical.max(), color="black", linewidth=1)
        left.annotate(
            f"{ENOUGH:.0%} of the highest", (sizes[0], ENOUGH * typical.max()), (0, 4),
            textcoords="offset points", fontsize=9,
        )  # fmt: skip
        left.set(ylabel="images a second")
        left.set_title("throughput", fontsize=11)
        left.set_ylim(0, 1.15 * throughput.images_per_second.max())
        right.plot(sizes, 1000 * sizes / typical, **REPAIRED)
        right.set(yscale="log", ylabel="milliseconds a step")
        right.set_title(f"time of one step; chosen: {chosen}", fontsize=11)
        for ax in (left, right):
            ax.axvline(chosen, color=SICK["color"], linestyle="--", linewidth=1.5)
            ax.set(xscale="log", xlabel="batch size", xticks=list(sizes))
            ax.set_xticklabels([str(size) for size in sizes], fontsize=9)
            ax.minorticks_off()
    return figure


def say_throughput(throughput: Throughput) -> str:
    """The reading in words: the highest throughput, and the smallest batch that nearly has it."""
    typical, sizes = throughput.typical, throughput.sizes
    best = int(typical.argmax())
    return (
        f"A batch of {sizes[0]} goes through at {typical[0]:.0f} images a second, the fastest one, "
        f"of {sizes[best]}, at {typical[best]:.0f}. {ENOUGH:.0%} of that are reached from a "
        f"batch of {throughput.knee} on."
    )


Step = Callable[[Any, Any, Any, float, int], Any]
"""(model, x, y, rate, portion): one step of plain gradient descent on all of x, in place."""


@dataclass(frozen=True)
class UsedStep:
    """One step in portions, beside the step of the whole batch.

    Attributes:
        error: distance of the gradient that was used from that of the whole batch, over the length
            of the latter; not finite for weights that are not.
        length: length of the one over that of the other.
        largest: images in the largest call of the model so far.
    """

    error: float
    length: float
    largest: int


@dataclass(frozen=True)
class TakenStep:
    """What a step in portions left behind.

    Attributes:
        weights: of the model after it, as `get_state` gives them.
        largest: images in the largest call of the model so far.
    """

    weights: list[np.ndarray]
    largest: int


def take_steps(
    fw: Any,
    step: Step,
    model: Any,
    batches: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    rate: float,
    portion: int,
    device: Any = None,
) -> list[TakenStep]:
    """Let `step` take one step for each batch, one after the other.

    Args:
        fw: a framework's adapter, from `grader.frameworks.load`.
        model: is trained.
        batches: pairs of standardised images (N, H, W, 3) and int labels (N,).
        rate: large enough that a step between the portions would be seen.

    Raises:
        ValueError: `step` changed the shapes of the weights.
    """
    where = () if device is None else (device,)
    shapes, taken = [a.shape for a in fw.get_state(model)], []
    passes = fw.count_passes(model)
    for images, labels in batches:
        step(model, fw.from_images(images, *where), fw.from_labels(labels, *where), rate, portion)
        after = fw.get_state(model)
        if [a.shape for a in after] != shapes:
            raise ValueError("the step changed the shapes of the weights")
        taken.append(TakenStep(after, passes().largest))
    return taken


def measure_steps(
    fw: Any,
    taken: Sequence[TakenStep],
    model: Any,
    batches: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    rate: float,
    device: Any = None,
) -> list[UsedStep]:
    """Compare the gradient that each step used with the one that it should have used.

    The gradient that was used is the change of the weights over the rate. So it does not matter how
    it was added up.

    Args:
        fw, batches, rate: as the steps were taken with them.
        model: as fresh as theirs was, keeps no statistics; left with the weights before the last.
    """
    where = () if device is None else (device,)
    found, before = [], fw.get_state(model)
    for step, (images, labels) in zip(taken, batches, strict=True):
        fw.set_state(model, before)
        whole = _flat(fw.loss_gradients(model, fw.from_images(images, *where), labels))
        with np.errstate(all="ignore"):  # the weights may have left the range of numbers
            used = (_flat(before) - _flat(step.weights)) / rate
            length = float(np.linalg.norm(whole))
            error = float(np.linalg.norm(used - whole)) / length
            ratio = float(np.linalg.norm(used)) / length
        found.append(UsedStep(error, ratio, step.largest))
        before = step.weights
    return found


def _flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([a.ravel() for a in arrays]).astype(np.float64)


def say_steps(steps: Mapping[str, UsedStep]) -> str:
    """Each step in words."""
    return " ".join(
        f"{name}: the gradient that was used is {step.length:.2f} times as long as that of the "
        f"whole batch and lies {step.error:.2g} of its length away from it; the largest call had "
        f"{step.largest} images."
        for name, step in steps.items()
    )
