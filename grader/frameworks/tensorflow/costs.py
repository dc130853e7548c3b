"""The patient that computes too much, its frugal peer, and what a layer of one's own executes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# TensorFlow's own debugger counts with it; no public module tells what was executed.
from tensorflow.python.framework import op_callbacks


def costly_network(size: int, classes: int, *, device: str = "/CPU:0") -> keras.Model:
    """The patient of the multiply-adds: wide kernels on every pixel, then a wide dense layer.

    Two convolutions 7x7 of 12 filters at full resolution, each normalised, a pooling, a hidden
    layer of 512 that sees the whole map, logits; for size >= 2 px. Keras's default initialisation.
    """
    layers = keras.layers
    with tf.device(device):
        return keras.Sequential(
            [
                keras.Input((size, size, 3)),
                layers.Conv2D(12, 7, padding="same"),
                layers.BatchNormalization(momentum=0.9),
                layers.ReLU(),
                layers.Conv2D(12, 7, padding="same"),
                layers.BatchNormalization(momentum=0.9),
                layers.ReLU(),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(512, activation="relu"),
                layers.Dense(classes),
            ]
        )


def frugal_network(size: int, classes: int, *, device: str = "/CPU:0") -> keras.Model:
    """The patient's peer: three convolutions 3x3 of 12, 20 and 24 filters, two of them strided.

    Each is normalised; the average over the map goes into a dense layer.
    """
    layers = keras.layers
    with tf.device(device):
        model = keras.Sequential([keras.Input((size, size, 3))])
        for filters, strides in ((12, 2), (20, 2), (24, 1)):
            model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
            model.add(layers.BatchNormalization(momentum=0.9))
            model.add(layers.ReLU())
        model.add(layers.GlobalAveragePooling2D())
        model.add(layers.Dense(classes))
    return model


def layer_ways() -> dict[str, Callable[..., tf.Tensor]]:
    """Three ways to write `layer(x, weight, stride, padding)` without a loop, by name."""

    def padded(x: tf.Tensor, padding: int) -> tf.Tensor:
        return tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])

    def by_patches(x: tf.Tensor, weight: tf.Tensor, stride: int, padding: int) -> tf.Tensor:
        height, width, _, filters = weight.shape
        sizes, strides = [1, height, width, 1], [1, stride, stride, 1]
        windows = tf.image.extract_patches(padded(x, padding), sizes, strides, [1] * 4, "VALID")
        return windows @ tf.reshape(weight, (-1, filters))

    def by_einsum(x: tf.Tensor, weight: tf.Tensor, stride: int, padding: int) -> tf.Tensor:
        maps = padded(x, padding)
        rows, columns = (
            np.arange(0, side - kernel + 1, stride)[:, None] + np.arange(kernel)
            for side, kernel in zip(maps.shape[1:3], weight.shape[:2], strict=True)
        )
        windows = tf.gather(tf.gather(maps, rows, axis=1), columns, axis=3)
        return tf.einsum("nihjwc,hwcf->nijf", windows, weight)

    def by_conv2d(x: tf.Tensor, weight: tf.Tensor, stride: int, padding: int) -> tf.Tensor:
        return tf.nn.conv2d(padded(x, padding), weight, stride, "VALID")

    return {"patches, then a matrix": by_patches, "windows, then einsum": by_einsum,
            "conv2d": by_conv2d}  # fmt: skip


@contextmanager
def _functions_run_eagerly() -> Iterator[None]:
    """While open, a `tf.function` is run as it is written: unrolled, a loop would be hidden."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def layer_operations(
    layer: Callable[..., Any], x: np.ndarray, weight: np.ndarray, stride: int, padding: int
) -> int:
    """Operations that TensorFlow executes for one `layer(x, weight, stride, padding)`.

    A compiled function is run as it is written: a compiler that unrolls a loop would hide it.

    Args:
        x: images, (N, H, W, C).  weight: (height, width, C, outputs).
    """
    images, kernel = tf.constant(x), tf.constant(weight)
    operations = 0

    def count(
        op_type: Any,
        inputs: Any,
        attrs: Any,
        outputs: Any,
        op_name: Any = None,
        graph: Any = None,
    ) -> None:
        nonlocal operations
        operations += 1

    with _functions_run_eagerly():
        op_callbacks.add_op_callback(count)
        try:
            layer(images, kernel, stride, padding)
        finally:
            op_callbacks.remove_op_callback(count)
    return operations


def layer_trial(
    layer: Callable[..., Any],
    x: np.ndarray,
    weight: np.ndarray,
    towards: np.ndarray,
    stride: int,
    padding: int,
) -> dict[str, Any]:
    """What a function `layer(x, weight, stride, padding)` gives, and its gradients.

    Args:
        x: images, (N, H, W, C).  weight: (height, width, C, outputs).  towards: what the output is
            multiplied with, number by number, before it is summed up; (N, H', W', outputs).

    Returns:
        kind: name of the class of what came back.  output: in the order of `towards`, None unless
        it is a tensor.  dtype: its name.  x, weight: gradients of the sum, in the order of the
        arguments; None where there is no way back or the shape is another one.  changed: True when
        the layer wrote into what it was given.
    """
    images, kernel = tf.constant(x), tf.constant(weight)
    with _functions_run_eagerly(), tf.GradientTape() as tape:
        tape.watch([images, kernel])
        output = layer(images, kernel, stride, padding)
        usable = isinstance(output, tf.Tensor)
        # Summed by the tape, so that its way back begins at the layer's own output.
        fits = usable and tuple(output.shape) == towards.shape and output.dtype.is_floating
        total = tf.reduce_sum(output * tf.cast(towards, output.dtype)) if fits else None
    # NumPy has no bfloat16 of its own.
    values = tf.cast(output, tf.float32) if usable and output.dtype == tf.bfloat16 else output
    trial: dict[str, Any] = {
        "kind": type(output).__name__,
        "changed": not (np.array_equal(images, x) and np.array_equal(kernel, weight)),
        "output": values.numpy() if usable else None,
        "dtype": output.dtype.name if usable else "",
        "x": None,
        "weight": None,
    }
    if total is not None:
        of_x, of_weight = tape.gradient(total, [images, kernel])
        trial["x"] = None if of_x is None else tf.convert_to_tensor(of_x).numpy()
        trial["weight"] = None if of_weight is None else tf.convert_to_tensor(of_weight).numpy()
    return trial
