# ---
# title: The network sees the wrong numbers
# symptom: The first batch already costs many times the loss of guessing, then the loss lies flat at chance.
# minutes: 30
# difficulty: 1
# learn:
#   - what the loss of the first batch must be, and what it says before any training
#   - to measure what reaches the first layer, in training and in serving
#   - one preparation for both paths, or none outside of the model
# sources: ["000/28", "001/33", "001/38", "002/48", "002/67", "003/71"]
# seconds: {pytorch: 35, tensorflow: 40}
# hints:
#   diagnosis:
#     - One of the numbers in the picture is known before the first step is taken. Which causes can change it?
#     - Compare the first point of the loss curve with the line of guessing; then read the width of the histogram.
#     - The reading is the first entry of `losses`.
#   repair:
#     - Weights are drawn for inputs of a certain size. How large are the values that arrive, and how large should they be?
#     - Both functions return what the model eats, and both return it unscaled. A layer in front of the model's first convolution can do the work as well.
#     - In `train_batch`, write `x = x / 255` before the return; in `serve_batch`, return `train_batch(images)`.
# ---

# %% [markdown] story
# A network is to tell ten kinds of ground apart on small aerial tiles. The program is short and
# looks complete: it reads the images, trains for 300 steps, and predicts. Nothing raises, nothing
# warns.
#
# What somebody saw: the loss of the very first batch is in the tens or hundreds. Within a few steps
# it falls to 2.3, and there it stays, whatever the number of steps.

# %% images
train = lab.draw("train", 512, 16)
test = lab.draw("test", 500, 16)
classes = len(train.classes)
print(
    f"{len(train)} training images {train.images.shape[1:]}, {train.images.dtype}; {classes} classes"
)

# %% [markdown] program
# The program has four parts: how images are prepared for training, how they are prepared for
# serving, a model, and a learning rate. The model is plain: two convolutions, two pooling steps,
# one hidden layer. Its weights start from Glorot's rule.

# %% sick-program tags=["pytorch"]
from torch import nn


def sick_train_batch(images):
    return lab.fw.from_images(images)  # uint8 (N, H, W, 3) -> float32 (N, 3, H, W), same values


def sick_serve_batch(images):
    return lab.fw.from_images(images)


def plain_model(size, classes):
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (size // 4) ** 2, 64), nn.ReLU(),
        nn.Linear(64, classes),
    )  # fmt: skip
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            nn.init.xavier_uniform_(parameter)
        else:
            nn.init.zeros_(parameter)
    return model.to(lab.device)


# %% sick-program tags=["tensorflow"]
import keras
from keras import layers


def sick_train_batch(images):
    return lab.fw.from_images(images)  # uint8 (N, H, W, 3) -> float32 (N, H, W, 3), same values


def sick_serve_batch(images):
    return lab.fw.from_images(images)


def plain_model(size, classes):
    return keras.Sequential(  # Keras draws kernels from Glorot's rule unless told otherwise
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(classes),
        ]
    )


# %% sick-run
def run(train_batch, serve_batch, build_model, learning_rate, seed=lab.seed, optimizer="sgd"):
    """Train once; the model, the loss of every step, and the accuracy on unseen images."""
    lab.fw.set_seed(seed)
    model = build_model(16, classes)
    lab.fw.set_seed(seed)
    losses = lab.fw.train(
        model,
        train_batch(train.images),
        train.labels,
        steps=300,
        batch_size=32,
        learning_rate=learning_rate,
        optimizer=optimizer,  # "sgd" has momentum 0.9
        seed=seed,
    )
    predicted = lab.fw.predict(model, serve_batch(test.images)).argmax(axis=1)
    return model, losses, (predicted == test.labels).mean()


sick_model, losses, sick_accuracy = run(sick_train_batch, sick_serve_batch, plain_model, 0.02)
print(f"loss of the first batch {losses[0]:.3f}, of the last twenty {losses[-20:].mean():.3f}")
print(f"right on {100 * sick_accuracy:.0f} % of {len(test)} unseen images")

# %% [markdown] look
# Three hundred steps, and the network is right as often as a guess. Before any theory: what does
# it see, and where does its loss begin?

# %% signature tags=["picture"]
from grader.instruments.input_scale import draw_scale, measure_scale, measure_start, say_scale

sick_scale = measure_scale(
    lab.fw.entering_first_layer(sick_model, sick_train_batch(train.images[:64]))
)
sick_start = measure_start(losses, classes)
print(sick_scale.table())
lab.show(draw_scale({"sick": sick_scale}, {"sick": sick_start}), say_scale(sick_scale, sick_start))

# %% [markdown] diagnose
# The first point of the loss curve is special. No weight has changed yet, so it depends on three
# things only: the values that come in, the weights as they were drawn, and the loss function. A
# network that commits itself to nothing gives each of *K* classes the probability 1/*K*, and pays
# ln *K*: 2.30 for ten classes.
#
# | `cause` | what it would mean |
# |---|---|
# | `"learning-rate"` | the steps are too long |
# | `"input-scale"` | the values are far larger than the first layer is made for |
# | `"labels"` | images and labels do not belong together |
# | `"too-few-images"` | 512 images are too few to learn from |
# | `"initial-weights"` | the weights were drawn badly |
# | `"serving"` | unseen images are prepared otherwise than training images |
#
# Which cause explains the picture? And what does the first batch cost, in nats?

# %% diagnosis tags=["answer"]
cause = ...  # one of the names in the table
reading = ...  # loss of the first batch, in nats
### BEGIN SOLUTION
cause = "input-scale"
reading = float(losses[0])
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-task
# Now the repair. Four names are measured:
#
# - `train_batch(images)` takes uint8 images (N, H, W, 3) and returns what the model is trained on;
# - `serve_batch(images)` does the same when the model is served, for one image or many;
# - `build_model(size, classes)` returns a fresh model that gives logits;
# - `learning_rate` is for SGD with momentum 0.9; the optimizer stays.
#
# Where you mend the program is your choice: in the two functions, or inside the model. The check
# asks four things in turn. Does training start near the loss of guessing? Does the loss fall as
# that of a healthy program does? Is an image prepared alike in training and in serving, alone and
# among others? Are unseen images then recognised?
#
# No random augmentation here: the same image must give the same numbers.

# %% repair tags=["answer"]
learning_rate = 0.02


def train_batch(images):
    x = lab.fw.from_images(images)
    ### BEGIN SOLUTION
    x = x / 255
    ### END SOLUTION
    return x


def serve_batch(images):
    x = lab.fw.from_images(images)
    ### BEGIN SOLUTION
    x = train_batch(images)  # one preparation for both paths: they cannot drift apart
    ### END SOLUTION
    return x


def build_model(size, classes):
    return plain_model(size, classes)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] prove
# The same program, the same seed, the same images, and only the repair in between. The histogram
# shows what reaches the first layer with weights, so it also shows a repair inside the model.

# %% proof tags=["proof"]
model, repaired_losses, accuracy = run(train_batch, serve_batch, build_model, learning_rate)
reaching = lab.fw.entering_first_layer(model, train_batch(train.images[:64]))
repaired_scale = measure_scale(reaching)
repaired_start = measure_start(repaired_losses, classes)
lab.show(
    draw_scale(
        {"sick": sick_scale, "repaired": repaired_scale},
        {"sick": sick_start, "repaired": repaired_start},
    ),
    say_scale(repaired_scale, repaired_start),
)
print(f"right on unseen images: sick {100 * sick_accuracy:.0f} %, repaired {100 * accuracy:.0f} %")

# %% [markdown] idiom tags=["pytorch"]
# In PyTorch the preparation usually lives in the data set's transform. The three lines below are
# the usual ones. `ToDtype` alone would leave 0 to 255 as it is: `scale=True` is what divides. The
# statistics come from the training images, once, and are stored with the model.

# %% [markdown] idiom tags=["tensorflow"]
# In Keras the preparation is best a layer of the model: then it is saved with the model, and
# serving cannot forget it. `Normalization` takes its statistics from the training images, once, in
# `adapt`. Called by itself on the images to be served, `adapt` would be another disease.

# %% idiom-run tags=["pytorch", "proof"]
import torch
from torchvision.transforms import v2

mean, std = train.images.mean(axis=(0, 1, 2)) / 255, train.images.std(axis=(0, 1, 2)) / 255
prepare = v2.Compose(
    [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean.tolist(), std.tolist())]
)


def standardised(images):
    return torch.stack([prepare(image) for image in images])


_, standardised_losses, accuracy = run(standardised, standardised, plain_model, 0.02)
print(f"first batch {standardised_losses[0]:.2f}, right on unseen images {100 * accuracy:.0f} %")

# %% idiom-run tags=["tensorflow", "proof"]
normalization = layers.Normalization()
normalization.adapt(train.images.astype("float32"))


def normalising_model(size, classes):
    return keras.Sequential(
        [keras.Input((size, size, 3)), normalization, plain_model(size, classes)]
    )


_, standardised_losses, accuracy = run(sick_train_batch, sick_serve_batch, normalising_model, 0.02)
print(f"first batch {standardised_losses[0]:.2f}, right on unseen images {100 * accuracy:.0f} %")

# %% [markdown] gpu
# ## On a GPU
#
# An image has one byte a value as uint8 and four as float32. Where it is converted decides how much
# has to cross the bus: send uint8, then convert and scale on the device. The cell below sends one
# batch of photographs both ways. On a CPU there is no bus to cross, so it counts the bytes only; on
# an accelerator it gives the milliseconds as well.

# %% gpu-bytes tags=["pytorch", "proof"]
import time

import numpy as np

photographs = np.random.default_rng(0).integers(0, 256, (64, 3, 224, 224), dtype=np.uint8)


def send_bytes():
    return torch.from_numpy(photographs).to(lab.device).float() / 255


def send_floats():
    return torch.from_numpy(photographs.astype(np.float32) / 255).to(lab.device)


accelerated = "cpu" not in str(lab.device).lower()
for send, size in ((send_bytes, photographs.nbytes), (send_floats, 4 * photographs.nbytes)):
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        send().sum().item()  # reading one number waits for the device
        times.append(time.perf_counter() - begin)
    shown = f", {1000 * np.median(times):.1f} ms" if accelerated else ""
    print(f"{send.__name__:12s} {size:>12,} bytes to move{shown}")
print("on", lab.fw.describe_device(lab.device))

# %% gpu-bytes tags=["tensorflow", "proof"]
import time

import numpy as np
import tensorflow as tf

photographs = np.random.default_rng(0).integers(0, 256, (64, 224, 224, 3), dtype=np.uint8)


def send_bytes():
    with tf.device(lab.device):
        return tf.cast(tf.convert_to_tensor(photographs), tf.float32) / 255


def send_floats():
    with tf.device(lab.device):
        return tf.convert_to_tensor(photographs.astype(np.float32) / 255)


accelerated = "cpu" not in str(lab.device).lower()
for send, size in ((send_bytes, photographs.nbytes), (send_floats, 4 * photographs.nbytes)):
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        float(tf.reduce_sum(send()))  # reading one number waits for the device
        times.append(time.perf_counter() - begin)
    shown = f", {1000 * np.median(times):.1f} ms" if accelerated else ""
    print(f"{send.__name__:12s} {size:>12,} bytes to move{shown}")
print("on", lab.fw.describe_device(lab.device))

# %% [markdown] advice
# ## Where advice and measurement part
#
# "Never train on 0 to 255" is common advice, and for this patient it is right. Is it always? The
# table below trains the same model on three scales and in three ways, two seeds each: SGD with
# momentum at the rate of this lab, SGD at a hundredth of it, and Adam.

# %% advice-run tags=["proof"]
mean, std = train.images.mean(axis=(0, 1, 2)), train.images.std(axis=(0, 1, 2))
scales = {
    "raw, 0 to 255": lambda images: lab.fw.from_images(images),
    "divided by 255": lambda images: lab.fw.from_images(images / 255),
    "standardised": lambda images: lab.fw.from_images((images - mean) / std),
}
ways = {"SGD .02": ("sgd", 0.02), "SGD .0002": ("sgd", 0.0002), "Adam .001": ("adam", 0.001)}
print(f"{'right on unseen images':24s}" + "".join(f"{way:>16s}" for way in ways))
for name, scale in scales.items():
    row = ""
    for optimizer, rate in ways.values():
        accuracies = [
            run(scale, scale, plain_model, rate, seed=lab.seed + i, optimizer=optimizer)[2]
            for i in range(2)
        ]
        row += "  ".join(f"{100 * accuracy:2.0f} %" for accuracy in accuracies).rjust(16)
    print(f"{name:24s}{row}")

# %% [markdown] advice-reading
# The first column is this lab: raw is at chance. In the second it is no longer behind division by
# 255, because a hundredth of the rate suits inputs that are hundreds of times larger, and starves
# the small ones. In the third the scale makes little difference to the first two rows: Adam divides
# each step by the size of the gradients it has seen, so the scale of the input largely cancels.
# Standardising, the last row, leads in the first column and in the third.

# %% [markdown] advice-recorded tags=["pytorch"]
# With more and larger images under Adam, raw was even ahead of division by 255: .78 against .62
# (recorded on 2,000 tiles of 32 pixels with another small network, three seeds, standard deviation
# .02 and .03).

# %% [markdown] advice-recorded tags=["tensorflow"]
# With more and larger images under Adam, raw and division by 255 were level: .70 against .67
# (recorded on 2,000 tiles of 32 pixels with another small network, three seeds, standard deviation
# .07 and .01).

# %% [markdown] advice-consequence
# So a low accuracy does not prove a wrong scale, and a good one does not prove a right scale. The
# histogram and the loss of the first batch do not depend on the optimizer. That is why the check
# begins with them.

# %% [markdown] read-on
# ## Read on
#
# - X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural
#   networks* (2010): which inputs the initial weights are made for.
# - Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, *Efficient BackProp* (1998), section 4.3: why
#   inputs are centred and scaled.
# - S. Ioffe and C. Szegedy, *Batch Normalization* (2015): the same care for every layer.
# - torchvision documentation, *Getting started with transforms v2*; Keras documentation, *Working
#   with preprocessing layers*.
