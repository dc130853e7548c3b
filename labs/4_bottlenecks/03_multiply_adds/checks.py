"""Multiply-adds: where is the time, what does one image cost, and does a layer scale?"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from grader.checks import Answer, AnswerError, Case, Check, Diagnosis, Finding, Threshold
from grader.checks.check import Evidence
from grader.checks.predictions import predict_both_ways, share_right, share_right_at_best
from grader.checks.verdict import number
from grader.datasets import Images
from grader.instruments.cost import Costs, measure_costs, measure_operations

SIZE, N_TRAIN, N_TEST = 16, 480, 1600
KINDS = (5, 6, 7, 9)  # meadow, orchard, residential, solar: they differ in fine structure
EPOCHS, BATCH = 8, 32  # of the sick program
RATE = 0.005  # of the colleague's
PEERS = 2  # trainings of the colleague's network, of which the mean counts
FEW = 64  # images with which two trainings are compared

CAUSES = {
    "wide-kernels": "A weight of a kernel is multiplied at every position of the map. Kernels of "
    "7x7 on the full resolution are few weights, each of them used 256 times an image.",
    "dense-layer": "The dense layer holds nearly all parameters. Each of them is multiplied once "
    "an image, so that it computes a small part of what the whole model computes.",
    "too-deep": "Four layers multiply, and one of them computes two thirds of everything. Their "
    "number is not what is paid for.",
    "slow-loading": "The images lie in memory as one array. The trace lists convolutions at its "
    "top; nothing in it reads or waits.",
    "optimizer": "The optimizer works once a step on every parameter, whatever the batch. The "
    "multiply-adds are paid for every image, forward and twice again on the way back.",
    "activations": "An activation or a pooling does one operation for a number that a convolution "
    "needed hundreds of multiply-adds to compute.",
}

# Named as in a diagnosis, so that a wrong name is answered without "at least 1".
OPERATION = Threshold("cause", 1, "at least")
HOT_LAYER = Threshold("multiply-adds of the layer, share of the largest", 1, "at least")

# Limits of 20 seeds in each framework (`grader calibrate`). The price is a count, the same for all
# seeds, and its limit is the task: an eighth. On unseen images the worst right answer came .96 of
# the way, the best wrong one .77. Right trainings take .12 of the multiply-adds at most, the one
# that spends again what it saved .28. The growth is a count as well: 1 for a layer that does not
# depend on the map, 2 for a loop over its rows, 4 for one over its positions, when the map's sides
# are doubled. Rounding leaves outputs and gradients .5 powers of ten above the dtype's resolution
# at most, float32 in place of float64 leaves them 8.4 above.
PRICE = Threshold("multiply-adds, share of the sick model's", 1 / 8, "at most")
LEARNS = Threshold("training accuracy, share of the way to the colleague's", 0.5, "at least")
UNSEEN = Threshold("unseen accuracy, share of the way to the colleague's", 0.83, "at least")
WORK = Threshold("multiply-adds of the training, share of the sick program's", 0.25, "at most")

GROWTH = Threshold("operations on twice the side, times those before", 1.4, "at most")
OUTPUT = Threshold("error of the outputs, power of ten of the resolution", 3, "at most")
OF_IMAGES = Threshold("error of the images' gradient, power of ten of the resolution", 3, "at most")
OF_WEIGHTS = Threshold(
    "error of the weights' gradient, power of ten of the resolution", 3, "at most"
)


# ---- the trace -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2)
def _costs_of_the_sick(case: Case, classes: int = len(KINDS)) -> Costs:
    assert case.fw is not None
    sick = case.fw.costly_network(SIZE, classes, device=case.device)
    one = case.fw.from_images(np.zeros((1, SIZE, SIZE, 3)), case.device)
    return measure_costs(case.fw, sick, one)


def collect_trace(case: Case, answer: Answer) -> dict[str, Any]:
    """What was named, and what every layer computes: counts, which no machine changes."""
    operation, layer = answer.hot_operation, answer.hot_layer
    if operation is Ellipsis and layer is Ellipsis:
        return {"untouched": True}
    if not isinstance(operation, str):
        raise AnswerError(
            f"`hot_operation` is a {type(operation).__name__}; give the name that the trace "
            "prints, as a text."
        )
    adds = _costs_of_the_sick(case).multiply_adds
    if not isinstance(layer, int | np.integer) or not 1 <= layer <= len(adds):
        raise AnswerError(
            f"`hot_layer` is {layer!r}; give the number of a row of the table, 1 to {len(adds)}."
        )
    return {"untouched": False, "operation": operation, "layer": int(layer)}


def judge_trace(case: Case, evidence: Evidence) -> list[Finding]:
    """Two gates: the kind of operation, which is called otherwise on other machines; the layer."""
    operation, layer, adds = evidence["operation"], evidence["layer"], evidence["adds"]
    share = adds[layer - 1] / max(adds)
    return [
        OPERATION.finding(
            float("conv" in operation.lower()),
            measured=f"You named {operation!r}.",
            means="The lines are sorted by the time that was spent in the operation itself, and "
            "another one stands above it.",
            look_next="Run the trace once more and read its first line: which kind of layer asks "
            "for that operation?",
        ),
        HOT_LAYER.finding(
            share,
            measured=f"Layer {layer} computes {number(share)} times what the layer that computes "
            "most does.",
            means="The first line also tells which layer asked: by the shapes that went in, or by "
            "the layer's name.",
            look_next="Compare that line with the rows of the table above.",
        ),
    ]


# ---- diagnosis -----------------------------------------------------------------------------------


def hot_share(case: Case) -> float:
    """Share of the sick model's multiply-adds in the layer that computes most."""
    return _costs_of_the_sick(case).hot_share


# ---- the network ---------------------------------------------------------------------------------


@functools.lru_cache(maxsize=8)
def _draw(case: Case, split: str, n: int) -> Images:
    return case.draw_kinds(split, n, SIZE, KINDS)


def unseen_images(case: Case) -> Images:
    """The images that the trained models are asked about."""
    return _draw(case, "test", N_TEST)


def collect_repair(case: Case, answer: Answer) -> dict[str, Any]:
    """Count the fresh model; train and ask it only where its price is right."""
    fw = case.fw
    assert fw is not None
    train = _draw(case, "train", N_TRAIN)
    classes = len(train.classes)
    x = fw.from_images(train.standardised(), case.device)

    fw.set_seed(case.seed)
    model = answer.build_model(SIZE, classes)
    if not fw.is_model(model):
        raise AnswerError(
            f"`build_model` returned a {type(model).__name__}; return a fresh model that gives "
            "one logit for each class."
        )
    outputs = fw.predict(model, x[:BATCH])
    if outputs.shape != (BATCH, classes):
        raise AnswerError(
            f"The model gives outputs of shape {outputs.shape} for {BATCH} images; give one logit "
            f"for each of the {classes} classes."
        )
    sick = _costs_of_the_sick(case, classes)
    evidence: dict[str, Any] = {
        "untouched": False,
        "price": fw.multiply_adds(model, x[:1]) / sick.all_multiply_adds,
        "size": fw.parameter_count(model) / sick.all_parameters,
        "entered": 0,
        "seen": [],
        "unseen": [],
    }
    # What does not pass here is not trained: the price of a training is what it would be about.
    if not PRICE.holds(evidence["price"]):
        evidence["untouched"] = _same_program(case, answer, model, train)
        return evidence
    passes = fw.count_passes(model) if fw.parameter_count(model) else None
    shapes = [a.shape for a in fw.get_state(model)]
    fw.set_seed(case.seed)
    # Images of their own, in case the learner's code works in place.
    own = fw.from_images(train.standardised(), case.device)
    answer.train(model, own, fw.from_labels(train.labels, case.device))
    evidence["entered"] = passes().total if passes else 0
    if [a.shape for a in fw.get_state(model)] != shapes:
        raise AnswerError("`train` changed the shapes of the weights; train the model it is given.")
    x_unseen = fw.from_images(case.unseen(unseen_images).standardised(train), case.device)
    evidence["seen"] = predict_both_ways(fw, model, x)
    evidence["unseen"] = predict_both_ways(fw, model, x_unseen)
    return evidence


def measure_repair(case: Case, evidence: Evidence) -> dict[str, Any]:
    """What the colleague's network says, where the answer was trained."""
    return _of_the_peers(case) if evidence["seen"] else {"peers_seen": [], "peers_unseen": []}


@functools.lru_cache(maxsize=1)
def _of_the_peers(case: Case) -> dict[str, list[np.ndarray]]:
    """What the colleague's network says after each training; kept for the next answer."""
    fw = case.fw
    assert fw is not None
    train, unseen = _draw(case, "train", N_TRAIN), case.unseen(unseen_images)
    x = fw.from_images(train.standardised(), case.device)
    asked = np.concatenate([train.standardised(), unseen.standardised(train)])
    logits = []
    for n in range(PEERS):
        fw.set_seed(case.seed + n)
        peer = fw.frugal_network(SIZE, len(train.classes), device=case.device)
        logits += list(
            fw.outputs_after_training(
                peer, [(x, train.labels)], fw.from_images(asked, case.device),
                steps=EPOCHS * len(train.labels) // BATCH, batch_size=BATCH,
                learning_rate=RATE, seed=case.seed + n,
            )
        )  # fmt: skip
    said = [given.argmax(axis=1) for given in logits]
    return {
        "peers_seen": [classes[: len(train.labels)] for classes in said],
        "peers_unseen": [classes[len(train.labels) :] for classes in said],
    }


def _same_program(case: Case, answer: Answer, model: Any, train: Images) -> bool:
    """True when model and training are the sick ones: same weights after the same few images."""
    fw = case.fw
    assert fw is not None
    fw.set_seed(case.seed)
    sick = fw.costly_network(SIZE, len(train.classes), device=case.device)
    if not _same(fw.get_state(model), fw.get_state(sick)):
        return False
    few = fw.from_images(train.take(FEW).standardised(train), case.device)
    labels = fw.from_labels(train.labels[:FEW], case.device)
    before = fw.get_state(model)
    fw.set_seed(case.seed)
    answer.train(model, few, labels)
    after = fw.get_state(model)
    # The sick training moves every weight, and adds none.
    if len(after) != len(before) or any(map(np.array_equal, before, after)):
        return False
    fw.set_seed(case.seed)
    answer.fit(sick, few, labels)
    return _same(after, fw.get_state(sick))


def _same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return [a.shape for a in one] == [a.shape for a in other] and all(
        np.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(one, other, strict=True)
    )


def judge_repair(case: Case, evidence: Evidence) -> list[Finding]:
    """Four gates: the price of an image, training images, unseen images, the price of training."""
    train = _draw(case, "train", N_TRAIN)
    return [
        _priced(evidence),
        _learned(evidence, train),
        _recognised(evidence, unseen_images(case.of_unseen()), train),
        _worked(evidence, len(train)),
    ]


def _priced(evidence: Evidence) -> Finding:
    price, size = evidence["price"], evidence["size"]
    measured = (
        f"One image costs {number(price)} times the multiply-adds of the sick model; the "
        f"parameters are {number(size)} times its."
    )
    if abs(price - 1) < 1e-3:
        means = (
            "The model computes what it computed. Fewer images, fewer epochs or no gradient leave "
            "the price of an image where it was, and a lower price is what was asked for."
        )
    elif price > 1:
        means = "The model computes more than before."
    elif size < price:
        means = (
            "More parameters went than multiply-adds. A parameter counts once in the memory, and "
            "in the time as often as it is used: at every position of the map."
        )
    else:
        means = "Some of the multiply-adds are gone, and too many are left."
    return PRICE.finding(
        price,
        measured=measured,
        means=means,
        look_next="Print the table for your model. Which row has most multiply-adds now, and which "
        "factors is that number the product of?",
    )


def _share(evidence: Evidence, name: str, images: Images) -> tuple[float, float, float]:
    """Share of the way from guessing to the colleague's accuracy, and the two accuracies."""
    if not evidence[name]:
        return math.nan, math.nan, math.nan
    reached = share_right_at_best(evidence[name], images.labels)
    of_peers = [share_right(classes, images.labels) for classes in evidence[f"peers_{name}"]]
    peer = sum(of_peers) / len(of_peers)
    guessing = 1 / len(images.classes)
    share = (reached - guessing) / (peer - guessing) if peer > guessing else math.nan
    return share, reached, peer


def _learned(evidence: Evidence, images: Images) -> Finding:
    share, reached, peer = _share(evidence, "seen", images)
    return LEARNS.finding(
        share,
        measured=f"After training, the model is right on {100 * reached:.0f} % of the training "
        f"images, the colleague's on {100 * peer:.0f} %; guessing gives "
        f"{100 / len(images.classes):.0f} %.",
        means="It is cheap, and it does not learn what it is shown: it lacks what it takes to tell "
        "the kinds apart, or it was hardly trained.",
        look_next="Watch the training loss, and ask which differences between the images are still "
        "there where the first weights meet them.",
    )


def _recognised(evidence: Evidence, images: Images, train: Images) -> Finding:
    share, reached, peer = _share(evidence, "unseen", images)
    seen = _share(evidence, "seen", train)[1]
    if seen - reached < 0.05:
        means = (
            "It is right about as often on the images that it was trained with, so it has not "
            "learned yet what they show: a network of another size may want larger steps."
        )
        look_next = "Print the loss of every epoch, and train with a rate a few times as large."
    else:
        means = (
            "What was saved was needed. Resolution that is thrown away before the first weights, "
            "or a model without a window over neighbouring pixels, is cheap and sees less."
        )
        look_next = (
            "Keep the first layer at the image's resolution or at half of it, and save in the "
            "kernel, in the filters and behind them; then measure again."
        )
    return UNSEEN.finding(
        share,
        measured=f"The model is right on {100 * reached:.0f} % of the unseen images, the "
        f"colleague's on {100 * peer:.0f} %.",
        means=means,
        look_next=look_next,
    )


def _worked(evidence: Evidence, images: int) -> Finding:
    entered = evidence["entered"] / (EPOCHS * images)
    return WORK.finding(
        evidence["price"] * entered,
        measured=f"The training shows the model {number(entered)} times as many images as the "
        f"sick program's, at {number(evidence['price'])} times the price of each.",
        means="An image is cheap, and what was saved is spent again on more of them.",
        look_next="Compare the accuracy on unseen images after as many epochs as before.",
    )


# ---- the layer -----------------------------------------------------------------------------------


class Job(NamedTuple):
    """One call of the layer: (N, H, W, C) images, (height, width, C, outputs) weights."""

    images: tuple[int, int, int, int]
    weight: tuple[int, int, int, int]
    stride: int
    padding: int
    dtype: str

    @property
    def said(self) -> str:
        """The job in words."""
        return (
            f"{self.images[1]} x {self.images[2]} pixels, a kernel of {self.weight[0]} x "
            f"{self.weight[1]}, stride {self.stride}, padding {self.padding}, {self.dtype}"
        )


# Odd and even sides, strides that do not divide, kernels that are no squares, one position only.
JOBS = (
    Job((2, 7, 9, 3), (3, 3, 3, 4), 1, 1, "float32"),
    Job((2, 8, 8, 2), (3, 3, 2, 3), 2, 1, "float64"),
    Job((1, 8, 5, 2), (5, 3, 2, 3), 2, 2, "float32"),
    Job((3, 6, 6, 1), (2, 2, 1, 2), 2, 0, "float64"),
    Job((2, 10, 7, 3), (3, 1, 3, 1), 3, 1, "float64"),
    Job((1, 5, 11, 4), (1, 1, 4, 2), 2, 0, "float32"),
    Job((2, 4, 5, 2), (4, 5, 2, 3), 1, 0, "float32"),
)
SIDES = (6, 12)  # of the maps on which operations are counted


def _drawn(case: Case) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images, weights, and what the outputs are multiplied with for the gradients, of each job."""
    generator = np.random.default_rng(case.seed)
    drawn = []
    for job in JOBS:
        height, width = (
            (side + 2 * job.padding - kernel) // job.stride + 1
            for side, kernel in zip(job.images[1:3], job.weight[:2], strict=True)
        )
        shapes = job.images, job.weight, (job.images[0], height, width, job.weight[3])
        x, weight, towards = (generator.standard_normal(s).astype(job.dtype) for s in shapes)
        drawn.append((x, weight, towards))
    return drawn


def collect_layer(case: Case, answer: Answer) -> dict[str, Any]:
    """Count operations on two maps; try every job only where they do not grow."""
    fw = case.fw
    assert fw is not None
    if not callable(answer.layer):
        raise AnswerError(
            f"`layer` is a {type(answer.layer).__name__}; define a function "
            "`layer(x, weight, stride, padding)`."
        )
    counted = measure_operations(fw, answer.layer, SIDES)
    evidence: dict[str, Any] = {
        "operations": counted.operations,
        "growth": counted.growth,
        "loop": [],
        "untouched": False,
        "trials": [],
    }
    if not GROWTH.holds(counted.growth):
        evidence["loop"] = measure_operations(fw, answer.loop_layer, SIDES).operations
        evidence["untouched"] = answer.layer is answer.loop_layer
        return evidence
    for job, (x, weight, towards) in zip(JOBS, _drawn(case), strict=True):
        trial = fw.layer_trial(answer.layer, x, weight, towards, job.stride, job.padding)
        if trial["output"] is None:
            raise AnswerError(
                f"`layer` returned a {trial['kind']}; return the map that the loop returns, as one "
                "of your framework's tensors."
            )
        evidence["trials"].append(trial)
    return evidence


def convolution(
    x: np.ndarray, weight: np.ndarray, towards: np.ndarray, stride: int, padding: int
) -> dict[str, np.ndarray]:
    """What the layer should give, in float64: the output, and the gradients of output x towards.

    One step for each position of the kernel; (N, H, W, C), (height, width, C, outputs).
    """
    x, weight, towards = (array.astype(np.float64) for array in (x, weight, towards))
    around = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = np.pad(x, around)
    rows, columns = towards.shape[1:3]
    output = np.zeros_like(towards)
    of_padded, of_weight = np.zeros_like(padded), np.zeros_like(weight)
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            met = (
                slice(None),
                slice(i, i + rows * stride, stride),
                slice(j, j + columns * stride, stride),
            )

            part = padded[met]
            output += part @ weight[i, j]
            of_weight[i, j] = np.einsum("nhwc,nhwo->co", part, towards)
            of_padded[met] += towards @ weight[i, j].T
    height, width = x.shape[1:3]
    of_x = of_padded[:, padding : padding + height, padding : padding + width]
    return {"output": output, "x": of_x, "weight": of_weight}


def _power(values: Any, truth: np.ndarray, dtype: str) -> float:
    """Largest error, over the largest value and the dtype's resolution, as a power of ten."""
    if values is None:
        return math.inf
    given = np.asarray(values, dtype=np.float64)
    if given.shape != truth.shape or not np.isfinite(given).all():
        return math.inf
    error = np.abs(given - truth).max() / (np.abs(truth).max() * np.finfo(dtype).eps)
    return math.log10(max(float(error), 0.1))


def judge_layer(case: Case, evidence: Evidence) -> list[Finding]:
    """Four gates: operations, outputs, the gradient of the images, the gradient of the weights."""
    truths = [
        convolution(*drawn, job.stride, job.padding)
        for job, drawn in zip(JOBS, _drawn(case), strict=True)
    ]
    return [
        _scales(evidence),
        _gives(evidence, truths),
        _passes_back(OF_IMAGES, "x", "images", evidence, truths),
        _passes_back(OF_WEIGHTS, "weight", "weights", evidence, truths),
    ]


def _scales(evidence: Evidence) -> Finding:
    few, many = evidence["operations"]
    measured = (
        f"One call executes {few} operations for a map of {SIDES[0]} x {SIDES[0]} and {many} for "
        f"{SIDES[1]} x {SIDES[1]}"
    )
    if len(evidence["loop"]):
        measured += "; the loop executes {} and {}".format(*evidence["loop"])
    if [few, many] == list(evidence["loop"]):
        means = (
            "As many as in the loop: a wrapper or a compiler around it leaves the loop in place, "
            "written out position by position, and written out anew for every size of map."
        )
    elif evidence["growth"] < 2.5:
        means = "One of the two loops over the map is left, over its rows or over its columns."
    else:
        means = "Something is still done for every position of the map in turn."
    return GROWTH.finding(
        evidence["growth"],
        measured=f"{measured}.",
        means=means,
        look_next="Look for what happens at all positions alike, and ask which operation takes the "
        "whole map at once.",
    )


def _worst(
    limit: Threshold, name: str, evidence: Evidence, truths: list[dict[str, np.ndarray]]
) -> tuple[int, float]:
    """The first job that fails, or the worst of them, and its power of ten; NaN untried."""
    powers = [
        math.inf
        if name == "output" and (trial["dtype"] != job.dtype or trial["changed"])
        else _power(trial[name], truth[name], job.dtype)
        for job, trial, truth in zip(JOBS, evidence["trials"], truths, strict=False)
    ]
    if not powers:
        return 0, math.nan
    worst = max(powers)
    first = next((n for n, p in enumerate(powers) if not limit.holds(p)), powers.index(worst))
    return first, worst


def _gives(evidence: Evidence, truths: list[dict[str, np.ndarray]]) -> Finding:
    which, worst = _worst(OUTPUT, "output", evidence, truths)
    job, measured, means = JOBS[which], "The outputs were not measured.", ""
    if evidence["trials"]:
        trial, truth = evidence["trials"][which], truths[which]["output"]
        shape = np.shape(trial["output"])
        measured = f"For {job.said}, the outputs differ from the loop's."
        means = "Stride, padding or the order of the weights is another one than in the loop."
        if trial["changed"]:
            measured = f"For {job.said}, the layer writes into the arrays that it was given."
            means = "Whoever calls it finds other images, or other weights, than before."
        elif shape != truth.shape:
            measured = (
                f"For {job.said}, the output has the shape {_as_map(shape)}; the loop's has "
                f"{_as_map(truth.shape)}."
            )
            means = "Stride, padding or the two sides of map and kernel enter in another way."
        elif trial["dtype"] != job.dtype:
            measured = f"For {job.said}, the output is {trial['dtype']}."
            means = "A layer that changes the dtype changes it for everything behind it."
        elif worst < 12 and job.dtype == "float64":
            means += " Or float32 was used on the way, which keeps seven digits of sixteen."
    return OUTPUT.finding(
        worst,
        measured=measured,
        means=means,
        look_next="Compare with the loop on a map of a few pixels with stride 2, number by number.",
    )


def _as_map(shape: tuple[int, ...]) -> str:
    if len(shape) != 4:
        return " x ".join(str(n) for n in shape) or "of a single number"
    return f"{shape[1]} x {shape[2]} with {shape[3]} filters for {shape[0]} images"


def _passes_back(
    limit: Threshold,
    name: str,
    said: str,
    evidence: Evidence,
    truths: list[dict[str, np.ndarray]],
) -> Finding:
    which, worst = _worst(limit, name, evidence, truths)
    none = bool(evidence["trials"]) and evidence["trials"][which][name] is None
    return limit.finding(
        worst,
        measured=f"For {JOBS[which].said}, "
        + (
            f"no gradient arrives at the {said}."
            if none
            else f"the gradient of the {said} differs from the loop's."
        ),
        means="The outputs are right and the layer cannot be trained: it left the framework's own "
        "operations on its way, or cut the graph."
        if none
        else "The way back is another one than the way there.",
        look_next="Follow the numbers from argument to result: does each step have a gradient?",
    )


CHECKS = [
    Check(
        name="trace",
        points=2,
        takes=("hot_operation", "hot_layer"),
        collect=collect_trace,
        judge=judge_trace,
        untouched=lambda evidence: bool(evidence["untouched"]),
        measure=lambda case, evidence: {"adds": _costs_of_the_sick(case).multiply_adds},
        measured_inside=False,
        seconds=1,
        when_passed="The operation and the layer are those that compute most.",
    ),
    Diagnosis(
        causes=CAUSES,
        cause="wide-kernels",
        reading="share of the multiply-adds in the layer that computes most, 0 to 1",
        measure=hot_share,
        tolerance=0.02,
    ),
    Check(
        name="repair",
        points=4,
        takes=("build_model", "train", "fit"),
        collect=collect_repair,
        judge=judge_repair,
        untouched=lambda evidence: bool(evidence["untouched"]),
        unseen=unseen_images,
        measure=measure_repair,
        seconds=5,
    ),
    Check(
        name="layer",
        points=4,
        takes=("layer", "loop_layer"),
        collect=collect_layer,
        judge=judge_layer,
        untouched=lambda evidence: bool(evidence["untouched"]),
        seconds=2,
        when_passed="Outputs and gradients agree with the loop's on maps you have not seen.",
    ),
]
