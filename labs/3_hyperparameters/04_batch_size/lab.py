# ---
# title: The batch that was made larger
# symptom: Somebody made the batch sixteen times as large, changed nothing else, and unseen images are recognised much worse.
# minutes: 40
# difficulty: 2
# learn:
#   - compare batch sizes at equal epochs, at equal steps and at equal time, and know which one was held fixed
#   - scale the learning rate with the batch, and find where the rule ends
#   - measure how noisy the gradient of a batch is
#   - choose a batch size by throughput and memory, and add a step up from portions
# sources: ["000/19", "002/63", "002/67", "003/79", "004/93"]
# seconds: {pytorch: 25, tensorflow: 40}
# hints:
#   diagnosis:
#     - The three panels show the same trainings. In which of them do the lines lie closest, and what is equal there?
#     - A network that generalises badly is good on the images it has seen. Look at the loss on the training images.
#     - The cause is the one that counts; the reading is `courses[0].steps_per_epoch / courses[-1].steps_per_epoch`.
#   repair:
#     - The images are the same, so the way to go is about the same. If there are fewer steps, what must each of them be?
#     - Sixteen small steps with the rate r, each along a slightly different gradient, go about as far as one step along their mean. With which rate?
#     - Multiply the rate by batch_size / 16, and let no large part of the images drop out of an epoch. If the first steps are too long, let the rate rise to that value.
#   machine:
#     - Take a batch of 50 images in portions of 16. How many images has the last portion, and how much does each of them weigh?
#     - The mean over 50 images is the sum over portions of (images in the portion / 50) times the portion's mean. For the throughput, ask for the smallest size that is nearly as fast as the fastest that fits.
#     - Multiply a portion's mean loss by len(part) / len(x). Take the median over the repeats, keep the sizes that fit, and return the smallest with at least 0.9 of the highest median among them.
# ---

# %% [markdown] story
# A small network learns four kinds of ground with a batch of 16. To make better use of the machine,
# somebody raised the batch to 256. Nothing else was changed, and an epoch became quicker. After the
# same number of epochs, unseen images are recognised much worse.
#
# They have read that large batches generalise badly, and are about to add dropout.

# %% images
import numpy as np


def four_kinds(images):
    """Coast, forest, meadow and residential, numbered 0 to 3."""
    kept = np.isin(images.labels, [0, 2, 5, 7])
    return images.images[kept], np.searchsorted([0, 2, 5, 7], images.labels[kept])


images, labels = four_kinds(lab.draw("train", 1250, 16))
mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
x = lab.fw.from_images((images - mean) / std, lab.device)
y = lab.fw.from_labels(labels, lab.device)
unseen_images, unseen_labels = four_kinds(lab.draw("validation", 750, 16))
x_unseen = lab.fw.from_images((unseen_images - mean) / std, lab.device)


def build_model():
    """Two convolutions, normalised over groups of channels; the same initial weights every time."""
    return lab.fw.steady_network(16, 4, seed=lab.seed, device=lab.device)


print(
    f"{len(images)} images of {images.shape[1]} pixels to learn from, {len(unseen_images)} unseen"
)

# %% [markdown] program
# Stochastic gradient descent with momentum, for 14 epochs. The learning rate was chosen for batches of
# 16. `watch` is called after every step, so that an instrument can look at the model.

# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, RandomSampler


def fit(model, x, y, batch_size, epochs, rate=0.001, drop_last=True, watch=None):
    batches = BatchSampler(RandomSampler(range(len(x))), batch_size, drop_last=drop_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    model.train()
    for _ in range(epochs):
        for rows in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            if watch:
                watch()


def sick_train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, epochs)


# %% sick-program tags=["tensorflow"]
import keras
import tensorflow as tf
from keras import layers

mean_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def fit(model, x, y, batch_size, epochs, rate=0.001, drop_last=True, watch=None):
    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x))
    batches = batches.batch(batch_size, drop_remainder=drop_last)
    # Compiling with XLA takes longer than these few steps.
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), mean_loss, jit_compile=False)
    # Built before, the optimizer lets Keras trace the step once, not twice.
    model.optimizer.build(model.trainable_variables)
    callbacks = []
    if watch:
        callbacks.append(
            keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: watch())
        )
    model.fit(batches, epochs=epochs, callbacks=callbacks, shuffle=False, verbose=0)


def sick_train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, epochs)


# %% [markdown] sick-runs-story
# Three batch sizes, with the same initial weights and the same rate. The two larger ones go on after
# their 14 epochs, so that they can be compared in more than one way.

# %% sick-runs
from grader.instruments import batch_size as sizes_of

EPOCHS, STEPS = 14, 150
courses = []
for batch_size, epochs in ((16, EPOCHS), (64, 22), (256, STEPS)):
    per_epoch = len(x) // batch_size
    lab.fw.set_seed(lab.seed)
    model = build_model()
    follow = sizes_of.Follower(
        lab.fw,
        model,
        (x, labels),
        (x_unseen, unseen_labels),
        batch_size=batch_size,
        steps_per_epoch=per_epoch,
        at=sizes_of.looks(epochs * per_epoch, EPOCHS * per_epoch, STEPS),
    )
    fit(model, x, y, batch_size, epochs, watch=follow)
    courses.append(follow.course())
print(f"after {EPOCHS} epochs   steps   left out of each epoch   training loss   right on unseen")
for course in courses:
    print(
        f"batch of {course.batch_size:4d}{EPOCHS * course.steps_per_epoch:11d}"
        f"{len(x) % course.batch_size:18d} images{course.at('epochs', EPOCHS, 'loss'):16.2f}"
        f"{course.at('epochs', EPOCHS):18.0%}"
    )

# %% signature-picture tags=["picture"]
lab.show(
    sizes_of.draw_courses(courses, EPOCHS, STEPS), sizes_of.say_courses(courses, EPOCHS, STEPS)
)

# %% [markdown] diagnosis-question
# ## Why does the large batch end lower?
#
# Each panel shows the same three trainings. Only the axis below differs.
#
# | `cause` | what it would mean |
# |---|---|
# | `"generalises-worse"` | The large batch fits the training images in a way that does not carry over. |
# | `"too-few-steps"` | In equal epochs the large batch takes fewer steps, and each is as short as before. |
# | `"gradient-noise"` | The gradient of a large batch is too noisy. |
# | `"learning-rate-too-high"` | The rate is too high for the large batch. |
# | `"batch-statistics"` | Normalisation works worse with the statistics of a large batch. |
# | `"too-little-data"` | Five hundred images are too few for a batch of 256. |
#
# Name the cause, and give the number of steps that the batch of 16 takes while the batch of 256 takes
# one. It is not 16, because the program leaves out the last batch of an epoch where it is not full; the
# table above counts the images that this costs.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "too-few-steps"
reading = courses[0].steps_per_epoch / courses[-1].steps_per_epoch
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] noise-story
# ## What does a larger batch buy?
#
# A batch is a sample, and its gradient is an estimate. Batches of five sizes are drawn, and the
# distance of their gradients from the gradient of all images is measured, once with fresh weights and
# once with those that the last training above has reached.

# %% noise tags=["proof"]
for name, measured_model in (("fresh", build_model()), ("trained", model)):
    noise = sizes_of.measure_gradient_noise(
        lab.fw,
        measured_model,
        (images - mean) / std,
        labels,
        sizes=(4, 16, 64, 256),
        device=lab.device,
    )
    print(f"{name}: {sizes_of.say_gradient_noise(noise)}")

# %% noise-picture tags=["picture"]
lab.show(sizes_of.draw_gradient_noise(noise), sizes_of.say_gradient_noise(noise))

# %% [markdown] noise-reading
# Four times the images, a quarter of the variance, half the error. So a large batch points more nearly
# in the right direction, and that is all it does. Below the size at which noise and gradient are
# equally long, an image more in the batch is worth about an image more in the training. Far above it,
# the direction is known, and further images in the batch are wasted.

# %% [markdown] repair-question
# ## Make the large batch worth it
#
# `train(model, x, y, batch_size, epochs)` trains a model like the one above, in place. The check calls
# it with 500 images, 14 epochs and a batch size between 200 and 250, and trains a batch of 16 with the
# old recipe beside it.
#
# It looks at three things in turn. How much of the loss that the batch of 16 has gained over the sick
# program is gained back, on the training images? Does the average image really go through a large
# step? How many images in all went through the model? (A quarter more than in 14 epochs are allowed.)
#
# A step may be added up from portions, and batches of two sizes in one training are no fault.


# %% repair tags=["answer", "pytorch"]
def train(model, x, y, batch_size, epochs):
    rate, drop_last = 0.001, True
    ### BEGIN SOLUTION
    rate, drop_last = 0.001 * batch_size / 16, False
    ### END SOLUTION
    fit(model, x, y, batch_size, epochs, rate, drop_last)


# %% repair tags=["answer", "tensorflow"]
def train(model, x, y, batch_size, epochs):
    rate, drop_last = 0.001, True
    ### BEGIN SOLUTION
    rate, drop_last = 0.001 * batch_size / 16, False
    # Warm-up: in three epochs in a straight line from a fifth of that rate to all of it.
    steps = 3 * -(-len(x) // batch_size)
    rate = keras.optimizers.schedules.PolynomialDecay(rate / 5, steps, rate)
    ### END SOLUTION
    fit(model, x, y, batch_size, epochs, rate, drop_last)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# Three seeds, and images that no program has seen. For every seed all three trainings begin with the
# same weights, so that their scores can be compared in pairs.

# %% proof tags=["proof"]
from grader.instruments import comparison

test_images, test_labels = four_kinds(lab.draw("test", 750, 16))
x_test = lab.fw.from_images((test_images - mean) / std, lab.device)
arms = {
    "batch of 16": (sick_train, 16),
    "256, sick": (sick_train, 256),
    "256, repaired": (train, 256),
}
scores = {name: [] for name in arms}
for seed in range(lab.seed, lab.seed + 3):
    for name, (program, batch_size) in arms.items():
        model = lab.fw.steady_network(16, 4, seed=seed, device=lab.device)
        lab.fw.set_seed(seed)
        program(model, x, y, batch_size, EPOCHS)
        outputs = lab.fw.predict(model, x_test)
        scores[name].append((outputs.argmax(axis=1) == test_labels).mean())
for name, values in scores.items():
    print(f"{name:14s}" + "".join(f"{value:7.1%}" for value in values))
pairs = {
    f"A batch of 16, B {name}": comparison.measure_comparison(scores["batch of 16"], scores[name])
    for name in ("256, sick", "256, repaired")
}

# %% proof-picture tags=["picture"]
lab.show(comparison.draw_comparisons(pairs), comparison.say_comparisons(pairs))

# %% [markdown] proof-reading
# An interval that holds zero does not say that two programs are equally good. It says that three
# seeds cannot tell, and any single dot above could have been somebody's only run.

# %% [markdown] machine-story
# ## What the machine can take
#
# If batch sizes can be made to learn alike, the choice is one of time and memory. Below, one step of
# each size is timed on this machine, nine times. Memory is counted: what the layers give for every
# image of a batch is kept until the gradient comes back.

# %% throughput tags=["proof", "pytorch"]
model = build_model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)


def one_step(batch_size):
    rows = np.arange(batch_size) % len(x)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x[rows]), y[rows])
    loss.backward()
    optimizer.step()
    return loss.item()  # waits for the device


# %% throughput tags=["proof", "tensorflow"]
model = build_model()
model.compile(keras.optimizers.SGD(0.001), mean_loss, jit_compile=False)
model.optimizer.build(model.trainable_variables)


def one_step(batch_size):
    rows = np.arange(batch_size) % len(x)
    return float(model.train_on_batch(tf.gather(x, rows), tf.gather(y, rows)))


# %% throughput-measured tags=["proof"]
sizes = 2 ** np.arange(11)
measured = sizes_of.measure_throughput(one_step, sizes.tolist(), repeats=9)
kept = sum(layer.output[0].size for layer in lab.fw.layer_outputs(model, x[:1]))
memory = 4 * sizes * kept  # bytes; float32
print(f"{4 * kept / 1e3:.0f} kB are kept for an image, {memory[-1] / 1e6:.1f} MB for {sizes[-1]}")

# %% [markdown] machine-question
# ## Which size, and how to go beyond it
#
# Two functions. `pick_batch_size(sizes, images_per_second, memory, limit)` gets the sizes, rising, of
# shape (S,); the throughput of repeated measurements, (R, S), some of them disturbed by other
# programs; the memory of a step, (S,); and how much there is. It returns one of the sizes. What is
# wanted is at least nine tenths of the highest throughput that fits, with a batch that is no larger
# than it takes, as each image beyond costs a part of a step.
#
# `accumulated_step(model, x, y, rate, portion)` is for the day on which the batch has to be larger
# than the memory. It takes one step of plain gradient descent on the mean loss of all of `x`, and lets
# no more than `portion` images enter the model at once. The check compares the weights with those
# after a step of the whole batch. It calls `pick_batch_size` with curves whose truth it knows.


# %% machine tags=["answer", "pytorch"]
def accumulated_step(model, x, y, rate, portion):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    optimizer.zero_grad()
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        loss = F.cross_entropy(model(part), y[start : start + portion])
        ### BEGIN SOLUTION
        loss = loss * len(part) / len(x)
        ### END SOLUTION
        loss.backward()
    optimizer.step()


def pick_batch_size(sizes, images_per_second, memory, limit):
    chosen = sizes[memory <= limit].max()
    ### BEGIN SOLUTION
    fits, typical = memory <= limit, np.median(images_per_second, axis=0)
    chosen = sizes[fits & (typical >= 0.9 * typical[fits].max())].min()
    ### END SOLUTION
    return int(chosen)


# %% machine tags=["answer", "tensorflow"]
def accumulated_step(model, x, y, rate, portion):
    variables = model.trainable_variables
    sums = [tf.zeros_like(variable) for variable in variables]
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + portion], model(part, training=True))
            ### BEGIN SOLUTION
            loss = loss * len(part) / len(x)
            ### END SOLUTION
        gradients = tape.gradient(loss, variables)
        sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
    keras.optimizers.SGD(rate).apply(sums, variables)


def pick_batch_size(sizes, images_per_second, memory, limit):
    chosen = sizes[memory <= limit].max()
    ### BEGIN SOLUTION
    fits, typical = memory <= limit, np.median(images_per_second, axis=0)
    chosen = sizes[fits & (typical >= 0.9 * typical[fits].max())].min()
    ### END SOLUTION
    return int(chosen)


# %% check-machine tags=["check"]
lab.check("machine")

# %% [markdown] knee-story
# Your function on the measured curve, with memory for all sizes.

# %% knee tags=["picture"]
chosen = pick_batch_size(sizes, measured.images_per_second, memory, memory[-1])
lab.show(sizes_of.draw_throughput(measured, chosen), sizes_of.say_throughput(measured))

# %% [markdown] knee-reading
# On the right, a step of a small batch takes hardly longer with twice the images: most of its time is
# spent on starting things. From the knee on the time grows with the batch, and the machine is busy. On
# a GPU the knee lies at much larger batches, since there is more to keep busy.
#
# ## Where advice and measurement part
#
# *"Scale the rate with the batch"*, *"with its square root"*, *"and warm up"*. Batches of 250 for the
# images of 14 epochs, with the rules and beyond them; two seeds, from the same weights in every row.
# The loss is that of the last epoch's batches.

# %% advice tags=["proof"]
k, steps = 250 / 16, 28
warm = np.minimum((np.arange(steps) + 1) / 6, 1)
rows = {
    "old rate": np.full(steps, 0.001),
    "times the square root": np.full(steps, 0.001 * k**0.5),
    "times the batch": np.full(steps, 0.001 * k),
    "times the batch, warm-up": 0.001 * k * warm,
    "three times that, no warm-up": np.full(steps, 0.003 * k),
    "three times that, warm-up": 0.003 * k * warm,
    "ten times that, no warm-up": np.full(steps, 0.01 * k),
    "ten times that, warm-up": 0.01 * k * warm,
}
ends = []
for seed in (lab.seed, lab.seed + 1):
    found = lab.fw.train_at_rates(
        lab.fw.steady_network(16, 4, seed=seed, device=lab.device), x, labels,
        rates=np.array(list(rows.values())), batch_size=250,
        loss_function=lab.fw.cross_entropy(), seed=seed,
    )  # fmt: skip
    ends.append(found[:, -2:].mean(axis=1))
print("rate                            loss, seed by seed")
for name, *values in zip(rows, *ends, strict=True):
    print(f"{name:30s}" + "".join(f"{value:9.2f}" for value in values))
for course in courses[:1]:
    print(f"{'batch of 16, old rate':30s}{course.at('epochs', EPOCHS, 'loss'):9.2f}")

# %% [markdown] advice-reading
# The square root is the rule for keeping the noise of a step the same, the factor itself the one for
# going equally far. After few epochs it is the way that is missing, so compare the second row with
# the third. Warm-up costs a part of the way: compare each pair of rows. Does it give anything back
# here? What it is for is safety, against a first step from weights that nobody has chosen.
#
# Then look for the lowest number. If it does not stand in a row with a rule, that is the lesson of the
# table: a rule carries a rate to another batch size, and makes no rate good that was not good before.
# The only fair comparison of batch sizes gives each its own best rate.
#
# *"Small batches generalise better, so take two."* Batch normalisation subtracts the mean of the
# batch. In a batch of two, an image is compared with one other. Here is the same network, normalised
# over the batch and over groups of channels; each row is shown 2,000 images.


# %% tiny-batches tags=["proof", "pytorch"]
def normalised(by_batch):
    def norm(channels):
        return nn.BatchNorm2d(channels) if by_batch else nn.GroupNorm(4, channels)

    return nn.Sequential(
        nn.Conv2d(3, 12, 5, stride=2, padding=2, bias=False), norm(12), nn.ReLU(),
        nn.Conv2d(12, 16, 3, stride=2, padding=1, bias=False), norm(16), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 4),
    ).to(lab.device)  # fmt: skip


# %% tiny-batches tags=["proof", "tensorflow"]
def normalised(by_batch):
    def norm():
        return layers.BatchNormalization(momentum=0.9) if by_batch else layers.GroupNormalization(4)

    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(12, 5, strides=2, padding="same", use_bias=False),
            norm(),
            layers.ReLU(),
            layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False),
            norm(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


# %% tiny-batches-table tags=["proof"]
print("normalised over   batch of   loss of the last steps   as served   right on unseen")
for name, by_batch in (("the batch", True), ("groups of channels", False)):
    for batch_size, rate in ((2, 0.002), (32, 0.005)):
        lab.fw.set_seed(lab.seed)
        model = normalised(by_batch)
        losses = lab.fw.train(
            model, x, labels, steps=2000 // batch_size, batch_size=batch_size, learning_rate=rate,
            seed=lab.seed,
        )  # fmt: skip
        served = lab.fw.loss(model, x, labels, training=False)
        right = (lab.fw.predict(model, x_unseen).argmax(axis=1) == unseen_labels).mean()
        print(
            f"{name:18s}{batch_size:8d}{losses[-400 // batch_size :].mean():25.2f}{served:12.2f}{right:18.0%}"
        )

# %% [markdown] tiny-batches-reading
# The third column is the loss on the last 400 images while they were learned, the fourth the loss on
# all of them afterwards. Compare the two in the rows of two images. With batch normalisation the
# network that is trained, on pairs, is not the one that is served, on running averages; with groups
# it is one network. Whether that costs anything, the last column says.
#
# Portions have the same trap: a step that is added up from them is the step of the whole batch
# only where no image's output depends on its neighbours. With batch normalisation each portion is
# normalised by itself, which some do on purpose and call ghost batch normalisation.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# A GPU is asked for work and answers later, so a clock that is read before `torch.cuda.synchronize()`
# or `loss.item()` measures the asking. `torch.cuda.max_memory_allocated()` gives the memory of a step
# as it is, with the workspace of the convolutions. Under `DistributedDataParallel` the batch is that of
# all devices together, and gradients are averaged over devices as if all had the same number of images.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# A GPU is asked for work and answers later, so read a value, as `float(loss)`, before the clock.
# `tf.config.experimental.get_memory_info("GPU:0")` gives the peak of a step as it is, with the workspace
# of the convolutions. Keras's optimizers take `gradient_accumulation_steps`; they average over the
# portions as if all had the same number of images. Under `MirroredStrategy` the batch is that of all
# devices together.

# %% [markdown] read-on
# ## Read on
#
# - C. Shallue and others, *Measuring the Effects of Data Parallelism on Neural Network Training*
#   (2019): steps to a goal against the batch size, each with its own best rate.
# - P. Goyal and others, *Accurate, Large Minibatch SGD* (2017): linear scaling and warm-up.
# - S. McCandlish, J. Kaplan, D. Amodei and others, *An Empirical Model of Large-Batch Training* (2018):
#   the noise scale.
# - E. Hoffer, I. Hubara and D. Soudry, *Train longer, generalize better* (2017): the gap that closes
#   with the number of steps; ghost batch normalisation.
# - V. Godbole and others, *Deep Learning Tuning Playbook*: why the batch size is not tuned for
#   validation performance.
