"""What the layers of any TensorFlow model give, cost, see and pass back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from grader.frameworks.base import (
    LayerCost,
    LayerGradient,
    LayerOutput,
    UnitSignals,
    UnitTally,
)
from grader.frameworks.tensorflow.arrays import as_integers, as_tensor, build_weights, to_numpy
from grader.frameworks.tensorflow.training import (
    STATISTICS,
    kept_as_it_was,
    loss,
    mean_loss,
    parameter_count,
)


def _weight_layers(model: keras.Model) -> list[tuple[str, keras.Variable]]:
    """Weights of convolutions and dense layers in the order of the layers, frozen ones included."""
    return [(v.path.rsplit("/", 1)[0], v) for v in model.weights if len(v.shape) >= 2]


def layer_gradients(model: keras.Model, x: Any, y: Any) -> list[LayerGradient]:
    """Gradient and weight norm of every convolution and dense layer, input side first.

    Frozen layers are measured too: the gradient that would arrive, not the one that is used.
    The model is left as it was.
    """
    build_weights(model, x)
    layers = _weight_layers(model)
    gradients = _gradients(model, [v for _, v in layers], x, y)
    return [
        LayerGradient(
            name, 0.0 if g is None else float(tf.norm(g)), float(np.linalg.norm(to_numpy(v)))
        )
        for (name, v), g in zip(layers, gradients, strict=True)
    ]


def _gradients(
    model: keras.Model, variables: list[keras.Variable], x: Any, y: Any
) -> list[tf.Tensor | None]:
    """Gradients of one batch's loss in training mode, frozen variables included."""
    values = [v.value for v in variables]
    with kept_as_it_was(model), tf.GradientTape() as tape:
        tape.watch(values)
        value = mean_loss(as_integers(y), model(as_tensor(x), training=True))
    return tape.gradient(value, values)


def loss_gradients(model: keras.Model, x: Any, y: Any) -> list[np.ndarray]:
    """Gradient of one batch's mean cross-entropy in training mode, for every parameter.

    In the order of the parameters; zeros for one that does not enter the loss, frozen ones
    included. The model is left as it was, and nothing is added to gradients it may hold.
    """
    build_weights(model, x)
    variables = model.trainable_variables
    gradients = _gradients(model, variables, x, y)
    found = dict(zip((v.path for v in variables), gradients, strict=True))
    return [
        np.zeros(v.shape, np.float32) if (g := found.get(v.path)) is None else to_numpy(g)
        for v in model.weights
        if v.name not in STATISTICS
    ]


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

    build_weights(model, x)
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


def batch_dependence(logits_of: Callable[..., Any], x: Any, y: Any) -> np.ndarray:
    """Norm of the gradient of each sample's loss with respect to each sample of the batch.

    Args:
        logits_of: maps x to logits (N, K), in the framework's own operations.
        x: float, first axis N.  y: int labels (N,).

    Returns:
        float64 (N, N): row i, column j is |d loss_i / d x_j|. Off the diagonal it is zero where
        samples do not see each other.
    """
    inputs = tf.identity(as_tensor(x))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=as_integers(y), logits=tf.cast(logits_of(inputs), tf.float32)
        )
        each = tf.unstack(losses)
    rows = []
    for value in each:
        gradient = tf.reshape(tape.gradient(value, inputs), (len(each), -1))
        rows.append(tf.norm(gradient, axis=1).numpy().astype(np.float64))
    return np.stack(rows)


def layer_outputs(model: keras.Model, x: Any, *, batch_size: int = 256) -> list[LayerOutput]:
    """What every layer gives in evaluation mode, in the order in which the layers are called.

    A layer that is called twice is listed twice. What is computed without a layer (a function, an
    addition of tensors) is not listed. The model is left as it was.

    Args:
        x: what the model eats, first axis N.
    """
    build_weights(model, x)
    parts: list[list[LayerOutput]] = []

    def note(layer: keras.Layer, call: Callable[[], Any], inputs: Any) -> Any:
        output = call()
        if isinstance(output, tf.Tensor) and output.ndim >= 2:
            values = to_numpy(output).astype(np.float32)
            parts[-1].append(LayerOutput(layer.name, type(layer).__name__, values))
        return output

    inputs = as_tensor(x)
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

    build_weights(model, x)
    with _watched(model, note):
        _graph_of(model, x)
    return costs


def multiply_adds(model: keras.Model, x: Any) -> int:
    """Multiply-adds of the whole model for one image, those outside of layers included."""
    build_weights(model, x)
    return sum(_multiply_adds_of(op) for op in _graph_of(model, x).get_operations())


def _graph_of(model: keras.Model, x: Any) -> Any:
    one = as_tensor(x)[:1]
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
    build_weights(model, x)
    inputs = tf.identity(as_tensor(x))
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


def unit_signals(
    model: keras.Model, x: Any, *, training: bool = False, batch_size: int = 256
) -> list[UnitSignals]:
    """What every unit tells the layers after it, in the order in which the layers are called.

    The sums of each layer with a kernel or a matrix are caught before their activation, whatever
    way the activation is written. A random weighting (fixed, of size 1) of the sums of all layers
    and of the model's outputs is differentiated with respect to each sum, and the way back ends at
    the next sums. So a unit's number depends on its own activation and on what uses it next.

    Args:
        x: what the model eats, first axis N.
        training: measure as in a training step (batch statistics, dropout on).

    Returns:
        One entry a call of a layer; the model is left as it was.
    """
    build_weights(model, x)
    inputs = as_tensor(x)
    collected: list[UnitTally] = []
    with kept_as_it_was(model):
        for start in range(0, len(inputs), batch_size):
            _collect_units(model, inputs[start : start + batch_size], training, collected)
    return [units.signals() for units in collected]


# Layers that leave their activation out when it is None.
_WITH_ACTIVATION = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


def _collect_units(
    model: keras.Model, x: tf.Tensor, training: bool, collected: list[UnitTally]
) -> None:
    generator = np.random.default_rng(0)  # the same weighting for every batch
    caught: list[tuple[keras.Layer, tf.Tensor]] = []
    weighted: list[tf.Tensor] = []

    def weigh(values: Any) -> None:
        weights = generator.standard_normal(tuple(values.shape[1:])).astype(np.float32)
        weighted.append(tf.reduce_sum(tf.cast(values, tf.float32) * weights))

    def catch(layer: keras.Layer, call: Callable[[], Any], inputs: Any) -> Any:
        if not any(len(v.shape) >= 2 for v in layer.weights):
            return call()
        activation = layer.activation if isinstance(layer, _WITH_ACTIVATION) else None
        if activation is not None:
            # Past Keras's bookkeeping, which minds new attributes of a layer that is built.
            vars(layer)["activation"] = None
        try:
            sums = call()
        finally:
            if activation is not None:
                vars(layer)["activation"] = activation
        if not isinstance(sums, tf.Tensor):
            return sums if activation is None else activation(sums)
        weigh(sums)
        fresh = tf.identity(tf.stop_gradient(sums))
        tape.watch(fresh)
        caught.append((layer, fresh))
        return fresh if activation is None else activation(fresh)

    with tf.GradientTape() as tape, _watched(model, catch):
        weigh(model(x, training=training))
        total = tf.add_n(weighted)
    leaves = [leaf for _, leaf in caught]
    gradients = tape.gradient(total, leaves, unconnected_gradients="zero")
    for number, ((layer, leaf), gradient) in enumerate(zip(caught, gradients, strict=True)):
        if number == len(collected):
            collected.append(UnitTally(layer.name, type(layer).__name__))
        collected[number].add(to_numpy(leaf), to_numpy(gradient))


def kernel_gradients(model: keras.Model, x: Any, y: Any) -> list[tuple[str, np.ndarray]]:
    """Gradient of one batch's loss with respect to every convolution kernel, in training mode.

    Frozen kernels are measured too. The model is left as it was.

    Args:
        x: what the model eats, first axis N.  y: int labels (N,).

    Returns:
        Name of the layer and float32 (height, width, inputs of a group, outputs).
    """
    build_weights(model, x)
    kernels = [v for v in model.weights if len(v.shape) == 4]
    gradients = _gradients(model, kernels, x, y)
    return [
        (
            v.path.split("/")[-2],
            np.zeros(v.shape, np.float32) if g is None else to_numpy(g).astype(np.float32),
        )
        for v, g in zip(kernels, gradients, strict=True)
    ]
