"""A backbone with downloaded weights, as TensorFlow loads it."""

from __future__ import annotations

from collections.abc import Callable

import keras

from grader.frameworks.download import NO_WEIGHTS, quiet_download
from grader.frameworks.tensorflow.training import parameter_count


def _download_resnet50() -> keras.Model:
    return keras.applications.ResNet50(weights="imagenet", include_top=False, pooling="avg")


def imagenet_backbone(
    download: Callable[[], keras.Model] = _download_resnet50, *, seconds: float = 10
) -> tuple[keras.Model | None, str]:
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
    model.trainable = False  # so that its batch normalisation keeps its statistics
    return model, f"ResNet50 is here, with {parameter_count(model):,} parameters."
