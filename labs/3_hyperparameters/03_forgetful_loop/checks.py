"""The training loop: does it rest, does it move every parameter, does it learn, and how well?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.predictions import share_right
from grader.checks.verdict import number
from grader.datasets import Images
from grader.instruments.echo import (
    EMPTIES,
    LISTENED,
    EchoError,
    measure_echo,
    norm,
    probe_batches,
)

SIZE, N_TRAIN, N_TEST, BATCH = 16, 320, 300, 32
KINDS = (0, 2, 5, 7)  # coast, forest, meadow, residential
PROBE_RATE = 0.01  # of the echo, and of the reading in the notebook
READ_AT = 20  # step whose gradient is read off
RATES = (0.015, 0.03, 0.06)  # of plain descent; after the middle one unseen images are named
STEPS = 40  # of each training
CLEAR = 1e-3  # share of the largest gradient from which an array has one to be moved by

CAUSES = {
    "learning-rate": "A rate, however high, multiplies the gradient of its own batch. On a black "
    "image that gradient is zero, and any multiple of zero is zero; these weights go on moving.",
    "momentum": "Momentum of 0.9 keeps nine tenths of its speed at each step: after a few dozen "
    "empty batches nothing is left, and the line on the left would bend and lie flat. This one "
    "stays straight.",
    "gradients-pile-up": "Each step adds its gradient to those of all the steps before, and the "
    "pile is what moves the weights. It pushes on when nothing new comes, and a lower rate only "
    "scales the pile.",
    "parameters-left-out": "Weights that no optimizer moves make a network learn less. They do not "
    "make the others go on moving when there is nothing to learn.",
    "equal-filters": "Filters that are all alike keep the loss from falling at all. Here it falls "
    "well at first, and that part gets longer with a lower rate.",
    "wrong-sign": "Uphill steps raise the loss from the first one on. At the lowest rate it falls "
    "for dozens of batches.",
}

# Limits from 20 seeds of every answer in both frameworks; see calibration/. The first asks that a
# batch fades by half in thirty empty ones: with momentum of 0.9 its echo is then .03, with 0.95 .2,
# with Adam .06; with a sum that nobody clears 1 and more, and .88 where RMSprop divides it by its
# growing size. Momentum of 0.99 does not pass: with .74 it forgets hardly anything in a training of
# 40 steps. Photographs are harder than tiles: plain descent ends at .77 of guessing there, at
# .54 here.
RESTS = Threshold(
    "echo of a batch after thirty empty ones, share of what it does anew", 0.5, "at most"
)
COVERS = Threshold("arrays with a gradient that training changes, share", 1, "at least")
LEARNS = Threshold(
    "loss at the end of the worst of three rates, share of guessing", 0.85, "at most"
)
UNSEEN = Threshold("accuracy, share of the way from guessing to the control", 0.6, "at least")

WORST = 10.0  # shares of guessing above this are all the same


def _draw(case: Case, split: str, n: int) -> Images:
    return case.draw_kinds(split, n, SIZE, KINDS)


def _batches(case: Case, images: np.ndarray, labels: np.ndarray, steps: int) -> list[Any]:
    """Shuffled batches as the notebook makes them, fresh arrays at every call."""
    order = np.random.default_rng(case.seed)
    batches: list[Any] = []
    while len(batches) < steps:
        rows = order.permutation(len(images))
        for start in range(0, len(rows) - BATCH + 1, BATCH):
            some = rows[start : start + BATCH]
            x = case.fw.from_images(images[some], case.device)
            batches.append((x, case.fw.from_labels(labels[some], case.device)))
    return batches[:steps]


def used_over_fresh(case: Case) -> float:
    """Norm of the gradients piled up until step READ_AT over the norm of that step's own one."""
    fw = case.fw
    train = _draw(case, "train", N_TRAIN)
    batches = _batches(case, train.standardised(), train.labels, READ_AT)
    model = fw.seeded_quick_cnn(SIZE, len(train.classes), seed=case.seed, device=case.device)
    *_, (pile, fresh) = _piles(fw, model, batches, PROBE_RATE)
    return norm(pile) / norm(fresh)


def unseen_images(case: Case) -> Images:
    """The images that the trained models are asked about."""
    return _draw(case, "test", N_TEST)


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """The echo; and for a loop that rests, three trainings, beside a healthy loop."""
    if not callable(answer.train):
        raise AnswerError("`train` is not a function; give `train(model, batches, rate)`.")
    try:
        echo = measure_echo(
            case.fw, answer.train, rate=PROBE_RATE, seed=case.seed, device=case.device
        )
    except EchoError as error:
        raise AnswerError(str(error)) from None
    evidence = {
        "untouched": echo.share > RESTS.limit and _as_the_sick(case, answer),
        "silent": echo.silent,
        "returning": echo.returning,
        "first_step": float(echo.ways[0]),
        "share": echo.share,
        "trained": False,
    }
    # A training of a loop that does not rest would only say once more what the echo has said.
    return evidence | _trainings(case, answer.train) if RESTS.holds(echo.share) else evidence


def _as_the_sick(case: Case, answer: Answer) -> bool:
    """True when three batches move the weights as plain descent along the pile does."""
    fw = case.fw
    full, empty = probe_batches(fw, classes=4, seed=case.seed, device=case.device)

    def network() -> Any:
        return fw.resting_network(8, 4, seed=case.seed, device=case.device)

    model, sick = network(), network()
    fw.set_seed(case.seed)
    answer.train(model, [full, empty, full], PROBE_RATE)
    list(_piles(fw, sick, [full, empty, full], PROBE_RATE))
    return all(
        np.allclose(a, b, rtol=1e-4, atol=1e-7)
        for a, b in zip(fw.get_state(model), fw.get_state(sick), strict=True)
    )


def _piles(
    fw: Any, model: Any, batches: list[Any], rate: float
) -> Iterator[tuple[list[np.ndarray], list[np.ndarray]]]:
    """The sick training of a model without statistics: after every step, pile and own gradient."""
    state = fw.get_state(model)
    pile = [np.zeros(a.shape) for a in state]
    for x, y in batches:
        fresh = fw.loss_gradients(model, x, fw.to_numpy(y))
        pile = [p + g for p, g in zip(pile, fresh, strict=True)]
        state = [(a - rate * p).astype(np.float32) for a, p in zip(state, pile, strict=True)]
        fw.set_state(model, state)
        yield pile, fresh


def _trainings(case: Case, train: Callable[..., Any]) -> dict[str, Any]:
    fw = case.fw
    seen, unseen = _draw(case, "train", N_TRAIN), case.unseen(unseen_images)
    classes, images = len(seen.classes), seen.standardised()
    x = fw.from_images(images, case.device)
    x_unseen = fw.from_images(unseen.standardised(seen), case.device)
    sizes = [
        float(np.linalg.norm(g)) for g in fw.loss_gradients(_network(case, classes), x, seen.labels)
    ]
    reached = [i for i, size in enumerate(sizes) if size > CLEAR * max(sizes)]
    losses, found = [], {}
    for rate in RATES:
        model = _network(case, classes)
        before = fw.get_state(model)
        fw.set_seed(case.seed)
        train(model, _batches(case, images, seen.labels, STEPS), rate)
        after = fw.get_state(model)
        if [a.shape for a in before] != [a.shape for a in after]:
            raise AnswerError(
                "`train` changed the shapes of the weights; train the model it is given."
            )
        losses.append(fw.loss(model, x, seen.labels, training=True))
        if rate == RATES[1]:
            moved = [not np.array_equal(before[i], after[i]) for i in reached]
            found = {
                "arrays": len(moved),
                "moved": sum(moved),
                "predicted": fw.predict(model, x_unseen).argmax(axis=1),
            }
    return {
        "trained": True,
        "classes": classes,
        "losses": losses,
        **found,
    }


def _network(case: Case, classes: int) -> Any:
    return case.fw.steady_network(SIZE, classes, seed=case.seed, device=case.device)


@lru_cache(maxsize=4)
def measure_control(case: Case) -> np.ndarray:
    """Classes (N,) named after plain gradient descent.

    Kept, because it depends on the case alone.
    """
    fw, seen = case.fw, _draw(case, "train", N_TRAIN)
    model = _network(case, len(seen.classes))
    x = fw.from_images(seen.standardised(), case.device)
    fw.train(
        model, x, seen.labels, steps=STEPS, batch_size=BATCH, learning_rate=RATES[1], momentum=0.0,
        seed=case.seed,
    )  # fmt: skip
    x_unseen = fw.from_images(case.unseen(unseen_images).standardised(seen), case.device)
    return np.asarray(fw.predict(model, x_unseen).argmax(axis=1))


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """What the control says, where the answer was trained."""
    return {"control": measure_control(case)} if evidence["trained"] else {}


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Four gates: the loop rests, moves every parameter, learns at three rates, unseen images."""
    rests = _rests(evidence)
    if not evidence["trained"]:
        return [rests, *(_not_measured(gate) for gate in (COVERS, LEARNS, UNSEEN))]
    asked = unseen_images(case.of_unseen())
    return [rests, _covers(evidence), _learns(evidence), _unseen(evidence, asked)]


def _not_measured(gate: Threshold) -> Finding:
    return gate.finding(
        math.nan,
        measured="This was not measured.",
        means="The loop does not come to rest, so no training was run.",
        look_next="Draw the echo of your loop first.",
    )


def _rests(evidence: Evidence) -> Finding:
    silent, returning, share = evidence["silent"], evidence["returning"], evidence["share"]
    if not (math.isfinite(silent) and math.isfinite(returning)):
        measured = "After one batch and thirty empty ones a weight is not a finite number."
        means = "The steps were so long that the weights left the range of their numbers."
        look_next = "Print the size of each step on the empty batches."
    elif silent == 0 and returning == 0 and evidence["first_step"] == 0:
        measured = "Neither the first batch nor one that comes later moves the weights at all."
        means = (
            "A loop that never moves is at rest, and learns nothing: the gradient is lost before "
            "the step that should use it, or another model is trained than the one it is given."
        )
        look_next = "Print the size of the gradient right before the step."
    elif silent == 0 and returning == 0:
        measured = f"A batch that comes back after {EMPTIES} empty ones does not move the weights."
        means = "The loop stops taking steps before the list ends; it should take one for each."
        look_next = "Count the steps that your loop takes on a list of 40 batches."
    else:
        measured = (
            f"After one batch and {EMPTIES} empty ones, whose gradient is zero, the weights go "
            f"{number(silent)} further on {LISTENED} more empty ones. If the first batch is given "
            f"anew, it makes a difference of {number(returning)}: the echo is {number(share)} of "
            "it."
        )
        means = (
            "The old batch still pushes like a new one. It does not matter how long the steps "
            "are: a lower rate, clipping, and an average scale both numbers alike, and momentum or "
            "Adam by themselves would have faded by now."
        )
        look_next = (
            "Draw the echo of your loop. Then follow one gradient: where is it kept when its "
            "step is over, and what is added to it?"
        )
    return RESTS.finding(share, measured=measured, means=means, look_next=look_next)


def _covers(evidence: Evidence) -> Finding:
    moved, arrays = evidence["moved"], evidence["arrays"]
    return COVERS.finding(
        moved / arrays,
        measured=f"Training changes {moved} of the {arrays} arrays of parameters that have a "
        "gradient.",
        means="The others are as chance drew them: no step includes them.",
        look_next="Compare every array of parameters before and after one step.",
    )


def _learns(evidence: Evidence) -> Finding:
    guessing = math.log(evidence["classes"])
    losses = [float(v) for v in evidence["losses"]]
    worst = max(range(3), key=lambda i: losses[i] if math.isfinite(losses[i]) else math.inf)
    value = losses[worst]
    if not any(loss <= guessing for loss in losses) and not value <= 1.5 * guessing:
        means = "It rises at every rate: the steps go uphill, or are far too long at all of them."
        look_next = "Take one very short step, and compare the loss of that batch before and after."
    elif worst == 0 and math.isfinite(value):
        means = "It falls too slowly at the lowest rate: the steps are shorter than the rate says."
        look_next = "Compare the move of the weights in one step with rate times gradient."
    else:
        means = (
            "Nothing piles up any more, and the steps are too long for this optimizer at that "
            "rate, which is meant for plain gradient descent."
        )
        look_next = "Measure the size of a step beside the size of the weights, at each rate."
    return LEARNS.finding(
        min(value / guessing, WORST) if math.isfinite(value) else WORST,
        measured=f"After {STEPS} batches at the rates {', '.join(map(str, RATES))} the training "
        f"loss is {', '.join(number(v) for v in losses)}; guessing costs {number(guessing)}.",
        means=means,
        look_next=look_next,
    )


def _unseen(evidence: Evidence, images: Images) -> Finding:
    guessing = 1 / len(images.classes)
    reached, control = (
        share_right(evidence[name], images.labels) for name in ("predicted", "control")
    )
    return UNSEEN.finding(
        (reached - guessing) / (control - guessing) if control > guessing else math.nan,
        measured=f"Trained at the rate {RATES[1]}, the model is right on {100 * reached:.0f} % of "
        f"unseen images; guessing on {100 * guessing:.0f} %, after plain gradient descent on "
        f"{100 * control:.0f} %.",
        means="The loss falls, but what is learned falls short of what the same batches teach.",
        look_next="Compare the loss on training and on unseen images, and which batches are used.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="gradients-pile-up",
        reading="norm of the gradient that step 20 used, over the norm of its own batch's gradient",
        measure=used_over_fresh,
        tolerance=0.05,
    ),
    Check(
        name="repair",
        points=4,
        takes=("train",),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: bool(evidence["untouched"]),
        unseen=unseen_images,
        measure=measure_repair,
        seconds=3,
    ),
]
