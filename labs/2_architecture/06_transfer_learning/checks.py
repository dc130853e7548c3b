"""Transfer learning: is the frozen backbone frozen, and does fine-tuning keep what it learned?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.evidence import EvidenceError, pack, unpack_like
from grader.checks.predictions import share_right
from grader.checks.verdict import number
from grader.datasets import Images
from grader.datasets.grain import add_grain
from grader.datasets.letters import LETTERS, paint_letters
from grader.instruments.transfer import fit_head, measure_change, measure_probe

OLD, NEW = range(6), range(6, 10)  # letters that the backbone knows, and letters to be learned
SIZE, WIDTH, GRAIN = 16, 12, 60
N_OLD, N_NEW, N_ASKED, N_KNOWN = 2500, 250, 1250, 400  # of ten letters, of which some are kept
MEAN, SCALE = 0.45, 0.22  # the backbone's card
STEPS, RATE = 350, 0.008  # of pre-training
SCRATCH_STEPS, SCRATCH_RUNS = 120, 3  # such a training varies, so the mean of some

CAUSES = {
    "freeze-without-effect": "Weights and statistics changed alike, as they do in a network that "
    "nobody froze. The line that was to freeze the backbone does nothing where it stands.",
    "batch-norm-statistics": "Images that pass in training mode move running means and variances. "
    "No weight changes by that, and here every array of weights did.",
    "learning-rate": "A rate says how far a weight goes that is trained. A frozen one is not "
    "trained, at any rate.",
    "wrong-preprocessing": "Other numbers than those on the card give other features. They do not "
    "make an optimizer change weights that it leaves alone.",
    "softmax-twice": "A second softmax makes the gradient smaller. It reaches the backbone either "
    "way, and a frozen one does not follow it.",
    "too-few-images": "How many images there are says how good the head gets. The backbone was "
    "meant to stay as it was with any number of them.",
}

# Limits from 20 seeds of every answer in both frameworks; see calibration/. Bit-identical needs no
# distribution. How far a layer moved leaves the widest gap: in right answers by .05 to .17 of its
# weights, in those that MOVED and KEPT stop not at all or by more than 1.05.
WEIGHTS = Threshold("arrays of weights that are not what they were", 0, "at most")
STATISTICS = Threshold("running statistics that are not what they were", 0, "at most")
PARITY = Threshold(
    "old letters read, share of what the card's preprocessing gives", 0.9, "at least"
)
HEAD = Threshold("new letters, share of the way from guessing to the control", 0.8, "at least")
COST = Threshold("multiply-adds, times those of backbone and dense layer", 1.5, "at most")

MOVED = Threshold("largest change of a layer, share of its weights", 0.001, "at least")
KEPT = Threshold("most that a layer changed, share of its weights", 0.8, "at most")
TUNED = Threshold("fine-tuned, share of the way from guessing to frozen features", 0.9, "at least")
BETTER = Threshold("accuracy above that from scratch, points", 5, "at least")


class Head(NamedTuple):
    """A dense layer on F features: weights (F, K), biases (K,)."""

    weights: np.ndarray
    biases: np.ndarray


class Shelf(NamedTuple):
    """A pre-trained backbone, the head that it was trained with, and one for the new letters.

    `cost` are its multiply-adds with a head, for one image.
    """

    backbone: list[np.ndarray]
    old_head: Head
    new_head: Head
    cost: int


def _photographs(case: Case, split: str, n: int, draw: str, letters: Sequence[int]) -> Images:
    painted, _ = paint_letters(case.draw(split, n, SIZE), draw, case.seed)
    return add_grain(painted, GRAIN, draw, case.seed).only(letters)


@lru_cache(maxsize=4)
def _new(case: Case) -> Images:
    return _photographs(case, "train", N_NEW, "new", NEW)


@lru_cache(maxsize=4)
def _asked(case: Case) -> Images:
    return _photographs(case, "test", N_ASKED, "new, unseen", NEW)


@lru_cache(maxsize=4)
def _known(case: Case) -> Images:
    return _photographs(case, "test", N_KNOWN, "old, unseen", OLD)


def unseen_images(case: Case) -> Images:
    """Unseen photographs of new letters, `N_ASKED` of ten letters' worth, then of old ones."""
    asked, known = _asked(case), _known(case)
    return Images(
        np.concatenate([asked.images, known.images]),
        np.concatenate([asked.labels + len(OLD), known.labels]),
        LETTERS,
    )


def _as_on_the_card(case: Case, images: Images) -> Any:
    assert case.fw is not None
    return case.fw.from_images((images.images / 255 - MEAN) / SCALE, case.device)


def _shelf(case: Case) -> Shelf:
    """The same for both checks, whatever unseen images they were handed."""
    return _pretrained(replace(case, handed_in=None))


@lru_cache(maxsize=4)
def _pretrained(case: Case) -> Shelf:
    """Pre-train as the notebook does; kept, because it depends on the case alone."""
    fw = case.fw
    assert fw is not None
    old, new = _photographs(case, "train", N_OLD, "old", OLD), _new(case)
    fw.set_seed(case.seed)
    made = {"width": WIDTH, "device": case.device}
    trained = fw.feature_classifier(SIZE, len(OLD), seed=case.seed, **made)
    fw.train_to_rest(
        trained,
        _as_on_the_card(case, old),
        old.labels,
        steps=STEPS,
        batch_size=32,
        learning_rate=RATE,
        seed=case.seed,
    )
    *state, weights, biases = fw.get_state(trained)
    x = _as_on_the_card(case, new)
    return Shelf(
        backbone=state,
        old_head=_head(weights, biases),
        new_head=Head(*fit_head(fw.predict(_take(case, state), x), new.labels)),
        cost=fw.multiply_adds(trained, x),
    )


def _head(weights: np.ndarray, biases: np.ndarray) -> Head:
    """A head from its arrays in a state; PyTorch's weights are (K, F)."""
    return Head(weights.T if weights.shape[1] == 2 * WIDTH else weights, biases)


@lru_cache(maxsize=4)
def _controls(case: Case) -> dict[str, float]:
    """What the backbone left alone reads of unseen letters, and what it costs.

    Kept, because it depends on the case alone.
    """
    fw, shelf = case.fw, _shelf(case)
    assert fw is not None
    new, asked, known = _new(case), _asked(case.of_unseen()), _known(case.of_unseen())
    backbone = _take(case, shelf.backbone)
    features = fw.predict(backbone, _as_on_the_card(case, new))
    unseen = fw.predict(backbone, _as_on_the_card(case, asked))
    named = _read(fw, backbone, _as_on_the_card(case, known), shelf.old_head)
    return {
        "known_by_card": share_right(named, known.labels),
        "frozen": measure_probe(features, new.labels, unseen, asked.labels).accuracy,
        "multiply_adds_of_backbone": shelf.cost,
    }


@lru_cache(maxsize=4)
def _scratch(case: Case) -> float:
    """Accuracy of the same network trained from scratch on the new letters, mean of some runs."""
    fw = case.fw
    assert fw is not None
    new, asked = _new(case), _asked(case.of_unseen())
    outputs = fw.outputs_after_training(
        fw.feature_classifier(SIZE, len(NEW), width=WIDTH, seed=case.seed + 1, device=case.device),
        [_shuffled(case, new, run) for run in range(SCRATCH_RUNS)],
        _as_on_the_card(case, asked),
        steps=SCRATCH_STEPS,
        batch_size=25,
        learning_rate=RATE,
        seed=case.seed,
    )
    return float(np.mean([share_right(_named(each), asked.labels) for each in outputs]))


def _shuffled(case: Case, images: Images, run: int) -> tuple[Any, np.ndarray]:
    """The training images in an order of their own, and their labels."""
    order = np.random.default_rng([case.seed % 2**32, run]).permutation(len(images))
    images = images.pick(order)
    return _as_on_the_card(case, images), images.labels


def _take(case: Case, state: list[np.ndarray]) -> Any:
    """A fresh copy of the pre-trained backbone."""
    assert case.fw is not None
    backbone = case.fw.feature_network(SIZE, width=WIDTH, seed=case.seed, device=case.device)
    case.fw.set_state(backbone, state)
    return backbone


def _named(outputs: np.ndarray) -> np.ndarray:
    """Class numbers (N,) from logits (N, K); -1 where not all of them are finite."""
    return np.where(np.isfinite(outputs).all(axis=1), outputs.argmax(axis=1), -1)


def _read(fw: Any, backbone: Any, x: Any, head: Head) -> np.ndarray:
    """Class numbers (N,) that a backbone gives with a head."""
    return _named(fw.predict(backbone, x) @ head.weights + head.biases)


@lru_cache(maxsize=4)
def arrays_changed(case: Case) -> float:
    """Arrays of a backbone that change in some steps when nothing is frozen."""
    fw = case.fw
    assert fw is not None
    model = fw.feature_classifier(SIZE, len(NEW), width=WIDTH, seed=case.seed, device=case.device)
    backbone = fw.feature_network(SIZE, width=WIDTH, seed=case.seed, device=case.device)
    new = _new(case)
    before = fw.get_state(model)
    fw.train_to_rest(
        model,
        _as_on_the_card(case, new),
        new.labels,
        steps=20,
        batch_size=25,
        learning_rate=0.03,
        seed=case.seed,
    )
    fw.set_state(backbone, fw.get_state(model)[:-2])
    return float(measure_change(fw, backbone, before[:-2]).arrays_changed)


# ---- phase 1 -------------------------------------------------------------------------------------


def collect_freeze(case: Case, answer: Answer) -> dict[str, Any]:
    """Let the learner put a head on the backbone and train it; then ask the model.

    Which arrays it holds, and what it costs, is known only where the model is.
    """
    fw, shelf = case.fw, _shelf(case)
    assert fw is not None
    new, unseen = _new(case), case.unseen(unseen_images).images
    asked, known = np.split(unseen, [N_ASKED * len(NEW) // len(LETTERS)])
    x = _preprocessed(answer.preprocess, new.images)
    x_known = _preprocessed(answer.preprocess, known)
    x_asked = _preprocessed(answer.preprocess, asked)

    def phase_one(build: Any, train: Any, x: Any) -> tuple[Any, Any]:
        backbone = _take(case, shelf.backbone)
        fw.set_seed(case.seed)
        model = build(backbone, len(NEW))
        if not fw.is_model(model):
            raise AnswerError(
                f"`build_model` returned a {type(model).__name__}; return a model that gives one "
                "logit for each class."
            )
        outputs = fw.predict(model, x[:8])
        if outputs.shape != (8, len(NEW)):
            raise AnswerError(
                f"The model gives outputs of shape {outputs.shape} for 8 images; give one logit "
                f"for each of the {len(NEW)} classes."
            )
        train(model, x, fw.from_labels(new.labels, case.device))
        return backbone, model

    backbone, model = phase_one(answer.build_model, answer.train_head, x)
    arrays = fw.state_arrays(backbone)
    lost = _not_found(shelf.backbone, fw.get_state(model))
    change = measure_change(fw, backbone, shelf.backbone)
    weights = [i for i in lost if not arrays[i].statistic]
    statistics = [i for i in lost if arrays[i].statistic]
    untouched = False
    if weights and _same(fw, x, answer.sick_preprocess(new.images)):
        _, sick = phase_one(answer.put_head_on, answer.sick_train_head, x)
        untouched = _alike(fw.get_state(model), fw.get_state(sick))
    fresh = _take(case, shelf.backbone)
    return {
        "untouched": untouched,
        "weights_lost": len(weights),
        "weights": change.parameters,
        "statistics_lost": len(statistics),
        "statistics": change.statistics,
        "handed_in_changed": change.arrays_changed,
        "most_moved": change.most_moved,
        "most_drifted": change.most_drifted,
        "known": _read(fw, fresh, x_known, shelf.old_head),
        "asked": _named(fw.predict(model, x_asked)),
        "multiply_adds": fw.multiply_adds(model, x),
    }


def _preprocessed(function: Any, images: np.ndarray) -> Any:
    x = function(images.copy())
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) != 4 or shape[0] != len(images) or sorted(shape[1:]) != [3, SIZE, SIZE]:
        raise AnswerError(
            f"`preprocess` returned {f'shape {shape}' if shape else type(x).__name__} for images "
            f"of shape {images.shape}; return what the backbone eats, one entry an image."
        )
    return x


def _same(fw: Any, one: Any, other: Any) -> bool:
    a, b = fw.to_numpy(one), fw.to_numpy(other)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-5, atol=1e-6))


def _alike(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6)
        for a, b in zip(one, other, strict=True)
    )


def _not_found(before: list[np.ndarray], state: list[np.ndarray]) -> list[int]:
    """Positions of the backbone's arrays that a model does not hold bit for bit.

    A model may hold the backbone itself or a copy of it. Counters are left out.
    """
    held = {(a.shape, a.tobytes()) for a in state}
    return [
        i
        for i, a in enumerate(before)
        if np.issubdtype(a.dtype, np.floating) and (a.shape, a.tobytes()) not in held
    ]


def judge_freeze(case: Case, evidence: Evidence) -> list[Finding]:
    """Five gates: weights as they were, statistics as they were, preprocessing, head, cost."""
    unseen = _plain(case.of_unseen())
    known = share_right(evidence["known"], _known(unseen).labels)
    reached = share_right(evidence["asked"], _asked(unseen).labels)
    cost = evidence["multiply_adds"] / evidence["multiply_adds_of_backbone"]
    guessing = 1 / len(NEW)
    return [
        _weights(evidence),
        STATISTICS.finding(
            evidence["statistics_lost"],
            measured=f"Every weight of the backbone is what it was, and "
            f"{evidence['statistics_lost']} of its {evidence['statistics']} running means and "
            f"variances are not; a mean drifted by up to {number(evidence['most_drifted'])} "
            "standard deviations.",
            means="A layer of batch normalisation replaces its statistics whenever a batch passes "
            "in training mode, whether an optimizer knows of it or not. The features then come "
            "from a network that nobody has pre-trained.",
            look_next="In which mode does the backbone run while the head is trained?",
        ),
        PARITY.finding(
            known / max(evidence["known_by_card"], 1e-9),
            measured=f"Through your `preprocess`, the backbone reads {100 * known:.0f} % of the "
            "letters that it knows; through the one on its card, "
            f"{100 * evidence['known_by_card']:.0f} %.",
            means="It is fed other numbers than it was trained on. With its statistics left "
            "alone, nothing makes up for that.",
            look_next="Compare mean and spread of what `preprocess` returns with what the card's "
            "formula gives.",
        ),
        HEAD.finding(
            (reached - guessing) / max(evidence["frozen"] - guessing, 1e-9),
            measured=f"On unseen photographs the model is right on {100 * reached:.0f} %; "
            f"guessing on {100 * guessing:.0f} %, a logistic regression on the frozen features on "
            f"{100 * evidence['frozen']:.0f} %.",
            means="The backbone is as it was and sees what it should, so it is the head that has "
            "not learned what the features offer.",
            look_next="Watch the training loss of the head: where does it start, where does it "
            "end, and what is the lowest value that it could reach?",
        ),
        COST.finding(
            cost,
            measured=f"An image takes {number(cost)} times the multiply-adds of the "
            "backbone with one dense layer.",
            means="The letters are read, and paid for with another network beside the backbone.",
            look_next="List what each layer of your model costs.",
        ),
    ]


def _weights(evidence: Evidence) -> Finding:
    lost, total = evidence["weights_lost"], evidence["weights"]
    if evidence["handed_in_changed"] == 0 and lost:
        measured = (
            f"The backbone that was handed in is untouched, and the model does not hold {lost} of "
            f"its {total} arrays of weights."
        )
        means = "Then the model computes with another network, or with a copy that was trained."
        look_next = "Which of the model's layers are the backbone's?"
    else:
        measured = (
            f"After the frozen phase, {lost} of the backbone's {total} arrays of weights are not "
            f"what they were; a layer changed by up to {number(evidence['most_moved'])} of its "
            "weights."
        )
        means = "Something still trains them: they are not frozen, or were not in time."
        look_next = (
            "Compare the backbone before and after a single step. Which line decides what that "
            "step changes, and when is it read?"
        )
    return WEIGHTS.finding(lost, measured=measured, means=means, look_next=look_next)


def _plain(case: Case) -> Case:
    """The case without a framework, as the judge has it: one entry in the caches."""
    return Case(lab=case.lab, framework="", seed=case.seed, data=case.data)


# ---- phase 2 -------------------------------------------------------------------------------------


def collect_fine_tune(case: Case, answer: Answer) -> dict[str, Any]:
    """Let the learner train backbone and head; hand over the weights from before and after."""
    fw, shelf = case.fw, _shelf(case)
    assert fw is not None
    new = _new(case)
    x, y = _as_on_the_card(case, new), fw.from_labels(new.labels, case.device)

    def phase_two(train: Any) -> list[np.ndarray]:
        model = fw.with_head(_take(case, shelf.backbone), *shelf.new_head)
        before = fw.get_state(model)
        fw.set_seed(case.seed)
        train(model, x, y)
        after: list[np.ndarray] = fw.get_state(model)
        if [a.shape for a in after] != [b.shape for b in before]:
            raise AnswerError(
                "`fine_tune` changed the shapes of the weights; train the model that it is given, "
                f"with one logit for each of the {len(NEW)} classes."
            )
        return after

    tuned = phase_two(answer.fine_tune)
    untouched = False
    if measure_change(fw, _take(case, tuned[:-2]), shelf.backbone).most_moved > KEPT.limit:
        untouched = _alike(tuned, phase_two(answer.sick_fine_tune))
    return {
        "untouched": untouched,
        "pretrained": [pack(a) for a in (*shelf.backbone, *shelf.old_head)],
        "tuned": [pack(a) for a in (*tuned[:-2], *_head(*tuned[-2:]))],
    }


def measure_fine_tune(case: Case, evidence: Evidence) -> dict[str, Any]:
    """Put the weights that were handed over into the network again, and ask that.

    The backbone from before is handed over as well: pre-trained on another machine, it differs.

    Raises:
        EvidenceError: that backbone was not pre-trained.
    """
    fw, shelf, controls = case.fw, _shelf(case), _controls(case)
    assert fw is not None
    asked, known = _asked(case.of_unseen()), _known(case.of_unseen())
    x_known = _as_on_the_card(case, known)
    *start, weights, biases = unpack_like(
        evidence["pretrained"], [*shelf.backbone, *shelf.old_head]
    )
    old_head = Head(weights, biases)
    known_before = share_right(_read(fw, _take(case, start), x_known, old_head), known.labels)
    if known_before < PARITY.limit * controls["known_by_card"]:
        raise EvidenceError(
            f"the backbone from before reads {known_before:.0%} of the letters that it was "
            "pre-trained on"
        )
    *end, weights, biases = unpack_like(evidence["tuned"], [*shelf.backbone, *shelf.new_head])
    backbone = _take(case, end)
    change = measure_change(fw, backbone, start)
    outputs = fw.predict(fw.with_head(backbone, weights, biases), _as_on_the_card(case, asked))
    measured = {
        **controls,
        "most_moved": change.most_moved,
        "most_drifted": change.most_drifted,
        "reached": share_right(_named(outputs), asked.labels),
        "known": share_right(_read(fw, backbone, x_known, old_head), known.labels),
        "known_before": known_before,
        "scratch": math.nan,
    }
    *before_it, _ = judge_fine_tune(case, measured)
    if all(finding.holds for finding in before_it):
        measured["scratch"] = _scratch(case)
    return measured


def judge_fine_tune(case: Case, evidence: Evidence) -> list[Finding]:
    """Four gates: moved at all, not too far, not worse than frozen, better than from scratch."""
    guessing, reached = 1 / len(NEW), evidence["reached"]
    frozen, scratch, moved = evidence["frozen"], evidence["scratch"], evidence["most_moved"]
    says = f"On unseen photographs the model is right on {100 * reached:.0f} %"
    return [
        MOVED.finding(
            moved,
            measured=f"No layer of the backbone changed by more than {number(moved)} of its "
            "weights.",
            means="The backbone is still frozen, and the features are those of phase 1.",
            look_next="Compare the backbone before and after `fine_tune`.",
        ),
        KEPT.finding(
            moved,
            measured=f"A layer of the backbone changed by {number(moved)} times its weights. With "
            f"its old head the backbone now reads {100 * evidence['known']:.0f} % of the letters "
            f"that it knew; before, {100 * evidence['known_before']:.0f} %.",
            means="A step as long as suits a new head is long for weights that are nearly right: "
            "what thousands of photographs taught is overwritten by a hundred, and how much of it "
            "a long training brings back differs from run to run.",
            look_next="Measure the change of each layer after one epoch, at several rates.",
        ),
        TUNED.finding(
            (reached - guessing) / max(frozen - guessing, 1e-9),
            measured=f"{says}; with the backbone left alone, on {100 * frozen:.0f} %. A running "
            f"mean drifted by up to {number(evidence['most_drifted'])} standard deviations.",
            means="No layer moved far, and fine-tuning still made the model worse. Either the "
            "head no longer fits the features, or the statistics no longer fit the images.",
            look_next="Measure the accuracy before the first step and after each epoch, and the "
            "drift of the statistics beside it.",
        ),
        BETTER.finding(
            100 * (reached - scratch),
            measured=f"{says}; the same network trained from scratch, on {100 * scratch:.0f} %.",
            means="Nothing is left of what the backbone knew.",
            look_next="Fit a linear probe on the features before and after `fine_tune`.",
        ),
    ]


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="freeze-without-effect",
        reading="number of the backbone's arrays that changed in the frozen phase",
        measure=arrays_changed,
        tolerance=0.01,
        seconds=2,
    ),
    Check(
        name="freeze",
        points=5,
        takes=(
            "preprocess",
            "build_model",
            "train_head",
            "sick_preprocess",
            "put_head_on",
            "sick_train_head",
        ),
        collect=collect_freeze,
        judge=judge_freeze,
        untouched=lambda evidence: bool(evidence["untouched"]),
        unseen=unseen_images,
        measure=lambda case, evidence: _controls(case),
        seconds=6,
    ),
    Check(
        name="fine-tune",
        points=4,
        takes=("fine_tune", "sick_fine_tune"),
        collect=collect_fine_tune,
        judge=judge_fine_tune,
        untouched=lambda evidence: bool(evidence["untouched"]),
        measure=measure_fine_tune,
        measured_inside=False,
        seconds=6,
    ),
]
