"""TensorFlow and Keras 3 behind the course's framework interface (see `grader.frameworks`)."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes are not the learner's
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from grader.errors import ClinicError
from grader.frameworks.base import LayerCost, LayerGradient, LayerOutput
from grader.frameworks.order import batch_order

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
    # Eager: tracing a graph costs more than the few calls that a check needs.
    inputs = _tensor(x)
    starts = range(0, len(inputs), batch_size)
    parts = [to_numpy(model(inputs[i : i + batch_size], training=False)) for i in starts]
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


def from_labels(labels: np.ndarray, device: str = "/CPU:0") -> tf.Tensor:
    """Return labels (N,) as int64 (N,)."""
    with tf.device(device):
        return tf.convert_to_tensor(np.asarray(labels), dtype=tf.int64)


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
    _build(model, x)
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
            values = values.write(step, _mean_loss(targets, logits))
        return values.stack()

    order = tf.constant(np.array(batch_order(len(y), batch_size, rates.shape[1], seed)))
    losses = np.full(rates.shape, np.nan)
    for run, row in enumerate(rates):
        set_state(model, start)
        for variable, old in zip(update.variables, fresh, strict=True):
            variable.assign(old)
        values = train_row(_tensor(x), _integers(y), tf.constant(row, tf.float32), order).numpy()
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


def as_images(x: Any) -> np.ndarray:
    """Undo `from_images`: what a model eats as a NumPy array (N, H, W, C), values unchanged."""
    return to_numpy(x)


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


def entering_first_layer(model: keras.Model, x: Any) -> np.ndarray | None:
    """What reaches the first convolution or dense layer in a training step, NumPy, channels last.

    Differs from x where the model itself normalises its input. None when the model multiplies by
    weights outside of such layers. The model is left as it was.
    """
    seen: list[Any] = []

    def note(layer: keras.Layer, call: Callable[[], Any], inputs: Any) -> Any:
        if any(len(v.shape) >= 2 for v in layer.weights):
            seen.append(inputs)
        return call()

    _build(model, x)
    with _watched(model, note):
        loss(model, x, np.zeros(len(x), np.int64), training=True)
    return to_numpy(seen[0]) if seen else None


@contextmanager
def _watched(model: keras.Model, watch: Callable[..., Any]) -> Iterator[None]:
    """While open, every simple layer is called through `watch(layer, call, inputs)`."""

    def watching(layer: keras.Layer, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            return watch(layer, lambda: call(inputs, *args, **kwargs), inputs)

        return watched

    layers = _leaves(model)
    for layer in layers:
        layer.call = watching(layer, layer.call)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call  # uncovers the class's own method again


def _leaves(layer: keras.Layer) -> list[keras.Layer]:
    inner = getattr(layer, "layers", None)
    return [leaf for child in inner for leaf in _leaves(child)] if inner else [layer]


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


def predict_in_training(model: keras.Model, x: Any) -> np.ndarray:
    """The model's outputs as in a training step, all images as one batch, float32 (N, K).

    Layers that keep running statistics use the batch's own. The model is left as it was.
    """
    _build(model, x)
    state = [np.array(v) for v in model.non_trainable_variables]
    outputs = to_numpy(model(_tensor(x), training=True)).astype(np.float32)
    for variable, old in zip(model.non_trainable_variables, state, strict=True):
        variable.assign(old)
    return outputs


def batch_dependence(logits_of: Callable[..., Any], x: Any, y: Any) -> np.ndarray:
    """Norm of the gradient of each sample's loss with respect to each sample of the batch.

    Args:
        logits_of: maps x to logits (N, K), in the framework's own operations.
        x: float, first axis N.  y: int labels (N,).

    Returns:
        float64 (N, N): row i, column j is |d loss_i / d x_j|. Off the diagonal it is zero where
        samples do not see each other.
    """
    inputs = tf.identity(_tensor(x))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=_integers(y), logits=tf.cast(logits_of(inputs), tf.float32)
        )
        each = tf.unstack(losses)
    rows = []
    for value in each:
        gradient = tf.reshape(tape.gradient(value, inputs), (len(each), -1))
        rows.append(tf.norm(gradient, axis=1).numpy().astype(np.float64))
    return np.stack(rows)


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
    _build(model, unseen)
    start = get_state(model)
    learner, update, train_set = _trainer(model, tuple(_tensor(unseen).shape[1:]))
    rates = tf.constant(learning_rate * (1 - np.arange(steps) / steps), tf.float32)
    outputs = []
    for x, y in sets:
        set_state(learner, start)
        for variable in update.variables:
            variable.assign(tf.zeros_like(variable))
        order = np.array(batch_order(len(y), batch_size, steps, seed), dtype=np.int64)
        train_set(tf.cast(_tensor(x), tf.float32), _integers(y), tf.constant(order), rates)
        outputs.append(predict(learner, unseen))
    set_state(learner, start)
    return np.stack(outputs)


_PLAIN_LAYERS = (
    keras.layers.BatchNormalization,
    keras.layers.Conv2D,
    keras.layers.Dense,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
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
                value = _mean_loss(tf.gather(labels, order[step]), logits)
            update.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))

    if key:
        _TRAINERS[key] = model, update, train_set
    return model, update, train_set


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


def layer_outputs(model: keras.Model, x: Any, *, batch_size: int = 256) -> list[LayerOutput]:
    """What every layer gives in evaluation mode, in the order in which the layers are called.

    A layer that is called twice is listed twice. What is computed without a layer (a function, an
    addition of tensors) is not listed. The model is left as it was.

    Args:
        x: what the model eats, first axis N.
    """
    _build(model, x)
    parts: list[list[LayerOutput]] = []

    def note(layer: keras.Layer, call: Callable[[], Any], inputs: Any) -> Any:
        output = call()
        if isinstance(output, tf.Tensor) and output.ndim >= 2:
            values = to_numpy(output).astype(np.float32)
            parts[-1].append(LayerOutput(layer.name, type(layer).__name__, values))
        return output

    inputs = _tensor(x)
    with _watched(model, note):
        for start in range(0, len(inputs), batch_size):
            parts.append([])
            model(inputs[start : start + batch_size], training=False)
    return [
        LayerOutput(same[0].name, same[0].kind, np.concatenate([part.output for part in same]))
        for same in zip(*parts, strict=True)
    ]


def layer_costs(model: keras.Model, x: Any) -> list[LayerCost]:
    """What every layer gives and takes for one image, in the order in which layers are called.

    Counted in the graph of the model, where every operation's shapes stand. The model is left as
    it was.

    Args:
        x: what the model eats, first axis N; the first one is used.
    """
    costs: list[LayerCost] = []

    def note(layer: keras.Layer, call: Callable[[], Any], inputs: Any) -> Any:
        graph = tf.compat.v1.get_default_graph()
        before = len(graph.get_operations())
        output = call()
        if isinstance(output, tf.Tensor) and output.shape.rank and output.shape.rank >= 2:
            counted = sum(_multiply_adds_of(op) for op in graph.get_operations()[before:])
            shape = tuple(output.shape[1:])
            parameters = parameter_count(layer)
            costs.append(LayerCost(layer.name, type(layer).__name__, shape, parameters, counted))
        return output

    _build(model, x)
    with _watched(model, note):
        _graph_of(model, x)
    return costs


def multiply_adds(model: keras.Model, x: Any) -> int:
    """Multiply-adds of the whole model for one image, those outside of layers included."""
    _build(model, x)
    return sum(_multiply_adds_of(op) for op in _graph_of(model, x).get_operations())


def _graph_of(model: keras.Model, x: Any) -> Any:
    one = _tensor(x)[:1]
    traced = tf.function(lambda batch: model(batch, training=False), autograph=False)
    return traced.get_concrete_function(tf.TensorSpec(one.shape, one.dtype)).graph


def _multiply_adds_of(operation: Any) -> int:
    """Products that one operation of a graph sums up; 0 for what is not a sum of products.

    Our own few lines: Keras has no counter, and TensorFlow's profiler knows no Einsum.
    """
    shapes = [list(tensor.shape) for tensor in operation.inputs]
    match operation.type:
        case "Conv2D":  # kernel (height, width, inputs of a group, outputs)
            return _elements(operation.outputs[0]) * math.prod(shapes[1][:3])
        case "DepthwiseConv2dNative":
            return _elements(operation.outputs[0]) * math.prod(shapes[1][:2])
        case "Conv2DBackpropInput":  # a transposed convolution: every input value enters
            return math.prod(shapes[2]) * math.prod(shapes[1][:3])
        case "MatMul":
            inner = shapes[0][0 if operation.get_attr("transpose_a") else 1]
            return _elements(operation.outputs[0]) * inner
        case "BatchMatMulV2":
            inner = shapes[0][-2 if operation.get_attr("adj_x") else -1]
            return _elements(operation.outputs[0]) * inner
        case "Einsum" if len(shapes) == 2:
            terms = operation.get_attr("equation").decode().split("->")[0].split(",")
            sizes = {
                letter: size
                for term, shape in zip(terms, shapes, strict=True)
                for letter, size in zip(term, shape, strict=True)
            }
            return math.prod(sizes.values())
        case _:
            return 0


def _elements(tensor: Any) -> int:
    return math.prod(tensor.shape)


def centre_gradients(model: keras.Model, x: Any) -> list[tuple[str, np.ndarray]]:
    """What the middle of every layer's map sees of the input, in the order of the calls.

    Args:
        x: what the model eats, first axis N, images.

    Returns:
        Name and float64 (N, H, W): |d sum of the middle position's channels / d input|, summed
        over the input's channels; layers without a map are left out. The model is left as it was.
    """
    _build(model, x)
    inputs = tf.identity(_tensor(x))
    middles: list[tuple[str, Any]] = []

    def note(layer: keras.Layer, call: Callable[[], Any], inputs: Any) -> Any:
        output = call()
        if isinstance(output, tf.Tensor) and output.ndim == 4:
            middle = output[:, output.shape[1] // 2, output.shape[2] // 2, :]
            middles.append((layer.name, tf.reduce_sum(middle)))
        return output

    with tf.GradientTape(persistent=True) as tape, _watched(model, note):
        tape.watch(inputs)
        model(inputs, training=False)
    seen = []
    for name, middle in middles:
        gradient = tape.gradient(middle, inputs, unconnected_gradients="zero")
        seen.append((name, np.abs(to_numpy(gradient).astype(np.float64)).sum(axis=-1)))
    return seen
