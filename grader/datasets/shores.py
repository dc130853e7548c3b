"""On which side is the sea? Images whose label is a direction, with a rule that reads it back.

Most image classes do not care which way an image is turned. This task does: a strip of water is
laid along one side of every image, and the side is the class. It can be laid along tiles and
photographs alike, and a *water index* finds it again in any image, augmented or not. Whether an
augmentation keeps its label is thus a measurement, and needs no trained network.

The index is (blue - red) / (blue + red). Remote sensing does the same with green and near infrared
(S. McFeeters, "The use of the Normalized Difference Water Index (NDWI) in the delineation of open
water features", 1996). A ratio does not change with the brightness of an image. Everything that is
not water is painted with blue below red, so that the rule is exact on images as they are drawn.
"""

from __future__ import annotations

import numpy as np

from grader.datasets import exact
from grader.datasets.draw import draw as draw_ground
from grader.datasets.images import Images

#: Alphabetical. Class k is the side that the sea is on.
SIDES = ("bottom", "left", "right", "top")
OPPOSITE = np.array([3, 2, 1, 0])
"""OPPOSITE[k] is the side across from k."""
NO_SIDE = -1
"""What `water_side` gives where there is no water to be seen."""

WATER = 0.05
"""An index above this is water. Ground has at most -0.08, painted water at least 0.14."""
_ENOUGH = 0.01  # of the area, weighted by the index: less water than this has no side

_SEAS = ((0.10, 0.23, 0.38), (0.20, 0.34, 0.42), (0.16, 0.30, 0.30), (0.30, 0.40, 0.48))


def draw(data: str, split: str, n: int, *, size: int = 16, seed: int = 0) -> Images:
    """Draw `n` images with the sea on one side, balanced over the sides.

    The ground is that of `grader.datasets.draw` with the same arguments; its classes are dropped.
    The same arguments give the same bytes, on every machine for tiles.

    Args:
        data: "tiles", or the path of an image folder.
        split: "train", "validation", "test" or "field".

    Returns:
        uint8 (n, size, size, 3); labels are positions in `SIDES`. The sea covers 15 to 45 % of the
        way to the other side, and about half of the images have a lake as well.
    """
    ground = draw_ground(data, split, n, size=size, seed=seed).images
    labels = exact.balanced_labels(n, len(SIDES), "shores", "labels", split, seed)
    stream = exact.Stream(exact.keys(n, "shores", split, seed))
    return Images(_flood(_warm(ground), labels, stream), labels, SIDES)


def _warm(ground: np.ndarray) -> np.ndarray:
    """Ground in 0..1 without a blue pixel: the larger of red and blue is red."""
    pixels = ground.astype(np.float32) / np.float32(255)
    red, green, blue = (pixels[..., i] for i in range(3))
    warm = np.maximum(red, blue) + np.float32(0.02)  # not quite black: black has no index
    return np.stack([warm, green, np.float32(0.8) * np.minimum(red, blue)], axis=-1)


def _flood(ground: np.ndarray, labels: np.ndarray, stream: exact.Stream) -> np.ndarray:
    size = ground.shape[1]
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = axis[None, :, None], axis[None, None, :]
    from_side = np.choose(labels[:, None, None], [1 - y, x, 1 - x, y])
    reach = stream.uniform(0.21, 0.39) + 0.06 * stream.smooth_noise(size, 3)
    sea = np.clip((np.clip(reach, 0.15, 0.45) - from_side) * size + 0.5, 0, 1)
    # A lake stays small and near the middle: it distracts a network, and cannot outweigh the sea.
    across, along = stream.uniform(0.35, 0.65), stream.uniform(0.35, 0.65)
    distance = np.sqrt((x - across) ** 2 + (y - along) ** 2)
    radius = stream.uniform(0.07, 0.14) * (stream.uniform() < 0.5)
    lake = np.clip((radius - distance) * size + 0.5, 0, 1) * (radius > 0)
    water = _water(stream) * (1 + 0.10 * stream.smooth_noise(size, size // 2))[..., None]
    cover = np.maximum(sea, lake)[..., None]
    flooded = ground + (water - ground) * cover
    return (np.clip(flooded, 0, 1) * 255 + 0.5).astype(np.uint8)


def _water(stream: exact.Stream) -> np.ndarray:
    """One colour of water an image, float32 (n, 1, 1, 3)."""
    which = (stream.next_keys() >> np.uint64(33)) % np.uint64(len(_SEAS))
    base = np.asarray(_SEAS, np.float32)[which.astype(np.int64)][:, None, None, :]
    return base * stream.uniform(0.7, 1.3)[..., None]


def water_index(pixels: np.ndarray) -> np.ndarray:
    """(blue - red) / (blue + red) of every pixel, float64 (N, H, W), -1..1.

    Args:
        pixels: (N, H, W, 3), uint8 or float, of any range; negative values count as 0. Black has 0.
    """
    values = np.clip(np.asarray(pixels, np.float64), 0, None)
    red, blue = values[..., 0], values[..., 2]
    with np.errstate(invalid="ignore"):  # of an infinite value the index is NaN, and no water
        return (blue - red) / np.maximum(blue + red, 1e-9)


def water_side(pixels: np.ndarray) -> np.ndarray:
    """The side on which the water is, int64 (N,): a position in `SIDES`, or `NO_SIDE`.

    The centre of gravity of the water lies towards a side; a diagonal belongs to the nearer one.
    Exact on images as `draw` gives them.

    Args:
        pixels: (N, H, W, 3), uint8 or float, of any range. Values that are not finite are no water.
    """
    index = np.nan_to_num(water_index(pixels), nan=0.0)
    water = np.clip(index - WATER, 0, None)
    height, width = water.shape[1:]
    y = (np.arange(height) + 0.5) / height - 0.5
    x = (np.arange(width) + 0.5) / width - 0.5
    down, right = (water * y[:, None]).mean(axis=(1, 2)), (water * x[None, :]).mean(axis=(1, 2))
    side = np.stack([down, -right, right, -down]).argmax(axis=0)
    return np.where(water.mean(axis=(1, 2)) >= _ENOUGH, side, NO_SIDE)
