"""The search: does it find, on networks nobody has seen, what the planted grid missed?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.verdict import number
from grader.datasets.objectives import GUESSING, LONGEST, Objective, draw_objectives
from grader.instruments.search import (
    Trials,
    configuration,
    measure_search,
    widest_gap,
)

BUDGET = 120  # epochs for one network
SHORT = 3  # epochs of every trial of the planted grid
PATIENCE = 3  # times the budget, after which a search is stopped
SPACE = {"rate": (1e-5, 3.0), "decay": (1e-8, 1e-3)}  # of the notebook
NINE = 27  # epochs of the notebook's grid

CAUSES = {
    "too-few-trials": "Nine trials could be nine rates. These nine have three, and a tenth at one "
    "of them would find nothing either.",
    "trials-too-short": "They are too short, and that comes second: the solid line shows the same "
    "rates at their best, and at none of the three is there anything to wait for.",
    "wrong-spacing": "Equal steps are equal in tenths, not in factors: all rates but one are "
    "within a factor of two of the largest. The decades below them, in which the curve falls, "
    "hold no trial.",
    "decay-too-weak": "Over the whole range of the decay the line is flat, and the trials stand at "
    "the same heights for each of its values.",
    "noise": "Noise moves a loss by some hundredths of a nat; the dip of the solid line is ten "
    "times as deep.",
    "network": "The solid line is this same network, and it learns.",
}

# Limits from 20 seeds of every answer in both frameworks; see calibration/.
HONEST = Threshold("looks at the test images, with trials after a look as one more", 1, "at most")
PAID = Threshold("epochs of the most expensive search, share of the budget", 1, "at most")
FOUND = Threshold("mean share of the way from the grid's result to the optimum", 0.63, "at least")
BEYOND = Threshold("mean share of what lies beyond the edge of the space", 0.15, "at least")
STOPPED = Threshold("mean share of the fall that is given away by the last stop", 0.06, "at most")


def planted_gap(case: Case) -> float:
    """Widest stretch of rates without a trial in the notebook's grid, in decades."""
    rates = np.linspace(*SPACE["rate"], math.isqrt(NINE // SHORT))
    return widest_gap(rates, *SPACE["rate"])


def planted_grid(
    trial: Trials, space: Mapping[str, tuple[float, float]], budget: int
) -> tuple[dict[str, float], int]:
    """The notebook's sick search: a linear grid, three epochs a trial, picked by the test loss."""
    side = math.isqrt(budget // SHORT)
    axes = [np.linspace(*space[name], side) for name in space]
    best, lowest = None, math.inf
    for values in itertools.product(*axes):
        config = dict(zip(space, map(float, values), strict=True))
        trial(config, SHORT)
        loss = trial.test(config, SHORT)
        if loss < lowest:
            best, lowest = config, loss
    assert best is not None
    return best, SHORT


def _trials(objective: Objective) -> Trials:
    return Trials(
        lambda config, epochs: (
            objective.measured(config, epochs, "validation"),
            objective.measured(config, epochs, "test"),
        ),
        tuple(objective.space),
        longest=LONGEST,
        most=PATIENCE * BUDGET,
    )


def _returned(value: Any, objective: Objective) -> tuple[dict[str, float], int]:
    """The learner's configuration and epochs.

    Raises:
        AnswerError: anything else than a usable pair.
    """
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise AnswerError(
            f"`search` returned a {type(value).__name__}; return a pair, the configuration and the "
            "number of epochs to train it for."
        )
    try:
        config = configuration(value[0], tuple(objective.space))
    except ValueError as error:
        raise AnswerError(
            f"`search` returned a configuration that cannot be trained: {error}."
        ) from None
    try:
        if isinstance(value[1], bool | str):
            raise TypeError
        epochs = float(value[1])
    except (TypeError, ValueError):
        epochs = math.nan
    if not (1 <= epochs <= LONGEST and epochs == int(epochs)):
        raise AnswerError(
            f"`search` returned {value[1]!r} as the epochs to train for; that is a whole number "
            f"from 1 to {LONGEST}."
        )
    return config, int(epochs)


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    if not callable(answer.search):
        raise AnswerError("`search` is not a function; give a function of that name.")
    return {"networks": [_measure(o, answer.search) for o in draw_objectives(case.seed)]}


def _measure(objective: Objective, search: Any) -> dict[str, Any]:
    trials = _trials(objective)
    try:
        value = search(trials, dict(objective.space), BUDGET)
    except RuntimeError:
        if trials.spent <= PATIENCE * BUDGET:
            raise
        raise AnswerError(
            f"For one network `search` has spent {trials.spent} epochs of {BUDGET} and goes on, so "
            "it was stopped. `trial.spent` says what is spent; when does yours stop asking?"
        ) from None
    config, epochs = _returned(value, objective)
    done = measure_search(trials) if trials.asked else None
    return {
        "config": config,
        "epochs": epochs,
        "trained_values": done.values if done else {name: [] for name in objective.space},
        "trained_epochs": done.epochs if done else [],
        "tested": len(trials.tested),
        "tested_before_the_end": done.tested_before_the_end if done else 0,
    }


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """The bill and the spread of the trainings, beside what the planted grid finds."""
    objectives = draw_objectives(case.seed)
    pairs = zip(evidence["networks"], objectives, strict=True)
    return {"networks": [{**n, **_beside_the_grid(n, o)} for n, o in pairs]}


def _beside_the_grid(network: Mapping[str, Any], objective: Objective) -> dict[str, Any]:
    planted = _trials(objective)
    sick_config, sick_epochs = planted_grid(planted, objective.space, BUDGET)
    epochs = network["trained_epochs"]
    # A training that is carried on costs its new epochs only, so each costs its last one.
    spent, tested = sum(epochs), network["tested"]
    return {
        "spent": spent,
        "trainings": len(epochs),
        "typical_epochs": float(np.median(epochs)) if epochs else 0.0,
        "gap": _gap(network["trained_values"], objective) if epochs else math.nan,
        "sick_config": sick_config,
        "same": (network["config"], network["epochs"], spent, tested)
        == (sick_config, sick_epochs, planted.spent, len(planted.tested)),
    }


def _gap(values: Mapping[str, Any], objective: Objective) -> float:
    """Widest stretch without a trial, in decades, of the knob where it is widest."""
    return max(widest_gap(values[name], *objective.space[name]) for name in objective.space)


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Five gates: the test images, the budget, the optimum, the edge, the last stop."""
    networks, objectives = evidence["networks"], draw_objectives(case.seed)
    pairs = list(zip(networks, objectives, strict=True))
    inside = [(n, o) for n, o in pairs if not o.beyond]
    outside = [(n, o) for n, o in pairs if o.beyond]
    return [
        _honest(networks),
        _paid(networks),
        _found(inside),
        _beyond(outside),
        _stopped(inside),
    ]


def share_of_the_way(reached: float, start: float, best: float) -> float:
    """From a start (0) to the best (1), at least -1, for what is worse than the start or diverged.

    Losses, nats.
    """
    if not math.isfinite(reached):
        return -1.0
    return float(np.clip((start - reached) / (start - best), -1.0, 1.0))


def _honest(networks: list[dict[str, Any]]) -> Finding:
    looks = max(n["tested"] for n in networks)
    early = max(n["tested_before_the_end"] for n in networks)
    if looks > 1:
        measured = f"For one network the test images were looked at {looks} times."
        means = (
            "The lowest of many test losses is low by luck as well, so what it says about the "
            "configuration is too good, and no images are left to find that out."
        )
        look_next = (
            "Compare the test loss by which the notebook's grid picked with the loss on images "
            "that nobody has used. Which images are there to choose by?"
        )
    else:
        measured = "The test images were looked at, and trials were made afterwards."
        means = "Whatever is known before a decision can enter it; a test comes after the last one."
        look_next = "Order what your search does in time: what is the last thing that it decides?"
    return HONEST.finding(looks + (early > 0), measured=measured, means=means, look_next=look_next)


def _paid(networks: list[dict[str, Any]]) -> Finding:
    most = max(n["spent"] for n in networks)
    return PAID.finding(
        most / BUDGET,
        measured=f"For one network the search spent {most} epochs; it was given {BUDGET}.",
        means="With more trials every strategy finds more, so that the comparison with the grid "
        "says nothing; and in earnest an epoch is money.",
        look_next="Add up trials times epochs before they are run, the training at the end as "
        "well. `trial.spent` is the bill so far.",
    )


def _found(pairs: list[tuple[dict[str, Any], Objective]]) -> Finding:
    shares = [
        share_of_the_way(o.lowest(n["config"]), o.lowest(n["sick_config"]), o.lowest_anywhere())
        for n, o in pairs
    ]
    better = sum(share > 0 for share in shares)
    trainings = float(np.median([n["trainings"] for n, _ in pairs]))
    epochs = float(np.median([n["typical_epochs"] for n, _ in pairs]))
    gap = float(np.nanmedian([n["gap"] for n, _ in pairs])) if trainings else math.nan
    if not trainings:
        means = "No trial was asked for. What is best differs from network to network by decades."
        look_next = "Call `trial` with two configurations, and compare the curves."
    elif trainings < 6:
        means = (
            f"For a typical network {trainings:.0f} configurations were tried: each training "
            "took so much of the budget that little was left to compare."
        )
        look_next = "After how many epochs can you tell that a training will not win?"
    elif gap > 2:
        means = (
            f"Of a typical network, {number(gap)} decades of a knob hold no trial. What lies in "
            "there cannot be found."
        )
        look_next = "Sort the values that your search tries, and divide each by the one before."
    elif epochs < 3:
        means = (
            f"A typical trial ends after epoch {number(epochs)}. That early the one that starts "
            "fastest is ahead, and it is seldom the one that gets furthest."
        )
        look_next = (
            "Rank ten configurations after 1, 3, 9 and 27 epochs. When does the order settle?"
        )
    else:
        means = (
            "The trials are there, and either the choice among them is not the best, or they are "
            "spread where it does not matter."
        )
        look_next = (
            "Draw your trials over each knob. Which one decides, and how many of its values "
            "did you try?"
        )
    mean = float(np.mean(shares))
    return FOUND.finding(
        mean,
        measured=f"On {better} of {len(pairs)} networks your configuration is better than that of "
        f"the planted grid with the same budget; on average it goes {number(mean)} of the way to "
        "the best there is.",
        means=means,
        look_next=look_next,
    )


def _beyond(pairs: list[tuple[dict[str, Any], Objective]]) -> Finding:
    # A search that does not follow gets nothing, however good or bad it is inside.
    shares = [
        max(0.0, share_of_the_way(o.lowest(n["config"]), o.lowest_inside(), o.lowest_anywhere()))
        for n, o in pairs
    ]
    left = sum(
        all(low <= n["config"][name] <= high for name, (low, high) in o.space.items())
        for n, o in pairs
    )
    mean = float(np.mean(shares))
    return BEYOND.finding(
        mean,
        measured=f"On {len(pairs)} networks the loss still falls at the edge of the space. On "
        f"{left} of them you stay inside; on average you get {number(mean)} of what lies "
        "beyond.",
        means="Whoever wrote the space down had not seen the network. When the best trial is at "
        "an edge, the search has found the edge, not the best.",
        look_next="Where in the space does your best trial lie, for each knob? What does a trial "
        "on the other side of that edge give?",
    )


def _stopped(pairs: list[tuple[dict[str, Any], Objective]]) -> Finding:
    early, late = [], []
    for n, o in pairs:
        curve = o.truth(n["config"])
        bottom, size = int(np.nanargmin(curve)), GUESSING - o.lowest_anywhere()
        here = curve[n["epochs"] - 1]
        missed = min(1.0, (here - curve[bottom]) / size) if math.isfinite(here) else 1.0
        early.append(missed if n["epochs"] <= bottom else 0.0)
        late.append(0.0 if n["epochs"] <= bottom else missed)
    mean = float(np.mean(early) + np.mean(late))
    epochs = float(np.median([n["epochs"] for n, _ in pairs]))
    measured = (
        f"Trained for the epochs that you return, {number(epochs)} as a rule, the configurations "
        f"give away {number(mean)} of the fall from guessing to the best there is."
    )
    if np.mean(early) >= np.mean(late):
        means = "Their curves still fall where you stop: a good configuration, cut short."
        look_next = (
            "Look at the last third of the winner's curve. By how much does it fall an epoch?"
        )
    else:
        means = "Their curves have turned: past its bottom the validation loss rises again."
        look_next = "Ask for the winner's whole curve. At which epoch is it lowest?"
    return STOPPED.finding(mean, measured=measured, means=means, look_next=look_next)


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="wrong-spacing",
        reading="widest gap between neighbouring rates, in decades",
        measure=planted_gap,
        tolerance=0.02,
    ),
    Check(
        name="repair",
        points=5,
        takes=("search",),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: all(n["same"] for n in evidence["networks"]),
        measure=measure_repair,
        seconds=1,
        when_passed="Measured on networks of which only a formula knows the best configuration.",
    ),
]
