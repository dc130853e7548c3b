"""The patient that learns by heart, and its training as the overfitting lab runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader.frameworks.tensorflow.arrays import as_integers, as_tensor
from grader.frameworks.tensorflow.training import build_optimizer, get_state


def wide_network(size: int, classes: int, *, device: str = "/CPU:0") -> keras.Model:
    """The patient of the overfitting lab: wide for the few images it is shown; for size >= 4 px.

    Convolutions 3x3 of 16 and 32 filters with pooling, a hidden layer of 128, dropout of a tenth,
    logits. Keras's default initialisation.
    """
    layers = keras.layers
    with tf.device(device):
        return keras.Sequential(
            [
                keras.Input((size, size, 3)),
                layers.Conv2D(16, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(),
                layers.Conv2D(32, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(128, activation="relu"),
                layers.Dropout(0.1),
                layers.Dense(classes),
            ]
        )


class _Lowest(keras.callbacks.Callback):
    """Keeps the state of the epoch with the lowest validation loss."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = np.inf
        self.state: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs and logs["val_loss"] < self.loss:
            self.loss, self.state = logs["val_loss"], get_state(self.model)


def train_with_curve(
    model: keras.Model,
    x: Any,
    y: Any,
    x_val: Any,
    y_val: Any,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
) -> tuple[dict[str, Sequence[float]], list[np.ndarray]]:
    """Train in place with Adam, past the lowest validation loss and to the last epoch.

    Order and dropout depend on the framework's seed, and use it as the overfitting lab's own loop
    does.

    Args:
        x, x_val: what the model eats, first axis N.  y, y_val: int labels (N,).

    Returns:
        Losses of every epoch (nats): "loss" while training, "val_loss" in inference mode, and
        "logged", the validation loss as the lab's program logs it; `fit` logs it in inference
        mode. And the state of the epoch with the lowest "val_loss".
    """
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    build_optimizer(model)
    lowest = _Lowest()
    history = model.fit(
        as_tensor(x),
        as_integers(y),
        batch_size=batch_size,
        epochs=epochs,
        validation_data=(as_tensor(x_val), as_integers(y_val)),
        validation_batch_size=len(x_val),  # in one piece, as the lab's own program
        callbacks=[lowest],
        verbose=0,
    ).history
    history["logged"] = list(history["val_loss"])
    return history, lowest.state if lowest.state is not None else get_state(model)
