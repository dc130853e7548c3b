"""A backbone with downloaded weights, as PyTorch loads it."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from grader.frameworks.download import NO_WEIGHTS, quiet_download
from grader.frameworks.pytorch.training import parameter_count


def _download_resnet50() -> nn.Module:
    from torchvision.models import ResNet50_Weights, resnet50

    model = resnet50(weights=ResNet50_Weights.DEFAULT, progress=False)
    model.fc = nn.Identity()
    return model


def imagenet_backbone(
    download: Callable[[], nn.Module] = _download_resnet50, *, seconds: float = 10
) -> tuple[nn.Module | None, str]:
    """ResNet50 with ImageNet weights, without its last layer, and one sentence on it.

    Args:
        download: returns the model; replaced in tests.
        seconds: how long a connection may keep silent.

    Returns:
        The model, or None where it cannot be downloaded; the sentence says which. Nothing is
        raised and nothing is printed.
    """
    with quiet_download(seconds):
        try:
            model = download()
        except Exception:  # no network, a full disk, a proxy's page in place of weights
            return None, NO_WEIGHTS
    return model.eval(), f"ResNet50 is here, with {parameter_count(model):,} parameters."
