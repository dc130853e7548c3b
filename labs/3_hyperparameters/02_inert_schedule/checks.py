"""A schedule that fires within the run, and a comparison that can answer "cannot tell"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.evidence import pack, unpack_like
from grader.checks.verdict import number
from grader.datasets import Images, UnseenArrays
from grader.instruments.applied_rate import AppliedRate, measure_applied_rate
from grader.instruments.comparison import CANNOT_TELL, fingerprint

SIZE, N_TRAIN, EPOCHS, RATE = 16, 480, 6, 0.05  # of the sick comparison
BATCH, BATCHES = 32, 8  # of an epoch of the check's own runs

CAUSES = {
    "schedule-helps": "A schedule helps by changing the rate. The left panel shows the rate that "
    "was applied: both arms had the same one at every step, from the first to the last.",
    "lucky-weights": "The second arm drew no initial weights, neither lucky nor unlucky ones. "
    "Compare the fingerprint from which it starts with the one at which the first arm ends.",
    "higher-rate": "The rates that were applied lie on one another.",
    "more-epochs": "Both arms take the same number of steps. They differ in what was known before "
    "the first of them.",
    "easier-images": "Both arms are trained and scored on the same images.",
    "carried-over-weights": "The second arm starts from the very weights at which the first one "
    "ended. It adds its epochs to those of the first, and any recipe that does no harm would win.",
}


# The diagnosis


def head_start_on_practice(case: Case) -> float:
    """Loss before the first step, of fresh weights minus of those that the first arm left."""
    fw = case.fw
    assert fw is not None
    train = case.draw("train", N_TRAIN, SIZE)
    x = fw.from_images(train.images, case.device) / 127.5 - 1
    fw.set_seed(case.seed)
    model = fw.quick_cnn(SIZE, len(train.classes))
    if case.framework == "pytorch":
        model = model.to(case.device)
    before = fw.loss(model, x, train.labels, training=False)
    labels = fw.from_labels(train.labels, case.device)
    fw.train_at_one_rate(model, x, labels, rate=RATE, epochs=EPOCHS)
    return float(before - fw.loss(model, x, train.labels, training=False))


# The schedule

# Limits from 20 seeds of every answer in both frameworks; see calibration/. The task asks for a
# tenth at the end and for a third of the steps; the rest is room for rounding, and for cycles whose
# last step is one short of their end.
FALLS = Threshold("rate at the end, share of the highest", 0.12, "at most")
WORKS = Threshold("steps at more than a tenth of the highest rate, share", 0.28, "at least")
LENGTH = Threshold("steps taken, times those of the run", 1.5, "at most")
LEARNS = Threshold("loss after the long run, share of the loss of guessing", 0.9, "at most")


class Run(NamedTuple):
    """One training whose length the learner's function does not know beforehand."""

    epochs: int

    @property
    def steps(self) -> int:
        return self.epochs * BATCHES


def runs(case: Case) -> tuple[Run, Run]:
    """A short and a long run; the long one has at least four times the steps, and ends before the
    thirty epochs that the sick program waits for.

    An even number of batches makes an epoch: a cosine that is planned in epochs and carried out in
    batches then ends at the top of a wave, and with an odd number it would end at the bottom.
    """
    rng = np.random.default_rng([case.seed % 2**32, 32])
    return Run(int(rng.integers(6, 8))), Run(int(rng.integers(28, 30)))


def collect_schedule(case: Case, answer: Answer) -> dict[str, Any]:
    """Train a cheap network twice, and note the rate that is applied at every step.

    What the long run has learned is in the weights that it leaves.
    """
    fw = case.fw
    assert fw is not None
    if not callable(answer.train):
        raise AnswerError("`train` is not a function; give a function of that name.")
    measured, weights = [], []
    for run in runs(case):
        train, x, model = _fresh(case)
        shapes = [array.shape for array in fw.get_state(model)]
        y = fw.from_labels(train.labels, case.device)
        rate, _ = measure_applied_rate(fw, answer.train, model, x, y, run.epochs)
        if not rate.steps:
            raise AnswerError(
                "No optimizer took a step while `train` ran; train the model that it is given, "
                "with an optimizer of your framework."
            )
        weights = fw.get_state(model)
        if [array.shape for array in weights] != shapes:
            raise AnswerError(
                "`train` changed the shapes of the weights; train the model that it is given."
            )
        measured.append({"rates": rate.rates})
    return {"runs": measured, "weights": [pack(array) for array in weights]}


def _fresh(case: Case) -> tuple[Images, Any, Any]:
    """What a run is trained on: the images, the same as the model eats them, and the model."""
    fw = case.fw
    assert fw is not None
    train = case.draw("train", BATCHES * BATCH, SIZE)
    x = fw.from_images(train.images, case.device) / 127.5 - 1
    fw.set_seed(case.seed)
    return train, x, fw.patches_network(SIZE, len(train.classes), device=case.device)


def measure_schedule(case: Case, evidence: Evidence) -> dict[str, Any]:
    """Loss of the weights that the long run has left, in a model that the learner never had."""
    fw = case.fw
    assert fw is not None
    train, x, model = _fresh(case)
    fw.set_state(model, unpack_like(evidence["weights"], fw.get_state(model)))
    return {
        "loss": fw.loss(model, x, train.labels, training=False),
        "classes": len(train.classes),
    }


def _traces(evidence: Evidence) -> list[AppliedRate]:
    return [AppliedRate(np.asarray(run["rates"], dtype=float)) for run in evidence["runs"]]


def untouched_schedule(evidence: Evidence) -> bool:
    """True when both runs have the sick program's rate from their first to their last step."""
    return all(
        bool(np.isclose(trace.rates, RATE, rtol=1e-6, atol=0).all()) for trace in _traces(evidence)
    )


def judge_schedule(case: Case, evidence: Evidence) -> list[Finding]:
    """Four gates: the rate falls in time, not too early, in as many steps; something is learned."""
    planned, traces = runs(case), _traces(evidence)
    return [
        _falls(planned, traces),
        _works(planned, traces),
        _length(planned, traces),
        _learns(evidence),
    ]


def _worst(values: list[float]) -> int:
    """Index of the largest value; one that is not a number is larger than any."""
    return int(np.argmax([math.inf if math.isnan(v) else v for v in values]))


def _which(run: Run, trace: AppliedRate) -> str:
    return f"In the run of {run.epochs} epochs, {trace.steps} steps,"


def _falls(planned: tuple[Run, Run], traces: list[AppliedRate]) -> Finding:
    shares = [trace.end_share for trace in traces]
    worst = _worst(shares)
    trace, share = traces[worst], shares[worst]
    rises = int((np.diff(trace.rates) > 1e-6 * trace.highest).sum())
    if not np.isfinite(trace.rates).all() or not trace.highest > 0:
        means = "A rate that is not a finite number above zero trains nothing."
    elif not any(t.changes for t in traces):
        means = (
            "The rate never changed. The plan is written in a number of steps or epochs that "
            "these runs do not have, or nothing carries it out."
        )
    elif shares[1] <= FALLS.limit < shares[0]:
        means = (
            "The longer run got there, so the plan has a length of its own, and this run ends "
            "before it."
        )
    elif rises > 0.2 * trace.steps:
        means = (
            "The rate goes up and down and ends somewhere on the way: the plan counts in another "
            "unit than the program, or its cycles do not fit into the run."
        )
    else:
        means = (
            "The rate has begun to fall when the run is over: the plan is too gentle, or it counts "
            "in another unit than the program that carries it out."
        )
    return FALLS.finding(
        share,
        measured=f"{_which(planned[worst], trace)} the highest rate is {number(trace.highest)} and "
        f"the last {number(trace.last)}, {number(share)} of it.",
        means=means,
        look_next="Draw the rate that was applied at each step, for two lengths of training.",
    )


def _works(planned: tuple[Run, Run], traces: list[AppliedRate]) -> Finding:
    worst = _worst([-trace.high_share for trace in traces])
    trace = traces[worst]
    if worst == 1 and traces[0].high_share >= WORKS.limit:
        means = (
            "The short run had its share, so the plan has a length of its own: here it is over "
            "long before the training."
        )
    else:
        means = (
            "The rate falls to nothing near the start, and the rest of the run changes little. "
            "That happens when a plan in epochs is carried out once a batch."
        )
    return WORKS.finding(
        trace.high_share,
        measured=f"{_which(planned[worst], trace)} the rate is above a tenth of its highest for "
        f"{number(trace.high_share)} of the steps.",
        means=means,
        look_next="Mark the end of every epoch on the curve of the applied rate.",
    )


def _length(planned: tuple[Run, Run], traces: list[AppliedRate]) -> Finding:
    factors = [trace.steps / run.steps for run, trace in zip(planned, traces, strict=True)]
    worst = _worst(factors)
    return LENGTH.finding(
        factors[worst],
        measured=f"{_which(planned[worst], traces[worst])} {planned[worst].steps} were to be had.",
        means="The run was made long enough for the plan. The plan is to fit the run.",
        look_next="Count the epochs that your function trains, and those that it was given.",
    )


def _learns(evidence: Evidence) -> Finding:
    loss, guessing = evidence["loss"], math.log(evidence["classes"])
    return LEARNS.finding(
        loss / guessing,
        measured=f"After the long run the loss is {number(loss)}; guessing costs "
        f"{number(guessing)}.",
        means="The rate has the right shape, and the wrong height for this training; or another "
        "model than the given one was trained.",
        look_next="Compare the highest rate that was applied with the rate of the constant arm.",
    )


# The comparison

# Shares of trainings and of pairs whose truth is known: a right
# answer gives exactly 0 or 1.
AFRESH = Threshold("trainings that start from trained weights, share", 0.02, "at most")
PAIRED = Threshold("starts that both arms share, share", 0.95, "at least")
OFTEN = Threshold("different initial weights for a pair", 3, "at least")
EQUALLY = Threshold("trainings of one arm, times those of the other", 1.1, "at most")
SILENT = Threshold("pairs without a difference in which one is claimed, share", 0.2, "at most")
FOUND = Threshold("true differences that are found, share", 0.8, "at least")

SEEDS = 6
LUCK = 0.06  # deviation of the score that comes from the initial weights
LEARNED = 0.10  # what any training adds to the score


class Pair(NamedTuple):
    """Two arms of which the truth is known.

    Attributes:
        effect: score of B minus score of A, in truth.
        noise: deviation of a training's score, over and above its initial weights.
    """

    effect: float
    noise: float

    @property
    def truth(self) -> str:
        return CANNOT_TELL if self.effect == 0 else ("B" if self.effect > 0 else "A")


def pairs(case: Case) -> list[Pair]:
    """Three pairs without a difference, four with one, in an order that depends on the seed.

    Half of the differences are smaller than the noise of other pairs, so no fixed number of points
    tells them apart.
    """
    listed = [
        Pair(0.0, 0.0),
        Pair(0.0, 0.003),
        Pair(0.0, 0.06),
        Pair(0.06, 0.006),
        Pair(-0.06, 0.006),
        Pair(0.008, 0.0008),
        Pair(-0.008, 0.0008),
    ]
    order = np.random.default_rng([case.seed, 33]).permutation(len(listed))
    return [listed[i] for i in order]


def noises(case: Case, number_of_pair: int) -> np.ndarray:
    """What each training of a pair has in luck, in deviations; (2, SEEDS), one row an arm.

    The two rows differ by numbers of both signs whose mean is a fifth of their deviation, whatever
    the seed: that no test finds a difference is not left to chance.
    """
    rng = np.random.default_rng([case.seed, 34, number_of_pair])
    steps = np.array([-1.3, -0.8, -0.4, 0.4, 0.8, 1.3]) + rng.uniform(-0.05, 0.05, SEEDS)
    steps = (steps - steps.mean()) / steps.std(ddof=1)
    difference = math.sqrt(2) * rng.permutation(steps + rng.choice([-0.2, 0.2]))
    shared = rng.normal(size=SEEDS) / math.sqrt(2)
    return np.stack([shared - difference / 2, shared + difference / 2])


def worths(case: Case) -> UnseenArrays:
    """What each training of an arm adds to the score, float64 (pairs, SEEDS): "A" and "B".

    Truth and luck are in one number, as they are for whoever compares two recipes. Which is which
    is left with the grader.
    """
    listed = pairs(case)
    luck = np.stack([p.noise / math.sqrt(2) * noises(case, i) for i, p in enumerate(listed)])
    effects = np.array([[pair.effect] for pair in listed])
    return UnseenArrays({"A": LEARNED + luck[:, 0], "B": LEARNED + effects + luck[:, 1]})


class _Log:
    """What a comparison did: every training with the weights before and after it."""

    def __init__(self, fw: Any) -> None:
        self.fw = fw
        self.calls: list[list[str]] = []

    def arm(self, name: str, worth: np.ndarray) -> Callable[[Any], None]:
        """A training whose result is known: it shifts all weights by what it is worth."""
        done = 0

        def train(model: Any) -> None:
            nonlocal done
            if not self.fw.is_model(model):
                raise AnswerError(
                    f"Your function trains a {type(model).__name__}; train what `build_model` "
                    "returns."
                )
            state = self.fw.get_state(model)
            before = fingerprint(self.fw, model)
            shift = worth[done % len(worth)] / _SCALE * state[0].std()
            state[0] = state[0] + np.float32(shift)
            self.fw.set_state(model, state)
            self.calls.append([name, before, fingerprint(self.fw, model)])
            done += 1

        return train


_WIDTH = 8
_SCALE = LUCK * _WIDTH  # the mean of _WIDTH squared weights deviates by 1 / _WIDTH of their own


def _score(fw: Any, model: Any) -> float:
    """A score of a stand-in model: luck of its initial weights, and what training added."""
    weights = fw.get_state(model)[0]
    return float(0.5 + _SCALE * weights.mean() / weights.std())


def collect_compare(case: Case, answer: Answer) -> dict[str, Any]:
    """Let the learner's function compare stand-ins: real models, trainings whose worth is known."""
    fw = case.fw
    assert fw is not None
    if not callable(answer.compare):
        raise AnswerError("`compare` is not a function; give a function of that name.")
    worth, measured = case.unseen(worths), []
    for i, (worth_a, worth_b) in enumerate(zip(worth["A"], worth["B"], strict=True)):
        log, built = _Log(fw), []

        def build_model(built: list[int] = built) -> Any:
            built.append(1)
            return fw.one_layer(_WIDTH, _WIDTH, device=case.device)

        rng = np.random.default_rng([case.seed % 2**32, 35, i])
        seeds = [int(seed) for seed in rng.choice(10_000, SEEDS, replace=False)]
        said = answer.compare(
            build_model,
            log.arm("A", worth_a),
            log.arm("B", worth_b),
            lambda model: _score(fw, model),
            seeds,
        )
        if not isinstance(said, str) or said not in ("A", "B", CANNOT_TELL):
            raise AnswerError(
                f'`compare` returned {said!r}; return "A", "B" or "{CANNOT_TELL}", the arm that '
                "is better or that this cannot be told."
            )
        if not {"A", "B"} <= {name for name, *_ in log.calls}:
            raise AnswerError(
                f"`compare` said {said!r} without training both arms; train each of them."
            )
        measured.append({"said": str(said), "calls": log.calls, "built": len(built)})
    return {"pairs": measured}


def untouched_compare(evidence: Evidence) -> bool:
    """True when each pair was one model, A on it and then B, and the last one to train won."""
    return all(
        pair["built"] == 1
        and [call[0] for call in pair["calls"]] == ["A", "B"]
        and pair["calls"][1][1] == pair["calls"][0][2]
        and pair["said"] == "B"
        for pair in evidence["pairs"]
    )


def judge_compare(case: Case, evidence: Evidence) -> list[Finding]:
    """Six gates: fresh, paired, several, equal numbers; silent on nothing; finds what is there."""
    measured = evidence["pairs"]
    truths = [pair.truth for pair in pairs(case.of_unseen())]
    return [
        _afresh(measured),
        _paired(measured),
        _often(measured),
        _equally(measured),
        _silent(measured, truths),
        _found(measured, truths),
    ]


def _starts(pair: dict[str, Any], arm: str) -> list[str]:
    return [before for name, before, _ in pair["calls"] if name == arm]


def _afresh(measured: list[dict[str, Any]]) -> Finding:
    stale = {"A": 0, "B": 0}
    for pair in measured:
        trained: set[str] = set()
        for name, before, after in pair["calls"]:
            stale[name] += before in trained
            trained.add(after)
    count = sum(len(pair["calls"]) for pair in measured)
    stale_arms = [f"arm {name}" for name in ("A", "B") if stale[name]]
    whose = "of both arms" if len(stale_arms) == 2 else f"of {''.join(stale_arms)}"
    return AFRESH.finding(
        sum(stale.values()) / count,
        measured=f"{sum(stale.values())} of {count} trainings, {whose}, start from weights that a "
        "training before has left.",
        means="What an arm did not learn itself counts for it all the same: the arm that is "
        "trained later, or more often, wins.",
        look_next="Note a fingerprint of the weights before and after each training.",
    )


def _paired(measured: list[dict[str, Any]]) -> Finding:
    shared = count = 0
    for pair in measured:
        a, b = _starts(pair, "A"), _starts(pair, "B")
        shared += sum(start in b for start in a) + sum(start in a for start in b)
        count += len(a) + len(b)
    return PAIRED.finding(
        shared / count,
        measured=f"{shared} of {count} trainings start from weights from which the other arm "
        "starts as well.",
        means="Each arm draws weights of its own. A lucky draw then counts as a better recipe; it "
        "takes many more seeds to average it away.",
        look_next="Compare the fingerprints from which the two arms start, seed by seed.",
    )


def _often(measured: list[dict[str, Any]]) -> Finding:
    fewest = min(len(set(_starts(pair, arm))) for pair in measured for arm in ("A", "B"))
    return OFTEN.finding(
        fewest,
        measured=f"For one pair an arm starts from {fewest} different initial weights; "
        f"{SEEDS} seeds were given.",
        means="How much a score differs from seed to seed is not known then, and without it no "
        "difference can be judged.",
        look_next="Train the same arm with other seeds, and look at its scores.",
    )


def _equally(measured: list[dict[str, Any]]) -> Finding:
    counts = [(len(_starts(pair, "A")), len(_starts(pair, "B"))) for pair in measured]
    factors = [max(a, b) / min(a, b) for a, b in counts]
    a, b = counts[int(np.argmax(factors))]
    return EQUALLY.finding(
        max(factors),
        measured=f"Arm A is trained {a} times and arm B {b} times.",
        means="The arm with more tries has more chances of a lucky one.",
        look_next="Give both arms the same seeds, the same number of trainings and the same "
        "choice among their results.",
    )


def _silent(measured: list[dict[str, Any]], truths: list[str]) -> Finding:
    said = [p["said"] for p, t in zip(measured, truths, strict=True) if t == CANNOT_TELL]
    claimed = {arm: said.count(arm) for arm in ("A", "B")}
    if claimed["A"] == len(said) or claimed["B"] == len(said):
        means = (
            "It is always the same arm: the two are not treated alike, or their scores are not "
            "read alike."
        )
    else:
        means = (
            "The scores of two equal arms differ as well, by luck. A difference counts when it is "
            "large beside the spread of the differences from seed to seed."
        )
    return SILENT.finding(
        (claimed["A"] + claimed["B"]) / len(said),
        measured=f"Of {len(said)} pairs of arms that are equally good, your function calls A "
        f"better in {claimed['A']} and B in {claimed['B']}.",
        means=means,
        look_next="Compare an arm with itself, with several seeds, and look at the differences.",
    )


def _found(measured: list[dict[str, Any]], truths: list[str]) -> Finding:
    said = [(p["said"], t) for p, t in zip(measured, truths, strict=True) if t != CANNOT_TELL]
    right = sum(s == t for s, t in said)
    wrong_way = sum(s not in (t, CANNOT_TELL) for s, t in said)
    if wrong_way:
        means = "The worse arm is called the better one: is a higher score better here?"
    elif right == 0:
        means = (
            "A comparison that never decides is as useless as one that always does. Each of these "
            "differences is larger than the spread of the differences from seed to seed; the "
            "spread of the scores is larger, and most of it is luck that both arms share."
        )
    else:
        means = (
            "Small differences are missed although they come back with each seed. What differs "
            "from seed to seed is mostly luck that both arms share."
        )
    return FOUND.finding(
        right / len(said),
        measured=f"Of {len(said)} pairs in which one arm is truly better, your function names it "
        f"in {right}, and the other arm in {wrong_way}.",
        means=means,
        look_next="Print both scores for each seed, one pair a line, and their differences.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="carried-over-weights",
        reading="head start of the second arm: loss before the first step of the first arm minus "
        "that of the second, in nats",
        measure=head_start_on_practice,
        tolerance=0.1,
        seconds=2,
    ),
    Check(
        name="schedule",
        points=4,
        takes=("train",),
        collect=collect_schedule,
        judge=judge_schedule,
        untouched=untouched_schedule,
        measure=measure_schedule,
        seconds=3,
    ),
    Check(
        name="compare",
        points=6,
        takes=("compare",),
        collect=collect_compare,
        judge=judge_compare,
        untouched=untouched_compare,
        unseen=worths,
        seconds=2,
        when_passed="Measured on pairs of arms of which the truth is known. Grading repeats this "
        "with other pairs.",
    ),
]
