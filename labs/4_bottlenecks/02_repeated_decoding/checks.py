"""Checks of "Every epoch decodes again": is the work done once, and is nothing lost on the way?"""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.evidence import EvidenceError, pack, unpack
from grader.datasets.photographs import as_jpeg, shrunk, write
from grader.instruments.input_cost import (
    EpochCost,
    bytes_in,
    finest_detail,
    measure_epoch,
    measure_stages,
    plain_stages,
)

DRAWN = 64  # pixels on a side of the images that become photographs
SIZE, BATCH = 64, 16
MEAN, STD = (0.41, 0.42, 0.36), (0.16, 0.15, 0.15)
FIRST, SECOND, BROKEN = 24, 16, 2  # photographs in the two deliveries, damaged files in a third
TRIED = 10  # photographs beside the damaged ones
STAGED = 8  # photographs from which the diagnosis is measured
TIMED = 2  # photographs from which the control's processor time is measured, three times
RAW = 3 * SIZE * SIZE  # bytes of an image as the model sees it, uint8
# Decibels above which an image shows a photograph: another photograph gives about 15, the right one
# shrunk in the poorest way more than 20.
SHOWN = 18.0
# Every fourth pixel is handed over: enough to tell which photograph an image shows, and which way.
GRID = slice(2, None, 4)


class Photographs(NamedTuple):
    """Photographs, and what a model sees of them.

    Attributes:
        files: content of each JPEG file.
        labels: int64 (N,).
        seen: float32 (N, S, S, 3), 0..1, decoded and shrunk with antialiasing.
        mirrored: the same, left and right exchanged.
        detail: root mean square of the finest detail in each of `seen`, (N,).
    """

    files: list[bytes]
    labels: np.ndarray
    seen: np.ndarray
    mirrored: np.ndarray
    detail: np.ndarray

    def first(self, n: int) -> Photographs:
        return Photographs(*(part[:n] for part in self))


@lru_cache(maxsize=2)
def _photographs(case: Case) -> Photographs:
    """The photographs of a case, kept because measuring a second answer needs the same."""
    images = case.draw("train", FIRST + SECOND, DRAWN)
    files = as_jpeg(images.images, seed=case.seed)
    seen = np.stack([shrunk(file, SIZE) for file in files]).astype(np.float32) / 255
    return Photographs(files, images.labels, seen, seen[:, :, ::-1].copy(), finest_detail(seen))


def repeated_share(case: Case) -> float:
    """Share of an image's processor time that gives the same result in every epoch."""
    files = _photographs(case).files[:STAGED]
    with tempfile.TemporaryDirectory() as place:
        stages = plain_stages(SIZE, MEAN, STD)
        return measure_stages(None, stages, write(files, place)).same_share


# ---- one epoch of the learner's ------------------------------------------------------------------


class Handed(NamedTuple):
    """What an epoch handed out.

    Attributes:
        images: float32 (N, S, S, 3), the standardisation undone.
        labels: int64 (N,).
        batches: number of the batch of each image, (N,).
        dtype: of the images as they came.
    """

    images: np.ndarray
    labels: np.ndarray
    batches: np.ndarray
    dtype: str


class Collector:
    """Takes batches as they come, and stops an epoch that does not end."""

    def __init__(self, case: Case, most: int) -> None:
        self.fw = case.fw
        self.most = most
        self.images: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []
        self.count = 0

    def take(self, batch: Any) -> None:
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise AnswerError(
                f"`batches` yields a {type(batch).__name__}; let it yield pairs of images and "
                "labels."
            )
        try:
            images, labels = (np.array(self.fw.to_numpy(part)) for part in batch)
        except (TypeError, ValueError):
            kinds = " and ".join(f"a {type(part).__name__}" for part in batch)
            raise AnswerError(
                f"`batches` yields {kinds}, which are no arrays of one shape each; stack the "
                "images of a batch, and its labels."
            ) from None
        if images.ndim != 4 or sorted(images.shape[1:]) != [3, SIZE, SIZE]:
            raise AnswerError(
                f"A batch of images has the shape {images.shape}; yield {SIZE} x {SIZE} pixels "
                "of three channels, as the sick program does."
            )
        if labels.shape != (len(images),):
            raise AnswerError(
                f"A batch has {len(images)} images and labels of the shape {labels.shape}; yield "
                "one number an image."
            )
        if images.dtype.kind not in "fiu" or labels.dtype.kind not in "iu":
            raise AnswerError(
                f"A batch has images of {images.dtype} and labels of {labels.dtype}; yield "
                "float32 and whole numbers."
            )
        self.images.append(images)
        self.labels.append(labels)
        self.count += len(labels)
        if max(self.count, len(self.labels)) > 2 * self.most:  # empty batches are batches
            raise AnswerError(
                f"An epoch of {self.most} photographs has not ended after {self.count} images; "
                "let `batches` stop when every photograph was handed out."
            )

    def handed(self) -> Handed:
        """Everything that was taken."""
        images = [
            np.moveaxis(batch, 1, -1) if batch.shape[1] == 3 else batch for batch in self.images
        ]
        if not images:
            nothing = np.zeros(0, np.int64)
            return Handed(np.zeros((0, SIZE, SIZE, 3), np.float32), nothing, nothing, "nothing")
        together = np.concatenate(images)
        numbers = np.repeat(np.arange(len(images)), [len(batch) for batch in images])
        with np.errstate(all="ignore"):  # what is not finite shows no photograph, and that is told
            undone = together.astype(np.float64) * STD + MEAN
        return Handed(
            undone.astype(np.float32),
            np.concatenate(self.labels).astype(np.int64),
            numbers,
            str(together.dtype),
        )


def as_evidence(handed: Handed) -> dict[str, Any]:
    """What is handed over of an epoch: a grid of every image's pixels, as bytes, and numbers."""
    some = np.nan_to_num(handed.images[:, GRID, GRID], nan=1.0, posinf=1.0, neginf=1.0)
    return {
        "pixels": pack(np.rint(some.clip(0, 1) * 255).astype(np.uint8)),
        "labels": handed.labels,
        "batches": handed.batches,
    }


def differences(images: np.ndarray, photographs: Photographs) -> np.ndarray:
    """Root mean square difference of the photographs that an image is nearest to from that image.

    In units of the photograph's finest detail, (F,); by photograph, so that many grey images count
    once.
    """
    if not len(images):
        return np.full(1, np.inf)
    n = len(photographs.labels)
    squared = _squared(images, photographs.seen, photographs.mirrored)
    met = np.unique(squared.argmin(axis=1) % n)
    least = squared.reshape(len(images), 2, n).min(axis=(0, 1))[met]
    return np.sqrt(least) / np.maximum(photographs.detail[met], 1e-6)


def _squared(images: np.ndarray, seen: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Mean square difference of every image from those seen and then those mirrored, (N, 2F)."""
    flat = np.nan_to_num(images.reshape(len(images), -1), nan=9.0, posinf=9.0, neginf=9.0)
    flat = np.clip(flat, -9, 9).astype(np.float64)
    known = np.concatenate([seen, mirrored])
    known = known.reshape(len(known), -1).astype(np.float64)
    # |a - b|^2 = |a|^2 - 2ab + |b|^2
    squared = (flat**2).sum(axis=1)[:, None] - 2 * flat @ known.T + (known**2).sum(axis=1)
    return np.maximum(squared / known.shape[1], 1e-10)


class Found(NamedTuple):
    """Which photograph each image shows, and how it came.

    Attributes:
        file: number of the photograph, -1 for none, (N,).
        mirrored: True where its left is on the right, (N,).
        labels: int64 (N,).
        batches: number of the batch of each image, (N,).
    """

    file: np.ndarray
    mirrored: np.ndarray
    labels: np.ndarray
    batches: np.ndarray


def find(epoch: Evidence, photographs: Photographs) -> Found:
    """Compare every image that was handed over with every photograph and its mirror image.

    Raises:
        EvidenceError: images, labels and batches are not as many as one another.
    """
    pixels = unpack(epoch["pixels"])
    labels, batches = (np.asarray(epoch[name], dtype=np.int64) for name in ("labels", "batches"))
    if not len(pixels) == len(labels) == len(batches):
        raise EvidenceError("images, labels and batches of an epoch are not equally many")
    if not len(pixels):
        nothing = np.zeros(0, np.int64)
        return Found(nothing, nothing > 0, labels, batches)
    seen, mirrored = (images[:, GRID, GRID] for images in (photographs.seen, photographs.mirrored))
    squared = _squared(pixels / 255, seen, mirrored)
    nearest, n = squared.argmin(axis=1), len(photographs.labels)
    shown = squared.min(axis=1) <= 10 ** (-SHOWN / 10)
    return Found(np.where(shown, nearest % n, -1), nearest >= n, labels, batches)


def audit(found: Found, labels: np.ndarray) -> dict[str, int]:
    """Count what is wrong with an epoch.

    Returns:
        foreign: images that show none of the photographs.  mislabelled: with another label than
            their photograph's.  missing, repeated: photographs handed out never, or again.
    """
    known = found.file >= 0
    times = np.bincount(found.file[known], minlength=len(labels))
    wrong = labels[found.file[known]] != found.labels[known]
    return {
        "foreign": int((~known).sum()),
        "mislabelled": int(wrong.sum()),
        "missing": int((times == 0).sum()),
        "repeated": int(np.maximum(times - 1, 0).sum()),
    }


def changed_flips(first: Found, second: Found, n: int) -> float:
    """Share of the photographs that are mirrored in one of two epochs only, 0..1."""
    sides = np.full((2, n), np.nan)
    for row, found in zip(sides, (first, second), strict=True):
        known = found.file >= 0
        row[found.file[known]] = found.mirrored[known]
    both = np.isfinite(sides).all(axis=0)
    return float((sides[0] != sides[1])[both].mean()) if both.any() else 0.0


def mixed_batches(found: Found) -> float:
    """Share of the batches of at least eight in which some images are mirrored and some not."""
    mixed = []
    for number in np.unique(found.batches):
        inside = found.mirrored[found.batches == number]
        if len(inside) >= 8:
            mixed.append(0 < inside.mean() < 1)
    return float(np.mean(mixed)) if mixed else 1.0


# ---- collecting ----------------------------------------------------------------------------------


def collect(case: Case, answer: Answer) -> dict[str, Any]:
    for name in ("prepare", "batches"):
        if not callable(getattr(answer, name)):
            raise AnswerError(f"`{name}` is {getattr(answer, name)!r}; define it as a function.")
    photographs = _photographs(case)
    files, labels = photographs.files, photographs.labels
    with tempfile.TemporaryDirectory(prefix="cnn-clinic-") as place:
        root = Path(place)
        originals, store = root / "photographs", root / "moved" / "store"
        paths = write(files, originals)
        stages = plain_stages(SIZE, MEAN, STD)

        def control() -> float:
            return measure_stages(case.fw, stages, paths[:TIMED]).ms

        same_store = _same_as_sick(answer, paths, labels, root)
        deliver(case, answer, paths[:FIRST], labels[:FIRST], root / "store")
        deliver(case, answer, paths[FIRST:], labels[FIRST:], root / "store")
        # A store is copied to another machine; and what only memory holds does not come along.
        store.parent.mkdir()
        shutil.move(root / "store", store)

        # Control, long epoch, short epoch, in turn, so that a busy machine slows all of them.
        epochs, controls = [], []
        for number in range(2):
            controls.append(control())
            epochs.append(_epoch(case, answer, originals, store, number))
            if number == 0:
                damaged = _damaged_photographs(case, answer, root)
        controls.append(control())
        costs = [cost for cost, _ in epochs]
        return {
            "control_ms": min(controls),
            "ms": _ms_an_image(min(cost.seconds for cost in costs), len(files), damaged),
            "originals": [cost.originals for cost in costs],
            "stored": [cost.stored for cost in costs],
            "bytes": bytes_in(store),
            "photographs_bytes": sum(len(file) for file in files),
            "same_store": same_store,
            "dtypes": [handed.dtype for _, handed in epochs],
            "difference": [
                float(np.median(differences(handed.images, photographs))) for _, handed in epochs
            ],
            "handed": [as_evidence(handed) for _, handed in epochs],
            "delivered": damaged,
            # What holds no images loses none.
            "cut_store": {"handed": None, "said": []}
            if costs[0].originals
            else _cut_store(case, answer, store, root),
        }


def measure(case: Case, evidence: Evidence) -> dict[str, Any]:
    """What was handed out of three stores, beside the photographs that were delivered."""
    photographs = _photographs(case)
    labels = photographs.labels
    founds = [find(epoch, photographs) for epoch in evidence["handed"]]
    return {
        "epochs": [audit(found, labels) for found in founds],
        "changed": changed_flips(*founds, len(labels)),
        "mirrored": float(np.mean([found.mirrored.mean() for found in founds])),
        "mixed": min(map(mixed_batches, founds)),
        "damaged": _damaged(photographs.first(TRIED), evidence["delivered"]),
        "cut": _cut(photographs, evidence["cut_store"]),
    }


def _ms_an_image(seconds: float, images: int, short: dict[str, Any]) -> float:
    """Processor time of one more image, in milliseconds.

    What an epoch costs whatever its length, such as building a pipeline, is nothing beside the work
    of a real one, and would be much of an epoch of a few dozen images. A shorter epoch costs it as
    well, so the difference of the two is free of it.
    """
    if short["images"] * 2 > images or not short["images"]:
        return 1000 * seconds / images
    return 1000 * max(seconds - short["seconds"], 0.0) / (images - short["images"])


def deliver(
    case: Case, answer: Answer, paths: Sequence[str], labels: np.ndarray, store: Path
) -> list[str]:
    """Call the learner's `prepare`; return the files that it says it left out."""
    store.mkdir(exist_ok=True)
    left_out = answer.prepare(list(paths), labels.copy(), str(store))
    if not isinstance(left_out, list | tuple | set) or not all(
        isinstance(name, str | Path) for name in left_out
    ):
        raise AnswerError(
            f"`prepare` returned a {type(left_out).__name__}; return the list of the files that "
            "it left out, an empty one where there are none."
        )
    return [str(name) for name in left_out]


def _same_as_sick(answer: Answer, paths: list[str], labels: np.ndarray, root: Path) -> bool:
    """True where the answer's store is, byte for byte, what the sick program stores."""
    stores = []
    for name, prepare in (("sick", answer.sick_prepare), ("answer", answer.prepare)):
        store = root / "compared" / name
        store.mkdir(parents=True)
        prepare(list(paths[:4]), labels[:4].copy(), str(store))
        found = sorted(path for path in store.rglob("*") if path.is_file())
        stores.append({str(path.relative_to(store)): path.read_bytes() for path in found})
    return stores[0] == stores[1]


def _epoch(
    case: Case, answer: Answer, originals: Path, store: Path, number: int
) -> tuple[EpochCost, Handed]:
    cost, handed = _run(case, answer, originals, store, number)
    if not cost.images:
        raise AnswerError(
            f"Epoch {number} has no batch; let `batches` yield pairs of images and labels in every "
            "epoch."
        )
    return cost, handed


def _iterable(batches: Any) -> Any:
    if not hasattr(batches, "__iter__"):
        raise AnswerError(
            f"`batches` returned a {type(batches).__name__}; return something that a `for` loop "
            "can run over."
        )
    return batches


# Among the files of the third delivery, the damaged ones.
HALF, NO_PHOTOGRAPH = 5, TRIED + 1


def _damaged_photographs(case: Case, answer: Answer, root: Path) -> dict[str, Any]:
    """A delivery in which one file is cut in half, and another one holds no photograph.

    Returns:
        stopped: the error of a `prepare` that did not survive it, or "".
        left_out: names of the files that it says it left out.
        handed: an epoch of this store, None where there is none.
        images, seconds: that the epoch handed out, and its processor time.
    """
    photographs = _photographs(case)
    files, labels = photographs.files, photographs.labels
    bad = [files[TRIED][: len(files[TRIED]) // 2], b"<html>404 Not Found</html>"]
    contents = [*files[:HALF], bad[0], *files[HALF:TRIED], bad[1]]
    paths = write(contents, root / "damaged")
    numbers = np.concatenate([labels[:HALF], [0], labels[HALF:TRIED], [0]]).astype(np.int64)
    store = root / "damaged-store"
    try:
        left_out = deliver(case, answer, paths, numbers, store)
        cost, handed = _run(case, answer, root / "damaged", store)
    except AnswerError:
        raise
    except Exception as error:  # whatever a decoder raises
        stopped = type(error).__name__
        return {"stopped": stopped, "left_out": [], "handed": None, "images": 0, "seconds": 0.0}
    return {
        "stopped": "",
        "left_out": sorted({Path(name).name for name in left_out}),
        "handed": as_evidence(handed),
        "images": cost.images,
        "seconds": cost.seconds,
    }


def _damaged(sound: Photographs, delivered: Evidence) -> dict[str, Any]:
    """What is wrong with a delivery of sound photographs and damaged files.

    Returns:
        stopped: the error of a `prepare` that did not survive it, or "".
        untold: damaged files that are missing from its list.  accused: sound files on it.
        lost: sound photographs that the store then does not hand out.  mislabelled: images with
            another photograph's label.  foreign: images that show none.
    """
    if delivered["handed"] is None:
        nothing = dict.fromkeys(("untold", "accused", "lost", "mislabelled", "foreign"), 0)
        return {"stopped": delivered["stopped"] or "an error", **nothing}
    faults = audit(find(delivered["handed"], sound), sound.labels)
    broken = {f"{number:05d}.jpg" for number in (HALF, NO_PHOTOGRAPH)}
    names = set(delivered["left_out"])
    return {
        "stopped": "",
        "untold": len(broken - names),
        "accused": len(names - broken),
        "lost": faults["missing"],
        "mislabelled": faults["mislabelled"],
        "foreign": faults["foreign"],
    }


def _cut_store(case: Case, answer: Answer, store: Path, root: Path) -> dict[str, Any]:
    """An epoch of a copied store whose largest file ended at 60 %.

    Returns:
        handed: the epoch; None where an error stopped it.
        said: numbers in its warnings.
    """
    copy = root / "cut"
    shutil.copytree(store, copy)
    inside = [path for path in copy.rglob("*") if path.is_file()]
    if not inside:
        return {"handed": None, "said": []}
    largest = max(inside, key=lambda path: (path.stat().st_size, str(path)))
    with open(largest, "r+b") as file:
        file.truncate(int(0.6 * largest.stat().st_size))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _, handed = _run(case, answer, root / "photographs", copy)
        except AnswerError:
            raise
        except Exception:  # a loud failure, whatever its type
            return {"handed": None, "said": []}
    said = {
        int(digits) for warning in caught for digits in re.findall(r"\d+", str(warning.message))
    }
    return {"handed": as_evidence(handed), "said": sorted(said)}


def _cut(photographs: Photographs, cut_store: Evidence) -> dict[str, Any]:
    """What a store that was cut off has lost.

    Returns:
        missing: photographs that did not arrive, or not as they were.
        told: True where a warning names that number, or an error stopped the epoch.
    """
    if cut_store["handed"] is None:
        return {"missing": 0, "told": True}
    faults = audit(find(cut_store["handed"], photographs), photographs.labels)
    missing = faults["missing"] + faults["foreign"]
    return {"missing": missing, "told": faults["missing"] in cut_store["said"]}


def _run(
    case: Case, answer: Answer, originals: Path, store: Path, number: int = 0
) -> tuple[EpochCost, Handed]:
    collector = Collector(case, FIRST + SECOND)

    def begin() -> Any:
        return _iterable(answer.batches(str(store), BATCH, number))

    cost = measure_epoch(case.fw, begin, originals, store, each=collector.take)
    return cost, collector.handed()


# ---- judging -------------------------------------------------------------------------------------

# Limits of 20 seeds in each framework (`grader calibrate`). The worst right answer and the nearest
# wrong one: files opened .25 and 1, difference .61 and .98, bytes 1.06 and 4.0, processor time .18
# and .42, mirrored anew .35 and 0.
OPENS = Threshold("files opened for an image", 0.5, "at most")
CLOSE = Threshold("difference of the typical image, times its finest detail", 0.7, "at most")
LOST = Threshold("photographs lost, changed or mislabelled without a word", 0, "at most")
DISK = Threshold("bytes stored, times those of uint8 pixels", 2.7, "at most")
CPU = Threshold("processor time, share of the control's", 0.3, "at most")
FRESH = Threshold("photographs mirrored anew, each for itself, share", 0.15, "at least")

FAULTS = {
    "foreign": (
        "{n} images of an epoch show none of the {files} photographs.",
        "What the store hands out is not what was put in.",
        "Show one batch beside its photographs.",
    ),
    "missing": (
        "{n} of {files} photographs are not handed out, although two deliveries were prepared, one "
        "after the other, into the same folder.",
        "A second delivery that takes the first one's names replaces it; a reader that knows one "
        "file does not see the next; a last batch that is not full was dropped.",
        "Count the images of an epoch after one delivery and after two.",
    ),
    "repeated": (
        "{n} of {files} photographs are handed out more than once in an epoch.",
        "A delivery is stored twice, or two readers read the same file.",
        "Count how often each photograph appears.",
    ),
    "mislabelled": (
        "{n} of {files} images carry another photograph's label.",
        "Images and labels are stored apart, and one of them was left out or reordered alone.",
        "Follow one image and its label from the file to the batch.",
    ),
}


def judge(case: Case, evidence: Any) -> list[Finding]:
    # What is handed out comes before what it costs: grey images are cheap.
    return [
        _opens(evidence),
        _close(evidence),
        _lost(evidence),
        _disk(evidence),
        _cpu(evidence),
        _fresh(evidence),
    ]


def _opens(evidence: Any) -> Finding:
    n = FIRST + SECOND
    originals, stored = max(evidence["originals"]), max(evidence["stored"])
    opens = (originals + stored) / n
    if originals:
        value = max(opens, 1.0)
        measured = f"An epoch opens photographs {originals} times, for {n} images."
        means = (
            "What is read from the photographs is decoded and shrunk again, however quickly: the "
            "same work, with the same result, in every epoch."
        )
        look_next = "List what of an image's way to the model depends on the epoch."
    elif not any(evidence["stored"]):
        value = 1.0
        measured = "Two epochs open neither a photograph nor a file of the store."
        means = (
            "The images are kept in memory, which a large data set does not allow, and are gone "
            "when the program ends."
        )
        look_next = "Look at what `prepare` has written into its folder."
    else:
        value = opens
        measured = f"An epoch opens files of the store {stored} times, for {n} images."
        means = (
            "Opening a file costs a disk or a network a round trip, however small the file is, "
            "and so does opening a large one again for each image."
        )
        look_next = "Count the files in the store, and how often each is opened."
    return OPENS.finding(value, measured=measured, means=means, look_next=look_next)


def _close(evidence: Any) -> Finding:
    value = max(evidence["difference"])
    odd = next((dtype for dtype in evidence["dtypes"] if dtype not in ("float32", "nothing")), "")
    if odd:
        value = max(value, 1.0)
        measured = f"The images come as {odd}."
        means = (
            "A network computes in float32: wider numbers double the bytes and are cut anyway, and "
            "whole numbers are not standardised."
        )
        look_next = "Print the type after each step, from the file to the batch."
    else:
        measured = (
            f"The typical image differs from its photograph, decoded and shrunk with antialiasing, "
            f"by {value:.2f} of the photograph's finest detail, which is what half as many pixels "
            "on a side cannot hold."
        )
        means = (
            "Detail was lost that the model would have seen, pixels were picked instead of "
            "averaged, or another standardisation was used than the sick program's."
        )
        look_next = "Show an image and its photograph, shrunk, side by side, and their difference."
    return CLOSE.finding(value, measured=measured, means=means, look_next=look_next)


def _lost(evidence: Any) -> Finding:
    worst = {fault: max(epoch[fault] for epoch in evidence["epochs"]) for fault in FAULTS}
    damaged, cut = evidence["damaged"], evidence["cut"]
    silent = 0 if cut["told"] else cut["missing"]
    # Of the damaged delivery only what is told below: half a photograph may look like another one.
    around = (
        bool(damaged["stopped"])
        or damaged["untold"] + damaged["accused"]
        or damaged["mislabelled"]
        or damaged["lost"]
    )
    total = sum(worst.values()) + around + silent
    fault = next((f for f in FAULTS if worst[f]), None)
    if fault:
        measured, means, look_next = FAULTS[fault]
        measured = measured.format(n=worst[fault], files=FIRST + SECOND)
    elif damaged["stopped"]:
        measured = (
            f"Among {TRIED + BROKEN} files two are damaged, and the program stops with "
            f"{damaged['stopped']}."
        )
        means = "One bad file in a delivery would keep all the others from being used."
        look_next = "Which line meets the damaged file first, and what can it do with its name?"
    elif damaged["untold"] or damaged["accused"]:
        measured = (
            f"Among {TRIED + BROKEN} files two are damaged; `prepare` does not report "
            f"{damaged['untold']} of them, and reports {damaged['accused']} sound ones."
        )
        means = (
            "A file that is skipped in silence is missed by nobody, and half a photograph trains "
            "on grey."
        )
        look_next = "Prepare a delivery with a file cut in half, and look at what comes back."
    elif damaged["mislabelled"]:
        measured = (
            f"Beside two damaged files, {damaged['mislabelled']} sound photographs come with "
            "another one's label."
        )
        means = "A file was left out, and its label was not: all behind it have moved by one."
        look_next = "Count the images and the labels that are stored."
    elif damaged["lost"]:
        measured = f"Beside two damaged files, {damaged['lost']} sound photographs are lost."
        means = "What was begun is thrown away with the file that broke it."
        look_next = "Count what is stored around a damaged file."
    else:
        measured = (
            f"After one file of the store was cut off, an epoch hands out {silent} photographs "
            "fewer, or changed, and says nothing."
        )
        means = (
            "Training would go on with what is left. Raise an error, or go on and warn with the "
            "number of photographs that are missing."
        )
        look_next = "Compare the images that an epoch hands out with the number that was stored."
    return LOST.finding(total, measured=measured, means=means, look_next=look_next)


def _disk(evidence: Any) -> Finding:
    n = FIRST + SECOND
    value = evidence["bytes"] / (n * RAW)
    measured = (
        f"The store holds {evidence['bytes'] / n / 1000:.1f} KB an image; {SIZE} x {SIZE} pixels "
        f"of three channels are {RAW / 1000:.1f} KB in uint8."
    )
    if 0.8 < evidence["bytes"] / evidence["photographs_bytes"] < 1.2:
        means = (
            "It holds as much as the photographs themselves: their container has changed, and "
            "every epoch still decodes and shrinks them."
        )
    elif value >= 3.9:
        means = (
            "Four bytes a value, or more pixels than the model sees. Standardised float32 says no "
            "more than the byte it was made from."
        )
    else:
        means = "More is stored than the model needs."
    return DISK.finding(
        value,
        measured=measured,
        means=means,
        look_next="Divide the size of the store by its images, and compare with the pixels.",
    )


def _cpu(evidence: Any) -> Finding:
    return CPU.finding(
        evidence["ms"] / evidence["control_ms"],
        measured=f"Every further image takes {evidence['ms']:.1f} ms of processor time; the plain "
        f"wasteful program takes {evidence['control_ms']:.1f} ms.",
        means="Something is still done for every pixel, image and epoch that could be done once, "
        "or for a whole batch.",
        look_next="Time the lines between the store and the batch one by one.",
    )


def _fresh(evidence: Any) -> Finding:
    changed, mixed = evidence["changed"], evidence["mixed"]
    if mixed < FRESH.limit and evidence["mirrored"] > 0:
        measured = (
            f"In {mixed:.0%} of the batches some images are mirrored and some are not; in the "
            "others all are, or none."
        )
        means = "One coin was tossed for the whole batch, so its images do not vary on their own."
    else:
        measured = (
            f"{changed:.0%} of the photographs are mirrored in one of two epochs and not in the "
            "other; a coin for each of them gives 50 %."
        )
        means = (
            "The augmentation was stored with the images, left out, or starts from the same seed "
            "in every epoch."
        )
    return FRESH.finding(
        min(changed, mixed),
        measured=measured,
        means=means,
        look_next="Look at the first eight images of a batch, in two epochs.",
    )


def untouched(evidence: Any) -> bool:
    """The sick program's store, every photograph opened once an epoch, and its float64."""
    n = FIRST + SECOND
    return bool(
        evidence["same_store"]
        and evidence["originals"] == [n, n]
        and evidence["dtypes"] == ["float64", "float64"]
        and not any(epoch[fault] for epoch in evidence["epochs"] for fault in FAULTS)
    )


CHECKS = [
    Diagnosis(
        causes={
            "repeated_work": "Reading, decoding, shrinking and standardising give the same numbers "
            "for a photograph in every epoch, and are done again in every epoch.",
            "slow_disk": "Reading a file is the shortest bar: the bytes are there at once, and "
            "what takes the time is done with them afterwards.",
            "costly_augmentation": "The mirror is the only stage that has to be drawn anew, and it "
            "is a small part of the time.",
            "too_few_workers": "More processes share the same work among the cores; they do not "
            "make it less. The bars are processor time, not waiting.",
            "jpeg_format": "Decoding is one bar of several. Another format for the same pixels "
            "would leave the shrinking and the loop over pixels as they are.",
            "wide_numbers": "float64 makes some bars longer, and is a symptom of the order of the "
            "stages: the largest arrays exist before the image is shrunk.",
        },
        cause="repeated_work",
        reading="share of an image's processor time whose result is the same in every epoch, 0..1",
        measure=repeated_share,
        # The mirror moves 3.5 MB, and what that takes depends on who else uses the memory. Its
        # share of the sick program was 6 to 16 % otherwise, and up to 31 % in 20 runs beside a busy
        # program on each core.
        tolerance=0.35,
        seconds=2,
    ),
    Check(
        name="repair",
        points=3,
        takes=("prepare", "batches", "sick_prepare"),
        collect=collect,
        judge=judge,
        untouched=untouched,
        measure=measure,
        seconds=4,
    ),
]
