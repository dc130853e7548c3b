"""Input scale: does training start where guessing starts, learn, and serve what it learned?"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.predictions import share_right
from grader.checks.verdict import number
from grader.datasets import Images
from grader.instruments.input_scale import doublings, guessing_loss, measure_scale

SIZE, N_TRAIN, N_TEST = 16, 512, 500
STEPS, BATCH, LEARNING_RATE = 300, 32, 0.02
LAST = 20  # steps whose losses are averaged into "the loss at the end"
SAME = 8  # images that both paths prepare, together and one by one

CAUSES = {
    "learning-rate": "A step that is too long shows from the second batch on. The first batch is "
    "measured before any step is taken.",
    "input-scale": "The values that reach the first layer are many times larger than those its "
    "initial weights are made for, and so is what comes out.",
    "labels": "An untrained network has not seen a label; wrong ones leave the first loss near "
    "the loss of guessing and only keep it there.",
    "too-few-images": "Too few images show as a gap between training and unseen images. Here the "
    "training images themselves are not learned.",
    "initial-weights": "The weights are drawn for inputs with a standard deviation near 1. Look at "
    "the standard deviation that they meet.",
    "serving": "Training and serving prepare an image alike here, and training fails by itself.",
}

# Limits from 20 seeds of every answer in both frameworks; see calibration/.
START = Threshold("first batch, doublings from guessing", 0.4, "at most", "doublings away")
LEARNS = Threshold("fall of the loss, share of the healthy control's", 0.5, "at least")
PARITY = Threshold(
    "one image prepared two ways, difference in standard deviations", 1e-3, "at most"
)
SERVED = Threshold("accuracy served, share of the way from sick to healthy", 0.5, "at least")


def first_loss(case: Case) -> float:
    """Loss of the sick program's first batch, in nats, as the training loop reports it."""
    train = case.draw("train", N_TRAIN, SIZE)
    return float(_train(case, _control(case, train), train.images, train.labels, steps=1)[0])


def _control(case: Case, train: Images) -> Any:
    """The sick program's model with fresh weights; a healthy program has the same one."""
    assert case.fw is not None
    case.fw.set_seed(case.seed)
    return case.fw.plain_cnn(SIZE, len(train.classes))


def _train(
    case: Case, model: Any, images: np.ndarray, labels: np.ndarray, *, steps: int = STEPS
) -> np.ndarray:
    """Train a control in place on images of any scale; the losses."""
    assert case.fw is not None
    return _train_prepared(
        case, model, case.fw.from_images(images), labels, steps=steps, rate=LEARNING_RATE
    )


def _train_prepared(
    case: Case, model: Any, x: Any, labels: np.ndarray, *, steps: int, rate: float
) -> np.ndarray:
    assert case.fw is not None
    case.fw.set_seed(case.seed)
    return case.fw.train(
        model, x, labels, steps=steps, batch_size=BATCH, learning_rate=rate, seed=case.seed
    )


def _prepare(fw: Any, function: Callable[[np.ndarray], Any], images: np.ndarray) -> np.ndarray:
    """What the learner's function makes of uint8 images, on the host.

    Raises:
        AnswerError: no array, another number of images, or values that are not finite.
    """
    name = getattr(function, "__name__", "the function")
    prepared = fw.to_numpy(function(images.copy()))
    if prepared.dtype == object or prepared.ndim == 0 or len(prepared) != len(images):
        raise AnswerError(
            f"`{name}` returned {getattr(prepared, 'shape', type(prepared).__name__)} for "
            f"{len(images)} images; return one prepared image for each."
        )
    if not np.isfinite(prepared.astype(np.float64)).all():
        raise AnswerError(f"`{name}` returned values that are not finite.")
    return prepared


def _in_parts(fw: Any, function: Callable[[np.ndarray], Any], images: np.ndarray) -> np.ndarray:
    # Batches, as training and serving see them; a whole set would hide statistics of the batch.
    starts = range(0, len(images), 64)
    return np.concatenate([_prepare(fw, function, images[i : i + 64]) for i in starts])


def _fresh_model(case: Case, answer: Answer, classes: int, seed: int) -> Any:
    fw = case.fw
    assert fw is not None
    fw.set_seed(seed)
    model = answer.build_model(SIZE, classes)
    if not fw.is_model(model):
        raise AnswerError(
            f"`build_model` returned a {type(model).__name__}; "
            "return a fresh model that gives logits."
        )
    return model


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of two preparations in standard deviations of the wider one.

    NaN where their shapes differ.
    """
    if a.shape != b.shape:
        return math.nan
    a, b = a.astype(np.float64), b.astype(np.float64)
    largest = float(np.abs(a - b).max())
    return largest / max(float(a.std()), float(b.std()), 1e-12) if largest else 0.0


def unseen_images(case: Case) -> Images:
    """The images that the trained models are asked about."""
    return case.draw("test", N_TEST, SIZE)


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """Prepare, start fresh models, train one, serve unseen images."""
    rate = answer.learning_rate
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise AnswerError(f"`learning_rate` is {rate!r}; give a positive number.")
    train, test = case.draw("train", N_TRAIN, SIZE), case.unseen(unseen_images)
    return {
        "classes": len(train.classes),
        "learning_rate": float(rate),
        **_compare_paths(case, answer, test.images[:SAME]),
        **_run_answer(case, answer, train, test.images),
    }


def _compare_paths(case: Case, answer: Answer, images: np.ndarray) -> dict[str, Any]:
    fw = case.fw
    assert fw is not None
    trained = _prepare(fw, answer.train_batch, images)
    together = _prepare(fw, answer.serve_batch, images)
    alone = [_prepare(fw, answer.serve_batch, images[i : i + 1]) for i in range(len(images))]
    raw = fw.to_numpy(fw.from_images(images))
    return {
        "unchanged": bool(np.array_equal(trained, raw) and np.array_equal(together, raw)),
        "train_serve": _difference(trained, together),
        "alone_together": _difference(together, np.concatenate(alone)),
    }


def _run_answer(case: Case, answer: Answer, train: Images, unseen: np.ndarray) -> dict[str, Any]:
    fw = case.fw
    assert fw is not None
    classes = len(train.classes)
    x = _in_parts(fw, answer.train_batch, train.images)
    # Three draws of the initial weights: how far a raw input throws the first loss depends on them.
    models = [_fresh_model(case, answer, classes, case.seed + i) for i in range(3)]
    first = [fw.loss(m, x[:64], train.labels[:64], training=True) for m in models]
    reaching = fw.entering_first_layer(models[0], x[:64])
    scale = measure_scale(x[:64] if reaching is None else reaching)
    losses = _train_prepared(
        case, models[0], x, train.labels, steps=STEPS, rate=float(answer.learning_rate)
    )
    outputs = fw.predict(models[0], _in_parts(fw, answer.serve_batch, unseen))
    if outputs.shape != (len(unseen), classes):
        raise AnswerError(
            f"The model gives outputs of shape {outputs.shape} for {len(unseen)} images; give one "
            f"logit for each of the {classes} classes."
        )
    return {
        "first_losses": first,
        "mean": scale.middle,
        "spread": scale.spread,
        "commonest": scale.commonest,
        "end": float(np.mean(losses[-LAST:])),
        "predicted": outputs.argmax(axis=1),
    }


@lru_cache(maxsize=4)
def _run_controls(case: Case) -> dict[str, Any]:
    """The sick and the healthy program under the same circumstances.

    Kept, because they depend on the case alone: measuring a second answer need not train them
    again.
    """
    train, unseen = case.draw("train", N_TRAIN, SIZE), case.unseen(unseen_images).images
    fw = case.fw
    assert fw is not None
    sick, healthy = _control(case, train), _control(case, train)
    first = fw.loss(sick, fw.from_images(train.images[:64]), train.labels[:64], training=True)
    _train(case, sick, train.images, train.labels)
    losses = _train(case, healthy, train.images / 255, train.labels)
    return {
        "sick_first_loss": first,
        "healthy_end": float(np.mean(losses[-LAST:])),
        "sick": fw.predict(sick, fw.from_images(unseen)).argmax(axis=1),
        "healthy": fw.predict(healthy, fw.from_images(unseen / 255)).argmax(axis=1),
    }


def untouched_repair(evidence: Evidence) -> bool:
    """The starter: raw values on both paths, the sick model's own first loss, the given rate."""
    return bool(
        evidence["unchanged"]
        and evidence["learning_rate"] == LEARNING_RATE
        and math.isclose(evidence["first_losses"][0], evidence["sick_first_loss"], rel_tol=1e-4)
    )


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Four gates: where training starts, what it learns, whether serving agrees, what is served."""
    return [
        _start(evidence),
        _learns(evidence),
        _agrees(evidence),
        _serves(evidence, unseen_images(case.of_unseen()).labels),
    ]


def _start(evidence: Evidence) -> Finding:
    classes = evidence["classes"]
    distances = [doublings(loss, classes) for loss in evidence["first_losses"]]
    middle = sorted(zip(distances, evidence["first_losses"], strict=True))[1]
    reaches = (
        f"What reaches the first layer has mean {number(evidence['mean'])} and standard deviation "
        f"{number(evidence['spread'])}."
    )
    if evidence["learning_rate"] != LEARNING_RATE:
        means = f"No step has been taken yet, so no learning rate can change this. {reaches}"
    else:
        means = f"No training has happened yet: only values and initial weights meet. {reaches}"
    return START.finding(
        middle[0],
        measured=f"The first batch costs {number(middle[1])} nats before any step (the middle one "
        f"of three fresh models); guessing among {classes} classes costs "
        f"{number(guessing_loss(classes))}.",
        means=means,
        look_next="Measure mean and standard deviation again, of what `train_batch` returns and of "
        "what reaches the first layer.",
    )


def _learns(evidence: Evidence) -> Finding:
    guessing = guessing_loss(evidence["classes"])
    share = (guessing - evidence["end"]) / (guessing - evidence["healthy_end"])
    same, spread = evidence["commonest"], evidence["spread"]
    if same > 0.9:
        means = (
            f"{100 * same:.0f} % of the values that reach the first layer are one and the same "
            "number, so the images can hardly be told apart."
        )
    elif spread < 0.05:
        means = (
            f"What reaches the first layer has a standard deviation of only {number(spread)}; "
            "gradients of the first layer are as small as the values they are multiplied by."
        )
    elif evidence["learning_rate"] < LEARNING_RATE / 5:
        means = (
            f"The input starts well, but with a learning rate of "
            f"{number(evidence['learning_rate'])} these {STEPS} steps lead nowhere."
        )
    else:
        means = "Training starts where it should and then does not learn what the images show."
    return LEARNS.finding(
        share,
        measured=f"After {STEPS} steps the training loss is {number(evidence['end'])}; that of a "
        f"healthy control is {number(evidence['healthy_end'])}.",
        means=means,
        look_next="Look at the histogram of what reaches the first layer: its width, and how many "
        "different values there are.",
    )


def _agrees(evidence: Evidence) -> Finding:
    between, among = evidence["train_serve"], evidence["alone_together"]
    # NaN means two different shapes.
    if not between <= PARITY.limit:
        measured = (
            f"The same {SAME} images differ by up to {number(between)} standard deviations between "
            "`train_batch` and `serve_batch`."
            if math.isfinite(between)
            else "`train_batch` and `serve_batch` return different shapes for the same images."
        )
        means = "The network is served other numbers than those it was trained on."
        look_next = "Print mean, standard deviation and range of both for the same images."
    else:
        measured = (
            f"One image, served alone, differs by up to {number(among)} standard deviations from "
            f"the same image served among {SAME}."
        )
        means = "What an image becomes depends on its neighbours in the batch."
        look_next = "Find out from which images each number in the preparation is computed."
    return PARITY.finding(
        math.nan if math.isnan(between) or math.isnan(among) else max(between, among),
        measured=measured,
        means=means,
        look_next=look_next,
    )


def _serves(evidence: Evidence, labels: np.ndarray) -> Finding:
    served, sick, healthy = (
        share_right(evidence[name], labels) for name in ("predicted", "sick", "healthy")
    )
    return SERVED.finding(
        (served - sick) / (healthy - sick) if healthy > sick else math.nan,
        measured=f"On unseen images the served model is right on {100 * served:.0f} %; the sick "
        f"control on {100 * sick:.0f} %, a healthy one on {100 * healthy:.0f} %.",
        means="The training loss falls, but the served model does not know what was learned: "
        "between training and serving, something inside the model changes.",
        look_next="Measure what reaches the first layer twice, with the model in training and in "
        "evaluation mode.",
    )


CHECKS = [
    Diagnosis(
        causes=CAUSES,
        cause="input-scale",
        reading="loss of the first batch, in nats",
        measure=first_loss,
        tolerance=0.03,
    ),
    Check(
        name="repair",
        points=4,
        takes=("learning_rate", "train_batch", "serve_batch", "build_model"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=untouched_repair,
        unseen=unseen_images,
        measure=lambda case, evidence: _run_controls(case),
        seconds=4,
    ),
]
