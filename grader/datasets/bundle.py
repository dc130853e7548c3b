"""What a kernel is handed while its notebook is graded: unseen images without their labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from grader.datasets.images import Images, standardise
from grader.errors import ClinicError


class LabelsWithheld(ClinicError):
    """Somebody asked for labels where they are not: in the process whose answer is graded."""


@dataclass(frozen=True, eq=False)
class UnlabelledImages:
    """Images whose labels stay with the grader; otherwise like `Images`.

    Attributes:
        images: (N, size, size, 3), of the type that the check draws.
        classes: the names, in the order of the labels.
        given: int64 (N,), labels that the images carry, right or wrong, where those are what an
            answer is to look through; None where there are none.
    """

    images: np.ndarray
    classes: tuple[str, ...]
    given: np.ndarray | None = None

    @property
    def labels(self) -> np.ndarray:
        """Not here.

        Raises:
            LabelsWithheld: always.
        """
        raise LabelsWithheld(
            "The labels of unseen images are not in this process; hand over predictions, and they "
            "are compared where the labels are."
        )

    def __len__(self) -> int:
        return len(self.images)

    def take(self, n: int) -> UnlabelledImages:
        """The first `n`."""
        return self.pick(np.arange(min(n, len(self))))

    def pick(self, index: np.ndarray) -> UnlabelledImages:
        """Those at `index` (integers or a mask), in that order, copied."""
        given = None if self.given is None else self.given[index]
        return replace(self, images=self.images[index], given=given)

    def standardised(self, like: Images) -> np.ndarray:
        """Each channel by mean and deviation of `like`, float64 (N, size, size, 3)."""
        return standardise(self.images, like.images)


@dataclass(frozen=True, eq=False)
class UnseenArrays:
    """What an answer is asked about where that is no one set of images: files, windows, numbers.

    The learner's process sees all of it. What the right answer is stays with the check, which can
    tell it from `Case.of_unseen`.

    Attributes:
        arrays: by name.
    """

    arrays: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]


Unlabelled = UnlabelledImages | UnseenArrays


def without_labels(drawn: Images | Unlabelled) -> Unlabelled:
    """The same images in the same order; what has no labels as it is."""
    if isinstance(drawn, Images):
        return UnlabelledImages(drawn.images, drawn.classes)
    return drawn


def write(path: Path, sets: Mapping[str, Unlabelled]) -> None:
    """Write named sets to one file: pixels, classes, and labels that are to be looked through."""
    arrays: dict[str, np.ndarray] = {}
    for name, images in sets.items():
        if isinstance(images, UnseenArrays):
            arrays |= {f"{name}/{key}": array for key, array in images.arrays.items()}
            continue
        arrays[f"{name}.images"] = images.images
        arrays[f"{name}.classes"] = np.array(images.classes)
        if images.given is not None:
            arrays[f"{name}.given"] = images.given
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read(path: Path) -> dict[str, Unlabelled]:
    """Read the sets back by name.

    Raises:
        ClinicError: the file is not there or is none of ours.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        return {**_images(arrays), **_unseen_arrays(arrays)}
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise ClinicError(
            f"The images handed in for grading cannot be read ({error}); grade again."
        ) from None


def _images(arrays: Mapping[str, np.ndarray]) -> dict[str, UnlabelledImages]:
    own = [key for key in arrays if "/" not in key and key.endswith(".images")]
    return {
        name: UnlabelledImages(
            arrays[f"{name}.images"],
            tuple(map(str, arrays[f"{name}.classes"])),
            arrays.get(f"{name}.given"),
        )
        for name in (key.removesuffix(".images") for key in own)
    }


def _unseen_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, UnseenArrays]:
    sets: dict[str, dict[str, np.ndarray]] = {}
    for path, array in arrays.items():
        name, slash, key = path.partition("/")
        if slash:
            sets.setdefault(name, {})[key] = array
    return {name: UnseenArrays(found) for name, found in sets.items()}
