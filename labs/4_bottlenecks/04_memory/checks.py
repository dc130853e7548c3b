"""Memory: is every byte given back, is the step within the cap, is the gradient still the same?"""

from __future__ import annotations

import gc
import math
import tracemalloc
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.evidence import pack, unpack_like
from grader.checks.verdict import number
from grader.datasets import Images
from grader.instruments.memory import MB, MemoryUse, gradient_error, measure_memory

SIZE, N_TRAIN, N_UNSEEN = 16, 1000, 32
KINDS = (0, 2, 5, 7)  # coast, forest, meadow, residential
STEPS, BATCH, RATE = 8, 8, 0.005
SICK_STEPS = 5  # of the sick program, to tell whether nothing was changed
# Without a common divisor: one of the two leaves a smaller last portion, whatever the portion. A
# single image is left by portions of 2, 4, 8 and 16, and weighs most where portions weigh the same.
EVEN_BATCH, RAGGED_BATCH = 32, 33

CAUSES = {
    "kept-for-backward": "Each look at the unseen images leaves behind what its gradient would "
    "need, every layer of it, because what is stored still refers to it.",
    "batch-too-large": "A batch that is too large makes every peak high. The peaks here stand on a "
    "floor, and it is the floor that rises.",
    "float64-images": "Images of eight bytes a value take their room before the first step, and no "
    "more after the last one. They do not grow.",
    "uncollected-garbage": "A tensor is freed the moment nothing refers to it, without the garbage "
    "collector. What stays here is referred to; there is no garbage to collect.",
    "caching-allocator": "An allocator keeps freed blocks for later, and the system counts them. "
    "The picture counts tensors, and they are the ones that pile up.",
    "optimizer-averages": "The averages of an optimizer are as large as the weights. They are made "
    "in the first step and stay as they are.",
}

# Limits of 20 seeds in each framework (`grader calibrate`). All but the errors are counts of bytes
# that depend on shapes alone. One map of twelve that is kept is .08 of what a look computes; a
# number is 10^-6 of it.
GROWS = Threshold("rise of the floor with a step, share of what one look computes", 0.03, "at most")
# One byte a value is 1, two are 2, floats of four bytes are 4, plus gradients and averages.
HELD = Threshold("bytes held between two steps, times those of the images", 3, "at most")
PEAK = Threshold("peak, times that of a training that keeps numbers only", 1.35, "at most")
# The batches of the check lead elsewhere than their halves, and halves lie 1 away. Rounding the
# images to sixteen bits leads .015 away on average, with rare seeds far out: .124 once.
WAY = Threshold("distance of the weights from the control's, share of its way", 0.4, "at most")
# Rounding the images gives up to .012. No constant comes below 1, however well it is chosen; the
# losses on training images are 1.25 away and more.
TOLD = Threshold("error of the losses that are returned, times their own spread", 0.2, "at most")

CAP = Threshold("peak, share of that of the whole batch at once", 0.8, "at most")
# Powers of ten, since right and wrong lie decades apart, each with a spread of its own size:
# rounding to sixteen bits gives up to .04, a last image that weighs too much .13 and more.
EVEN = Threshold("error of the gradient of 32 images, power of ten", -1, "at most")
RAGGED = Threshold("error of the gradient of 33 images, power of ten", -1, "at most")
BUSY = Threshold("operations, times those of the whole batch at once", 20, "at most")

# Operations of the starter, times those of the bare gradient; recomputing takes half as many again.
SAME_OPERATIONS = 1.2
WORST = 100.0  # shares above this are all the same


@lru_cache(maxsize=8)
def _images(case: Case, split: str, n: int) -> Images:
    return case.draw_kinds(split, n, SIZE, KINDS).take(n)


def _order(case: Case, labels: np.ndarray) -> np.ndarray:
    """Rows of every step, (STEPS, BATCH): half of a batch is of one kind, half of another.

    So no batch leads where its half does, and the steps, of the same two kinds all of them, add up
    to a way that is long beside what rounding does.
    """
    rng = np.random.default_rng([case.seed % 2**32, 51])
    kinds = rng.permutation(np.unique(labels))[:2]
    halves = [
        rng.choice(np.flatnonzero(labels == kind), size=(STEPS, BATCH // 2)) for kind in kinds
    ]
    return np.concatenate(halves, axis=1)


def _network(case: Case, classes: int) -> Any:
    return case.fw.even_stack(SIZE, classes, seed=case.seed, device=case.device)


def _inputs(case: Case, images: np.ndarray) -> Any:
    return case.fw.from_images(images / 255.0, case.device)


@lru_cache(maxsize=4)
def _kept_by_a_look(case: Case) -> int:
    """Bytes that one look at the unseen images leaves behind when all of it is kept."""
    unseen = _images(case, "validation", N_UNSEEN)
    x, y = _inputs(case, unseen.images), case.fw.from_labels(unseen.labels.copy(), case.device)
    model = _network(case, len(unseen.classes))
    use, _look = measure_memory(
        case.fw, model, lambda: case.fw.look_with_gradient(model, x, y), given=[x, y]
    )
    return use.end


def rise_with_a_step(case: Case) -> float:
    """What one look at the unseen images leaves behind when all of it is kept, in MB."""
    return _kept_by_a_look(case) / MB


@lru_cache(maxsize=4)
def _control(case: Case) -> dict[str, Any]:
    """A training that keeps numbers only."""
    fw, seen = case.fw, _images(case, "train", N_TRAIN)
    assert fw is not None
    unseen = _images(case, "validation", N_UNSEEN)
    x, y = _inputs(case, unseen.images), fw.from_labels(unseen.labels.copy(), case.device)
    model, labels = _network(case, len(seen.classes)), fw.from_labels(seen.labels, case.device)
    before, order = fw.get_state(model), _order(case, seen.labels)
    use, losses = measure_memory(
        fw, model,
        lambda: fw.train_and_look(model, seen.images, labels, order, (x, y), learning_rate=RATE),
        steps=STEPS, given=[labels, x, y],
    )  # fmt: skip
    return {
        "peak": use.peak,
        "losses": losses,
        "before": before,
        "after": fw.get_state(model),
    }


def _mixed(case: Case, n: int) -> Images:
    """A batch of three kinds, one after the other, and an image of a fourth.

    The last image is like no other, so that its weight shows wherever it is left alone, and three
    kinds lead away from the fourth, so that the gradient is long beside what rounding does to it.
    """
    some = _images(case, "train", N_TRAIN)
    rng = np.random.default_rng([case.seed % 2**32, 52])
    *kinds, last = rng.permutation(np.unique(some.labels))[:4]
    counts = [len(part) for part in np.array_split(np.arange(n - 1), len(kinds))]
    rows = np.concatenate(
        [
            np.flatnonzero(some.labels == kind)[:count]
            for kind, count in zip([*kinds, last], [*counts, 1], strict=True)
        ]
    )
    return some.pick(rows)


@lru_cache(maxsize=8)
def _whole(case: Case, n: int) -> dict[str, Any]:
    """The gradient of a batch at once, and what it takes."""
    fw, batch = case.fw, _mixed(case, n)
    assert fw is not None
    model = _network(case, len(batch.classes))
    x, y = _inputs(case, batch.images), fw.from_labels(batch.labels.copy(), case.device)
    use, _ = measure_memory(fw, model, lambda: fw.whole_gradient(model, x, y), given=[x, y])
    fw.clear_gradient(model)
    return {
        "peak": use.peak,
        "operations": len(use.live),
        "gradient": fw.loss_gradients(model, x, batch.labels),
    }


def _full_collections() -> int:
    return gc.get_stats()[2]["collections"]


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """A training of 8 steps, its bytes counted: where it has led, and what it told."""
    fw = case.fw
    assert fw is not None
    for name, form in (
        ("prepare", "prepare(images)"),
        ("train", "train(model, data, labels, order, unseen, unseen_labels)"),
    ):
        if not callable(getattr(answer, name)):
            raise AnswerError(f"`{name}` is not a function; give `{form}`.")
    seen, unseen = _images(case, "train", N_TRAIN), _images(case, "validation", N_UNSEEN)
    order, kept = _order(case, seen.labels), _kept_by_a_look(case)
    x, y = _inputs(case, unseen.images), fw.from_labels(unseen.labels.copy(), case.device)

    use, losses, after, data = _trained(case, answer.prepare, answer.train, seen, order, x, y)
    values = _numbers(fw, losses)
    del losses
    growth = use.growth / kept
    between = use.floor
    if growth <= GROWS.limit and data["bytes"] + between <= HELD.limit * seen.images.nbytes:
        # What passes so far may hold its images as NumPy's arrays, which the ledger does not see.
        traced, *_ = _trained(case, answer.prepare, answer.train, seen, order, x, y, traced=True)
        if len(traced.arrays):
            between = max(between, float(traced.arrays[len(traced.arrays) // 2 :].min()))
    before = fw.get_state(_network(case, len(seen.classes)))
    if [a.shape for a in after] != [a.shape for a in before]:
        raise AnswerError("`train` changed the shapes of the weights; train the model it is given.")
    evidence = {
        "growth_bytes": use.growth,
        "data_bytes": data["bytes"],
        "between_bytes": between,
        "peak_bytes": use.peak,
        "collected": data["collections"] >= STEPS // 4,
        "losses": values,
        "after": [pack(a) for a in after],
        "untouched": False,
    }
    if growth > GROWS.limit and not evidence["collected"]:
        sick, *_, sick_data = _trained(
            case, answer.sick_prepare, answer.sick_train, seen, order[:SICK_STEPS], x, y
        )
        evidence["untouched"] = data["bytes"] == sick_data["bytes"] and _same_course(use, sick)
    return evidence


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """Weights, losses and bytes beside those of a training that keeps numbers only."""
    control, kept = _control(case), _kept_by_a_look(case)
    images = _images(case, "train", N_TRAIN).images.nbytes
    before, goal = control["before"], control["after"]
    after = unpack_like(evidence["after"], before)
    values = np.asarray(evidence["losses"], dtype=np.float64)
    data, peak = evidence["data_bytes"], evidence["peak_bytes"]
    return {
        "growth": evidence["growth_bytes"] / kept,
        "rise": evidence["growth_bytes"] / MB,
        "look": kept / MB,
        "data": data / images,
        "held": (data + evidence["between_bytes"]) / images,
        "peak": peak / MB,
        "peak_times": peak / control["peak"],
        "told": len(values),
        "told_error": _told_error(values, control["losses"]),
        "told_numbers": bool(np.isfinite(values).all()),
        "told_one": bool(len(values) and (values == values[0]).all()),
        "still": sum(np.array_equal(a, b) for a, b in zip(after, before, strict=True)),
        "arrays": len(after),
        "way": _way(before, after, goal),
    }


def _trained(
    case: Case,
    prepare: Callable[..., Any],
    train: Callable[..., Any],
    seen: Images,
    order: np.ndarray,
    x: Any,
    y: Any,
    *,
    traced: bool = False,
) -> tuple[MemoryUse, Any, list[np.ndarray], dict[str, int]]:
    """One program's training: what it took, what it returned, its weights, what its data take."""
    fw = case.fw
    with fw.settings_kept():
        data = prepare(seen.images.copy())
    try:
        size = fw.bytes_of(data)
    except ValueError as error:
        raise AnswerError(
            f"In what `prepare` returned, {error}; return arrays or tensors."
        ) from None
    model = _network(case, len(seen.classes))
    labels = fw.from_labels(seen.labels.copy(), case.device)
    fw.set_seed(case.seed)
    if traced:
        tracemalloc.start()
    collections = _full_collections()
    try:
        with fw.settings_kept():
            use, losses = measure_memory(
                fw, model, lambda: train(model, data, labels, order.copy(), x, y),
                steps=STEPS, given=[data, labels, x, y],
            )  # fmt: skip
    finally:
        if traced:
            tracemalloc.stop()
    collections = _full_collections() - collections
    return use, losses, fw.get_state(model), {"bytes": size, "collections": collections}


def _numbers(fw: Any, losses: Any) -> np.ndarray:
    """What was returned as numbers, (n,)."""
    try:
        return np.array([float(fw.to_numpy(value)) for value in losses])
    except (TypeError, ValueError):
        raise AnswerError(
            f"`train` returned a {type(losses).__name__}; return the loss on the unseen images "
            f"after each of the {STEPS} steps."
        ) from None


def _told_error(values: np.ndarray, control: list[float]) -> float:
    """How far losses lie from the control's, over how far those lie from their mean.

    A network of eight steps has hardly moved: beside the losses themselves every error is small.
    """
    if len(values) != len(control) or not np.isfinite(values).all():
        return WORST
    spread = float(np.linalg.norm(control - np.mean(control)))
    return min(WORST, float(np.linalg.norm(values - control)) / max(spread, 1e-9))


def _way(before: list[np.ndarray], after: list[np.ndarray], goal: list[np.ndarray]) -> float:
    """How far an array lies from the control's at most, over the way that the control's has gone.

    At most 1, which an array has that stands still: beyond it nothing is left of the way.
    """
    ways = []
    for b, a, g in zip(before, after, goal, strict=True):
        way = float(np.linalg.norm(g - b))
        with np.errstate(all="ignore"):  # the weights may have left the range of numbers
            distance = float(np.linalg.norm(a - g)) / way if way else 0.0
        ways.append(min(1.0, distance) if math.isfinite(distance) else 1.0)
    return max(ways)


def _same_course(use: MemoryUse, sick: MemoryUse) -> bool:
    """True when the bytes went up and down alike in the last steps of both.

    The first steps set things up; after them each is like the one before.
    """
    n = min(len(use.live), len(sick.live)) * 2 // 5
    apart = np.diff(use.live[-n:]) - np.diff(sick.live[-n:])
    return n > 0 and bool((np.abs(apart) < 256).all())


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Five gates: the floor, what is held, the peak; the weights, the losses."""
    return [
        _grows(evidence),
        _is_held(evidence),
        _is_low(evidence),
        _goes_the_way(evidence),
        _is_told(evidence),
    ]


def _grows(evidence: Evidence) -> Finding:
    value, look_next = evidence["growth"], "Write down what the list holds after three steps."
    if evidence["still"] == evidence["arrays"]:
        value, measured = WORST, "The weights are what they were: this model was not trained."
        means = "A program that does nothing needs no memory."
        look_next = "Compare the weights before and after a call of your function."
    else:
        measured = (
            f"With every step the floor rises by {number(evidence['rise'])} MB; one look at the "
            f"unseen images, with all that a gradient would need, is {number(evidence['look'])} MB."
        )
        if evidence["collected"]:
            means = (
                "The garbage collector was run again and again, and it frees what nothing refers "
                "to. All of this is still referred to."
            )
        elif value < 0.7:
            means = "Less is kept than before, and with every step there is more of it."
        else:
            means = (
                "What is stored after a look still refers to all that the look has computed, "
                "whatever else is deleted around it."
            )
    return GROWS.finding(value, measured=measured, means=means, look_next=look_next)


def _is_held(evidence: Evidence) -> Finding:
    data, held = evidence["data"], evidence["held"]
    if data > 6:
        means = (
            "`prepare` has made eight bytes of every byte: a division of whole numbers gives "
            "floats of double precision."
        )
    elif data > 3:
        means = (
            f"`prepare` returns {number(data)} bytes for every byte, fewer than the eight it was, "
            "and the images hold nothing that one byte would not."
        )
    else:
        means = "What `prepare` returns is small; `train` makes something large of it and keeps it."
    return HELD.finding(
        held,
        measured=f"Between two steps {number(held)} times the bytes of the images are held, "
        f"{number(data)} times by what `prepare` returned.",
        means=means,
        look_next="Ask for the type of one value, and for how long it needs to be that type.",
    )


def _is_low(evidence: Evidence) -> Finding:
    return PEAK.finding(
        evidence["peak_times"],
        measured=f"At its highest the program has {number(evidence['peak'])} MB live, "
        f"{number(evidence['peak_times'])} times as much as a training that keeps numbers only.",
        means="The floor is flat, and for a moment in every step something large is made: all that "
        "a gradient would need that nobody asks for, or all images in a larger type.",
        look_next="Draw the bytes of a single step: which part of it makes the peak?",
    )


def _goes_the_way(evidence: Evidence) -> Finding:
    still, arrays = evidence["still"], evidence["arrays"]
    if still:
        means = (
            f"{still} of {arrays} weight arrays are what they were: with what was cut off to save "
            "memory, their gradient went as well."
        )
    else:
        means = (
            "The steps are other ones. Memory was to be saved, and the training was to stay as it "
            "is, with the same images in every step, of values from 0 to 1."
        )
    return WAY.finding(
        evidence["way"],
        measured=f"After {STEPS} steps a weight array lies {number(evidence['way'])} of its way "
        "(1 is the whole of it, or more) from where the same batches lead a training that keeps "
        "numbers only.",
        means=means,
        look_next="Compare the gradient of one step, array by array, with the sick program's.",
    )


def _is_told(evidence: Evidence) -> Finding:
    if evidence["told"] != STEPS:
        measured = f"`train` returned {evidence['told']} losses for {STEPS} steps."
        means = "The memory is saved, and with it goes the curve it was spent for."
    elif not evidence["told_numbers"]:
        measured = "Among the losses that `train` returned are values that are no numbers."
        means = "The weights are those of a right training, so that it is the looks that fail."
    else:
        measured = (
            f"The losses that `train` returned are off by {number(evidence['told_error'])} times "
            "the spread of the right ones."
        )
        means = "They are other losses, or those of another moment than after each step."
        if evidence["told_one"]:
            means = "All of them are one and the same number, and the curve is gone."
    return TOLD.finding(
        min(evidence["told_error"], 2.0),  # beyond that nothing is left of the curve
        measured=measured,
        means=means,
        look_next="Compare your list with the one that the sick program returns.",
    )


def collect_fit(case: Case, answer: Answer) -> dict[str, Any]:
    """The gradient of two batches, and the bytes and operations that it took."""
    fw = case.fw
    for name, form in (
        ("build_model", "build_model(classes)"),
        ("gradient", "gradient(model, x, y)"),
    ):
        if not callable(getattr(answer, name)):
            raise AnswerError(f"`{name}` is not a function; give `{form}`.")
    seen = _images(case, "train", N_TRAIN)
    classes = len(seen.classes)
    state = fw.get_state(_network(case, classes))
    with fw.settings_kept():
        model = answer.build_model(classes)
        if not fw.is_model(model):
            raise AnswerError(f"`build_model` returned a {type(model).__name__}; return a model.")
        outputs = fw.predict(model, _inputs(case, seen.images[:2]))
        if outputs.shape != (2, classes):
            raise AnswerError(
                f"The model gives outputs of shape {outputs.shape} for 2 images; give one logit "
                f"for each of the {classes} classes."
            )
        if [a.shape for a in fw.get_state(model)] != [a.shape for a in state]:
            raise AnswerError(
                "The model has other weights than the network of the starter; keep its layers, in "
                "their order."
            )
        fw.set_state(model, state)
        tried = [_batch(case, answer, model, n) for n in (EVEN_BATCH, RAGGED_BATCH)]
    if not all(np.array_equal(a, b) for a, b in zip(fw.get_state(model), state, strict=True)):
        raise AnswerError("`gradient` changed the weights; give the gradient only.")
    return {"tried": tried}


def _batch(case: Case, answer: Answer, model: Any, n: int) -> dict[str, Any]:
    """One batch: its gradient, and what it took."""
    fw, batch = case.fw, _mixed(case, n)
    assert fw is not None
    x = _inputs(case, batch.images)
    y = fw.from_labels(batch.labels.copy(), case.device)
    fw.set_seed(case.seed)
    fw.clear_gradient(model)
    collections = _full_collections()
    use, returned = measure_memory(fw, model, lambda: answer.gradient(model, x, y), given=[x, y])
    collections = _full_collections() - collections
    try:
        found = fw.gradient_left(model, returned)
    except ValueError as error:
        raise AnswerError(f"From `gradient`, {error}.") from None
    fw.clear_gradient(model)
    return {
        "entered": int(use.images.sum()),
        "peak_bytes": use.peak,
        "operations": len(use.live),
        "collected": collections >= 1,
        "gradient": [pack(g) for g in found],
    }


def measure_fit(case: Case, evidence: Evidence) -> dict[str, Any]:
    """What was handed over of both batches, beside the whole batch at once."""
    pairs = zip((EVEN_BATCH, RAGGED_BATCH), evidence["tried"], strict=True)
    return {"batches": [_beside_the_whole(case, n, tried) for n, tried in pairs]}


def _beside_the_whole(case: Case, n: int, tried: Evidence) -> dict[str, Any]:
    whole = _whole(case, n)
    found = unpack_like(tried["gradient"], whole["gradient"])
    error, length = gradient_error(found, whole["gradient"])
    without = sum(g.any() and not f.any() for f, g in zip(found, whole["gradient"], strict=True))
    return {
        "images": n,
        "entered": tried["entered"],
        "peak": tried["peak_bytes"] / MB,
        "whole": whole["peak"] / MB,
        "share": tried["peak_bytes"] / whole["peak"],
        "operations": tried["operations"] / whole["operations"],
        "collected": tried["collected"],
        "error": WORST if without else min(error, WORST),
        "length": min(length, WORST),
        "numbers": bool(all(np.isfinite(f).all() for f in found)),
        "without": int(without),
        "arrays": len(found),
    }


def untouched_fit(evidence: Evidence) -> bool:
    """The starter: the right gradient, with the bytes and the operations of the whole batch."""
    return all(
        abs(b["share"] - 1) < 0.03
        and b["operations"] < SAME_OPERATIONS
        and b["error"] < 1e-4
        and not b["collected"]
        for b in evidence["batches"]
    )


def judge_fit(case: Case, evidence: Evidence) -> list[Finding]:
    """Four gates: within the cap; the same gradient, with a ragged end; in not many operations."""
    even, ragged = evidence["batches"]
    return [
        _fits(max(even, ragged, key=lambda b: b["share"])),
        _is_the_gradient(even, EVEN),
        _is_the_gradient(ragged, RAGGED),
        _is_busy(max(even, ragged, key=lambda b: b["operations"])),
    ]


def _fits(batch: Evidence) -> Finding:
    if batch["collected"] and batch["share"] > 0.99:
        means = (
            "The garbage collector frees what nothing refers to. The backward pass refers to every "
            "one of these layers until it has come past it."
        )
    else:
        means = (
            "Twelve layers are kept from the forward pass until the backward pass comes past them, "
            "for all images at once."
        )
    share = batch["share"]
    measured = (
        f"The gradient of {batch['images']} images has {number(batch['peak'])} MB live at its "
        f"highest; all at once take {number(batch['whole'])} MB."
    )
    if batch["without"] == batch["arrays"]:
        share, measured = WORST, "None of the weight arrays has a gradient after the call."
        means = "A program that computes nothing needs no memory."
        if batch["operations"] > 0.5:
            means = "One was computed, and it is not left where the task asks for it."
    return CAP.finding(
        share,
        measured=measured,
        means=means,
        look_next="Which of three could be less: the images at a time, the layers that are kept, "
        "or the bytes of a value?",
    )


def _is_the_gradient(batch: Evidence, limit: Threshold) -> Finding:
    n, length, error = batch["images"], batch["length"], batch["error"]
    measured = (
        f"For {n} images the gradient is {number(length)} times as long as that of the mean loss, "
        f"and lies {number(batch['error'])} of its length away from it."
    )
    look_next = "Write the mean over all images as a sum over the portions."
    if batch["without"]:
        measured = (
            f"For {n} images {batch['without']} of {batch['arrays']} weight arrays get no gradient "
            "at all."
        )
        means = "What was cut off to save memory leads to them."
        look_next = "Follow the gradient from the loss back: at which layer does it end?"
    elif not batch["numbers"]:
        measured = f"The gradient of {n} images has values that are no numbers."
        means = "They have left the range of the numbers that the layers were computed in."
        look_next = "Look for the largest value of a layer, and of its gradient."
    elif 0 < batch["entered"] < n:
        error = WORST  # one image less is a small error, and no rounding
        means = f"Only {batch['entered']} images entered the model. That is another, smaller batch."
        look_next = "Count the images that enter between two steps."
    elif limit is RAGGED:
        means = (
            "Where all portions are equal it was right. The images of a smaller last portion weigh "
            "more than the others, or are left out."
        )
    elif length > 1.5:
        means = "It is too long: means of portions were added up, as if each were a batch."
    elif length < 0.5:
        means = "It is too short: what was a mean already was divided once more."
    else:
        means = (
            "The images of the batch do not all weigh the same, or the numbers that the layers "
            "were computed in have too few digits."
        )
    return limit.finding(
        math.log10(max(error, 1e-9)),
        measured=measured,
        means=means,
        look_next=look_next,
    )


def _is_busy(batch: Evidence) -> Finding:
    return BUSY.finding(
        batch["operations"],
        measured=f"It takes {batch['operations']:.0f} times the operations of the whole batch at "
        "once.",
        means="Far less memory is used than there is, and it is paid for: an operation on one "
        "image takes nearly as long as one on a dozen.",
        look_next="Draw the peak against the size of a portion, with the cap as a line.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="kept-for-backward",
        reading="megabytes by which the floor rises with every step",
        measure=rise_with_a_step,
        tolerance=0.05,
    ),
    Check(
        name="repair",
        points=5,
        takes=("prepare", "train", "sick_prepare", "sick_train"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: bool(evidence["untouched"]),
        measure=measure_repair,
        seconds=3,
    ),
    Check(
        name="fit",
        points=4,
        takes=("build_model", "gradient"),
        collect=collect_fit,
        judge=judge_fit,
        untouched=untouched_fit,
        measure=measure_fit,
        seconds=2,
    ),
]
