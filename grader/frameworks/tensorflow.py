"""TensorFlow and Keras 3 behind the course's framework interface (see `grader.frameworks`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes are not the learner's
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from grader.errors import ClinicError
from grader.frameworks.base import LayerGradient
from grader.frameworks.order import batch_order

NAME = "tensorflow"
TITLE = "TensorFlow"
VERSION = tf.__version__


def choose_device(request: str) -> str:
    """Return the device name for "auto", "cpu" or "cuda"; a GPU is found, never assumed."""
    gpus = tf.config.list_logical_devices("GPU")
    if request == "auto":
        return gpus[0].name if gpus else "/CPU:0"
    if request == "cpu":
        return "/CPU:0"
    if request in ("cuda", "gpu"):
        if not gpus:
            raise ClinicError(
                f"TensorFlow cannot use the device {request!r} on this machine; "
                'use device="auto" to take what is there.'
            )
        return gpus[0].name
    raise ClinicError(f'There is no device {request!r}; use "auto", "cpu" or "cuda".')


def describe_device(device: str) -> str:
    """Return a short name of the device for a picture's caption."""
    if "GPU" in device:
        details = tf.config.experimental.get_device_details(
            tf.config.list_physical_devices("GPU")[0]
        )
        return str(details.get("device_name", "GPU"))
    return f"cpu, {os.cpu_count()} cores"


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and ask for deterministic operations."""
    keras.utils.set_random_seed(seed % 2**32)
    tf.config.experimental.enable_op_determinism()


def to_numpy(value: Any) -> np.ndarray:
    """Return a tensor, array or list as a NumPy array on the host."""
    if isinstance(value, tf.Variable | keras.Variable):
        value = value.value
    return value.numpy() if isinstance(value, tf.Tensor) else np.asarray(value)


def from_images(images: np.ndarray, device: str = "/CPU:0") -> tf.Tensor:
    """Return uint8 or float images (N, H, W, C) as float32 (N, H, W, C), values unchanged."""
    with tf.device(device):
        return tf.convert_to_tensor(np.asarray(images), dtype=tf.float32)


def _mean_loss(y: Any, logits: Any) -> tf.Tensor:
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=tf.cast(logits, tf.float32))
    )


def _tensor(x: Any) -> tf.Tensor:
    return x if isinstance(x, tf.Tensor) else tf.convert_to_tensor(np.asarray(x))


def _integers(y: Any) -> tf.Tensor:
    return tf.convert_to_tensor(to_numpy(y).astype(np.int64))


def _build(model: keras.Model, x: Any) -> None:
    """Create the weights of a model that was defined without an input shape."""
    if not model.built:
        model(_tensor(x)[:1], training=False)


def loss(model: keras.Model, x: Any, y: Any, *, training: bool) -> float:
    """Mean cross-entropy (nats) of the model's logits on a batch.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, first axis N.  y: int labels (N,).
        training: True measures as in a training step (batch statistics, dropout on), without
            changing the model's running statistics for good.
    """
    _build(model, x)
    state = [np.array(v) for v in model.non_trainable_variables]
    value = float(_mean_loss(_integers(y), model(_tensor(x), training=training)))
    for variable, old in zip(model.non_trainable_variables, state, strict=True):
        variable.assign(old)
    return value


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
    _build(model, x)
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
            value = _mean_loss(labels, model(batch, training=True))
            scaled = value * loss_scale
        update.apply_gradients(zip(tape.gradient(scaled, variables), variables, strict=True))
        return value

    inputs, labels = _tensor(x), _integers(y)
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
    inputs = _tensor(x)
    forward = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
    parts = [forward(inputs[i : i + batch_size]).numpy() for i in range(0, len(inputs), batch_size)]
    return np.concatenate(parts).astype(np.float32)


def _weight_layers(model: keras.Model) -> list[tuple[str, keras.Variable]]:
    """Weights of convolutions and dense layers in the order of the layers, frozen ones included."""
    return [(v.path.rsplit("/", 1)[0], v) for v in model.weights if len(v.shape) >= 2]


def layer_gradients(model: keras.Model, x: Any, y: Any) -> list[LayerGradient]:
    """Gradient and weight norm of every convolution and dense layer, input side first.

    Frozen layers are measured too: the gradient that would arrive, not the one that is used.
    The model is left as it was.
    """
    _build(model, x)
    layers = _weight_layers(model)
    state = [np.array(v) for v in model.non_trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([v.value for _, v in layers])
        value = _mean_loss(_integers(y), model(_tensor(x), training=True))
    gradients = tape.gradient(value, [v.value for _, v in layers])
    for variable, old in zip(model.non_trainable_variables, state, strict=True):
        variable.assign(old)
    return [
        LayerGradient(
            name, 0.0 if g is None else float(tf.norm(g)), float(np.linalg.norm(to_numpy(v)))
        )
        for (name, v), g in zip(layers, gradients, strict=True)
    ]


def parameter_count(model: keras.Model) -> int:
    """Number of parameters; moving statistics and random-number states are not counted."""
    trained = {"moving_mean", "moving_variance", "seed_generator_state"}
    return sum(int(np.prod(v.shape)) for v in model.weights if v.name not in trained)


def get_state(model: keras.Model) -> list[np.ndarray]:
    """Copies of all parameters and statistics, in a fixed order."""
    return [np.array(v) for v in model.weights]


def set_state(model: keras.Model, state: list[np.ndarray]) -> None:
    """Restore what `get_state` returned."""
    model.set_weights(state)


def is_model(value: Any) -> bool:
    """True for something that can be trained here."""
    return isinstance(value, keras.Model)
