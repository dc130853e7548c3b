# ---
# title: Killed without a message
# symptom: Memory grows with every step, until the system ends the program without a word; a smaller batch changes little.
# minutes: 45
# difficulty: 2
# learn:
#   - count the bytes of a program's tensors, and tell a high peak from a rising floor
#   - know what keeps the layers of a forward pass alive, and what does not
#   - hold images in the type they have, and convert a batch at a time
#   - stay below a cap by portions, by recomputing, or by shorter numbers, and keep the gradient
# sources: ["000/26", "002/64", "003/79", "004/87", "004/92", "004/93"]
# seconds: {pytorch: 12, tensorflow: 25}
# hints:
#   diagnosis:
#     - The peaks are all equally high, measured from where they start. What about the places between two peaks?
#     - Divide the rise of a step by the bytes that one layer has for the unseen images. How many layers are kept?
#     - The cause is what is kept for a backward pass that never comes; `reading = sick.growth / 1e6`.
#   repair:
#     - Ask of everything that is stored, what else does it hold on to? And of the images, how many different values does a pixel have?
#     - A look at unseen images needs no gradient, so nothing has to be recorded during it, and a number is all that has to be stored after it.
#     - "PyTorch: `with torch.no_grad()` around the look, and `.item()`. TensorFlow: no tape around the look, and `float(loss)`. In both, `prepare` returns the whole numbers, and a batch is converted and divided by 255 in the step."
#   fit:
#     - What is live at the peak is images, times layers, times bytes of a value. One of the three has to become smaller.
#     - In portions, the gradient of the mean over 33 images is a sum over portions of (images in the portion / 33) times the gradient of the portion's mean.
#     - "Take 8 images at a time, multiply each portion's mean loss by len(part) / len(x), and add up the gradients. PyTorch does so by itself when `backward()` is called for each portion."
# ---

# %% [markdown] story
# A training runs well for twenty minutes. Then it is gone: no traceback, no error, only the word
# *Killed*. Somebody halves the batch, and it is gone after nearly as many steps. They add a call of the
# garbage collector to every step, which makes it slow, and rent a machine with twice the memory, which
# buys twenty minutes more.
#
# **What you have.** Four kinds of ground, 16 pixels wide, and a network of twelve convolutions that
# all keep the full size. After every step the program notes its loss on a few unseen images.
#
# **What you do.** Find out what grows, and stop it. Then make a step fit under a cap without changing
# its gradient.

# %% images
import numpy as np


def four_kinds(images):
    """Coast, forest, meadow and residential, numbered 0 to 3."""
    kept = np.isin(images.labels, [0, 2, 5, 7])
    return images.images[kept], np.searchsorted([0, 2, 5, 7], images.labels[kept])


images, y = four_kinds(lab.draw("train", 1000, 16))
labels = lab.fw.from_labels(y, lab.device)
unseen_images, unseen_y = four_kinds(lab.draw("validation", 80, 16))
unseen = lab.fw.from_images(unseen_images[:32] / 255, lab.device)
unseen_labels = lab.fw.from_labels(unseen_y[:32], lab.device)
order = np.random.default_rng(lab.seed).integers(0, len(images), size=(12, 8))


def build_network():
    """Twelve convolutions of 8 filters, a mean over places, a dense layer; always the same weights."""
    return lab.fw.even_stack(16, 4, seed=lab.seed, device=lab.device)


print(f"{len(images)} images to learn from, {len(unseen)} unseen, {len(order)} steps")

# %% [markdown] program tags=["pytorch"]
# `sick_prepare` makes what stays in memory for the whole training. `sick_train` takes a step for each
# row of `order`, and returns the losses on the unseen images, to be drawn afterwards.

# %% [markdown] program tags=["tensorflow"]
# `sick_prepare` makes what stays in memory for the whole training. `sick_train` takes a step for each
# row of `order`, and returns the losses on the unseen images, to be drawn afterwards. Each look is
# stored with its tape, so that somebody can ask later on which layer's gradient had grown when the
# curve jumped. The loop is written without `tf.function`, as one does to be able to look inside.
#
# In PyTorch this program would not need the tape to fall ill: there a loss carries its graph along. In
# TensorFlow a loss is a number, and what a gradient needs is in the tape.

# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.nn import functional as F


def sick_prepare(images):
    return torch.from_numpy(images / 255.0).permute(0, 3, 1, 2)


def sick_look(model, x, labels):
    return F.cross_entropy(model(x), labels)


def sick_train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = data[rows].float().to(labels.device)
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        losses.append(sick_look(model, unseen, unseen_labels))
    return losses


# %% sick-program tags=["tensorflow"]
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import layers

mean_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Look(NamedTuple):
    loss: Any
    tape: Any = None


def sick_prepare(images):
    return tf.constant(images / 255.0)


def sick_look(model, x, labels):
    with tf.GradientTape(persistent=True) as tape:
        loss = mean_loss(labels, model(x, training=False))
    return Look(loss, tape)


def sick_train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    looks = []
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        looks.append(sick_look(model, unseen, unseen_labels))
    return [look.loss for look in looks]


# %% [markdown] sick-run-story
# The instrument counts. After every operation it adds up the bytes of all tensors that are alive,
# those of the weights and of what the program was given left out; NumPy's arrays are no tensors. What
# the system says of a process depends on how much its allocator keeps for later; this number depends on
# the program alone, and is the same on every machine.

# %% sick-run
from grader.instruments import memory

model = build_network()
data = sick_prepare(images)
sick, sick_losses = memory.measure_memory(
    lab.fw,
    model,
    lambda: sick_train(model, data, labels, order, unseen, unseen_labels),
    steps=len(order),
    given=[data, labels, unseen, unseen_labels],
)
first, last = (float(lab.fw.to_numpy(sick_losses[i])) for i in (0, -1))
del sick_losses
print(f"loss on unseen images: {first:.3f} after the first step, {last:.3f} after the last")
layer_bytes = 32 * 16 * 16 * 8 * 4  # images, places, filters, bytes of a value
print(f"one layer has {layer_bytes / 1e6:.2f} MB for the 32 unseen images")

# %% signature-picture tags=["picture"]
lab.show(memory.draw_memory({"the sick program": sick}), memory.say_memory(sick))

# %% [markdown] diagnosis-question
# ## What grows?
#
# | `cause` | what it would mean |
# |---|---|
# | `"kept-for-backward"` | What a backward pass would need is kept, step after step, for a backward pass that never comes. |
# | `"batch-too-large"` | A step's batch is too large for the machine. |
# | `"float64-images"` | The images are held with eight bytes a value. |
# | `"uncollected-garbage"` | Tensors that nobody needs wait for the garbage collector. |
# | `"caching-allocator"` | The allocator does not hand freed memory back. |
# | `"optimizer-averages"` | The optimizer keeps an average for every weight. |
#
# Name the cause, and read off by how many megabytes the floor rises with every step. One megabyte is
# 10⁶ bytes.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "kept-for-backward"
reading = sick.growth / 1e6
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% long-run tags=["proof"]
print(f"after 20,000 steps: {20_000 * sick.growth / 1e9:.0f} GB")
print(f"the images themselves: {images.nbytes / 1e6:.2f} MB")
print(f"as `sick_prepare` holds them: {lab.fw.bytes_of(data) / 1e6:.2f} MB")

# %% [markdown] repair-question
# ## Give back what nobody needs
#
# The last line above is a second fault. The picture leaves out what the program was given, and so it
# does not show that every image is held with eight bytes a value.
#
# Repair both. `prepare(images)` gets whole numbers from 0 to 255, uint8 of shape (N, H, W, 3), and
# returns what stays in memory, as an array, a tensor, or several. `train(...)` gets that, takes one
# step for every row of `order`, and returns the losses on the unseen images, one for each step. The
# network eats values from 0 to 1.
#
# The check looks at five things in turn. Does the floor still rise? How many bytes are held between
# two steps, compared with those of the images? (Up to three times are allowed; floats of four bytes
# are four times.) How high is the peak, compared with that of a training that keeps numbers only? (A
# third more is allowed.) Do the weights go the same way as before? Are the losses those of the same
# looks?


# %% repair tags=["answer", "pytorch"]
def prepare(images):
    data = torch.from_numpy(images / 255.0).permute(0, 3, 1, 2)
    ### BEGIN SOLUTION
    data = torch.from_numpy(images).permute(0, 3, 1, 2)
    ### END SOLUTION
    return data


def look(model, x, labels):
    ### BEGIN SOLUTION
    with torch.no_grad():
        return F.cross_entropy(model(x), labels).item()
    ### END SOLUTION
    return F.cross_entropy(model(x), labels)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = data[rows].float().to(labels.device)
        ### BEGIN SOLUTION
        x = x / 255
        ### END SOLUTION
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels[rows]).backward()
        optimizer.step()
        losses.append(look(model, unseen, unseen_labels))
    return losses


# %% repair tags=["answer", "tensorflow"]
def prepare(images):
    data = tf.constant(images / 255.0)
    ### BEGIN SOLUTION
    data = tf.constant(images)
    ### END SOLUTION
    return data


def look(model, x, labels):
    ### BEGIN SOLUTION
    return Look(float(mean_loss(labels, model(x, training=False))))
    ### END SOLUTION
    with tf.GradientTape(persistent=True) as tape:
        loss = mean_loss(labels, model(x, training=False))
    return Look(loss, tape)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    looks = []
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32)
        ### BEGIN SOLUTION
        x = x / 255
        ### END SOLUTION
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        looks.append(look(model, unseen, unseen_labels))
    return [look.loss for look in looks]


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold elsewhere?
#
# Other images, other weights, both programs on one scale.

# %% proof tags=["proof"]
from functools import partial

test_images, test_y = four_kinds(lab.draw("test", 1000, 16))
test_labels = lab.fw.from_labels(test_y, lab.device)
uses, ends = {}, {}
for name, make, program in (("sick", sick_prepare, sick_train), ("repaired", prepare, train)):
    model = lab.fw.even_stack(16, 4, seed=lab.seed + 1, device=lab.device)
    data = make(test_images.copy())
    uses[name], losses = memory.measure_memory(
        lab.fw,
        model,
        partial(program, model, data, test_labels, order, unseen, unseen_labels),
        steps=len(order),
        given=[data, test_labels, unseen, unseen_labels],
    )
    ends[name] = [float(lab.fw.to_numpy(value)) for value in losses]
    held = lab.fw.bytes_of(data) / 1e6
    print(f"{name:9s}images: {held:.2f} MB. {memory.say_memory(uses[name])}")
apart = np.abs(np.subtract(ends["sick"], ends["repaired"])).max()
print(f"the losses of both are at most {apart:.1e} apart")

# %% proof-picture tags=["picture"]
lab.show(memory.draw_memory(uses), memory.say_memory(uses["repaired"]))

# %% [markdown] advice-story
# ## Where advice and measurement part
#
# *"Never put a loss into a list."* *"Delete your tensors."* *"Call the garbage collector."* Below, one
# look at the unseen images is stored in different ways, and what is still alive afterwards is counted.

# %% advice tags=["proof", "pytorch"]
import gc

model = build_network()


def loss_of(model):
    return F.cross_entropy(model(unseen), unseen_labels)


def after_backward():
    loss = loss_of(model)
    loss.backward()
    return loss


def collected():
    loss = loss_of(model)
    gc.collect()
    return loss


def half_deleted():
    outputs = model(unseen)
    loss = F.cross_entropy(outputs, unseen_labels)
    del outputs
    return loss


ways = {
    "the loss": lambda: loss_of(model),
    "the loss, names deleted": half_deleted,
    "the loss, garbage collected": collected,
    "the loss, after backward()": after_backward,
    "loss.detach()": lambda: loss_of(model).detach(),
    "loss.item()": lambda: loss_of(model).item(),
    "the logits": lambda: model(unseen),
    "the logits, detached": lambda: model(unseen).detach(),
    "the maps of one layer": lambda: model[:12](unseen),
    "the maps of one layer, detached": lambda: model[:12](unseen).detach(),
}
after_backward()  # makes room for the gradients once
given = [unseen, unseen_labels, [p.grad for p in model.parameters()]]

# %% advice tags=["proof", "tensorflow"]
import gc

model = build_network()
middle = keras.Model(model.inputs, model.layers[5].output)


def taped(persistent=False, gradient=False, collect=False):
    with tf.GradientTape(persistent=persistent) as tape:
        loss = mean_loss(unseen_labels, model(unseen))
    if gradient:
        tape.gradient(loss, model.trainable_variables)
    if collect:
        gc.collect()
    return loss, tape


ways = {
    "loss and tape": taped,
    "loss and persistent tape": lambda: taped(persistent=True),
    "loss and tape, garbage collected": lambda: taped(collect=True),
    "loss and tape, after gradient()": lambda: taped(gradient=True),
    "the same with a persistent tape": lambda: taped(persistent=True, gradient=True),
    "the loss alone": lambda: taped()[0],
    "the logits": lambda: model(unseen),
    "the maps of one layer": lambda: middle(unseen),
}
given = [unseen, unseen_labels]

# %% advice-table tags=["proof"]
print("stored                              alive afterwards    in layers")
for name, way in ways.items():
    used, stored = memory.measure_memory(lab.fw, model, way, given=given)
    print(f"{name:34s}{used.end / 1e6:12.4f} MB{used.end / layer_bytes:13.1f}")
    del stored

# %% [markdown] advice-reading tags=["pytorch"]
# A loss in a list is harmless after `backward()`, which frees what was kept on its way, and ruinous
# where no backward pass comes. That is why training losses in a list do not show this illness and
# validation losses do. Collecting garbage and deleting names change nothing: compare the first rows.
# A name is one way to refer to a tensor, and a graph is another.
#
# The last two rows are a warning in the other direction. A detached map has left its graph behind and
# is still a map, one whole layer of it. To keep maps for a picture, keep a few images of them, or a few
# numbers.

# %% [markdown] advice-reading tags=["tensorflow"]
# A loss is a number here, and stored alone it is harmless. A tape holds the layers until its gradient
# is asked for, and a persistent one even then. "Not persistent" is no cure for a tape that nobody asks:
# compare the first rows. Collecting garbage changes nothing, since a stored tape is none.
#
# The last row is a warning in the other direction. A map has no tape and is a map all the same. To keep
# maps for a picture, keep a few images of them, or a few numbers.

# %% [markdown] types-story
# *"Divide by 255."* What comes out depends on who divides. CIFAR-10 has 50,000 training images of 32
# pixels in three colours; this is what they take in memory, and what 64 of them take on their way to a
# device, in every step.

# %% types tags=["proof", "pytorch"]
one = images[:1].copy()
forms = {
    "as they come": one,
    "images / 255.0": one / 255.0,
    "images.astype(np.float32) / 255": one.astype(np.float32) / 255,
    "torch.from_numpy(images) / 255": torch.from_numpy(one) / 255,
    "(images / 255.0).astype(np.float16)": (one / 255.0).astype(np.float16),
}

# %% types tags=["proof", "tensorflow"]
one = images[:1].copy()
forms = {
    "as they come": one,
    "images / 255.0": one / 255.0,
    "images.astype(np.float32) / 255": one.astype(np.float32) / 255,
    "tf.constant(images) / 255": tf.constant(one) / 255,
    "tf.cast(images, tf.int32) / 255": tf.cast(one, tf.int32) / 255,
    "(images / 255.0).astype(np.float16)": (one / 255.0).astype(np.float16),
}

# %% types-table tags=["proof"]
print("                                     type     50,000 images   64 images")
for name, form in forms.items():
    bytes_of_one = lab.fw.bytes_of(form) / one.size * 32 * 32 * 3
    kind = str(lab.fw.to_numpy(form).dtype)
    print(
        f"{name:37s}{kind:9s}{50_000 * bytes_of_one / 1e9:10.2f} GB{64 * bytes_of_one / 1e6:9.2f} MB"
    )

# %% [markdown] fit-question
# ## A step under a cap
#
# The floor is flat now. What is left is the peak: during a step all layers of all its images are alive
# at once, because the backward pass will need them. A batch of 33 does not fit.
#
# Write `build_model(classes)` and `gradient(model, x, y)`. The network stays what it is, layer by
# layer, and the gradient stays that of the mean loss over all images of `x`. At no moment may more
# than four fifths of the bytes be alive that the whole batch takes at once.
#
# The check calls it with 32 images and with 33, sorted by class, and compares the gradient with that of
# the whole batch: it may lie a tenth of its length away. It also counts operations. Up to twenty times
# those of the whole batch are allowed.

# %% [markdown] fit-note tags=["pytorch"]
# Leave the gradient in the parameters, as `backward()` does. They hold none before the call.

# %% [markdown] fit-note tags=["tensorflow"]
# Return the gradients as a list in the order of `model.trainable_variables`.


# %% fit tags=["answer", "pytorch"]
def build_model(classes):
    parts = []
    for number in range(12):
        parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1, bias=False), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)]
    return nn.Sequential(*parts, *head).to(lab.device)


def gradient(model, x, y):
    portion = len(x)
    ### BEGIN SOLUTION
    portion = 8
    ### END SOLUTION
    for start in range(0, len(x), portion):
        part, targets = x[start : start + portion], y[start : start + portion]
        loss = F.cross_entropy(model(part), targets)
        ### BEGIN SOLUTION
        loss = loss * len(part) / len(x)
        ### END SOLUTION
        loss.backward()


# %% fit tags=["answer", "tensorflow"]
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    variables = model.trainable_variables
    ### BEGIN SOLUTION
    sums = [tf.zeros_like(variable) for variable in variables]
    for start in range(0, len(x), 8):
        part, targets = x[start : start + 8], y[start : start + 8]
        with tf.GradientTape() as tape:
            loss = mean_loss(targets, model(part, training=True)) * len(part) / len(x)
        found = tape.gradient(loss, variables)
        sums = [total + some for total, some in zip(sums, found, strict=True)]
    return sums
    ### END SOLUTION
    with tf.GradientTape() as tape:
        loss = mean_loss(y, model(x, training=True))
    return tape.gradient(loss, variables)


# %% check-fit tags=["check"]
lab.check("fit")

# %% [markdown] sizes-story
# ## What an image costs
#
# Before a step is made smaller, it pays to know what it takes. Below are batches of several sizes, all
# at once, and what follows from them for a cap.

# %% sizes tags=["proof"]
print("images at once       peak    operations    for each image")
peaks = {}
for n in (4, 8, 16, 32, 64):
    model, x = build_network(), lab.fw.from_images(images[:n] / 255, lab.device)
    run = partial(lab.fw.whole_gradient, model, x, y[:n])
    used, _ = memory.measure_memory(lab.fw, model, run, given=[x])
    peaks[n] = used.peak
    operations = len(used.live)
    print(f"{n:14d}{used.peak / 1e6:8.2f} MB{operations:14d}{operations / n:18.1f}")
per_image = (peaks[8] - peaks[4]) / 4
for cap in (1e6, 4e6, 16e6):
    room = int((cap - peaks[4]) / per_image + 4)
    print(f"under a cap of {cap / 1e6:2.0f} MB there is room for {room} images at once")

# %% [markdown] sizes-reading
# The peak is a straight line over the batch. Two batches that fit tell where a larger one ends, before
# anything is killed. The number of operations does not depend on the batch, so that small portions
# have more of them to pay for each image. The portion to take is the largest one that fits.

# %% [markdown] ways-story
# ## What each way costs
#
# Portions are one way among several. *Checkpointing* keeps the layers at a few places only, and
# computes those between them once more when the backward pass needs them. *Mixed precision* computes
# the layers in numbers of two bytes. All of them on one batch of 64.

# %% ways tags=["proof", "pytorch"]
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

batch = lab.fw.from_images(images[:64] / 255, lab.device)
targets = labels[:64]


def whole(model):
    F.cross_entropy(model(batch), targets).backward()


def in_portions(model):
    for part, some in zip(batch.split(16), targets.split(16), strict=True):
        (F.cross_entropy(model(part), some) * len(part) / len(batch)).backward()


def in_segments(model):
    outputs = checkpoint_sequential(model, 4, batch, use_reentrant=False)
    F.cross_entropy(outputs, targets).backward()


def every_layer(model):
    x = batch
    for first in range(0, 24, 2):  # a convolution and its ReLU
        x = checkpoint(model[first : first + 2], x, use_reentrant=False)
    F.cross_entropy(model[24:](x), targets).backward()


def short_numbers(model):
    with torch.autocast(batch.device.type, dtype=torch.bfloat16):
        loss = F.cross_entropy(model(batch), targets)
    loss.backward()


def shorter_range(model):
    scale = 1024  # lifts what flows back above the smallest number of float16
    with torch.autocast(batch.device.type, dtype=torch.float16):
        loss = F.cross_entropy(model(batch), targets)
    (loss * scale).backward()
    for parameter in model.parameters():
        parameter.grad /= scale


ways = {
    "all at once": (build_network, whole),
    "portions of 16": (build_network, in_portions),
    "checkpoints at 3 places": (build_network, in_segments),
    "checkpoints at every layer": (build_network, every_layer),
    "bfloat16": (build_network, short_numbers),
    "float16, scaled loss": (build_network, shorter_range),
}

# %% ways tags=["proof", "tensorflow"]
batch = lab.fw.from_images(images[:64] / 255, lab.device)
targets = labels[:64]


def in_blocks():
    """Four blocks of three convolutions; the scope is around the blocks, not around their layers."""
    blocks = []
    for _ in range(4):
        parts = [
            layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(3)
        ]
        with keras.RematScope(mode="full"):
            blocks.append(keras.Sequential(parts))
    head = [layers.GlobalAveragePooling2D(), layers.Dense(4)]
    model = keras.Sequential([keras.Input((16, 16, 3)), *blocks, *head])
    model.set_weights(build_network().get_weights())
    return model


def single_layers(remat=None, dtype=None):
    with keras.RematScope(mode=remat):
        parts = [
            layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False, dtype=dtype)
            for _ in range(12)
        ]
    head = [layers.GlobalAveragePooling2D(dtype="float32"), layers.Dense(4, dtype="float32")]
    model = keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])
    model.set_weights(build_network().get_weights())
    return model


def whole(model):
    with tf.GradientTape() as tape:
        loss = mean_loss(targets, model(batch, training=True))
    return tape.gradient(loss, model.trainable_variables)


def in_portions(model):
    sums = [tf.zeros_like(variable) for variable in model.trainable_variables]
    for start in range(0, 64, 16):
        with tf.GradientTape() as tape:
            outputs = model(batch[start : start + 16], training=True)
            loss = mean_loss(targets[start : start + 16], outputs) * 16 / 64
        gradients = tape.gradient(loss, model.trainable_variables)
        sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
    return sums


def scaled(model):
    scale = 1024  # lifts what flows back above the smallest number of float16
    with tf.GradientTape() as tape:
        loss = mean_loss(targets, model(batch, training=True)) * scale
    return [found / scale for found in tape.gradient(loss, model.trainable_variables)]


ways = {
    "all at once": (build_network, whole),
    "portions of 16": (build_network, in_portions),
    "RematScope around 4 blocks": (in_blocks, whole),
    "RematScope around every layer": (lambda: single_layers(remat="full"), whole),
    "mixed_bfloat16": (lambda: single_layers(dtype="mixed_bfloat16"), whole),
    "mixed_float16, scaled loss": (lambda: single_layers(dtype="mixed_float16"), scaled),
}

# %% ways-table tags=["proof"]
from time import perf_counter


def shortest(run):
    """Seconds of the shortest of three runs, the one that other programs disturbed least."""
    starts = [perf_counter()]
    for _ in range(3):
        run()
        starts.append(perf_counter())
    return min(np.diff(starts))


expected = lab.fw.loss_gradients(build_network(), batch, y[:64])
durations = {}
print("                                peak      operations      time   error of the gradient")
for name, (build, program) in ways.items():
    model = build()
    run = partial(program, model)
    durations[name] = shortest(run)
    lab.fw.clear_gradient(model)
    used, left = memory.measure_memory(lab.fw, model, run, given=[batch, targets])
    error, _ = memory.gradient_error(lab.fw.gradient_left(model, left), expected)
    times = durations[name] / durations["all at once"]
    print(f"{name:30s}{used.peak / 1e6:6.2f} MB{len(used.live):12d}{times:11.1f}x{error:18.1e}")

# %% [markdown] ways-reading
# Portions cost no further multiplication and the most operations, each on fewer images. Checkpoints
# cost a second forward pass. Shorter numbers cost digits: compare the last column. The times are those
# of this machine, in multiples of the first row's; where a processor has no arithmetic for short
# numbers, it emulates them, and they save memory only.
#
# Look at the row with a checkpoint at every layer. The layer's input is what is kept then, and that
# is the output of the layer before, so that everything is kept that was kept before, and the peak is
# no lower. A checkpoint saves what lies *between* its ends, and there has to be something between
# them. With n equal layers, ends that are about √n layers apart keep the fewest.

# %% [markdown] norm-story
# *"Portions give the gradient of the whole batch."* They do where every image goes through the network
# by itself. Batch normalization takes its mean and spread from the images that come together. Below it
# stands behind three convolutions, and the 64 images come at once and in portions of 16.

# %% norm tags=["proof", "pytorch"]
torch.manual_seed(lab.seed)
parts = []
for number in range(3):
    parts += [nn.Conv2d(8 if number else 3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)]
normalized = nn.Sequential(*parts, *head).to(lab.device)

# %% norm tags=["proof", "tensorflow"]
keras.utils.set_random_seed(lab.seed)
parts = []
for _ in range(3):
    parts += [layers.Conv2D(8, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()]
head = [layers.GlobalAveragePooling2D(), layers.Dense(4)]
normalized = keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])

# %% norm-table tags=["proof"]
gradients = []
for program in (whole, in_portions):
    lab.fw.clear_gradient(normalized)
    gradients.append(lab.fw.gradient_left(normalized, program(normalized)))
error, _ = memory.gradient_error(gradients[1], gradients[0])
print(f"in portions, the gradient lies {error:.2g} of its length away from that of the whole batch")

# %% [markdown] norm-reading
# Compare this with the rounding in the last column above. It is not an error of the portions: the
# network has another loss in portions than at once. Layers that normalize each image by itself, as
# group and layer normalization do, have the same loss in both.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# `torch.cuda.max_memory_allocated()` counts as here, and besides the weights, what the program was
# given and the workspace of the convolutions, each rounded up; `torch.cuda.reset_peak_memory_stats()`
# starts it anew.
# `torch.cuda.memory_reserved()` is what the caching allocator holds, and what `nvidia-smi` shows is that
# and the driver's own. `torch.cuda.empty_cache()` returns what is reserved and unused; a tensor that
# is alive stays. When the two numbers lie far apart, the memory is in pieces, and
# `PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True` is worth a try.
#
# `torch.autocast("cuda", dtype=torch.bfloat16)` needs no scaling of the loss; float16 does, by
# `torch.amp.GradScaler`, and with portions `scaler.step` comes once, after the last one. Under
# `DistributedDataParallel` put all portions but the last into `model.no_sync()`.
#
# Images in whole numbers pay twice here: the copy to the device is a quarter of that of floats, and
# the division runs where it is quick.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# TensorFlow takes nearly all memory of a GPU when it starts, so `nvidia-smi` says nothing about your
# program; `tf.config.experimental.set_memory_growth(gpu, True)` lets it take what it needs.
# `tf.config.experimental.get_memory_info("GPU:0")` has the current and the highest count, with the
# weights and the workspace of the convolutions, and `reset_memory_stats` starts it anew. There is no
# such count for a CPU, which is why the instrument looks at each operation, and runs graphs without
# compiling them.
#
# With `fit`, `keras.optimizers.Adam(gradient_accumulation_steps=4)` adds up four batches. It divides
# by four, so that a smaller last batch weighs as much as the others: leave it out, or weigh it.
# `keras.mixed_precision.set_global_policy("mixed_bfloat16")` needs no scaling of the loss;
# `"mixed_float16"` does, and `compile` adds it. Keep the last layer in float32.
# Look at its error in the table above first.
#
# Images in whole numbers pay twice here: the copy to the device is a quarter of that of floats, and
# the division runs where it is quick.

# %% [markdown] read-on
# ## Read on
#
# - T. Chen, B. Xu, C. Zhang and C. Guestrin, *Training Deep Nets with Sublinear Memory Cost* (2016):
#   checkpoints, and how far apart.
# - P. Micikevicius and others, *Mixed Precision Training* (2018): which numbers may be short, and why
#   float16 needs a scaled loss.
# - PyTorch documentation: *Understanding CUDA Memory Usage*; *Gradient checkpointing*. Keras
#   documentation: `RematScope`; *Mixed precision*.
