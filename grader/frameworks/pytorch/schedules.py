"""The learning rate that PyTorch's optimizers apply, and small trainings around it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_pre_hook

from grader.frameworks.pytorch.arrays import device_of, labels_on, on_device_of


@contextmanager
def rates_applied() -> Iterator[list[float]]:
    """While open, notes the learning rate of every step of every optimizer.

    Read from the optimizer at the moment of the step, whoever set it. Of several groups of
    parameters the highest rate counts. The list is complete when the block has ended.
    """
    rates: list[float] = []

    def note(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        rates.append(max(float(group["lr"]) for group in optimizer.param_groups))

    handle = register_optimizer_step_pre_hook(note)
    try:
        yield rates
    finally:
        handle.remove()


def one_layer(inputs: int, outputs: int, *, device: torch.device | str = "cpu") -> nn.Module:
    """A dense layer and nothing else; its initial weights come from the framework's seed."""
    return nn.Sequential(nn.Linear(inputs, outputs)).to(device)


def patches_network(size: int, classes: int, *, device: torch.device | str = "cpu") -> nn.Module:
    """One convolution over patches of 4x4 pixels, ReLU, logits: cheap, where only steps count."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, stride=4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * (size // 4) ** 2, classes),
    ).to(device)


def train_at_one_rate(model: nn.Module, x: Any, y: Any, *, rate: float, epochs: int) -> list[float]:
    """Train in place by gradient descent with momentum 0.9 on batches of 32, at one rate.

    The order of the images depends on the framework's seed.

    Args:
        x: what the model eats, first axis N.  y: int labels (N,).

    Returns:
        Mean loss of every epoch (nats).
    """
    inputs, labels = on_device_of(model, x), labels_on(y, device_of(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
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
            total += value.item()
        losses.append(total / len(batches))
    return losses
