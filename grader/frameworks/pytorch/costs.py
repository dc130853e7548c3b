"""The patient that computes too much, its frugal peer, and what a layer of one's own executes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode


def costly_network(size: int, classes: int, *, device: torch.device | str = "cpu") -> nn.Sequential:
    """The patient of the multiply-adds: wide kernels on every pixel, then a wide dense layer.

    Two convolutions 7x7 of 12 filters at full resolution, each normalised, a pooling, a hidden
    layer of 512 that sees the whole map, logits; for size >= 2 px. PyTorch's default initial
    weights.
    """
    return nn.Sequential(
        nn.Conv2d(3, 12, 7, padding=3), nn.BatchNorm2d(12), nn.ReLU(),
        nn.Conv2d(12, 12, 7, padding=3), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12 * (size // 2) ** 2, 512), nn.ReLU(),
        nn.Linear(512, classes),
    ).to(device)  # fmt: skip


def frugal_network(size: int, classes: int, *, device: torch.device | str = "cpu") -> nn.Sequential:
    """The patient's peer: three convolutions 3x3 of 12, 20 and 24 filters, two of them strided.

    Each is normalised; the average over the map goes into a dense layer.
    """
    del size  # the average over the map fits any size; Keras needs it to create the weights
    layers: list[nn.Module] = []
    channels = 3
    for filters, stride in ((12, 2), (20, 2), (24, 1)):
        layers += [
            nn.Conv2d(channels, filters, 3, stride, padding=1),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
        ]
        channels = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers).to(device)


def layer_ways() -> dict[str, Callable[..., torch.Tensor]]:
    """Three ways to write `layer(x, weight, stride, padding)` without a loop, by name."""

    def by_unfold(x: torch.Tensor, weight: torch.Tensor, stride: int, padding: int) -> torch.Tensor:
        filters, _, height, width = weight.shape
        columns = F.unfold(x, (height, width), padding=padding, stride=stride)
        rows = (x.shape[2] + 2 * padding - height) // stride + 1
        return (weight.reshape(filters, -1) @ columns).reshape(len(x), filters, rows, -1)

    def by_einsum(x: torch.Tensor, weight: torch.Tensor, stride: int, padding: int) -> torch.Tensor:
        padded = F.pad(x, (padding,) * 4)
        windows = padded.unfold(2, weight.shape[2], stride).unfold(3, weight.shape[3], stride)
        return torch.einsum("ncijhw,fchw->nfij", windows, weight)

    def by_conv2d(x: torch.Tensor, weight: torch.Tensor, stride: int, padding: int) -> torch.Tensor:
        return F.conv2d(x, weight, stride=stride, padding=padding)

    return {"unfold, then a matrix": by_unfold, "windows, then einsum": by_einsum,
            "conv2d": by_conv2d}  # fmt: skip


class _Counter(TorchDispatchMode):
    """Counts the operations that PyTorch executes while it is open, whoever asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.operations += 1
        return func(*args, **(kwargs or {}))


def layer_operations(
    layer: Callable[..., Any], x: np.ndarray, weight: np.ndarray, stride: int, padding: int
) -> int:
    """Operations that PyTorch executes for one call of `layer(x, weight, stride, padding)`.

    A compiled function is run as it is written: a compiler that unrolls a loop would hide it.

    Args:
        x: images, (N, H, W, C).  weight: (height, width, C, outputs). The layer gets them in
            PyTorch's order.
    """
    images, kernel = _in_own_order(x, weight)
    with torch.compiler.set_stance("force_eager"), _Counter() as counter:
        layer(images, kernel, stride, padding)
    return counter.operations


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
    images, kernel = _in_own_order(x, weight)
    kept = images.clone(), kernel.clone()
    images.requires_grad_(True)
    kernel.requires_grad_(True)
    with torch.compiler.set_stance("force_eager"):
        output = layer(images, kernel, stride, padding)
    changed = not (torch.equal(images, kept[0]) and torch.equal(kernel, kept[1]))
    trial: dict[str, Any] = {
        "kind": type(output).__name__,
        "changed": changed,
        "output": None,
        "dtype": "",
        "x": None,
        "weight": None,
    }
    if not isinstance(output, torch.Tensor):
        return trial
    trial["dtype"] = str(output.dtype).removeprefix("torch.")
    given = output.detach().cpu()
    # NumPy has no bfloat16.
    values = (given.float() if given.dtype == torch.bfloat16 else given).numpy()
    trial["output"] = np.moveaxis(values, 1, -1) if values.ndim == 4 else values
    if trial["output"].shape == towards.shape and output.requires_grad:
        back = torch.from_numpy(np.ascontiguousarray(np.moveaxis(towards, -1, 1)))
        of_x, of_weight = torch.autograd.grad(
            output, [images, kernel], back.to(output), allow_unused=True
        )
        trial["x"] = None if of_x is None else np.moveaxis(of_x.numpy(), 1, -1)
        trial["weight"] = None if of_weight is None else of_weight.numpy().transpose(2, 3, 1, 0)
    return trial


def _in_own_order(x: np.ndarray, weight: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (N, C, H, W) and weights (outputs, C, height, width) of the same dtype."""
    images = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    kernel = np.ascontiguousarray(weight.transpose(3, 2, 0, 1))
    return torch.tensor(images), torch.tensor(kernel)
