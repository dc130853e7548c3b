"""Two replicas of a PyTorch model, each in a process of its own, and what they were seen to do."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from grader.frameworks.base import (
    PlacedRun,
    ReplicaCall,
    ReplicaEvaluation,
    ReplicaRun,
    number_or_nan,
)
from grader.frameworks.processes import Ending, launcher
from grader.frameworks.pytorch.arrays import from_images, from_labels, to_numpy
from grader.frameworks.pytorch.loops import steady_network

# What a training imports when it runs is imported before the processes are forked.
_MODULES = (
    "cloudpickle",
    "torch._dynamo",
    "torch.nn.parallel",
    "torch.utils.data.distributed",
    "grader.frameworks.pytorch",
)


def prepare_replicas() -> None:
    """Start what replicas are forked from, which takes some seconds once."""
    launcher(_MODULES).run([_nothing], seconds=60)


def _nothing() -> None:
    """A run that does nothing."""


def in_replicas(
    function: Callable[..., Any], *arguments: Any, replicas: int = 2, seed: int = 0,
    seconds: float = 120,
) -> list[Ending]:  # fmt: skip
    """Call `function(*arguments)` in processes that are connected with one another by gloo.

    Every process has its own random state, seeded by `seed` and its rank, as programs without a
    seed have.
    """
    with tempfile.TemporaryDirectory() as folder:
        meet = str(Path(folder) / "meet")
        return launcher(_MODULES).run(
            [
                functools.partial(
                    _as_rank, rank, replicas, meet, seed, seconds, function, arguments
                )
                for rank in range(replicas)
            ],
            seconds=seconds,
        )


def _as_rank(
    rank: int, replicas: int, meet: str, seed: int, seconds: float,
    function: Callable[..., Any], arguments: Sequence[Any],
) -> Any:  # fmt: skip
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    random.seed(seed + rank)
    np.random.seed((seed + rank) % 2**32)
    torch.manual_seed(seed * 1009 + rank)
    # All replicas are on this machine, whose name may lead nowhere.
    names = {name for _, name in socket.if_nameindex()}
    for loopback in names & {"lo", "lo0"}:
        os.environ["GLOO_SOCKET_IFNAME"] = loopback
    store = dist.FileStore(meet, replicas)
    dist.init_process_group(
        "gloo",
        store=store,
        rank=rank,
        world_size=replicas,
        timeout=timedelta(seconds=seconds),
    )
    # A function that exchanges nothing may return before another process is connected, and one
    # that has received what it waited for before the other one has.
    dist.barrier()
    try:
        return function(*arguments)
    finally:
        store.set(f"done {rank}", "yes")
        with contextlib.suppress(RuntimeError):
            store.wait([f"done {other}" for other in range(replicas)], timedelta(seconds=3))


def watched_training(
    train: Callable[..., Any], images: np.ndarray, labels: np.ndarray, *, epochs: int,
    batch_size: int, rate: float, classes: int, seed: int, seconds: float = 120,
) -> list[Ending]:  # fmt: skip
    """Run `train(build_model, x, y, epochs, batch_size, rate)` in two processes.

    Args:
        images: float (N, size, size, 3), no two alike.  labels: int (N,).

    Returns:
        For each process, a `ReplicaRun` as its value.
    """
    arguments = train, images, labels, epochs, batch_size, rate, classes
    return in_replicas(_watched, *arguments, seed=seed, seconds=seconds)


def _watched(
    train: Callable[..., Any], images: np.ndarray, labels: np.ndarray, epochs: int,
    batch_size: int, rate: float, classes: int,
) -> list[ReplicaRun]:  # fmt: skip
    x, y = from_images(images), from_labels(labels)
    names = {row.tobytes(): number for number, row in enumerate(to_numpy(x))}
    calls: list[ReplicaCall] = []

    def watch(module: nn.Module, inputs: Any) -> None:
        if torch.is_grad_enabled() and inputs:
            seen = [names.get(row.tobytes(), -1) for row in to_numpy(inputs[0])]
            calls.append(ReplicaCall(np.array(seen, dtype=np.int64), _flat(module)))

    def build_model() -> nn.Module:
        model = steady_network(images.shape[1], classes, seed=int(torch.randint(2**31, ())))
        model.register_forward_pre_hook(watch)
        return model

    before = build_model()
    model = train(build_model, x, y, epochs, batch_size, rate)
    same = isinstance(model, nn.Module) and [p.shape for p in model.parameters()] == [
        p.shape for p in before.parameters()
    ]
    return [ReplicaRun(calls, _flat(model) if same else None, type(model).__name__)]


def watched_evaluation(
    evaluate: Callable[..., Any], images: np.ndarray, labels: np.ndarray, *, batch_size: int,
    classes: int, weights: np.ndarray, seconds: float = 120,
) -> list[Ending]:  # fmt: skip
    """Run `evaluate(model, x, y, batch_size)` in two processes; values are `ReplicaEvaluation`s."""
    arguments = evaluate, images, labels, batch_size, classes, weights
    return in_replicas(_evaluated, *arguments, seconds=seconds)


def _evaluated(
    evaluate: Callable[..., Any], images: np.ndarray, labels: np.ndarray, batch_size: int,
    classes: int, weights: np.ndarray,
) -> ReplicaEvaluation:  # fmt: skip
    model = _at(weights, images.shape[1], classes).eval()
    entered = [0]

    def count(module: nn.Module, inputs: Any) -> None:
        entered[0] += len(inputs[0])

    model.register_forward_pre_hook(count)
    x, y = from_images(images), from_labels(labels)
    with count_host_waits() as waits:
        value = evaluate(model, x, y, batch_size)
    return ReplicaEvaluation(number_or_nan(value), entered, waits())


def watched_placement(
    train_on: Callable[..., Any], images: np.ndarray, labels: np.ndarray, *, batch_size: int,
    rate: float, classes: int, seconds: float = 120,
) -> list[Ending]:  # fmt: skip
    """Run `train_on(device, build_model, x, y, batch_size, rate)` on the device "meta".

    That device keeps shapes and computes nothing; a value that is asked for is zero.

    Returns:
        One ending, with a `PlacedRun` as its value.
    """
    arguments = train_on, images, labels, batch_size, rate, classes
    return in_replicas(_placed, *arguments, replicas=1, seconds=seconds)


def _placed(
    train_on: Callable[..., Any], images: np.ndarray, labels: np.ndarray, batch_size: int,
    rate: float, classes: int,
) -> PlacedRun:  # fmt: skip
    device, x, y = torch.device("meta"), from_images(images), from_labels(labels)
    calls: list[tuple[int, bool]] = []

    def watch(module: nn.Module, inputs: Any) -> None:
        if inputs:
            tensors = (inputs[0], *module.parameters())
            calls.append((len(inputs[0]), all(t.device == device for t in tensors)))

    def build_model() -> nn.Module:
        model = steady_network(images.shape[1], classes, seed=0)
        model.register_forward_pre_hook(watch)
        return model

    with count_host_waits() as waits:
        train_on(device, build_model, x, y, batch_size, rate)
        waited = waits()
    there = sum(n for n, is_there in calls if is_there)
    return PlacedRun(sum(n for n, _ in calls), there, waited)


class _Waits(TorchFunctionMode):
    """Counts what makes the host wait for an accelerator: a value of a tensor that it asks for."""

    NAMES = frozenset(
        ("item", "tolist", "numpy", "cpu", "__float__", "__int__", "__bool__", "__index__",
         "__array__", "__complex__", "__format__")
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.count, self.inside = 0, False

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        name = getattr(function, "__name__", "")
        to_host = name == "to" and any(
            str(a) == "cpu" for a in (*args[1:], *(kwargs or {}).values())
        )
        asked = name in self.NAMES or to_host
        if self.inside or not asked or not _asked_from_outside():
            return function(*args, **(kwargs or {}))
        self.count += 1
        self.inside = True  # one reading of a value may be made of others
        try:
            return function(*map(_with_values, args), **(kwargs or {}))
        finally:
            self.inside = False


def _with_values(value: Any) -> Any:
    """Zeros in place of a tensor that keeps its shape only."""
    if isinstance(value, torch.Tensor) and value.is_meta:
        return torch.zeros(value.shape, dtype=value.dtype)
    return value


_INSIDE = str(Path(torch.__file__).parent)


def _asked_from_outside() -> bool:
    """True when the value of a tensor is asked for by code that is no part of PyTorch."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.endswith("torch/_tensor.py"):
        frame = frame.f_back
    return frame is None or not frame.f_code.co_filename.startswith(_INSIDE)


@contextmanager
def count_host_waits() -> Iterator[Callable[[], int]]:
    """Count how often the host asks for the value of a tensor; on a GPU it waits each time."""
    mode = _Waits()
    with mode:
        yield lambda: mode.count


def devices_of(thing: Any) -> list[str]:
    """Names of the devices on which a model's parameters, an optimizer's state or tensors live."""
    if isinstance(thing, nn.Module):
        tensors: list[Any] = [*thing.parameters(), *thing.buffers()]
    elif isinstance(thing, torch.optim.Optimizer):
        tensors = [v for state in thing.state.values() for v in state.values()]
    else:
        tensors = list(thing) if isinstance(thing, tuple | list) else [thing]
    return sorted({str(t.device) for t in tensors if isinstance(t, torch.Tensor) and t.ndim})


def _flat(module: nn.Module) -> np.ndarray:
    return np.concatenate([to_numpy(p).ravel() for p in module.parameters()])


def _at(weights: np.ndarray, size: int, classes: int) -> nn.Module:
    model = steady_network(size, classes, seed=0)
    at = 0
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.from_numpy(weights[at : at + p.numel()].reshape(tuple(p.shape))))
            at += p.numel()
    return model


def fresh_weights(size: int, classes: int, *, seed: int) -> np.ndarray:
    """Parameters of a fresh network, flat, as replicas begin with."""
    return _flat(steady_network(size, classes, seed=seed))


def logits_at(weights: np.ndarray, images: np.ndarray, *, classes: int) -> np.ndarray:
    """Logits (N, K) of a network with these parameters."""
    with torch.no_grad():
        return to_numpy(_at(weights, images.shape[1], classes)(from_images(images)))


def mean_gradient(
    weights: np.ndarray, images: np.ndarray, labels: np.ndarray, *, classes: int
) -> np.ndarray:
    """Gradient of the mean cross-entropy of one batch at some weights, in one process, flat."""
    model = _at(weights, images.shape[1], classes)
    F.cross_entropy(model(from_images(images)), from_labels(labels)).backward()
    return np.concatenate([to_numpy(p.grad).ravel() for p in model.parameters()])


def descend(
    weights: np.ndarray, images: np.ndarray, labels: np.ndarray, batches: Sequence[np.ndarray], *,
    rate: float, classes: int,
) -> np.ndarray:  # fmt: skip
    """Parameters after plain gradient descent on batches of rows, in one process, flat."""
    model = _at(weights, images.shape[1], classes)
    x, y = from_images(images), from_labels(labels)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for rows in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
    return _flat(model)
