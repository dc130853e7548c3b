"""The bytes that a TensorFlow program's tensors take, counted, and programs to count them in."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_callbacks

from grader.frameworks.ledger import Ledger
from grader.frameworks.tensorflow.arrays import as_integers, as_tensor, from_images, to_numpy
from grader.frameworks.tensorflow.training import mean_loss

_WITHOUT_BYTES = (tf.variant, tf.resource, tf.string)


class _Bookkeeper:
    """Books the tensors that go into operations and come out of them, one by one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tensors: dict[int, Any] = {}

    def __call__(
        self,
        kind: Any,
        inputs: Any,
        attrs: Any,
        outputs: Any,
        op_name: Any = None,
        graph: Any = None,
    ) -> None:
        """An operation is over; TensorFlow calls this."""
        if graph is not None:
            return
        # A variable that is read gives a tensor in the variable's own memory.
        read = kind in ("ReadVariableOp", b"ReadVariableOp")
        for value in inputs:
            self.book(value)
        for value in outputs if isinstance(outputs, list | tuple) else [outputs]:
            self.book(value, 0 if read else None)
        self._ledger.note()

    def book(self, tensor: Any, size: int | None = None) -> None:
        """Book a tensor, unless it is booked; `size` is 0 for what is not to count."""
        place = id(tensor)
        if place in self._tensors or not isinstance(tensor, tf.Tensor):
            return
        if tensor.dtype in _WITHOUT_BYTES:
            return
        block = _block(tensor)

        def gone(_: Any) -> None:
            del self._tensors[place]
            self._ledger.drop(block)

        self._tensors[place] = weakref.ref(tensor, gone)
        elements = tensor.shape.num_elements()
        self._ledger.hold(block, elements * tensor.dtype.size if size is None else size)


def _block(tensor: tf.Tensor) -> int:
    """What tensors in the same memory have in common: its address, where it can be asked for."""
    if tensor.shape.num_elements() > 1 and "CPU" in tensor.backing_device:
        return tensor._numpy().__array_interface__["data"][0]
    return -id(tensor)


@contextmanager
def watch_memory(model: keras.Model, given: Any = ()) -> Iterator[Ledger]:
    """Book the tensors of all operations that run inside, one after the other, without graphs.

    Functions that are compiled otherwise, `fit` among them, are run operation by operation: inside
    a graph no tensor can be seen. Variables do not count, nor do the tensors in `given`.
    """
    ledger = Ledger()
    bookkeeper = _Bookkeeper(ledger)
    for value in tf.nest.flatten(given):
        bookkeeper.book(value, 0)
    call, eagerly = model.call, tf.config.functions_run_eagerly()

    def counted(inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, tf.Tensor):
            ledger.enter(int(inputs.shape[0] or 0))
        return call(inputs, *args, **kwargs)

    model.call = counted
    tf.config.run_functions_eagerly(True)
    op_callbacks.add_op_callback(bookkeeper)
    try:
        yield ledger
    finally:
        op_callbacks.remove_op_callback(bookkeeper)
        tf.config.run_functions_eagerly(eagerly)
        model.call = call


def bytes_of(value: Any) -> int:
    """Bytes that the arrays and tensors in a value keep in memory, those behind a view included.

    Raises:
        ValueError: there is something else in it.
    """
    if isinstance(value, tf.Variable | keras.Variable):
        value = tf.convert_to_tensor(value)
    if isinstance(value, tf.Tensor):
        return int(np.prod(value.shape, dtype=np.int64)) * value.dtype.size
    if isinstance(value, np.ndarray):
        while isinstance(value.base, np.ndarray):
            value = value.base
        return value.nbytes
    if isinstance(value, list | tuple):
        return sum(bytes_of(part) for part in value)
    if isinstance(value, dict):
        return sum(bytes_of(part) for part in value.values())
    raise ValueError(f"a {type(value).__name__} is neither an array nor a tensor")


def even_stack(size: int, classes: int, *, seed: int, device: str = "/CPU:0") -> keras.Sequential:
    """A fresh network whose layers all keep the same number of bytes for an image.

    Twelve convolutions 3x3 to 8 channels at the full size, without biases, each with ReLU, the mean
    over places, a dense layer. The weights depend on the arguments only, and the layers compute in
    float32, whatever precision new layers were told to have.
    """
    layers, start = keras.layers, keras.initializers
    with tf.device(device):
        return keras.Sequential(
            [
                keras.Input((size, size, 3)),
                *(
                    layers.Conv2D(
                        8, 3, padding="same", activation="relu", use_bias=False, dtype="float32",
                        kernel_initializer=start.HeNormal(seed=seed + number),
                    )
                    for number in range(12)
                ),
                layers.GlobalAveragePooling2D(dtype="float32"),
                layers.Dense(
                    classes, kernel_initializer=start.GlorotUniform(seed=seed + 12), dtype="float32"
                ),
            ]
        )  # fmt: skip


def look_with_gradient(model: keras.Model, x: Any, y: Any) -> Any:
    """The loss on some images, with all that a gradient would need: in TensorFlow, the tape."""
    with tf.GradientTape(persistent=True) as tape:
        value = mean_loss(as_integers(y), model(x))
    return value, tape


def train_and_look(
    model: keras.Model,
    images: np.ndarray,
    y: Any,
    order: np.ndarray,
    unseen: tuple[Any, Any],
    *,
    learning_rate: float,
) -> list[float]:
    """Train in place by momentum, and keep nothing from one step to the next but a number.

    Args:
        images: uint8 (N, H, W, C); the model eats them as 0..1.  y: int labels (N,).
        order: rows of every step, (S, B).
        unseen: what the model eats, and int labels.

    Returns:
        Loss on the unseen images after every step (nats).
    """
    labels, unseen_labels = as_integers(y), as_integers(unseen[1])
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9)
    values = []
    for rows in order:
        x = from_images(images[rows]) / 255
        with tf.GradientTape() as tape:
            value = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(value, variables), variables)
        values.append(float(mean_loss(unseen_labels, model(unseen[0], training=False))))
    return values


def whole_gradient(model: keras.Model, x: Any, y: Any) -> list[tf.Tensor]:
    """The gradient of the mean loss for every trainable variable, from all images at once."""
    with tf.GradientTape() as tape:
        value = mean_loss(as_integers(y), model(as_tensor(x), training=True))
    return tape.gradient(value, model.trainable_variables)


def clear_gradient(model: keras.Model) -> None:
    """Forget the gradient that the parameters may hold; Keras's hold none."""


def gradient_left(model: keras.Model, returned: Any) -> list[np.ndarray]:
    """The gradient that a program has left: in TensorFlow, what it has returned.

    Float32, one array a trainable variable; zeros where there is None.

    Raises:
        ValueError: what was returned is no gradient of this model.
    """
    variables = model.trainable_variables
    if not isinstance(returned, list | tuple) or len(returned) != len(variables):
        raise ValueError(
            f"return a list of {len(variables)} gradients, one for each trainable variable"
        )
    found = []
    for value, variable in zip(returned, variables, strict=True):
        if isinstance(value, tf.IndexedSlices):
            value = tf.convert_to_tensor(value)
        array = np.zeros(variable.shape) if value is None else to_numpy(value)
        if array.shape != tuple(variable.shape):
            raise ValueError(
                f"the gradient of {variable.path} has shape {array.shape}, "
                f"the variable {tuple(variable.shape)}"
            )
        found.append(array.astype(np.float32))
    return found


@contextmanager
def settings_kept() -> Iterator[None]:
    """When closed, the precision of new layers is what it was."""
    policy = keras.config.dtype_policy()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
