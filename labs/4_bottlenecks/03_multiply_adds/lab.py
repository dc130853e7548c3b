# ---
# title: Twenty times the work
# symptom: Two networks are right about equally often, and one of them computes twenty times as much for every image.
# minutes: 60
# difficulty: 2
# learn:
#   - read parameters and multiply-adds side by side, and know which of them costs time
#   - find the hot spot in a profiler's trace, and open the trace as a timeline
#   - cut the multiply-adds of a network without losing what it recognises
#   - write a layer whose number of operations does not depend on the map
#   - say what a compiler can and cannot do about a loop
# sources: ["000/9", "000/24", "000/27", "001/39", "002/54", "004/83", "004/84", "004/85", "004/88", "004/90", "004/91"]
# seconds: {pytorch: 45, tensorflow: 45}
# hints:
#   trace:
#     - The lines are sorted by time. Which kind of layer asks for the operation in the first one?
#     - The same line tells which layer it was. PyTorch prints the shapes that went in, TensorFlow the layer's name; compare with the rows of the table.
#     - "In PyTorch `hot_operation = \"aten::convolution_backward\"`, in TensorFlow `hot_operation = \"Conv2DBackpropFilter\"`; in both, `hot_layer = 2`."
#   diagnosis:
#     - A parameter takes room in memory once. How often is it multiplied for one image?
#     - Compare the two bars of each layer. Which layer has the longest plain bar, and what is special about its kernel and its map?
#     - "The reading is `sick_costs.hot_share`; the cause is the one that names the kernels."
#   repair:
#     - Multiply-adds of a convolution are positions x kernel height x kernel width x filters before x filters behind. Which of the five is out of proportion here?
#     - Take two steps - the first layer gives fewer positions, or fewer filters, or a smaller kernel; and nothing behind it looks at the flattened map any more.
#     - Three convolutions of 3x3, the first two with stride 2, 16 and 32 and 32 filters, each normalised, then the average over the map and a dense layer; in `train`, a rate of 0.005.
#   layer:
#     - What happens in the body of the loop is the same at every position. Which operation does it for all positions at once?
#     - Either your framework's own convolution, or its function that cuts all windows out at once, followed by one matrix product. A loop over the few positions of the kernel is fine too.
#     - "PyTorch: `F.conv2d(x, weight, stride=stride, padding=padding)`. TensorFlow: `tf.pad` on both sides, then `tf.nn.conv2d(x, weight, stride, \"VALID\")`."
# ---

# %% [markdown] story
# Somebody built a network that tells four kinds of ground apart, and it is not bad. A colleague's
# network is right about as often, and on the same machine its answers come back much sooner.
#
# The colleague asked for a list of the layers, saw a dense layer with nearly all of the parameters,
# and said: that one.

# %% images
import numpy as np

KINDS = [5, 6, 7, 9]  # meadow, orchard, residential, solar: they differ in fine structure
practice = lab.case.practice()
train_images = practice.draw_kinds("train", 480, 16, KINDS)
test_images = practice.draw_kinds("test", 1000, 16, KINDS)
kinds = len(train_images.classes)
mean = train_images.images.mean(axis=(0, 1, 2))
std = train_images.images.std(axis=(0, 1, 2))


def prepared(images):
    return lab.fw.from_images((images.images - mean) / std, lab.device)


x, y = prepared(train_images), lab.fw.from_labels(train_images.labels, lab.device)
x_unseen = prepared(test_images)
print(
    f"{len(x)} images of 16 pixels to learn from, {len(x_unseen)} that are not shown; {kinds} kinds"
)

# %% [markdown] program
# Two convolutions with kernels of 7x7 look at every pixel, each of them normalised, then comes a
# pooling. The map is flattened and goes into a hidden layer of 512. Adam runs for eight epochs, and
# its rate falls to zero along a cosine.

# %% sick-program tags=["pytorch"]
import math

import torch
from torch import nn
from torch.nn import functional as F


def build_costly(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 12, 7, padding=3),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 12, 7, padding=3),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(12 * (size // 2) ** 2, 512),
        nn.ReLU(),
        nn.Linear(512, classes),
    ).to(lab.device)


def fit(model, x, y, epochs=8, rate=0.001):
    """Train on batches of 32, the rate falling to zero; return the mean loss of every epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    steps = epochs * math.ceil(len(x) / 32)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses = []
    model.train()
    for _ in range(epochs):
        total = 0.0
        batches = torch.randperm(len(x)).split(32)
        for rows in batches:
            rows = rows.to(x.device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        losses.append(total / len(batches))
    return losses


# %% sick-program tags=["tensorflow"]
import math

import keras
import tensorflow as tf
from keras import layers


def build_costly(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(12, 7, padding="same"),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2D(12, 7, padding="same"),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(classes),
        ]
    )


def fit(model, x, y, epochs=8, rate=0.001):
    """Train on batches of 32, the rate falling to zero; return the mean loss of every epoch."""
    falling = keras.optimizers.schedules.CosineDecay(rate, epochs * math.ceil(len(x) / 32))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Compiling with XLA takes longer than these few steps.
    model.compile(optimizer=keras.optimizers.Adam(falling), loss=loss, jit_compile=False)
    # Built before, the optimizer lets Keras trace the step once, not twice.
    if model.built:
        model.optimizer.build(model.trainable_variables)
    return model.fit(x, y, batch_size=32, epochs=epochs, verbose=0).history["loss"]


# %% [markdown] sick-run-story
# Both networks see as many images; the colleague's, with fewer weights, takes larger steps. Its code
# is not printed here; its price is.


# %% sick-run
def accuracy(model):
    return (lab.fw.predict(model, x_unseen).argmax(axis=1) == test_images.labels).mean()


def price(name, model):
    parameters, adds = lab.fw.parameter_count(model), lab.fw.multiply_adds(model, x[:1])
    print(f"{name:14s}{parameters:10,d}{adds:15,d}{accuracy(model):12.0%}")
    return adds


lab.fw.set_seed(lab.seed)
sick = build_costly(16, kinds)
fit(sick, x, y)
lab.fw.set_seed(lab.seed)
colleague = lab.fw.frugal_network(16, kinds, device=lab.device)
fit(colleague, x, y, rate=0.005)
print("              parameters  multiply-adds  right on unseen images")
ratio = price("sick", sick) / price("colleague's", colleague)
print(f"an image costs {ratio:.0f} times as many multiply-adds")

# %% [markdown] costs-story
# A *multiply-add* is one product and its addition to a sum. A convolution or a dense layer consists
# of nothing else, so their number is the work that a network has with an image. It is counted by
# sending one image through a fresh network: training changes none of it, and no layer is asked for
# its settings.

# %% sick-costs
from grader.instruments import cost

sick_costs = cost.measure_costs(lab.fw, build_costly(16, kinds), x[:1])
print(cost.costs_as_text(sick_costs))

# %% signature-picture tags=["picture"]
lab.show(cost.draw_costs({"sick": sick_costs}), cost.say_costs(sick_costs))

# %% [markdown] trace-story tags=["pytorch"]
# Counting is one way to find a hot spot, the clock is another. `torch.profiler` notes every
# operation while an epoch runs. Below, its own time is added up by name and by the shapes that went
# in, and the longest come first. A convolution gets images, (N, C, H, W), and a kernel, (filters, C,
# height, width); on the way back a gradient comes before them.
#
# The cell also writes `epoch.json`, the same epoch as a timeline. Drop that file on ui.perfetto.dev,
# which reads it in the browser. For TensorBoard and its plugin `torch-tb-profiler`, give `profile`
# the argument `on_trace_ready=torch.profiler.tensorboard_trace_handler("folder")`.

# %% [markdown] trace-story tags=["tensorflow"]
# Counting is one way to find a hot spot, the clock is another. TensorFlow's profiler notes every
# operation while an epoch runs. Below, the durations are added up by name, and the longest come
# first. A name carries the layer that it belongs to, and behind the colon the operation; in front,
# TensorFlow cuts long ones short.
#
# The profiler leaves a file `plugins/profile/.../*.xplane.pb`. TensorBoard with its profiler plugin,
# `xprof`, draws it as a timeline: run `tensorboard --logdir` with the folder that the last line
# prints, and open *Profile*, then *Trace Viewer*.

# %% trace-run tags=["proof", "pytorch"]
import os
import tempfile
from pathlib import Path

os.environ["KINETO_LOG_LEVEL"] = "99"  # its notes on start, stop and missing devices

from torch.profiler import ProfilerActivity, profile

traced = build_costly(16, kinds).cpu()  # on a GPU the host only starts operations
some_x, some_y = x[:160].cpu(), y[:160].cpu()
fit(traced, some_x[:64], some_y[:64], epochs=1)  # the first steps also prepare
with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as trace:
    fit(traced, some_x, some_y, epochs=1)
events = trace.key_averages(group_by_input_shape=True)
events = sorted(events, key=lambda event: event.self_cpu_time_total, reverse=True)
for event in events[:6]:
    shapes = " ".join(str(tuple(shape)) for shape in event.input_shapes[:3])
    print(
        f"{event.self_cpu_time_total / 1000:7.1f} ms in {event.count:3d} calls  {event.key[:30]:32s}{shapes}"
    )
timeline = Path(tempfile.mkdtemp()) / "epoch.json"
trace.export_chrome_trace(str(timeline))
print("the timeline:", timeline)

# %% trace-run tags=["proof", "tensorflow"]
import re
import tempfile
from collections import Counter
from pathlib import Path

from tensorflow.tsl.profiler.protobuf import xplane_pb2

folder = Path(tempfile.mkdtemp())
with tf.device("/CPU:0"):  # on a GPU the host only starts operations
    traced = build_costly(16, kinds)
    fit(traced, x[:64], y[:64], epochs=1)  # the first steps also prepare
    with tf.profiler.experimental.Profile(str(folder)):
        traced.fit(x[:160], y[:160], batch_size=32, verbose=0)
space = xplane_pb2.XSpace()
space.ParseFromString(next(folder.rglob("*.xplane.pb")).read_bytes())
milliseconds, calls = Counter(), Counter()
for plane in space.planes:
    for line in plane.lines:
        for event in line.events:
            name = plane.event_metadata[event.metadata_id].name
            name = name.removeprefix("StatefulPartitionedCall/")
            # An operation of the graph is "name:type"; a call of a graph contains the others.
            if re.fullmatch(r"[\w./-]+:\w+", name) and not name.endswith("PartitionedCall"):
                milliseconds[name] += event.duration_ps / 1e9
                calls[name] += 1
print("convolutions:", [part.name for part in traced.layers if isinstance(part, layers.Conv2D)])
for name, duration in milliseconds.most_common(6):
    print(f"{duration:7.1f} ms in {calls[name]:3d} calls  {name[-88:]}")
print("for TensorBoard:", folder)

# %% [markdown] trace-question
# ## Name the hot spot
#
# Read the first line of the trace. Set `hot_operation` to the name of its operation, as it is
# printed, and `hot_layer` to the layer it belongs to: the number of a row in the table above, from 1
# to 4.

# %% trace tags=["answer", "pytorch"]
hot_operation = ...
hot_layer = ...
### BEGIN SOLUTION
hot_operation = "aten::convolution_backward"
hot_layer = 2
### END SOLUTION

# %% trace tags=["answer", "tensorflow"]
hot_operation = ...
hot_layer = ...
### BEGIN SOLUTION
hot_operation = "Conv2DBackpropFilter"
hot_layer = 2
### END SOLUTION

# %% check-trace tags=["check"]
lab.check("trace")

# %% [markdown] diagnosis-question
# ## What is paid for?
#
# | `cause` | what it would mean |
# |---|---|
# | `"dense-layer"` | The hidden layer behind the flattened map holds the parameters, and they cost. |
# | `"wide-kernels"` | Kernels of 7x7, with all their filters, meet every pixel at full resolution. |
# | `"too-deep"` | There are too many layers. |
# | `"slow-loading"` | The network waits for its images. |
# | `"optimizer"` | Adam keeps two numbers for every parameter and updates them all. |
# | `"activations"` | ReLU and pooling take the time. |
#
# Name the cause, and read off which share of the multiply-adds the layer computes that computes
# most, between 0 and 1.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "wide-kernels"
reading = sick_costs.hot_share
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## Pay an eighth
#
# Two functions are measured. `build_model(size, classes)` returns a fresh model that gives logits.
# `train(model, x, y)` trains it in place; `x` is standardised. Any design will do, as long as one
# image costs at most an eighth of the multiply-adds. The rate below suits the sick network; one with
# fewer weights may want larger steps.
#
# A convolution costs positions of the map x height x width of the kernel x channels before x filters
# behind. A dense layer costs inputs x outputs.
#
# The check looks at four things in turn. What does one image cost? Are the training images learned?
# Are unseen images recognised about as well as by the colleague's? And is the training, price times
# images shown, at most a quarter of the sick one's?


# %% repair tags=["answer", "pytorch"]
def build_model(size, classes):
    model = build_costly(size, classes)
    ### BEGIN SOLUTION
    # A quarter, then a sixteenth of the positions; 3x3; and an average instead of the flattened map.
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, classes),
    ).to(lab.device)
    ### END SOLUTION
    return model


def train(model, x, y):
    rate = 0.001
    ### BEGIN SOLUTION
    rate = 0.005  # fewer weights, larger steps
    ### END SOLUTION
    return fit(model, x, y, rate=rate)


# %% repair tags=["answer", "tensorflow"]
def build_model(size, classes):
    model = build_costly(size, classes)
    ### BEGIN SOLUTION
    # A quarter, then a sixteenth of the positions; 3x3; and an average instead of the flattened map.
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, strides in ((16, 2), (32, 2), (32, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    ### END SOLUTION
    return model


def train(model, x, y):
    rate = 0.001
    ### BEGIN SOLUTION
    rate = 0.005  # fewer weights, larger steps
    ### END SOLUTION
    return fit(model, x, y, rate=rate)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# The same picture with the repair in between, the images that no program has seen, and the clock:
# how long a network takes for all of them, the median of seven times.

# %% proof tags=["proof"]
import time


def median_ms(work, repeats=7):
    """Median duration of a call, in milliseconds, after one call that is not counted."""
    work()
    durations = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        durations.append(time.perf_counter() - start)
    return 1000 * float(np.median(durations))


lab.fw.set_seed(lab.seed)
repaired = build_model(16, kinds)
train(repaired, x, y)
repaired_costs = cost.measure_costs(lab.fw, repaired, x[:1])
lab.show(
    cost.draw_costs({"sick": sick_costs, "repaired": repaired_costs}),
    cost.say_costs(repaired_costs),
)
before = median_ms(lambda: lab.fw.predict(sick, x_unseen))
after = median_ms(lambda: lab.fw.predict(repaired, x_unseen))
fewer = sick_costs.all_multiply_adds / repaired_costs.all_multiply_adds
print(f"right on unseen images: sick {accuracy(sick):.0%}, repaired {accuracy(repaired):.0%}")
print(
    f"multiply-adds: {fewer:.1f} times fewer; time on this machine: {before / after:.1f} times less"
)

# %% [markdown] resolution-story
# ## What do resolution and depth cost?
#
# Both designs for images of other sizes, then stacks of convolutions 3x3 with 16 filters at full
# resolution. Nothing is trained.

# %% resolution tags=["proof"]
print("pixels     sick: parameters  multiply-adds     repaired: parameters  multiply-adds")
for size in (8, 16, 32, 64):
    one = lab.fw.from_images(np.zeros((1, size, size, 3)), lab.device)
    row = [
        number
        for model in (build_costly(size, kinds), build_model(size, kinds))
        for number in (lab.fw.parameter_count(model), lab.fw.multiply_adds(model, one))
    ]
    print(f"{size:6d}{row[0]:21,d}{row[1]:15,d}{row[2]:25,d}{row[3]:15,d}")


# %% depth tags=["proof", "pytorch"]
def stack(depth):
    parts, channels = [], 3
    for _ in range(depth):
        parts += [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()]
        channels = 16
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, kinds)]
    return nn.Sequential(*parts).to(lab.device)


# %% depth tags=["proof", "tensorflow"]
def stack(depth):
    model = keras.Sequential([keras.Input((16, 16, 3))])
    for _ in range(depth):
        model.add(layers.Conv2D(16, 3, padding="same", activation="relu"))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(kinds))
    return model


# %% depth-table tags=["proof"]
print("layers     parameters  multiply-adds     time for 200 images")
for depth in (2, 4, 8, 16):
    deep = stack(depth)
    ms = median_ms(lambda m=deep: lab.fw.predict(m, x_unseen[:200]), repeats=3)
    parameters, adds = lab.fw.parameter_count(deep), lab.fw.multiply_adds(deep, x[:1])
    print(f"{depth:6d}{parameters:15,d}{adds:15,d}{ms:21.1f} ms")

# %% [markdown] resolution-reading
# In the first table the side doubles from row to row, and the multiply-adds of a convolution grow
# fourfold, whoever built it. The parameters of kernels stay the same; those of a layer behind a
# flattened map grow with the map. In the second table each further layer adds the same again, in
# both columns. That is one more reason why the two columns of a model summary must not be mistaken
# for each other.
#
# ## The same work twice
#
# *"Print the accuracy of every batch."* It is easily written with a second pass through the network.
# Below, one training step of your network without and with it, counted.

# %% twice tags=["proof", "pytorch"]
from torch.utils.flop_counter import FlopCounterMode


def step(model, again):
    logits = model(x[:32])
    F.cross_entropy(logits, y[:32]).backward()
    if again:
        with torch.no_grad():
            logits = model(x[:32])
    return (logits.argmax(dim=1) == y[:32]).float().mean()


for said, again in (("the logits at hand", False), ("a second pass", True)):
    with FlopCounterMode(display=False) as counter:
        step(build_model(16, kinds), again)
    print(f"accuracy from {said:20s}{counter.get_total_flops() // 2:12,d} multiply-adds a step")

# %% twice tags=["proof", "tensorflow"]
entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def graph_of_a_step(model, again):
    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = entropy(labels, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        if again:
            logits = model(images, training=False)
        return gradients, keras.metrics.sparse_categorical_accuracy(labels, logits)

    return step.get_concrete_function(x[:32], y[:32]).graph


for said, again in (("the logits at hand", False), ("a second pass", True)):
    steps = graph_of_a_step(build_model(16, kinds), again).get_operations()
    products = [operation for operation in steps if re.search("Conv|MatMul|Einsum", operation.type)]
    print(f"accuracy from {said:20s}{len(products):3d} convolutions and matrix products a step")

# %% [markdown] twice-story tags=["pytorch"]
# A training step costs about three passes, one there and two back, so one more is about a third on
# top. The logits of the step are at hand: use `logits.detach()`, and one pass over the validation
# images in each epoch.

# %% [markdown] twice-story tags=["tensorflow"]
# A training step costs about three passes, one there and two back, so one more is about a third on
# top. `metrics=["accuracy"]` uses the logits of the step; a callback that evaluates the training
# images does not.

# %% [markdown] advice
# ## Where advice and measurement part
#
# *"Fewer parameters make it faster."* Below are two networks for photographs of 256 pixels, as they
# are found in an answer on the web about slow networks: kernels of 7, 5 and 3 with 128, 256 and 512
# filters, and kernels of 3 with 32, 64 and 128. Each convolution is followed by a pooling.


# %% photographs tags=["proof", "pytorch"]
def three_convolutions(filters, kernels):
    layers, channels = [], 3
    for count, kernel in zip(filters, kernels, strict=True):
        layers += [nn.Conv2d(channels, count, kernel, padding="same"), nn.ReLU(), nn.MaxPool2d(2)]
        channels = count
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 32 * 32, 10)).to(lab.device)


# %% photographs tags=["proof", "tensorflow"]
def three_convolutions(filters, kernels):
    model = keras.Sequential([keras.Input((256, 256, 3))])
    for count, kernel in zip(filters, kernels, strict=True):
        model.add(layers.Conv2D(count, kernel, padding="same", activation="relu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(10))
    return model


# %% photographs-table tags=["proof"]
photograph = lab.fw.from_images(np.zeros((1, 256, 256, 3)), lab.device)
large = three_convolutions((128, 256, 512), (7, 5, 3))
small = three_convolutions((32, 64, 128), (3, 3, 3))
large_costs, small_costs = (
    cost.measure_costs(lab.fw, model, photograph) for model in (large, small)
)
ms = [median_ms(lambda m=m: lab.fw.predict(m, photograph), repeats=1) for m in (large, small)]
print(f"parameters:    {large_costs.all_parameters / small_costs.all_parameters:5.1f} times fewer")
print(
    f"multiply-adds: {large_costs.all_multiply_adds / small_costs.all_multiply_adds:5.1f} times fewer"
)
print(f"time:          {ms[0] / ms[1]:5.1f} times less on this machine")
print(cost.say_costs(small_costs))

# %% [markdown] separable-story
# Parameters would have promised less than a fifth of what the multiply-adds do. What is left of them
# sits in the last layer, which computes next to nothing.
#
# *"Use depthwise separable convolutions, they need an eighth of the work."* Below are three layers
# with 64 filters before and behind, on a map of 32 x 32, each against a convolution of 3x3. How many
# times fewer multiply-adds, and how many times less time?

# %% separable tags=["proof", "pytorch"]
plain = nn.Conv2d(64, 64, 3, padding=1)
others = {
    "separable: 3x3 in each, then 1x1": nn.Sequential(
        nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.Conv2d(64, 64, 1)
    ),
    "bottleneck: 1x1 to 16, 3x3, 1x1": nn.Sequential(
        nn.Conv2d(64, 16, 1), nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 64, 1)
    ),
    "stride 2": nn.Conv2d(64, 64, 3, stride=2, padding=1),
}


# %% separable tags=["proof", "tensorflow"]
def of_maps(*stack):
    return keras.Sequential([keras.Input((32, 32, 64)), *stack])


plain = of_maps(layers.Conv2D(64, 3, padding="same"))
others = {
    "separable: 3x3 in each, then 1x1": of_maps(layers.SeparableConv2D(64, 3, padding="same")),
    "bottleneck: 1x1 to 16, 3x3, 1x1": of_maps(
        layers.Conv2D(16, 1), layers.Conv2D(16, 3, padding="same"), layers.Conv2D(64, 1)
    ),
    "stride 2": of_maps(layers.Conv2D(64, 3, strides=2, padding="same")),
}

# %% separable-table tags=["proof"]
maps = lab.fw.from_images(np.zeros((8, 32, 32, 64)))
adds, clock = lab.fw.multiply_adds(plain, maps), median_ms(lambda: lab.fw.predict(plain, maps))
rows = {
    name: (
        adds / lab.fw.multiply_adds(model, maps),
        clock / median_ms(lambda m=model: lab.fw.predict(m, maps)),
    )
    for name, model in others.items()
}
said = "; ".join(
    f"{name}: {fewer:.1f} times fewer multiply-adds, {less:.1f} times less time"
    for name, (fewer, less) in rows.items()
)
lab.show(cost.draw_times(rows), said + ".")

# %% [markdown] layer-story
# Read the two bars of each layer together. The kernel of a depthwise convolution reads a number from
# memory for every few that it multiplies, so it waits for memory, and the saving on paper is seldom the
# saving on the clock. Multiply-adds tell you where to look. The clock tells you what you got.
#
# ## The second patient: a layer of one's own
#
# Somebody wanted to understand convolutions, wrote one as the formula says, and left it in the
# network. It is right, and it has the same multiply-adds as the framework's. It is not the same
# work: each turn of the loop starts operations of its own.

# %% [markdown] loop-story tags=["pytorch"]
# `x` are maps, (N, C, H, W), and `weight` are kernels, (filters, C, height, width).

# %% [markdown] loop-story tags=["tensorflow"]
# `x` are maps, (N, H, W, C), and `weight` are kernels, (height, width, C, filters).


# %% loop tags=["pytorch"]
def loop_layer(x, weight, stride, padding):
    """A convolution, one position of the map after the other."""
    x = F.pad(x, (padding, padding, padding, padding))
    height, width = weight.shape[2:]
    rows = (x.shape[2] - height) // stride + 1
    columns = (x.shape[3] - width) // stride + 1
    lines = []
    for row in range(rows):
        line = []
        for column in range(columns):
            top, left = row * stride, column * stride
            window = x[:, :, top : top + height, left : left + width]
            line.append((window[:, None] * weight).sum(dim=(2, 3, 4)))
        lines.append(torch.stack(line, dim=2))
    return torch.stack(lines, dim=2)


# %% loop tags=["tensorflow"]
def loop_layer(x, weight, stride, padding):
    """A convolution, one position of the map after the other."""
    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    height, width = weight.shape[:2]
    rows = (x.shape[1] - height) // stride + 1
    columns = (x.shape[2] - width) // stride + 1
    lines = []
    for row in range(rows):
        line = []
        for column in range(columns):
            top, left = row * stride, column * stride
            window = x[:, top : top + height, left : left + width, :]
            line.append(tf.tensordot(window, weight, axes=3))
        lines.append(tf.stack(line, axis=1))
    return tf.stack(lines, axis=1)


# %% loop-run
loop_operations = cost.measure_operations(lab.fw, loop_layer)
for positions, count in zip(loop_operations.positions, loop_operations.operations, strict=True):
    print(f"{positions:4d} positions: {count:5d} operations")

# %% loop-picture tags=["picture"]
lab.show(cost.draw_operations({"sick": loop_operations}), cost.say_operations(loop_operations))

# %% [markdown] layer-question
# ## All positions at once
#
# Write `layer(x, weight, stride, padding)`: the same outputs and the same gradients as `loop_layer`,
# for any sides, strides and paddings, in float32 and in float64. The number of the framework's
# operations that a call executes must not grow with the map. How you do it is up to you; the check
# counts, and does not look at the clock.

# %% [markdown] layer-note tags=["pytorch"]
# Operations are counted below everything that Python does, where PyTorch hands each of them to a
# kernel. A function under `torch.compile` is run as it is written; the end of this notebook looks at
# the compiler.

# %% [markdown] layer-note tags=["tensorflow"]
# Operations are counted where TensorFlow executes each of them. A `tf.function` is run as it is
# written; the end of this notebook looks at the compiler. One thing to mind: `padding="SAME"` is
# not a number. It adds what the map, the kernel and the stride need together, and with stride 2 that
# may be one row below and none above.

# %% layer tags=["answer", "pytorch"]
layer = loop_layer
### BEGIN SOLUTION


def layer(x, weight, stride, padding):
    return F.conv2d(x, weight, stride=stride, padding=padding)


### END SOLUTION


# %% layer tags=["answer", "tensorflow"]
layer = loop_layer
### BEGIN SOLUTION


def layer(x, weight, stride, padding):
    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return tf.nn.conv2d(x, weight, stride, "VALID")


### END SOLUTION


# %% check-layer tags=["check"]
lab.check("layer")

# %% [markdown] layer-proof-story
# The same count for both, and the clock on sixteen of the unseen images, with a kernel of 3x3.

# %% layer-proof tags=["proof"]
own_operations = cost.measure_operations(lab.fw, layer)
lab.show(
    cost.draw_operations({"sick": loop_operations, "repaired": own_operations}),
    cost.say_operations(own_operations),
)

# %% layer-clock tags=["proof", "pytorch"]
kernel = torch.randn(8, 3, 3, 3)
some = x_unseen[:16].cpu()

# %% layer-clock tags=["proof", "tensorflow"]
kernel = tf.random.normal((3, 3, 3, 8))
some = x_unseen[:16]

# %% layer-clock-print tags=["proof"]
largest = np.abs(
    lab.fw.to_numpy(layer(some, kernel, 1, 1)) - lab.fw.to_numpy(loop_layer(some, kernel, 1, 1))
).max()
slow = median_ms(lambda: loop_layer(some, kernel, 1, 1), repeats=3)
quick = median_ms(lambda: layer(some, kernel, 1, 1), repeats=3)
print(
    f"largest difference {largest:.1e}; loop {slow:.1f} ms, layer {quick:.2f} ms: {slow / quick:.0f} times"
)

# %% [markdown] ways-story
# ## Three ways without a loop
#
# All windows can be cut out at once, so that one product of matrices does the rest. The windows can
# keep their axes, and `einsum` is told which of them are summed. Or the framework has the operation.
# Below, the three of them over odd sides, strides and paddings, each against the loop.

# %% ways tags=["proof"]
for name, way in lab.fw.layer_ways().items():
    executed = cost.measure_operations(lab.fw, way).operations[-1]
    clock = median_ms(lambda w=way: w(some, kernel, 1, 1), repeats=3)
    print(f"{name}: {executed} operations, {clock:.2f} ms")
    for dtype in ("float32", "float64"):
        apart = cost.measure_agreement(lab.fw, way, loop_layer, dtype)
        print(
            "    {}: outputs differ by {:.0e} of the largest, gradients by {:.0e} (images) and "
            "{:.0e} (weights)".format(dtype, *apart)
        )

# %% [markdown] ways-reading
# float32 keeps about seven digits and float64 about sixteen. Differences in the last of them come
# from the order in which a sum is taken. What distinguishes the ways is memory: the windows hold a
# pixel once for each window that it is in, with a kernel of 3x3 up to nine times.

# %% [markdown] compile-story tags=["pytorch"]
# ## "Just compile it"
#
# `torch.compile` reads the Python code, writes down the operations as a graph, and compiles that.
# A loop over positions becomes as many nodes as it has turns. Below, a backend that compiles
# nothing counts the graphs it is given and their nodes; this needs no compiler. Then the default
# backend, on a map of 2 x 2, which needs one.

# %% [markdown] compile-story tags=["tensorflow"]
# ## "Just compile it"
#
# `tf.function` runs the Python code once, writes down the operations as a graph, and executes that
# from then on. A loop over positions becomes as many nodes as it has turns. A map of another size is
# traced anew, and so is another stride, as a number of Python is part of the graph. With
# `jit_compile=True` the graph is compiled by XLA as well.

# %% compile tags=["proof", "pytorch"]
import logging

logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # its note on CUDA
graphs = []


def counting(graph, inputs):
    graphs.append(len(graph.graph.nodes))
    return graph.forward


traced_loop = torch.compile(loop_layer, backend=counting)
for side in (4, 6, 8):
    traced_loop(torch.randn(2, 3, side, side), kernel, 1, 1)
    print(f"map {side} x {side}: graph number {len(graphs)}, {graphs[-1]} nodes")
traced_layer, before = torch.compile(layer, backend=counting), len(graphs)
for side in (4, 6, 8):
    traced_layer(torch.randn(2, 3, side, side), kernel, 1, 1)
print(f"the layer without a loop, all three: {len(graphs) - before} graphs, {graphs[-1]} nodes")

tiny = torch.randn(2, 3, 2, 2)
try:
    torch.compiler.reset()
    compiled = torch.compile(loop_layer)
    start = time.perf_counter()
    compiled(tiny, kernel, 1, 1)
    first = time.perf_counter() - start
    later, by_hand = (median_ms(lambda f=f: f(tiny, kernel, 1, 1)) for f in (compiled, layer))
    print(
        f"compiled loop: {first:.1f} s for the first call, then {later:.3f} ms; layer {by_hand:.3f} ms"
    )
except Exception as error:
    # A machine without a C++ compiler, or one that this version of PyTorch cannot use.
    print(f"the default backend does not work here ({type(error).__name__}); the loop stays a loop")

# %% compile tags=["proof", "tensorflow"]
tiny = tf.random.normal((2, 4, 4, 3))
for said, options in (("tf.function", {}), ("with jit_compile", {"jit_compile": True})):
    compiled = tf.function(loop_layer, **options)
    try:
        start = time.perf_counter()
        compiled(tiny, kernel, 1, 1)
        first = time.perf_counter() - start
        later, by_hand = (median_ms(lambda f=f: f(tiny, kernel, 1, 1)) for f in (compiled, layer))
    except tf.errors.OpError as error:
        print(f"{said}: does not work here ({type(error).__name__})")
        continue
    print(f"{said}: {first:.1f} s for the first call, then {later:.3f} ms; layer {by_hand:.3f} ms")

retraced = tf.function(loop_layer)
for side, stride in ((4, 1), (6, 1), (8, 1), (8, 2)):
    shown = tf.random.normal((2, side, side, 3))
    nodes = len(retraced.get_concrete_function(shown, kernel, stride, 1).graph.get_operations())
    traces = retraced.experimental_get_tracing_count()
    print(f"map {side} x {side}, stride {stride}: trace number {traces}, {nodes} nodes")

# %% [markdown] compile-reading
# Once compiled, the loop on so small a map may be as quick as the layer. The first call pays for
# that, the number of nodes grows with the map, and another size of map is another graph. Write the
# layer without the loop first; then compiling may gain something on top.
#
# None of this makes the compiled loop wrong. It is the reason why the check counts the operations of
# the code that you wrote, and not those that a compiler makes of it.

# %% [markdown] modes-story tags=["pytorch"]
# ## Where a graph ends
#
# Two functions do the same with the layer's maps. The first asks for a number in the middle, and
# Python decides with it; the second stays in tensors. How many graphs does the compiler get?

# %% [markdown] modes-story tags=["tensorflow"]
# ## Three ways to run a step
#
# Keras runs a whole training step in one of three ways. With `run_eagerly=True` Python starts every
# operation of every step, which is what a debugger needs. As a rule, the step is a `tf.function`.
# `jit_compile=True` compiles that function. Below, your network for twenty steps in each way, with a
# loss that counts how often Python comes by. Where every run has to give the same numbers, as in this
# course, Keras declines to compile a step; a single function was compiled above.


# %% modes tags=["proof", "pytorch"]
def asks_for_a_number(maps):
    maps = layer(maps, kernel, 1, 1)
    if maps.abs().max() > 100:
        maps = maps / 100
    return F.relu(maps)


def stays_in_tensors(maps):
    maps = layer(maps, kernel, 1, 1)
    return F.relu(torch.where(maps.abs().max() > 100, maps / 100, maps))


for function in (asks_for_a_number, stays_in_tensors):
    torch.compiler.reset()
    graphs.clear()
    agrees = torch.allclose(torch.compile(function, backend=counting)(tiny), function(tiny))
    print(f"{function.__name__:18s}{len(graphs)} graphs, {sum(graphs)} nodes; same maps: {agrees}")

# %% modes tags=["proof", "tensorflow"]
import warnings

for said, options in (
    ("run_eagerly=True", {"run_eagerly": True, "jit_compile": False}),
    ("tf.function", {"jit_compile": False}),
    ("jit_compile=True", {"jit_compile": True}),
):
    visits = []

    def watched(labels, logits, visits=visits):
        visits.append(1)
        return entropy(labels, logits)

    model = build_model(16, kinds)
    with warnings.catch_warnings(action="ignore"):  # the next lines say the same
        model.compile(optimizer="adam", loss=watched, **options)
    if options["jit_compile"] and not model.jit_compile:
        print(f"{said:18s}declined by Keras, as operations are set to be deterministic here")
        continue
    durations = []
    try:
        for _ in range(4):
            start = time.perf_counter()
            model.fit(x[:160], y[:160], batch_size=32, verbose=0)
            durations.append(time.perf_counter() - start)
    except tf.errors.OpError as error:
        print(f"{said:18s}does not work here ({type(error).__name__})")
        continue
    print(
        f"{said:18s}Python ran the loss {len(visits):2d} times; first 5 steps {durations[0]:.1f} s, "
        f"then {1000 * float(np.median(durations[1:])) / 5:.1f} ms a step"
    )

traces = []


@tf.function
def scaled(image, by):
    traces.append(by)
    return image * by


for by in (1, 2, 3):
    scaled(tiny, by)
print(f"a number of Python, three values: {len(traces)} traces")
traces.clear()
for by in (1.0, 2.0, 3.0):
    scaled(tiny, tf.constant(by))
print(f"a tensor, three values: {len(traces)} trace")

# %% [markdown] modes-reading tags=["pytorch"]
# A graph ends where Python needs a number; it is fetched, Python decides, and another graph begins.
# On a GPU that is a wait as well. The compiler takes both, and with fewer pieces it can do more.

# %% [markdown] modes-reading tags=["tensorflow"]
# Python comes by when a step is traced, and in every step only when it runs eagerly. The last two
# lines count the traces of one function. A number of Python is part of the trace, so that a rate or
# a stride that changes costs a new one; a tensor is an input.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# The ranking changes. Tensor cores multiply matrices in half precision many times faster than the
# rest of the chip computes anything else, so plain convolutions gain, and depthwise ones, which wait
# for memory, hardly do. `torch.autocast("cuda", dtype=torch.bfloat16)`, channels in multiples of
# eight and `model.to(memory_format=torch.channels_last)` are what they ask for. Every operation is a
# launch of its own, some microseconds long: a loop over positions is a queue of launches, and the
# GPU is idle between them. `torch.profiler` shows it with `ProfilerActivity.CUDA`.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# The ranking changes. Tensor cores multiply matrices in half precision many times faster than the
# rest of the chip computes anything else, so plain convolutions gain, and depthwise ones, which wait
# for memory, hardly do. `keras.mixed_precision.set_global_policy("mixed_float16")` and channels in
# multiples of eight are what they ask for. Every operation is a launch of its own, some microseconds
# long: a loop over positions is a queue of launches, and the GPU is idle between them.
# `jit_compile=True`, which Keras sets by itself where it can, fuses what lies between two
# convolutions into one launch.

# %% [markdown] read-on
# ## Read on
#
# - V. Sze, Y. Chen, T. Yang and J. Emer, *Efficient Processing of Deep Neural Networks* (2017): why
#   neither parameters nor multiply-adds alone tell the price.
# - K. Simonyan and A. Zisserman, *Very Deep Convolutional Networks* (2015), section 2.3: stacks of
#   3x3 in place of 7x7.
# - A. Howard and others, *MobileNets* (2017): depthwise separable convolutions, counted.
# - N. Ma, X. Zhang, H. Zheng and J. Sun, *ShuffleNet V2* (2018): where multiply-adds and time part.
# - M. Lin, Q. Chen and S. Yan, *Network In Network* (2014): the average over the map in place of
#   the dense layer.
