"""Devices, seeds, and the way of images and labels into PyTorch and of numbers out of it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import nn

from grader.errors import ClinicError

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


def device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def on_device_of(model: nn.Module, x: Any) -> torch.Tensor:
    tensor = x if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))
    return tensor.to(device_of(model))


def labels_on(y: Any, device: torch.device) -> torch.Tensor:
    return torch.as_tensor(to_numpy(y).astype(np.int64), device=device)


def is_model(value: Any) -> bool:
    """True for something that can be trained here."""
    return isinstance(value, nn.Module)


def from_labels(labels: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return labels (N,) as int64 (N,)."""
    return torch.as_tensor(np.asarray(labels), dtype=torch.int64, device=device)


def as_images(x: Any) -> np.ndarray:
    """Undo `from_images`: what a model eats as a NumPy array (N, H, W, C), values unchanged."""
    return np.moveaxis(to_numpy(x), 1, -1)
