"""What every part of the course means by images with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


def standardise(images: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Each channel by mean and deviation of `like`, float64; both (N, H, W, 3)."""
    mean, std = like.mean(axis=(0, 1, 2)), like.std(axis=(0, 1, 2))
    return (images - mean) / std


@dataclass(frozen=True)
class Images:
    """Labelled images in memory.

    Attributes:
        images: uint8 (N, size, size, 3), RGB, 0..255.
        labels: int64 (N,), positions in `classes`.
        classes: the names, in alphabetical order, so that the same images written to a folder and
            read again carry the same numbers.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise ValueError(f"{len(self.images)} images but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, n: int) -> Images:
        """The first `n`; as drawn, any prefix is balanced to within one image a class."""
        return replace(self, images=self.images[:n], labels=self.labels[:n])

    def pick(self, index: np.ndarray) -> Images:
        """Those at `index` (integers or a mask), in that order, copied."""
        return replace(self, images=self.images[index], labels=self.labels[index])

    def standardised(self, like: Images | None = None) -> np.ndarray:
        """Each channel by mean and deviation of `like` or of these, float64 (N, size, size, 3)."""
        return standardise(self.images, (like or self).images)

    def only(self, classes: Sequence[int]) -> Images:
        """Those of a few different classes, in the order they were.

        Labels count within `classes`, in the order given there.
        """
        numbers = np.full(len(self.classes), -1, np.int64)
        numbers[list(classes)] = np.arange(len(classes))
        labels = numbers[self.labels]
        return Images(
            self.images[labels >= 0],
            labels[labels >= 0],
            tuple(self.classes[label] for label in classes),
        )
