"""Folders as one finds them: mixed sizes and modes, a few files that do not decode.

`write_found` makes such a folder of any images; `mosaics` makes images that can be told apart after
JPEG, resizing, cropping and padding, so that a loader can be measured file by file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from grader.datasets import exact, faults, folder
from grader.datasets.images import Images


def write_found(
    images: Images,
    path: str | os.PathLike[str],
    *,
    format: str = "jpg",
    grey: int = 0,
    palette: int = 0,
    transparent: int = 0,
    cmyk: int = 0,
    resized: int = 0,
    truncated: int = 0,
    text: int = 0,
    empty: int = 0,
    seed: int = 0,
) -> folder.FolderIndex:
    """Write images as files and then rewrite or damage some: one folder for every class.

    Args:
        path: a new folder.
        format: of the files that stay as they are, "jpg" or "png".
        grey, palette, transparent, cmyk, resized: readable files of each kind, as
            `faults.mix_files`.
        truncated, text, empty: files that do not decode, as `faults.corrupt_files`; some may have
            been rewritten before.

    Returns:
        The index of the folder.
    """
    folder.write_folder(images, path, format)
    faults.mix_files(
        path,
        grey=grey,
        palette=palette,
        transparent=transparent,
        cmyk=cmyk,
        deep=0,
        resized=resized,
        seed=seed,
    )
    index, _ = faults.corrupt_files(path, truncated=truncated, text=text, empty=empty, seed=seed)
    return index


def mosaics(n: int, size: int, classes: Sequence[str], seed: int = 0) -> Images:
    """Pictures of coloured blocks, no two alike, balanced over the classes.

    Sixteen large blocks with four small ones in each. The three channels have patterns of their
    own, and both sizes survive JPEG and a change of size, so that a file is recognised in whatever
    a loader made of it.

    Args:
        size: pixels on a side, at least 16.
        classes: names in alphabetical order.
    """
    pixels = np.zeros((n, size, size, 3))
    for blocks, weight in ((4, 1.0), (8, 0.7)):
        values = exact.uniforms(n * blocks * blocks * 3, "mosaics", blocks, seed)
        place = np.arange(size) * blocks // size
        pixels += weight * values.reshape(n, blocks, blocks, 3)[:, place][:, :, place]
    pixels -= pixels.min(axis=(1, 2), keepdims=True)
    pixels *= 255 / pixels.max(axis=(1, 2), keepdims=True)
    labels = exact.balanced_labels(n, len(classes), "mosaics", "labels", seed)
    return Images(np.floor(pixels + 0.5).astype(np.uint8), labels, tuple(classes))
