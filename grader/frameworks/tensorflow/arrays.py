"""Devices, seeds, and the way of images and labels into TensorFlow and of numbers out of it."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader.errors import ClinicError

# Its logger keeps the stream that stderr was at import, which may be closed later on; what matters
# is raised, and notes on retracing are not the learner's.
tf.get_logger().setLevel("ERROR")


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


def as_tensor(x: Any) -> tf.Tensor:
    return x if isinstance(x, tf.Tensor) else tf.convert_to_tensor(np.asarray(x))


def as_integers(y: Any) -> tf.Tensor:
    return tf.convert_to_tensor(to_numpy(y).astype(np.int64))


def build_weights(model: keras.Model, x: Any) -> None:
    """Create the weights of a model that was defined without an input shape."""
    if not model.built:
        model(as_tensor(x)[:1], training=False)


def is_model(value: Any) -> bool:
    """True for something that can be trained here."""
    return isinstance(value, keras.Model)


def from_labels(labels: np.ndarray, device: str = "/CPU:0") -> tf.Tensor:
    """Return labels (N,) as int64 (N,)."""
    with tf.device(device):
        return tf.convert_to_tensor(np.asarray(labels), dtype=tf.int64)


def as_images(x: Any) -> np.ndarray:
    """Undo `from_images`: what a model eats as a NumPy array (N, H, W, C), values unchanged."""
    return to_numpy(x)
