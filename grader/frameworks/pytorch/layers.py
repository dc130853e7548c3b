"""What the layers of any PyTorch model give, cost, see and pass back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from grader.frameworks.base import (
    LayerCost,
    LayerGradient,
    LayerOutput,
    UnitSignals,
    UnitTally,
)
from grader.frameworks.pytorch.arrays import as_images, labels_on, on_device_of, to_numpy
from grader.frameworks.pytorch.training import kept_as_it_was, loss, predict


def _weight_layers(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Weights of convolutions and dense layers in the order of the forward definition."""
    return [(name, p) for name, p in model.named_parameters() if p.ndim >= 2]


def layer_gradients(model: nn.Module, x: Any, y: Any) -> list[LayerGradient]:
    """Gradient and weight norm of every convolution and dense layer, input side first.

    Frozen layers are measured too: the gradient that would arrive, not the one that is used.
    The model is left as it was.
    """
    layers = _weight_layers(model)
    gradients = _gradients(model, [p for _, p in layers], x, y)
    return [
        LayerGradient(
            name.removesuffix(".weight"),
            0.0 if g is None else float(g.norm()),
            float(p.detach().norm()),
        )
        for (name, p), g in zip(layers, gradients, strict=True)
    ]


def _gradients(
    model: nn.Module, parameters: list[nn.Parameter], x: Any, y: Any
) -> list[torch.Tensor | None]:
    """Gradients of one batch's loss in training mode, frozen parameters included."""
    frozen = [p for p in parameters if not p.requires_grad]
    for p in frozen:
        p.requires_grad_(True)
    try:
        with kept_as_it_was(model, training=True):
            logits = model(on_device_of(model, x))
            value = F.cross_entropy(logits.float(), labels_on(y, logits.device))
            # Logits that no parameter enters have no graph to go back through.
            if not (value.requires_grad and parameters):
                return [None] * len(parameters)
            return list(torch.autograd.grad(value, parameters, allow_unused=True))
    finally:
        for p in frozen:
            p.requires_grad_(False)


def loss_gradients(model: nn.Module, x: Any, y: Any) -> list[np.ndarray]:
    """Gradient of one batch's mean cross-entropy in training mode, for every parameter.

    In the order of the parameters; zeros for one that does not enter the loss, frozen ones
    included. The model is left as it was, and nothing is added to gradients it may hold.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    found = dict(zip(map(id, parameters), _gradients(model, parameters, x, y), strict=True))
    return [
        np.zeros(tuple(p.shape), np.float32) if (g := found.get(id(p))) is None else to_numpy(g)
        for p in model.parameters()
    ]


def entering_first_layer(model: nn.Module, x: Any) -> np.ndarray | None:
    """What reaches the first convolution or dense layer in a training step, NumPy, channels last.

    Differs from x where the model itself normalises its input. None when the model multiplies by
    weights outside of such layers. The model is left as it was.
    """
    seen: list[torch.Tensor] = []
    hooks = [
        module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for module in model.modules()
        if any(p.ndim >= 2 for p in module.parameters(recurse=False))
    ]
    try:
        loss(model, x, np.zeros(len(x), np.int64), training=True)
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        return None
    return as_images(seen[0]) if seen[0].ndim == 4 else to_numpy(seen[0])


def batch_dependence(logits_of: Callable[..., Any], x: Any, y: Any) -> np.ndarray:
    """Norm of the gradient of each sample's loss with respect to each sample of the batch.

    Args:
        logits_of: maps x to logits (N, K), in the framework's own operations.
        x: float, first axis N.  y: int labels (N,).

    Returns:
        float64 (N, N): row i, column j is |d loss_i / d x_j|. Off the diagonal it is zero where
        samples do not see each other.
    """
    start = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))
    inputs = start.detach().clone().requires_grad_(True)
    logits = logits_of(inputs)
    losses = F.cross_entropy(logits.float(), labels_on(y, logits.device), reduction="none")
    rows = []
    for value in losses:
        (gradient,) = torch.autograd.grad(value, inputs, retain_graph=True)
        rows.append(gradient.flatten(1).norm(dim=1).double().cpu().numpy())
    return np.stack(rows)


def _simple_layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules that are called as one: without children, or attention, which uses its own inside."""
    named = [(name or type(m).__name__, m) for name, m in model.named_modules()]
    attention = [m for _, m in named if isinstance(m, nn.MultiheadAttention)]
    inside = {id(child) for m in attention for child in m.children()}
    return [
        (name, m)
        for name, m in named
        if m in attention or (not list(m.children()) and id(m) not in inside)
    ]


def _call_watched(model: nn.Module, x: torch.Tensor, watch: Callable[..., None]) -> None:
    """Call the model in evaluation mode; `watch(name, module, output)` sees every simple layer."""

    def seen(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if isinstance(tensor, torch.Tensor) and tensor.ndim >= 2:
                watch(name, module, tensor)

        return hook

    hooks = [m.register_forward_hook(seen(name)) for name, m in _simple_layers(model)]
    was_training = model.training
    model.eval()
    try:
        model(x)
    finally:
        model.train(was_training)
        for handle in hooks:
            handle.remove()


def _channels_last(output: np.ndarray) -> np.ndarray:
    return np.moveaxis(output, 1, -1) if output.ndim == 4 else output


def layer_outputs(model: nn.Module, x: Any, *, batch_size: int = 256) -> list[LayerOutput]:
    """What every layer gives in evaluation mode, in the order in which the layers are called.

    A layer that is called twice is listed twice. What is computed without a layer (a function, an
    addition) is not listed. The model is left as it was.

    Args:
        x: what the model eats, first axis N.
    """
    inputs = on_device_of(model, x)
    parts: list[list[LayerOutput]] = []

    def note(name: str, module: nn.Module, output: torch.Tensor) -> None:
        # A copy now: the next layer may work in place.
        values = np.array(_channels_last(to_numpy(output.float())))
        parts[-1].append(LayerOutput(name, type(module).__name__, values))

    with torch.no_grad():
        for start in range(0, len(inputs), batch_size):
            parts.append([])
            _call_watched(model, inputs[start : start + batch_size], note)
    return [
        LayerOutput(same[0].name, same[0].kind, np.concatenate([part.output for part in same]))
        for same in zip(*parts, strict=True)
    ]


def layer_costs(model: nn.Module, x: Any) -> list[LayerCost]:
    """What every layer gives and takes for one image, in the order in which layers are called.

    Counted by PyTorch's FlopCounterMode, two operations a multiply-add. The model is left as it
    was.

    Args:
        x: what the model eats, first axis N; the first one is used.
    """
    costs: list[LayerCost] = []
    counted = 0

    def note(name: str, module: nn.Module, output: torch.Tensor) -> None:
        nonlocal counted
        shape = tuple(output.shape[1:])
        shape = (*shape[1:], shape[0]) if len(shape) == 3 else shape
        parameters = sum(p.numel() for p in module.parameters())
        flops = counter.get_total_flops() - counted
        counted += flops
        costs.append(LayerCost(name, type(module).__name__, shape, parameters, flops // 2))

    with _counting(model) as counter:
        _call_watched(model, on_device_of(model, x)[:1], note)
    return costs


def multiply_adds(model: nn.Module, x: Any) -> int:
    """Multiply-adds of the whole model for one image, those outside of layers included."""
    with _counting(model) as counter:
        predict(model, on_device_of(model, x)[:1])
    return counter.get_total_flops() // 2


@contextmanager
def _counting(model: nn.Module) -> Iterator[FlopCounterMode]:
    """Count what is computed while open, in a form that the counter can follow.

    Attention's fused path is off, which the counter does not know; parameters ask for no gradient,
    since it trips over an output that is a view of one.
    """
    counter = FlopCounterMode(display=False)
    was_on = torch.backends.mha.get_fastpath_enabled()
    trained = [p for p in model.parameters() if p.requires_grad]
    torch.backends.mha.set_fastpath_enabled(False)
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        with counter, torch.no_grad():
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(was_on)
        for parameter in trained:
            parameter.requires_grad_(True)


def centre_gradients(model: nn.Module, x: Any) -> list[tuple[str, np.ndarray]]:
    """What the middle of every layer's map sees of the input, in the order of the calls.

    Args:
        x: what the model eats, first axis N, images.

    Returns:
        Name and float64 (N, H, W): |d sum of the middle position's channels / d input|, summed
        over the input's channels; layers without a map are left out. The model is left as it was.
    """
    inputs = on_device_of(model, x).detach().clone().requires_grad_(True)
    middles: list[tuple[str, torch.Tensor]] = []

    def note(name: str, module: nn.Module, output: torch.Tensor) -> None:
        if output.ndim == 4:
            middles.append((name, output[:, :, output.shape[2] // 2, output.shape[3] // 2].sum()))

    _call_watched(model, inputs, note)
    seen = []
    for name, middle in middles:
        (gradient,) = torch.autograd.grad(middle, inputs, retain_graph=True, allow_unused=True)
        gradient = torch.zeros_like(inputs) if gradient is None else gradient
        seen.append((name, to_numpy(gradient.double().abs().sum(dim=1))))
    return seen


def unit_signals(
    model: nn.Module, x: Any, *, training: bool = False, batch_size: int = 256
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
    inputs = on_device_of(model, x)
    layers = [
        (name, m)
        for name, m in _simple_layers(model)
        if any(p.ndim >= 2 for p in m.parameters(recurse=False))
    ]
    collected: list[UnitTally] = []
    with kept_as_it_was(model, training=training):
        for start in range(0, len(inputs), batch_size):
            _collect_units(model, layers, inputs[start : start + batch_size], collected)
    return [units.signals() for units in collected]


def _collect_units(
    model: nn.Module,
    layers: list[tuple[str, nn.Module]],
    x: torch.Tensor,
    collected: list[UnitTally],
) -> None:
    generator = torch.Generator().manual_seed(0)  # the same weighting for every batch
    caught: list[tuple[str, nn.Module, torch.Tensor]] = []
    weighted: list[torch.Tensor] = []

    def weigh(values: torch.Tensor) -> None:
        weights = torch.randn(values.shape[1:], generator=generator).to(values.device)
        weighted.append((values.float() * weights).sum())

    def catch(name: str) -> Callable[..., Any]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
            sums = output[0] if isinstance(output, tuple) else output
            weigh(sums)
            fresh = sums.detach().clone().requires_grad_(True)
            caught.append((name, module, fresh))
            # A copy goes on, so that an activation may work in place.
            return (fresh.clone(), *output[1:]) if isinstance(output, tuple) else fresh.clone()

        return hook

    hooks = [module.register_forward_hook(catch(name)) for name, module in layers]
    try:
        with torch.enable_grad():
            weigh(model(x))
            total = torch.stack(weighted).sum()
    finally:
        for handle in hooks:
            handle.remove()
    leaves = [leaf for _, _, leaf in caught]
    gradients = (
        torch.autograd.grad(total, leaves, allow_unused=True)
        if leaves and total.requires_grad
        else [None] * len(leaves)
    )
    for number, ((name, module, leaf), gradient) in enumerate(zip(caught, gradients, strict=True)):
        if number == len(collected):
            collected.append(UnitTally(name, type(module).__name__))
        arrays = [
            to_numpy(v) for v in (leaf, torch.zeros_like(leaf) if gradient is None else gradient)
        ]
        if "Conv" in type(module).__name__ or leaf.ndim == 4:
            arrays = [np.moveaxis(array, 1, -1) for array in arrays]
        collected[number].add(*arrays)


def kernel_gradients(model: nn.Module, x: Any, y: Any) -> list[tuple[str, np.ndarray]]:
    """Gradient of one batch's loss with respect to every convolution kernel, in training mode.

    Frozen kernels are measured too. The model is left as it was.

    Args:
        x: what the model eats, first axis N.  y: int labels (N,).

    Returns:
        Name of the layer and float32 (height, width, inputs of a group, outputs).
    """
    kernels = [(name, p) for name, p in model.named_parameters() if p.ndim == 4]
    gradients = _gradients(model, [p for _, p in kernels], x, y)
    return [
        (
            name.removesuffix(".weight"),
            to_numpy((torch.zeros_like(p) if g is None else g).float().permute(2, 3, 1, 0)),
        )
        for (name, p), g in zip(kernels, gradients, strict=True)
    ]
