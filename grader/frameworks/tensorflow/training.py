"""Training, predicting and the state of a TensorFlow model."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader.frameworks.base import (
    StateArray,
)
from grader.frameworks.order import batch_order
from grader.frameworks.tensorflow.arrays import as_integers, as_tensor, build_weights, to_numpy

STATISTICS = frozenset({"moving_mean", "moving_variance", "seed_generator_state"})
"""Names that Keras gives to the weights that no gradient moves."""


def mean_loss(y: Any, logits: Any) -> tf.Tensor:
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=tf.cast(logits, tf.float32))
    )


@contextmanager
def kept_as_it_was(model: keras.Model) -> Iterator[None]:
    """When closed, the model's statistics are what they were; its weights exist already."""
    state = [np.array(v) for v in model.non_trainable_variables]
    try:
        yield
    finally:
        for variable, old in zip(model.non_trainable_variables, state, strict=True):
            variable.assign(old)


def build_optimizer(model: keras.Model) -> None:
    """Let `fit` trace the step once: it traces twice when the optimizer builds itself meanwhile."""
    model.optimizer.build(model.trainable_variables)


def loss(model: keras.Model, x: Any, y: Any, *, training: bool) -> float:
    """Mean cross-entropy (nats) of the model's logits on a batch.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, first axis N.  y: int labels (N,).
        training: True measures as in a training step (batch statistics, dropout on), without
            changing the model's running statistics for good.
    """
    build_weights(model, x)
    with kept_as_it_was(model):
        return float(mean_loss(as_integers(y), model(as_tensor(x), training=training)))


def train(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    momentum: float = 0.9,
    optimizer: str = "sgd",
    seed: int = 0,
    loss_scale: float = 1.0,
    on_step: Callable[[int, float], None] | None = None,
) -> np.ndarray:
    """Train in place on cross-entropy from logits; return the loss of every step, shape (steps,).

    Batches are drawn without replacement within an epoch, in an order that depends on `seed` only
    and is the same in both frameworks. `optimizer` is "sgd" or "adam". `loss_scale` multiplies the
    loss before the gradient (a summed loss is a mean loss times the batch size). Training stops
    early, and the rest of the returned losses is NaN, once a loss is not finite.
    """
    build_weights(model, x)
    variables = model.trainable_variables
    if not variables:
        return np.full(steps, np.nan)
    update: keras.optimizers.Optimizer
    if optimizer == "adam":
        update = keras.optimizers.Adam(learning_rate)
    else:
        update = keras.optimizers.SGD(learning_rate, momentum=momentum)
    update.build(variables)

    @tf.function(reduce_retracing=True)
    def step_function(batch: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = mean_loss(labels, model(batch, training=True))
            scaled = value * loss_scale
        update.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
        return value

    inputs, labels = as_tensor(x), as_integers(y)
    losses = np.full(steps, np.nan)
    for step, index in enumerate(batch_order(len(labels), batch_size, steps, seed)):
        losses[step] = float(step_function(tf.gather(inputs, index), tf.gather(labels, index)))
        if on_step is not None:
            on_step(step, losses[step])
        if not np.isfinite(losses[step]):
            break
    return losses


def predict(model: keras.Model, x: Any, *, batch_size: int = 256) -> np.ndarray:
    """Return the model's outputs in evaluation mode, float32 (N, K)."""
    # Eager: tracing a graph costs more than the few calls that a check needs.
    inputs = as_tensor(x)
    starts = range(0, len(inputs), batch_size)
    parts = [to_numpy(model(inputs[i : i + batch_size], training=False)) for i in starts]
    return np.concatenate(parts).astype(np.float32)


def parameter_count(model: keras.Model) -> int:
    """Number of parameters; moving statistics and random-number states are not counted."""
    return sum(int(np.prod(v.shape)) for v in model.weights if v.name not in STATISTICS)


def get_state(model: keras.Model) -> list[np.ndarray]:
    """Copies of all parameters and statistics, in a fixed order."""
    return [np.array(v) for v in model.weights]


def set_state(model: keras.Model, state: list[np.ndarray]) -> None:
    """Restore what `get_state` returned."""
    model.set_weights(state)


def cross_entropy(*, reduction: str = "mean", weight: float = 1.0) -> Callable[..., tf.Tensor]:
    """Cross-entropy from logits (nats), called as Keras calls a loss: (labels, logits).

    Args:
        reduction: over the images of a batch, "mean" or "sum".
        weight: a factor in front, as for one term of a loss that has several.
    """
    kind = "sum_over_batch_size" if reduction == "mean" else reduction
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=kind)
    return lambda labels, logits: weight * entropy(labels, logits)


def train_at_rates(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    rates: np.ndarray,
    batch_size: int,
    loss_function: Callable[..., tf.Tensor],
    momentum: float = 0.9,
    seed: int = 0,
) -> np.ndarray:
    """Train from the same start once for every row of rates; return the losses.

    A row of equal rates is a training as usual, a row of rising rates is a range test. The batches
    are the same in every row, in the order of `train`. The model is left as it was.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, first axis N.  y: int labels (N,).
        rates: learning rate of every step, (runs, steps).
        loss_function: what is minimised, (labels, logits) -> a number.
        momentum: of stochastic gradient descent.

    Returns:
        Mean cross-entropy of every step's batch (nats), whatever `loss_function` returns; float64
        (runs, steps). From the first loss that is not finite a row is NaN.
    """
    rates = np.atleast_2d(np.asarray(rates, dtype=np.float64))
    build_weights(model, x)
    variables = model.trainable_variables
    update = keras.optimizers.SGD(0.0, momentum=momentum)
    update.build(variables)
    fresh = [np.array(v) for v in update.variables]
    start = get_state(model)

    # One trace for all rows, and one call for a row: a row begins by restoring variables.
    @tf.function
    def train_row(inputs: tf.Tensor, labels: tf.Tensor, row: tf.Tensor, order: tf.Tensor) -> Any:
        values = tf.TensorArray(tf.float32, size=tf.shape(row)[0])
        for step in tf.range(tf.shape(row)[0]):
            update.learning_rate.assign(row[step])
            targets = tf.gather(labels, order[step])
            with tf.GradientTape() as tape:
                logits = model(tf.gather(inputs, order[step]), training=True)
                value = loss_function(targets, logits)
            update.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
            values = values.write(step, mean_loss(targets, logits))
        return values.stack()

    order = tf.constant(np.array(batch_order(len(y), batch_size, rates.shape[1], seed)))
    losses = np.full(rates.shape, np.nan)
    for run, row in enumerate(rates):
        set_state(model, start)
        for variable, old in zip(update.variables, fresh, strict=True):
            variable.assign(old)
        values = train_row(
            as_tensor(x), as_integers(y), tf.constant(row, tf.float32), order
        ).numpy()
        finite = np.cumprod(np.isfinite(values)).astype(bool)
        losses[run, finite] = values[finite]
    set_state(model, start)
    return losses


def count_training_calls(model: keras.Model) -> Callable[[], int]:
    """Return a function that says how often the model was called in training mode since now."""
    calls = tf.Variable(0, trainable=False)  # counted inside the graph, which Python sees only once
    call = model.call

    def counted(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("training"):
            calls.assign_add(1)
        return call(*args, **kwargs)

    model.call = counted
    return lambda: int(calls)


def predict_in_training(model: keras.Model, x: Any) -> np.ndarray:
    """The model's outputs as in a training step, all images as one batch, float32 (N, K).

    Layers that keep running statistics use the batch's own. The model is left as it was.
    """
    build_weights(model, x)
    with kept_as_it_was(model):
        return to_numpy(model(as_tensor(x), training=True)).astype(np.float32)


def outputs_after_training(
    model: keras.Model,
    sets: list[tuple[Any, Any]],
    unseen: Any,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int = 0,
) -> np.ndarray:
    """Train from the same start once for every set; return what is then said of unseen images.

    Adam, from `learning_rate` in a straight line to 0, so that the end is steady. The batches are
    the same in both frameworks. The model is left as it was.

    Args:
        model: maps x to logits (N, K).
        sets: pairs of what the model eats, first axis N, and int labels (N,).
        unseen: what the model eats, first axis M.

    Returns:
        Logits, float32 (sets, M, K).
    """
    build_weights(model, unseen)
    start = get_state(model)
    learner, update, train_set = _trainer(model, tuple(as_tensor(unseen).shape[1:]))
    rates = tf.constant(learning_rate * (1 - np.arange(steps) / steps), tf.float32)
    outputs = []
    for x, y in sets:
        set_state(learner, start)
        for variable in update.variables:
            variable.assign(tf.zeros_like(variable))
        order = np.array(batch_order(len(y), batch_size, steps, seed), dtype=np.int64)
        train_set(tf.cast(as_tensor(x), tf.float32), as_integers(y), tf.constant(order), rates)
        outputs.append(predict(learner, unseen))
    set_state(learner, start)
    return np.stack(outputs)


_PLAIN_LAYERS = (
    keras.layers.BatchNormalization,
    keras.layers.Conv2D,
    keras.layers.Dense,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
)
_TRAINERS: dict[str, tuple[keras.Model, keras.optimizers.Optimizer, Any]] = {}


def _trainer(
    model: keras.Model, shape: tuple[int, ...]
) -> tuple[keras.Model, keras.optimizers.Optimizer, Any]:
    """What `outputs_after_training` trains: a model, its optimizer, a traced run over a set.

    Tracing takes longer than training here. So a plain stack of layers is cloned and its trace is
    kept for models of the same design; any other model is trained itself.
    """
    key = ""
    if isinstance(model, keras.Sequential) and all(type(x) in _PLAIN_LAYERS for x in model.layers):
        designs = [{**x.get_config(), "name": type(x).__name__} for x in model.layers]
        trained = [[w.trainable for w in x.weights] for x in model.layers]
        key = json.dumps([shape, designs, trained], default=repr)
        if key in _TRAINERS:
            return _TRAINERS[key]
        drawn = random.getstate()  # initial weights that nobody sees must not move it
        model = keras.models.clone_model(model)
        random.setstate(drawn)
    variables = model.trainable_variables
    update = keras.optimizers.Adam()
    update.build(variables)

    # One trace for all sets, whatever their sizes, and one call for a set.
    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *shape], tf.float32),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None, None], tf.int64),
            tf.TensorSpec([None], tf.float32),
        ]
    )
    def train_set(inputs: Any, labels: Any, order: Any, rates: Any) -> None:
        for step in tf.range(tf.shape(rates)[0]):
            update.learning_rate.assign(rates[step])
            with tf.GradientTape() as tape:
                logits = model(tf.gather(inputs, order[step]), training=True)
                value = mean_loss(tf.gather(labels, order[step]), logits)
            update.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))

    if key:
        _TRAINERS[key] = model, update, train_set
    return model, update, train_set


def fit_one_batch(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    rates: Sequence[float],
    steps: int,
    enough: float = -math.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """Train on one and the same batch, from the same start once for every rate.

    Adam, from the rate in a straight line to 0, so that the end is steady. The model is left as it
    was.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, all N images of the batch.  y: int labels (N,).
        enough: further rates are not tried once a loss at the end (nats) is this low.

    Returns:
        Cross-entropy of every step as in training (nats), float64 (rates, steps), and at the end,
        as in training or in evaluation, whichever is lower, (rates,). NaN is what was not run;
        the end is infinite where a loss was not finite.
    """
    build_weights(model, x)
    start, variables = get_state(model), model.trainable_variables
    inputs, labels = as_tensor(x), as_integers(y)
    update = keras.optimizers.Adam()
    update.build(variables)

    # One trace for all rates, and one call for a rate.
    @tf.function(autograph=False)
    def train_at(row: tf.Tensor) -> Any:
        def step(number: tf.Tensor, values: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            update.learning_rate.assign(row[number])
            with tf.GradientTape() as tape:
                value = mean_loss(labels, model(inputs, training=True))
            gradients = tape.gradient(value, variables)
            used = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
            if used:
                update.apply_gradients(used)
            return number + 1, values.write(number, value)

        values = tf.TensorArray(tf.float32, size=steps)
        return tf.while_loop(lambda number, _: number < steps, step, (0, values))[1].stack()

    losses, settled = np.full((len(rates), steps), np.nan), np.full(len(rates), np.nan)
    for run, rate in enumerate(rates):
        set_state(model, start)
        for variable in update.variables:
            variable.assign(tf.zeros_like(variable))
        row = tf.constant(rate * (1 - np.arange(steps) / steps), tf.float32)
        values = to_numpy(train_at(row))
        finite = np.cumprod(np.isfinite(values)).astype(bool)
        losses[run, finite] = values[finite]
        settled[run] = np.inf
        if finite.all():
            ends = [loss(model, x, y, training=mode) for mode in (True, False)]
            settled[run] = min((end for end in ends if np.isfinite(end)), default=np.inf)
        if settled[run] <= enough:
            break
    set_state(model, start)
    return losses, settled


def train_in_one_cycle(
    model: keras.Model, x: Any, y: Any, *, highest: float, epochs: int = 16
) -> list[float]:
    """Train in place with Adam, batches of 32, the rate rising to `highest` and falling again.

    The rate is `highest` half-way and close to 0 at both ends. The order of the images depends on
    the framework's seed.

    Args:
        x: what the model eats, first axis N.  y: int labels (N,).

    Returns:
        Mean loss of every epoch (nats).
    """

    def rate(epoch: int) -> float:
        return float(highest * np.sin(np.pi * (epoch + 0.5) / epochs) ** 2)

    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    schedule = keras.callbacks.LearningRateScheduler(rate)
    build_optimizer(model)
    history = model.fit(x, y, batch_size=32, epochs=epochs, callbacks=[schedule], verbose=0)
    return list(history.history["loss"])


def state_arrays(model: keras.Model) -> list[StateArray]:
    """What the arrays of `get_state` are, in its order."""
    return [
        StateArray(v.path.rsplit("/", 2)[-2], v.name, v.name in STATISTICS) for v in model.weights
    ]


def train_to_rest(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int = 0,
) -> None:
    """Train in place with Adam, from `learning_rate` in a straight line to 0.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, first axis N.  y: int labels (N,).
    """
    build_weights(model, x)
    learner, update, train_set = _trainer(model, tuple(as_tensor(x).shape[1:]))
    set_state(learner, get_state(model))
    for variable in update.variables:
        variable.assign(tf.zeros_like(variable))
    rates = tf.constant(learning_rate * (1 - np.arange(steps) / steps), tf.float32)
    order = np.array(batch_order(len(y), batch_size, steps, seed), dtype=np.int64)
    train_set(tf.cast(as_tensor(x), tf.float32), as_integers(y), tf.constant(order), rates)
    set_state(model, get_state(learner))
