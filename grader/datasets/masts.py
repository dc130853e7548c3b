"""Two masts of a power line: a task whose only cue is how two like things lie to each other.

From above the wires cannot be seen, only the masts, and the label is the direction of the line. The
two masts are alike. Whatever the label, single masts stand in the same places equally often, on
ground that says nothing about it, and far enough from the edge of the image. So what a small window
shows of one mast at a time is the same for both labels, in kind and in number: nothing that looks
through such a window can do better than guess, however many filters it has and however their
answers are added up.
"""

from __future__ import annotations

import numpy as np

from grader.datasets import exact
from grader.datasets.faults import Truth
from grader.datasets.images import Images
from grader.errors import ClinicError

#: Class k: the second mast stands beside the first one, or below it.
DIRECTIONS = ("level", "upright")
DISTANCES = (4, 8, 12)
"""Pixels from any pixel of a mast to the same pixel of the other one."""
MAST = 2
"""Pixels on a mast's side."""
MARGIN = 6
"""Pixels between a mast and the edge, at least: no window of 7 pixels shows both."""

_DUSK = 115  # of 256: how bright the ground stays, so that masts stand out from any ground
_BRIGHT, _TINT = 225, 25  # a mast in each channel, with a tint either way


def paint_masts(
    ground: Images, *seed: object, distances: tuple[int, ...] = DISTANCES
) -> tuple[Images, Truth]:
    """Set two masts on every image.

    Args:
        ground: uint8 images; their labels are not used.
        seed: anything that tells this draw from others, such as a split's name and a number.
        distances: pixels between the masts; every distance comes equally often with every label.

    Returns:
        Images with the directions as classes; directions and distances are balanced to within one
        image each in every prefix. Parameters: distance, int64 (N,); top and left, int64 (N, 2):
        the upper left pixel of each mast.

    Raises:
        ClinicError: the images are too small for the largest distance.
    """
    n, height, width = ground.images.shape[:3]
    room = min(height, width) - 2 * MARGIN - MAST
    if max(distances) > room:
        raise ClinicError(
            f"Masts {max(distances)} pixels apart need images of "
            f"{max(distances) + 2 * MARGIN + MAST} pixels, not {height} by {width}."
        )
    drawn = exact.balanced_labels(n, len(DIRECTIONS) * len(distances), "masts", *seed)
    labels = drawn % len(DIRECTIONS)
    distance = np.array(distances, np.int64)[drawn // len(DIRECTIONS)]
    first = [MARGIN + _evenly(room - distance + 1, "masts", axis, *seed) for axis in "yx"]
    # Across the line, both masts stand where one of two masts would: before or behind the distance.
    behind = _evenly(np.full(n, 2), "masts behind", *seed)
    along, across = np.array([0, 1]) * distance[:, None], (behind * distance)[:, None]
    level = (labels == 0)[:, None]
    top = first[0][:, None] + np.where(level, across, along)
    left = first[1][:, None] + np.where(level, along, across)
    tint = _evenly(np.full(3 * n, 2 * _TINT + 1), "masts tint", *seed).reshape(n, 1, 1, 3) - _TINT
    pixels = (ground.images.astype(np.int64) * _DUSK) >> 8
    images = _set(pixels, top, left, _BRIGHT + tint)
    parameters = {"distance": distance, "top": top, "left": left}
    return Images(images, labels, DIRECTIONS), Truth("paint_masts", np.ones(n, bool), parameters)


def four_pairs(size: int, distance: int) -> np.ndarray:
    """Two masts on plain ground in four ways, and the ground alone, uint8 (5, size, size, 3).

    The masts stand on two corners of one square: level at its top, level at its bottom, upright on
    its left, upright on its right. So the two level images together hold the same single masts in
    the same places as the two upright ones.
    """
    near = (size - distance - MAST) // 2
    far = near + distance
    pixels = np.full((5, size, size, 3), 128, np.int64) * _DUSK >> 8
    top = np.array([[near, near], [far, far], [near, far], [near, far]])
    left = np.array([[near, far], [near, far], [near, near], [far, far]])
    pixels[:4] = _set(pixels[:4], top, left, np.full((4, 1, 1, 3), _BRIGHT))
    return pixels.astype(np.uint8)


def _set(pixels: np.ndarray, top: np.ndarray, left: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Paint masts (N, 2) in the colours (N, 1, 1, 3) on a copy of the pixels; uint8."""
    painted = pixels.copy()
    which, span = np.arange(len(pixels))[:, None, None], np.arange(MAST)
    for mast in range(top.shape[1]):
        rows = top[:, mast, None, None] + span[None, :, None]
        columns = left[:, mast, None, None] + span[None, None, :]
        painted[which, rows, columns] = colour
    return painted.astype(np.uint8)


def _evenly(below: np.ndarray, *parts: object) -> np.ndarray:
    """Whole numbers from 0 to below what is asked of each, int64 (N,)."""
    return (exact.uniforms(len(below), *parts) * below).astype(np.int64)
