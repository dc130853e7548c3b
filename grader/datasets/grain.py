"""Photographs in poor light: grain over every pixel, as a sensor at its highest gain gives it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grader.datasets import exact
from grader.datasets.images import Images
from grader.errors import ClinicError


def add_grain(images: Images, strength: float, *seed: object) -> Images:
    """Add grain with a triangular density to every pixel and channel, and clip.

    Args:
        images: uint8.
        strength: standard deviation of the grain, in values of 0..255.
        seed: anything that tells this draw from others. An image's grain depends on it and on the
            image's position only, so the first m images do not depend on how many there are.

    Raises:
        ClinicError: a negative strength.
    """
    if strength < 0:
        raise ClinicError(f"A grain of {strength} is out of range; give 0 or more.")
    reach = np.float32(round(strength * 6**0.5))  # the density on (-1, 1) has a variance of 1/6
    noise = exact.Stream(exact.keys(len(images), "grain", *seed)).film_grain(
        *images.images.shape[1:]
    )
    pixels = np.clip(np.rint(images.images + reach * noise), 0, 255).astype(np.uint8)
    return replace(images, images=pixels)
