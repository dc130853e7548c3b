"""Checks of "The accelerator waits": is the waiting gone, and is the data still the same?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.evidence import pack, unpack
from grader.datasets import Images
from grader.datasets.storage import Storage, stored
from grader.instruments.overlap import Timeline, ahead, decode, in_turn, measure_overlap

FILES, SIZE, BATCH = 96, 32, 4
LATENCY = 0.012  # seconds a file: a network disk
COMPUTE = 0.0075  # seconds an image: the simulated accelerator
PATIENCE = 30.0  # seconds for two epochs; the sick program needs 4

# Mean distance per pixel (root mean square, 0..1) below which an image is the file's: two JPEG
# decoders differ by less than 0.02, two tiles or photographs by more than 0.1.
SAME = 0.05
# Every third pixel is handed over: enough to tell which file an image shows.
GRID = slice(1, None, 3)


def compute(batch: Any) -> None:
    """The accelerator: busy for a time that grows with the batch, and the host waits for it."""
    time.sleep(COMPUTE * len(batch[1]))


def starve(case: Case) -> float:
    """Share of a step that the sick program waits, without a framework."""
    images = case.draw("train", FILES, SIZE)
    with stored(images, LATENCY) as (storage, files):
        loader = in_turn(files, images.labels, storage, BATCH)
        return measure_overlap(loader, compute, storage, steps=10).waiting_share


class Collector:
    """Keeps the samples of an epoch, and stops one that does not end."""

    def __init__(self, case: Case, deadline: float) -> None:
        self.to_numpy = case.fw.to_numpy
        self.deadline = deadline
        self.images: list[np.ndarray] = []
        self.labels: list[int] = []
        self.sizes: list[int] = []

    def take(self, batch: Any) -> None:
        images, labels = (self.to_numpy(part) for part in batch)
        if len(images) != len(labels):
            raise AnswerError(
                f"A batch has {len(images)} images and {len(labels)} labels; "
                "yield one label an image."
            )
        self.images += list(images)
        self.labels += [int(label) for label in labels.ravel()]
        self.sizes.append(len(labels))
        if len(self.labels) > 2 * FILES:
            raise AnswerError(
                f"An epoch of {FILES} files has not ended after {len(self.labels)} images; "
                "let the loader stop when every file was handed out."
            )
        if time.monotonic() > self.deadline:
            raise AnswerError(
                f"Two epochs of {FILES} files were not done after {PATIENCE:.0f} s; the sick "
                "program needs 4 s. Measure how long one batch takes to arrive."
            )

    def handed(self) -> dict[str, Any]:
        """The epoch as evidence."""
        return {
            "images": [_some_pixels(image) for image in self.images],
            "labels": self.labels,
            "sizes": self.sizes,
        }


def _some_pixels(image: np.ndarray) -> dict[str, Any] | None:
    """A grid of an image's pixels as bytes, packed; None for what has no such pixels.

    Either order of axes, 0..1 or 0..255.
    """
    pixels = np.asarray(image, dtype=np.float32)
    if pixels.shape == (3, SIZE, SIZE):
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.shape != (SIZE, SIZE, 3) or not np.isfinite(pixels).all():
        return None
    if pixels.max() <= 2:
        pixels = pixels * 255
    return pack(np.rint(pixels[GRID, GRID].clip(0, 255)).astype(np.uint8))


@lru_cache(maxsize=2)
def _references(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The same pixels of every file, 0..1, float (FILES, P), and the files' labels."""
    images = case.draw("train", FILES, SIZE)
    with stored(images, LATENCY) as (storage, files):
        decoded = np.stack([decode((storage.root / file).read_bytes()) for file in files])
    return decoded[:, GRID, GRID].reshape(len(files), -1), images.labels


def audit(handed: Mapping[str, Any], references: np.ndarray, labels: np.ndarray) -> dict[str, int]:
    """Count what is wrong with an epoch's samples.

    Returns:
        foreign: images that are none of the files.  mislabelled: with another file's label.
        missing, repeated: files handed out never, or again.  odd_batches: batches, but for the
        last, of another size.
    """
    found = [_closest(image, references) for image in handed["images"]]
    known = [(f, label) for f, label in zip(found, handed["labels"], strict=True) if f >= 0]
    times = np.bincount([f for f, _ in known], minlength=len(labels))
    return {
        "samples": len(found),
        "foreign": found.count(-1),
        "mislabelled": sum(int(labels[f]) != label for f, label in known),
        "missing": int((times == 0).sum()),
        "repeated": int(np.maximum(times - 1, 0).sum()),
        "odd_batches": sum(size != BATCH for size in handed["sizes"][:-1]),
    }


def _closest(packed: Any, references: np.ndarray) -> int:
    """Index of the file that some pixels are of, -1 for none."""
    if packed is None:
        return -1
    pixels = unpack(packed).reshape(1, -1) / 255
    distance = np.sqrt(((references - pixels) ** 2).mean(axis=1))
    best = int(distance.argmin())
    return best if distance[best] < SAME else -1


def check_batch(batch: Any) -> None:
    """Raise AnswerError unless a batch is a pair."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise AnswerError(
            f"The loader yields a {type(batch).__name__}; let it yield pairs of images and labels."
        )


def compute_pair(batch: Any) -> None:
    check_batch(batch)
    compute(batch)


def collect(case: Case, answer: Answer) -> dict[str, Any]:
    images = case.draw("train", FILES, SIZE)
    with stored(images, LATENCY) as (storage, files):
        return _evidence(case, answer, images, storage, files)


def _evidence(
    case: Case, answer: Answer, images: Images, storage: Storage, files: list[str]
) -> dict[str, Any]:
    sick = _control(in_turn(files, images.labels, storage, BATCH), storage, 8)
    some = files[: 12 * BATCH]
    repaired = _control(ahead(some, images.labels, storage, BATCH, readers=8), storage, None)

    deadline = time.monotonic() + PATIENCE
    kind = type(answer.sick_loader(list(files), images.labels.copy(), storage, BATCH))
    storage.forget()
    loader = answer.make_loader(list(files), images.labels.copy(), storage, BATCH)
    if not hasattr(loader, "__iter__"):
        raise AnswerError(
            f"`make_loader` returned a {type(loader).__name__}; return something that a "
            "`for` loop can run over."
        )
    first, second = Collector(case, deadline), Collector(case, deadline)
    timeline = measure_overlap(loader, compute_pair, storage, each=first.take)
    # Nobody computes in the second epoch: it tells whether the loader can be used again, and how
    # many files it reads at once when nothing holds it back.
    again = measure_overlap(loader, check_batch, storage, each=second.take)
    if not timeline.steps:
        raise AnswerError("The loader yields no batch; let it yield pairs of images and labels.")
    return {
        "sick_waiting": sick.waiting_share,
        "repaired_waiting": repaired.waiting_share,
        "waiting": timeline.waiting_share,
        "step_ms": timeline.step_ms,
        "sick_step_ms": sick.step_ms,
        "same_kind": type(loader) is kind,
        "reading_steps": timeline.reading_steps,
        "parallel_reads": timeline.parallel_reads,
        "reads": len(timeline.reads),
        "read_before": timeline.read_ahead_share,
        "reads_at_once": again.reads_at_once,
        "handed": [first.handed(), second.handed()],
    }


def measure(case: Case, evidence: Evidence) -> dict[str, Any]:
    """What is wrong with the samples that were handed over."""
    first, second = (audit(epoch, *_references(case)) for epoch in evidence["handed"])
    return {"epochs": [first, second]}


def _control(loader: Any, storage: Storage, steps: int | None) -> Timeline:
    timeline = measure_overlap(loader, compute, storage, steps=steps)
    storage.forget()
    return timeline


READING = Threshold("computations with a read under way", 0.5, "at least")
PARALLEL = Threshold("files read beside another file", 0.25, "at least")
ONCE = Threshold("reads of a file in an epoch", 1.5, "at most")
# Eight workers with two batches each hold two thirds of the files at most.
BEFORE = Threshold("share of the files read before the first batch", 0.75, "at most")
WRONG = Threshold("samples and batches that are not as they were", 0, "at most")
AT_ONCE = Threshold("files read at once", 32, "at most")

FAULTS = {
    "foreign": (
        "{n} of {samples} images show none of the files.",
        "An image that is there sooner and is not the photograph trains nothing.",
        "Show one batch, and compare it with the file.",
    ),
    "mislabelled": (
        "{n} of {samples} images carry the label of another file.",
        "Images that finish in another order than they were asked for need their labels with them.",
        "Look at where image and label part on their way to the batch.",
    ),
    "missing": (
        "{n} of {files} files are never handed out in an epoch.",
        "A step gets no shorter by seeing less data; the epoch only ends sooner.",
        "Count the samples of two epochs, one after the other.",
    ),
    "repeated": (
        "{n} files are handed out more than once in an epoch.",
        "Every worker that reads the whole list hands out the whole list.",
        "Count how often every file appears in an epoch.",
    ),
    "odd_batches": (
        "{n} batches have another size than the one asked for.",
        "A larger batch has more to compute and more to load; the shares stay as they are.",
        "Compare images a second, not steps a second.",
    ),
}


def judge(case: Case, evidence: Any) -> list[Finding]:
    """Counts alone decide; the waiting is told with them.

    With as many workers, the same loader waits for 5 % of a step on a quiet machine and for half of
    it where ten programs share two cores. What it reads while the accelerator computes, and how
    many files at a time, is the same on both.
    """
    return [
        _reading(evidence),
        PARALLEL.finding(
            evidence["parallel_reads"],
            measured=f"{evidence['parallel_reads']:.0%} of the files are read while another one "
            f"is, and a step waits for {evidence['waiting']:.0%} of its time "
            f"(sick: {evidence['sick_waiting']:.0%}; eight readers: "
            f"{evidence['repaired_waiting']:.0%}).",
            means="Files are read ahead of need, but one after the other, and a batch read in turn "
            "takes longer than its computation.",
            look_next="Divide the time to load a batch by the time to compute it: how many files "
            "would have to be under way at once?",
        ),
        BEFORE.finding(
            evidence["read_before"],
            measured=f"{evidence['read_before']:.0%} of the files were read before the first "
            "batch arrived.",
            means="The waiting has moved to the start, and all images stay in memory.",
            look_next="Count the files read when the first batch arrives.",
        ),
        _samples(evidence["epochs"]),
        ONCE.finding(
            evidence["reads"] / FILES,
            measured=f"The storage was asked {evidence['reads']} times for {FILES} files in one "
            "epoch.",
            means="Every read takes a reader's time, so that the readers fall behind again.",
            look_next="Count the reads of every single file.",
        ),
        AT_ONCE.finding(
            evidence["reads_at_once"],
            measured=f"Up to {evidence['reads_at_once']} files are read at once.",
            means="A storage that many programs share turns such a client away.",
            look_next="Measure the step with 1, 2, 4 and 8 readers: from where on does it gain "
            "nothing?",
        ),
    ]


def _reading(evidence: Any) -> Finding:
    share = evidence["reading_steps"]
    if not evidence["reads"]:
        measured = "The storage was asked for no file in the first epoch."
        means = "What the loader yields does not come from the files."
        look_next = "Look at one batch beside its files."
    elif evidence["read_before"] == 1:
        measured = "All files were read before the first batch arrived, and none afterwards."
        means = (
            "The waiting has moved to the start, and every image stays in memory, which a data "
            "set larger than the memory does not allow."
        )
        look_next = "Count the files read when the first batch arrives."
    else:
        measured = f"A file is read during {share:.0%} of the computations."
        means = (
            "Loading and computing take turns: however fast a batch is read, the accelerator "
            "waits for all of it."
        )
        look_next = "Draw the timeline of your loader: what does the storage do meanwhile?"
    return READING.finding(share, measured=measured, means=means, look_next=look_next)


def _samples(epochs: list[dict[str, int]]) -> Finding:
    total = sum(epoch[fault] for epoch in epochs for fault in FAULTS)
    if epochs[0]["samples"] and not epochs[1]["samples"]:
        measured, means, look_next = (
            "The second epoch is empty.",
            "A generator can be run through once.",
            "Run two loops over one loader, and count.",
        )
    else:
        worst = {fault: max(epoch[fault] for epoch in epochs) for fault in FAULTS}
        fault = next((f for f in FAULTS if worst[f]), "missing")
        samples = max(epoch["samples"] for epoch in epochs)
        measured, means, look_next = FAULTS[fault]
        measured = measured.format(n=worst[fault], samples=samples, files=FILES)
    return WRONG.finding(total, measured=measured, means=means, look_next=look_next)


def untouched(evidence: Any) -> bool:
    """The sick loader's kind of object; one file at a time, never during a computation.

    The kind tells a loader that behaves like the sick one from one that was changed in vain.
    """
    return bool(
        evidence["same_kind"]
        and evidence["reads"] == FILES
        and evidence["reading_steps"] == 0
        and evidence["reads_at_once"] == 1
        and evidence["read_before"] < 0.5
        and not any(epoch[fault] for epoch in evidence["epochs"] for fault in FAULTS)
    )


CHECKS = [
    Diagnosis(
        causes={
            "loading_in_turn": "The storage reads only while the accelerator waits, one file "
            "after the other: the two never work at the same time.",
            "slow_model": "The computation takes the same 30 ms in every step, and the accelerator "
            "stands still for longer than it computes; fewer multiply-adds would not end that.",
            "slow_decoding": "Decoding would show between two reads, as a gap with the accelerator "
            "waiting; the reads stand side by side and fill the wait.",
            "slow_storage": "A file takes 12 ms, but the storage stands idle whenever the "
            "accelerator computes: it is not at its limit.",
            "small_batch": "A larger batch has more files to read and more images to compute; "
            "waiting and computing grow alike.",
        },
        cause="loading_in_turn",
        reading="share of a step that is spent waiting, 0 to 1",
        measure=starve,
        tolerance=0.3,  # on a busy machine a wait grows by a fifth
        seconds=1.5,
    ),
    Check(
        name="repair",
        points=3,
        takes=("make_loader", "sick_loader"),
        collect=collect,
        judge=judge,
        untouched=untouched,
        measure=measure,
        seconds=4,
    ),
]
