# ---
# title: Units that never fire
# symptom: The loss falls for a moment, then stands at the loss of guessing to the last digit, and the network says the same for every image.
# minutes: 35
# difficulty: 2
# learn:
#   - count dead units over all images, and know what one batch gets wrong
#   - tell dead units from a vanishing gradient, a small learning rate and wrong labels
#   - keep units alive with the learning rate, normalisation or another activation, and know what each costs
#   - give logits their full range
# sources: ["000/12", "002/59", "003/74"]
# seconds: {pytorch: 25, tensorflow: 50}
# hints:
#   diagnosis:
#     - The loss did fall at first. Which of the causes lets a network learn for a moment and then stops it completely?
#     - A unit that gets a thousandth of the gradient still moves. How much gets through here, exactly?
#     - The cause is the one in which units are off for every image; the reading is `sick_units.hidden_dead_share`.
#   repair:
#     - Two things are wrong, one in the model and one in the training. What is the largest step that is taken, and which numbers can the last layer never say?
#     - Adam moves every weight by about the learning rate, whatever the size of the gradient. How large are the weights and biases beforehand?
#     - Let the logits leave without a ReLU, and lower the highest learning rate by a hundred or more.
# ---

# %% [markdown] story
# A small network tells four kinds of ground apart. Somebody took a schedule from a recipe that is
# known for its speed, and put it in. The loss falls at first. Then it goes back to 1.386,
# the loss of guessing, and stays there to the last digit. Whatever image the network is
# shown, it says the same.
#
# They have added filters, and dropout against overfitting.

# %% images
import numpy as np


def four_kinds(split, n):
    """Coast, forest, meadow and residential, numbered 0 to 3: images and labels."""
    kept = lab.draw(split, n, 16).only([0, 2, 5, 7])
    return kept.images, kept.labels


images, labels = four_kinds("train", 800)
mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
x = lab.fw.from_images((images - mean) / std, lab.device)
y = lab.fw.from_labels(labels, lab.device)
print(f"{len(images)} images of {images.shape[1]} pixels, standardised; four kinds of ground")

# %% [markdown] program tags=["pytorch"]
# Two convolutions, a hidden layer of 64 and four logits, a ReLU behind each. Adam, under
# PyTorch's `OneCycleLR`: the learning rate rises to its highest value half-way and falls again.

# %% [markdown] program tags=["tensorflow"]
# Two convolutions, a hidden layer of 64 and four logits, a ReLU in each. Adam; a callback lets the
# learning rate rise to its highest value half-way and fall again.

# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.nn import functional as F


def build_sick(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (size // 4) ** 2, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
        nn.ReLU(),
    ).to(lab.device)


def fit(model, x, y, highest, epochs=16, clip=None):
    """Train on batches of 32; return the mean loss of every epoch."""
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        highest,
        epochs=epochs,
        steps_per_epoch=-(-len(x) // 32),
        pct_start=0.5,
        div_factor=1000,
    )
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
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            schedule.step()
            total += loss.item()
        losses.append(total / len(batches))
    return losses


def sick_train(model, x, y):
    return fit(model, x, y, highest=0.5)


# %% sick-program tags=["tensorflow"]
import keras
from keras import layers


def build_sick(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(classes, activation="relu"),
        ]
    )


def fit(model, x, y, highest, epochs=16, clip=None):
    """Train on batches of 32; return the mean loss of every epoch."""

    def rate(epoch):
        return float(highest * np.sin(np.pi * (epoch + 0.5) / epochs) ** 2)

    model.compile(
        optimizer=keras.optimizers.Adam(global_clipnorm=clip),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,  # compiling with XLA takes longer than these few steps
    )
    # Built before, the optimizer lets Keras trace the step once, not twice.
    if model.built:
        model.optimizer.build(model.trainable_variables)
    schedule = keras.callbacks.LearningRateScheduler(rate)
    history = model.fit(x, y, batch_size=32, epochs=epochs, callbacks=[schedule], verbose=0)
    return history.history["loss"]


def sick_train(model, x, y):
    return fit(model, x, y, highest=0.5)


# %% sick-run
lab.fw.set_seed(lab.seed)
sick = build_sick(16, 4)

from grader.instruments import dead_units

fresh_units = dead_units.measure_dead_units(lab.fw, sick, x)
sick_losses = [lab.fw.loss(sick, x, labels, training=True)]
lab.fw.set_seed(lab.seed)
sick_losses += sick_train(sick, x, y)
print("training loss, before the first step and of every epoch:")
print(" ".join(f"{loss:.3f}" for loss in sick_losses))
print(f"guessing among four kinds costs ln 4 = {np.log(4):.3f}")
print("logits of the first three images:")
print(lab.fw.predict(sick, x[:3]))

# %% [markdown] instrument-story
# The instrument asks one question of every unit, that is, of every channel of a convolution and every
# output of a dense layer. A unit computes a sum and passes it through its activation. If that sum
# were a little different, would anything that uses the unit notice? It is asked for each image, and
# for each place on a map. When the answer is no for all of them, the unit is *dead*: no gradient
# comes back to it either, so it stays as it is. A *constant* unit could still move, but says the
# same for every image.

# %% sick-units
sick_units = dead_units.measure_dead_units(lab.fw, sick, x)
print("before training.", dead_units.say_dead_units(fresh_units))
print("after training.", dead_units.say_dead_units(sick_units))

# %% signature-picture tags=["picture"]
lab.show(
    dead_units.draw_dead_units(
        {"before training": fresh_units, "after training": sick_units}, {"sick": sick_losses}, 4
    ),
    dead_units.say_dead_units(sick_units),
)

# %% [markdown] diagnosis-question
# ## Why does the network say the same for every image?
#
# Layers 1 and 2 are the convolutions, layer 3 is the hidden layer, layer 4 gives the logits.
#
# | `cause` | what it would mean |
# |---|---|
# | `"small-learning-rate"` | The steps are too small to get anywhere. |
# | `"vanishing-gradient"` | Each layer passes on a small part of the gradient only. |
# | `"labels"` | Images and labels do not belong together. |
# | `"saturated-sigmoid"` | Sigmoids are driven to their flat ends. |
# | `"dead-units"` | Units are off for every image, and nothing can switch them on again. |
# | `"too-few-filters"` | Sixteen filters cannot describe the images. |
#
# Name the cause, and read off which share of all hidden units is dead after training. Hidden are
# the units of layers 1 to 3; the share is over all training images.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "dead-units"
reading = sick_units.hidden_dead_share
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## Keep them alive
#
# Two functions are measured. `build_model(size, classes)` returns a fresh model that gives logits.
# `train(model, x, y)` trains it in place, for about as long as now; `x` is standardised and `y` are
# the labels. Change either or both, and keep within three times the multiply-adds.
#
# The check looks at five things in turn, with images that the model has not seen. After training,
# does every layer keep enough units through which something of the image gets? Can every logit say
# whatever it likes? Did the loss fall? Are unseen images recognised about as well as by a healthy
# network of the same layers? And what does the model cost?


# %% repair tags=["answer", "pytorch"]
def build_model(size, classes):
    model = build_sick(size, classes)
    ### BEGIN SOLUTION
    model = model[:-1]  # the logits leave without a ReLU
    ### END SOLUTION
    return model


def train(model, x, y):
    highest = 0.5
    ### BEGIN SOLUTION
    highest = 0.003  # for Adam; the recipe's number was for plain descent
    ### END SOLUTION
    return fit(model, x, y, highest)


# %% repair tags=["answer", "tensorflow"]
def build_model(size, classes):
    model = build_sick(size, classes)
    ### BEGIN SOLUTION
    model.pop()
    model.add(layers.Dense(classes))  # the logits leave without a ReLU
    ### END SOLUTION
    return model


def train(model, x, y):
    highest = 0.5
    ### BEGIN SOLUTION
    highest = 0.003  # for Adam; the recipe's number was for plain descent
    ### END SOLUTION
    return fit(model, x, y, highest)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# The same images, seed and map, with the repair in between; then 300 images that neither program
# has seen.

# %% proof tags=["proof"]
unseen_images, unseen_labels = four_kinds("test", 750)
x_unseen = lab.fw.from_images((unseen_images - mean) / std, lab.device)


def accuracy(model):
    return (lab.fw.predict(model, x_unseen).argmax(axis=1) == unseen_labels).mean()


lab.fw.set_seed(lab.seed)
repaired = build_model(16, 4)
losses = [lab.fw.loss(repaired, x, labels, training=True)]
losses += train(repaired, x, y) or []
units = dead_units.measure_dead_units(lab.fw, repaired, x)
lab.show(
    dead_units.draw_dead_units(
        {"sick": sick_units, "repaired": units}, {"sick": sick_losses, "repaired": losses}, 4
    ),
    dead_units.say_dead_units(units),
)
print(f"right on unseen images: sick {accuracy(sick):.0%}, repaired {accuracy(repaired):.0%}")

# %% [markdown] rate-story
# ## How many die at which rate?
#
# Four runs of the same network with linear logits; only the highest learning rate differs. The
# share of dead hidden units is read twice, from all training images and from the first 32 of them.


# %% variants tags=["proof", "pytorch"]
def variant(activation=nn.ReLU, norm=False, last=nn.Identity):
    """The sick network's layers, with another activation, with normalisation, with other logits."""

    def block(layer, channels):
        norms = nn.BatchNorm1d if isinstance(layer, nn.Linear) else nn.BatchNorm2d
        return [layer, *([norms(channels)] if norm else []), activation()]

    return nn.Sequential(
        *block(nn.Conv2d(3, 16, 3, padding=1), 16),
        nn.MaxPool2d(2),
        *block(nn.Conv2d(16, 32, 3, padding=1), 32),
        nn.MaxPool2d(2),
        nn.Flatten(),
        *block(nn.Linear(512, 64), 64),
        nn.Linear(64, 4),
        last(),
    ).to(lab.device)


def leaky():
    return variant(nn.LeakyReLU)


def normalised():
    return variant(norm=True)


def relu_on_logits():
    return variant(last=nn.ReLU)


def sigmoid():
    return variant(nn.Sigmoid)


# %% variants tags=["proof", "tensorflow"]
def variant(activation="relu", norm=False, last=None):
    """The sick network's layers, with another activation, with normalisation, with other logits."""

    def block(layer, units, **options):
        if not norm:
            return [layer(units, activation=activation, **options)]
        return [
            layer(units, **options),
            layers.BatchNormalization(momentum=0.9),
            layers.Activation(activation),
        ]

    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            *block(layers.Conv2D, 16, kernel_size=3, padding="same"),
            layers.MaxPooling2D(),
            *block(layers.Conv2D, 32, kernel_size=3, padding="same"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            *block(layers.Dense, 64),
            layers.Dense(4, activation=last),
        ]
    )


def leaky():
    # As "leaky_relu", which TensorFlow's graph optimiser trips over behind a convolution.
    return variant(lambda sums: keras.ops.maximum(sums, 0.2 * sums))


def normalised():
    return variant(norm=True)


def relu_on_logits():
    return variant(last="relu")


def sigmoid():
    return variant("sigmoid")


# %% rate-picture tags=["proof"]
def trained(build, highest, **options):
    lab.fw.set_seed(lab.seed)
    model = build()
    return model, fit(model, x, y, highest, **options)


rates, whole, batch = [0.003, 0.03, 0.1, 0.5], [], []
runs = {}
for highest in rates:
    model, losses = runs[highest] = trained(variant, highest)
    whole.append(dead_units.measure_dead_units(lab.fw, model, x).hidden_dead_share)
    batch.append(dead_units.measure_dead_units(lab.fw, model, x[:32]).hidden_dead_share)
lab.show(
    dead_units.draw_dead_against_rate(rates, whole, batch, 32),
    dead_units.say_dead_against_rate(rates, whole, batch, 32),
)

# %% [markdown] rate-reading
# The left end of the line is not at zero. A healthy network has dead units too: some are off for
# every image from the start, and some are lost on the way. They are wasted, and the others do the
# work. Death becomes a disease when a layer loses so many that nothing gets through.
#
# One batch always shows as many dead units or more, never fewer: a unit that fires for a rare kind
# of image only is silent most of the time. A monitor that looks at single batches raises the alarm
# too early.
#
# ## Where advice and measurement part
#
# *"Use LeakyReLU, it cannot die." "Clip the gradient." "Normalise."* Each of them below, with
# linear logits and with the highest rate still at 0.5. The last line is the other half of the
# repair alone: the rate is lowered, and the logits keep their ReLU.

# %% advice-table tags=["proof"]
recipes = {
    "LeakyReLU, 0.5": (leaky, 0.5, {}),
    "clipped to norm 1, 0.5": (variant, 0.5, {"clip": 1.0}),
    "batch normalisation, 0.5": (normalised, 0.5, {}),
    "ReLU on logits, 0.003": (relu_on_logits, 0.003, {}),
}
print("recipe                    hidden units dead       loss   right on unseen")
for name, (build, highest, options) in recipes.items():
    model, losses = trained(build, highest, **options)
    dead = dead_units.measure_dead_units(lab.fw, model, x).hidden_dead_share
    print(f"{name:26s}{dead:17.0%}{losses[-1]:11.3g}{accuracy(model):18.0%}")

# %% [markdown] advice-reading
# LeakyReLU keeps its promise: look at the first number of its line. Then look at the second. Its
# units survive a step that throws their weights far away, and the loss shows where they were
# thrown to. The activation was not the cause; the step was.
#
# Clipping shortens a long gradient. But Adam divides the gradient by its own recent size, so that
# every weight moves by about the learning rate at each step, whether the gradient was clipped or
# not. Under plain gradient descent the step is as long as the gradient, and clipping does help.
#
# Batch normalisation brings every unit's sum back to a mean of zero over the batch, so that some
# images switch it on. It stands the step that kills the others.
#
# A ReLU on the logits cuts the gradient off wherever the network wants to say "rather not". It may
# learn all the same, or lose a class for good, as chance has it.

# %% [markdown] sigmoid-story
# ## And a sigmoid?
#
# A sigmoid has no dead half. It has two flat ends instead, and a unit that sits at one of them for
# every image is *saturated*. The bars count, for the units of the hidden layer, how steep the
# activation is where each image puts it.

# %% sigmoid-picture tags=["proof"]
curved = {
    "ReLU, 0.003": runs[0.003],
    "sigmoid, 0.003": trained(sigmoid, 0.003),
    "sigmoid, 0.5": trained(sigmoid, 0.5),
}
shown = {}
for name, (model, losses) in curved.items():
    shown[name] = dead_units.measure_dead_units(lab.fw, model, x).layers[2]
    print(f"{name:16s}loss {losses[-1]:.2f}, right on unseen {accuracy(model):.0%}")
lab.show(dead_units.draw_slopes(shown), dead_units.say_slopes(shown))

# %% [markdown] sigmoid-reading
# Compare the two lines for the sigmoid, and the bars at the far left. At the small rate few slopes
# are flat; saturation is not a property of the sigmoid, it is what large weights do to it. The
# same step that kills a ReLU saturates a sigmoid.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# The instrument stops the training to look at all images, and copies its numbers to the host. In a
# long run, look every few hundred steps, over a fixed set of images that is large enough for rare
# kinds. Half precision adds deaths that are none: below 6·10⁻⁸ a float16 gradient is zero. Measure
# in float32, outside of `torch.autocast`.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# The instrument runs eagerly and copies its numbers to the host. In a long run, call it from a
# callback every few epochs, over a fixed set of images that is large enough for rare kinds. Half
# precision adds deaths that are none: below 6·10⁻⁸ a float16 gradient is zero, as under the policy
# `mixed_float16`. Measure with a copy of the model in float32.

# %% [markdown] read-on
# ## Read on
#
# - L. Lu, Y. Shin, Y. Su and G. Karniadakis, *Dying ReLU and Initialization* (2019): when a network
#   is born dead.
# - X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural
#   networks* (2010): saturation, layer by layer.
# - A. Maas, A. Hannun and A. Ng, *Rectifier Nonlinearities Improve Neural Network Acoustic Models*
#   (2013): the leaky ReLU, and how little it changed there.
# - X. Zhang, J. Zhai, S. Ma and C. Shen, *AutoTrainer* (2021): dying ReLU as one of five diseases of
#   training, with repairs tried in turn.
# - L. Smith and N. Topin, *Super-Convergence* (2017): the one-cycle schedule, for plain descent.
