"""Faults planted in data, each with its truth.

Every function returns a pair: the faulty data, and a `Truth` that says which items are affected and
with which parameters, so that a lab can grade what a learner found. The input is never changed. The
same arguments plant the same fault; everything random comes from `seed` through `exact`.

The last two functions damage files on disk. They touch only folders that `folder.write_folder`
wrote.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from PIL import Image

from grader.datasets import exact, folder
from grader.datasets.images import Images
from grader.errors import ClinicError


@dataclass(frozen=True)
class Truth:
    """What was planted.

    Attributes:
        fault: the name of the function.
        affected: bool (N,), over the items that went in; for `near_duplicates`, over the training
            images that came out.
        parameters: what the fault was done with, by name; each function lists them.
    """

    fault: str
    affected: np.ndarray
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def indices(self) -> np.ndarray:
        """Positions of the affected items, int64."""
        return np.flatnonzero(self.affected)


def _choose(n: int, rate: float, *parts: object) -> np.ndarray:
    """A mask with exactly round(rate * n) of n set."""
    if not 0 <= rate <= 1:
        raise ClinicError(f"A rate of {rate} is out of range; give a share from 0 to 1.")
    mask = np.zeros(n, bool)
    mask[exact.order(n, *parts)[: round(rate * n)]] = True
    return mask


# ---- numbers that enter the network --------------------------------------------------------------


def scale(
    pixels: np.ndarray, factor: float = 255.0, *, rate: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, Truth]:
    """Numbers of the wrong magnitude: pixels in 0..1 times `factor` (255: never divided).

    Args:
        pixels: uint8 or float (N, H, W, C), 0..255.
        rate: the share of images affected; the others are in 0..1.

    Returns:
        float32 (N, H, W, C). Parameters: factor.
    """
    hit = _choose(len(pixels), rate, "scale", seed)
    factors = np.where(hit, np.float32(factor), np.float32(1))[:, None, None, None]
    return pixels.astype(np.float32) / 255 * factors, Truth("scale", hit, {"factor": factor})


def normalise_twice(
    pixels: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    rate: float = 1.0,
    seed: int = 0,
) -> tuple[np.ndarray, Truth]:
    """Subtract the mean and divide by the deviation, then do it again.

    Args:
        pixels: uint8 or float (N, H, W, C), 0..255.
        mean, std: per channel, of pixels in 0..1.
        rate: the share of images normalised twice; the others are normalised once.

    Returns:
        float32 (N, H, W, C). Parameters: mean, std (float32 arrays).
    """
    m, d = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    once = (pixels.astype(np.float32) / 255 - m) / d
    hit = _choose(len(pixels), rate, "normalise twice", seed)
    twice = np.where(hit[:, None, None, None], (once - m) / d, once)
    return twice, Truth("normalise_twice", hit, {"mean": m, "std": d})


# ---- pixels --------------------------------------------------------------------------------------


def channel_order(images: Images, *, rate: float = 1.0, seed: int = 0) -> tuple[Images, Truth]:
    """BGR where RGB is meant, as when one path decodes with OpenCV. No parameters."""
    hit = _choose(len(images), rate, "channel order", seed)
    pixels = images.images.copy()
    pixels[hit] = pixels[hit][..., ::-1]
    return replace(images, images=pixels), Truth("channel_order", hit)


def flip(
    images: Images, axis: str = "horizontal", *, rate: float = 0.5, seed: int = 0
) -> tuple[Images, Truth]:
    """Mirror some images: "horizontal" swaps left and right, "vertical" top and bottom.

    Parameters: axis.
    """
    if axis not in ("horizontal", "vertical"):
        raise ClinicError(
            f'Images are not flipped along {axis!r}; take "horizontal" or "vertical".'
        )
    hit = _choose(len(images), rate, "flip", axis, seed)
    pixels = images.images.copy()
    pixels[hit] = pixels[hit][:, :, ::-1] if axis == "horizontal" else pixels[hit][:, ::-1]
    return replace(images, images=pixels), Truth("flip", hit, {"axis": axis})


class Drift(TypedDict):
    """The strength of `lighting_drift`."""

    gain: float
    gamma: float
    cast: tuple[float, float, float]
    spread: float


#: What the "field" split went through: an hour before sunset, and no two photographs quite alike.
FIELD: Drift = {"gain": 0.62, "gamma": 1.25, "cast": (1.12, 1.0, 0.80), "spread": 0.10}


def lighting_drift(
    images: Images,
    *,
    gain: float = 1.0,
    gamma: float = 1.0,
    cast: Sequence[float] = (1.0, 1.0, 1.0),
    spread: float = 0.0,
    seed: int = 0,
) -> tuple[Images, Truth]:
    """Other light: each channel becomes 255 * gain * cast * (value / 255) ** gamma, clipped.

    Args:
        gain: brightness; 1 leaves it.
        gamma: above 1 darkens the shadows more than the lights.
        cast: factors of red, green and blue.
        spread: gain and gamma of each image vary by this share, evenly, both ways.

    Returns:
        The images. Parameters, one an image: gain (N,), gamma (N,), cast (3,), and curve, uint8
        (N, 3, 256): what each value of each channel became.
    """
    n = len(images)
    gains = gain * (1 + spread * (2 * exact.uniforms(n, "drift", "gain", seed) - 1))
    gammas = gamma * (1 + spread * (2 * exact.uniforms(n, "drift", "gamma", seed) - 1))
    factors = np.asarray(cast, np.float64)
    # pow is the one operation here whose last bit depends on the processor. It is done in float64
    # on a table of 256 values: an entry comes out differently only if it lies within 1e-13 of a
    # half, which happens to about one entry in 1e12. A test holds the margin of the reference draw.
    shape = (np.arange(256) / 255.0)[None, :] ** gammas[:, None]
    curve = 255 * gains[:, None, None] * factors[None, :, None] * shape[:, None, :]
    curve = np.floor(np.clip(curve, 0, 255) + 0.5).astype(np.uint8)
    which, channel = np.arange(n)[:, None, None, None], np.arange(3)
    pixels = curve[which, channel, images.images]
    truth = {"gain": gains, "gamma": gammas, "cast": factors, "curve": curve}
    return replace(images, images=pixels), Truth("lighting_drift", np.ones(n, bool), truth)


# ---- labels --------------------------------------------------------------------------------------


def mislabel(
    images: Images,
    rate: float | Sequence[float] = 0.15,
    *,
    confuse: Mapping[int, int] | None = None,
    seed: int = 0,
) -> tuple[Images, Truth]:
    """Give some images a wrong label.

    Args:
        rate: the share of each class that is mislabelled, or one share a class.
        confuse: the wrong label of each class; a class that is not named keeps its labels. Without
            it the wrong label is any other class.

    Returns:
        The images. In every class exactly round(rate * count) labels are wrong. Parameters: labels
        (the true ones, int64 (N,)), rate (one a class).
    """
    k = len(images.classes)
    rates = np.broadcast_to(np.asarray(rate, np.float64), (k,)).copy()
    if confuse is not None:
        rates[[label for label in range(k) if confuse.get(label, label) == label]] = 0
    wrong = images.labels.copy()
    hit = np.zeros(len(images), bool)
    for label in range(k):
        members = np.flatnonzero(images.labels == label)
        chosen = members[_choose(len(members), rates[label], "mislabel", label, seed)]
        hit[chosen] = True
        if confuse is None:
            step = exact.uniforms(len(chosen), "mislabel to", label, seed) * (k - 1)
            wrong[chosen] = (label + 1 + step.astype(np.int64)) % k
        else:
            wrong[chosen] = confuse.get(label, label)
    truth = {"labels": images.labels.copy(), "rate": rates}
    return replace(images, labels=wrong), Truth("mislabel", hit, truth)


def careless_labels(
    images: Images, rate: float = 0.15, *, copies: int = 8, seed: int = 0
) -> tuple[Images, Truth]:
    """Labels by a careless annotator: each class is taken for one other, some far more often.

    The shares of the classes run evenly from half of `rate` to one and a half times `rate`. On top,
    `copies` rightly labelled images are there a second time, with the wrong label; the order is
    shuffled.

    Returns:
        The images, len(images) + copies of them. Affected are the wrong labels. Parameters: labels
        (the true ones), rate (one a class), confuse (the wrong label of each class, int64 (K,)),
        pairs (int64 (copies, 2): positions of an original and of its copy).
    """
    k = len(images.classes)
    turn = exact.order(k, "careless turn", seed)
    confuse = np.empty(k, np.int64)
    confuse[turn] = np.roll(turn, -1)
    rates = np.empty(k)
    rates[exact.order(k, "careless rate", seed)] = np.linspace(0.5 * rate, 1.5 * rate, k)
    noisy, flips = mislabel(
        images, rates.tolist(), confuse=dict(enumerate(confuse.tolist())), seed=seed
    )
    right = np.flatnonzero(~flips.affected)
    originals = right[exact.order(len(right), "careless copies", seed)[:copies]]
    order = exact.order(len(images) + len(originals), "careless order", seed)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    true = np.r_[images.labels, images.labels[originals]][order]
    labels = np.r_[noisy.labels, confuse[images.labels[originals]]][order]
    pixels = np.concatenate([images.images, images.images[originals]])[order]
    pairs = np.stack([place[originals], place[len(images) :]], axis=1)
    truth = {"labels": true, "rate": rates, "confuse": confuse, "pairs": pairs}
    result = replace(images, images=pixels, labels=labels)
    return result, Truth("careless_labels", labels != true, truth)


def labels_from_one(images: Images) -> tuple[Images, Truth]:
    """Labels 1..K where 0..K-1 are meant, as another tool counts them. Parameters: by."""
    hit = np.ones(len(images), bool)
    return replace(images, labels=images.labels + 1), Truth("labels_from_one", hit, {"by": 1})


def slipped_labels(images: Images, by: int = 1) -> tuple[Images, Truth]:
    """Labels slipped against the images: image i carries the label of image i - `by`.

    As when a list of labels has one line too many. Affected are the images whose label is now
    wrong. Parameters: by, labels (the true ones).
    """
    labels = np.roll(images.labels, by)
    truth = {"by": by, "labels": images.labels.copy()}
    return replace(images, labels=labels), Truth("slipped_labels", labels != images.labels, truth)


# ---- which images, and in which order ------------------------------------------------------------


def imbalance(images: Images, keep: Sequence[float], *, seed: int = 0) -> tuple[Images, Truth]:
    """Keep a share of each class, at least one image, in the order they were.

    Returns:
        The images that are left. Affected are those removed. Parameters: keep (one a class), counts
        (left in each class, int64 (K,)).
    """
    k = len(images.classes)
    if len(keep) != k:
        raise ClinicError(f"{len(keep)} shares for {k} classes; give one share a class.")
    removed = np.zeros(len(images), bool)
    for label, share in enumerate(keep):
        members = np.flatnonzero(images.labels == label)
        at_least_one = max(share, 1 / len(members)) if len(members) else share
        stays = _choose(len(members), at_least_one, "imbalance", label, seed)
        removed[members[~stays]] = True
    left = images.pick(~removed)
    truth = {"keep": np.asarray(keep, float), "counts": np.bincount(left.labels, minlength=k)}
    return left, Truth("imbalance", removed, truth)


def near_duplicates(
    train: Images, held_out: Images, rate: float = 0.2, *, seed: int = 0
) -> tuple[Images, Truth]:
    """Put near-copies of held-out images into the training images: the splits leak.

    Each copy is moved by one pixel, a few per cent brighter or darker, and replaces a training
    image of its class, so counts do not change. There are round(rate * len(held_out)) copies, or
    fewer where a class runs out of training images.

    Returns:
        The training images; affected are the copies. Parameters: pairs, int64 (M, 2): position in
        train, position in held_out.
    """
    chosen = np.flatnonzero(_choose(len(held_out), rate, "near duplicates", seed))
    pixels = train.images.copy()
    pairs = []
    for label in range(len(train.classes)):
        places = np.flatnonzero(train.labels == label)
        places = places[exact.order(len(places), "near duplicates at", label, seed)]
        originals = chosen[held_out.labels[chosen] == label]
        pairs += list(zip(places, originals, strict=False))  # as many as the class has room for
    index = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    draw = exact.uniforms(3 * len(index), "near duplicates how", seed).reshape(-1, 3)
    for (place, original), (how, side, light) in zip(index, draw, strict=True):
        moved = _shift_by_one(held_out.images[original], axis=int(how * 2), forward=side < 0.5)
        brighter = moved * np.float32(0.95 + 0.10 * light)
        pixels[place] = np.clip(brighter + 0.5, 0, 255).astype(np.uint8)
    hit = np.zeros(len(train), bool)
    hit[index[:, 0]] = True
    return replace(train, images=pixels), Truth("near_duplicates", hit, {"pairs": index})


def _shift_by_one(image: np.ndarray, axis: int, forward: bool) -> np.ndarray:
    place = np.arange(image.shape[axis]) + (1 if forward else -1)
    return image.take(np.clip(place, 0, image.shape[axis] - 1), axis=axis)


def sorted_by_class(images: Images) -> tuple[Images, Truth]:
    """All of class 0, then all of class 1 ...: the order of a folder that nobody shuffled.

    Affected are the images that moved. Parameters: order, int64 (N,): where each image was.
    """
    order = np.argsort(images.labels, kind="stable")
    moved = np.zeros(len(images), bool)
    moved[order] = order != np.arange(len(order))
    return images.pick(order), Truth("sorted_by_class", moved, {"order": order})


# ---- files on disk -------------------------------------------------------------------------------


def corrupt_files(
    path: str | os.PathLike[str],
    *,
    truncated: int = 1,
    text: int = 1,
    empty: int = 1,
    seed: int = 0,
) -> tuple[folder.FolderIndex, Truth]:
    """Make some files of a folder unreadable, in place: cut in half, text with an image's name,
    nothing at all.

    Returns:
        The index of the folder. Affected are its unreadable files. Parameters: truncated, text,
        empty: the paths of each, below the folder.

    Raises:
        ClinicError: the folder was not written by `folder.write_folder`, or is too small.
    """
    damages: dict[str, tuple[int, Callable[[Path], object]]] = {
        "truncated": (truncated, lambda file: file.write_bytes(_first_half(file.read_bytes()))),
        "text": (text, lambda file: file.write_text("<html><body>404 Not Found</body></html>\n")),
        "empty": (empty, lambda file: file.write_bytes(b"")),
    }
    root = Path(path)
    index = _ours(root)
    done = _in_turn(index, {kind: count for kind, (count, _) in damages.items()}, "corrupt", seed)
    for kind, files in done.items():
        for file in files:
            damages[kind][1](root / file)
    hit = np.isin(index.files, [file for files in done.values() for file in files])
    return index, Truth("corrupt_files", hit, done)


def _first_half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def mix_files(
    path: str | os.PathLike[str],
    *,
    grey: int = 1,
    palette: int = 1,
    transparent: int = 1,
    cmyk: int = 1,
    deep: int = 1,
    resized: int = 1,
    seed: int = 0,
) -> tuple[folder.FolderIndex, Truth]:
    """Rewrite some files of a folder in other modes and sizes, in place; all stay readable.

    One mode each: 8-bit grey, a palette, RGBA with a transparent corner, CMYK, 16-bit grey; and
    `resized`, three times as wide and twice as high. Palette, RGBA and 16-bit files become PNG,
    the others JPEG, and take the suffix of what they are.

    Returns:
        The index of the folder as it is now. Affected are the rewritten files. Parameters: grey,
        palette, transparent, cmyk, deep, resized: the paths of each, below the folder.

    Raises:
        ClinicError: the folder was not written by `folder.write_folder`, or is too small.
    """
    rewrites: dict[str, tuple[int, str, Callable[[Image.Image], Image.Image]]] = {
        "grey": (grey, ".jpg", lambda image: image.convert("L")),
        "palette": (palette, ".png", lambda image: image.quantize(64)),
        "transparent": (transparent, ".png", _with_transparent_corner),
        "cmyk": (cmyk, ".jpg", lambda image: image.convert("CMYK")),
        "deep": (deep, ".png", _sixteen_bit),
        "resized": (
            resized,
            ".jpg",
            lambda image: image.resize((3 * image.width, 2 * image.height)),
        ),
    }
    root = Path(path)
    counts = {kind: count for kind, (count, _, _) in rewrites.items()}
    done: dict[str, tuple[str, ...]] = {}
    for kind, files in _in_turn(_ours(root), counts, "mix", seed).items():
        _, suffix, convert = rewrites[kind]
        done[kind] = tuple(_rewrite(root, file, suffix, convert) for file in files)
    index = folder.scan(root)
    hit = np.isin(index.files, [file for files in done.values() for file in files])
    return index, Truth("mix_files", hit, done)


def _rewrite(
    root: Path, file: str, suffix: str, convert: Callable[[Image.Image], Image.Image]
) -> str:
    with Image.open(root / file) as image:
        converted = convert(image.convert("RGB"))
    (root / file).unlink()
    target = (root / file).with_suffix(suffix)
    converted.save(target)
    return target.relative_to(root).as_posix()


def _with_transparent_corner(image: Image.Image) -> Image.Image:
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, image.width // 2, image.height // 2))
    image.putalpha(alpha)
    return image


def _sixteen_bit(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def _ours(root: Path) -> folder.FolderIndex:
    """The index of a folder the course wrote itself: nobody's photographs are damaged."""
    if not (root / folder.MARKER).is_file():
        raise ClinicError(
            f"{root} was not written by the course and stays as it is: write a copy with "
            "write_folder and damage that."
        )
    return folder.scan(root)


def _in_turn(
    index: folder.FolderIndex, counts: Mapping[str, int], *parts: object
) -> dict[str, tuple[str, ...]]:
    """Different files for every kind: counts[kind] of them."""
    if sum(counts.values()) > len(index):
        raise ClinicError(
            f"{index.root} has {len(index)} images, too few for {sum(counts.values())} changes: "
            "ask for fewer."
        )
    waiting = iter(exact.order(len(index), *parts))
    return {
        kind: tuple(index.files[next(waiting)] for _ in range(count))
        for kind, count in counts.items()
    }
