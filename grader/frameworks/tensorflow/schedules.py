"""The learning rate that Keras's optimizers apply, and small trainings around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader.frameworks.tensorflow.training import build_optimizer

_MOST_STEPS = 100_000


@cache
def _notebook() -> tuple[tf.Variable, tf.Variable]:
    """Where rates are written, (_MOST_STEPS,), and how many are: inside a graph lists do not grow.

    One for the whole process, so that a step that was traced once is noted whenever it runs.
    """
    with tf.device("/CPU:0"):
        return (
            tf.Variable(tf.zeros(_MOST_STEPS), trainable=False),
            tf.Variable(tf.constant(0, tf.int64), trainable=False),
        )


@contextmanager
def rates_applied() -> Iterator[list[float]]:
    """While open, notes the learning rate of every step of every optimizer.

    Read from the optimizer at the moment of the step, whoever set it. The list is complete when
    the block has ended. A step whose graph was traced outside of such a block is not seen.
    """
    rates: list[float] = []
    written, count = _notebook()
    count.assign(0)
    apply = keras.optimizers.Optimizer.apply
    own = "apply" in vars(keras.optimizers.Optimizer)

    def noting(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        rate = tf.cast(keras.ops.convert_to_tensor(self.learning_rate), tf.float32)
        place = tf.minimum(count, _MOST_STEPS - 1)
        written.scatter_nd_update([[place]], [rate])
        count.assign_add(1)
        return apply(self, grads, trainable_variables)

    keras.optimizers.Optimizer.apply = noting
    try:
        yield rates
    finally:
        if own:
            keras.optimizers.Optimizer.apply = apply
        else:
            del keras.optimizers.Optimizer.apply  # uncovers the one it inherits
        steps = min(int(count), _MOST_STEPS)
        rates.extend(float(rate) for rate in written[:steps].numpy())


def one_layer(inputs: int, outputs: int, *, device: str = "/CPU:0") -> keras.Model:
    """A dense layer and nothing else; its initial weights come from the framework's seed."""
    with tf.device(device):
        return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs)])


def patches_network(size: int, classes: int, *, device: str = "/CPU:0") -> keras.Model:
    """One convolution over patches of 4x4 pixels, ReLU, logits: cheap, where only steps count."""
    with tf.device(device):
        return keras.Sequential(
            [
                keras.Input((size, size, 3)),
                keras.layers.Conv2D(8, 4, strides=4, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(classes),
            ]
        )


def train_at_one_rate(
    model: keras.Model, x: Any, y: Any, *, rate: float, epochs: int
) -> list[float]:
    """Train in place by gradient descent with momentum 0.9 on batches of 32, at one rate.

    The order of the images depends on the framework's seed.

    Args:
        x: what the model eats, first axis N.  y: int labels (N,).

    Returns:
        Mean loss of every epoch (nats).
    """
    model.compile(
        optimizer=keras.optimizers.SGD(rate, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    build_optimizer(model)
    history = model.fit(x, np.asarray(y), batch_size=32, epochs=epochs, verbose=0)
    return list(history.history["loss"])
