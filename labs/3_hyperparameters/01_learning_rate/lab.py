# ---
# title: The learning-rate range test
# symptom: Of three runs of one network one lies flat, one learns, and one leaps about at the very rate at which the other learns.
# minutes: 35
# difficulty: 2
# learn:
#   - what a learning rate is worth depends on the loss, the batch and the network
#   - to measure how far one step moves the weights
#   - to find a rate with one short training in which it rises
# sources: ["000/17", "000/18", "002/60", "003/75"]
# seconds: {pytorch: 35, tensorflow: 50}
# hints:
#   diagnosis:
#     - B and C start from the same loss and report the same rate. What do they no longer share after one step?
#     - Compare the first updates. Which causes act in the first step, and which only from the second on? Which of the numbers of this program equals the factor?
#     - The reading is `runs["C"].ratios[0] / runs["B"].ratios[0]`.
#   repair:
#     - A rate that is right for one program is wrong by decades for another. What can be measured on any program before it is trained in earnest?
#     - Train a fresh network once for about a hundred steps, and let the rate rise at each step by the same factor over many decades. Keep the loss of every step. Where does it fall?
#     - Smooth the losses, find the lowest point, and return a rate about a tenth of the one at that point.
# ---

# %% [markdown] story
# A small network is trained three times on the same images, from the same initial weights, in the
# same order. The optimizer is the same as well, gradient descent with momentum 0.9. Runs A and B
# come from one program, run C from another.
#
# What somebody saw: the loss of A lies flat, the loss of B falls, the loss of C leaps about. B and C
# report the same learning rate.

# %% images
train = lab.draw("train", 320, 16)
test = lab.draw("test", 500, 16)
classes = len(train.classes)
x = lab.fw.from_images(train.images, lab.device) / 127.5 - 1
y = lab.fw.from_labels(train.labels, lab.device)
batch_size = 32
print(f"{len(train)} training images {train.images.shape[1:]}, {classes} classes")


def build_model():
    """Three convolutions with batch normalisation, the same initial weights every time."""
    return lab.fw.small_network(16, classes, width=8, seed=lab.seed, device=lab.device)


# %% [markdown] programs
# Here are both programs. They share the training loop and differ in the lines that say what is
# minimised. Whatever that is, the log shows the cross-entropy of every batch in nats an image, so
# that the runs can be compared. After each step the loop also notes how far the step moved the
# weights, as a share of their size.

# %% sick-programs tags=["pytorch"]
import torch
from torch.nn import functional as F

from grader.instruments.lr_range import Run, update_ratio


def train_run(rate, loss_function, steps=60):
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    batches = list(torch.arange(len(y)).split(batch_size))
    losses, ratios = [], []
    for step in range(steps):
        rows = batches[step % len(batches)]
        logits = model(x[rows])
        optimizer.zero_grad()
        loss_function(logits, y[rows]).backward()
        before = lab.fw.get_state(model)
        optimizer.step()
        ratios.append(update_ratio(before, lab.fw.get_state(model)))
        losses.append(F.cross_entropy(logits.detach(), y[rows]).item())
    return Run(optimizer.param_groups[0]["lr"], losses, ratios)


def loss_of_runs_a_and_b(logits, labels):
    return F.cross_entropy(logits, labels)


def loss_of_run_c(logits, labels):
    log_probability = logits.log_softmax(dim=1)
    return -log_probability.gather(1, labels[:, None]).sum()


# %% sick-programs tags=["tensorflow"]
import keras
from keras import ops

from grader.instruments.lr_range import Run, update_ratio


class Notes(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses, self.ratios = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()  # Keras reports means since the epoch's start; we want one batch
        self.before = lab.fw.get_state(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["nats"])
        self.ratios.append(update_ratio(self.before, lab.fw.get_state(self.model)))


def train_run(rate, loss_function, steps=60):
    model = build_model()
    nats = keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="nats")
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss_function, metrics=[nats])
    notes = Notes()
    epochs = steps // (len(train) // batch_size)
    model.fit(
        x, y, batch_size=batch_size, epochs=epochs, shuffle=False, verbose=0, callbacks=[notes]
    )
    return Run(float(model.optimizer.learning_rate), notes.losses, notes.ratios)


def loss_of_runs_a_and_b(labels, logits):
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


def loss_of_run_c(labels, logits):
    chosen = ops.one_hot(labels, classes)
    return -ops.sum(chosen * ops.log_softmax(logits))


# %% sick-runs
runs = {
    "A": train_run(0.00005, loss_of_runs_a_and_b),
    "B": train_run(0.1, loss_of_runs_a_and_b),
    "C": train_run(0.1, loss_of_run_c),
}
print("run   rate    first loss   last loss   first update")
for name, run in runs.items():
    print(
        f"{name}  {run.rate:7.5f}   {run.losses[0]:10.4f}  {run.losses[-1]:10.4f}   {run.ratios[0]:12.3g}"
    )

# %% [markdown] look
# The loss alone tells a flat run from a wild one, and not why. The second panel shows the same
# sixty steps by what each did to the weights.

# %% signature tags=["picture"]
from grader.instruments.lr_range import draw_runs, say_runs

lab.show(draw_runs(runs), say_runs(runs))

# %% [markdown] diagnose
# Run A needs no detective: its updates lie far below the band in which training usually works, so
# its loss does not move. Gradients arrive, the rate is too small. Run C is the strange one.
#
# | `cause` of run C | what it would mean |
# |---|---|
# | `"rate-typed-higher"` | C was started with a higher rate than B |
# | `"other-start"` | C started from other, worse weights |
# | `"raw-images"` | C was fed images from 0 to 255 |
# | `"gradients-not-cleared"` | C adds each gradient to those of the steps before |
# | `"vanishing-gradient"` | the gradient does not reach the first layers of C |
# | `"summed-loss"` | C minimises a sum over the images of a batch, B their mean |
#
# Which cause explains C? And how many times larger is the first update of C than that of B? The
# table above has both numbers.

# %% diagnosis tags=["answer"]
cause = ...  # one of the names in the table
reading = ...  # the first update of C divided by the first update of B
### BEGIN SOLUTION
cause = "summed-loss"
reading = runs["C"].ratios[0] / runs["B"].ratios[0]
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-task
# A smaller rate would mend C today, and the next program would bring the next wrong rate. So the
# repair is a function that finds a rate for a program that it has never seen.
#
# `pick_learning_rate(build_model, images, labels, batch_size, loss_function)` returns one number,
# the rate for gradient descent with momentum 0.9.
#
# - `build_model()` returns a fresh network that gives logits, with the same initial weights at
#   every call;
# - `images` and `labels` are ready to be fed to it;
# - `batch_size` is the batch size with which the network will be trained;
# - `loss_function` is what will be minimised. It is called as your framework calls a loss.
#
# The check calls it for two programs with different networks, batches and losses. Then it trains
# each for 45 steps at your rate and at a few others. Your rate passes where the loss falls by at
# least 0.6 of what the best of them reaches. The function may take 500 training steps for one
# program; about a hundred are enough.

# %% repair tags=["answer", "pytorch"]
import numpy as np
import torch


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    rate = 0.1
    ### BEGIN SOLUTION
    lowest, highest, steps = 1e-6, 1e2, 120
    factor = (highest / lowest) ** (1 / (steps - 1))
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=lowest, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor**step)
    rates, losses, mean = [], [], 0.0
    while len(rates) < steps:
        for rows in torch.randperm(len(labels)).split(batch_size):
            loss = loss_function(model(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.append(schedule.get_last_lr()[0])
            mean = 0.9 * mean + 0.1 * loss.item()
            losses.append(mean / (1 - 0.9 ** len(rates)))  # a running mean, right from the start
            schedule.step()
        if not losses[-1] < 2 * losses[0]:
            break
    # From the plateau at the left down to the lowest loss: the last rate at which more than a third
    # of that fall is still ahead. The lowest point itself comes late, as a sweep has momentum.
    lowest = int(np.nanargmin(losses))
    plateau = np.mean(losses[: steps // 6])
    level = plateau - 2 / 3 * (plateau - losses[lowest])
    ahead = [rates[step] for step in range(lowest) if losses[step] > level]
    rate = ahead[-1] if ahead else rates[lowest]
    ### END SOLUTION
    return rate


# %% repair tags=["answer", "tensorflow"]
import keras
import numpy as np
import tensorflow as tf


### BEGIN SOLUTION
class RisingRate(keras.callbacks.Callback):
    """Set the rate before each batch; note the loss after it, until the loss explodes."""

    def __init__(self, rates):
        super().__init__()
        self.rates, self.losses = rates, []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = self.rates[batch]
        self.model.reset_metrics()  # otherwise Keras reports the mean since the epoch's start

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])
        if not self.losses[-1] < 4 * self.losses[0]:
            self.model.stop_training = True


### END SOLUTION
def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    rate = 0.1
    ### BEGIN SOLUTION
    rates = np.geomspace(1e-6, 1e2, 120)
    model = build_model()
    model.compile(keras.optimizers.SGD(rates[0], momentum=0.9), loss_function)
    sweep = RisingRate(rates)
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(labels))
    batches = batches.repeat().batch(batch_size)
    model.fit(batches, steps_per_epoch=len(rates), shuffle=False, verbose=0, callbacks=[sweep])
    losses, mean = [], 0.0
    for step, loss in enumerate(sweep.losses, start=1):
        mean = 0.9 * mean + 0.1 * loss
        losses.append(mean / (1 - 0.9**step))  # a running mean, right from the start
    # From the plateau at the left down to the lowest loss: the last rate at which more than a third
    # of that fall is still ahead. The lowest point itself comes late, as a sweep has momentum.
    lowest = int(np.nanargmin(losses))
    plateau = np.mean(losses[: len(rates) // 6])
    level = plateau - 2 / 3 * (plateau - losses[lowest])
    ahead = [rates[step] for step in range(lowest) if losses[step] > level]
    rate = ahead[-1] if ahead else rates[lowest]
    ### END SOLUTION
    return rate


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-task
# Does the function mend run C? It is asked for a rate for each of the two programs, and both
# programs are swept once more for the picture.

# %% proof-rates tags=["proof"]
from grader.instruments.lr_range import draw_range, measure_range, say_range

losses_of = {
    "B": lab.fw.cross_entropy(reduction="mean"),
    "C": lab.fw.cross_entropy(reduction="sum"),
}
lab.fw.set_seed(lab.seed)
picked = {
    name: float(pick_learning_rate(build_model, x, y, batch_size, loss_function))
    for name, loss_function in losses_of.items()
}
sweeps = {
    name: measure_range(
        lab.fw.train_at_rates,
        build_model(),
        x,
        train.labels,
        batch_size=batch_size,
        loss_function=loss_function,
        seed=lab.seed,
    )
    for name, loss_function in losses_of.items()
}
print(
    f"rate for B {picked['B']:.2g}, for C {picked['C']:.2g}, ratio {picked['B'] / picked['C']:.1f}"
)

# %% proof-picture tags=["picture"]
lab.show(draw_range(sweeps, picked), say_range(sweeps, picked))

# %% [markdown] proof-meaning
# The two curves are one curve, moved sideways by the factor that you read off the first updates. A
# batch of 32 images gives a summed loss 32 times the mean, a gradient 32 times as long, and so a
# step 32 times as long. The rates that were picked differ by about that factor, as each pick saw
# other batches. The rate that an optimizer reports is only half of a step; the other half is the
# loss that it multiplies.
#
# Now both programs are trained for 120 steps, C at the sick rate and at the one that was picked, and
# looked at on images that no run has seen.

# %% proof-unseen tags=["proof"]
unseen = lab.fw.from_images(test.images, lab.device) / 127.5 - 1
for name, rate, scale in (
    ("C, sick", 0.1, batch_size),
    ("C, repaired", picked["C"], batch_size),
    ("B, repaired", picked["B"], 1),
):
    model = build_model()
    lab.fw.train(
        model,
        x,
        train.labels,
        steps=120,
        batch_size=batch_size,
        learning_rate=rate,
        loss_scale=scale,
        seed=lab.seed,
    )
    right = (lab.fw.predict(model, unseen).argmax(axis=1) == test.labels).mean()
    print(
        f"{name:12s} rate {rate:.2g}: {100 * right:3.0f} % of {len(test)} unseen images recognised"
    )

# %% [markdown] advice
# ## Where advice and measurement part
#
# Three pieces of advice are common: take the rate at which the loss is lowest; take a tenth of it;
# take a tenth of the rate at which the loss explodes. Each names a number on a curve, and the curve
# depends on how fast it was swept.

# %% advice-measured tags=["proof"]
print("steps   lowest loss at   explodes at")
for steps in (40, 120, 360):
    sweep = measure_range(
        lab.fw.train_at_rates,
        build_model(),
        x,
        train.labels,
        batch_size=batch_size,
        loss_function=losses_of["B"],
        seed=lab.seed,
        steps=steps,
    )
    print(f"{steps:5d}   {sweep.lowest:14.2g}   {sweep.diverged:11.2g}")

# %% [markdown] advice-meaning
# From the fastest sweep to the slowest, the lowest point moves to a smaller rate. Momentum carries
# the loss on for some ten steps after the rate has become too large, and in a fast sweep ten steps
# are two decades. So the lowest point of a fast sweep is often too far right, that of a slow one can
# be a fair choice, and a tenth of it is a careful one.
#
# The point where the loss explodes is worse in this network. Batch normalisation divides by the size
# of what the weights produce, so that very large steps do not blow up; they stop learning long
# before. A tenth of the last column above can still be too large.
#
# A rate that is too small is often said to be caught in a local minimum. Run A was caught in nothing:
# its updates in the table of the three runs were small, and that was all.

# %% [markdown] gpu
# ## On a GPU
#
# Nothing in the range test changes, and it is worth more: a batch that fills a GPU is larger, so the
# best rate is another one than on this page. Sweep again whenever the batch size changes. Reading
# the loss at every step makes the processor wait for the GPU; for a hundred steps that is harmless,
# in a long training read it now and then.

# %% [markdown] read-on
# ## Read on
#
# - Leslie N. Smith, "Cyclical Learning Rates for Training Neural Networks", 2017: where the range
#   test comes from.
# - Yoshua Bengio, "Practical Recommendations for Gradient-Based Training of Deep Architectures",
#   2012: how the learning rate is tied to everything else.
# - Houssem Ben Braiek and Foutse Khomh, "Testing Feedforward Neural Networks Training Programs",
#   2023: the band of update sizes drawn in the first picture.
# - The documentation of `torch.optim.lr_scheduler.LambdaLR`, and of callbacks in Keras.
#
# A rate found at the start need not be the right one at the end. That is the next lab.
