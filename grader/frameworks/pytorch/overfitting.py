"""The patient that learns by heart, and its training as the overfitting lab runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from grader.frameworks.pytorch.arrays import device_of, labels_on, on_device_of
from grader.frameworks.pytorch.training import get_state, loss


def wide_network(size: int, classes: int, *, device: torch.device | str = "cpu") -> nn.Sequential:
    """The patient of the overfitting lab: wide for the few images it is shown; for size >= 4 px.

    Convolutions 3x3 of 16 and 32 filters with pooling, a hidden layer of 128, dropout of a tenth,
    logits. PyTorch's default initialisation.
    """
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (size // 4) ** 2, 128), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(128, classes),
    ).to(device)  # fmt: skip


def train_with_curve(
    model: nn.Module,
    x: Any,
    y: Any,
    x_val: Any,
    y_val: Any,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
) -> tuple[dict[str, Sequence[float]], list[np.ndarray]]:
    """Train in place with Adam, past the lowest validation loss and to the last epoch.

    Order and dropout depend on the framework's seed, and use it as the overfitting lab's own loop
    does.

    Args:
        x, x_val: what the model eats, first axis N.  y, y_val: int labels (N,).

    Returns:
        Losses of every epoch (nats): "loss" while training, "val_loss" in inference mode, and
        "logged", the validation loss as the lab's program logs it: in PyTorch the model is still
        in training mode then. And the state of the epoch with the lowest "val_loss".
    """
    inputs, labels = on_device_of(model, x), labels_on(y, device_of(model))
    unseen, answers = on_device_of(model, x_val), labels_on(y_val, device_of(model))
    update = torch.optim.Adam(model.parameters(), lr=learning_rate)
    history: dict[str, list[float]] = {"loss": [], "val_loss": [], "logged": []}
    lowest = get_state(model)
    for _ in range(epochs):
        model.train()
        total = 0.0
        for batch in torch.randperm(len(inputs)).split(batch_size):
            rows = batch.to(labels.device)
            update.zero_grad()
            value = F.cross_entropy(model(inputs[rows]), labels[rows])
            value.backward()
            update.step()
            total += value.item() * len(rows)
        history["loss"].append(total / len(inputs))
        with torch.no_grad():
            history["logged"].append(F.cross_entropy(model(unseen), answers).item())
        history["val_loss"].append(loss(model, unseen, answers, training=False))
        if history["val_loss"][-1] == min(history["val_loss"]):
            lowest = get_state(model)
    return dict(history), lowest
