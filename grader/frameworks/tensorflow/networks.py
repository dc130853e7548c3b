"""The patients and the controls as TensorFlow models."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def small_network(
    size: int, classes: int, *, width: int, seed: int, device: str = "/CPU:0"
) -> keras.Model:
    """A fresh convolutional network whose weights depend on the arguments only.

    Three times convolution 3x3, batch normalisation, ReLU, with `width`, then twice `2 * width`
    filters; the maps are halved after the first two; global average and a dense layer.

    Args:
        size: pixels on a side.  classes: number of logits.
    """
    with tf.device(device):
        return keras.Sequential(
            [
                keras.Input((size, size, 3)),
                *_block(width, seed),
                keras.layers.MaxPooling2D(2),
                *_block(2 * width, seed + 1),
                keras.layers.MaxPooling2D(2),
                *_block(2 * width, seed + 2),
                keras.layers.GlobalAveragePooling2D(),
                _logits(classes, seed + 3),
            ]
        )


def _block(filters: int, seed: int) -> list[keras.layers.Layer]:
    start = keras.initializers.GlorotUniform(seed=seed)
    return [
        keras.layers.Conv2D(filters, 3, padding="same", kernel_initializer=start),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.ReLU(),
    ]


def _logits(classes: int, seed: int) -> keras.layers.Layer:
    return keras.layers.Dense(
        classes, kernel_initializer=keras.initializers.GlorotUniform(seed=seed)
    )


def plain_cnn(size: int, classes: int) -> keras.Model:
    """The plain patient: two convolutions with pooling, one hidden layer, logits; for size >= 4 px.

    No normalisation, so the scale of the input reaches the loss. Glorot initialisation with zero
    biases (Keras's default) in both frameworks, so that both patients start alike.
    """
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(classes),
        ]
    )


def deep_stack(size: int, classes: int) -> keras.Model:
    """The deep patient: fourteen convolutions 3x3 with ReLU, 16 filters each, and a dense layer.

    The maps are halved after the first and the second convolution, so size is at least 4 px.
    Weights and biases are uniform within 1 / sqrt(inputs), PyTorch's default, in both frameworks;
    behind a ReLU a layer passes on about 1/6 of a signal's variance (He et al. 2015, section 2.2,
    ask for all of it).
    """

    def uniform(inputs: int) -> dict[str, keras.initializers.Initializer]:
        bound = inputs**-0.5
        return {
            "kernel_initializer": keras.initializers.RandomUniform(-bound, bound),
            "bias_initializer": keras.initializers.RandomUniform(-bound, bound),
        }

    model = keras.Sequential([keras.Input((size, size, 3))])
    channels = 3
    for number in range(1, 15):
        model.add(
            keras.layers.Conv2D(16, 3, padding="same", activation="relu", **uniform(9 * channels))
        )
        channels = 16
        if number in (1, 2):
            model.add(keras.layers.MaxPooling2D())
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(classes, **uniform(16 * (size // 4) ** 2)))
    return model


def two_block_network(
    size: int, classes: int, *, width: int, seed: int, device: str = "/CPU:0"
) -> keras.Model:
    """A fresh small network whose weights depend on the arguments only; for size >= 4 px.

    Twice convolution 3x3, batch normalisation, ReLU and halving, with `width`, then `2 * width`
    filters; then one dense layer, which still sees where in the image something is.
    """
    with tf.device(device):
        return keras.Sequential(
            [
                keras.Input((size, size, 3)),
                *_block(width, seed),
                keras.layers.MaxPooling2D(2),
                *_block(2 * width, seed + 1),
                keras.layers.MaxPooling2D(2),
                keras.layers.Flatten(),
                _logits(classes, seed + 2),
            ]
        )


def quick_cnn(size: int, classes: int) -> keras.Model:
    """A network that is cheap enough to be trained many times, and memorises what it is told.

    Convolutions 5x5 to 12 and 3x3 to 16, both with stride 2, a hidden layer of 48, logits. He
    initialisation with zero biases in both frameworks.
    """
    he: dict[str, Any] = {"kernel_initializer": "he_uniform"}
    halving: dict[str, Any] = {"strides": 2, "padding": "same", "activation": "relu", **he}
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Conv2D(12, 5, **halving),
            keras.layers.Conv2D(16, 3, **halving),
            keras.layers.Flatten(),
            keras.layers.Dense(48, activation="relu", **he),
            keras.layers.Dense(classes, **he),
        ]
    )


def strided_network(
    size: int, classes: int, *, squeeze: int = 0, activation: bool = True
) -> keras.Model:
    """Three convolutions 3x3 of 16, 32, 32 filters, each normalised, the first two with stride 2.

    Then the average over the map and a dense layer. The capacity lab's control; its patient has no
    activation and a convolution 1x1 to one channel before the average.

    Args:
        size: pixels on a side.  classes: number of logits.
        squeeze: channels of that convolution 1x1; 0 leaves it out.
        activation: False leaves every ReLU out.
    """
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, stride in ((16, 2), (32, 2), (32, 1)):
        model.add(keras.layers.Conv2D(filters, 3, strides=stride, padding="same"))
        model.add(keras.layers.BatchNormalization(momentum=0.9))
        if activation:
            model.add(keras.layers.ReLU())
    if squeeze:
        model.add(keras.layers.Conv2D(squeeze, 1))
    model.add(keras.layers.GlobalAveragePooling2D())
    model.add(keras.layers.Dense(classes))
    return model


def seven_pixel_stack(
    size: int, classes: int, *, dilations: tuple[int, int, int] = (1, 1, 1)
) -> keras.Model:
    """The patient of the receptive field: three convolutions 3x3, then a maximum over the map.

    Eight filters a layer, normalisation and ReLU behind each; the last map's units see 7 pixels on
    a side. Other dilations widen that for the same multiply-adds: (1, 2, 4) to 15 pixels.
    """
    model = keras.Sequential([keras.Input((size, size, 3))])
    for dilation in dilations:
        model.add(keras.layers.Conv2D(8, 3, padding="same", dilation_rate=dilation, use_bias=False))
        model.add(keras.layers.BatchNormalization(momentum=0.9))
        model.add(keras.layers.ReLU())
    model.add(keras.layers.GlobalMaxPooling2D())
    model.add(keras.layers.Dense(classes))
    return model


def dying_network(size: int, classes: int, *, device: str = "/CPU:0") -> keras.Model:
    """The patient whose units die: `plain_cnn` with Keras's initial weights, for size >= 4 px.

    Two convolutions with pooling, a hidden layer of 64, and logits that go through a ReLU as well.
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
                layers.Dense(64, activation="relu"),
                layers.Dense(classes, activation="relu"),
            ]
        )


def residual_network(size: int, classes: int, *, photograph_stem: bool) -> keras.Model:
    """A small residual network: four blocks of 8, 16, 32 and 64 filters, which halve three times.

    Args:
        size: pixels on a side.
        photograph_stem: True begins as ResNet does for photographs of 224 pixels, with a
            convolution 7x7 of stride 2 and a pooling of stride 2; False with a convolution 3x3.
    """
    inputs = keras.Input((size, size, 3))
    if photograph_stem:
        x = _normalised(inputs, 8, 7, 2)
        x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(keras.layers.ReLU()(x))
    else:
        x = keras.layers.ReLU()(_normalised(inputs, 8, 3, 1))
    for filters, stride in ((8, 1), (16, 2), (32, 2), (64, 2)):
        x = _residual_block(x, filters, stride)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def _normalised(x: Any, filters: int, kernel: int, stride: int) -> Any:
    """Convolution and batch normalisation, whose statistics follow as quickly as PyTorch's."""
    x = keras.layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False)(x)
    return keras.layers.BatchNormalization(momentum=0.9)(x)


def _residual_block(x: Any, filters: int, stride: int) -> Any:
    """Two convolutions 3x3 and a shortcut around them (He et al. 2016, figure 2)."""
    short = x
    if stride != 1 or x.shape[-1] != filters:
        # The stride apart from the 1x1 kernel: on a CPU, oneDNN's gradient for both in one writes
        # out of bounds on large maps (TensorFlow 2.21: 16 images, 56 x 56, 8 to 16 channels).
        short = keras.layers.MaxPooling2D(1, strides=stride)(x) if stride != 1 else x
        short = _normalised(short, filters, 1, 1)
    x = keras.layers.ReLU()(_normalised(x, filters, 3, stride))
    x = _normalised(x, filters, 3, 1)
    return keras.layers.ReLU()(keras.layers.Add()([short, x]))


def _feature_layers(width: int) -> list[keras.layers.Layer]:
    def block(filters: int) -> list[keras.layers.Layer]:
        return [
            keras.layers.Conv2D(filters, 3, padding="same", kernel_initializer="zeros"),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
        ]

    return [
        *block(width),
        keras.layers.MaxPooling2D(2),
        *block(2 * width),
        *block(2 * width),
        keras.layers.MaxPooling2D(2),
        *block(2 * width),
        *block(2 * width),
        keras.layers.GlobalAveragePooling2D(),
    ]


def _drawn(model: keras.Sequential, seed: int) -> keras.Sequential:
    """The model with kernels drawn by Glorot's rule.

    Drawn here and not by initialisers, so that all seeds are one design with one trace.
    """
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if len(variable.shape) >= 2:
            *field, inputs, outputs = variable.shape
            bound = math.sqrt(6 / (math.prod(field) * (inputs + outputs)))
            variable.assign(rng.uniform(-bound, bound, variable.shape))
    return model


def feature_network(
    size: int, *, width: int, seed: int, device: str = "/CPU:0"
) -> keras.Sequential:
    """A fresh backbone whose weights depend on the arguments only: images to features.

    Five times convolution 3x3, batch normalisation, ReLU, with `width`, then `2 * width` filters;
    the maps are halved after the first and the third; the global average is the features,
    (N, 2 * width).
    """
    with tf.device(device):
        backbone = keras.Sequential([keras.Input((size, size, 3)), *_feature_layers(width)])
        return _drawn(backbone, seed)


def feature_classifier(
    size: int, classes: int, *, width: int, seed: int, device: str = "/CPU:0"
) -> keras.Sequential:
    """A fresh `feature_network` and a dense layer in one stack; its state ends with that layer's
    weights and biases."""
    with tf.device(device):
        head = keras.layers.Dense(classes, kernel_initializer="zeros")
        stack = [keras.Input((size, size, 3)), *_feature_layers(width), head]
        return _drawn(keras.Sequential(stack), seed)


def with_head(backbone: keras.Model, weights: np.ndarray, biases: np.ndarray) -> keras.Sequential:
    """The backbone itself, not a copy, and behind it a dense layer that gives logits.

    Args:
        weights: float (features, K).  biases: float (K,).
    """
    head = keras.layers.Dense(weights.shape[1])
    model = keras.Sequential([keras.Input(backbone.input_shape[1:]), backbone, head])
    head.set_weights([weights, biases])
    return model
