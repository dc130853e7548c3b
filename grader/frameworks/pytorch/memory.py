"""The bytes that a PyTorch program's tensors take, counted, and programs to count them in."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from grader.frameworks.ledger import Ledger
from grader.frameworks.pytorch.arrays import device_of, from_images, labels_on, to_numpy


class _Bookkeeper(TorchDispatchMode):
    """Books the storages of all tensors that go into operations and come out of them.

    Forward and backward pass, recomputed parts and optimizers all go through here.
    """

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger
        self._storages: dict[int, Any] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            if isinstance(value, torch.Tensor):
                self.book(value)
        self._ledger.note()
        return result

    def book(self, tensor: torch.Tensor, size: int | None = None) -> None:
        """Book a tensor's storage, unless it is booked; `size` is 0 for what is not to count."""
        if tensor.layout != torch.strided:
            return
        storage = tensor.untyped_storage()
        block = storage._cdata
        if block in self._storages:
            return

        def gone(_: Any) -> None:
            del self._storages[block]
            self._ledger.drop(block)

        self._storages[block] = weakref.ref(storage, gone)
        self._ledger.hold(block, storage.nbytes() if size is None else size)


@contextmanager
def watch_memory(model: nn.Module, given: Any = ()) -> Iterator[Ledger]:
    """Book the tensors of all operations that run inside.

    The model's parameters and buffers do not count, nor do the tensors in `given`; their gradients
    and an optimizer's averages do.
    """
    ledger = Ledger()
    bookkeeper = _Bookkeeper(ledger)
    own = [*model.parameters(), *model.buffers()]
    for value in tree_leaves((own, given)):
        if isinstance(value, torch.Tensor):
            bookkeeper.book(value, 0)

    def enter(module: nn.Module, inputs: Any) -> None:
        ledger.enter(len(inputs[0]) if inputs else 0)

    hook = model.register_forward_pre_hook(enter)
    try:
        with bookkeeper:
            yield ledger
    finally:
        hook.remove()


def bytes_of(value: Any) -> int:
    """Bytes that the arrays and tensors in a value keep in memory, those behind a view included.

    Raises:
        ValueError: there is something else in it.
    """
    if isinstance(value, torch.Tensor):
        return value.untyped_storage().nbytes()
    if isinstance(value, np.ndarray):
        while isinstance(value.base, np.ndarray):
            value = value.base
        return value.nbytes
    if isinstance(value, list | tuple):
        return sum(bytes_of(part) for part in value)
    if isinstance(value, dict):
        return sum(bytes_of(part) for part in value.values())
    raise ValueError(f"a {type(value).__name__} is neither an array nor a tensor")


def even_stack(
    size: int, classes: int, *, seed: int, device: torch.device | str = "cpu"
) -> nn.Sequential:
    """A fresh network whose layers all keep the same number of bytes for an image.

    Twelve convolutions 3x3 to 8 channels at the full size, without biases, each with ReLU, the mean
    over places, a dense layer. The weights depend on the arguments only.
    """
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for number in range(12):
            convolution = nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            layers += [convolution, nn.ReLU()]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
        return nn.Sequential(*layers, *head).to(device)


def look_with_gradient(model: nn.Module, x: Any, y: Any) -> Any:
    """The loss on some images, with all that a gradient would need: in PyTorch, the loss itself."""
    return F.cross_entropy(model(x), labels_on(y, device_of(model)))


def train_and_look(
    model: nn.Module,
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
    device = device_of(model)
    labels, unseen_labels = labels_on(y, device), labels_on(unseen[1], device)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    values = []
    for rows in order:
        x = from_images(images[rows], device) / 255
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[torch.as_tensor(rows, device=device)]).backward()
        optimizer.step()
        with torch.no_grad():
            values.append(F.cross_entropy(model(unseen[0]), unseen_labels).item())
    return values


def whole_gradient(model: nn.Module, x: Any, y: Any) -> None:
    """Leave the gradient of the mean loss in the parameters, from all images at once."""
    F.cross_entropy(model(x), labels_on(y, device_of(model))).backward()


def clear_gradient(model: nn.Module) -> None:
    """Forget the gradient that the parameters may hold."""
    model.zero_grad(set_to_none=True)


def gradient_left(model: nn.Module, returned: Any) -> list[np.ndarray]:
    """The gradient that a program has left: in PyTorch, in the parameters.

    Float32, one array a parameter; zeros for a parameter without a gradient.
    """
    return [
        np.zeros(tuple(p.shape), np.float32) if p.grad is None else to_numpy(p.grad.float())
        for p in model.parameters()
    ]


@contextmanager
def settings_kept() -> Iterator[None]:
    """When closed, the type of new tensors and the recording of gradients are what they were."""
    kind, recording = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        yield
    finally:
        torch.set_default_dtype(kind)
        torch.set_grad_enabled(recording)
