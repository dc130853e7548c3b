# ---
# title: Drift in the lighting
# symptom: Validation is fine, the field is little better than guessing, and nothing raised an alarm.
# minutes: 45
# difficulty: 2
# learn:
#   - to see a drift in the inputs without a single label
#   - accuracy as a curve over the strength of a shift, not as one number
#   - to remove a nuisance or to train on it, and what each costs
#   - a monitor whose false alarms are counted as carefully as its alarms
# sources: ["000/3", "000/8", "001/34", "001/35"]
# seconds: {pytorch: 45, tensorflow: 55}
# hints:
#   diagnosis:
#     - Which panels of the picture need no labels? Whatever moves there cannot come from labels.
#     - Compare the two histograms of brightness; then, on the right, validation's darkest quarter with the field's brightest.
#     - The reading is `drift.brightness`.
#   robustness:
#     - Another light multiplies each channel of an image by roughly one number. What about an image does not change then?
#     - The preparation uses two fixed numbers that were measured at noon. Which numbers could be taken from each image itself?
#     - In `train_batch` and `serve_batch`, divide each channel of each image by its own mean.
#   monitor:
#     - One number for a window is not enough to judge it. How far does that number move by chance, from one clean window to the next?
#     - Take a few statistics of each image, average them over the window, and measure the distance from the reference in standard errors of such an average. Include the colour.
#     - The standard error is the standard deviation over the reference images, times the root of 1/window + 1/reference. With four statistics, an alarm above 4 leaves chance less than one in a thousand.
# ---

# %% [markdown] story
# A network tells ten kinds of ground apart on small aerial tiles. It was trained and validated on
# tiles taken at noon, and went into service. Months later somebody labels a few hundred tiles from
# the field by hand, out of curiosity.
#
# What somebody saw: on validation the network is about as good as on the day it was accepted. On
# the labelled tiles from the field it is little better than guessing. Nothing had raised an alarm.

# %% imports
import numpy as np

# %% images
train = lab.draw("train", 1000, 12)
reference = lab.draw("validation", 500, 12)
live = lab.draw("field", 500, 12)
classes = len(train.classes)
print(f"{len(train)} training images, {len(reference)} for validation, {len(live)} from the field")
print("images a class in validation:", np.bincount(reference.labels, minlength=classes))
print("images a class in the field: ", np.bincount(live.labels, minlength=classes))

# %% [markdown] program
# The program prepares a batch, trains a small network for 200 steps, and serves. Preparation uses
# two fixed numbers, mean and standard deviation of the values at noon. Training asks for every
# image seven times, a hundred at a time, so a random preparation gives a new image each time.


# %% sick-program
def sick_batch(images):
    return lab.fw.from_images((images.astype(np.float32) / 255 - 0.36) / 0.12)


def network(size, classes):
    return lab.fw.two_block_network(size, classes, width=8, seed=lab.seed, device=lab.device)


# %% sick-run
def prepared(function, images):
    parts = [images[i : i + 100] for i in range(0, len(images), 100)]
    return np.concatenate([lab.fw.to_numpy(function(part)) for part in parts])


def run(train_batch, serve_batch, build_model, sets):
    """Train once; the logits for each set of unseen images."""
    lab.fw.set_seed(lab.seed)
    x = np.concatenate([prepared(train_batch, train.images) for _ in range(7)])
    unseen = np.concatenate([prepared(serve_batch, images) for images in sets])
    logits = lab.fw.outputs_after_training(
        build_model(12, classes),
        [(x, np.tile(train.labels, 7))],
        unseen,
        steps=200,
        batch_size=32,
        learning_rate=0.01,
        seed=lab.seed,
    )[0]
    return np.split(logits, np.cumsum([len(images) for images in sets])[:-1])


# %% sick-accuracy tags=["picture"]
logits = run(sick_batch, sick_batch, network, [reference.images, live.images])
right_reference = logits[0].argmax(axis=1) == reference.labels
right_live = logits[1].argmax(axis=1) == live.labels
print(f"validation: right on {100 * right_reference.mean():.0f} % of {len(reference)}")
print(f"field:      right on {100 * right_live.mean():.0f} % of {len(live)}")

# %% [markdown] look
# Same network, same code, same classes in the same numbers. Before any theory: how do the images
# themselves compare? The first two panels below use no label and no network. The third sorts the
# images of each set by brightness into quarters, and counts right answers.

# %% signature tags=["picture"]
from grader.instruments.lighting import draw_drift, measure_drift, measure_slices, say_drift

drift = measure_drift(reference.images, live.images)
slices = {
    "validation": measure_slices(reference.images, right_reference),
    "field": measure_slices(live.images, right_live),
}
lab.show(draw_drift(drift, slices), say_drift(drift))

# %% [markdown] diagnose
# The distance of Kolmogorov and Smirnov is the largest difference between two distribution
# functions: 0 for the same distribution, 1 for two that do not overlap. PSI, the population
# stability index, compares the shares in ten bins; a common rule calls 0.25 a large change.
#
# | `cause` | what it would mean |
# |---|---|
# | `"overfitting"` | the network knows its training images by heart |
# | `"class-mix"` | the field holds other classes, or other numbers of them |
# | `"lighting"` | the same scenes arrive in another light |
# | `"field-labels"` | the labels of the field are wrong |
# | `"serving-code"` | the field's images are prepared by other code |
# | `"too-little-training"` | 200 steps are not enough |
#
# Which cause explains all three panels? And how far has the brightness moved, as a distance (KS)?

# %% diagnosis tags=["answer"]
cause = ...  # one of the names in the table
reading = ...  # distance (KS) of the live images' brightness, 0 to 1
### BEGIN SOLUTION
from grader.instruments.lighting import measure_drift

cause = "lighting"
reading = measure_drift(reference.images, live.images).brightness
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-task
# First repair: a program that holds. Three names are measured.
#
# - `train_batch(images)` takes uint8 images (N, H, W, 3) and returns what the model is trained on;
#   it may be random, and is asked anew for every epoch;
# - `serve_batch(images)` returns what the model is served;
# - `build_model(size, classes)` returns a fresh model that gives logits.
#
# The check trains two fresh models of your program on other noon images and serves unseen ones in
# five lights, from noon (0) to the light of the field (1). It compares the accuracy in the four
# shifted lights, the mean of both, with two controls that are trained twice as well: the sick
# program, and an oracle that trains in the lights between noon and field. A program that loses more
# than three fifths of the sick program's accuracy at noon has only moved, and does not count.


# %% robustness tags=["answer", "pytorch"]
def train_batch(images):
    x = sick_batch(images)
    ### BEGIN SOLUTION
    x = lab.fw.from_images(images)
    x = x / (x.mean((2, 3), keepdim=True) + 1) - 1  # each channel in units of its own mean
    x = x / 0.25
    ### END SOLUTION
    return x


def serve_batch(images):
    x = sick_batch(images)
    ### BEGIN SOLUTION
    x = train_batch(images)
    ### END SOLUTION
    return x


def build_model(size, classes):
    return network(size, classes)


# %% robustness tags=["answer", "tensorflow"]
import tensorflow as tf


def train_batch(images):
    x = sick_batch(images)
    ### BEGIN SOLUTION
    x = lab.fw.from_images(images)
    x = x / (tf.reduce_mean(x, (1, 2), keepdims=True) + 1) - 1  # each channel in units of its mean
    x = x / 0.25
    ### END SOLUTION
    return x


def serve_batch(images):
    x = sick_batch(images)
    ### BEGIN SOLUTION
    x = train_batch(images)
    ### END SOLUTION
    return x


def build_model(size, classes):
    return network(size, classes)


# %% check-robustness tags=["check"]
lab.check("robustness")

# %% [markdown] monitor-task
# Second repair: somebody has to notice. The field sends images and no labels, so accuracy cannot be
# watched. There is a monitor already: it fires when the lens cap is on.
#
# `make_monitor(reference)` is given clean images of one camera, uint8 (N, H, W, 3). It returns a
# function that takes a window of live images and returns True for an alarm.
#
# The check sets your monitor up at two cameras with different noons, image sizes and window
# lengths. It counts false alarms on 200 clean windows of unseen images: five in a hundred are
# wanted. It counts alarms in five other lights, each of which costs the sick program accuracy. One
# of them changes the colour only, and one is brighter than noon.


# %% monitor tags=["answer"]
def make_monitor(reference):
    def monitor(window):
        return bool(window.mean() < 5)

    ### BEGIN SOLUTION
    def statistics(images):
        x = images.reshape(len(images), -1, 3).astype(float)
        channels = x.mean(axis=1)
        brightness = channels.mean(axis=1, keepdims=True)
        contrast = x.mean(axis=2).std(axis=1, keepdims=True)
        colour = channels[:, [0, 2]] / (brightness + 1)
        return np.hstack([brightness, contrast, colour])

    usual = statistics(reference)
    mean, spread = usual.mean(axis=0), usual.std(axis=0)

    def monitor(window):
        standard_error = spread * np.sqrt(1 / len(window) + 1 / len(reference))
        distance = np.abs(statistics(window).mean(axis=0) - mean) / standard_error
        return bool(distance.max() > 4)

    ### END SOLUTION
    return monitor


# %% check-monitor tags=["check"]
lab.check("monitor")

# %% [markdown] prove
# Both repairs on unseen images: the accuracy against the strength of the shift, and the monitor's
# answers to sixty windows in turn, twenty at noon, twenty a quarter of the way, twenty in the
# field's light.

# %% proof tags=["proof"]
from grader.instruments.lighting import (
    Watch,
    draw_robustness,
    measure_curve,
    relight,
    say_robustness,
)

unseen = lab.draw("test", 500, 12)
strengths = (0, 0.25, 0.5, 0.75, 1)
lit = [relight(unseen, s, seed=lab.seed).images for s in strengths]
sick_logits = run(sick_batch, sick_batch, network, lit)
repaired_logits = run(train_batch, serve_batch, build_model, lit)
curves = {
    name: measure_curve(strengths, [part.argmax(axis=1) for part in parts], unseen.labels)
    for name, parts in (("sick", sick_logits), ("repaired", repaired_logits))
}

rng = np.random.default_rng(lab.seed)
monitor = make_monitor(reference.images)
steps = np.repeat([0, 0.25, 1], 20)
windows = [lit[strengths.index(s)][rng.choice(500, 100, replace=False)] for s in steps]
watch = Watch(
    steps,
    np.array([window.mean() for window in windows]),
    np.array([monitor(window) for window in windows]),
)
lab.show(draw_robustness(curves, watch), say_robustness(curves, watch))

# %% [markdown] limits
# An alarm says that the images have changed, not that the network fails. The cell below shows the
# monitor three kinds of window in plain noon light: images of all classes, images of the five
# brightest classes only, and images that the sick network gets right.

# %% limits-run tags=["proof"]
clean = lit[0]
level = [clean[unseen.labels == k].mean() for k in range(classes)]
bright_classes = np.flatnonzero(np.isin(unseen.labels, np.argsort(level)[classes // 2 :]))
answered = np.flatnonzero(sick_logits[0].argmax(axis=1) == unseen.labels)
for name, pool in (
    ("all classes", np.arange(500)),
    ("brightest classes", bright_classes),
    ("answered rightly", answered),
):
    alarms = [monitor(clean[rng.choice(pool, 100, replace=False)]) for _ in range(50)]
    print(f"{name:18s} alarms on {100 * np.mean(alarms):3.0f} % of 50 windows")

# %% [markdown] limits-reading
# In the second line the light is that of noon, and about every other window raises an alarm.
# Nothing is broken there: the mix of classes has moved, and with it the brightness. The monitor
# watches the inputs alone, and cannot say which of the two it saw. It is not graded here: an alarm
# means that somebody should look at the images, and with another mix of classes that is worth a
# look too.

# %% [markdown] idiom tags=["pytorch"]
# ## The usual tools
#
# `v2.ColorJitter` and `v2.RandomPhotometricDistort` train on the nuisance instead of removing it.
# Two things about them can be measured. Given a batch, `ColorJitter` draws once for all of it. And
# floats are taken to lie between 0 and 1: what lies above is cut off without a word.

# %% [markdown] idiom tags=["tensorflow"]
# ## The usual tools
#
# `keras.layers.RandomBrightness` and `RandomContrast` train on the nuisance instead of removing it.
# Two things about the first can be measured. It adds, it does not multiply as light does: a dark
# and a bright pixel move by the same amount. And its `value_range` is 0 to 255 unless told
# otherwise: on images between 0 and 1 it adds 255 times too much without a word.

# %% idiom-run tags=["pytorch", "proof"]
import torch
from torchvision.transforms import v2

few = torch.from_numpy(train.images[:200]).permute(0, 3, 1, 2)
jitter = v2.ColorJitter(brightness=(0.35, 1.1))
together = jitter(few).float().mean((1, 2, 3)) / few.float().mean((1, 2, 3))
apart = torch.stack([jitter(image) for image in few]).float().mean((1, 2, 3))
apart = apart / few.float().mean((1, 2, 3))
print(f"one call for a batch: factors from {together.min():.2f} to {together.max():.2f}")
print(f"one call an image:    factors from {apart.min():.2f} to {apart.max():.2f}")
print(f"floats up to 255 come back as at most {float(jitter(few.float()).max()):.2f}")

# %% idiom-run tags=["tensorflow", "proof"]
import keras

few = train.images[:200].astype("float32")
for name, layer, values in (
    ("0 to 255", keras.layers.RandomBrightness(0.3, seed=1), few),
    ("0 to 1, told so", keras.layers.RandomBrightness(0.3, value_range=(0, 1), seed=1), few / 255),
    ("0 to 1, not told", keras.layers.RandomBrightness(0.3, seed=1), few / 255),
):
    changed = lab.fw.to_numpy(layer(values, training=True))
    print(
        f"{name:17s} mean before {values.mean():8.3f}, after {changed.mean():8.3f}, "
        f"largest {changed.max():8.3f}"
    )
one = few[:1]
added = lab.fw.to_numpy(keras.layers.RandomBrightness((0.1, 0.2), seed=1)(one, training=True)) - one
dark, bright = one.argmin(), one.argmax()
print(f"a pixel of {one.flat[dark]:.0f} gains {added.flat[dark]:.1f}", end=", ")
print(f"one of {one.flat[bright]:.0f} gains {added.flat[bright]:.1f}")

# %% [markdown] advice
# ## Where advice and measurement part
#
# "Add brightness jitter" is common advice, and so is "watch the model's confidence". The cell below
# measures both. Jitter comes in three forms: mild, as wide as the live images are dim, and as wide
# with a colour cast on top. The last line is the confidence of the sick network, the mean of its
# largest probability.


# %% advice-run tags=["proof"]
def jittered(low, high, cast):
    rng = np.random.default_rng(lab.seed)

    def batch(images):
        light = rng.uniform(low, high, (len(images), 1, 1, 1))
        colour = rng.uniform(1 - cast, 1 + cast, (len(images), 1, 1, 3))
        return sick_batch(np.clip(images * light * colour, 0, 255))

    return batch


print(f"{'right on unseen images (%)':30s}" + "".join(f"{s:>7g}" for s in strengths))
rows = {"sick": curves["sick"], "each image by its own means": curves["repaired"]}
for name, arguments in (
    ("jitter, 0.9 to 1.1", (0.9, 1.1, 0)),
    ("jitter, 0.35 to 1.1", (0.35, 1.1, 0)),
    ("the same, and colour 0.2", (0.35, 1.1, 0.2)),
):
    parts = run(jittered(*arguments), sick_batch, network, lit)
    rows[name] = measure_curve(strengths, [part.argmax(axis=1) for part in parts], unseen.labels)
for name, curve in rows.items():
    print(f"{name:30s}" + "".join(f"{100 * accuracy:7.0f}" for accuracy in curve.accuracy))


def confidence(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds.max(axis=1) / odds.sum(axis=1)).mean()


print(
    f"{'confidence of the sick one':30s}"
    + "".join(f"{100 * confidence(part):7.0f}" for part in sick_logits)
)

# %% [markdown] advice-reading
# Mild jitter stays within a few points of the sick program everywhere: the field is more than twice
# as dim, and 0.9 does not reach it. The wide one doubles the accuracy in the field, the colour cast
# adds more, and both pay for it at noon. A rule such as "at most three points lost at noon" would
# refuse them. The second row gives up brightness and colour of each image altogether, keeps noon to
# within a few points, and holds in every light. So removing a nuisance that can be named is the
# better bargain here, after 200 steps; the cell does not say what longer training on jitter gives.
#
# The confidence in the last line hardly follows the accuracy in the first. It falls a little, then
# rises: in the light of the field, where the network is nearly always wrong, it is surer than at
# noon. An alarm on low confidence would have stayed silent where it was needed most.

# %% [markdown] gpu
# ## On a GPU
#
# Random light for every image is a multiplication and a cut. The cell below does it for 64
# photographs in two ways: image by image on the host, in 64 calls, and for the whole batch where
# the model is, in one. With `DEVICE` set to a GPU, the second leaves the host to the next batch.

# %% gpu-run tags=["pytorch", "proof"]
import time

photographs = torch.randint(0, 256, (64, 3, 160, 160), dtype=torch.uint8)


def each_on_the_host():
    return torch.stack([jitter(image) for image in photographs]).to(lab.device)


def batch_on_the_device():
    x = photographs.to(lab.device).float()
    return (x * (0.35 + 0.75 * torch.rand(64, 1, 1, 1, device=lab.device))).clamp(0, 255)


for function in (each_on_the_host, batch_on_the_device):
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        function().float().sum().item()  # reading one number waits for the device
        seconds.append(time.perf_counter() - begin)
    print(f"{function.__name__:20s} {1000 * np.median(seconds):7.1f} ms")
print("on", lab.fw.describe_device(lab.device))

# %% gpu-run tags=["tensorflow", "proof"]
import time

photographs = np.random.default_rng(0).integers(0, 256, (64, 160, 160, 3), dtype=np.uint8)
brightness = keras.layers.RandomBrightness((-0.3, 0.0))


def each_on_the_host():
    with tf.device("/CPU:0"):
        return tf.stack([brightness(image, training=True) for image in photographs])


def batch_on_the_device():
    with tf.device(lab.device):
        x = tf.cast(tf.convert_to_tensor(photographs), tf.float32)
        return tf.clip_by_value(x * tf.random.uniform((64, 1, 1, 1), 0.35, 1.1), 0, 255)


for function in (each_on_the_host, batch_on_the_device):
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        float(tf.reduce_sum(tf.cast(function(), tf.float32)))  # one number waits for the device
        seconds.append(time.perf_counter() - begin)
    print(f"{function.__name__:20s} {1000 * np.median(seconds):7.1f} ms")
print("on", lab.fw.describe_device(lab.device))

# %% [markdown] read-on
# ## Read on
#
# - J. Quiñonero-Candela and others, *Dataset Shift in Machine Learning* (2009): which
#   distribution moves, and what follows.
# - S. Rabanser, S. Günnemann and Z. Lipton, *Failing Loudly* (2019): detecting shift from inputs,
#   with false alarms counted.
# - D. Hendrycks and T. Dietterich, *Benchmarking Neural Network Robustness to Common Corruptions
#   and Perturbations* (2019): accuracy as a curve over strength.
# - G. Buchsbaum, *A spatial processor model for object colour perception* (1980): the grey world.
# - torchvision documentation, *Getting started with transforms v2*; Keras documentation,
#   *RandomBrightness layer*.
