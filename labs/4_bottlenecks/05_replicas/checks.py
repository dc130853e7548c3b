"""Checks of "Two replicas that never meet": do they train one model, and measure it together?"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.evidence import pack, unpack
from grader.checks.verdict import number
from grader.datasets import Images
from grader.instruments.replicas import (
    Move,
    ReplicasWait,
    ReplicaWork,
    UsedGradient,
    count_work,
    gradients_of,
    measure_replicas,
    moves_of,
    run_evaluation,
    run_training,
    steps_of,
    value_of,
    weights_apart,
    work_of,
)

KINDS, SIZE = (0, 2, 5, 7), 16
N_TRAIN, EPOCHS, BATCH, RATE = 128, 2, 32, 0.05
N_SHOWN, EPOCHS_SHOWN, RATE_SHOWN = 480, 10, 0.02
PATIENCE = 45.0  # seconds; the sick program needs 3

# Images of the metric, and how many of each quarter are recognised; with half of the seeds, all
# others are. Any part of them that a replica could take has another accuracy than the whole. Both
# ends are alike, so that an image that is repeated or left out at an end shows.
N_METRIC, BATCH_METRIC = 61, 8
RIGHT_OF_QUARTER = (14, 8, 7, 3)

# Limits of 20 seeds in each framework (`grader calibrate`). Most are counts, the same for all
# seeds. Replicas of a right program are never apart, those that are only averaged at the end .068
# and more. A right gradient is 3e-6 off, a wrong one its whole length. A right accuracy is 2e-6
# images off, the nearest wrong one .19.
APART = Threshold("distance of the replicas, in lengths of their weights", 1e-3, "at most")
ONCE = Threshold("images not trained on exactly once in an epoch", 0, "at most")
BUSIEST = Threshold("share of the work of the busiest device", 0.6, "at most")
STEP = Threshold("images in a step, deviation from the batch size", 0.1, "at most")
GRADIENT = Threshold("error of the gradient, in lengths of that of one process", 0.05, "at most")
REPEATED = Threshold("epochs with the batches of an earlier one", 0, "at most")

MISSED = Threshold("images that go through no replica", 0, "at most")
OFF = Threshold("error of the accuracy, in images", 0.01, "at most")
LOOKS = Threshold("share of the images that the busiest replica looks at", 0.6, "at most")
WAITS = Threshold("values that the host asks for", 4, "at most")

N_PLACED, BATCH_PLACED = 128, 16
ELSEWHERE = Threshold("share of the images that are computed on another device", 0, "at most")
ASKS = Threshold("values that the host asks for in an epoch of eight steps", 2, "at most")

WAITED = (
    f"The replicas did not come to their end: after {PATIENCE:.0f} s they were stopped, or one of "
    "them waited for the other when that had returned. Let both exchange equally often, however "
    "many batches they have."
)

CAUSES = {
    "no-exchange": "The replicas begin apart and stay apart, and each of them trains on every "
    "image of an epoch: two models are trained, and the mean of two models is none.",
    "slow-exchange": "Nothing is exchanged before the end. Each replica goes through all images by "
    "itself, and that takes as long as it takes one process.",
    "half-the-data": "The middle picture shows every image twice in an epoch: each replica sees "
    "all of them, and recognises by itself as much as one process does.",
    "rate-not-scaled": "Each replica by itself has learned well with this rate. A rate changes how "
    "long the steps are, not that two models are mixed.",
    "metric-of-one": "All unseen images were given to what was saved, in one process. It "
    "recognises fewer of them than each replica does by itself.",
    "overfitting": "Each replica recognises unseen images well. What is saved is the mean "
    "of their weights, and that is worse.",
}


def _draw(case: Case, n: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Standardised images, labels and number of classes; a multiple of two batches."""
    drawn = case.draw_kinds("train", n + 40, SIZE, KINDS).take(n)
    n = max(1, len(drawn) // (2 * BATCH)) * 2 * BATCH
    return drawn.standardised()[:n], drawn.labels[:n], len(drawn.classes)


@lru_cache(maxsize=1)
def apart_at_the_end(case: Case) -> float:
    """Distance of two networks that begin with weights of their own and learn by themselves."""
    images, labels, classes = _draw(case, N_SHOWN)
    fw, found = case.fw, []
    for start in (0, 1):
        seed = case.seed + 500 * start
        model = fw.steady_network(SIZE, classes, seed=seed, device=case.device)
        fw.train(
            model, fw.from_images(images, case.device), labels,
            steps=EPOCHS_SHOWN * len(labels) // (BATCH // 2), batch_size=BATCH // 2,
            learning_rate=RATE_SHOWN, momentum=0.0, seed=seed,
        )  # fmt: skip
        found.append(np.concatenate([a.ravel() for a in fw.get_state(model)]))
    return weights_apart(*found)


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """What the replicas did: how far apart, with which images, and where three steps have led."""
    images, labels, classes = _draw(case, N_TRAIN)

    def run(train: Any) -> list[Any]:
        return run_training(
            case.fw, train, images, labels, epochs=EPOCHS, batch_size=BATCH, rate=RATE,
            classes=classes, seed=case.seed % 2**20, seconds=PATIENCE,
        )  # fmt: skip

    if not callable(answer.train):
        raise AnswerError(
            "`train` is not a function; give `train(build_model, x, y, epochs, batch_size, rate)`."
        )
    try:
        runs = run(answer.train)
    except ReplicasWait:
        raise AnswerError(WAITED) from None
    for place, found in enumerate(runs):
        if found.returned is None:
            raise AnswerError(
                f"`train` returned a {found.kind} in replica {place}; return the model that "
                "`build_model` has made."
            )
    try:
        measured = measure_replicas(runs, len(labels), EPOCHS)
    except ValueError:
        raise AnswerError(
            "No image went through a model of `build_model` in a replica; train such a model, and "
            "return it."
        ) from None
    evidence: dict[str, Any] = {
        "apart": measured.apart,
        "work": [{"place": one.place, "steps": one.steps} for one in work_of(runs)],
        "moves": [],
        "untouched": False,
    }
    if _together(measured.apart) and not measured.foreign:
        evidence["moves"] = [
            {"before": pack(move.before), "afters": [pack(after) for after in move.afters]}
            for move in moves_of(runs)
        ]
    if len(measured.shares) == 2 and measured.apart.min() > 0.3 and (measured.times == 2).all():
        sick = run(answer.sick_train)
        evidence["untouched"] = all(_same(a, b) for a, b in zip(runs, sick, strict=True))
    return evidence


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """Count who trained on what, and compare the steps with the gradients of these images."""
    images, labels, classes = _draw(case, N_TRAIN)
    work = [
        ReplicaWork(one["place"], [np.asarray(step, dtype=np.int64) for step in one["steps"]])
        for one in evidence["work"]
    ]
    apart = np.asarray(evidence["apart"], dtype=np.float64)
    measured = count_work(work, len(labels), EPOCHS, apart)
    gradients: list[UsedGradient] = []
    if evidence["moves"] and _together(apart) and not measured.foreign:
        moves = [
            Move(unpack(move["before"]), [unpack(after) for after in move["afters"]])
            for move in evidence["moves"]
        ]
        gradients = gradients_of(case.fw, work, moves, images, labels, rate=RATE, classes=classes)
    return {
        "shares": measured.shares,
        "replicas": len(work),
        "not_once": measured.not_once,
        "never": int((measured.times == 0).sum()),
        "foreign": measured.foreign,
        "times": float(measured.times.mean()),
        "step": float(np.median(measured.step_sizes)),
        "lengths": [g.length for g in gradients],
        "errors": [g.error for g in gradients],
        "repeated": measured.repeated,
        "n": len(labels),
    }


def _together(apart: np.ndarray) -> bool:
    return bool(np.isfinite(apart).all() and apart.max() <= APART.limit)


def _same(a: Any, b: Any) -> bool:
    """True for two runs that took the same steps with the same images, up to rounding."""
    ours, theirs = steps_of(a.calls), steps_of(b.calls)
    return len(ours) == len(theirs) and all(
        np.array_equal(p.images, q.images) and np.allclose(p.weights, q.weights, atol=1e-5)
        for p, q in zip(ours, theirs, strict=True)
    )


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Six gates: one model, every image once, work shared, step size, gradient, another order."""
    return [
        _one_model(evidence),
        _every_image_once(evidence),
        _shared(evidence),
        _step_size(evidence),
        _gradient(evidence),
        _order(evidence),
    ]


def _one_model(evidence: Evidence) -> Finding:
    apart = np.nan_to_num(np.asarray(evidence["apart"], dtype=float), nan=1.0, posinf=1.0)
    first, largest = float(apart[0]), float(min(apart.max(), 1.0))
    if first > APART.limit:
        means = "They begin apart, each with random weights of its own, and stay apart."
        look_next = "Compare the replicas' weights before the first step."
    else:
        means = "They begin together, and nothing brings them together again after each step."
        look_next = "Compare the replicas' weights after one step, and ask what each step knows."
    return APART.finding(
        largest,
        measured=f"Two replicas lie up to {number(largest)} of the length of their weights apart "
        f"while they train ({number(first)} at the first step).",
        means=means,
        look_next=look_next,
    )


def _every_image_once(evidence: Evidence) -> Finding:
    n, times = evidence["n"], evidence["times"]
    if evidence["foreign"]:
        means = f"{evidence['foreign']} times something entered that is none of the images."
    elif times > 1.2:
        means = (
            f"An image is trained on {number(times)} times in an epoch: the replicas do the same "
            "work side by side."
        )
    elif evidence["never"]:
        means = (
            f"{evidence['never']} times an image is left out of an epoch; replicas that draw "
            "their own parts at random draw some images twice and some never."
        )
    else:
        means = "Some images count more than others."
    return ONCE.finding(
        evidence["not_once"],
        measured=f"Of {EPOCHS} epochs of {n} images, {evidence['not_once']} images were not "
        "trained on exactly once.",
        means=means,
        look_next="Write down the numbers of the images that each replica gets in one epoch.",
    )


def _shared(evidence: Evidence) -> Finding:
    busiest = float(max(evidence["shares"]))
    if len(evidence["shares"]) == 1 and evidence["replicas"] > 1:
        means = "All models live on one device, and take turns there: nothing is gained."
    else:
        means = "One replica works, and the others wait for it: nothing is gained."
    return BUSIEST.finding(
        busiest,
        measured=f"The busiest device takes {busiest:.0%} of the images.",
        means=means,
        look_next="Count the images of each replica, and print where its weights live.",
    )


def _step_size(evidence: Evidence) -> Finding:
    ratio = evidence["step"] / BATCH
    return STEP.finding(
        abs(ratio - 1),
        measured=f"A step takes {evidence['step']:.0f} images from all replicas together, and "
        f"{BATCH} were asked for.",
        means="Another number of replicas must not change the batch without anybody's knowing: "
        "the rate belongs to the batch of all of them.",
        look_next="Work out how many images each replica takes in a step.",
    )


def _gradient(evidence: Evidence) -> Finding:
    errors = [e if np.isfinite(e) else np.inf for e in evidence["errors"]]
    if not errors:  # an earlier gate has stopped this answer
        return GRADIENT.finding(
            np.nan, measured="No step could be compared.", means="", look_next=""
        )
    worst = int(np.argmax(errors))
    length = evidence["lengths"][worst]
    if errors[0] > GRADIENT.limit and length > 1.5:
        means = (
            "Gradients were added up and not divided, or the loss of a part or the rate was not "
            "scaled to fit."
        )
    elif errors[0] > GRADIENT.limit:
        means = "The step is none of plain gradient descent on the whole batch."
    else:
        means = (
            "The first step is right, and a later one, or the model that is returned, is not what "
            "such steps lead to."
        )
    return GRADIENT.finding(
        min(errors[worst], 2.0),
        measured=f"The gradient that a step has used is {number(length)} times as long as that of "
        f"one process on the same {evidence['step']:.0f} images, and lies "
        f"{number(errors[worst])} of its length away from it.",
        means=means,
        look_next="Write the mean over all images of a step as a sum over the replicas.",
    )


def _order(evidence: Evidence) -> Finding:
    return REPEATED.finding(
        evidence["repeated"],
        measured=f"{evidence['repeated']} of {EPOCHS - 1} later epochs had the same batches as an "
        "earlier one.",
        means="The order was drawn once: the same images meet in the same batches for ever.",
        look_next="Print the numbers of the first batch in two epochs, and see what the order "
        "depends on.",
    )


def _metric_images(case: Case) -> Images:
    return case.draw_kinds("validation", N_METRIC + 20, SIZE, KINDS).take(N_METRIC)


def _recognised(case: Case, n: int) -> tuple[np.ndarray, np.random.Generator]:
    """Which of `n` images are to be recognised, bool (n,), and the generator that decided it."""
    rng = np.random.default_rng([case.seed % 2**32, 47])
    right = np.zeros(n, dtype=bool)
    quarters = np.array_split(np.arange(n), len(RIGHT_OF_QUARTER))
    for quarter, count in zip(quarters, RIGHT_OF_QUARTER, strict=True):
        # More of even places than of odd ones, and more of the first half of a batch; the same
        # places for every seed, so that what is forgotten is missed by as much.
        order = sorted(
            quarter,
            key=lambda i: (
                i not in (0, n - 1),
                i % 2 + (i % BATCH_METRIC >= BATCH_METRIC // 2),
            ),
        )
        right[order[:count]] = True
    right ^= rng.random() < 0.5
    return right, rng


def _metric_set(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Images, labels and a network's weights, which recognises the images that it is to."""
    drawn = _metric_images(case)
    images, classes = drawn.standardised(), len(drawn.classes)
    weights = case.fw.fresh_weights(SIZE, classes, seed=case.seed % 2**20)
    said = case.fw.logits_at(weights, images, classes=classes).argmax(axis=1)
    right, rng = _recognised(case, len(images))
    wrong = (said + rng.integers(1, classes, len(said))) % classes
    return images, np.where(right, said, wrong), weights, classes


def collect_metric(case: Case, answer: Answer) -> dict[str, Any]:
    """What every process says of the accuracy, and what it looked at for that."""
    images, labels, weights, classes = _metric_set(case)

    def run(evaluate: Any) -> list[Any]:
        return run_evaluation(
            case.fw, evaluate, images, labels, batch_size=BATCH_METRIC, classes=classes,
            weights=weights, seconds=PATIENCE,
        )  # fmt: skip

    if not callable(answer.evaluate):
        raise AnswerError("`evaluate` is not a function; leave its arguments as they are.")
    try:
        said = run(answer.evaluate)
    except ReplicasWait:
        raise AnswerError(WAITED) from None
    values = [one.value for one in said]
    if not np.isfinite(values).all():
        raise AnswerError(
            f"`evaluate` returned {values[int(np.argmin(np.isfinite(values)))]} in a replica; "
            "return the accuracy as a number between 0 and 1."
        )
    evidence = {
        "values": values,
        "entered": [n for one in said for n in one.entered],
        "waits": max(one.waits for one in said),
        "untouched": False,
    }
    truth = float(_recognised(case, len(labels))[0].mean())
    # The sick program is 11 images off, and all images enter.
    off = max(abs(v - truth) for v in values) * len(labels)
    if off > 5 and sum(evidence["entered"]) >= len(labels):
        sick = run(answer.sick_evaluate)
        evidence["untouched"] = bool(
            np.allclose(values, [one.value for one in sick], atol=1e-6)
            and evidence["entered"] == [n for one in sick for n in one.entered]
            and evidence["waits"] == max(one.waits for one in sick)
        )
    return evidence


def judge_metric(case: Case, evidence: Evidence) -> list[Finding]:
    """Four gates: all images, the exact number, shared, without waiting at every batch."""
    n = len(_metric_images(case))
    values, truth = evidence["values"], float(_recognised(case, n)[0].mean())
    off = [abs(value - truth) * n for value in values]
    worst, total = int(np.argmax(off)), sum(evidence["entered"])
    busiest = max(evidence["entered"]) / n
    spread = max(values) - min(values)
    if spread > 1e-4:
        means = "The replicas say different numbers: each of them tells of its own images."
    elif total > n and busiest < 0.9:
        means = f"{total} images went through the model: some count twice."
    elif off[worst] < 1:
        means = (
            "A mean of the replicas' means gives an image of the smaller part more weight than "
            "one of the larger part."
        )
    else:
        means = "The number belongs to some of the images only."
    if evidence["waits"] and busiest >= 0.9:
        shares = "One replica looks at all images; with more of them, nothing gets quicker."
    else:
        shares = "The replicas do not share the images evenly."
    return [
        MISSED.finding(
            max(0, n - total),
            measured=f"Only {total} of {n} images went through the model."
            if total
            else "No image went through the model.",
            means="What nobody looks at cannot be counted.",
            look_next="Count the images of each replica, those of the last batch too.",
        ),
        OFF.finding(
            min(off[worst], float(n)),
            measured=f"`evaluate` says {values[worst]:.4f}, and {truth:.4f} of {n} images are "
            f"recognised: {number(off[worst])} images too many or too few.",
            means=means,
            look_next="Count, in each replica, the images that enter and those that are "
            "recognised, and add them up by hand.",
        ),
        LOOKS.finding(
            busiest,
            measured=f"The busiest replica looks at {busiest:.0%} of the images.",
            means=shares,
            look_next="Count the images that go through the model in each replica.",
        ),
        WAITS.finding(
            evidence["waits"],
            measured=f"The host asks {evidence['waits']} times for a value.",
            means="On a graphics card each of them stops the host until the card has caught up.",
            look_next="Find the calls that turn a tensor into a Python number, and count them.",
        ),
    ]


def collect_device(case: Case, answer: Answer) -> dict[str, Any]:
    """Where an epoch was computed that was told to use a device, and how often the host asked."""
    images, labels, classes = _draw(case, N_PLACED)

    def run(train_on: Any) -> Any:
        endings = case.fw.watched_placement(
            train_on, images, labels, batch_size=BATCH_PLACED, rate=RATE, classes=classes,
            seconds=PATIENCE,
        )  # fmt: skip
        return value_of(endings)[0]

    if not callable(answer.train_on):
        raise AnswerError("`train_on` is not a function; leave its arguments as they are.")
    try:
        found = run(answer.train_on)
    except ReplicasWait:
        raise AnswerError(f"`train_on` was not done after {PATIENCE:.0f} s.") from None
    if found.entered < len(labels):
        raise AnswerError(
            f"{found.entered} images went through a model of `build_model`, and there are "
            f"{len(labels)}; train such a model on each of them once."
        )
    evidence = {
        "entered": found.entered,
        "there": found.there,
        "waits": found.waits,
        "steps": -(-len(labels) // BATCH_PLACED),
        "untouched": False,
    }
    if not found.there and found.waits:
        evidence["untouched"] = bool(found == run(answer.sick_train_on))
    return evidence


def judge_device(case: Case, evidence: Evidence) -> list[Finding]:
    """Two gates: on the device that was asked for, without waiting at every step."""
    entered, elsewhere = evidence["entered"], evidence["entered"] - evidence["there"]
    return [
        ELSEWHERE.finding(
            elsewhere / entered,
            measured=f"Of {entered} images, {elsewhere} were not computed on the device that was "
            "asked for.",
            means="The model's parameters or the batch were elsewhere. Where that device is a "
            "graphics card, it is idle.",
            look_next="Print where a parameter and a batch live, just before the model is called.",
        ),
        ASKS.finding(
            evidence["waits"],
            measured=f"In {evidence['steps']} steps the host asks {evidence['waits']} times for a "
            "value.",
            means="On a graphics card each of them stops the host until the card has caught up.",
            look_next="Find the calls that turn a tensor into a Python number, and count them.",
        ),
    ]


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="no-exchange",
        reading="distance of the two replicas at the last step, in lengths of their weights",
        measure=apart_at_the_end,
        tolerance=0.2,  # other initial weights and another order than the notebook's
        seconds=2,
    ),
    Check(
        name="repair",
        points=4,
        takes=("train", "sick_train"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: bool(evidence["untouched"]),
        measure=measure_repair,
        seconds=4,
    ),
    Check(
        name="metric",
        points=3,
        takes=("evaluate", "sick_evaluate"),
        collect=collect_metric,
        judge=judge_metric,
        untouched=lambda evidence: bool(evidence["untouched"]),
        seconds=3,
    ),
    Check(
        name="device",
        points=2,
        takes=("train_on", "sick_train_on"),
        collect=collect_device,
        judge=judge_device,
        untouched=lambda evidence: bool(evidence["untouched"]),
        seconds=2,
    ),
]
