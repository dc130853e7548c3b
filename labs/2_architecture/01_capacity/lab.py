# ---
# title: Too small to learn
# symptom: Somebody made a network quicker. Its training accuracy stands on a plateau far below 100 %, and more epochs do not lift it.
# minutes: 35
# difficulty: 1
# learn:
#   - try whether a network can learn a single batch by heart, and at which rate
#   - measure whether a stack of layers is more than one layer
#   - find the place where too few numbers are left, and widen it as far as needed
#   - know what one batch by heart does not show, and what more epochs, dropout and more units cannot do
# sources: ["000/11", "000/16", "001/39", "002/53", "002/54", "003/72", "004/94"]
# seconds: {pytorch: 30, tensorflow: 55}
# hints:
#   diagnosis:
#     - Three learning rates were tried on the one batch. Which causes does that leave?
#     - The other network has the same images, the same labels and the same rates. What is different about the network itself?
#     - The cause is that no weights exist with which this network could do it; the reading is `sick_batch.floor`.
#   repair:
#     - Two things are wrong with the network, and each hides behind the other. The picture has a panel for each.
#     - What stands between one convolution and the next? And how many numbers does the last layer get for each image?
#     - Put an activation behind every normalisation, and leave the convolution to one channel out, so that the average over the map hands on all 32 channels.
# ---

# %% [markdown] story
# A network tells ten kinds of ground apart. It is to run on a small device, so somebody made it
# quicker: first the maps were halved early, then the last map was made thin, then went what seemed
# to cost time and to learn nothing. It still has three convolutions, normalised, with up to 32
# filters.
#
# Now its training accuracy climbs a little, and stands on a plateau far below 100 %. They have already
# tried more epochs.

# %% images
import numpy as np

from grader.instruments import capacity, gradient_flow

train_set = lab.draw("train", 480, 16)
images, labels = train_set.images, train_set.labels
kinds = len(train_set.classes)
mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
x = lab.fw.from_images((images - mean) / std, lab.device)
y = lab.fw.from_labels(labels, lab.device)
unseen_set = lab.draw("test", 400, 16)
x_unseen = lab.fw.from_images((unseen_set.images - mean) / std, lab.device)
print(f"{len(images)} images of {images.shape[1]} pixels, standardised; {kinds} kinds of ground")


def accuracies(model):
    """Shares of the training images and of unseen images that are recognised."""
    seen = (lab.fw.predict(model, x).argmax(axis=1) == labels).mean()
    unseen = (lab.fw.predict(model, x_unseen).argmax(axis=1) == unseen_set.labels).mean()
    return seen, unseen


# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.nn import functional as F


def build_quick(size, classes):
    layers, channels = [], 3
    for filters, stride in ((16, 2), (32, 2), (32, 1)):
        layers.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=1))
        layers.append(nn.BatchNorm2d(filters))
        channels = filters
    layers.append(nn.Conv2d(channels, 1, 1))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, classes)]
    return nn.Sequential(*layers).to(lab.device)


def fit(model, x, y, rate=0.003, epochs=12):
    """Train on batches of 32; return the training accuracy of every epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    accuracy = []
    model.train()
    for _ in range(epochs):
        right = 0
        for rows in torch.randperm(len(x)).split(32):
            rows = rows.to(x.device)
            optimizer.zero_grad()
            logits = model(x[rows])
            F.cross_entropy(logits, y[rows]).backward()
            optimizer.step()
            right += (logits.argmax(dim=1) == y[rows]).sum().item()
        accuracy.append(right / len(x))
    return accuracy


def sick_train(model, x, y):
    return fit(model, x, y)


# %% sick-program tags=["tensorflow"]
import keras
import tensorflow as tf
from keras import layers


def build_quick(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, strides in ((16, 2), (32, 2), (32, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.Conv2D(1, 1))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


def fit(model, x, y, rate=0.003, epochs=12):
    """Train on batches of 32; return the training accuracy of every epoch."""
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(model.trainable_variables)

    # A loop of our own: for so few steps, `model.fit` takes longer to get ready than to train.
    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
            loss = tf.reduce_mean(loss)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return tf.math.count_nonzero(tf.argmax(logits, axis=1) == labels)

    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(32)
    return [sum(int(step(*batch)) for batch in batches) / len(x) for _ in range(epochs)]


def sick_train(model, x, y):
    return fit(model, x, y)


# %% sick-run
lab.fw.set_seed(lab.seed)
sick = build_quick(16, kinds)
sick_flow = gradient_flow.measure_gradient_flow(lab.fw, sick, x[:64], labels[:64])
sick_accuracy = sick_train(sick, x, y)
print("training accuracy of every epoch:", " ".join(f"{a:.2f}" for a in sick_accuracy))
print("right on training images {:.0%}, on unseen images {:.0%}".format(*accuracies(sick)))
print("before training:", gradient_flow.say_gradient_flow(sick_flow))

# %% [markdown] one-batch-story
# Two questions are put to the network, and to a healthy one beside it that has about as many
# multiply-adds.
#
# The first is the oldest one there is: can it learn **one batch by heart**? The same 32 images come
# a hundred times, with Adam at three learning rates, each from the same initial weights. Nothing has
# to be understood for that; there only has to be room.
#
# The second needs no training. An *affine map* is a matrix and an offset, and nothing else. For such
# a map f, and any two images a and b, the sum f(a + b) - f(a) - f(b) + f(0) is zero, whatever the
# weights are. How far is the network from that, compared with f(a) - f(0) and f(b) - f(0)?

# %% one-batch
lab.fw.set_seed(lab.seed)
fresh = build_quick(16, kinds)
sick_batch = capacity.measure_one_batch(lab.fw, fresh, x[:32], labels[:32])
sick_bend = capacity.measure_nonlinearity(lab.fw, fresh, x[:32])
print(capacity.say_capacity("sick", sick_batch, sick_bend))

# %% one-batch-healthy
healthy = lab.fw.small_network(16, kinds, width=12, seed=lab.seed, device=lab.device)
healthy_batch = capacity.measure_one_batch(lab.fw, healthy, x[:32], labels[:32])
healthy_bend = capacity.measure_nonlinearity(lab.fw, healthy, x[:32])
for name, model in (("sick", fresh), ("healthy", healthy)):
    print(f"{name}: {lab.fw.multiply_adds(model, x[:1]):,} multiply-adds for one image")

# %% signature-picture tags=["picture"]
lab.show(
    capacity.draw_capacity(
        {"sick": sick_batch, "healthy": healthy_batch},
        {"sick": sick_bend, "healthy": healthy_bend},
        kinds,
    ),
    capacity.say_capacity("sick", sick_batch, sick_bend)
    + " "
    + capacity.say_capacity("healthy", healthy_batch, healthy_bend),
)

# %% [markdown] diagnosis-question
# ## Why does the training accuracy stop there?
#
# On the left there are three lines for each network, one for each learning rate; the best one is
# bold. Both vertical axes are logarithmic.
#
# | `cause` | what it would mean |
# |---|---|
# | `"learning-rate"` | The steps are too long or too short. |
# | `"vanishing-gradient"` | The first layers get no gradient. |
# | `"overfitting"` | The training images are learned by heart. |
# | `"too-little-data"` | There are too few images to learn from. |
# | `"label-noise"` | Many labels are wrong. |
# | `"too-small"` | No weights exist with which this network could do it. |
#
# Name the cause, and read off which loss the sick network keeps on the one batch, at the best of the
# three rates.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "too-small"
reading = sick_batch.floor
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## Give it room, and no more than it needs
#
# Two functions are measured. `build_model(size, classes)` returns a fresh model that gives logits.
# `train(model, x, y)` trains it in place, for about as long as now; `x` is standardised and `y` are
# the labels. Change either or both.
#
# The check asks five questions in turn. Is the fresh model more than an affine map? Can it hold one
# batch, when the check trains it at three learning rates? Does it stay within three times the
# multiply-adds of a healthy network, which has as many as the sick one? Does your training bring it
# to the training accuracy of that network, or near it? And are unseen images recognised about as
# well?


# %% repair tags=["answer", "pytorch"]
def build_model(size, classes):
    model = build_quick(size, classes)
    ### BEGIN SOLUTION
    layers, channels = [], 3
    for filters, stride in ((16, 2), (32, 2), (32, 1)):
        layers.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=1))
        layers += [nn.BatchNorm2d(filters), nn.ReLU()]
        channels = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    model = nn.Sequential(*layers).to(lab.device)
    ### END SOLUTION
    return model


def train(model, x, y):
    return sick_train(model, x, y)


# %% repair tags=["answer", "tensorflow"]
def build_model(size, classes):
    model = build_quick(size, classes)
    ### BEGIN SOLUTION
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
    return sick_train(model, x, y)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# The same batch, rates and seed, with the repair in between; then the training images, and 400 that
# neither program has seen.

# %% proof tags=["proof"]
lab.fw.set_seed(lab.seed)
repaired = build_model(16, kinds)
batch = capacity.measure_one_batch(lab.fw, repaired, x[:32], labels[:32])
bend = capacity.measure_nonlinearity(lab.fw, repaired, x[:32])
train(repaired, x, y)
lab.show(
    capacity.draw_capacity(
        {"sick": sick_batch, "repaired": batch}, {"sick": sick_bend, "repaired": bend}, kinds
    ),
    capacity.say_capacity("repaired", batch, bend),
)
for name, model in (("sick", sick), ("repaired", repaired)):
    seen, unseen = accuracies(model)
    price = lab.fw.multiply_adds(model, x[:1])
    print(f"{name:9s} seen {seen:.0%}, unseen {unseen:.0%}, {price:,} multiply-adds")

# %% [markdown] advice-story
# ## Where advice and measurement part
#
# *"If it can learn one batch by heart, it is large enough."* The table takes the sick network and
# repairs one half of it at a time: the activations alone, the thin map alone. Then comes what is
# often tried instead: many more units in front of the logits, twice the epochs, dropout.


# %% advice tags=["proof", "pytorch"]
def stack(
    widths=(16, 32, 32), *, activation=True, squeeze=0, hidden=0, dropout=0.0, normalise=True
):
    """The sick network's plan, with parts that can be put in and left out."""
    parts, channels = [], 3
    for filters, stride in zip(widths, (2, 2, 1), strict=True):
        parts.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=1))
        parts += [nn.BatchNorm2d(filters)] if normalise else []
        parts += [nn.ReLU()] if activation else []
        channels = filters
    if squeeze:
        parts.append(nn.Conv2d(channels, squeeze, 1))
        channels = squeeze
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    if hidden:
        parts += [nn.Linear(channels, hidden), nn.ReLU()]
        channels = hidden
    return nn.Sequential(*parts, nn.Linear(channels, kinds)).to(lab.device)


# %% advice tags=["proof", "tensorflow"]
def stack(
    widths=(16, 32, 32), *, activation=True, squeeze=0, hidden=0, dropout=0.0, normalise=True
):
    """The sick network's plan, with parts that can be put in and left out."""
    model = keras.Sequential([keras.Input((16, 16, 3))])
    for filters, strides in zip(widths, (2, 2, 1), strict=True):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
        if normalise:
            model.add(layers.BatchNormalization(momentum=0.9))
        if activation:
            model.add(layers.ReLU())
    if squeeze:
        model.add(layers.Conv2D(squeeze, 1))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dropout(dropout))
    if hidden:
        model.add(layers.Dense(hidden, activation="relu"))
    model.add(layers.Dense(kinds))
    return model


# %% advice-table tags=["proof"]
plans = {
    "activations alone": {"squeeze": 1},
    "thin map removed alone": {"activation": False},
    "sick, 320 units behind": {"activation": False, "squeeze": 1, "hidden": 320},
}
print("                          one batch   not affine by   seen  unseen")
for name, plan in plans.items():
    lab.fw.set_seed(lab.seed)
    model = stack(**plan)
    bent = capacity.measure_nonlinearity(lab.fw, model, x[:32])
    left = capacity.measure_one_batch(lab.fw, model, x[:32], labels[:32], rates=(0.01,)).floor
    fit(model, x, y)
    seen, unseen = accuracies(model)
    print(f"{name:25s}{left:10.3f}{bent:16.0e}{seen:7.0%}{unseen:8.0%}")

lab.fw.set_seed(lab.seed)
longer = stack(activation=False, squeeze=1)
lab.fw.set_state(longer, lab.fw.get_state(sick))
dropping = stack(activation=False, squeeze=1, dropout=0.5)
for name, model in (("sick, 12 epochs more", longer), ("sick, dropout 0.5", dropping)):
    fit(model, x, y)
    seen, unseen = accuracies(model)
    print(f"{name:51s}{seen:7.0%}{unseen:8.0%}")

# %% [markdown] advice-reading
# Read the second row. Without the thin map, the network holds the batch, and is still one matrix:
# 32 images lie so far apart among 768 numbers that a matrix is enough. All training images together
# show it. So one batch by heart is *needed*, and does not suffice; that is why the check has a
# probe of its own for the activations, and asks for all training images too.
#
# The third row is the opposite case: many units stand behind the one number that is left of each
# image. They bend the map, and cannot bring back what is gone. More epochs and dropout, in the last
# two rows, change neither of the two faults. Dropout is meant for networks that recognise the
# images they have seen and no others; compare the two columns.
#
# ## Too small, or too big too soon?
#
# *"The deeper and wider, the more it overfits."* The repaired network with filters from very few to
# many, and the same training for all of them. *Seen* are the training images.

# %% widths tags=["proof"]
ceilings = []
for half in (1, 4, 10, 24):
    lab.fw.set_seed(lab.seed)
    model = stack((half, 2 * half, 2 * half))
    fit(model, x, y)
    price = lab.fw.multiply_adds(model, x[:1])
    ceilings.append(capacity.Ceiling(f"{2 * half} filters", price, *accuracies(model)))
as_sick = capacity.Ceiling("sick", lab.fw.multiply_adds(sick, x[:1]), *accuracies(sick))
lab.show(capacity.draw_ceilings(ceilings, as_sick), capacity.say_ceilings(ceilings))

# %% wide-table tags=["proof"]
print("48 filters, each with                   seen  unseen    gap")
for name, plan in {
    "neither normalisation nor dropout": {"normalise": False},
    "normalisation": {},
    "normalisation and dropout 0.5": {"dropout": 0.5},
}.items():
    seen, unseen = ceilings[-1].seen, ceilings[-1].unseen  # of the plan as it is
    if plan:
        lab.fw.set_seed(lab.seed)
        model = stack((24, 48, 48), **plan)
        fit(model, x, y)
        seen, unseen = accuracies(model)
    print(f"{name:38s}{seen:6.0%}{unseen:8.0%}{seen - unseen:7.0%}")

# %% [markdown] widths-reading
# A network that is too small has no gap at all: it does as badly on the images it has seen. With the
# filters the gap opens, and while it opens, the accuracy on unseen images need not fall: compare its
# best point with its last one. What certainly grows from point to point is the number of
# multiply-adds.
#
# The table asks for the usual remedies. Do not read the gap alone: a network that has learned less
# has a smaller one. The column to compare is that of the unseen images.
#
# So start small, widen until one batch is held and the lower line stops rising, and stop there.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# Multiply-adds are not time. A GPU works on many filters at once, and a convolution of one filter can
# take it about as long as one of 64. So a network that was thinned for speed may be no quicker at all.
# Time both, after some steps to warm up, with `torch.cuda.synchronize()` before each look at the
# clock; `torch.utils.benchmark.Timer` does that by itself.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# Multiply-adds are not time. A GPU works on many filters at once, and a convolution of one filter can
# take it about as long as one of 64. So a network that was thinned for speed may be no quicker at all.
# Time both inside a `tf.function`, after some calls to warm up, and call `.numpy()` on the result
# before each look at the clock, so that the GPU has finished. Leaving activations out saves little:
# with `jit_compile=True`, XLA fuses them with the other work that goes element by element.

# %% [markdown] read-on
# ## Read on
#
# - A. Karpathy, *A Recipe for Training Neural Networks* (2019): one batch by heart, among other
#   questions to put before a long training.
# - I. Goodfellow, Y. Bengio and A. Courville, *Deep Learning* (2016), sections 5.2 and 6.1: capacity,
#   and why a stack of linear layers is linear.
# - K. Simonyan and A. Zisserman, *Very Deep Convolutional Networks* (2014): the error against depth,
#   and where it stops falling.
# - C. Zhang, S. Bengio, M. Hardt, B. Recht and O. Vinyals, *Understanding deep learning requires
#   rethinking generalization* (2016): large networks hold random labels, and generalise all the same.
# - M. Sandler, A. Howard, M. Zhu, A. Zhmoginov and L.-C. Chen, *MobileNetV2* (2018): thin maps
#   without activation, and where they are in place.
