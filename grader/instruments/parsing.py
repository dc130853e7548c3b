"""What a loader made of a folder: every image it returned is traced back to the file it shows.

Pillow decodes the files once more, independently of the loader, and each returned image is compared
with every file in every way of making it square that a loader may choose. Correlation decides, so
the scale of the values does not matter.
"""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageFile

from grader.datasets import folder
from grader.instruments.style import HATCH, SICK, look_of, style

SAME = 0.75
"""Correlation from which an image shows the file that it resembles most. On mosaics the right file
has 0.8 and more, whatever the decoder, the kernel of resizing and the cut; another file has 0.5,
and 0.7 where only a part of it is compared; a wrong layout has 0.5 at most."""

AS_IT_IS = "as it is"
BLANK = "one single value"
UNKNOWN = "unknown"

# What has to be undone before the image is recognised; each undoes itself or its namesake.
_UNDO: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    AS_IT_IS: lambda x: x,
    "bytes of pixels read as planes of colour": lambda x: np.ascontiguousarray(
        np.moveaxis(x, -1, 1)
    ).reshape(x.shape),
    "planes of colour read as bytes of pixels": lambda x: np.moveaxis(
        np.ascontiguousarray(x).reshape(len(x), 3, *x.shape[1:3]), 1, -1
    ),
    "red and blue swapped": lambda x: x[..., ::-1],
    "rows and columns swapped": lambda x: x.swapaxes(1, 2),
    "mirrored": lambda x: x[:, :, ::-1],
    "upside down": lambda x: x[:, ::-1],
}

_GRID = (3, 6)  # images in the picture


@dataclass(frozen=True)
class Parsing:
    """A loader's answer beside the folder it read.

    Attributes:
        files: paths below the folder, (F,).  classes: names of the class folders, (K,).
        true: class of every file, int64 (F,).
        mode: Pillow's mode of every file, "" for one that does not decode, (F,).
        named, explained: whether the list of what was left out names the file, and gives a reason;
            bool (F,).
        shows: the file that every returned image shows, -1 for none, int64 (N,).
        seen: in which way it was recognised, or BLANK, or UNKNOWN; (N,).
        given: labels as they were returned, float64 (N,).  dtype: their type.
        pixels: some of the images, float (M, size, size, 3), and `picked`, int64 (M,), which.
    """

    files: tuple[str, ...]
    classes: tuple[str, ...]
    true: np.ndarray
    mode: tuple[str, ...]
    named: np.ndarray
    explained: np.ndarray
    shows: np.ndarray
    seen: tuple[str, ...]
    given: np.ndarray
    dtype: str
    pixels: np.ndarray
    picked: np.ndarray

    @property
    def readable(self) -> np.ndarray:
        """Files that decode, bool (F,)."""
        return np.array([bool(mode) for mode in self.mode])

    @property
    def times(self) -> np.ndarray:
        """How many images show each file, int64 (F,)."""
        return np.bincount(self.shows[self.shows >= 0], minlength=len(self.files))

    @property
    def indices(self) -> np.ndarray:
        """Labels as a loss takes them, rounded towards zero, int64 (N,)."""
        return np.trunc(self.given).astype(np.int64)

    @property
    def whole(self) -> bool:
        """True when the labels' type holds whole numbers only."""
        return np.dtype(self.dtype).kind in "iu"

    @property
    def told(self) -> int:
        """Number of classes that the labels name as class indices.

        0 for a type with fractions, and where a label lies outside of 0 to K - 1.
        """
        fits = (self.indices >= 0) & (self.indices < len(self.classes))
        return len(np.unique(self.indices)) if self.whole and fits.all() else 0

    @property
    def strange(self) -> int:
        """Images that show no file of the folder as it is."""
        return int((self.shows < 0).sum())

    @property
    def missing(self) -> np.ndarray:
        """Readable files that no image shows, bool (F,)."""
        return self.readable & (self.times == 0)

    @property
    def repeated(self) -> np.ndarray:
        """Files that more than one image shows, bool (F,)."""
        return self.times > 1

    @property
    def silent(self) -> np.ndarray:
        """Unreadable files that are not named with a reason, bool (F,)."""
        return ~self.readable & ~self.explained

    @property
    def blamed(self) -> np.ndarray:
        """Readable files that are named as left out, bool (F,)."""
        return self.readable & self.named

    @property
    def mislabelled(self) -> int:
        """Images that show a file and carry another class's label."""
        shown = self.shows >= 0
        return int((self.given[shown] != self.true[self.shows[shown]]).sum())

    @property
    def fates(self) -> dict[str, int]:
        """What became of the files: each in exactly one row."""
        shown = self.shows >= 0
        right = np.zeros(len(self.files), bool)
        right[self.shows[shown][self.given[shown] == self.true[self.shows[shown]]]] = True
        there = self.times > 0
        named = ~there & self.explained
        # An image that shows no file stands for one of the files that are not there.
        strange = min(self.strange, int((~there & ~named).sum()))
        return {
            "right picture, right label": int((there & right).sum()),
            "right picture, wrong label": int((there & ~right).sum()),
            "picture that shows no file": strange,
            "left out, named": int(named.sum()),
            "left out in silence": int((~there & ~named).sum()) - strange,
        }


class _Look(NamedTuple):
    """One way in which a file may look: its pixels, and which of them are the picture's own."""

    file: int
    pixels: np.ndarray
    mask: np.ndarray


def measure_parsing(
    path: str | os.PathLike[str], images: np.ndarray, labels: Any, left_out: Any
) -> Parsing:
    """Trace images back to files.

    Args:
        path: the folder, one folder for every class.
        images: (N, size, size, 3), any scale.
        labels: one number an image.
        left_out: pairs of file and reason, a mapping from file to reason, or lines of text with
            both.

    Raises:
        ValueError: images of another shape, values that are not finite, another number of labels.
    """
    x = np.asarray(images, dtype=np.float64)
    given = np.asarray(labels)
    if x.ndim != 4 or x.shape[1] != x.shape[2] or x.shape[3] != 3:
        raise ValueError(f"images {x.shape} are not (N, size, size, 3)")
    if not np.isfinite(x).all():
        raise ValueError("images hold values that are not finite")
    if given.shape != (len(x),) or given.dtype.kind not in "biuf":
        raise ValueError(f"labels {given.shape} of type {given.dtype} for {len(x)} images")
    index = folder.scan(path)
    looks, mode = [], []
    for number, file in enumerate(index.files):
        squares, its_mode = _looks_of((index.root / file).read_bytes(), x.shape[1])
        looks += [_Look(number, *square) for square in squares]
        mode.append(its_mode)
    shows, seen = _trace(x, looks, len(index))
    named, explained = _read_list(left_out, index.files)
    picked = np.unique(np.linspace(0, len(x) - 1, _GRID[0] * _GRID[1]).round().astype(int))
    picked = picked if len(x) else np.zeros(0, int)
    return Parsing(
        index.files,
        index.classes,
        index.labels,
        tuple(mode),
        named,
        explained,
        shows,
        seen,
        given.astype(np.float64),
        str(given.dtype),
        x[picked],
        picked,
    )


# ---- how a file may look -------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _looks_of(content: bytes, size: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], str]:
    """Every look of a file with its mask, and its mode; nothing and "" where it does not decode.

    Kept, because a folder is usually looked at more than once: before and after a repair.
    """
    tolerant, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            mode, squares = image.mode, _squares(image.convert("RGB"), size)
            if image.mode in ("RGBA", "LA") or "transparency" in image.info:
                # Nothing is demanded of what lies behind transparent pixels.
                alpha = image.convert("RGBA").getchannel("A").convert("RGB")
                squares += [
                    (pixels, mask & (opaque[..., 0] > 250))
                    for (pixels, mask), (opaque, _) in zip(
                        squares, _squares(alpha, size), strict=True
                    )
                ]
    except Exception:  # Pillow raises OSError, ValueError, SyntaxError ..., by the damage
        return [], ""
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = tolerant  # a loader's own choice stays
    return [(pixels, mask) for pixels, mask in squares if 8 * mask.sum() >= mask.size], mode


def _squares(image: Image.Image, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Ways of making an image square: stretch, cut, cut closer, pad, and cut or pad unscaled."""
    width, height = image.size
    squares = [_render(image, (0, 0, width, height), size)]
    side = min(width, height)
    for zoom in (1.0, 7 / 8):  # the second is the usual recipe of 224 out of 256
        part = zoom * side
        left, top = (width - part) / 2, (height - part) / 2
        squares.append(_render(image, (left, top, left + part, top + part), size))
    if width != height:
        side = max(width, height)
        for share in (0.5, 0.0, 1.0):  # where the picture lies in the padding
            left, top = share * (width - side), share * (height - side)
            squares.append(_render(image, (left, top, left + side, top + side), size))
    left, top = (width - size) // 2, (height - size) // 2
    squares.append(_render(image, (left, top, left + size, top + size), size))
    return squares


def _render(
    image: Image.Image, box: tuple[float, float, float, float], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image in `box` as float32 (size, size, 3), and where the box holds image."""
    width, height = image.size
    scale_x, scale_y = (box[2] - box[0]) / size, (box[3] - box[1]) / size
    columns = box[0] + scale_x * (np.arange(size) + 0.5)
    rows = box[1] + scale_y * (np.arange(size) + 0.5)
    mask = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))[None]
    # Only the picture is resized, so that a dark surrounding does not bleed into it.
    inner = (max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height))
    across, down = int(mask.any(axis=0).sum()), int(mask.any(axis=1).sum())
    part = image.resize((across, down), Image.Resampling.BILINEAR, box=inner)
    pixels = np.zeros((size, size, 3), np.float32)
    pixels[mask] = np.asarray(part, np.float32).reshape(-1, 3)
    return pixels, mask


# ---- which file an image shows -------------------------------------------------------------------


def _trace(x: np.ndarray, looks: list[_Look], files: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The file that each image shows as it is, and in which way it was recognised."""
    shows = np.full(len(x), -1, np.int64)
    if not len(x):
        return shows, ()
    blank = np.ptp(x.reshape(len(x), -1), axis=1) == 0
    seen = np.where(blank, BLANK, UNKNOWN).astype(object)
    x = x.astype(np.float32)
    for way, undo in _UNDO.items():
        left = np.flatnonzero(seen == UNKNOWN)
        if not len(left) or not looks:
            break
        likeness = _likeness(undo(x[left]), looks, files)
        best = likeness.argmax(axis=1)
        found = likeness[np.arange(len(left)), best] >= SAME
        seen[left[found]] = way
        if way == AS_IT_IS:
            shows[left[found]] = best[found]
    return shows, tuple(seen)


def _likeness(x: np.ndarray, looks: list[_Look], files: int) -> np.ndarray:
    """Highest correlation of every image with any look of every file, (N, F)."""
    result = np.full((len(x), files), -1.0)
    groups: dict[bytes, list[_Look]] = {}
    for look in looks:
        groups.setdefault(look.mask.tobytes(), []).append(look)
    for group in groups.values():
        mask = group[0].mask
        ours = _standard(x[:, mask])
        theirs = _standard(np.stack([look.pixels for look in group])[:, mask])
        for look, column in zip(group, (ours @ theirs.T).T, strict=True):
            result[:, look.file] = np.maximum(result[:, look.file], column)
    return result


def _standard(pixels: np.ndarray) -> np.ndarray:
    """Each channel without its mean, then each image of length 1; zeros stay: (N, P * 3)."""
    centred = (pixels - pixels.mean(axis=1, keepdims=True)).reshape(len(pixels), -1)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return centred / np.where(length > 1e-9, length, np.inf)


# ---- what was left out ---------------------------------------------------------------------------


def lines(left_out: Any) -> Iterator[str]:
    """Each entry of a list of what was left out, as one text."""
    entries = left_out.items() if isinstance(left_out, Mapping) else left_out
    for entry in entries:
        parts = entry if isinstance(entry, tuple | list) else (entry,)
        yield " ".join(str(part) for part in parts)


def _read_list(left_out: Any, files: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Which files the list names, and for which it has more to say than the name."""
    named, explained = np.zeros(len(files), bool), np.zeros(len(files), bool)
    bases = Counter(file.rsplit("/", 1)[-1] for file in files)
    for line in lines(left_out):
        text = line.replace("\\", "/")
        for number, file in enumerate(files):
            base = file.rsplit("/", 1)[-1]
            if file in text or (bases[base] == 1 and base in text):
                named[number] = True
                rest = re.sub(rf"\S*{re.escape(base)}\S*", " ", text)
                explained[number] |= re.search(r"[^\W\d_]{2}", rest.replace("None", "")) is not None
    return named, explained


# ---- picture and sentence ------------------------------------------------------------------------


def draw_parsing(parsings: Mapping[str, Parsing]) -> Figure:
    """Images with their labels as the model gets them, then what became of the files.

    Args:
        parsings: by name; "sick" and "repaired" have their usual looks. The images are those of
            the last.
    """
    with style():
        figure = Figure(figsize=(12.5, 5.4), layout="constrained")
        halves: Any = figure.subfigures(1, 2, width_ratios=(1.75, 1), wspace=0.04)
        left, right = halves
        name, last = list(parsings.items())[-1]
        _draw_images(left, name, last)
        _draw_fates(right.subplots(1, 1), parsings)
    return figure


def _draw_images(figure: Any, name: str, parsing: Parsing) -> None:
    figure.suptitle(
        f"{name}: {len(parsing.picked)} of {len(parsing.given)} images, just before the model",
        fontsize=11,
    )
    shown = parsing.pixels
    if len(shown):
        shown = (shown - shown.min()) / max(float(np.ptp(shown)), 1e-12)
    for place, ax in enumerate(figure.subplots(*_GRID).flat):
        ax.axis("off")
        if place >= len(shown):
            continue
        ax.imshow(shown[place], interpolation="nearest")
        image = parsing.picked[place]
        index, file = int(parsing.indices[image]), int(parsing.shows[image])
        fits = 0 <= index < len(parsing.classes)
        taken = parsing.classes[index] if fits else "no class"
        given = f"{parsing.given[image]:.3g}"
        right = file >= 0 and parsing.given[image] == parsing.true[file]
        ax.set_title(
            f"label {given}\n{'is' if right else '→'} {taken}{'' if right else ' ✗'}",
            fontsize=9,
            pad=3,
            color="black" if right else SICK["color"],
        )


def _draw_fates(ax: Axes, parsings: Mapping[str, Parsing]) -> None:
    height = 0.8 / len(parsings)
    total = 1
    for number, (name, parsing) in enumerate(parsings.items()):
        fates = parsing.fates
        total = max(total, len(parsing.files))
        place = np.arange(len(fates)) + (number - (len(parsings) - 1) / 2) * height
        bars = ax.barh(
            place,
            list(fates.values()),
            0.9 * height,
            color="white",
            edgecolor=look_of(name)["color"],
            hatch=HATCH.get(name, HATCH["other"]),
            label=name,
        )
        ax.bar_label(bars, padding=3)
    ax.set_yticks(range(len(fates)), [word.replace(", ", ",\n") for word in fates], fontsize=10)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.12 * total)
    ax.set_xlabel("files")
    ax.set_title(f"what became of {total} files", fontsize=11)
    ax.grid(visible=False, axis="y")
    if len(parsings) > 1:
        ax.legend(loc="lower right", frameon=False)


def say_parsing(parsing: Parsing) -> str:
    """The reading in words: images and files, labels, silence."""
    n, files = len(parsing.given), len(parsing.files)
    fates = parsing.fates
    if not n:
        return f"Of {files} files the loader returns no image."
    labels = parsing.given
    taken = len(np.unique(parsing.indices))
    rounded = (
        ""
        if parsing.whole
        else f"; rounded down to class indices, {taken} {'class' if taken == 1 else 'classes'}"
    )
    return (
        f"Of {files} files the loader returns {n} images; {n - parsing.strange} of them show a "
        f"file of the folder, {fates['right picture, right label']} with its own label. The labels "
        f"are {parsing.dtype} from {labels.min():.3g} to {labels.max():.3g}, "
        f"{len(np.unique(labels))} different numbers{rounded}. {fates['left out in silence']} "
        f"files are left out in silence, {fates['left out, named']} by name."
    )
