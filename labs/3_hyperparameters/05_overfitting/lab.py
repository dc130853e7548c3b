# ---
# title: Better and better, and worse
# symptom: The training loss falls to the last epoch, while the validation loss has long been rising, and it is another number whenever it is asked for.
# minutes: 40
# difficulty: 2
# learn:
#   - evaluate a model in the mode in which it will be used, and check that it can be repeated
#   - read from two curves from when on a network learns by heart
#   - stop, keep the best weights, and choose the strength of dropout and weight decay by what is measured
#   - tell an L2 penalty from decoupled weight decay
# sources: ["000/14", "001/44", "001/45", "001/46", "002/54", "002/55", "002/66", "003/77", "003/80"]
# seconds: {pytorch: 30, tensorflow: 50}
# hints:
#   diagnosis:
#     - Two things are wrong in the picture. Which of them could bend a curve upwards, and which only shakes it?
#     - Up to the lowest point both curves fall. Behind it one falls on. What does the network still learn there, and of which images is it true?
#     - The cause is the one that speaks of training images only; the reading is `sick_curve.lowest`.
#   repair:
#     - First make two evaluations of one model agree. Which layers behave differently while training, and who tells them that training is over?
#     - The best model was there, some epochs in, and training ran over it. What would have to be kept, and by the loss on which images would you know?
#     - Switch the model to inference in `evaluate`. In `train`, keep a copy of the weights whenever the validation loss is lower than ever before, stop when it has not been for six epochs, and put the copy back.
# ---

# %% [markdown] story
# A land registry wants to know two things about a plot from the air: what is there, and whether it
# is private or public. Three kinds of ground, each of them private or public, make six classes.
# Whether an owner can be told from above, nobody has asked.
#
# A network was trained on 96 plots. Its training loss fell to the last of 24 epochs. Its
# validation loss fell with it at first, and then it rose above that of guessing. Dropout against
# overfitting is in the network already. And the validation loss of the finished network is another
# number whenever somebody asks for it.

# %% images
import numpy as np
from grader.datasets.grain import add_grain
from grader.datasets.owners import add_owners

# Forest, meadow and residential; of a folder of your own, the first three classes.
kinds = [2, 5, 7] if lab.data == "tiles" else [0, 1, 2]


def plots(split, n):
    """Three kinds of ground, private or public; a little grain, as at dusk."""
    drawn = lab.draw(split, n * 10 // 3, 16).only(kinds)
    return add_owners(add_grain(drawn, 10, split, lab.seed), split, lab.seed)


train_images, validation_images = plots("train", 96), plots("validation", 180)
mean, std = (f(train_images.images, axis=(0, 1, 2)) for f in (np.mean, np.std))
x = lab.fw.from_images((train_images.images - mean) / std, lab.device)
y = lab.fw.from_labels(train_images.labels, lab.device)
x_val = lab.fw.from_images((validation_images.images - mean) / std, lab.device)
y_val = lab.fw.from_labels(validation_images.labels, lab.device)
classes = len(train_images.classes)
print(f"{len(train_images)} plots to train on, {len(validation_images)} for validation;", end=" ")
print(f"classes: {'; '.join(train_images.classes)}")

# %% [markdown] program tags=["pytorch"]
# Two convolutions, a hidden layer, dropout of a tenth. `sick_evaluate` returns the mean
# cross-entropy in nats and the share of right answers; the training loop calls it after every
# epoch.

# %% [markdown] program tags=["tensorflow"]
# Two convolutions, a hidden layer, dropout of a tenth. `fit` trains and logs both losses after every
# epoch. `sick_evaluate` is for models that nobody has compiled, such as those that are loaded for
# serving; its first line was copied from a training step. It returns the mean cross-entropy in nats
# and the share of right answers.

# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.nn import functional as F


def build_wide(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (size // 4) ** 2, 128), nn.ReLU(), nn.Dropout(0.1),
        nn.Linear(128, classes),
    ).to(lab.device)  # fmt: skip


def one_epoch(model, optimizer, x, y):
    """Train on batches of 8; return the mean loss."""
    model.train()
    total = 0.0
    for rows in torch.randperm(len(x)).split(8):
        rows = rows.to(y.device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    return total / len(x)


def sick_evaluate(model, x, y):
    with torch.no_grad():
        logits = model(x)
    loss = F.cross_entropy(logits, y)
    return loss.item(), (logits.argmax(dim=1) == y).float().mean().item()


def sick_train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    history = {"loss": [], "val_loss": []}
    for _ in range(24):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(sick_evaluate(model, x_val, y_val)[0])
    return history


# %% sick-program tags=["tensorflow"]
import keras
from keras import layers

cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_wide(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.1),
            layers.Dense(classes),
        ]
    )


def sick_evaluate(model, x, y):
    logits = model(x, training=True)
    loss = cross_entropy(y, logits)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


def sick_train(model, x, y, x_val, y_val):
    # Compiling with XLA takes longer than these few steps.
    model.compile(keras.optimizers.Adam(0.005), cross_entropy, jit_compile=False)
    # Built before, the optimizer lets Keras trace the step once, not twice.
    if model.built:
        model.optimizer.build(model.trainable_variables)
    history = model.fit(
        x,
        y,
        batch_size=8,
        epochs=24,
        validation_data=(x_val, y_val),
        validation_batch_size=len(x_val),
        verbose=0,
    )
    return history.history


# %% sick-run
lab.fw.set_seed(lab.seed)
sick = build_wide(16, classes)
sick_history = sick_train(sick, x, y, x_val, y_val)
print("epoch        " + "".join(f"{epoch:6d}" for epoch in range(1, 25, 3)))
for name in ("loss", "val_loss"):
    print(f"{name:13s}" + "".join(f"{loss:6.2f}" for loss in sick_history[name][::3]))
print(f"guessing among six costs ln 6 = {np.log(6):.2f}")
for _ in range(3):
    loss, right = sick_evaluate(sick, x_val, y_val)
    print(f"the finished network: validation loss {loss:.3f}, right on {right:.1%}")

# %% [markdown] instrument
# The instrument reads the curves, and asks for the loss of the finished network on the same
# validation images twelve times. The line in the panel on the right is what the network says when it
# is not in training.

# %% sick-measured
from grader.instruments import overfitting

sick_curve = overfitting.measure_curve(sick_history)
sick_repeats = overfitting.measure_repeats(lab.fw, sick_evaluate, sick, x_val, y_val)
print(overfitting.say_overfitting(sick_curve, sick_repeats))

# %% signature-picture tags=["picture"]
lab.show(
    overfitting.draw_overfitting({"sick": sick_curve}, {"sick": sick_repeats}, classes),
    overfitting.say_overfitting(sick_curve, sick_repeats),
)

# %% [markdown] diagnosis-question
# ## Why does the validation loss turn up?
#
# | `cause` | what it would mean |
# |---|---|
# | `"learning-rate"` | 0.005 is too large a step. |
# | `"too-small-a-network"` | The network cannot describe six classes. |
# | `"too-few-epochs"` | It would come down again if training went on. |
# | `"learning-by-heart"` | What is learned behind the lowest point is true of the training images only. |
# | `"dropout-left-on"` | Evaluation drops units, and that costs ever more. |
# | `"other-images"` | The validation images are of another kind. |
#
# Name the cause, and read off the validation loss at its lowest point, in nats: what the network
# that was thrown away was worth.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "learning-by-heart"
reading = sick_curve.lowest
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## Measure what is used, and keep the best
#
# Three functions are measured. `evaluate(model, x, y)` returns the mean cross-entropy in nats and
# the share of right answers, of any model, compiled or not. `build_model(size, classes)` returns a
# fresh model that gives logits, with at most twice the multiply-adds. `train(model, x, y, x_val,
# y_val)` trains it in place, and returns the history: `"loss"` and `"val_loss"` of every epoch. What
# `x` shows belongs to training, what `x_val` shows belongs to deciding.
#
# The check looks at six things in turn. Does `evaluate` say the same when asked again? Is it what
# the model says when it is not in training? Has training left the model about as good on validation
# images as its own run ever was? Has it learned enough about its training images? How wide is the gap
# to unseen ones? And does it know at least half as much about those as the sick network once did?
#
# Nobody asks for more right answers. The check numbers the classes otherwise than this page does.


# %% repair tags=["answer", "pytorch"]
import copy


def evaluate(model, x, y):
    ### BEGIN SOLUTION
    model.eval()
    ### END SOLUTION
    with torch.no_grad():
        logits = model(x)
    loss = F.cross_entropy(logits, y)
    return loss.item(), (logits.argmax(dim=1) == y).float().mean().item()


def build_model(size, classes):
    return build_wide(size, classes)


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    history = {"loss": [], "val_loss": []}
    ### BEGIN SOLUTION
    best, patience = None, 6
    ### END SOLUTION
    for epoch in range(24):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
        ### BEGIN SOLUTION
        lowest = int(np.argmin(history["val_loss"]))
        if lowest == epoch:
            best = copy.deepcopy(model.state_dict())
        elif epoch - lowest == patience:
            break
    model.load_state_dict(best)
    ### END SOLUTION
    return history


# %% repair tags=["answer", "tensorflow"]
def evaluate(model, x, y):
    training = True
    ### BEGIN SOLUTION
    training = False
    ### END SOLUTION
    logits = model(x, training=training)
    loss = cross_entropy(y, logits)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


def build_model(size, classes):
    return build_wide(size, classes)


def train(model, x, y, x_val, y_val):
    model.compile(keras.optimizers.Adam(0.005), cross_entropy, jit_compile=False)
    if model.built:
        model.optimizer.build(model.trainable_variables)
    callbacks = []
    ### BEGIN SOLUTION
    callbacks = [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=6, restore_best_weights=True)
    ]
    ### END SOLUTION
    history = model.fit(
        x,
        y,
        batch_size=8,
        epochs=24,
        validation_data=(x_val, y_val),
        validation_batch_size=len(x_val),
        callbacks=callbacks,
        verbose=0,
    )
    return history.history


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# The same images and the same seed, with the repair in between. A second line is in the picture now,
# far below that of guessing: on images that it has not learned by heart, nobody can go lower. The
# owners in this data were drawn by a fair coin, so nothing in a photograph tells them, and a coin
# costs ln 2 = 0.69.

# %% proof tags=["proof"]
lab.fw.set_seed(lab.seed)
repaired = build_model(16, classes)
history = train(repaired, x, y, x_val, y_val)
curve = overfitting.measure_curve(history)
repeats = overfitting.measure_repeats(lab.fw, evaluate, repaired, x_val, y_val)
lab.show(
    overfitting.draw_overfitting(
        {"sick": sick_curve, "repaired": curve},
        {"sick": sick_repeats, "repaired": repeats},
        classes,
        floor=np.log(2),
    ),
    overfitting.say_overfitting(curve, repeats),
)

# %% proof-unseen tags=["proof"]
unseen = plots("test", 600)
x_unseen = lab.fw.from_images((unseen.images - mean) / std, lab.device)


def on_unseen(model):
    """Loss on training and on unseen plots, and shares of right answers: class, kind, owner."""
    said, truth = lab.fw.predict(model, x_unseen).argmax(axis=1), unseen.labels
    pairs = ((said, truth), (said // 2, truth // 2), (said % 2, truth % 2))
    return (
        lab.fw.loss(model, x, train_images.labels, training=False),
        lab.fw.loss(model, x_unseen, truth, training=False),
        *(np.mean(a == b) for a, b in pairs),
    )


print("              loss: training  unseen   gap   right on unseen: class   kind   owner")
for name, model in (("sick", sick), ("repaired", repaired)):
    trained, new, right, kind, owner = on_unseen(model)
    print(
        f"{name:16s}{trained:12.2f} {new:7.2f} {new - trained:5.2f}"
        f"{right:23.0%} {kind:6.0%} {owner:7.0%}"
    )

# %% [markdown] proof-reading
# The repaired run went on for a few epochs to be sure that the loss would not fall again. What it
# left are the weights at the mark, and the table is about those.
#
# Read the table from right to left. The owner is a coin to both, as it must be. The kind of ground
# can be seen, and both see it. Compare how far apart the two are in right answers, and how far in
# the loss. Somebody who looks at right answers alone sees no disease. The sick network is as sure of
# its owners as of its forests, because on its training plots it knows them one by one.
#
# ## Where advice and measurement part
#
# *"Use dropout, or L2."* How much of it, and is training then allowed to run on? Below, every
# recipe trains for all 24 epochs and keeps its last weights. The first line is the sick run with the
# losses that it logged. L2 adds half of λ times the squared weights to the loss. Decoupled weight
# decay takes λ times the learning rate from every weight, past the loss. With plain gradient descent
# these are one and the same. Adam divides each gradient by its usual size, and a penalty in the
# gradient is divided along with it.


# %% advice tags=["proof", "pytorch"]
def with_dropout(share):
    model = build_wide(16, classes)
    model[9] = nn.Dropout(share)
    return model


adam, adamw = torch.optim.Adam, torch.optim.AdamW
recipes = {
    "dropout 0.5": (lambda *_: with_dropout(0.5), lambda p: adam(p, lr=0.005), 0),
    "L2, λ = 0.001": (build_wide, lambda p: adam(p, lr=0.005, weight_decay=0.001), 0.001),
    "L2, λ = 0.1": (build_wide, lambda p: adam(p, lr=0.005, weight_decay=0.1), 0.1),
    "decoupled, λ = 0.1": (build_wide, lambda p: adamw(p, lr=0.005, weight_decay=0.1), 0),
    "decoupled, λ = 3": (build_wide, lambda p: adamw(p, lr=0.005, weight_decay=3), 0),
}


def all_epochs(build, optimizer, decay):
    model = build(16, classes)
    update = optimizer(model.parameters())
    history = {"loss": [], "val_loss": []}
    for _ in range(24):
        history["loss"].append(one_epoch(model, update, x, y))
        history["val_loss"].append(lab.fw.loss(model, x_val, y_val, training=False))
    return model, history


# %% advice tags=["proof", "tensorflow"]
import tensorflow as tf


def with_dropout_or_penalty(share=0.1, decay=0.0):
    penalty = keras.regularizers.L2(decay / 2) if decay else None
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu", kernel_regularizer=penalty),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu", kernel_regularizer=penalty),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu", kernel_regularizer=penalty),
            layers.Dropout(share),
            layers.Dense(classes, kernel_regularizer=penalty),
        ]
    )


adam, adamw = keras.optimizers.Adam, keras.optimizers.AdamW
recipes = {
    "dropout 0.5": ({"share": 0.5}, lambda: adam(0.005), 0),
    "L2, λ = 0.001": ({"decay": 0.001}, lambda: adam(0.005), 0.001),
    "L2, λ = 0.1": ({"decay": 0.1}, lambda: adam(0.005), 0.1),
    "decoupled, λ = 0.1": ({}, lambda: adamw(0.005, weight_decay=0.1), 0),
    "decoupled, λ = 3": ({}, lambda: adamw(0.005, weight_decay=3), 0),
}


def all_epochs(design, optimizer, decay):
    model = with_dropout_or_penalty(**design)
    # The loss that Keras reports includes the penalty; a metric does not.
    nats = keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="nats")
    steps = len(x) // 8
    model.compile(
        optimizer(), cross_entropy, metrics=[nats], steps_per_execution=steps, jit_compile=False
    )
    model.optimizer.build(model.trainable_variables)
    # Without an end, so that one iterator serves all epochs.
    images = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=lab.seed)
    logs = model.fit(
        images.repeat().batch(8),
        steps_per_epoch=steps,
        epochs=24,
        validation_data=(x_val, y_val),
        validation_batch_size=len(x_val),
        shuffle=False,  # the data set does
        verbose=0,
    ).history
    return model, {"loss": logs["nats"], "val_loss": logs["val_nats"]}


# %% advice-table tags=["proof"]
runs = {"as it was": (sick, sick_history, 0)}
for name, (build, optimizer, decay) in recipes.items():
    lab.fw.set_seed(lab.seed)
    runs[name] = (*all_epochs(build, optimizer, decay), decay)
print("                     validation loss   gap   right   norm of     penalty's share of")
print("                       lowest    end         unseen  weights     loss    gradient")
for name, (model, logs, decay) in runs.items():
    read = overfitting.measure_curve(logs)
    weighed = overfitting.measure_penalty(lab.fw, model, x, train_images.labels, decay=decay)
    print(
        f"{name:20s} {read.lowest:8.2f} {read.end:6.2f} {read.gap:5.2f} {on_unseen(model)[2]:7.0%}"
        f" {weighed.weight_norm:8.1f} {weighed.share_of_loss:8.0%} {weighed.share_of_gradient:9.0%}"
    )

# %% [markdown] advice-reading
# Compare the columns "lowest" and "end" of each line. Where they are close, training may run on;
# where they are not, the recipe has put the turning point off and needs somebody who stops. The
# usual strengths, 0.001 for L2 and 0.1 or less for decoupled decay, belong to long trainings on many
# images. Here a step of 0.005 times λ is taken 288 times. A decoupled λ of 0.1 takes 13 % from a
# weight in the whole run, and a λ of 3 takes 99 %, which the data must earn back. Compare the two
# lines with λ = 0.1, too: the same number under two meanings. And compare the last two columns of an
# L2 line. A penalty may be much of the loss and little of the gradient, or the other way round. Only
# the gradient moves weights.
#
# Then look along the columns "gap" and "right". Which of the two does regularisation move, and by
# how much? *"Dropout raises the accuracy"* is a promise about the second. What a regularised network
# gives up first is what it cannot know, and that was never among its right answers.
#
# Deep or wide networks are said to overfit, and so they can. But a network whose gradient does not
# arrive cannot overfit: its training loss stands still. The two diseases of large networks have
# opposite curves. And batch normalisation, which is also recommended against overfitting, makes the
# mode of evaluation matter more: in training mode an image is judged by its neighbours in the batch.

# %% [markdown] modes tags=["pytorch"]
# ## Whose mode is it?
#
# `model.eval()` and `torch.no_grad()` are two things. The first tells dropout and batch
# normalisation that training is over; the second only saves memory. The mode stays as it was set
# last, so a training loop calls `model.train()` at the start of every epoch. The training loss in
# the picture was measured in training mode and while the weights were still changing. Therefore it
# can lie above the validation loss in the first epochs without anything being wrong.

# %% [markdown] modes tags=["tensorflow"]
# ## Whose mode is it?
#
# `fit`, `evaluate` and `predict` choose the mode by themselves. A model that is called directly is
# told by the argument `training`; without it, it is not in training. So the slip needs a line that
# says `training=True`, and it survives as a copy of a training step. The training loss in the
# picture was measured in training mode and while the weights were still changing. Therefore it can
# lie above the validation loss in the first epochs without anything being wrong. And where a layer
# has a `kernel_regularizer`, the validation loss that `fit` reports contains the penalty. To compare
# a model with dropout and one without, give each its own optimizer: Keras 3 refuses one that was
# built for another model.

# %% [markdown] gpu tags=["pytorch"]
# ## On a GPU
#
# Nothing changes in what is measured. A copy of the best weights on the GPU costs as much memory as
# the model; `{k: v.cpu() for k, v in model.state_dict().items()}` keeps it on the host. Reading the
# validation loss makes the host wait for the device, once an epoch, and that is cheap.

# %% [markdown] gpu tags=["tensorflow"]
# ## On a GPU
#
# Nothing changes in what is measured. `EarlyStopping` keeps the best weights in memory;
# `ModelCheckpoint(save_best_only=True)` keeps them on the disk, where they also survive a machine
# that stops. A larger `steps_per_execution` lets the device run on between two looks.

# %% [markdown] read-on
# ## Read on
#
# - Nitish Srivastava and others, "Dropout: A Simple Way to Prevent Neural Networks from
#   Overfitting", 2014.
# - Ilya Loshchilov and Frank Hutter, "Decoupled Weight Decay Regularization", 2019: why L2 and
#   weight decay part under Adam.
# - Lutz Prechelt, "Early Stopping, But When?", 1998: how patience is chosen.
# - Chuan Guo and others, "On Calibration of Modern Neural Networks", 2017: a loss that rises while
#   the accuracy stays.
# - The documentation of `torch.nn.Module.eval`, `torch.optim.AdamW`, and Keras's `EarlyStopping`.
