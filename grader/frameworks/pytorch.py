"""PyTorch behind the course's framework interface (see `grader.frameworks`)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from grader.errors import ClinicError
from grader.frameworks.base import LayerGradient
from grader.frameworks.order import batch_order

NAME = "pytorch"
TITLE = "PyTorch"
VERSION = torch.__version__


def choose_device(request: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda", ...; an accelerator is found, never assumed."""
    if request == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(request)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ClinicError(
            f"PyTorch cannot use the device {request!r} on this machine; "
            'use device="auto" to take what is there.'
        ) from error
    return device


def describe_device(device: torch.device) -> str:
    """Return a short name of the device for a picture's caption."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and PyTorch, and ask for deterministic algorithms where they exist."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)


def to_numpy(value: Any) -> np.ndarray:
    """Return a tensor, array or list as a NumPy array on the host."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value)


def from_images(images: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return uint8 or float images (N, H, W, C) as float32 (N, C, H, W), values unchanged."""
    array = np.ascontiguousarray(np.moveaxis(np.asarray(images), -1, 1), dtype=np.float32)
    return torch.from_numpy(array).to(device)


def _device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _on(model: nn.Module, x: Any) -> torch.Tensor:
    tensor = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))
    return tensor.to(_device_of(model))


def _labels(y: Any, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(to_numpy(y).astype(np.int64), device=device)


def loss(model: nn.Module, x: Any, y: Any, *, training: bool) -> float:
    """Mean cross-entropy (nats) of the model's logits on a batch.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, first axis N.  y: int labels (N,).
        training: True measures as in a training step (batch statistics, dropout on), without
            changing the model's running statistics for good.
    """
    state = {name: b.clone() for name, b in model.named_buffers()}
    was_training = model.training
    model.train(training)
    with torch.no_grad():
        logits = model(_on(model, x))
        value = float(F.cross_entropy(logits.float(), _labels(y, logits.device)))
    model.train(was_training)
    for name, buffer in model.named_buffers():
        if name in state:
            buffer.copy_(state[name])
    return value


def train(
    model: nn.Module,
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
    device = _device_of(model)
    inputs = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))
    labels = torch.as_tensor(to_numpy(y).astype(np.int64))
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        return np.full(steps, np.nan)
    update: torch.optim.Optimizer
    if optimizer == "adam":
        update = torch.optim.Adam(parameters, lr=learning_rate)
    else:
        update = torch.optim.SGD(parameters, lr=learning_rate, momentum=momentum)
    losses = np.full(steps, np.nan)
    model.train()
    for step, index in enumerate(batch_order(len(labels), batch_size, steps, seed)):
        rows = torch.from_numpy(index)
        update.zero_grad(set_to_none=True)
        value = F.cross_entropy(model(inputs[rows].to(device)), labels[rows].to(device))
        (value * loss_scale).backward()
        update.step()
        losses[step] = float(value.detach())
        if on_step is not None:
            on_step(step, losses[step])
        if not np.isfinite(losses[step]):
            break
    return losses


def predict(model: nn.Module, x: Any, *, batch_size: int = 256) -> np.ndarray:
    """Return the model's outputs in evaluation mode, float32 (N, K)."""
    was_training = model.training
    model.eval()
    inputs = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))
    device = _device_of(model)
    with torch.no_grad():
        parts = [
            model(inputs[i : i + batch_size].to(device)).float().cpu().numpy()
            for i in range(0, len(inputs), batch_size)
        ]
    model.train(was_training)
    return np.concatenate(parts)


def _weight_layers(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Weights of convolutions and dense layers in the order of the forward definition."""
    return [(name, p) for name, p in model.named_parameters() if p.ndim >= 2]


def layer_gradients(model: nn.Module, x: Any, y: Any) -> list[LayerGradient]:
    """Gradient and weight norm of every convolution and dense layer, input side first.

    Frozen layers are measured too: the gradient that would arrive, not the one that is used.
    The model is left as it was.
    """
    layers = _weight_layers(model)
    frozen = [p for _, p in layers if not p.requires_grad]
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    was_training = model.training
    for p in frozen:
        p.requires_grad_(True)
    model.train()
    logits = model(_on(model, x))
    value = F.cross_entropy(logits.float(), _labels(y, logits.device))
    gradients = torch.autograd.grad(value, [p for _, p in layers], allow_unused=True)
    result = [
        LayerGradient(
            name.removesuffix(".weight"),
            0.0 if g is None else float(g.norm()),
            float(p.detach().norm()),
        )
        for (name, p), g in zip(layers, gradients, strict=True)
    ]
    for p in frozen:
        p.requires_grad_(False)
    model.train(was_training)
    for name, buffer in model.named_buffers():
        if name in buffers:
            buffer.copy_(buffers[name])
    return result


def parameter_count(model: nn.Module) -> int:
    """Number of parameters, frozen ones included, buffers not."""
    return sum(p.numel() for p in model.parameters())


def get_state(model: nn.Module) -> list[np.ndarray]:
    """Copies of all parameters and buffers, in a fixed order."""
    return [v.detach().cpu().numpy().copy() for v in model.state_dict().values()]


def set_state(model: nn.Module, state: list[np.ndarray]) -> None:
    """Restore what `get_state` returned."""
    own = model.state_dict()
    model.load_state_dict(
        {k: torch.as_tensor(v) for k, v in zip(own, state, strict=True)}, strict=True
    )


def is_model(value: Any) -> bool:
    """True for something that can be trained here."""
    return isinstance(value, nn.Module)
