"""Image folders: what is in them, how one image is read, and how images become files.

Three layouts are understood; names of classes are the names of folders, numbered alphabetically as
torchvision's ImageFolder and Keras do:

- `<class>/*`: a fifth of every class is set aside for testing and a fifth of the rest for
  validation, by a hash of the path below the folder.
- `train/<class>/*` and `test/<class>/*`: validation is a fifth of every class of `train`, by the
  same hash.
- the same with `validation/` (or `val/`) beside `train/`: it is the validation split; where there
  is no `test/`, it is the test split, and validation is taken from `train`.

The splits do not depend on a seed, on the order of the file system or on where the folder lies.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from grader.datasets import exact
from grader.datasets.images import Images
from grader.errors import ClinicError

log = logging.getLogger(__name__)

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
)
#: The share of unreadable files that is left out with a warning; above it, drawing stops.
TOLERATED = 0.01
#: Left by `write_folder`; `faults.corrupt_files` and `faults.mix_files` touch no folder without it.
MARKER = ".written-by-cnn-clinic"

_VALIDATION_NAMES = ("validation", "val", "valid")
_SHARE_TEST = 0.2
_SHARE_VALIDATION = 0.2


class UnreadableImage(ClinicError):
    """One file that does not decode as an image."""


@dataclass(frozen=True)
class FolderIndex:
    """The images of a folder, not yet decoded.

    Attributes:
        root: the folder.
        files: paths below `root`, with forward slashes, sorted by class and then by path.
        labels: int64 (N,), positions in `classes`.
        classes: folder names in alphabetical order.
        splits: str (N,): "train", "validation" or "test" for every file.
        divided: True where the folder itself holds train and test, False where a hash decides.
    """

    root: Path
    files: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    splits: np.ndarray
    divided: bool

    def __len__(self) -> int:
        return len(self.files)

    def only(self, split: str) -> FolderIndex:
        """The part that belongs to `split`."""
        return self.at(np.flatnonzero(self.splits == split))

    def at(self, index: np.ndarray) -> FolderIndex:
        """The files at `index`, in that order."""
        return FolderIndex(
            self.root,
            tuple(self.files[i] for i in index),
            self.labels[index],
            self.classes,
            self.splits[index],
            self.divided,
        )

    def counts(self) -> np.ndarray:
        """Files in each class, int64 (K,)."""
        return np.bincount(self.labels, minlength=len(self.classes))


# ---- finding -------------------------------------------------------------------------------------


def scan(path: str | os.PathLike[str]) -> FolderIndex:
    """List the images of a folder in one of the three layouts; no image is opened.

    Files whose names start with a dot, and files without an image suffix, are not images. Images
    may lie in folders below their class's.

    Raises:
        ClinicError: the folder is missing or is a file; it holds no images; the images lie beside
            no class folders; there is one class only; a class has no images; train and test do not
            hold the same classes.
    """
    root = Path(path).expanduser()
    if not root.exists():
        raise ClinicError(
            f'There is no image folder at {root}: check the path, or use "tiles" for the images '
            "the course generates."
        )
    if not root.is_dir():
        raise ClinicError(f"{root} is a file; give the folder that holds one folder per class.")

    train = root / "train"
    if train.is_dir() and _subfolders(train):
        return _scan_divided(root, train)
    classes = _classes_of(root)
    files, labels = _files_of(root, root, classes)
    splits = _hashed_splits(files, labels, {"test": _SHARE_TEST, "validation": _SHARE_VALIDATION})
    return FolderIndex(root, files, labels, classes, splits, divided=False)


def _scan_divided(root: Path, train: Path) -> FolderIndex:
    held_out = [root / name for name in _VALIDATION_NAMES if (root / name).is_dir()][:1]
    parts = {"train": train}
    if (root / "test").is_dir():
        parts["test"] = root / "test"
        if held_out:
            parts["validation"] = held_out[0]
    elif held_out:
        parts["test"] = held_out[0]
    else:
        raise ClinicError(
            f"{root} holds train/ but no test/: add test/ with the same class folders, or give "
            f"{train} itself, which is then divided by a hash of the file names."
        )

    classes = _classes_of(train)
    found = []
    for split, folder in parts.items():
        if (theirs := _classes_of(folder)) != classes:
            odd = ", ".join(sorted(set(theirs) ^ set(classes))[:3])
            raise ClinicError(
                f"{train} and {folder} do not hold the same classes ({odd} is in one only): give "
                "both the same class folders."
            )
        files, labels = _files_of(root, folder, classes)
        splits = np.full(len(files), split, dtype="<U10")
        if split == "train" and "validation" not in parts:
            splits = _hashed_splits(files, labels, {"validation": _SHARE_VALIDATION})
        found.append((files, labels, splits))

    return FolderIndex(
        root,
        tuple(file for files, _, _ in found for file in files),
        np.concatenate([labels for _, labels, _ in found]),
        classes,
        np.concatenate([splits for _, _, splits in found]),
        divided=True,
    )


def _subfolders(folder: Path) -> list[str]:
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith((".", "__"))
    )


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES


def _classes_of(folder: Path) -> tuple[str, ...]:
    classes = _subfolders(folder)
    if not classes:
        if any(_is_image(entry.name) for entry in os.scandir(folder)):
            raise ClinicError(
                f"The images in {folder} lie in no class folder: put the images of each class in "
                "a folder named after it."
            )
        raise ClinicError(
            f"{folder} is empty: put one folder per class in it, each with its images."
        )
    if len(classes) == 1:
        raise ClinicError(
            f"{folder} holds one class, {classes[0]}: a classifier needs at least two class "
            "folders."
        )
    return tuple(classes)


def _files_of(
    root: Path, folder: Path, classes: Sequence[str]
) -> tuple[tuple[str, ...], np.ndarray]:
    """Paths below `root` and labels of the images in `folder`, class after class."""
    files: list[str] = []
    counts = []
    for name in classes:
        mine = [
            (Path(where) / file).relative_to(root).as_posix()
            for where, _, names in os.walk(folder / name)
            for file in names
            if _is_image(file)
        ]
        files += sorted(mine)
        counts.append(len(mine))
    if not any(counts):
        raise ClinicError(
            f"The class folders in {folder} hold no images; the suffixes read are "
            f"{' '.join(sorted(SUFFIXES))}."
        )
    if bare := [name for name, count in zip(classes, counts, strict=True) if not count]:
        more = f" and {len(bare) - 3} more" if len(bare) > 3 else ""
        raise ClinicError(
            f"{folder} has no images for {', '.join(bare[:3])}{more}: add images or remove the "
            "empty folder."
        )
    return tuple(files), np.repeat(np.arange(len(classes), dtype=np.int64), counts)


def _hashed_splits(
    files: Sequence[str], labels: np.ndarray, shares: dict[str, float]
) -> np.ndarray:
    """A split for every file: in each class, those with the lowest hashes are set aside.

    Ranks rather than a threshold on the hash, so that a class of five images has one in each
    split. Each share is of what the shares before it have left.
    """
    hashes = np.array([exact.key("split", file) for file in files], dtype=np.uint64)
    splits = np.full(len(files), "train", dtype="<U10")
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(hashes[members], kind="stable")]
        for name, share in shares.items():
            aside = max(1, round(share * len(members))) if len(members) > 1 else 0
            splits[members[:aside]] = name
            members = members[aside:]
    return splits


def choose(index: FolderIndex, split: str | None) -> FolderIndex:
    """The part of an index that a loader reads: one split, or all of an undivided folder.

    Raises:
        ClinicError: unknown split, or None for a folder that holds train and test.
    """
    if split is None and not index.divided:
        return index
    if split not in ("train", "validation", "test"):
        raise ClinicError(
            f"{index.root} is read one split at a time, not {split!r}: give split as "
            '"train", "validation" or "test".'
        )
    return index.only(split)


# ---- reading -------------------------------------------------------------------------------------


def open_square(path: str | os.PathLike[str], at_least: int) -> Image.Image:
    """Decode one file to its centre square, 8-bit RGB, in the orientation a viewer shows.

    Transparent pixels are laid on white, as a viewer shows them. 16-bit grey keeps its upper eight
    bits. A JPEG more than twice too large is decoded at 1/2, 1/4 or 1/8 of its size, never below
    twice `at_least` pixels.

    Raises:
        UnreadableImage: the file does not decode; the sentence names it.
    """
    try:
        with Image.open(path) as image:
            image.draft(None, (2 * at_least, 2 * at_least))
            image.load()
            upright = ImageOps.exif_transpose(image)
            return _centre_square(_to_rgb(upright))
    except FileNotFoundError:
        raise UnreadableImage(f"There is no image file at {path}; check the path.") from None
    except Exception as error:
        # For a damaged file Pillow raises OSError, ValueError, SyntaxError, EOFError, struct.error,
        # zlib.error ..., depending on the format and on where the damage is.
        reason = str(error).split("\n")[0].replace(f"'{path}'", "it")
        raise UnreadableImage(
            f"{path} does not decode as an image ({reason}): replace it or remove it."
        ) from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, in either byte order; converting would clip it
        grey = np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("float pixels have no agreed range")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        paper = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(paper, layered).convert("RGB")
    return image.convert("RGB")


def _centre_square(image: Image.Image) -> Image.Image:
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.crop((left, top, left + side, top + side))


def read_image(path: str | os.PathLike[str], size: int) -> np.ndarray:
    """One image as uint8 (size, size, 3): centre square, then resized (bilinear, antialiased).

    Raises:
        UnreadableImage: the file does not decode; the sentence names it.
    """
    square = open_square(path, size)
    if square.size != (size, size):
        square = square.resize((size, size), Image.Resampling.BILINEAR)
    return np.array(square)


def unreadable(index: FolderIndex) -> list[str]:
    """Every file of the index that does not decode, by its path below the root. Reads them all."""
    bad = []
    for file in index.files:
        try:
            open_square(index.root / file, 1)
        except UnreadableImage:
            bad.append(file)
    return bad


def sample(index: FolderIndex, n: int, *, size: int, seed: int) -> Images:
    """Decode `n` images, balanced over the classes, chosen and ordered by `seed`.

    Only these are decoded. A file that does not decode is replaced by the next of its class, and
    a warning is logged; more than 1 % of them is an error.

    Raises:
        ClinicError: a class has too few images, or too many files do not decode.
    """
    split = str(index.splits[0]) if len(index) else ""
    labels = exact.balanced_labels(n, len(index.classes), "folder", "labels", split, seed)
    _enough(index, n, np.bincount(labels, minlength=len(index.classes)))
    shuffled = exact.order(len(index), "folder", seed)
    waiting = [list(shuffled[index.labels[shuffled] == k]) for k in range(len(index.classes))]
    for queue in waiting:
        queue.reverse()  # taken from the end

    images = np.empty((n, size, size, 3), np.uint8)
    bad: list[str] = []
    missing = np.arange(n)
    while len(missing):
        failed = []
        for place in missing:
            queue = waiting[labels[place]]
            if not queue:
                raise ClinicError(
                    f"Class {index.classes[labels[place]]} in {index.root} has too few images that "
                    f"decode for a draw of {n}; these do not: {_names(bad)}; replace them or ask "
                    "for fewer."
                )
            file = index.files[queue.pop()]
            try:
                images[place] = read_image(index.root / file, size)
            except UnreadableImage:
                bad.append(file)
                failed.append(place)
        if len(bad) > TOLERATED * n:
            raise ClinicError(_too_many(index, bad, n))
        missing = np.array(failed, dtype=int)
    if bad:
        log.warning("%s", _left_out(index, bad, n))
    return Images(images, labels, index.classes)


def _enough(index: FolderIndex, n: int, needed: np.ndarray) -> None:
    have = index.counts()
    short = np.flatnonzero(have < needed)
    if not len(short):
        return
    least = short[np.argmin(have[short])]
    split = index.splits[0] if len(index) else "such"
    at_most = have.min() * len(have)
    advice = f"ask for at most {at_most}, or add images" if at_most else "add images"
    raise ClinicError(
        f"{index.root} has {len(index)} {split} images, {have[least]} of them in class "
        f"{index.classes[least]}; {n} in equal shares need {needed[least]} there: {advice}."
    )


def _names(bad: list[str]) -> str:
    return ", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")


def _too_many(index: FolderIndex, bad: list[str], n: int) -> str:
    files = "file does" if len(bad) == 1 else "files do"
    return (
        f"{len(bad)} {files} not decode as images among {n + len(bad)} tried in {index.root} "
        f"({_names(bad)}), above the tolerated {TOLERATED:.0%}: replace or remove them."
    )


def _left_out(index: FolderIndex, bad: list[str], n: int) -> str:
    return (
        f"{len(bad)} of {n + len(bad)} files tried in {index.root} do not decode as images and "
        f"were left out: {_names(bad)}"
    )


# ---- writing -------------------------------------------------------------------------------------


def write_folder(
    images: Images, path: str | os.PathLike[str], format: str = "jpg", quality: int = 90
) -> tuple[str, ...]:
    """Write images as files, `<class>/<position>.<format>`, so that a lab has real files to read.

    Args:
        format: any suffix of `SUFFIXES`, without the dot; "png" keeps every pixel.
        quality: of JPEG and WebP, 1..95.

    Returns:
        The paths below `path`, in the order of the images.

    Raises:
        ClinicError: the folder exists and is not empty (nothing is overwritten), or the format is
            unknown.
    """
    root = Path(path)
    suffix = f".{format.lstrip('.').lower()}"
    if suffix not in SUFFIXES:
        raise ClinicError(
            f"Images are not written as {format!r}; take one of "
            f"{', '.join(sorted(name[1:] for name in SUFFIXES))}."
        )
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ClinicError(f"{root} is not empty and stays as it is: give a new folder.")
    root.mkdir(parents=True, exist_ok=True)
    (root / MARKER).touch()
    for name in images.classes:
        (root / name).mkdir()
    files = tuple(
        f"{images.classes[label]}/{place:05d}{suffix}" for place, label in enumerate(images.labels)
    )
    options: dict[str, Any] = {}
    if suffix in (".jpg", ".jpeg", ".webp"):
        options["quality"] = quality
    for file, pixels in zip(files, images.images, strict=True):
        Image.fromarray(pixels).save(root / file, **options)
    return files
