"""The one door to images: the same call for generated tiles and for a folder of photographs."""

from __future__ import annotations

from grader.datasets import faults, folder, tiles
from grader.datasets.images import Images
from grader.errors import ClinicError

SPLITS = ("train", "validation", "test", "field")
SMALLEST, LARGEST = 8, 1024


def draw(data: str, split: str, n: int, *, size: int = 32, seed: int = 0) -> Images:
    """Draw `n` images of one split, balanced over the classes.

    The same arguments give the same bytes, on every machine for tiles. Two splits never share an
    image. "field" holds images of the test split under the lighting drift of `faults.FIELD`.

    Args:
        data: "tiles" for generated tiles, or the path of an image folder (see `folder.scan`).
        split: "train", "validation", "test" or "field".
        n: how many, at least one a class; any prefix is balanced to within one image a class.
        size: pixels on a side, 8 to 1024. Photographs are cropped to their centre square first.
        seed: which tiles are painted, or which files are chosen; and their order.

    Raises:
        ClinicError: unknown split, n below the number of classes, a size out of range, or a folder
            that is missing, empty, unreadable or too small; the sentence says which.
    """
    if split not in SPLITS:
        raise ClinicError(f"There is no split {split!r}; take one of {', '.join(SPLITS)}.")
    if not SMALLEST <= size <= LARGEST:
        raise ClinicError(
            f"Images of {size} pixels are out of range; take a size from {SMALLEST} to {LARGEST}."
        )
    source = "test" if split == "field" else split
    if data == "tiles":
        _at_least_one_each(n, len(tiles.CLASSES))
        images = Images(*tiles.make(n, size, seed, split=source), classes=tiles.CLASSES)
    else:
        index = folder.scan(data)
        _at_least_one_each(n, len(index.classes))
        images = folder.sample(index.only(source), n, size=size, seed=seed)
    if split == "field":
        images, _ = faults.lighting_drift(images, seed=seed, **faults.FIELD)
    return images


def _at_least_one_each(n: int, classes: int) -> None:
    if n < classes:
        raise ClinicError(
            f"{n} images cannot cover {classes} classes; ask for at least {classes} images."
        )
