# ---
# title: A loop that forgets to clear
# symptom: A training leaps about as if its learning rate were too high, and at a lower rate it only leaps later.
# minutes: 40
# difficulty: 2
# learn:
#   - measure what a training loop remembers of a batch, without reading its code
#   - tell gradients that pile up from momentum, from a high learning rate and from a wrong loss
#   - find parameters that no optimizer moves and filters that can never differ
#   - compare optimizers, each at its own best rate
# sources: ["000/20", "000/21", "001/43", "002/62"]
# seconds: {pytorch: 20, tensorflow: 35}
# hints:
#   diagnosis:
#     - A rate that is too high is too high for this batch. Can it move the weights on a batch that has no gradient?
#     - Momentum keeps nine tenths of what it had, and nine tenths of that, thirty times over, is nearly nothing. What does the line on the left keep?
#     - The cause is the one in which the old batches still push with all their strength; the reading is `sick_used.ratio`.
#   repair:
#     - Each step should use the gradient of its own batch. What else is in the gradient that this loop uses?
#     - Something is added to, batch after batch, and is never set back to zero. Where does your framework keep it?
#     - Set it to zero once for every batch, before anything is added. Between adding and stepping would be too late.
# ---

# %% [markdown] story
# A small network learns four kinds of ground. At a learning rate of 0.1 its loss leaps and then lies
# flat. That looks like a rate that is too high, so somebody lowered it to 0.05, and then to 0.02.
# Each time it went well for a while longer.
#
# Nothing raises, and nothing warns.

# %% images
import numpy as np


def four_kinds(images):
    """Coast, forest, meadow and residential, numbered 0 to 3."""
    kept = np.isin(images.labels, [0, 2, 5, 7])
    return images.images[kept], np.searchsorted([0, 2, 5, 7], images.labels[kept])


images, labels = four_kinds(lab.draw("train", 800, 16))
mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
order = np.random.default_rng(lab.seed)
batches = []
for _ in range(10):
    for rows in order.permutation(len(images)).reshape(-1, 32):
        x = lab.fw.from_images((images[rows] - mean) / std, lab.device)
        batches.append((x, lab.fw.from_labels(labels[rows], lab.device)))


def build_model():
    """Two convolutions, a hidden layer, logits; the same initial weights every time."""
    return lab.fw.seeded_quick_cnn(16, 4, seed=lab.seed, device=lab.device)


print(
    f"{len(images)} images of {images.shape[1]} pixels, standardised; {len(batches)} batches of 32"
)

# %% [markdown] program tags=["pytorch"]
# The loop takes one step of plain gradient descent for each batch.

# %% [markdown] program tags=["tensorflow"]
# The loop takes one step of plain gradient descent for each batch. It was written for a machine with
# little memory, where the gradients of several small batches were added up in variables before a
# step; here one batch is enough. (In PyTorch the same disease is a line that is missing. Keras has no
# such line, and in `model.fit` it cannot happen. It happens in loops like this one.)

# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.nn import functional as F


def sick_train(model, batches, rate):
    """One step for each batch; return the loss of each."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses = []
    model.train()
    for x, y in batches:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% sick-program tags=["tensorflow"]
import keras
import tensorflow as tf

mean_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def sick_train(model, batches, rate):
    """One step for each batch; return the loss of each."""
    optimizer = keras.optimizers.SGD(rate)
    variables = model.trainable_variables
    optimizer.build(variables)
    sums = [tf.Variable(tf.zeros_like(variable)) for variable in variables]

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        for total, gradient in zip(sums, tape.gradient(loss, variables), strict=True):
            total.assign_add(gradient)
        optimizer.apply([total.value() for total in sums], variables)
        return loss

    return [float(step(x, y)) for x, y in batches]


# %% sick-runs
sick_losses = {}
for rate in (0.1, 0.05, 0.02):
    sick_losses[f"sick, rate {rate:g}"] = losses = sick_train(build_model(), batches, rate)
    parts = " ".join(f"{np.mean(losses[i : i + 20]):5.2f}" for i in range(0, 100, 20))
    print(f"rate {rate:<5g} first loss {losses[0]:.2f}, then in twenties: {parts}")
print(f"guessing among four kinds costs ln 4 = {np.log(4):.2f}")

# %% [markdown] probes
# Two measurements look at the loop from outside. They only read the weights before and after.
#
# The first gives it one batch, and then nothing but black images. The small network in this
# measurement has no biases, so for a black image every value inside it is zero, and so is every
# gradient. There is nothing to learn any more. How far do the weights go?
#
# The second stops the training of our patient after 19 batches and looks at step 20. Plain gradient
# descent moves the weights by the learning rate times a gradient, so the move over the rate is the
# gradient that was used. Beside it stands the gradient of batch 20, computed afresh.

# %% sick-echo
from grader.instruments import echo

counts = (0, 5, 10, 20, 30)
sick_echo = echo.measure_echo(lab.fw, sick_train, rate=0.01, empties=counts, device=lab.device)
sick_used = echo.measure_used_gradient(
    lab.fw, sick_train, build_model, batches[:20], rate=0.01, seed=lab.seed
)
print(echo.say_echo(sick_echo))
print(echo.say_used_gradient(sick_used))

# %% signature-picture tags=["picture"]
lab.show(echo.draw_echo({"sick": sick_echo}, sick_losses, 4), echo.say_echo(sick_echo))

# %% [markdown] diagnosis-question
# ## Why does a lower rate not cure it?
#
# The panel on the left counts in first steps: at 1 the weights are where the first batch has put
# them.
#
# | `cause` | what it would mean |
# |---|---|
# | `"learning-rate"` | The rate is still too high. |
# | `"momentum"` | The optimizer keeps a part of its speed from step to step. |
# | `"gradients-pile-up"` | Each step uses the gradients of all batches so far. |
# | `"parameters-left-out"` | The optimizer does not move all of the weights. |
# | `"equal-filters"` | All filters started alike and stay alike. |
# | `"wrong-sign"` | The steps go uphill. |
#
# Name the cause, and read off how many times longer the gradient of step 20 was than the gradient of
# its own batch.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "gradients-pile-up"
reading = sick_used.ratio
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## Let it forget
#
# `train(model, batches, rate)` trains the model that it is given, in place. `batches` is a list of
# pairs, images and labels; the function takes one step for each, in their order. `rate` is meant for
# plain gradient descent and stays the same from the first batch to the last. Any other optimizer is
# welcome whose batches fade; if it needs smaller rates, let it divide. (Lion's do not: it takes steps
# of one length, whatever the gradient.)
#
# The check runs your function on models of its own and looks at the weights. Does it come to rest
# when there is nothing more to learn, so that half of a batch at most is left thirty batches later?
# Does every parameter move? Does the loss fall at three rates,
# 0.015, 0.03 and 0.06? Are unseen images recognised about as well as by a healthy loop?


# %% repair tags=["answer", "pytorch"]
def train(model, batches, rate):
    """One step for each batch; return the loss of each."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses = []
    model.train()
    for x, y in batches:
        ### BEGIN SOLUTION
        optimizer.zero_grad()
        ### END SOLUTION
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% repair tags=["answer", "tensorflow"]
def train(model, batches, rate):
    """One step for each batch; return the loss of each."""
    optimizer = keras.optimizers.SGD(rate)
    variables = model.trainable_variables
    optimizer.build(variables)
    sums = [tf.Variable(tf.zeros_like(variable)) for variable in variables]

    @tf.function
    def step(x, y):
        ### BEGIN SOLUTION
        for total in sums:
            total.assign(tf.zeros_like(total))
        ### END SOLUTION
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        for total, gradient in zip(sums, tape.gradient(loss, variables), strict=True):
            total.assign_add(gradient)
        optimizer.apply([total.value() for total in sums], variables)
        return loss

    return [float(step(x, y)) for x, y in batches]


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# The same batches at the same three rates, with the repair in between; then 300 images that neither
# loop has seen. The panel on the left also shows gradient descent with momentum of 0.9, which
# remembers on purpose.


# %% momentum tags=["proof", "pytorch"]
def train_with_momentum(model, batches, rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# %% momentum tags=["proof", "tensorflow"]
def train_with_momentum(model, batches, rate):
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), mean_loss, jit_compile=False)
    for x, y in batches:
        model.train_on_batch(x, y)


# %% proof tags=["proof"]
unseen_images, unseen_labels = four_kinds(lab.draw("test", 750, 16))
x_unseen = lab.fw.from_images((unseen_images - mean) / std, lab.device)


def accuracy(model):
    return (lab.fw.predict(model, x_unseen).argmax(axis=1) == unseen_labels).mean()


shown = {"sick, rate 0.1": sick_losses["sick, rate 0.1"]}
for rate in (0.1, 0.05, 0.02):
    model = build_model()
    losses = train(model, batches, rate)
    shown[f"repaired, rate {rate:g}"] = losses
    print(
        f"rate {rate:<5g} last 20 losses: sick {np.mean(sick_losses[f'sick, rate {rate:g}'][-20:]):5.2f}"
        f", repaired {np.mean(losses[-20:]):5.2f}; repaired, right on unseen images "
        f"{accuracy(model):.0%}"
    )
echoes = {"sick": sick_echo}
for name, loop in (("momentum 0.9", train_with_momentum), ("repaired", train)):
    echoes[name] = echo.measure_echo(lab.fw, loop, rate=0.01, empties=counts, device=lab.device)

# %% proof-picture tags=["picture"]
lab.show(echo.draw_echo(echoes, shown, 4), echo.say_echo(echoes["repaired"]))

# %% [markdown] friction
# The line of momentum bends. Each step keeps nine tenths of the last one, so that a batch is worth
# 1 + 0.9 + 0.81 + … = 10 steps in the end, and then it is over. The sick loop keeps all of it. It is
# momentum of exactly 1: a ball that rolls through the valley of the loss without friction. A lower
# rate makes it roll more slowly. It does not make it stop.
#
# That is also why the sick loop looks good for a while. As long as the way leads downhill, the pile
# makes a small rate large, and somebody who stops early will call the lower rate a cure.
#
# ## Where advice and measurement part
#
# *"The first loss is ln K, so the initial weights are fine."* Below are three programs that forget
# something else, with the repaired loop. One replaces the last layer after the optimizer was made.
# Two draw no random weights: all kernels are 0.05, or all are zero.


# %% siblings tags=["proof", "pytorch"]
def with_new_head():
    """A model, and a training whose optimizer was made too early."""
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model[-1] = nn.Linear(48, 4).to(lab.device)  # the optimizer holds the weights of the old one

    def run():
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    return model, run


# %% siblings tags=["proof", "tensorflow"]
def with_new_head():
    """A model, and a training whose list of variables was made too early."""
    model = build_model()
    variables, optimizer = model.trainable_variables, keras.optimizers.SGD(0.1)
    model.pop()
    model.add(keras.layers.Dense(4))  # its weights are not among the variables above

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        found = zip(tape.gradient(loss, variables), variables, strict=True)
        optimizer.apply_gradients([(g, v) for g, v in found if g is not None])

    def run():
        for x, y in batches:
            step(x, y)

    return model, run


# %% siblings-table tags=["proof"]
def filled(value):
    """The model with every kernel and matrix filled with one number, and its training."""
    model = build_model()
    state = lab.fw.get_state(model)
    if value is not None:
        state = [np.full_like(a, value) if a.ndim >= 2 else a for a in state]
    lab.fw.set_state(model, state)
    return model, lambda: train(model, batches, 0.1)


lab.fw.set_seed(lab.seed)
x = lab.fw.from_images((images - mean) / std, lab.device)
print("program           first loss   last   arrays moved   different filters   right on unseen")
for name, (model, run) in {
    "repaired": filled(None),
    "new last layer": with_new_head(),
    "kernels of 0.05": filled(0.05),
    "kernels of 0": filled(0.0),
}.items():
    before, first = lab.fw.get_state(model), lab.fw.loss(model, x, labels, training=True)
    run()
    moved = [not np.array_equal(a, b) for a, b in zip(before, lab.fw.get_state(model), strict=True)]
    last = lab.fw.loss(model, x, labels, training=True)
    units, of = echo.different_units(lab.fw, model, x[:32])
    print(
        f"{name:16s}{first:12.2f}{last:7.2f}{sum(moved):10d} of {len(moved)}{units:16d} of {of}"
        f"{accuracy(model):18.0%}"
    )

# %% [markdown] siblings-reading
# Look at the first column. The two first losses that hit ln 4 belong to the two programs
# that learn nothing: from equal weights come equal gradients, and no step can ever make two
# filters differ. The healthy program starts off that mark and does not mind. A first loss far above
# ln K finds weights or images that are too large. It cannot find weights that are all alike. Count
# the filters that differ.
#
# The new last layer is the treacherous one. Its loss falls, because the layers below learn to suit a
# last layer that chance has drawn. Only the third column shows that some arrays never move.
#
# *"Plain gradient descent struggles; take Adam."* Below, five optimizers with the same weights and
# the same 100 batches. First all at one rate, 0.01. Then each at the best of four rates, chosen by
# the loss on the training images.

# %% optimizers tags=["proof", "pytorch"]
makers = {
    "SGD": lambda weights: torch.optim.SGD(weights),
    "SGD, momentum 0.9": lambda weights: torch.optim.SGD(weights, momentum=0.9),
    "RMSprop": lambda weights: torch.optim.RMSprop(weights),
    "Adam": lambda weights: torch.optim.Adam(weights),
    "AdamW": lambda weights: torch.optim.AdamW(weights),
}


def models_at(name, rates):
    """A model trained at each of the rates, one after the other."""
    for rate in rates:
        model = build_model()
        optimizer = makers[name](model.parameters())
        optimizer.param_groups[0]["lr"] = rate
        for x, y in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        yield model


# %% optimizers tags=["proof", "tensorflow"]
makers = {
    "SGD": lambda: keras.optimizers.SGD(),
    "SGD, momentum 0.9": lambda: keras.optimizers.SGD(momentum=0.9),
    "RMSprop": lambda: keras.optimizers.RMSprop(),
    "Adam": lambda: keras.optimizers.Adam(),
    "AdamW": lambda: keras.optimizers.AdamW(),
}


def models_at(name, rates):
    """A model trained at each of the rates, one after the other; traced once."""
    model, optimizer = build_model(), makers[name]()
    variables = model.trainable_variables
    optimizer.build(variables)
    start, fresh = model.get_weights(), [keras.ops.convert_to_numpy(v) for v in optimizer.variables]

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)

    for rate in rates:
        model.set_weights(start)
        for variable, value in zip(optimizer.variables, fresh, strict=True):
            variable.assign(value)
        optimizer.learning_rate = rate
        for x, y in batches:
            step(x, y)
        yield model


# %% optimizers-table tags=["proof"]
rates_of = {
    "SGD": (0.01, 0.03, 0.1, 0.3),
    "SGD, momentum 0.9": (0.003, 0.01, 0.03, 0.1),
    "RMSprop": (0.001, 0.003, 0.01, 0.03),
    "Adam": (0.001, 0.003, 0.01, 0.03),
    "AdamW": (0.001, 0.003, 0.01, 0.03),
}
print("optimizer            loss at 0.01   best rate   loss there   right on unseen")
for name, rates in rates_of.items():
    tried = {
        rate: (lab.fw.loss(model, x, labels, training=True), accuracy(model))
        for rate, model in zip(rates, models_at(name, rates), strict=True)
    }
    best = min(rates, key=lambda rate: np.nan_to_num(tried[rate][0], nan=np.inf))
    print(f"{name:20s}{tried[0.01][0]:13.2f}{best:12g}{tried[best][0]:13.2f}{tried[best][1]:18.0%}")

# %% without-noise tags=["proof"]
model = build_model()
y = lab.fw.from_labels(labels, lab.device)
losses = train(model, [(x, y)] * 100, 0.1)
print(f"your loop at 0.1, all {len(images)} images in each of 100 steps: loss {losses[-1]:.2f}")

# %% [markdown] optimizers-reading
# The first column alone makes plain descent look hopeless. Then look at the best rates: those of plain
# descent and of Adam lie about ten times apart or more, so that any one rate for all decides the
# contest before it begins. At its own rate plain descent is another program, and most of the distance
# is gone.
#
# Some of it stays. In 100 batches some of the others, Adam first, still reach a lower training loss.
# Is it the noise of small batches that plain descent struggles with, as the advice has it? The last
# line takes the noise away, for ten times the work, with plain descent if that is what your loop
# does. Compare it with the first row. On unseen images the distances are smaller, and of 300 images
# two or three hundredths are chance.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# The disease is the same, and gradients that are kept also keep memory: `zero_grad` sets them to
# `None` by default, so that they are not held during the next forward pass. Adding up on purpose is
# common there, when a batch does not fit: backward several times, one step, and then clear.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# Adding up on purpose is common there, when a batch does not fit. Keras does it for you, and clears:
# every optimizer takes `gradient_accumulation_steps`. Eager steps hide the disease no better than a
# `tf.function` does: both keep what variables hold from call to call.

# %% [markdown] read-on
# ## Read on
#
# - I. Sutskever, J. Martens, G. Dahl and G. Hinton, *On the importance of initialization and momentum
#   in deep learning* (2013).
# - D. Choi and others, *On Empirical Comparisons of Optimizers for Deep Learning* (2019): how the
#   ranking depends on what was tuned.
# - R. Schmidt, F. Schneider and P. Hennig, *Descending through a Crowded Valley* (2021): fifteen
#   optimizers, each tuned.
# - D. Kingma and J. Ba, *Adam* (2015); I. Loshchilov and F. Hutter, *Decoupled Weight Decay
#   Regularization* (2019).
# - PyTorch documentation, *Optimizer.zero_grad*; Keras documentation, *Writing a training loop from
#   scratch*.
