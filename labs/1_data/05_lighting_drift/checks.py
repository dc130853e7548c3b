"""Lighting drift: does the program hold in another light, and does somebody notice the light?"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.evidence import EvidenceError
from grader.checks.predictions import class_numbers
from grader.checks.verdict import number
from grader.datasets import Images, UnseenArrays
from grader.datasets.faults import lighting_drift
from grader.instruments.lighting import Curve, measure_curve, measure_drift, relight

SIZE, N_TRAIN, N_TEST, N_REFERENCE = 12, 1000, 900, 500
WIDTH, STEPS, BATCH, RATE = 8, 200, 32, 0.01
# Everything is trained twice and averaged: 200 steps in another order end a few points elsewhere.
RUNS = 2
PART = 100  # images that are prepared in one call
EPOCHS = -(-STEPS * BATCH // N_TRAIN)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)

CAUSES = {
    "overfitting": "A program that has learned its training images by heart fails on validation "
    "images too. Here validation is fine, and those images are as unseen as the field's.",
    "class-mix": "Another mix of classes moves averages, but leaves each class as well recognised "
    "as before. Look at the counts of the classes, and at the accuracy of the darkest quarter of "
    "the validation images.",
    "lighting": "The scenes are the same and what is measured on the pixels has moved: less light, "
    "of another colour, and accuracy goes with it.",
    "field-labels": "Wrong labels in the field would lower the accuracy there, but they cannot "
    "move a number that is computed from pixels alone.",
    "serving-code": "The same function prepares validation images, and on those it serves well.",
    "too-little-training": "More steps move the validation accuracy. The distance between "
    "validation and field is another matter.",
}

# Limits from 20 seeds of every answer in both frameworks; see calibration/.
HOLDS = Threshold(
    "accuracy in shifted light, share of the way to the oracle; -1 where noon is lost",
    0.25,
    "at least",
)
# Noon is lost below this share of the sick program's accuracy there. Wide, because 200 steps of
# training on light cost a fifth of it (see the lab).
NOON = 0.4
TELLS = Threshold("alarms in the evening minus alarms at noon, worse camera", 0.3, "at least")
# Five in a hundred and three binomial standard deviations of 200 windows.
FALSE = Threshold("false alarms, share of clean windows", 0.096, "at most")
MISSES = Threshold("alarms, share of the windows of the most missed drift", 0.75, "at least")


def brightness_distance(case: Case) -> float:
    """Distance (KS) of the field's brightness from the reference's, 0..1."""
    reference = case.draw("validation", N_REFERENCE, SIZE)
    return measure_drift(reference.images, case.draw("field", N_REFERENCE, SIZE).images).brightness


# ---- robustness ----------------------------------------------------------------------------------


def sick_values(images: np.ndarray) -> np.ndarray:
    """What the sick program makes of images: fixed numbers of noon, float32."""
    return ((images.astype(np.float32) / 255 - 0.36) / 0.12).astype(np.float32)


def _prepare(fw: Any, function: Callable[[np.ndarray], Any], images: np.ndarray) -> np.ndarray:
    """What the learner's function makes of uint8 images, on the host, part by part.

    Raises:
        AnswerError: another number of images, values that are not finite or all the same.
    """
    name = getattr(function, "__name__", "the function")
    parts = []
    for start in range(0, len(images), PART):
        part = images[start : start + PART]
        prepared = fw.to_numpy(function(part.copy()))
        if prepared.dtype == object or prepared.ndim == 0 or len(prepared) != len(part):
            raise AnswerError(
                f"`{name}` returned {getattr(prepared, 'shape', type(prepared).__name__)} for "
                f"{len(part)} images; return one prepared image for each."
            )
        prepared = prepared.astype(np.float32)
        if not np.isfinite(prepared).all():
            raise AnswerError(f"`{name}` returned values that are not finite.")
        if prepared.min() == prepared.max():
            raise AnswerError(
                f"`{name}` returned one and the same number, {number(float(prepared.min()))}, for "
                "every pixel of every image."
            )
        if parts and parts[0].shape[1:] != prepared.shape[1:]:
            raise AnswerError(f"`{name}` returned images of different shapes.")
        parts.append(prepared)
    return np.concatenate(parts)


@lru_cache(maxsize=4)
def _train_images(case: Case) -> Images:
    return case.draw("train", N_TRAIN, SIZE)


@lru_cache(maxsize=4)
def unseen_images(case: Case) -> Images:
    """The same images in five lights, one light after the other."""
    test = case.draw("test", N_TEST, SIZE)
    shifted = [relight(test, s, seed=case.seed + i).images for i, s in enumerate(STRENGTHS)]
    return Images(np.concatenate(shifted), np.tile(test.labels, len(STRENGTHS)), test.classes)


def _control(case: Case, classes: int) -> Any:
    assert case.fw is not None
    return case.fw.two_block_network(
        SIZE, classes, width=WIDTH, seed=case.practice_seed, device=case.device
    )


def _predict(case: Case, models: list[Any], sets: list[Any], unseen: np.ndarray) -> np.ndarray:
    """Train every model on every set, each model in another order, and name unseen images' classes.

    Args:
        models: fresh ones, `RUNS` of them.

    Returns:
        int (sets, lights * RUNS * N_TEST): light by light, and within a light run by run.
    """
    assert case.fw is not None
    runs = [
        case.fw.outputs_after_training(
            model, sets, unseen, steps=STEPS, batch_size=BATCH, learning_rate=RATE,
            seed=case.seed + run,
        ).argmax(axis=2)
        for run, model in enumerate(models)
    ]  # fmt: skip
    by_light = np.stack(runs, axis=1).reshape(len(sets), len(runs), len(STRENGTHS), -1)
    return by_light.swapaxes(1, 2).reshape(len(sets), -1)


@lru_cache(maxsize=4)
def _run_controls(case: Case) -> dict[str, np.ndarray]:
    """The sick program, and an oracle that trains in every light the check uses.

    Kept, because they depend on the case alone.
    """
    fw = case.fw
    assert fw is not None
    train = _train_images(case)
    labels = np.tile(train.labels, EPOCHS)
    hours = np.random.default_rng([case.seed, 5]).random((EPOCHS, N_TRAIN // PART))
    lit = [
        relight(train.pick(np.arange(i * PART, (i + 1) * PART)), hour, seed=case.seed + i).images
        for row in hours
        for i, hour in enumerate(row)
    ]
    sets = [
        (fw.from_images(np.tile(sick_values(train.images), (EPOCHS, 1, 1, 1))), labels),
        (fw.from_images(sick_values(np.concatenate(lit))), labels),
    ]
    unseen = fw.from_images(sick_values(case.unseen(unseen_images).images))
    models = [_control(case, len(train.classes)) for _ in range(RUNS)]
    sick, oracle = _predict(case, models, sets, unseen)
    return {"sick": sick, "oracle": oracle}


def collect_robustness(case: Case, answer: Answer) -> dict[str, Any]:
    """Train the learner's program; serve unseen images in five lights."""
    fw = case.fw
    assert fw is not None
    train = _train_images(case)
    classes = len(train.classes)
    models = [answer.build_model(SIZE, classes) for _ in range(RUNS)]
    for model in models:
        if not fw.is_model(model):
            raise AnswerError(
                f"`build_model` returned a {type(model).__name__}; "
                "return a fresh model that gives logits."
            )
    asked = case.unseen(unseen_images).images
    unseen = _prepare(fw, answer.serve_batch, asked)
    for model in models:
        first = fw.predict(model, unseen[:8])
        if first.shape != (8, classes):
            raise AnswerError(
                f"The model gives outputs of shape {first.shape} for 8 images; give one logit for "
                f"each of the {classes} classes."
            )
        if not fw.parameter_count(model):
            raise AnswerError("The model has no parameters, so there is nothing to train.")
    epochs = [_prepare(fw, answer.train_batch, train.images) for _ in range(EPOCHS)]
    if _unchanged(case, epochs, unseen, first, train, asked):
        return {"unchanged": True}
    sets = [(np.concatenate(epochs), np.tile(train.labels, EPOCHS))]
    return {"unchanged": False, "predicted": _predict(case, models, sets, unseen)[0]}


def _unchanged(
    case: Case,
    epochs: list[np.ndarray],
    unseen: np.ndarray,
    first: np.ndarray,
    train: Images,
    asked: np.ndarray,
) -> bool:
    """The sick program's values on both paths, and its model's first outputs."""
    fw = case.fw
    assert fw is not None
    sick_train = fw.to_numpy(fw.from_images(sick_values(train.images)))
    if not all(np.array_equal(epoch, sick_train) for epoch in epochs):
        return False
    if not np.array_equal(unseen, fw.to_numpy(fw.from_images(sick_values(asked)))):
        return False
    return np.allclose(first, fw.predict(_control(case, len(train.classes)), unseen[:8]), atol=1e-5)


def judge_robustness(case: Case, evidence: Evidence) -> list[Finding]:
    """One gate: accuracy in shifted light, by a program that still knows noon."""
    labels = np.tile(unseen_images(case.of_unseen()).labels[:N_TEST], RUNS)

    def curve(name: str) -> Curve:
        named = class_numbers(evidence[name], len(STRENGTHS) * len(labels))
        lights = np.split(named, len(STRENGTHS))
        return measure_curve(STRENGTHS, lights, labels)

    own, sick, oracle = curve("predicted"), curve("sick"), curve("oracle")
    gap = oracle.shifted - sick.shifted
    # Cut at 1: how far a program surpasses the oracle says more about the oracle's luck.
    share = min((own.shifted - sick.shifted) / gap, 1.0) if gap > 0 else math.nan
    lost = not own.unshifted >= NOON * sick.unshifted
    if lost and own.accuracy[-1] > own.unshifted + 0.1:
        means = (
            "The program has moved from one light to another, and noon is now the light it does "
            "not know."
        )
        look_next = "Measure the brightness of what the model trains on: does it still cover noon?"
    elif lost:
        means = "Noon is lost: what the model trains on shows little of what it is served."
        look_next = (
            "Print the range of what `train_batch` and `serve_batch` return, and look at a few of "
            "those images."
        )
    else:
        means = "The program learns, and what it has learned still goes with the light."
        look_next = (
            "Compare two numbers: how far the live images' brightness and colour lie from the "
            "reference, and how far what the model trains on varies in both."
        )
    return [
        HOLDS.finding(
            -1.0 if lost else share,
            measured=f"In shifted light, averaged over four strengths, the program is right on "
            f"{100 * own.shifted:.0f} %; the sick control on {100 * sick.shifted:.0f} %, an oracle "
            f"that trains in that light on {100 * oracle.shifted:.0f} %. At noon it is right on "
            f"{100 * own.unshifted:.0f} %, the sick control on {100 * sick.unshifted:.0f} %.",
            means=means,
            look_next=look_next,
        )
    ]


# ---- monitor -------------------------------------------------------------------------------------


class Camera(NamedTuple):
    """One place where the monitor is set up: its own light, image size and window length."""

    name: str
    gain: float
    gamma: float
    cast: tuple[float, float, float]
    size: int
    window: int


class Change(NamedTuple):
    """Another light, and what to say when it is missed."""

    name: str
    strength: float
    gain: float
    cast: tuple[float, float, float]
    says: str


CAMERAS = (
    Camera("the first camera", 1.0, 1.0, (1.0, 1.0, 1.0), 12, 100),
    Camera("a second camera, whose noon is darker and bluer", 0.75, 1.1, (0.95, 1.0, 1.1), 16, 120),
)
# What each costs the sick program at noon's 69 %: 29 and 55 points, then 10, 19 and 8 (tiles,
# five seeds, PyTorch). The first is what the first gate asks.
EVENING = Change("late afternoon", 0.5, 1.0, (1.0, 1.0, 1.0), "the light falls")
CHANGES = (
    EVENING,
    Change("the field's light", 1.0, 1.0, (1.0, 1.0, 1.0), "the light falls by half"),
    Change("early afternoon", 0.25, 1.0, (1.0, 1.0, 1.0), "the light falls by a sixth"),
    Change("a colder light", 0.0, 1.0, (0.85, 1.0, 1.15), "the brightness stays, the colour moves"),
    Change("a brighter light", 0.0, 1.25, (1.0, 1.0, 1.0), "the light grows by a quarter"),
)
CLEAN, CHANGED = 100, 10  # windows a camera, and a camera and change
RUN = 10  # windows that one monitor sees, one after the other, in one light
# Of each run of a camera its light: 0 for the usual one, else the number of the change from 1.
LIGHTS = np.repeat(np.arange(1 + len(CHANGES)), [CLEAN // RUN] + [CHANGED // RUN] * len(CHANGES))


class Place(NamedTuple):
    """What a camera sees: reference images, and unseen ones in every light, the usual one first."""

    reference: np.ndarray
    lights: list[np.ndarray]


@lru_cache(maxsize=4)
def _places(case: Case) -> list[Place]:
    """What each camera sees. Kept, because it depends on the case alone; nobody writes to it."""

    def through(camera: Camera, images: Images) -> np.ndarray:
        return lighting_drift(images, gain=camera.gain, gamma=camera.gamma, cast=camera.cast)[
            0
        ].images

    places = []
    for camera in CAMERAS:
        pool = case.draw("test", 2 * N_REFERENCE, camera.size)
        lights = [through(camera, pool)]
        for change in CHANGES:
            lit = relight(pool, change.strength, seed=case.seed)
            lit = lighting_drift(lit, gain=change.gain, cast=change.cast)[0]
            lights.append(through(camera, lit))
        reference = through(camera, case.draw("validation", N_REFERENCE, camera.size))
        places.append(Place(reference, lights))
    return places


def _order(case: Case, number_of_place: int) -> np.ndarray:
    """In which order the runs of a camera are handed out: which light one has is not to be told."""
    return np.random.default_rng([case.seed, number_of_place, 1]).permutation(len(LIGHTS))


def unseen_windows(case: Case) -> UnseenArrays:
    """For each camera reference images, and windows by run, uint8 (runs, RUN, N, size, size, 3).

    Runs are of one length in every light, so that nothing but their images tells them apart.
    """
    arrays = {}
    for number_of_place, (camera, place) in enumerate(zip(CAMERAS, _places(case), strict=True)):
        rng = np.random.default_rng([case.seed, number_of_place])
        windows = []
        for light in np.repeat(LIGHTS, RUN):
            pool = place.lights[light]
            windows.append(pool[rng.choice(len(pool), camera.window, replace=False)])
        runs = np.stack(windows).reshape(len(LIGHTS), RUN, *windows[0].shape)
        arrays[f"{number_of_place}/reference"] = place.reference
        arrays[f"{number_of_place}/windows"] = runs[_order(case, number_of_place)]
    return UnseenArrays(arrays)


def _alarms(monitor: Callable[[np.ndarray], Any], windows: np.ndarray) -> list[bool]:
    """For which windows the monitor raises an alarm.

    Raises:
        AnswerError: it returned anything else than True or False.
    """
    alarms = []
    for window in windows:
        answer = monitor(window.copy())
        if isinstance(answer, np.ndarray) and answer.ndim == 0:
            answer = answer[()]
        if not isinstance(answer, bool | np.bool_):
            raise AnswerError(
                f"The monitor returned {type(answer).__name__} for a window; return True for an "
                "alarm and False for silence."
            )
        alarms.append(bool(answer))
    return alarms


def collect_monitor(case: Case, answer: Answer) -> dict[str, Any]:
    """Set the monitor up at two cameras; hand over its alarms on windows in unknown light."""
    asked = case.unseen(unseen_windows).arrays

    def fresh(number_of_place: int) -> Callable[[np.ndarray], Any]:
        monitor = answer.make_monitor(asked[f"{number_of_place}/reference"].copy())
        if not callable(monitor):
            raise AnswerError(
                f"`make_monitor` returned a {type(monitor).__name__}; return a function that "
                "takes a window of images and returns True or False."
            )
        return monitor

    # A fresh monitor for each run: one that remembers starts without memories of another light.
    alarms = [
        [_alarms(fresh(place), windows) for windows in asked[f"{place}/windows"]]
        for place in range(len(CAMERAS))
    ]
    dark = np.zeros((20, SIZE, SIZE, 3), np.uint8)
    return {"alarms": alarms, "black": bool(fresh(0)(dark))}


def measure_monitor(case: Case, evidence: Evidence) -> dict[str, Any]:
    """Shares of alarms on clean windows, a number a camera, and in each other light."""
    shape = (len(CAMERAS), len(LIGHTS), RUN)
    alarms = np.asarray(evidence["alarms"])
    if alarms.shape != shape or alarms.dtype != bool:
        raise EvidenceError(f"the alarms are not True or False for windows {shape}")
    false, caught = [], []
    for number_of_place, runs in enumerate(alarms):
        lights = LIGHTS[_order(case.of_unseen(), number_of_place)]
        shares = [float(runs[lights == light].mean()) for light in range(1 + len(CHANGES))]
        false.append(shares[0])
        caught.append(shares[1:])
    return {"false": false, "caught": caught}


def untouched_monitor(evidence: Evidence) -> bool:
    """The starter: silent on everything but black windows."""
    return bool(
        evidence["black"] and not np.any(evidence["false"]) and not np.any(evidence["caught"])
    )


def judge_monitor(case: Case, evidence: Evidence) -> list[Finding]:
    """Three gates: tells evening from noon, is silent at noon, notices every kind of change."""
    del case
    false = np.asarray(evidence["false"], float)
    caught = np.asarray(evidence["caught"], float)
    return [_tells(false, caught), _false_alarms(false), _misses(caught)]


def _tells(false: np.ndarray, caught: np.ndarray) -> Finding:
    difference = caught[:, 0] - false
    worst = int(difference.argmin())
    camera = CAMERAS[worst].name
    if false[worst] > 0.5 and false.min() < 0.5:
        means = (
            "Here the usual light is already an alarm, elsewhere it is not: what counts as usual "
            "does not come from the reference images that `make_monitor` is given."
        )
        look_next = "Print the numbers that your monitor compares with, for two sets of references."
    elif false[worst] > 0.5:
        means = (
            "A monitor that fires on nearly every window says nothing, however surely it fires in "
            "the evening."
        )
        look_next = (
            "Count what a window holds: pixels of one image are alike, so their number is not the "
            "number of independent observations. Does the monitor need anything but images?"
        )
    else:
        means = "The light is half-way to the field's, and no alarm tells of it."
        look_next = "Compare the monitor's numbers for one clean and one evening window."
    return TELLS.finding(
        float(difference[worst]),
        measured=f"At {camera} the monitor raises an alarm on {100 * false[worst]:.0f} % of the "
        f"clean windows and on {100 * caught[worst, 0]:.0f} % of those in the evening.",
        means=means,
        look_next=look_next,
    )


def _false_alarms(false: np.ndarray) -> Finding:
    rate = float(false.mean())
    return FALSE.finding(
        rate,
        measured=f"The monitor raises an alarm on {round(2 * CLEAN * rate)} of {2 * CLEAN} clean "
        "windows of unseen images.",
        means="Five in a hundred are wanted; the limit adds three standard deviations of chance. "
        "With an alarm for nothing every few windows, nobody comes when it matters.",
        look_next="Count how many comparisons are made on one window, and how often chance alone "
        "would make one of them stand out.",
    )


def _misses(caught: np.ndarray) -> Finding:
    place, kind = np.unravel_index(caught.argmin(), caught.shape)
    change = CHANGES[kind]
    return MISSES.finding(
        float(caught.min()),
        measured=f"In {change.name} ({change.says}) at {CAMERAS[place].name} the monitor raises "
        f"an alarm on {100 * caught[place, kind]:.0f} % of {CHANGED} windows.",
        means="This change costs the sick program accuracy as well, and what the monitor watches "
        "hardly moves with it.",
        look_next="Compute all five statistics of the instrument for this change: which of them "
        "move, and by how many standard errors of a window?",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="lighting",
        reading="distance (KS) of the live images' brightness",
        measure=brightness_distance,
        tolerance=0.03,
    ),
    Check(
        name="robustness",
        points=3,
        takes=("train_batch", "serve_batch", "build_model"),
        collect=collect_robustness,
        judge=judge_robustness,
        untouched=lambda evidence: bool(evidence["unchanged"]),
        unseen=unseen_images,
        measure=lambda case, evidence: {} if evidence["unchanged"] else _run_controls(case),
        seconds=6,
    ),
    Check(
        name="monitor",
        points=3,
        takes=("make_monitor",),
        collect=collect_monitor,
        judge=judge_monitor,
        untouched=untouched_monitor,
        unseen=unseen_windows,
        measure=measure_monitor,
        measured_inside=False,
        seconds=2,
    ),
]
