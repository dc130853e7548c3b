"""Do replicas train one model? How far they are apart, and who has seen which image how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grader.frameworks.base import ReplicaCall, ReplicaRun
from grader.frameworks.processes import LATE, RAISED, RETURNED, Ending
from grader.instruments.style import HATCH, look_of, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ReplicasWait(RuntimeError):
    """One replica waited for another one in vain, or they were not done in time."""


@dataclass(frozen=True)
class Replicas:
    """What the replicas of one training did.

    Attributes:
        apart: largest distance of another replica's weights from those of the first, relative to
            their length, at every step that all of them took, (S,).
        shares: share of all images trained on that went through each device, (D,); a replica in a
            process of its own counts as one.
        times: how often each image was trained on in each epoch, int (E, N).
        foreign: images trained on that are none of the set.
        step_sizes: images between two changes of the weights, all replicas together, (S,).
        repeated: epochs, after the first, whose batches are those of an earlier one.
    """

    apart: np.ndarray
    shares: np.ndarray
    times: np.ndarray
    foreign: int
    step_sizes: np.ndarray
    repeated: int

    @property
    def not_once(self) -> int:
        """Images that an epoch does not see exactly once, over all epochs."""
        return int((self.times != 1).sum()) + self.foreign


def value_of(endings: Sequence[Ending]) -> list[Any]:
    """What the processes of one run have returned; prints what they have printed.

    Raises:
        ReplicasWait: they were stopped, or one waited for another one that had returned.
        Exception: the error that was raised first, under its own name.
    """
    for ending in endings:
        if ending.printed:
            print(ending.printed, end="")
    raised = [e for e in endings if e.how == RAISED]
    if raised:
        # The others fail when they notice that one is gone.
        first = min(raised, key=lambda e: e.when)
        if "closed by peer" in first.message and any(e.how == RETURNED for e in endings):
            raise ReplicasWait("a replica has waited for another one, which had returned")
        raise first.error()
    if any(e.how == LATE for e in endings):
        raise ReplicasWait("the replicas were not done in time and were stopped")
    if any(e.how != RETURNED for e in endings):
        raise RuntimeError("the process of a replica has ended by itself")
    return [e.value for e in endings]


def run_training(fw: Any, train: Callable[..., Any], *arguments: Any, **options: Any) -> list[Any]:
    """Run a training in two replicas and return a `ReplicaRun` for each that trained.

    Args:
        fw: a framework's adapter.  train: `train(build_model, x, y, epochs, batch_size, rate)`.
        arguments, options: see `watched_training` of the adapter.
    """
    endings = fw.watched_training(train, *arguments, **options)
    return [run for runs in value_of(endings) for run in runs]


def run_evaluation(
    fw: Any, evaluate: Callable[..., Any], *arguments: Any, **options: Any
) -> list[Any]:
    """Run an evaluation in two replicas and return a `ReplicaEvaluation` for each process."""
    return value_of(fw.watched_evaluation(evaluate, *arguments, **options))


def steps_of(calls: Sequence[ReplicaCall]) -> list[ReplicaCall]:
    """One call for each step: what entered while the weights stayed the same is put together."""
    steps: list[ReplicaCall] = []
    for call in calls:
        if steps and np.array_equal(steps[-1].weights, call.weights):
            together = np.concatenate([steps[-1].images, call.images])
            steps[-1] = ReplicaCall(together, call.weights)
        else:
            steps.append(call)
    return steps


def _streams(runs: Sequence[ReplicaRun]) -> list[list[ReplicaCall]]:
    """The steps of every replica that took any."""
    return [stream for run in runs if (stream := steps_of(run.calls))]


def measure_replicas(runs: Sequence[ReplicaRun], n: int, epochs: int) -> Replicas:
    """Compare what replicas were seen to do.

    Args:
        runs: one for each replica.  n: images in the set.  epochs: that were asked for; the steps
            are divided evenly among them.

    Raises:
        ValueError: no image went through any replica.
    """
    streams = _streams(runs)
    if not streams:
        raise ValueError("no image went through any replica")
    both = min(map(len, streams))
    apart = [
        max((weights_apart(streams[0][t].weights, s[t].weights) for s in streams[1:]), default=0.0)
        for t in range(both)
    ]
    return count_work(work_of(runs), n, epochs, np.array(apart))


@dataclass(frozen=True)
class ReplicaWork:
    """What one replica trained on.

    Attributes:
        place: the device of its model, or the number of a replica in a process of its own.
        steps: numbers of the images of every step, -1 for one that is none of the set, int (B,).
    """

    place: str | int
    steps: list[np.ndarray]


def work_of(runs: Sequence[ReplicaRun]) -> list[ReplicaWork]:
    """What every replica that took any steps trained on."""
    return [
        ReplicaWork(run.place or number, [step.images for step in steps_of(run.calls)])
        for number, run in enumerate(runs)
        if run.calls
    ]


def count_work(work: Sequence[ReplicaWork], n: int, epochs: int, apart: np.ndarray) -> Replicas:
    """Count who has trained on which image how often.

    Args:
        work: of one replica or more.  n, epochs: as for `measure_replicas`.
        apart: the replicas' distances, (S,), which are passed on.
    """
    places: dict[str | int, int] = {}
    for one in work:
        places[one.place] = places.get(one.place, 0) + sum(map(len, one.steps))
    counts = np.array(list(places.values()))
    together = [
        np.sort(np.concatenate([one.steps[t] for one in work if t < len(one.steps)]))
        for t in range(max(len(one.steps) for one in work))
    ]
    parts = [part.tolist() for part in np.array_split(np.arange(len(together)), epochs)]
    orders = [tuple(together[t].tobytes() for t in part) for part in parts]
    seen = [np.concatenate([together[t] for t in part] or [np.array([], int)]) for part in parts]
    return Replicas(
        apart=apart,
        shares=counts / counts.sum(),
        times=np.stack([np.bincount(s[s >= 0], minlength=n) for s in seen]),
        foreign=int(sum((s < 0).sum() for s in seen)),
        step_sizes=np.array([len(step) for step in together]),
        repeated=sum(order in orders[:e] for e, order in enumerate(orders)),
    )


def weights_apart(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two replicas' weights, relative to the length of the first."""
    length = max(float(np.linalg.norm(a)), 1e-12)
    return float(np.linalg.norm(a.astype(np.float64) - b)) / length


@dataclass(frozen=True)
class UsedGradient:
    """The gradient that one step used, against that of one process on the whole batch.

    `length` is the ratio of their lengths, `error` the length of their difference, in lengths of
    the latter.
    """

    length: float
    error: float


@dataclass(frozen=True)
class Move:
    """The weights before one step of all replicas, and after it, flat, (P,).

    After the last step these are the weights of each model that was returned, otherwise those of
    the first replica.
    """

    before: np.ndarray
    afters: list[np.ndarray]


def steps_compared(steps: int, at: int = 3) -> list[int]:
    """Numbers of at most `at` steps, the first and the last among them."""
    return sorted({round(t) for t in np.linspace(0, steps - 1, min(at, steps))})


def moves_of(runs: Sequence[ReplicaRun], at: int = 3) -> list[Move]:
    """The moves of the steps that are compared.

    Args:
        runs: replicas with equally many steps, all of which returned a model.
    """
    streams = _streams(runs)
    found = []
    for t in steps_compared(min(map(len, streams)), at):
        last = t + 1 == len(streams[0])
        afters = [r.returned for r in runs] if last else [streams[0][t + 1].weights]
        found.append(Move(streams[0][t].weights, [a for a in afters if a is not None]))
    return found


def gradients_of(
    fw: Any, work: Sequence[ReplicaWork], moves: Sequence[Move], images: np.ndarray,
    labels: np.ndarray, *, rate: float, classes: int, at: int = 3,
) -> list[UsedGradient]:  # fmt: skip
    """Compare moves with those of one process on the whole batches.

    Args:
        work: of all replicas.  moves: one for each step that is compared.
        images, labels: the set.  rate: the learning rate.

    Raises:
        ValueError: not as many moves as there are steps to be compared, or one without an end.
    """
    chosen = steps_compared(min(len(one.steps) for one in work), at)
    if len(moves) != len(chosen) or not all(move.afters for move in moves):
        raise ValueError("a step that is compared has no move, or one without an end")
    found = []
    for t, move in zip(chosen, moves, strict=True):
        rows = np.concatenate([one.steps[t] for one in work])
        wanted = fw.mean_gradient(move.before, images[rows], labels[rows], classes=classes)
        size = max(float(np.linalg.norm(wanted)), 1e-12)
        for after in move.afters:
            used = (move.before.astype(np.float64) - after) / rate
            found.append(
                UsedGradient(
                    float(np.linalg.norm(used)) / size, float(np.linalg.norm(used - wanted)) / size
                )
            )
    return found


def measure_gradients(
    fw: Any, runs: Sequence[ReplicaRun], images: np.ndarray, labels: np.ndarray, *, rate: float,
    classes: int, at: int = 3,
) -> list[UsedGradient]:  # fmt: skip
    """Compare `at` steps of plain gradient descent, the first and the last among them.

    The step that a replica took is read off its weights before and after; the last one off the
    model that was returned.

    Args:
        runs: replicas with equally many steps, all of which returned a model.
        images, labels: the set.  rate: the learning rate.
    """
    return gradients_of(
        fw, work_of(runs), moves_of(runs, at), images, labels, rate=rate, classes=classes, at=at
    )


def replay(
    fw: Any, runs: Sequence[ReplicaRun], images: np.ndarray, labels: np.ndarray, *, steps: int,
    rate: float, classes: int,
) -> np.ndarray:  # fmt: skip
    """Weights at which one process arrives that takes the replicas' steps on their whole batches.

    From the weights of the first replica, by plain gradient descent; flat, (P,).

    Args:
        steps: how many; rounding errors grow with each of them.
    """
    streams = _streams(runs)
    together = list(zip(*streams, strict=False))[:steps]
    batches = [np.concatenate([step.images for step in several]) for several in together]
    return np.asarray(
        fw.descend(streams[0][0].weights, images, labels, batches, rate=rate, classes=classes)
    )


def draw_replicas(
    measured: Mapping[str, Replicas], scores: Mapping[str, float] | None = None
) -> Figure:
    """Distance of the replicas, how often an epoch sees each image, and accuracies if given.

    Args:
        measured: by name; "sick" and "repaired" have their usual looks.
        scores: share of unseen images that is recognised, by what was asked.
    """
    with style():
        figure, axes = new_figure(3 if scores else 2, width=13 if scores else 9, height=3.5)
        _draw_apart(axes[0], measured)
        _draw_times(axes[1], measured)
        if scores:
            _draw_scores(axes[2], scores)
    return figure


def _draw_apart(ax: Any, measured: Mapping[str, Replicas]) -> None:
    for name, found in measured.items():
        steps = np.arange(1, len(found.apart) + 1)
        every = max(1, len(steps) // 12)
        ax.plot(steps, found.apart, markevery=every, markersize=5, label=name, **look_of(name))
    ax.set_ylim(-0.04, 1.25 * max(0.4, *(found.apart.max() for found in measured.values())))
    ax.set_xlabel("step")
    ax.set_ylabel("distance / length of the weights")
    ax.set_title("how far the replicas are apart", fontsize=11)
    ax.legend(loc="upper left", frameon=False, ncols=2)


def _draw_times(ax: Any, measured: Mapping[str, Replicas]) -> None:
    most = max(3, *(int(found.times.max()) for found in measured.values()))
    width = 0.8 / len(measured)
    for place, (name, found) in enumerate(measured.items()):
        count = np.bincount(found.times.ravel(), minlength=most + 1) / len(found.times)
        ax.bar(
            np.arange(most + 1) + (place - (len(measured) - 1) / 2) * width, count, width,
            color="white", edgecolor=look_of(name)["color"],
            hatch=HATCH.get(name, HATCH["other"]), label=name,
        )  # fmt: skip
    ax.set_xticks(range(most + 1))
    ax.set_xlabel("times in an epoch")
    ax.set_ylabel("images")
    ax.set_title("how often an image is trained on", fontsize=11)
    ax.legend(frameon=False)


def _draw_scores(ax: Any, scores: Mapping[str, float]) -> None:
    places = np.arange(len(scores))[::-1]
    values = list(scores.values())
    ax.barh(places, values, color="white", edgecolor="black", hatch="..", height=0.6)
    for place, value in zip(places, values, strict=True):
        ax.annotate(f"{value:.0%}", (value, place), (4, 0), textcoords="offset points", va="center")
    ax.set_yticks(places, list(scores))
    ax.set_xlim(0, 1.1)
    ax.grid(False, axis="y")
    ax.set_xlabel("right on unseen images")
    ax.set_title("what comes out", fontsize=11)


def say_replicas(found: Replicas) -> str:
    """The reading in words: distance at the end, images of an epoch, work of each replica."""
    n, epochs = found.times.shape[1], len(found.times)
    if len(found.shares) == 1:
        first = "One replica or device does all of the work"
    else:
        first = (
            f"At step {len(found.apart)} the weights of the replicas lie {found.apart[-1]:.3g} of "
            "their length apart"
        )
    return (
        f"{first}. In an average epoch {found.times.sum() / epochs:.0f} images are trained on, of "
        f"a set of {n}, {(found.times != 1).sum() / epochs:.0f} of them not exactly once. A step "
        f"takes {np.median(found.step_sizes):.0f} images from all replicas together."
    )


@dataclass(frozen=True)
class DeviceAudit:
    """Where the parts of a training live, and how often its host waits.

    Attributes:
        where: names of devices, by part.
        waits: values of tensors that the host asked for.  steps: in how many steps.
    """

    where: dict[str, tuple[str, ...]]
    waits: int
    steps: int

    @property
    def one_place(self) -> bool:
        """True when every part lives on one and the same device."""
        return len({device for devices in self.where.values() for device in devices}) <= 1


def measure_devices(
    fw: Any, parts: Mapping[str, Any], step: Callable[[Any], Any], batches: Sequence[Any]
) -> DeviceAudit:
    """Run `step` on every batch, then look where things are.

    Args:
        parts: models, optimizers, tensors or tuples of tensors, by name.
        batches: what `step` gets; the first one is looked at, too.
    """
    with fw.count_host_waits() as waits:
        for batch in batches:
            step(batch)
        waited = waits()
    where = {name: tuple(fw.devices_of(part)) for name, part in parts.items()}
    where["batch"] = tuple(fw.devices_of(batches[0]))
    return DeviceAudit(where, waited, len(batches))


def bytes_to_move(fw: Any, model: Any, batch: Sequence[Any]) -> int:
    """Bytes of a batch that are not where the model is, and have to be copied before its step.

    Args:
        batch: tensors, or NumPy arrays, which are on the host.
    """
    host, home = fw.devices_of(fw.from_labels(np.zeros(1, dtype=np.int64))), fw.devices_of(model)
    return sum(
        fw.bytes_of(part)
        for part in batch
        if (host if isinstance(part, np.ndarray) else fw.devices_of(part)) != home
    )


def say_devices(audit: DeviceAudit) -> str:
    """The audit in words."""
    places = "; ".join(
        f"{name} on {' and '.join(devices) or 'no device yet'}"
        for name, devices in audit.where.items()
    )
    together = "all in one place" if audit.one_place else "not all in one place"
    return (
        f"{places[0].upper()}{places[1:]}: {together}. The host asked for {audit.waits} values in "
        f"{audit.steps} steps, {audit.waits / audit.steps:.1f} a step."
    )
