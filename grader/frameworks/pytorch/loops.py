"""What a training loop is measured with: networks of its own."""

from __future__ import annotations

import torch
from torch import nn

from grader.frameworks.pytorch.networks import quick_cnn


def resting_network(
    size: int, classes: int, *, seed: int, device: torch.device | str = "cpu"
) -> nn.Module:
    """A fresh network that black images teach nothing: their gradient is exactly zero.

    One convolution 3x3 of 4 filters with stride 2, ReLU, a dense layer; no biases and no
    normalisation, so that for an image of zeros every value inside is zero. The weights depend on
    the arguments only.
    """
    n = (size + 1) // 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False), nn.ReLU(),
            nn.Flatten(), nn.Linear(4 * n * n, classes, bias=False),
        ).to(device)  # fmt: skip


def steady_network(
    size: int, classes: int, *, seed: int, device: torch.device | str = "cpu"
) -> nn.Module:
    """A fresh network that learns at rates over two decades; every parameter gets a gradient.

    Convolutions 5x5 to 12 and 3x3 to 16 without biases, both with stride 2, each normalised over
    groups of channels, ReLU, a dense layer. It keeps no statistics, so training and serving are
    the same. The weights depend on the arguments only.
    """
    n = ((size + 1) // 2 + 1) // 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 12, 5, stride=2, padding=2, bias=False), nn.GroupNorm(4, 12), nn.ReLU(),
            nn.Conv2d(12, 16, 3, stride=2, padding=1, bias=False), nn.GroupNorm(4, 16), nn.ReLU(),
            nn.Flatten(), nn.Linear(16 * n * n, classes),
        ).to(device)  # fmt: skip


def seeded_quick_cnn(
    size: int, classes: int, *, seed: int, device: torch.device | str = "cpu"
) -> nn.Module:
    """A fresh `quick_cnn` on a device, whose weights depend on the arguments only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return quick_cnn(size, classes).to(device)
