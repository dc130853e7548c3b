"""The learning rate: does the learner's function find a good one for programs it has not seen?"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.verdict import number
from grader.instruments.lr_range import update_ratio

N_TRAIN = 320
SICK_RATE = 0.1  # of the runs B and C, and of the starter
BATCH, SIZE, WIDTH = 32, 16, 8  # of the runs A, B and C
STEPS = 45  # of every training that compares rates
LAST = 12  # steps whose losses are averaged into "the loss at the end"
GRID = (0.03, 0.1, 0.3)  # rates, for a loss that is a mean
MOST_STEPS = 500  # of the learner's function, for one program; the reference takes 120

CAUSES = {
    "rate-typed-higher": "The optimizers of B and C report the same rate, and the table shows it.",
    "other-start": "With other initial weights the first losses would differ; they agree to the "
    "last digit.",
    "raw-images": "Values a hundred times larger would change the first loss of C, or the "
    "statistics of its first layer; it starts exactly where B starts.",
    "gradients-not-cleared": "Gradients that pile up are right in the first step and wrong from "
    "the second on. Here the first update is already too large.",
    "vanishing-gradient": "A gradient that does not arrive makes small updates. Those of C are "
    "the largest of the three.",
    "summed-loss": "The weights, the images and the rate are the same, and still the first update "
    "is larger by one fixed factor in every layer. What is differentiated is larger by that "
    "factor: a sum over the batch where the other program takes the mean.",
}


class Program(NamedTuple):
    """One training program for which the learner's function picks a rate.

    `scale` is the factor between its loss and the mean cross-entropy: gradient descent with the
    rate r on this loss takes the same steps as with the rate `scale * r` on the mean.
    """

    name: str
    size: int
    width: int
    batch: int
    reduction: str
    weight: float

    @property
    def scale(self) -> float:
        return self.weight * (self.batch if self.reduction == "sum" else 1)


def programs(case: Case) -> list[Program]:
    """Two programs whose best rates lie decades apart; a weight depends on the seed.

    They differ in network, batch and loss. No one rate suits both, nor does a rate that is merely
    divided by the batch: the second program averages.
    """
    weight = float(10 ** np.random.default_rng([case.seed % 2**32, 31]).uniform(-2.0, -1.0))
    return [
        Program("the loss of run C on batches of 64", 12, WIDTH, 64, "sum", 1.0),
        Program("a wider network with a weighted loss", 12, 10, 48, "mean", weight),
    ]


# Limits from 20 seeds of every answer in both frameworks; see calibration/.
SHARE = 0.6
LIMITS = [
    Threshold(f"{name}, share of the fall at the best rate", SHARE, "at least")
    for name in ("loss of run C", "weighted loss")
]


def first_update_factor(case: Case) -> float:
    """How many times larger the first update of run C is than that of run B."""
    fw = case.fw
    assert fw is not None
    train = case.draw("train", N_TRAIN, SIZE)
    x = fw.from_images(train.images, case.device) / 127.5 - 1
    model = fw.small_network(
        SIZE, len(train.classes), width=WIDTH, seed=case.seed, device=case.device
    )
    start = fw.get_state(model)
    ratios = []
    for scale in (1.0, float(BATCH)):
        fw.set_state(model, start)
        fw.train(
            model, x, train.labels, steps=1, batch_size=BATCH, learning_rate=SICK_RATE,
            loss_scale=scale, seed=case.seed,
        )  # fmt: skip
        ratios.append(update_ratio(start, fw.get_state(model)))
    return ratios[1] / ratios[0]


def positive_number(value: Any) -> float:
    """The learner's rate as a float.

    Raises:
        AnswerError: None, text, an array of several numbers, NaN, infinity, zero or less.
    """
    try:
        if isinstance(value, bool | str):
            raise TypeError
        rate = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise AnswerError(
            f"`pick_learning_rate` returned {type(value).__name__}; a learning rate is one number."
        ) from None
    if not (math.isfinite(rate) and rate > 0):
        raise AnswerError(
            f"`pick_learning_rate` returned {number(rate)}; a learning rate is a finite number "
            "above zero. A comparison with a loss that is not a number can give such a result."
        )
    return rate


def collect(case: Case, answer: Answer) -> dict[str, Any]:
    """Let the learner's function pick a rate for each program."""
    pick = answer.pick_learning_rate
    if not callable(pick):
        raise AnswerError("`pick_learning_rate` is not a function; give a function of that name.")
    return {"programs": [_pick(case, program, pick) for program in programs(case)]}


def _images(case: Case, program: Program) -> tuple[Any, np.ndarray, int]:
    """What a program is trained on: images as the framework's, labels, number of classes."""
    assert case.fw is not None
    train = case.draw("train", N_TRAIN, program.size)
    x = case.fw.from_images(train.images, case.device) / 127.5 - 1
    return x, train.labels, len(train.classes)


def _fresh(case: Case, program: Program, classes: int) -> Any:
    assert case.fw is not None
    return case.fw.small_network(
        program.size, classes, width=program.width, seed=case.seed, device=case.device
    )


def _loss(case: Case, program: Program) -> Any:
    assert case.fw is not None
    return case.fw.cross_entropy(reduction=program.reduction, weight=program.weight)


def _pick(case: Case, program: Program, pick: Any) -> dict[str, Any]:
    """The learner's rate for one program, and the steps that were taken to find it."""
    fw = case.fw
    assert fw is not None
    x, labels, classes = _images(case, program)
    y = fw.from_labels(labels, case.device)
    loss_function = _loss(case, program)
    counters = []

    def build_model() -> Any:
        model = _fresh(case, program, classes)
        counters.append(fw.count_training_calls(model))
        return model

    rate = positive_number(pick(build_model, x, y, program.batch, loss_function))
    steps = sum(count() for count in counters)
    if steps > MOST_STEPS:
        raise AnswerError(
            f"`pick_learning_rate` took {steps} training steps for one program; stay below "
            f"{MOST_STEPS}. A search that costs more than the training is no help: how many steps "
            "does it take to see that a loss falls, or that it does not?"
        )
    return {"rate": rate, "steps": steps}


def measure(case: Case, evidence: Evidence) -> dict[str, Any]:
    """Train each program with the rate that was picked, and with a grid."""
    picked = [dict(one) for one in evidence["programs"]]
    pairs = zip(picked, programs(case), strict=True)
    return {"programs": [{**one, **_train(case, p, float(one["rate"]))} for one, p in pairs]}


def _train(case: Case, program: Program, rate: float) -> dict[str, Any]:
    """The loss of one program at the start, and at the end for a rate and for the grid.

    Raises:
        ValueError: a rate that `positive_number` would not have let through.
    """
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"a learning rate of {rate}")
    fw = case.fw
    assert fw is not None
    x, labels, classes = _images(case, program)
    rates = np.array([rate * program.scale, *GRID]) / program.scale
    rates[rates > np.finfo(np.float32).max] = math.inf  # no number there, nor are its losses
    losses = fw.train_at_rates(
        _fresh(case, program, classes),
        x,
        labels,
        rates=np.tile(rates[:, None], (1, STEPS)),
        batch_size=program.batch,
        loss_function=_loss(case, program),
        seed=case.seed,
    )
    return {
        "start": float(losses[0, 0]),
        "ends": losses[:, -LAST:].mean(axis=1),  # NaN where the loss was not finite to the end
    }


def fall_share(start: float, end: float, best: float) -> float:
    """Fall of the loss as a share of the best fall, 0..1; 0 for a loss that rose or is NaN."""
    if not (math.isfinite(end) and start > best):
        return 0.0
    return min(1.0, max(0.0, (start - end) / (start - best)))


def judge(case: Case, evidence: Evidence) -> list[Finding]:
    """One finding for each program: at the learner's rate, does the loss fall as it can?"""
    return [
        compare(limit, program, measured)
        for limit, program, measured in zip(
            LIMITS, programs(case), evidence["programs"], strict=True
        )
    ]


def compare(limit: Threshold, program: Program, measured: dict[str, Any]) -> Finding:
    """The finding for one program, with the text that fits the side on which the rate is wrong."""
    end, *grid = (float(v) for v in measured["ends"])
    start, rate = float(measured["start"]), float(measured["rate"])
    finite = [v for v in grid if math.isfinite(v)]
    best = min(finite, default=math.nan)
    share = fall_share(start, end, best)
    if rate * program.scale < GRID[grid.index(best)]:
        means = "The loss falls too slowly, if at all: the steps are too short."
        look_next = (
            "Measure how far one step moves the weights here, relative to their size, and compare "
            "it with the picture of runs A and B."
        )
    elif not math.isfinite(end):
        means = "The loss leaves the finite numbers: the steps are far too long for this program."
        look_next = (
            "Find the largest rate of your sweep at which the loss still fell, and how far below "
            "it your rate lies."
        )
    elif not end < start:
        means = "The loss is no lower than before training: the steps are too long."
        look_next = (
            "Mark your rate on the curve of your sweep, and train a few steps at that rate "
            "without raising it: a sweep shows an overshoot late."
        )
    else:
        means = "The loss falls and then jumps about: the steps are too long to settle."
        look_next = (
            "Train a few steps at your rate without raising it, and again at a third of it: which "
            "loss is lower? A sweep shows an overshoot late."
        )
    return limit.finding(
        share,
        measured=f"For {program.name} you picked {number(rate)}: in {STEPS} steps the loss goes "
        f"from {number(start)} to {number(end)}, and at the best of a few rates to {number(best)}. "
        f"Yours is {number(share)} of that fall.",
        means=means,
        look_next=look_next,
    )


def untouched(evidence: Evidence) -> bool:
    """True when the rate of every program is the one of the sick program."""
    return all(p["rate"] == SICK_RATE for p in evidence["programs"])


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="summed-loss",
        reading="size of C's first update, divided by that of B's",
        measure=first_update_factor,
        tolerance=0.05,
        seconds=1,
    ),
    Check(
        name="repair",
        points=3,
        takes=("pick_learning_rate",),
        collect=collect,
        judge=judge,
        untouched=untouched,
        measure=measure,
        seconds=5,
    ),
]
