"""The patients and the controls as PyTorch models."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from grader.frameworks.pytorch.arrays import device_of


def small_network(
    size: int, classes: int, *, width: int, seed: int, device: torch.device | str = "cpu"
) -> nn.Module:
    """A fresh convolutional network whose weights depend on the arguments only.

    Three times convolution 3x3, batch normalisation, ReLU, with `width`, then twice `2 * width`
    filters; the maps are halved after the first two; global average and a dense layer.

    Args:
        size: pixels on a side.  classes: number of logits.
    """
    del size  # the average over the map fits any size; Keras needs it to create the weights
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            *_block(3, width),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 2 * width),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(2 * width, classes),
        ).to(device)


def _block(inputs: int, filters: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU()]


def plain_cnn(size: int, classes: int) -> nn.Module:
    """The plain patient: two convolutions with pooling, one hidden layer, logits; for size >= 4 px.

    No normalisation, so the scale of the input reaches the loss. Glorot initialisation with zero
    biases (Keras's default) in both frameworks, so that both patients start alike.
    """
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (size // 4) ** 2, 64), nn.ReLU(),
        nn.Linear(64, classes),
    )  # fmt: skip
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
    return model


def deep_stack(size: int, classes: int) -> nn.Module:
    """The deep patient: fourteen convolutions 3x3 with ReLU, 16 filters each, and a dense layer.

    The maps are halved after the first and the second convolution, so size is at least 4 px.
    Weights and biases are uniform within 1 / sqrt(inputs), PyTorch's default, in both frameworks;
    behind a ReLU a layer passes on about 1/6 of a signal's variance (He et al. 2015, section 2.2,
    ask for all of it).
    """
    layers: list[nn.Module] = []
    channels = 3
    for number in range(1, 15):
        layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()]
        channels = 16
        if number in (1, 2):
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * (size // 4) ** 2, classes))


def two_block_network(
    size: int, classes: int, *, width: int, seed: int, device: torch.device | str = "cpu"
) -> nn.Module:
    """A fresh small network whose weights depend on the arguments only; for size >= 4 px.

    Twice convolution 3x3, batch normalisation, ReLU and halving, with `width`, then `2 * width`
    filters; then one dense layer, which still sees where in the image something is.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            *_block(3, width),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * (size // 4) ** 2, classes),
        ).to(device)


def quick_cnn(size: int, classes: int) -> nn.Module:
    """A network that is cheap enough to be trained many times, and memorises what it is told.

    Convolutions 5x5 to 12 and 3x3 to 16, both with stride 2, a hidden layer of 48, logits. He
    initialisation with zero biases in both frameworks.
    """
    n = ((size + 1) // 2 + 1) // 2
    model = nn.Sequential(
        nn.Conv2d(3, 12, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv2d(12, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * n * n, 48), nn.ReLU(),
        nn.Linear(48, classes),
    )  # fmt: skip
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            nn.init.kaiming_uniform_(parameter, nonlinearity="relu")
        else:
            nn.init.zeros_(parameter)
    return model


def strided_network(
    size: int, classes: int, *, squeeze: int = 0, activation: bool = True
) -> nn.Module:
    """Three convolutions 3x3 of 16, 32, 32 filters, each normalised, the first two with stride 2.

    Then the average over the map and a dense layer. The capacity lab's control; its patient has no
    activation and a convolution 1x1 to one channel before the average.

    Args:
        size: pixels on a side.  classes: number of logits.
        squeeze: channels of that convolution 1x1; 0 leaves it out.
        activation: False leaves every ReLU out.
    """
    del size  # the average over the map fits any size; Keras needs it to create the weights
    layers: list[nn.Module] = []
    channels = 3
    for filters, stride in ((16, 2), (32, 2), (32, 1)):
        layers += [nn.Conv2d(channels, filters, 3, stride, padding=1), nn.BatchNorm2d(filters)]
        layers += [nn.ReLU()] if activation else []
        channels = filters
    if squeeze:
        layers.append(nn.Conv2d(channels, squeeze, 1))
        channels = squeeze
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


def seven_pixel_stack(
    size: int, classes: int, *, dilations: tuple[int, int, int] = (1, 1, 1)
) -> nn.Module:
    """The patient of the receptive field: three convolutions 3x3, then a maximum over the map.

    Eight filters a layer, normalisation and ReLU behind each; the last map's units see 7 pixels on
    a side. Other dilations widen that for the same multiply-adds: (1, 2, 4) to 15 pixels.
    """
    del size  # the maximum over the map fits any size; Keras needs it to create the weights
    layers: list[nn.Module] = []
    for inputs, dilation in zip((3, 8, 8), dilations, strict=True):
        layers += [
            nn.Conv2d(inputs, 8, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, classes))


def dying_network(size: int, classes: int, *, device: torch.device | str = "cpu") -> nn.Module:
    """The patient whose units die: `plain_cnn` with PyTorch's initial weights, for size >= 4 px.

    Two convolutions with pooling, a hidden layer of 64, and logits that go through a ReLU as well.
    """
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (size // 4) ** 2, 64), nn.ReLU(),
        nn.Linear(64, classes), nn.ReLU(),
    ).to(device)  # fmt: skip


class _ResidualBlock(nn.Module):
    """Two convolutions 3x3 and a shortcut around them (He et al. 2016, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.relu(self.shortcut(x) + self.body(x))
        return result


def residual_network(size: int, classes: int, *, photograph_stem: bool) -> nn.Module:
    """A small residual network: four blocks of 8, 16, 32 and 64 filters, which halve three times.

    Args:
        size: pixels on a side.
        photograph_stem: True begins as ResNet does for photographs of 224 pixels, with a
            convolution 7x7 of stride 2 and a pooling of stride 2; False with a convolution 3x3.
    """
    del size  # the average over the map fits any size; Keras needs it to create the weights
    stem: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1, bias=False)]
    if photograph_stem:
        stem = [nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)]
    stem += [nn.BatchNorm2d(8), nn.ReLU()]
    if photograph_stem:
        stem.append(nn.MaxPool2d(3, stride=2, padding=1))
    return nn.Sequential(
        *stem,
        _ResidualBlock(8, 8, 1),
        _ResidualBlock(8, 16, 2),
        _ResidualBlock(16, 32, 2),
        _ResidualBlock(32, 64, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


def _feature_layers(width: int) -> list[nn.Module]:
    return [
        *_block(3, width),
        nn.MaxPool2d(2),
        *_block(width, 2 * width),
        *_block(2 * width, 2 * width),
        nn.MaxPool2d(2),
        *_block(2 * width, 2 * width),
        *_block(2 * width, 2 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]


def feature_network(
    size: int, *, width: int, seed: int, device: torch.device | str = "cpu"
) -> nn.Sequential:
    """A fresh backbone whose weights depend on the arguments only: images to features.

    Five times convolution 3x3, batch normalisation, ReLU, with `width`, then `2 * width` filters;
    the maps are halved after the first and the third; the global average is the features,
    (N, 2 * width).
    """
    del size  # Keras needs it to create the weights
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(*_feature_layers(width)).to(device)


def feature_classifier(
    size: int, classes: int, *, width: int, seed: int, device: torch.device | str = "cpu"
) -> nn.Sequential:
    """A fresh `feature_network` and a dense layer in one stack; its state ends with that layer's
    weights and biases."""
    del size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(*_feature_layers(width), nn.Linear(2 * width, classes)).to(device)


def with_head(backbone: nn.Module, weights: np.ndarray, biases: np.ndarray) -> nn.Sequential:
    """The backbone itself, not a copy, and behind it a dense layer that gives logits.

    Args:
        weights: float (features, K).  biases: float (K,).
    """
    head = nn.Linear(*weights.shape)
    with torch.no_grad():
        head.weight.copy_(torch.as_tensor(weights.T))
        head.bias.copy_(torch.as_tensor(biases))
    return nn.Sequential(backbone, head.to(device_of(backbone)))
