"""Training, predicting and the state of a PyTorch model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from grader.frameworks.base import (
    StateArray,
)
from grader.frameworks.order import batch_order
from grader.frameworks.pytorch.arrays import device_of, labels_on, on_device_of, to_numpy


@contextmanager
def kept_as_it_was(model: nn.Module, *, training: bool) -> Iterator[None]:
    """While open the model is in that mode; then its mode and its buffers are what they were."""
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    was_training = model.training
    model.train(training)
    try:
        yield
    finally:
        model.train(was_training)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name in buffers:
                    buffer.copy_(buffers[name])


def loss(model: nn.Module, x: Any, y: Any, *, training: bool) -> float:
    """Mean cross-entropy (nats) of the model's logits on a batch.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, first axis N.  y: int labels (N,).
        training: True measures as in a training step (batch statistics, dropout on), without
            changing the model's running statistics for good.
    """
    with kept_as_it_was(model, training=training), torch.no_grad():
        logits = model(on_device_of(model, x))
        return float(F.cross_entropy(logits.float(), labels_on(y, logits.device)))


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
    device = device_of(model)
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
    device = device_of(model)
    with torch.no_grad():
        parts = [
            model(inputs[i : i + batch_size].to(device)).float().cpu().numpy()
            for i in range(0, len(inputs), batch_size)
        ]
    model.train(was_training)
    return np.concatenate(parts)


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


def cross_entropy(*, reduction: str = "mean", weight: float = 1.0) -> Callable[..., torch.Tensor]:
    """Cross-entropy from logits (nats), called as PyTorch calls a loss: (logits, labels).

    Args:
        reduction: over the images of a batch, "mean" or "sum".
        weight: a factor in front, as for one term of a loss that has several.
    """
    entropy = nn.CrossEntropyLoss(reduction=reduction)
    return lambda logits, labels: weight * entropy(logits, labels)


def train_at_rates(
    model: nn.Module,
    x: Any,
    y: Any,
    *,
    rates: np.ndarray,
    batch_size: int,
    loss_function: Callable[..., torch.Tensor],
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
        loss_function: what is minimised, (logits, labels) -> a number.
        momentum: of stochastic gradient descent.

    Returns:
        Mean cross-entropy of every step's batch (nats), whatever `loss_function` returns; float64
        (runs, steps). From the first loss that is not finite a row is NaN.
    """
    rates = np.atleast_2d(np.asarray(rates, dtype=np.float64))
    device = device_of(model)
    inputs = (x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))).to(device)
    labels = labels_on(y, device)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    was_training = model.training
    losses = np.full(rates.shape, np.nan)
    order = batch_order(len(labels), batch_size, rates.shape[1], seed)
    model.train()
    for run, row in enumerate(rates):
        model.load_state_dict(start)
        update = torch.optim.SGD(model.parameters(), lr=0.0, momentum=momentum)
        for step, index in enumerate(order):
            update.param_groups[0]["lr"] = row[step]
            rows = torch.from_numpy(index).to(device)
            update.zero_grad(set_to_none=True)
            logits = model(inputs[rows])
            loss_function(logits, labels[rows]).backward()
            value = float(F.cross_entropy(logits.detach().float(), labels[rows]))
            if not np.isfinite(value):
                break
            losses[run, step] = value
            update.step()
    model.load_state_dict(start)
    model.train(was_training)
    return losses


def count_training_calls(model: nn.Module) -> Callable[[], int]:
    """Return a function that says how often the model was called in training mode since now."""
    calls = 0

    def count(module: nn.Module, inputs: Any) -> None:
        nonlocal calls
        calls += module.training

    model.register_forward_pre_hook(count)
    return lambda: calls


def predict_in_training(model: nn.Module, x: Any) -> np.ndarray:
    """The model's outputs as in a training step, all images as one batch, float32 (N, K).

    Layers that keep running statistics use the batch's own. The model is left as it was.
    """
    with kept_as_it_was(model, training=True), torch.no_grad():
        return model(on_device_of(model, x)).float().cpu().numpy()


def outputs_after_training(
    model: nn.Module,
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
    device = device_of(model)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    was_training = model.training
    outputs = []
    for x, y in sets:
        model.load_state_dict(start)
        model.train()
        inputs = (x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))).to(device)
        labels = labels_on(y, device)
        update = torch.optim.Adam(model.parameters(), lr=learning_rate)
        for step, index in enumerate(batch_order(len(labels), batch_size, steps, seed)):
            update.param_groups[0]["lr"] = learning_rate * (1 - step / steps)
            rows = torch.from_numpy(index).to(device)
            update.zero_grad(set_to_none=True)
            F.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            update.step()
        outputs.append(predict(model, unseen))
    model.load_state_dict(start)
    model.train(was_training)
    return np.stack(outputs)


def fit_one_batch(
    model: nn.Module,
    x: Any,
    y: Any,
    *,
    rates: Sequence[float],
    steps: int,
    enough: float = -math.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """Train on one and the same batch, from the same start once for every rate.

    Adam, from the rate in a straight line to 0, so that the end is steady. The model is left as it
    was.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, all N images of the batch.  y: int labels (N,).
        enough: further rates are not tried once a loss at the end (nats) is this low.

    Returns:
        Cross-entropy of every step as in training (nats), float64 (rates, steps), and at the end,
        as in training or in evaluation, whichever is lower, (rates,). NaN is what was not run;
        the end is infinite where a loss was not finite.
    """
    device = device_of(model)
    inputs, labels = on_device_of(model, x), labels_on(y, device)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    was_training = model.training
    parameters = [p for p in model.parameters() if p.requires_grad]
    losses, settled = np.full((len(rates), steps), np.nan), np.full(len(rates), np.nan)
    for run, rate in enumerate(rates):
        model.load_state_dict(start)
        model.train()
        update = torch.optim.Adam(parameters, lr=rate) if parameters else None
        settled[run] = np.inf
        for step in range(steps):
            value = F.cross_entropy(model(inputs).float(), labels)
            losses[run, step] = float(value.detach())
            if not np.isfinite(losses[run, step]):
                break
            if update is not None and value.requires_grad:
                update.param_groups[0]["lr"] = rate * (1 - step / steps)
                update.zero_grad(set_to_none=True)
                value.backward()
                update.step()
        else:
            ends = [loss(model, x, y, training=mode) for mode in (True, False)]
            settled[run] = min((end for end in ends if np.isfinite(end)), default=np.inf)
        if settled[run] <= enough:
            break
    model.load_state_dict(start)
    model.train(was_training)
    return losses, settled


def train_in_one_cycle(
    model: nn.Module, x: Any, y: Any, *, highest: float, epochs: int = 16
) -> list[float]:
    """Train in place with Adam, batches of 32, the rate rising to `highest` and falling again.

    The rate is `highest` half-way and close to 0 at both ends. The order of the images depends on
    the framework's seed.

    Args:
        x: what the model eats, first axis N.  y: int labels (N,).

    Returns:
        Mean loss of every epoch (nats).
    """
    inputs, labels = on_device_of(model, x), labels_on(y, device_of(model))
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, highest, epochs=epochs, steps_per_epoch=-(-len(inputs) // 32),
        pct_start=0.5, div_factor=1000,
    )  # fmt: skip
    losses = []
    model.train()
    for _ in range(epochs):
        total = 0.0
        batches = torch.randperm(len(inputs)).split(32)
        for batch in batches:
            rows = batch.to(labels.device)
            optimizer.zero_grad()
            value = F.cross_entropy(model(inputs[rows]), labels[rows])
            value.backward()
            optimizer.step()
            schedule.step()
            total += value.item()
        losses.append(total / len(batches))
    return losses


def state_arrays(model: nn.Module) -> list[StateArray]:
    """What the arrays of `get_state` are, in its order."""
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    arrays = []
    for path in model.state_dict():
        layer, _, name = path.rpartition(".")
        arrays.append(StateArray(layer, name, path not in parameters))
    return arrays


def train_to_rest(
    model: nn.Module,
    x: Any,
    y: Any,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int = 0,
) -> None:
    """Train in place with Adam, from `learning_rate` in a straight line to 0.

    Args:
        model: maps x to logits (N, K).
        x: what the model eats, first axis N.  y: int labels (N,).
    """
    inputs, labels = on_device_of(model, x), labels_on(y, device_of(model))
    update = torch.optim.Adam(model.parameters(), lr=learning_rate)
    was_training = model.training
    model.train()
    for step, index in enumerate(batch_order(len(labels), batch_size, steps, seed)):
        update.param_groups[0]["lr"] = learning_rate * (1 - step / steps)
        rows = torch.from_numpy(index)
        update.zero_grad(set_to_none=True)
        F.cross_entropy(model(inputs[rows]), labels[rows]).backward()
        update.step()
    model.train(was_training)
