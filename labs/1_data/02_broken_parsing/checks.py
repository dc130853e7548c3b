"""Broken parsing: is every file of a folder there, once, as it is, with its own label?"""

from __future__ import annotations

import base64
import tempfile
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.evidence import EvidenceError
from grader.checks.verdict import number
from grader.datasets import UnseenArrays, exact
from grader.datasets.found import mosaics, write_found
from grader.instruments.parsing import AS_IT_IS, BLANK, UNKNOWN, Parsing, lines, measure_parsing

CAUSES = {
    "labels-scaled": "Divided by 255 together with the pixels, every label lies between 0 and 1. A "
    "loss that wants whole numbers rounds them all to 0, and one class is quickly learned. The "
    "accuracy compares the unrounded ones.",
    "labels-slipped": "Some labels do belong to other images. But there are still ten classes to "
    "tell apart, and a loss near 0.000 would take learning each image by heart.",
    "layout": "The pixels are in the wrong places, in all images alike. That makes the task "
    "harder; it makes no loss fall to 0.000.",
    "files-missing": "Files are missing, and the images that are there could be learned without "
    "them. Too few images do not make training accuracy low.",
    "memorised": "A model that knows its training images by heart is right on them. Here the "
    "accuracy on the training images is that of a guess.",
    "learning-rate": "A step that is too long keeps the loss high. Here it falls to 0.000.",
}

# Names of class folders; each folder of the check takes some of them, in alphabetical order.
CROPS = ("alfalfa", "barley", "corn", "millet", "oats", "potato", "rye", "sorghum", "wheat")


class Hidden(NamedTuple):
    """One folder that the check writes."""

    name: str
    files: int
    side: int  # pixels of most files
    size: int  # pixels that are asked for
    classes: int
    format: str
    kinds: dict[str, int]


HIDDEN = (
    Hidden(
        "mixed",
        96,
        36,
        27,
        6,
        "jpg",
        {"grey": 8, "palette": 4, "transparent": 6, "cmyk": 3, "resized": 12}
        | {"truncated": 4, "text": 3, "empty": 2},
    ),
    Hidden("sound", 32, 20, 24, 3, "png", {"grey": 2, "transparent": 2, "resized": 4}),
)

MOST = 4  # images or entries of the list, times the files: more are not handed over
LONGEST_LINE = 2_000  # characters of an entry that are handed over

# Limits are counts of files, and a right loader has none; see calibration/. The first one is for
# labels that name one class or none; a class that is absent because files are is counted later.
TOLD = Threshold("classes that labels name, share", 0.5, "at least")
STRANGE = Threshold("images that show no file", 0, "at most", "images")
ONCE = Threshold("readable files that are not there exactly once", 0, "at most", "files")
SPOKEN = Threshold("files unaccounted for on the list", 0, "at most", "files")
LABELLED = Threshold("images with another image's label", 0, "at most", "images")


@lru_cache(maxsize=4)
def largest_label(case: Case) -> float:
    """The largest label that the sick program's loader returns on the practice folder."""
    images = case.draw("train", 300, 24)
    with tempfile.TemporaryDirectory() as place:
        index = write_found(
            images,
            Path(place) / "collected",
            grey=18,
            palette=4,
            transparent=14,
            cmyk=6,
            resized=30,
            truncated=4,
            text=2,
            empty=2,
            seed=case.seed,
        )
        # It keeps files of three channels; a palette has three in TensorFlow and one in Pillow.
        kept = {"RGB"} if case.framework == "pytorch" else {"RGB", "P"}
        survivors = sum(_mode(index.root / file) in kept for file in index.files)
    return float(index.labels[survivors - 1]) / 255


def _mode(path: Path) -> str:
    try:
        with Image.open(path) as image:
            image.load()
            return image.mode
    except Exception:  # Pillow raises OSError, ValueError, SyntaxError ..., by the damage
        return ""


@lru_cache(maxsize=4)
def _hidden_files(seed: int, which: int) -> dict[str, bytes]:
    """The files of a hidden folder by path; kept, because measuring a second answer needs them."""
    hidden = HIDDEN[which]
    picked = np.sort(exact.order(len(CROPS), "crops", hidden.name, seed)[: hidden.classes])
    names = tuple(CROPS[i] for i in picked)
    options: Any = hidden.kinds
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / hidden.name
        write_found(
            mosaics(hidden.files, hidden.side, names, exact.key(hidden.name, seed)),
            root,
            format=hidden.format,
            seed=exact.key(hidden.name, "kinds", seed),
            **options,
        )
        return _contents(root)


def _contents(root: Path) -> dict[str, bytes]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def _write(files: Mapping[str, bytes], root: Path) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def unseen_files(case: Case) -> UnseenArrays:
    """The bytes of every file, uint8 (B,), by the name of the folder and the path below it."""
    return UnseenArrays(
        {
            f"{hidden.name}/{name}": np.frombuffer(content, np.uint8)
            for which, hidden in enumerate(HIDDEN)
            for name, content in _hidden_files(case.seed, which).items()
        }
    )


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """Write each hidden folder, load it, and hand over what comes back."""
    if not callable(answer.load_folder):
        raise AnswerError(f"`load_folder` is {answer.load_folder!r}; define it as a function.")
    asked = case.unseen(unseen_files).arrays
    returned = {}
    for hidden in HIDDEN:
        files = {
            name.removeprefix(f"{hidden.name}/"): content.tobytes()
            for name, content in asked.items()
            if name.startswith(f"{hidden.name}/")
        }
        with tempfile.TemporaryDirectory() as place:
            root = Path(place) / hidden.name
            _write(files, root)
            parts = answer.load_folder(root, hidden.size)
            if _contents(root) != files:
                raise AnswerError(
                    "`load_folder` changed the folder that it read; leave files as they are, and "
                    "return what is left out."
                )
            returned[hidden.name] = _handed_over(case, parts, hidden)
    return {"returned": returned}


def _handed_over(case: Case, returned: Any, hidden: Hidden) -> dict[str, Any]:
    """What the loader returned, as data; the pixels as base64 of float32 in rows.

    Raises:
        AnswerError: not three parts, another layout, another number of labels, no list, or far too
            much of something.
    """
    fw = case.fw
    assert fw is not None
    if not isinstance(returned, tuple | list) or len(returned) != 3:
        raise AnswerError(
            f"`load_folder` returned a {type(returned).__name__}; return images, labels and the "
            "list of what was left out."
        )
    images, labels, left_out = returned
    try:
        x, y = fw.to_numpy(images), fw.to_numpy(labels)
    except (TypeError, ValueError) as error:
        raise AnswerError(f"Images or labels are no tensor: {error}.") from None
    size, most = hidden.size, MOST * hidden.files
    wanted = fw.to_numpy(fw.from_images(np.zeros((1, size, size, 3), np.float32))).shape[1:]
    if x.ndim != 4 or x.shape[1:] != wanted:
        raise AnswerError(
            f"`load_folder` returned images of shape {x.shape} for a size of {size}; the first "
            f"layer takes (N, {', '.join(str(n) for n in wanted)})."
        )
    if y.shape != (len(x),) or y.dtype.kind not in "biuf":
        raise AnswerError(
            f"`load_folder` returned {len(x)} images and labels of shape {y.shape} and type "
            f"{y.dtype}; return one number an image."
        )
    if not hasattr(left_out, "__iter__") or isinstance(left_out, str):
        raise AnswerError(
            f"The list of what was left out is {left_out!r}; return pairs of file and reason."
        )
    pixels = fw.as_images(images).astype("<f4")
    if not np.isfinite(pixels).all():
        raise AnswerError("`load_folder` returned images with values that are not finite.")
    left = list(islice(lines(left_out), most + 1))
    if max(len(x), len(left)) > most:
        raise AnswerError(
            f"`load_folder` returned {len(x)} images and at least {len(left)} entries of the list "
            f"for {hidden.files} files; each file is one or the other."
        )
    return {
        "pixels": base64.b64encode(pixels.tobytes()).decode("ascii"),
        "labels": y,
        "dtype": str(y.dtype),
        "left_out": [
            line[:LONGEST_LINE].encode("utf-8", "replace").decode("utf-8") for line in left
        ],
    }


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """Trace what the loader returned to the files, which are written once more."""
    seed = case.of_unseen().seed
    traced = {}
    for which, hidden in enumerate(HIDDEN):
        with tempfile.TemporaryDirectory() as place:
            root = Path(place) / hidden.name
            _write(_hidden_files(seed, which), root)
            returned = _read(evidence["returned"][hidden.name], hidden)
            traced[hidden.name] = _numbers(measure_parsing(root, *returned))
    return {"traced": traced}


def _read(returned: Mapping[str, Any], hidden: Hidden) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Images float32 (N, size, size, 3), labels (N,), and the list.

    Raises:
        EvidenceError: no such labels or list, or too much of something.
    """
    pixels = np.frombuffer(base64.b64decode(returned["pixels"], validate=True), "<f4")
    images = pixels.reshape(-1, hidden.size, hidden.size, 3)
    dtype, left_out = np.dtype(returned["dtype"]), returned["left_out"]
    if dtype.kind not in "biuf":
        raise EvidenceError(f"labels are of type {dtype}")
    if not isinstance(left_out, list) or not all(isinstance(line, str) for line in left_out):
        raise EvidenceError("the list of what was left out is not one of texts")
    if max(len(images), len(left_out)) > MOST * hidden.files:
        raise EvidenceError("there are far more images or entries than files")
    if max(map(len, left_out), default=0) > LONGEST_LINE:
        raise EvidenceError("an entry of the list is too long")
    return images, np.array(returned["labels"], dtype), left_out


def _numbers(parsing: Parsing) -> dict[str, Any]:
    given = parsing.given
    readable_missing = Counter(np.array(parsing.mode)[parsing.missing].tolist())
    return {
        "classes": len(parsing.classes),
        "told": parsing.told,
        "whole": parsing.whole,
        "dtype": parsing.dtype,
        "smallest": float(given.min()) if len(given) else 0.0,
        "largest": float(given.max()) if len(given) else 0.0,
        "taken": len(np.unique(parsing.indices)),
        "images": len(given),
        "seen": dict(Counter(parsing.seen)),
        "missing": dict(readable_missing),
        "missing_named": int((parsing.missing & parsing.named).sum()),
        "repeated": int((parsing.repeated & parsing.readable).sum()),
        "unreadable": int((~parsing.readable).sum()),
        "silent": int(parsing.silent.sum()),
        "unexplained": int((~parsing.readable & parsing.named & ~parsing.explained).sum()),
        "blamed": int((parsing.blamed & (parsing.times > 0)).sum()),
        "mislabelled": parsing.mislabelled,
        "sick_labels": _are_sick(parsing),
        "files": len(parsing.files),
    }


def _are_sick(parsing: Parsing) -> bool:
    """Whether these are the sick loader's labels: those of the first files, divided by 255."""
    first = parsing.true[: len(parsing.given)]
    return len(first) == len(parsing.given) and np.allclose(parsing.given * 255, first, atol=1e-3)


def untouched_repair(evidence: Evidence) -> bool:
    """The starter: divided labels of the first files, planes made of bytes, nothing named."""
    return all(
        part["sick_labels"]
        and part["images"] > 0
        and part["seen"] == {"bytes of pixels read as planes of colour": part["images"]}
        and part["silent"] == part["unreadable"]
        for part in evidence["traced"].values()
    )


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Five gates: classes, pictures, files, the list, labels."""
    parts = list(evidence["traced"].values())
    return [_told(parts), _strange(parts), _once(parts), _spoken(parts), _labelled(parts)]


def _total(parts: list[Any], name: str) -> int:
    return sum(part[name] for part in parts)


def _merged(parts: list[Any], name: str) -> dict[str, int]:
    return dict(sum((Counter(part[name]) for part in parts), Counter()))


def _plural(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def _listed(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in ordered)


def _told(parts: list[Any]) -> Finding:
    worst = min(parts, key=lambda part: part["told"] / part["classes"])
    k, low, high = worst["classes"], worst["smallest"], worst["largest"]
    measured = (
        f"The labels of {_plural(worst['images'], 'image')} in {k} class folders are "
        f"{worst['dtype']} from {number(low)} to {number(high)}."
    )
    if not worst["images"]:
        means = "The loader returns no image."
    elif not worst["whole"] and low >= 0 and high <= 1:
        means = (
            "A class index is a whole number. A loss that takes these as whole numbers is told of "
            f"{_plural(worst['taken'], 'class', 'classes')}."
        )
    elif not worst["whole"]:
        means = "A class index is a whole number, and this type has fractions."
    elif low < 0 or high >= k:
        means = f"Class indices of {k} classes run from 0 to {k - 1}; here some lie outside."
    else:
        means = (
            f"They name {_plural(worst['told'], 'class', 'classes')} of {k}; the others never "
            "reach the loss."
        )
    return TOLD.finding(
        worst["told"] / k,
        measured=measured,
        means=means,
        look_next="Print type, range and the different values of the labels just before the loss.",
    )


def _strange(parts: list[Any]) -> Finding:
    seen = _merged(parts, "seen")
    images = _total(parts, "images")
    strange = images - seen.pop(AS_IT_IS, 0)
    blank, unknown = seen.pop(BLANK, 0), seen.pop(UNKNOWN, 0)
    if seen:
        means = f"They are recognised once this is undone: {_listed(seen)}."
        look_next = "Take one image and follow its first row of pixels from the file to the tensor."
    elif blank and not unknown:
        means = (
            f"{blank} of them hold one single value. A picture that no camera took is trained on "
            "like any other, with a label."
        )
        look_next = "Count images and files, and find out what stands for a file that is broken."
    else:
        means = (
            "However a picture is stretched, cut or padded, these are not recognised: parts of a "
            "picture, several in one, or values that were clipped."
        )
        look_next = "Show the first images as they are returned, beside their files."
    return STRANGE.finding(
        strange,
        measured=f"{_plural(strange, 'image')} of {images} "
        f"{'shows' if strange == 1 else 'show'} no file of the folder.",
        means=means,
        look_next=look_next,
    )


def _once(parts: list[Any]) -> Finding:
    by_mode = _merged(parts, "missing")
    missing, repeated = sum(by_mode.values()), _total(parts, "repeated")
    named = _total(parts, "missing_named")
    modes = _listed({f"of mode {mode}": count for mode, count in by_mode.items()})
    measured = f"{_plural(missing, 'readable file')} missing from the images"
    measured += f" ({modes})" if missing else ""
    measured += f", and {_plural(repeated, 'file')} there more than once."
    if missing and named == missing:
        means = "They are on the list, but they decode without a fault: only their kind is unusual."
        look_next = "Open one of them and print its mode and size; compare with a file that passes."
    elif missing and set(by_mode) - {"RGB"} == set(by_mode):
        means = "All of them have another number of channels than three, and they decode."
        look_next = "Open one of each mode, and find the line at which it drops out."
    elif missing:
        means = "They decode, and still they do not arrive."
        look_next = "Compare the names of the files with those that arrive; what do the rest share?"
    else:
        means = "Something fills a gap with a picture that is already there."
        look_next = "Count files, images, and different images."
    return ONCE.finding(missing + repeated, measured=measured, means=means, look_next=look_next)


def _spoken(parts: list[Any]) -> Finding:
    silent, blamed = _total(parts, "silent"), _total(parts, "blamed")
    unreadable, unexplained = _total(parts, "unreadable"), _total(parts, "unexplained")
    measured = (
        f"{silent} of {unreadable} files that do not decode are not on the list with a reason, and "
        f"{_plural(blamed, 'file')} on it {'is' if blamed == 1 else 'are'} among the images."
    )
    if unexplained:
        means = "A name alone does not tell the next reader whether to mend or to delete the file."
    elif silent:
        means = (
            "Files vanish without a word. Today it is a few; nobody would notice if it were half."
        )
    else:
        means = "The list says of readable files that they were left out."
    return SPOKEN.finding(
        silent + blamed,
        measured=measured,
        means=means,
        look_next="Count the files of the folder, the images, and the entries of the list: the "
        "first number is the sum of the others.",
    )


def _labelled(parts: list[Any]) -> Finding:
    wrong, images = _total(parts, "mislabelled"), _total(parts, "images")
    share = wrong / max(images, 1)
    means = (
        "Where so many are wrong, images and labels come in two different orders."
        if share > 0.4
        else "So few hardly show in a loss. Some images moved against their labels, and most "
        "labels happened to be the same."
    )
    return LABELLED.finding(
        wrong,
        measured=f"{wrong} of {images} images carry the label of another class.",
        means=means,
        look_next="Print file and label side by side, in the order in which they enter the model, "
        "and look behind the first file that is left out.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="labels-scaled",
        reading="largest label that enters the model",
        measure=largest_label,
        tolerance=0.03,
    ),
    Check(
        name="repair",
        points=5,
        takes=("load_folder",),
        collect=collect_repair,
        judge=judge_repair,
        untouched=untouched_repair,
        unseen=unseen_files,
        measure=measure_repair,
        measured_inside=False,
        seconds=1,
    ),
]
