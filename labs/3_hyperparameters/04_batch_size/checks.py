"""Batch size: is the way made up for, in large steps, at no more cost? What fits the machine?"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.evidence import pack, unpack_like
from grader.checks.verdict import number
from grader.datasets import Images, UnseenArrays
from grader.frameworks.base import Passes
from grader.instruments.batch_size import (
    ENOUGH,
    TakenStep,
    UsedStep,
    measure_steps,
    take_steps,
)

SIZE, N_TRAIN = 16, 500
KINDS = (0, 2, 5, 7)  # coast, forest, meadow, residential
EPOCHS, SMALL, RATE = 14, 16, 0.001  # of the recipe that was tuned
SHOWN = 256  # the large batch of the notebook
PORTION, STEP_RATE = 16, 0.3
SIZES = 2 ** np.arange(12)
CURVES, REPEATS = 24, 15

CAUSES = {
    "generalises-worse": "A network that generalises badly is good on the images it has learned "
    "from. This one has a high loss on its own training images, and at equal steps it is not "
    "behind at all.",
    "too-few-steps": "In equal epochs the large batch takes a small part of the steps, and the "
    "rate makes each step as short as before. At equal steps it is not behind.",
    "gradient-noise": "The mean over more images is less noisy, not more. The noise of the large "
    "batch is the smallest of the three.",
    "learning-rate-too-high": "A rate that is too high makes the loss leap. The large batch climbs "
    "smoothly, and goes on climbing when it is given more steps.",
    "batch-statistics": "This network normalises every image by itself, over groups of channels. "
    "No statistics of a batch enter.",
    "too-little-data": "The batch of 16 learns from the same five hundred images.",
}

# Limits from 20 seeds of every answer in both frameworks; see calibration/. A fifth more epochs at
# the old rate regain .2; with the square root of the batch they regain .61, larger steps .75 and
# more. Six times the epochs regain .84 and pass six times the images.
REGAINED = Threshold("loss regained, share of what the small batch gains", 0.36, "at least")
LARGE = Threshold("images of the average step, share of the batch size", 0.5, "at least")
PASSED = Threshold("images that went through, times those of the epochs", 1.35, "at most")

# An error of a few thousandths is rounding; any wrong weight gives tenths.
EVEN = Threshold("error of a step in equal portions", 0.05, "at most")
RAGGED = Threshold("error of a step with a smaller last portion", 0.05, "at most")
FITS_IN = Threshold("images in the largest call, times the portion", 1, "at most")
WITHIN = Threshold("choices that do not fit, share", 0, "at most")
LEAN = Threshold("batch size, times the smallest that is enough", 2, "at most")
FAST = Threshold("throughput of the worst choice, share of the highest that fits", 0.8, "at least")

WORST = -1.0  # shares below this are all the same
WRONG = 0.15  # and errors above this


def _draw(case: Case) -> Images:
    return case.draw_kinds("train", N_TRAIN, SIZE, KINDS)


def steps_of_small_over_large(case: Case) -> float:
    """Steps that the batch of 16 takes while the batch of 256 takes one, full batches only."""
    n = len(_draw(case))
    return (n // SMALL) / max(1, n // SHOWN)


def _network(case: Case, classes: int) -> Any:
    return case.fw.steady_network(SIZE, classes, seed=case.seed, device=case.device)


def _hidden_size(case: Case) -> int:
    """Batch size that is asked for; two batches and a small one make an epoch."""
    return int(np.random.default_rng([case.seed % 2**32, 41]).integers(225, 246))


@lru_cache(maxsize=4)
def _controls(case: Case) -> dict[str, float]:
    """The old recipe with the small batch and with the large one; kept, as the case decides."""
    fw, losses = case.fw, []
    assert fw is not None
    seen = _draw(case)
    x = fw.from_images(seen.standardised(), case.device)
    for batch_size in (SMALL, _hidden_size(case)):
        model = _network(case, len(seen.classes))
        fw.train(
            model, x, seen.labels, steps=EPOCHS * (len(seen) // batch_size),
            batch_size=batch_size, learning_rate=RATE, seed=case.seed,
        )  # fmt: skip
        losses.append(fw.loss(model, x, seen.labels, training=True))
    return {"small_loss": losses[0], "sick_loss": losses[1]}


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """A training with a large batch: what entered the model, and the weights that it ends with."""
    fw = case.fw
    assert fw is not None
    if not callable(answer.train):
        raise AnswerError(
            "`train` is not a function; give `train(model, x, y, batch_size, epochs)`."
        )
    seen = _draw(case)
    classes, images = len(seen.classes), seen.standardised()
    size = _hidden_size(case)

    def trained(program: Callable[..., Any]) -> tuple[list[np.ndarray], Passes, bool]:
        model = _network(case, classes)
        before = fw.get_state(model)
        passes = fw.count_passes(model)
        fw.set_seed(case.seed)
        # Made anew: a program may change what it is given.
        some = fw.from_images(images, case.device), fw.from_labels(seen.labels, case.device)
        program(model, *some, size, EPOCHS)
        after = fw.get_state(model)
        if [a.shape for a in before] != [a.shape for a in after]:
            raise AnswerError(
                "`train` changed the shapes of the weights; train the model it is given."
            )
        moved = any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        return after, passes(), moved

    weights, passes, moved = trained(answer.train)
    untouched = False
    if moved and passes.images.tolist() == [size] * (EPOCHS * (len(seen) // size)):
        sick, *_ = trained(answer.sick_train)
        untouched = all(
            np.allclose(a, b, rtol=1e-5, atol=1e-8) for a, b in zip(weights, sick, strict=True)
        )
    return {
        "images": passes.images,
        "weights": [pack(array) for array in weights],
        "untouched": untouched,
    }


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """Loss of these weights, in a model that the learner never had, beside both controls."""
    fw = case.fw
    assert fw is not None
    seen = _draw(case)
    model = _network(case, len(seen.classes))
    fresh = fw.get_state(model)
    weights = unpack_like(evidence["weights"], fresh)
    fw.set_state(model, weights)
    x = fw.from_images(seen.standardised(), case.device)
    passes = Passes(np.asarray(evidence["images"], np.int64), 0)
    return {
        "size": _hidden_size(case),
        "loss": fw.loss(model, x, seen.labels, training=True),
        "moved": any(not np.array_equal(a, b) for a, b in zip(fresh, weights, strict=True)),
        "typical": passes.typical,
        "passed": passes.total / (EPOCHS * len(seen)),
        "steps": len(passes.images),
        **_controls(case),
    }


def _regained(evidence: Evidence) -> float:
    """Share of what the small batch gains over the sick program that the learner's gains."""
    sick = evidence["sick_loss"]
    share = float((sick - evidence["loss"]) / (sick - evidence["small_loss"]))
    return max(WORST, share) if math.isfinite(share) else WORST


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Three gates: the loss is regained, in large steps, from not many more images."""
    return [_is_regained(evidence), _is_large(evidence), _is_affordable(evidence)]


def _is_regained(evidence: Evidence) -> Finding:
    loss, sick = float(evidence["loss"]), evidence["sick_loss"]
    if not evidence["moved"]:
        means = "The weights are what they were: this model was not trained."
        look_next = "Compare the weights before and after a call of your function."
    elif not loss <= 1.1 * sick:
        means = (
            "The steps are too long now. A rate has a largest value that depends on the network, "
            "and no batch moves it far."
        )
        look_next = "Print the loss of every step, and find the first one that rises."
    elif evidence["passed"] > 1.1:
        means = (
            "More images went through, in steps that are nearly as short as before. That buys a "
            "part of the way, and pays for it in time."
        )
        look_next = "Compare the steps taken with those of the batch of 16, and their length."
    else:
        means = (
            "This is the loss on the model's own training images, so what is missing is not "
            "generalisation: the weights have not gone far enough."
        )
        look_next = (
            "Compare how far the weights get from their start with the batch of 16 and with yours."
        )
    return REGAINED.finding(
        _regained(evidence),
        measured=f"With a batch of {evidence['size']} the loss on the training images ends "
        f"at {number(loss)}; the sick program ends at {number(sick)}, the batch of {SMALL} at "
        f"{number(evidence['small_loss'])}.",
        means=means,
        look_next=look_next,
    )


def _is_large(evidence: Evidence) -> Finding:
    return LARGE.finding(
        evidence["typical"] / evidence["size"],
        measured=f"Asked for a batch of {evidence['size']}, the average image goes through a step "
        f"of {evidence['typical']:.0f} images.",
        means="The loss is that of a smaller batch, and so is the time of the training: the "
        "machine is as idle as before.",
        look_next="Count the images between two changes of the weights.",
    )


def _is_affordable(evidence: Evidence) -> Finding:
    return PASSED.finding(
        evidence["passed"],
        measured=f"{number(evidence['passed'])} times the images of {EPOCHS} epochs went through "
        f"the model, in {evidence['steps']} steps.",
        means="As many steps as with the small batch learn at least as much, and each of them "
        "costs a large batch. The time that the throughput saves is spent several times over.",
        look_next="Compare images through the model until a given loss, for both batch sizes.",
    )


def _curves(case: Case) -> list[dict[str, Any]]:
    """Throughputs that rise to a flat top, some fall behind it; truth, measurement, memory, limit.

    A step of b images takes a fixed time and a time for each image, so that the rate is
    b / (b + half) of the highest.
    """
    rng = np.random.default_rng([case.seed, 43])
    curves = []
    for index in range(CURVES):
        half = 2 ** rng.uniform(0, 4)
        truth = rng.uniform(200, 5000) * SIZES / (SIZES + half)
        if index % 3 == 0:  # caches overflow
            truth = truth * np.minimum(1, (rng.choice(SIZES[7:10]) / SIZES) ** 0.6)
        shape = (REPEATS, len(SIZES))
        disturbed = np.where(rng.random(shape) < 0.12, rng.uniform(0.3, 0.7, shape), 1)
        measured = truth * disturbed * rng.normal(1, 0.02, shape)
        memory = rng.uniform(1e6, 4e6) + rng.uniform(1e4, 1e5) * SIZES
        # Of three limits one binds below the knee.
        last = rng.integers(2, 5) if index % 3 == 1 else rng.integers(9, len(SIZES))
        curves.append(
            {
                "truth": truth,
                "measured": measured,
                "memory": memory,
                "limit": float(memory[last] * 1.001),
            }
        )
    return curves


def measurements(case: Case) -> UnseenArrays:
    """What is measured of the curves: all that a choice is made from, one row each."""
    curves = _curves(case)
    return UnseenArrays(
        {name: np.array([c[name] for c in curves]) for name in ("measured", "memory", "limit")}
    )


def _batches(seen: Images) -> list[tuple[np.ndarray, np.ndarray]]:
    """Standardised images and labels of three steps.

    The second step would show a gradient that is left over from the first.
    """
    images = seen.standardised()
    bounds = ((0, 3 * PORTION), (48, 48 + 3 * PORTION), (96, 96 + 3 * PORTION + 2))
    return [(images[a:b], seen.labels[a:b]) for a, b in bounds]


def collect_machine(case: Case, answer: Answer) -> dict[str, Any]:
    """The weights after each of three steps in portions; a choice for every curve."""
    for name, form in (
        ("accumulated_step", "accumulated_step(model, x, y, rate, portion)"),
        ("pick_batch_size", "pick_batch_size(sizes, images_per_second, memory, limit)"),
    ):
        if not callable(getattr(answer, name)):
            raise AnswerError(f"`{name}` is not a function; give `{form}`.")
    fw, seen = case.fw, _draw(case)
    assert fw is not None
    fw.set_seed(case.seed)
    try:
        taken = take_steps(
            fw,
            answer.accumulated_step,
            _network(case, len(seen.classes)),
            _batches(seen),
            rate=STEP_RATE,
            portion=PORTION,
            device=case.device,
        )
    except ValueError as error:
        raise AnswerError(f"{str(error).capitalize()}; change the weights in place.") from None
    given, chosen = case.unseen(measurements), []
    curves = zip(given["measured"], given["memory"], given["limit"], strict=True)
    for measured, memory, limit in curves:
        choice = answer.pick_batch_size(SIZES.copy(), measured.copy(), memory.copy(), float(limit))
        if not np.isscalar(choice) or choice not in SIZES:
            raise AnswerError(f"`pick_batch_size` returned {choice!r}; return one of the sizes.")
        chosen.append(int(choice))
    return {
        "weights": [[pack(array) for array in step.weights] for step in taken],
        "largest": taken[-1].largest,
        "chosen": chosen,
    }


def measure_machine(case: Case, evidence: Evidence) -> dict[str, Any]:
    """The gradients that the steps used, beside those that they should have used."""
    fw, seen = case.fw, _draw(case)
    assert fw is not None
    model = _network(case, len(seen.classes))
    fresh, largest = fw.get_state(model), evidence["largest"]
    taken = [TakenStep(unpack_like(weights, fresh), largest) for weights in evidence["weights"]]
    steps = measure_steps(fw, taken, model, _batches(seen), rate=STEP_RATE, device=case.device)
    return {
        "errors": [s.error for s in steps],
        "lengths": [s.length for s in steps],
        "untouched": _sums_means(steps) and evidence["chosen"] == _largest_that_fit(case),
    }


def _sums_means(steps: list[UsedStep]) -> bool:
    """True for steps along the sum of three portions' mean gradients."""
    return all(abs(s.error - 2) < 1e-2 and abs(s.length - 3) < 1e-2 for s in steps[:2])


def _largest_that_fit(case: Case) -> list[int]:
    curves = _curves(case.of_unseen())
    return [int(SIZES[c["memory"] <= c["limit"]].max()) for c in curves]


def judge_machine(case: Case, evidence: Evidence) -> list[Finding]:
    """Six gates: equal portions, a smaller last one, what enters; memory, size, throughput."""
    return [
        _adds_up(evidence),
        _adds_up_to_the_end(evidence),
        _enters(evidence),
        *_choices(case, evidence["chosen"]),
    ]


def _error(values: list[float]) -> float:
    """The largest, infinite for one that is not a number."""
    return max(v if math.isfinite(v) else math.inf for v in map(float, values))


def _adds_up(evidence: Evidence) -> Finding:
    first, second = evidence["errors"][:2]
    length = evidence["lengths"][0]
    if length == 0:
        means = "The weights were not moved at all."
    elif first <= EVEN.limit < second:
        means = "The first step is right and the second is not: something is left over from it."
    elif length > 1.2:
        means = (
            "The step is too long. Means of portions were added up, or a step was taken for each "
            "portion, as if more portions were more to learn."
        )
    else:
        means = "The weights are not where one step of the whole batch would have put them."
    return EVEN.finding(
        min(_error([first, second]), WRONG),
        measured=f"For {3 * PORTION} images in portions of {PORTION}, the gradient that was used "
        f"is {number(length)} times as long as that of the whole batch, and lies "
        f"{number(_error([first, second]))} of its length away from it.",
        means=means,
        look_next="Write the mean over all images as a sum over the portions.",
    )


def _adds_up_to_the_end(evidence: Evidence) -> Finding:
    error = _error(evidence["errors"][2:])
    return RAGGED.finding(
        min(error, WRONG),
        measured=f"For {3 * PORTION + 2} images in portions of {PORTION}, the gradient lies "
        f"{number(error)} of its length away from that of the whole batch.",
        means="The last portion has two images, and each of them weighs more, or less, than an "
        "image of the others.",
        look_next="Work out how much one image of the last portion weighs in your sum.",
    )


def _enters(evidence: Evidence) -> Finding:
    largest = evidence["largest"]
    return FITS_IN.finding(
        largest / PORTION if largest else math.nan,
        measured=f"The largest call of the model had {largest} images; the portion is {PORTION}.",
        means="The step is right, and it needs the memory that is not there."
        if largest
        else "The model was never called in training.",
        look_next="Count the images that enter the model at once.",
    )


def _choices(case: Case, chosen: list[int]) -> list[Finding]:
    over, shares, beyond = [], [], 0
    for curve, size in zip(_curves(case.of_unseen()), chosen, strict=True):
        truth, fits = curve["truth"], curve["memory"] <= curve["limit"]
        highest = truth[fits].max()
        enough = SIZES[fits & (truth >= ENOUGH * highest)].min()
        over.append(size / enough)
        shares.append(float(truth[size == SIZES][0] / highest))
        beyond += not fits[size == SIZES][0]
    typical = float(np.exp(np.mean(np.log(over))))
    return [
        WITHIN.finding(
            beyond / CURVES,
            measured=f"{beyond} of {CURVES} choices need more memory than there is.",
            means="The knee lies beyond the memory there, and such a step ends in an error.",
            look_next="Look at the curves whose limit is low.",
        ),
        LEAN.finding(
            typical,
            measured=f"Over {CURVES} curves, the chosen batch is {number(typical)} times the "
            f"smallest one with {ENOUGH:.0%} of the highest throughput, in the geometric mean.",
            means="On the flat part of the curve a larger batch is hardly faster. Which one is "
            "highest there is chance, and the largest that fits costs steps for nothing.",
            look_next="Draw a curve: from which size on is there little to gain?",
        ),
        FAST.finding(
            min(shares),
            measured=f"The worst choice goes through {number(min(shares))} of the images a second "
            "that the memory would allow.",
            means="The choice lies before the knee, or a disturbed measurement was believed.",
            look_next="Draw all repeats of a curve, and your choice.",
        ),
    ]


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="too-few-steps",
        reading="number of steps of the batch of 16 for each step of the batch of 256",
        measure=steps_of_small_over_large,
        tolerance=0.02,
    ),
    Check(
        name="repair",
        points=6,
        takes=("train", "sick_train"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: bool(evidence["untouched"]),
        measure=measure_repair,
        seconds=3,
        when_passed="The large batch makes up for much of the way, at hardly more cost.",
    ),
    Check(
        name="machine",
        points=6,
        takes=("accumulated_step", "pick_batch_size"),
        collect=collect_machine,
        judge=judge_machine,
        untouched=lambda evidence: bool(evidence["untouched"]),
        unseen=measurements,
        measure=measure_machine,
        seconds=1,
        when_passed="Every step adds up, and every choice is lean, fast and fits.",
    ),
]
