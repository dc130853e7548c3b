"""What a training loop is measured with: networks of its own."""

from __future__ import annotations

import keras
import tensorflow as tf

from grader.frameworks.tensorflow.networks import quick_cnn


def resting_network(size: int, classes: int, *, seed: int, device: str = "/CPU:0") -> keras.Model:
    """A fresh network that black images teach nothing: their gradient is exactly zero.

    One convolution 3x3 of 4 filters with stride 2, ReLU, a dense layer; no biases and no
    normalisation, so that for an image of zeros every value inside is zero. The weights depend on
    the arguments only.
    """
    layers, start = keras.layers, keras.initializers.GlorotUniform
    with tf.device(device):
        return keras.Sequential(
            [
                keras.Input((size, size, 3)),
                layers.Conv2D(
                    4, 3, strides=2, padding="same", activation="relu", use_bias=False,
                    kernel_initializer=start(seed=seed),
                ),
                layers.Flatten(),
                layers.Dense(classes, use_bias=False, kernel_initializer=start(seed=seed + 1)),
            ]
        )  # fmt: skip


def steady_network(size: int, classes: int, *, seed: int, device: str = "/CPU:0") -> keras.Model:
    """A fresh network that learns at rates over two decades; every parameter gets a gradient.

    Convolutions 5x5 to 12 and 3x3 to 16 without biases, both with stride 2, each normalised over
    groups of channels, ReLU, a dense layer. It keeps no statistics, so training and serving are
    the same. The weights depend on the arguments only.
    """
    layers, start = keras.layers, keras.initializers.GlorotUniform
    model = [keras.Input((size, size, 3))]
    with tf.device(device):
        for number, (filters, width) in enumerate(((12, 5), (16, 3))):
            model += [
                layers.Conv2D(
                    filters, width, strides=2, padding="same", use_bias=False,
                    kernel_initializer=start(seed=seed + number),
                ),
                layers.GroupNormalization(4),
                layers.ReLU(),
            ]  # fmt: skip
        last = layers.Dense(classes, kernel_initializer=start(seed=seed + 2))
        return keras.Sequential([*model, layers.Flatten(), last])


def seeded_quick_cnn(size: int, classes: int, *, seed: int, device: str = "/CPU:0") -> keras.Model:
    """A fresh `quick_cnn` on a device, whose weights depend on the arguments only."""
    with tf.device(device):
        model = quick_cnn(size, classes)
        start = keras.initializers.HeUniform
        for number, variable in enumerate(v for v in model.weights if len(v.shape) > 1):
            variable.assign(start(seed=seed + number)(variable.shape, variable.dtype))
    return model
