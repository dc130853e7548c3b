"""Two replicas of a Keras model on two logical devices, and what they were seen to do.

The devices of a process are fixed when TensorFlow computes for the first time, so replicas run in a
process of their own, in which the processor counts as two devices, "CPU:0" and "CPU:1".
"""

from __future__ import annotations

import functools
import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader.frameworks.base import (
    PlacedRun,
    ReplicaCall,
    ReplicaEvaluation,
    ReplicaRun,
    number_or_nan,
)
from grader.frameworks.processes import Ending, launcher
from grader.frameworks.tensorflow.arrays import from_images, from_labels, to_numpy
from grader.frameworks.tensorflow.loops import steady_network

_MODULES = ("cloudpickle", "grader.frameworks.tensorflow")


def prepare_replicas() -> None:
    """Start what replicas are forked from, which takes some seconds once."""
    launcher(_MODULES).run([_nothing], seconds=60)


def _nothing() -> None:
    """A run that does nothing."""


def in_replicas(
    function: Callable[..., Any], *arguments: Any, replicas: int = 2, seed: int = 0,
    seconds: float = 120,
) -> list[Ending]:  # fmt: skip
    """Call `function(*arguments)` in one process in which the processor counts as two devices."""
    call = functools.partial(_on_devices, replicas, seed, function, arguments)
    return launcher(_MODULES).run([call], seconds=seconds)


def _on_devices(
    replicas: int, seed: int, function: Callable[..., Any], arguments: Sequence[Any]
) -> Any:
    processor = tf.config.list_physical_devices("CPU")[0]
    device = tf.config.LogicalDeviceConfiguration()
    tf.config.set_logical_device_configuration(processor, [device] * replicas)
    keras.utils.set_random_seed(seed)
    return function(*arguments)


def watched_training(
    train: Callable[..., Any], images: np.ndarray, labels: np.ndarray, *, epochs: int,
    batch_size: int, rate: float, classes: int, seed: int, seconds: float = 120,
) -> list[Ending]:  # fmt: skip
    """Run `train(build_model, x, y, epochs, batch_size, rate)` in a process with two devices.

    Args:
        images: float (N, size, size, 3), no two alike.  labels: int (N,).

    Returns:
        One ending, with a `ReplicaRun` for each replica as its value.
    """
    arguments = train, images, labels, epochs, batch_size, rate, classes, seed
    return in_replicas(_watched, *arguments, seed=seed, seconds=seconds)


class _Watch:
    """Makes models that note what enters them, in which replica."""

    def __init__(self, names: dict[bytes, int], training: bool) -> None:
        self.names, self.training = names, training
        self.found: dict[tuple[int, int], list[ReplicaCall]] = {}
        self.places: dict[tuple[int, int], str] = {}
        self.lock, self.models = threading.Lock(), itertools.count()

    def watch(self, model: keras.Model) -> keras.Model:
        number, call = next(self.models), model.call
        model.supports_jit = False  # what watches is a Python function

        def note(place: str, replica: Any, inputs: Any, *weights: Any) -> np.int64:
            seen = [self.names.get(row.tobytes(), -1) for row in inputs]
            flat = np.concatenate([np.ravel(w) for w in weights])
            key = number, int(replica)
            with self.lock:
                self.places[key] = place
                calls = self.found.setdefault(key, [])
                calls.append(ReplicaCall(np.array(seen, dtype=np.int64), flat))
            return np.int64(0)

        def watched(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            context = tf.distribute.get_replica_context()
            symbolic = isinstance(inputs, keras.KerasTensor)
            wanted = not self.training or kwargs.get("training") is not False
            if wanted and not symbolic and context is not None:
                replica = context.replica_id_in_sync_group
                weights = [tf.convert_to_tensor(v.value) for v in model.trainable_variables]
                at = functools.partial(note, model.trainable_variables[0].value.device)
                tf.numpy_function(at, [replica, inputs, *weights], tf.int64)
            return call(inputs, *args, **kwargs)

        model.call = watched
        return model


def _names(x: tf.Tensor) -> dict[bytes, int]:
    return {row.tobytes(): number for number, row in enumerate(to_numpy(x))}


def _watched(
    train: Callable[..., Any], images: np.ndarray, labels: np.ndarray, epochs: int,
    batch_size: int, rate: float, classes: int, seed: int,
) -> list[ReplicaRun]:  # fmt: skip
    x, y = from_images(images), from_labels(labels)
    watch, numbers = _Watch(_names(x), training=True), itertools.count()

    def build_model() -> keras.Model:
        start = 1009 * seed + 10 * next(numbers)
        # No device of its own: that is for the program to say.
        return watch.watch(steady_network(images.shape[1], classes, seed=start, device=""))

    model = train(build_model, x, y, epochs, batch_size, rate)
    shapes = [v.shape for v in steady_network(images.shape[1], classes, seed=0).trainable_variables]
    same = isinstance(model, keras.Model) and shapes == [v.shape for v in model.trainable_variables]
    returned = _flat(model) if same else None
    kind = type(model).__name__
    runs = [
        ReplicaRun(watch.found[key], returned, kind, watch.places[key])
        for key in sorted(watch.found)
    ]
    return runs or [ReplicaRun([], returned, kind)]


def watched_evaluation(
    evaluate: Callable[..., Any], images: np.ndarray, labels: np.ndarray, *, batch_size: int,
    classes: int, weights: np.ndarray, seconds: float = 120,
) -> list[Ending]:  # fmt: skip
    """Run `evaluate(strategy, model, x, y, batch_size)` on two devices.

    The value of the one ending is a `ReplicaEvaluation`.
    """
    arguments = evaluate, images, labels, batch_size, classes, weights
    return in_replicas(_evaluated, *arguments, seconds=seconds)


def _evaluated(
    evaluate: Callable[..., Any], images: np.ndarray, labels: np.ndarray, batch_size: int,
    classes: int, weights: np.ndarray,
) -> ReplicaEvaluation:  # fmt: skip
    x, y = from_images(images), from_labels(labels)
    watch = _Watch(_names(x), training=False)
    strategy = tf.distribute.MirroredStrategy(["/CPU:0", "/CPU:1"])
    with strategy.scope():
        model = steady_network(images.shape[1], classes, seed=0)
        _set(model, weights)
    watch.watch(model)
    with count_host_waits() as waits:
        value = evaluate(strategy, model, x, y, batch_size)
        waited = waits()
    entered = [0, 0]
    for (_, replica), calls in watch.found.items():
        entered[replica] += sum(len(call.images) for call in calls)
    return ReplicaEvaluation(number_or_nan(value), entered, waited)


def watched_placement(
    train_on: Callable[..., Any], images: np.ndarray, labels: np.ndarray, *, batch_size: int,
    rate: float, classes: int, seconds: float = 120,
) -> list[Ending]:  # fmt: skip
    """Run `train_on(device, build_model, x, y, batch_size, rate)` on the second of two devices.

    Returns:
        One ending, with a `PlacedRun` as its value.
    """
    arguments = train_on, images, labels, batch_size, rate, classes
    return in_replicas(_placed, *arguments, seconds=seconds)


def _placed(
    train_on: Callable[..., Any], images: np.ndarray, labels: np.ndarray, batch_size: int,
    rate: float, classes: int,
) -> PlacedRun:  # fmt: skip
    device, x, y = "/CPU:1", from_images(images), from_labels(labels)
    watch = _Watch(_names(x), training=False)

    def build_model() -> keras.Model:
        return watch.watch(steady_network(images.shape[1], classes, seed=0, device=""))

    with count_host_waits() as waits:
        train_on(device, build_model, x, y, batch_size, rate)
        waited = waits()
    entered = {key: sum(len(c.images) for c in calls) for key, calls in watch.found.items()}
    there = sum(n for key, n in entered.items() if watch.places[key].endswith("CPU:1"))
    return PlacedRun(sum(entered.values()), there, waited)


_INSIDE = tuple(str(Path(module.__file__).parent) for module in (tf, keras))
# From a value that somebody asks for down to TensorFlow's own way to it.
_WAY = ("framework/ops.py", "framework/tensor.py", "convert_to_numpy")


def _asked_from_outside() -> bool:
    """True when the value of a tensor is asked for by code that is no part of the framework."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.endswith(_WAY[:2]) and code.co_name != _WAY[2]:
            return not code.co_filename.startswith(_INSIDE)
        frame = frame.f_back
    return True


@contextmanager
def count_host_waits() -> Iterator[Callable[[], int]]:
    """Count how often the host asks for the value of a tensor; on a GPU it waits each time."""
    kind: Any = next(c for c in type(tf.constant(0)).__mro__ if "_numpy" in vars(c))
    original, count = kind._numpy, 0

    def counted(self: Any) -> Any:
        nonlocal count
        count += _asked_from_outside()
        return original(self)

    kind._numpy = counted
    try:
        yield lambda: count
    finally:
        kind._numpy = original


def devices_of(thing: Any) -> list[str]:
    """Names of the devices on which a model's parameters, an optimizer's state or tensors live."""
    if isinstance(thing, keras.Model | keras.optimizers.Optimizer):
        tensors: list[Any] = [v.value for v in thing.variables if len(v.shape)]
    else:
        tensors = list(thing) if isinstance(thing, tuple | list) else [thing]
    return sorted({t.device.split("device:")[-1] for t in tensors})


def _flat(model: keras.Model) -> np.ndarray:
    return np.concatenate([np.ravel(v.numpy()) for v in model.trainable_variables])


def _set(model: keras.Model, weights: np.ndarray) -> None:
    at = 0
    for v in model.trainable_variables:
        n = int(np.prod(v.shape))
        v.assign(weights[at : at + n].reshape(v.shape))
        at += n


@functools.lru_cache(4)
def _plain(size: int, classes: int) -> keras.Model:
    return steady_network(size, classes, seed=0)


def fresh_weights(size: int, classes: int, *, seed: int) -> np.ndarray:
    """Parameters of a fresh network, flat, as replicas begin with."""
    return _flat(steady_network(size, classes, seed=seed))


def logits_at(weights: np.ndarray, images: np.ndarray, *, classes: int) -> np.ndarray:
    """Logits (N, K) of a network with these parameters."""
    model = _plain(images.shape[1], classes)
    _set(model, weights)
    return to_numpy(model(from_images(images), training=False))


def mean_gradient(
    weights: np.ndarray, images: np.ndarray, labels: np.ndarray, *, classes: int
) -> np.ndarray:
    """Gradient of the mean cross-entropy of one batch at some weights, in one process, flat."""
    model = _plain(images.shape[1], classes)
    _set(model, weights)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        value = loss(from_labels(labels), model(from_images(images)))
    gradients = tape.gradient(value, model.trainable_variables)
    return np.concatenate([np.ravel(to_numpy(g)) for g in gradients])


def descend(
    weights: np.ndarray, images: np.ndarray, labels: np.ndarray, batches: Sequence[np.ndarray], *,
    rate: float, classes: int,
) -> np.ndarray:  # fmt: skip
    """Parameters after plain gradient descent on batches of rows, in one process, flat."""
    model = _plain(images.shape[1], classes)
    _set(model, weights)
    x, y = from_images(images), from_labels(labels)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(reduce_retracing=True)
    def step(part: tf.Tensor, targets: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(targets, model(part))
        gradients = tape.gradient(value, model.trainable_variables)
        for v, g in zip(model.trainable_variables, gradients, strict=True):
            v.assign_sub(rate * g)

    for rows in batches:
        step(tf.gather(x, rows), tf.gather(y, rows))
    return _flat(model)
