"""What a training loop is measured with: networks of its own, and a fresh gradient."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader.frameworks.tensorflow.arrays import as_integers, as_tensor, build_weights, to_numpy
from grader.frameworks.tensorflow.networks import quick_cnn
from grader.frameworks.tensorflow.training import kept_as_it_was, mean_loss


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


def loss_gradients(model: keras.Model, x: Any, y: Any) -> list[np.ndarray]:
    """Gradient of one batch's mean cross-entropy in training mode, for every parameter.

    In the order of the parameters; zeros for one that does not enter the loss, frozen ones
    included. The model is left as it was, and nothing is added to gradients it may hold.
    """
    build_weights(model, x)
    variables = model.trainable_variables
    with kept_as_it_was(model), tf.GradientTape() as tape:
        value = mean_loss(as_integers(y), model(as_tensor(x), training=True))
    found = dict(zip((v.path for v in variables), tape.gradient(value, variables), strict=True))
    statistics = {"moving_mean", "moving_variance", "seed_generator_state"}
    return [
        np.zeros(v.shape, np.float32) if (g := found.get(v.path)) is None else to_numpy(g)
        for v in model.weights
        if v.name not in statistics
    ]
