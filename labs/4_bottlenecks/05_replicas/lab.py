# ---
# title: Two replicas that never meet
# symptom: The training was spread over two replicas. An epoch takes as long as before, and the model that is saved is worse than that of one.
# minutes: 60
# difficulty: 3
# learn:
#   - tell replicas that train one model from replicas that drift apart
#   - show that a step of two replicas equals a step of one process on the whole batch
#   - shard a set so that every image is seen once an epoch, in another order each time
#   - add up a metric over replicas, and audit where tensors live and how often the host waits
# sources: ["000/25", "002/65", "004/87"]
# seconds: {pytorch: 30, tensorflow: 45}
# hints:
#   diagnosis:
#     - Look at the first point of the left picture, before any training, and at the last one. What would bring the two replicas together?
#     - In the right picture, each replica alone is better than what is saved. So nothing is wrong with what each of them learns.
#     - "The cause is the one in which nothing is exchanged; the reading is `sick.apart[-1]`."
#   repair:
#     - Three things have to be equal in both replicas, or shared between them - where they begin, what every step does, and the images of an epoch.
#     - Both must begin with the same weights. Every step must use the mean of both gradients. Every image must belong to one replica in each epoch, and to another batch in the next.
#     - "PyTorch: `DistributedDataParallel(model)` and `DistributedSampler(data)`, with `sampler.set_epoch(epoch)` before every epoch. TensorFlow: one `tf.distribute.MirroredStrategy(DEVICES)` instead of two strategies of one device, and the whole batch for it."
#   metric:
#     - Count the images that enter, and those that are recognised, in each replica. What do the two counts have to become?
#     - An accuracy is a quotient. Add up what stands above the line and what stands below it, over the replicas, and divide once.
#     - "PyTorch: rows `range(rank, len(data), world_size)`, and `dist.all_reduce` on the tensor of both counts. TensorFlow: `strategy.reduce(\"SUM\", value, axis=None)` on both counts of every step."
#   device:
#     - Which line of the program uses its argument `device`? And which one asks for a number?
#     - The parameters have to live on the device, in PyTorch each batch too. The loss can be added up as a tensor, and asked for once.
#     - "PyTorch: `model.to(device)`, `part.to(device)`, `targets.to(device)`, and `total = total + loss.detach()`. TensorFlow: build the model and take the steps within `tf.device(device)`, and `total = total + loss`."
# ---

# %% [markdown] story
# A small network learns four kinds of ground. To have it sooner, somebody spread the training over two
# replicas: two copies of the model that train at the same time, as one does with two graphics cards.
#
# An epoch now takes as long as it took with one. Each replica reports a falling loss. And the model
# that is saved in the end recognises fewer images than the one that a single process had trained.
#
# **What you have.** Two real replicas on this machine's processor. They exchange messages, or do not,
# just as replicas on two graphics cards do.
#
# **What you do.** Find out what the replicas do together, and make them train one model.

# %% images
import numpy as np

KINDS = [0, 2, 5, 7]  # coast, forest, meadow, residential


def some(split, n):
    """About `n` images of four kinds, standardised, float (N, 16, 16, 3), and labels 0 to 3."""
    drawn = lab.case.practice().draw_kinds(split, n + 40, 16, KINDS).take(n)
    return drawn.standardised(), drawn.labels


images, labels = some("train", 480)
unseen_images, unseen_labels = some("validation", 480)
setting = {"epochs": 10, "batch_size": 32, "rate": 0.02, "classes": 4, "seed": lab.seed}
print(f"{len(images)} images to learn from, {len(unseen_images)} unseen")

# %% [markdown] sick-story tags=["pytorch"]
# Each replica is a process. Both run the same function, `sick_train`; `dist.get_rank()` is 0 in one of
# them and 1 in the other. `torch.distributed` connects them with gloo, its way to exchange tensors
# between processors. As in any program that sets no seed, the processes differ in their random
# numbers.
#
# `batch_size` counts the images of a step over both replicas together.

# %% [markdown] sick-story tags=["tensorflow"]
# Each replica is a device. TensorFlow can split the processor into several logical devices, and here
# it has two, `CPU:0` and `CPU:1`. That has to be said before TensorFlow computes anything, so
# replicas run in a process of their own, and the notebook's functions are sent there.
#
# A strategy places a model on devices. `batch_size` counts the images of a step over both replicas
# together.

# %% sick-program tags=["pytorch"]
import torch
import torch.distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, RandomSampler, TensorDataset


def average_weights(model):
    """Give all replicas the mean of their weights."""
    for p in model.parameters():
        dist.all_reduce(p.data)
        p.data /= dist.get_world_size()


def sick_train(build_model, x, y, epochs, batch_size, rate):
    """Runs in both processes."""
    model = build_model()
    data = TensorDataset(x, y)
    batches = DataLoader(data, batch_size // dist.get_world_size(), sampler=RandomSampler(data))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(epochs):
        for part, targets in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(part), targets).backward()
            optimizer.step()
    average_weights(model)
    return model


# %% sick-program tags=["tensorflow"]
import keras
import tensorflow as tf

DEVICES = ["/CPU:0", "/CPU:1"]
mean_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def batches_of(x, y, batch_size):
    """Batches of all images, in another order whenever one goes through them."""
    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(batch_size)


def fit_in(strategy, build_model, batches, epochs, rate):
    """Train a model on the devices of a strategy, and return it."""
    with strategy.scope():
        model = build_model()
        # Compiling with XLA takes longer than these few steps.
        model.compile(keras.optimizers.SGD(rate), mean_loss, jit_compile=False)
        # Built before, the optimizer lets Keras trace the step once, not twice.
        model.optimizer.build(model.trainable_variables)
    model.fit(batches, epochs=epochs, verbose=0)
    return model


def average_weights(models):
    """Give all models the mean of their weights, and return the first."""
    for variables in zip(*(model.trainable_variables for model in models), strict=True):
        mean = sum(v.numpy() for v in variables) / len(variables)
        for v in variables:
            v.assign(mean)
    return models[0]


def sick_train(build_model, x, y, epochs, batch_size, rate):
    strategies = [tf.distribute.OneDeviceStrategy(device) for device in DEVICES]
    batches = batches_of(x, y, batch_size // len(DEVICES))
    models = [fit_in(strategy, build_model, batches, epochs, rate) for strategy in strategies]
    return average_weights(models)


# %% [markdown] sick-run-story
# The instrument gives the program models that note which images enter them, and what their weights
# are at that moment. Beside it, one process trains alone, on whole batches of 32.

# %% sick-run
from grader.instruments import replicas

lab.fw.prepare_replicas()  # some seconds, once
sick_runs = replicas.run_training(lab.fw, sick_train, images, labels, **setting)
sick = replicas.measure_replicas(sick_runs, len(images), setting["epochs"])

alone = lab.fw.steady_network(16, 4, seed=lab.seed, device=lab.device)
lab.fw.train(
    alone,
    lab.fw.from_images(images, lab.device),
    labels,
    steps=setting["epochs"] * len(images) // 32,
    batch_size=32,
    learning_rate=setting["rate"],
    momentum=0.0,
)


def right_with(weights):
    """Share of the unseen images that a network with these weights recognises."""
    logits = lab.fw.logits_at(weights, unseen_images, classes=4)
    return float((logits.argmax(axis=1) == unseen_labels).mean())


unseen_x = lab.fw.from_images(unseen_images, lab.device)
scores = {"one process": (lab.fw.predict(alone, unseen_x).argmax(axis=1) == unseen_labels).mean()}
for number, run in enumerate(sick_runs):
    scores[f"replica {number}"] = right_with(run.calls[-1].weights)
scores["what is saved"] = right_with(sick_runs[0].returned)
passes = sum(len(call.images) for call in sick_runs[0].calls)
print(f"one process takes {setting['epochs'] * len(images) // 32} steps of 32 images")
print(f"replica 0 takes {len(sick_runs[0].calls)} steps, {passes} images")
for name, score in scores.items():
    print(f"{name:15s}{score:5.0%} right on unseen images")

# %% signature-picture tags=["picture"]
lab.show(replicas.draw_replicas({"sick": sick}, scores), replicas.say_replicas(sick))

# %% [markdown] diagnosis-question
# ## Why is it no quicker, and why is the result so bad?
#
# | `cause` | what it would mean |
# |---|---|
# | `"no-exchange"` | Nothing is exchanged while they train: two models are trained, each on all images, and mixed at the end. |
# | `"slow-exchange"` | The replicas spend the time that is gained on exchanging gradients. |
# | `"half-the-data"` | Each replica sees half of the images, which is too little to learn from. |
# | `"rate-not-scaled"` | Two replicas need another learning rate than one. |
# | `"metric-of-one"` | The model is good; its accuracy is measured on one replica's share of the images. |
# | `"overfitting"` | Two replicas have learned the training images by heart. |
#
# Name the cause, and give the distance of the two replicas at the last step, as the left picture and
# its sentence have it.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "no-exchange"
reading = sick.apart[-1]
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## Make them train one model
#
# Replicas train one model when nobody could tell from outside that there are two of them. Write `train`
# so that this holds. The check calls it with models that are watched, for two epochs, and counts.
#
# - At every step all replicas have the same weights.
# - In every epoch each image is trained on exactly once, by one of the replicas. No replica, and no
#   device, does more than 60 % of the work.
# - A step takes `batch_size` images, from all replicas together.
# - A step is what plain gradient descent with `rate` does on all of them, in one process.
# - The next epoch has other batches.
#
# What is returned is the trained model, made by `build_model`. The number of images is a multiple of
# the batch size.

# %% [markdown] repair-note tags=["pytorch"]
# `DistributedDataParallel` is one way; it wraps a model, and the wrapped model is its `.module`.
# `dist.all_reduce(tensor)` replaces a tensor in all processes by the *sum* of theirs, and
# `dist.broadcast(tensor, src=0)` by the one of process 0; with these two the same can be written in a
# few lines. Whoever calls one of them waits until all have called it.

# %% [markdown] repair-note tags=["tensorflow"]
# `tf.distribute.MirroredStrategy(devices)` keeps one copy of every variable on each device and lets
# the copies change together. With it `fit` divides every batch among the replicas. In a loop of your
# own, `strategy.run` calls a function in all replicas, and an optimizer *adds up* the gradients that
# they give it.


# %% repair tags=["answer", "pytorch"]
def train(build_model, x, y, epochs, batch_size, rate):
    model = build_model()
    data = TensorDataset(x, y)
    replica, sampler = model, RandomSampler(data)
    ### BEGIN SOLUTION
    replica, sampler = DistributedDataParallel(model), DistributedSampler(data)
    ### END SOLUTION
    batches = DataLoader(data, batch_size // dist.get_world_size(), sampler=sampler)
    optimizer = torch.optim.SGD(replica.parameters(), lr=rate)
    for epoch in range(epochs):
        ### BEGIN SOLUTION
        sampler.set_epoch(epoch)
        ### END SOLUTION
        for part, targets in batches:
            optimizer.zero_grad()
            F.cross_entropy(replica(part), targets).backward()
            optimizer.step()
    average_weights(model)
    return model


# %% repair tags=["answer", "tensorflow"]
def train(build_model, x, y, epochs, batch_size, rate):
    strategies = [tf.distribute.OneDeviceStrategy(device) for device in DEVICES]
    batches = batches_of(x, y, batch_size // len(DEVICES))
    ### BEGIN SOLUTION
    strategies = [tf.distribute.MirroredStrategy(DEVICES)]
    batches = batches_of(x, y, batch_size)  # `fit` divides each of them among the replicas
    ### END SOLUTION
    models = [fit_in(strategy, build_model, batches, epochs, rate) for strategy in strategies]
    return average_weights(models)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# The repaired program, for as many epochs as the sick one.

# %% proof tags=["proof"]
runs = replicas.run_training(lab.fw, train, images, labels, **setting)
repaired = replicas.measure_replicas(runs, len(images), setting["epochs"])
passes = sum(len(call.images) for call in runs[0].calls)
print(f"replica 0 takes {len(runs[0].calls)} steps, {passes} images")
scores["repaired"] = right_with(runs[0].returned)
epoch = len(images) // 32
replayed = replicas.replay(
    lab.fw, runs, images, labels, steps=epoch, rate=setting["rate"], classes=4
)
distance = replicas.weights_apart(replayed, runs[0].calls[epoch].weights)
print(f"one process, same start and same batches, is {distance:.1e} away after an epoch")
lab.show(
    replicas.draw_replicas({"sick": sick, "repaired": repaired}, scores),
    replicas.say_replicas(repaired),
)

# %% [markdown] proof-reading
# Compare the last bar with the first, which began with other weights: some points between them are
# chance. The distance that was printed is not, and it is in the same unit as the left picture. From the
# same weights and with the same batches one process goes where the replicas go, up to rounding, and
# each replica does half of its work. That is the ceiling. Two replicas save at most half of the time,
# less what the exchange costs. These two share one machine, so no time is measured here.

# %% [markdown] metric-question
# ## Whose accuracy is it?
#
# The replicas also share the work of measuring. Each looks at a part of the unseen images, and says
# how many of them are recognised. `sick_evaluate` is how somebody wrote it.


# %% sick-evaluate tags=["pytorch"]
def sick_evaluate(model, x, y, batch_size):
    """Runs in both processes."""
    data = TensorDataset(x, y)
    rows = DistributedSampler(data, shuffle=False)
    counts = torch.zeros(2)  # images that are recognised, images in all
    with torch.no_grad():
        for part, targets in DataLoader(data, batch_size // dist.get_world_size(), sampler=rows):
            hits = (model(part).argmax(dim=1) == targets).sum()
            counts += torch.stack([hits, torch.tensor(len(part))])
    return (counts[0] / counts[1]).item()


# %% sick-evaluate tags=["tensorflow"]
def counter(model):
    """Return a function that counts the images of a batch that are recognised, and all of them."""

    def count(part, targets):
        hits = tf.argmax(model(part, training=False), axis=1) == targets
        return tf.reduce_sum(tf.cast(hits, tf.float32)), tf.cast(tf.size(targets), tf.float32)

    return count


def sick_evaluate(strategy, model, x, y, batch_size):
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
    count = counter(model)
    right = seen = tf.constant(0.0)
    for part, targets in strategy.experimental_distribute_dataset(data):
        hits, images = strategy.run(count, args=(part, targets))
        hits, images = (strategy.experimental_local_results(v)[0] for v in (hits, images))
        right, seen = right + hits, seen + images
    return float(right / seen)


# %% [markdown] metric-task
# Write `evaluate` so that it returns the accuracy over the whole set, a number between 0 and 1. The
# check uses 61 images, which two replicas cannot divide evenly.
#
# - The number is exact; an image that counts twice, or never, shows.
# - No replica looks at more than 60 % of the images.
# - The host asks for a value at most four times. On a graphics card it has to wait each time, while
#   the card is idle.


# %% metric tags=["answer", "pytorch"]
def evaluate(model, x, y, batch_size):
    data = TensorDataset(x, y)
    rows = DistributedSampler(data, shuffle=False)
    ### BEGIN SOLUTION
    # The sampler repeats images until all replicas have as many. These rows do not.
    rows = range(dist.get_rank(), len(data), dist.get_world_size())
    ### END SOLUTION
    counts = torch.zeros(2)  # images that are recognised, images in all
    with torch.no_grad():
        for part, targets in DataLoader(data, batch_size // dist.get_world_size(), sampler=rows):
            hits = (model(part).argmax(dim=1) == targets).sum()
            counts += torch.stack([hits, torch.tensor(len(part))])
    ### BEGIN SOLUTION
    dist.all_reduce(counts)
    ### END SOLUTION
    return (counts[0] / counts[1]).item()


# %% metric tags=["answer", "tensorflow"]
def evaluate(strategy, model, x, y, batch_size):
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
    count = counter(model)
    right = seen = tf.constant(0.0)
    for part, targets in strategy.experimental_distribute_dataset(data):
        per_replica = strategy.run(count, args=(part, targets))
        hits, images = (strategy.experimental_local_results(v)[0] for v in per_replica)
        ### BEGIN SOLUTION
        hits, images = (strategy.reduce("SUM", v, axis=None) for v in per_replica)
        ### END SOLUTION
        right, seen = right + hits, seen + images
    return float(right / seen)


# %% check-metric tags=["check"]
lab.check("metric")

# %% [markdown] places-story tags=["pytorch"]
# ## Where is everything?
#
# "The graphics card is there, and it is 0 % busy." A program can take a device as its argument and
# never use it. Nothing raises; everything is computed on the processor.
#
# No card is needed to see it, only a second device. PyTorch has one on every machine: `meta` keeps
# shapes and computes nothing. Below are the parts of four programs that were told to use it.

# %% [markdown] places-story tags=["tensorflow"]
# ## Where is everything?
#
# "The graphics card is there, and it is 0 % busy." A program can take a device as its argument and
# never use it. Nothing raises; everything is computed on the processor.
#
# No card is needed to see it, only a second device, such as `CPU:1` in the process of the replicas.
# Below are the parts of four programs that were told to use it.


# %% places-program tags=["proof"]
def told_to_use(card, fw, images, pixels, labels):
    """For each of four programs, where its model is and how many bytes a step has to move."""
    x, y = fw.from_images(images), fw.from_labels(labels)
    at_home = fw.steady_network(16, 4, seed=0)
    on_card = fw.steady_network(16, 4, seed=0, device=card)
    programs = {
        "does not use its argument": (at_home, (x, y)),
        "moves the model, sends floats": (on_card, (x, y)),
        "moves the model, sends bytes": (on_card, (pixels, y)),
        "holds all images there": (
            on_card,
            (fw.from_images(images, card), fw.from_labels(labels, card)),
        ),
    }
    return [
        (name, " and ".join(fw.devices_of(model)), replicas.bytes_to_move(fw, model, batch))
        for name, (model, batch) in programs.items()
    ]


pixels = lab.draw("train", 32, 16).images[:32].copy()  # whole numbers of one byte

# %% places tags=["proof", "pytorch"]
places = told_to_use("meta", lab.fw, images[:32], pixels, labels[:32])

# %% places tags=["proof", "tensorflow"]
batch = images[:32], pixels, labels[:32]
places = replicas.value_of(lab.fw.in_replicas(told_to_use, "/CPU:1", lab.fw, *batch))[0]

# %% places-measured tags=["proof"]
print("program                        parameters on   bytes to move for a step of 32 images")
for name, where, moved in places:
    print(f"{name:31s}{where:13s}{moved:11,d}")
print(f"all {len(images)} images as floats: {images.size * 4:,d} bytes")

# %% [markdown] places-reading
# In the first row nothing has to be moved, because nothing is there: this is the card that is 0 % busy.
# The audit of a program begins with its first column.
#
# In the second row every step sends its batch. Compare it with the third, which sends the pixels as
# they are and makes floats of them on the card. The last row sends nothing, and pays with memory. A set
# that is larger than the memory of the card cannot stay there, and is sent again in every epoch.

# %% [markdown] who-moves tags=["pytorch"]
# PyTorch moves nothing by itself. Where a batch is forgotten, an operation that gets tensors of two
# devices raises. Where everything is forgotten, nothing does.

# %% [markdown] who-moves tags=["tensorflow"]
# TensorFlow uses a card that it finds without being told, and copies what an operation needs without
# a word. So the first row is a model that was built within `tf.device("/CPU:0")`, or a TensorFlow that
# finds no card. The copies show in a profile only.

# %% [markdown] audit-story
# ## Who waits for whom?
#
# All may be in place, and the card is idle still, because the host asks for a value in every step. The
# audit runs some steps of a training in one process, looks where the model's parameters, the
# optimizer's state and a batch live, and counts the values that the host asks for.

# %% audit tags=["proof", "pytorch"]
device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
model = lab.fw.steady_network(16, 4, seed=lab.seed, device=device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
x, y = lab.fw.from_images(images, device), lab.fw.from_labels(labels, device)
batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 256, 32)]
total = torch.zeros((), device=device)


def one_step(batch):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(batch[0]), batch[1])
    loss.backward()
    optimizer.step()
    return loss.detach()


def asks_every_step(batch):
    global total
    total = total + one_step(batch).item()


def adds_up_on_the_device(batch):
    global total
    total = total + one_step(batch)


# %% audit tags=["proof", "tensorflow"]
device = lab.device
with tf.device(device):
    model = lab.fw.steady_network(16, 4, seed=lab.seed, device=device)
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    optimizer.build(model.trainable_variables)
    total = tf.Variable(0.0)
x, y = lab.fw.from_images(images, device), lab.fw.from_labels(labels, device)
batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 256, 32)]


@tf.function
def one_step(part, targets):
    with tf.GradientTape() as tape:
        loss = mean_loss(targets, model(part, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


def asks_every_step(batch):
    total.assign_add(one_step(*batch).numpy())


def adds_up_on_the_device(batch):
    total.assign_add(one_step(*batch))


# %% audit-measured tags=["proof"]
parts = {"parameters": model, "optimizer's state": optimizer}
for step in (asks_every_step, adds_up_on_the_device):
    audit = replicas.measure_devices(lab.fw, parts, step, batches)
    print(f"{step.__name__}: {replicas.say_devices(audit)}")

# %% [markdown] audit-reading
# On a processor a value is there when the host asks for it, and asking costs little. A graphics card
# works behind the host; every value that is asked for stops the host until the card has caught up, and
# then the card until the host has sent new work. The loss can be added up where it is, and asked for
# once an epoch.

# %% [markdown] device-question
# ## A program that goes where it is told
#
# `sick_train_on` trains for an epoch, and returns the mean loss. It is told the device, it ignores it,
# and it asks for a value in every step. Write `train_on` so that
#
# - the model is on the device that was asked for when images go through it, and so are they, where the
#   framework does not move them itself;
# - each image is trained on once;
# - the host asks for at most two values.

# %% [markdown] device-note tags=["pytorch"]
# The check asks for the device `meta`. There, operations check shapes and compute nothing; a value that
# the host asks for is zero. So the number that is returned is not looked at.

# %% [markdown] device-note tags=["tensorflow"]
# The check asks for the device `/CPU:1`, in the process of the replicas.


# %% sick-device tags=["pytorch"]
def sick_train_on(device, build_model, x, y, batch_size, rate):
    model, total = build_model(), 0.0
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for part, targets in DataLoader(TensorDataset(x, y), batch_size, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(part), targets)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total * batch_size / len(x)


# %% sick-device tags=["tensorflow"]
def sick_train_on(device, build_model, x, y, batch_size, rate):
    with tf.device("/CPU:0"):  # it is on every machine
        model, total = build_model(), 0.0
    optimizer = keras.optimizers.SGD(rate)
    for part, targets in batches_of(x, y, batch_size):
        with tf.GradientTape() as tape:
            loss = mean_loss(targets, model(part, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        total += float(loss)
    return total * batch_size / len(x)


# %% device tags=["answer", "pytorch"]
def train_on(device, build_model, x, y, batch_size, rate):
    return sick_train_on(device, build_model, x, y, batch_size, rate)


### BEGIN SOLUTION
def train_on(device, build_model, x, y, batch_size, rate):
    model, total = build_model().to(device), torch.zeros((), device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for part, targets in DataLoader(TensorDataset(x, y), batch_size, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(part.to(device)), targets.to(device))
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return total.item() * batch_size / len(x)


### END SOLUTION


# %% device tags=["answer", "tensorflow"]
def train_on(device, build_model, x, y, batch_size, rate):
    return sick_train_on(device, build_model, x, y, batch_size, rate)


### BEGIN SOLUTION
def train_on(device, build_model, x, y, batch_size, rate):
    with tf.device(device):
        model, total = build_model(), tf.constant(0.0)
    optimizer = keras.optimizers.SGD(rate)
    for part, targets in batches_of(x, y, batch_size):
        with tf.device(device):
            with tf.GradientTape() as tape:
                loss = mean_loss(targets, model(part, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            total = total + loss
    return float(total) * batch_size / len(x)


### END SOLUTION

# %% check-device tags=["check"]
lab.check("device")

# %% [markdown] throughput-story
# ## What does a device gain?
#
# Where there is an accelerator, the same training runs on the processor and there, and the images of a
# second are compared. The loss of each step is asked for, so that the clock is read when the step has
# been computed, and the first steps do not count.

# %% throughput tags=["proof"]
import time


def images_per_second(device, counted=40):
    marks = []
    lab.fw.train(
        lab.fw.steady_network(16, 4, seed=lab.seed, device=device),
        lab.fw.from_images(images, device),
        labels,
        steps=counted + 20,
        batch_size=120,
        learning_rate=0.01,
        on_step=lambda step, loss: marks.append(time.perf_counter()),
    )
    return 120 * counted / (marks[-1] - marks[-1 - counted])


processor = lab.fw.choose_device("cpu")
if lab.device == processor:
    print("There is one device, the processor, so there is nothing to compare.")
else:
    gain = images_per_second(lab.device) / images_per_second(processor)
    print(f"{lab.fw.describe_device(lab.device)}: {gain:.2f} times the images of the processor")

# %% [markdown] throughput-reading
# A number below 1 is possible, too. A step of so small a network is little work, and each of its
# operations has to be started. Measure before you rent.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# What follows needs two GPUs and was not run for this notebook. The program is the same; a process
# takes a card of its own, and NCCL takes the place of gloo:
#
# ```python
# # torchrun --nproc-per-node=2 train.py
# dist.init_process_group("nccl")
# rank = int(os.environ["LOCAL_RANK"])
# device = torch.device("cuda", rank)
# torch.cuda.set_device(device)
# model = DistributedDataParallel(build_model().to(device), device_ids=[rank])
# ```
#
# Measure images a second of both cards together with one, then with two processes, after some steps of
# warm-up and with `torch.cuda.synchronize()` before the clock is read. In a profiler's timeline the
# kernels named `ncclDevKernel_AllReduce` should lie below the backward pass, not behind it.
# `torch.nn.DataParallel`, which is older, uses threads of one process and copies the model to the
# cards in every step. With one card it calls the model, and nothing is shared.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# What follows needs two GPUs and was not run for this notebook. `tf.distribute.MirroredStrategy()`
# without devices takes all cards that there are, and NCCL exchanges the gradients:
#
# ```python
# print(tf.config.list_physical_devices("GPU"))  # an empty list: everything runs on the processor
# strategy = tf.distribute.MirroredStrategy()
# batch_size = 256 * strategy.num_replicas_in_sync
# ```
#
# Measure images a second with `MirroredStrategy(["/GPU:0"])` and with both, from the second epoch on,
# because the first one traces. `tf.debugging.set_log_device_placement(True)` prints where each
# operation runs. `keras.distribution.DataParallel` is the newer interface for the same; in Keras 3
# it is written for the JAX backend first, and the module behind it for TensorFlow says of itself that
# it is a prototype.

# %% [markdown] advice-question
# ## Where advice and measurement part
#
# *"Exchange gradients at every step"* and *"exchanging is expensive, average the weights now and then"*
# are both common. Below, two replicas with halves of the images average their weights after every
# step, once an epoch, or once in the end. In the last row each begins with weights of its own.


# %% advice-program tags=["proof", "pytorch"]
def meet_every(steps, same_start=True):
    """Return a program whose replicas average their weights every so many steps, and in the end."""

    def train_apart(build_model, x, y, epochs, batch_size, rate):
        model = build_model()
        if same_start:
            for p in model.parameters():
                dist.broadcast(p.data, src=0)
        data, taken = TensorDataset(x, y), 0
        sampler = DistributedSampler(data)
        batches = DataLoader(data, batch_size // dist.get_world_size(), sampler=sampler)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        for epoch in range(epochs):
            sampler.set_epoch(epoch)
            for part, targets in batches:
                optimizer.zero_grad()
                F.cross_entropy(model(part), targets).backward()
                optimizer.step()
                taken += 1
                if taken % steps == 0:
                    average_weights(model)
        average_weights(model)
        return model

    return train_apart


# %% advice-program tags=["proof", "tensorflow"]
def meet_every(steps, same_start=True):
    """Return a program whose replicas average their weights every so many steps, and in the end."""

    def step_of(model, rate):
        @tf.function
        def step(part, targets):
            with tf.GradientTape() as tape:
                loss = mean_loss(targets, model(part, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            for v, g in zip(model.trainable_variables, gradients, strict=True):
                v.assign_sub(rate * g)

        return step

    def train_apart(build_model, x, y, epochs, batch_size, rate):
        models = []
        for device in DEVICES:
            with tf.device(device):
                models.append(build_model())
        if same_start:
            models[1].set_weights(models[0].get_weights())
        updates, taken = [step_of(model, rate) for model in models], 0
        for _ in range(epochs):
            for part, targets in batches_of(x, y, batch_size):
                halves = zip(tf.split(part, 2), tf.split(targets, 2), strict=True)
                for update, half in zip(updates, halves, strict=True):
                    update(*half)
                taken += 1
                if taken % steps == 0:
                    average_weights(models)
        return average_weights(models)

    return train_apart


# %% advice tags=["proof"]
steps = setting["epochs"] * len(images) // 32
print("                            largest distance   right on unseen images")
for every, same_start in ((1, True), (15, True), (steps, True), (steps, False)):
    runs = replicas.run_training(lab.fw, meet_every(every, same_start), images, labels, **setting)
    found = replicas.measure_replicas(runs, len(images), setting["epochs"])
    begin = "same start" if same_start else "own starts"
    print(
        f"every {every:3d} steps, {begin}{found.apart.max():19.3f}{right_with(runs[0].returned):20.0%}"
    )

# %% [markdown] advice-answer
# Compare the rows of one start with one another, then the last row with the others. The mean of two
# networks recognises something only if they are near one another. Two that begin together and train
# for as short a time as here stay near enough. Two that begin apart do not come nearer.
#
# So exchanging rarely is no mistake by itself; it is a method with a name, local SGD, and with a rate,
# a distance and an accuracy to be measured. What is wrong is to exchange rarely without knowing it.
#
# ## Who divides?
#
# *"Add up the gradients of all replicas."* *"Average them."* Both are right, with the loss that
# belongs to them. One step of 32 images with three ways to write it, and the length of the gradient
# that it uses, compared with that of one process:


# %% who-divides-program tags=["proof", "pytorch"]
def one_step_with(loss_of, divide):
    def train_once(build_model, x, y, epochs, batch_size, rate):
        model, rank = build_model(), dist.get_rank()
        average_weights(model)
        rows = torch.arange(len(x)).chunk(dist.get_world_size())[rank]
        loss_of(model(x[rows]), y[rows]).backward()
        with torch.no_grad():
            for p in model.parameters():
                dist.all_reduce(p.grad)
                p -= rate * p.grad / divide
        return model

    return train_once


def sum_over_batch(outputs, targets):
    return F.cross_entropy(outputs, targets, reduction="sum") / 32


ways = {
    "mean of a part, gradients averaged": one_step_with(F.cross_entropy, 2),
    "mean of a part, gradients added up": one_step_with(F.cross_entropy, 1),
    "sum of a part / 32, gradients added up": one_step_with(sum_over_batch, 1),
}


# %% who-divides-program tags=["proof", "tensorflow"]
def one_step_with(loss_of):
    def train_once(build_model, x, y, epochs, batch_size, rate):
        strategy = tf.distribute.MirroredStrategy(DEVICES)
        with strategy.scope():
            model = build_model()
            optimizer = keras.optimizers.SGD(rate)
            optimizer.build(model.trainable_variables)

        def step(part, targets):
            with tf.GradientTape() as tape:
                loss = loss_of(targets, model(part, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
        for part, targets in strategy.experimental_distribute_dataset(data):
            strategy.run(step, args=(part, targets))
        return model

    return train_once


def mean_of_a_part(targets, outputs):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, outputs))


def sum_over_batch(targets, outputs):
    return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, outputs)) / 32


ways = {
    "a loss of Keras, its mean": one_step_with(mean_loss),
    "a loss of one's own, mean of a part": one_step_with(mean_of_a_part),
    "a loss of one's own, sum of a part / 32": one_step_with(sum_over_batch),
}

# %% who-divides tags=["proof"]
few = images[:32], labels[:32]
for name, program in ways.items():
    runs = replicas.run_training(lab.fw, program, *few, **{**setting, "epochs": 1})
    used = replicas.measure_gradients(lab.fw, runs, *few, rate=setting["rate"], classes=4)
    print(f"{name:42s}{used[0].length:5.2f} times as long, error {used[0].error:.4f}")

# %% [markdown] who-divides-reading tags=["pytorch"]
# `DistributedDataParallel` averages, so the mean loss of a part is right with it. With parts of
# different size, a mean of means would give some images more weight; the last way does not.

# %% [markdown] who-divides-reading tags=["tensorflow"]
# Optimizers in `strategy.run` add up. TensorFlow's tutorial therefore asks for a loss without a mean
# and for a division by the whole batch. A loss of Keras 3 with its usual mean divides by the number of
# replicas by itself, where it runs in one of several. A `tf.reduce_mean` of one's own does not, and
# the step is twice as long, as if the rate were.

# %% [markdown] orders-story tags=["pytorch"]
# ## The same order again
#
# *"`DistributedSampler` shuffles."* It does, by its seed and the epoch that it was told. Three epochs
# without `set_epoch`, and three of the repaired program:

# %% [markdown] orders-story tags=["tensorflow"]
# ## The same order again
#
# *"`fit` shuffles."* And: *"set a seed."* The process of the replicas has a seed. Three epochs of `fit`
# on arrays, and three of the repaired program, which shuffles in a pipeline:


# %% orders-program tags=["proof", "pytorch"]
def never_told(build_model, x, y, epochs, batch_size, rate):
    model = DistributedDataParallel(build_model())
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(epochs):
        for part, targets in DataLoader(data, batch_size // 2, sampler=sampler):
            optimizer.zero_grad()
            F.cross_entropy(model(part), targets).backward()
            optimizer.step()
    return model.module


programs = {"a sampler that is never told the epoch": never_told, "the repaired program": train}


# %% orders-program tags=["proof", "tensorflow"]
def fit_arrays(build_model, x, y, epochs, batch_size, rate):
    with tf.distribute.MirroredStrategy(DEVICES).scope():
        model = build_model()
        model.compile(keras.optimizers.SGD(rate), mean_loss, jit_compile=False)
        model.optimizer.build(model.trainable_variables)
    model.fit(x, y, batch_size=batch_size, epochs=epochs, shuffle=True, verbose=0)
    return model


programs = {"fit on arrays": fit_arrays, "the repaired program": train}

# %% orders tags=["proof"]
few = images[:128], labels[:128]
for name, program in programs.items():
    runs = replicas.run_training(lab.fw, program, *few, **{**setting, "epochs": 3})
    again = replicas.measure_replicas(runs, 128, 3).repeated
    print(f"{again} of 2 later epochs have the batches of an earlier one: {name}")

# %% [markdown] orders-reading tags=["pytorch"]
# All replicas must draw the same order, or their shares would overlap. So the sampler may not use the
# process's own random numbers, and it cannot know the epoch by itself.

# %% [markdown] orders-reading tags=["tensorflow"]
# `fit` draws an order for arrays inside a pipeline. Where a seed was set, that random number begins
# anew in every epoch. Without a seed each epoch has another order (recorded with Keras 3.15). A
# `Dataset.shuffle` reshuffles in both cases. This has nothing to do with replicas, and they make it no
# easier to see.

# %% [markdown] names-story
# ## A name in front
#
# One more thing goes wrong when a model comes back from its replicas: its names.


# %% names tags=["proof", "pytorch"]
def names_in_a_checkpoint():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    return list(DistributedDataParallel(model).state_dict()), list(model.state_dict())


wrapped, plain = replicas.value_of(lab.fw.in_replicas(names_in_a_checkpoint))[0]
print(f"state_dict of the wrapped model: {wrapped}")
print(f"state_dict of its .module:       {plain}")


# %% names tags=["proof", "tensorflow"]
def names_in_a_checkpoint():
    with tf.distribute.MirroredStrategy(DEVICES).scope():
        mirrored = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(2, name="last")], name="net"
        )
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="last")], name="net")
    return [v.path for v in mirrored.variables], [v.path for v in plain.variables]


mirrored, plain = replicas.value_of(lab.fw.in_replicas(names_in_a_checkpoint))[0]
print(f"variables of the mirrored model: {mirrored}")
print(f"variables of a plain one:        {plain}")

# %% [markdown] names-reading tags=["pytorch"]
# A checkpoint of the wrapped model does not load into a plain one, or loads nothing with
# `strict=False`, without an error. Save `wrapped.module.state_dict()`, and in one process only.

# %% [markdown] names-reading tags=["tensorflow"]
# In Keras the names are the same, and weights that were saved under a strategy load without one. The
# fault that PyTorch programs have here, a prefix `module.` in front of every name, does not exist.

# %% [markdown] read-on tags=["pytorch"]
# ## Read on
#
# - PyTorch documentation: *Getting Started with Distributed Data Parallel*; *torch.utils.data*, on
#   `DistributedSampler`; *Distributed communication package*.
# - PyTorch issue 25162, *Incorrect Validation Accuracy Due to Distributed Sampler*, open since 2019.
# - Li et al.: *PyTorch Distributed: Experiences on Accelerating Data Parallel Training* (2020).
# - Goyal et al.: *Accurate, Large Minibatch SGD* (2017), section 3, on faults of such programs.
# - Stich: *Local SGD Converges Fast and Communicates Little* (2019).

# %% [markdown] read-on tags=["tensorflow"]
# ## Read on
#
# - TensorFlow guide: *Distributed training with TensorFlow*; tutorial *Custom training with
#   tf.distribute.Strategy*, on the loss of a global batch.
# - Keras guide: *Multi-GPU distributed training with TensorFlow*.
# - Goyal et al.: *Accurate, Large Minibatch SGD* (2017), section 3, on faults of such programs.
# - Stich: *Local SGD Converges Fast and Communicates Little* (2019).
