# ---
# title: "Transfer learning: freeze, head, unfreeze"
# symptom: Fine-tuning a pre-trained network on 100 photographs gives less than leaving it alone, and the frozen backbone is not what it was.
# minutes: 45
# difficulty: 3
# learn:
#   - prove that a frozen backbone is frozen, weights and running statistics alike
#   - feed a pre-trained network the numbers it was trained on
#   - fine-tune without destroying what was learned from thousands of images
#   - measure how much time and how many images pre-training is worth
# sources: ["001/40", "001/41"]
# seconds: {pytorch: 40, tensorflow: 60}
# hints:
#   diagnosis:
#     - The phase is called frozen. Which bars should there be at all?
#     - Running statistics can drift without a freeze being at fault. Can weights?
#     - The cause is the one that lets weights and statistics change alike; the reading is `change.arrays_changed`.
#   freeze:
#     - Compare the arrays of the backbone before and after your head is trained. Which of them still change, and what changes arrays of that kind?
#     - A backbone stands still when the optimizer leaves its weights alone and no image passes through it in training mode. And what it sees must be what it was trained on; its card says what that is.
#     - "PyTorch: give the optimizer `model[1].parameters()`, and call `fit` with `training=False`. Keras: set `model.layers[0].trainable = False` before the first `fit`, or compile again after it. Both: `(images / 255 - 0.45) / 0.22`."
#   fine-tune:
#     - How far does one step of this optimizer move a weight, and how large are the weights?
#     - "Adam moves every weight by about its rate, whatever the gradient. Try a tenth and a hundredth of the head's rate, and watch the change of each layer. Should statistics of 25 images at a time replace those of thousands?"
#     - A rate of 0.001 for all layers, with batch normalisation in inference mode, for about twelve epochs.
# ---

# %% [markdown] story
# A drone photographs roofs at dusk, and every roof carries a letter. A network has learned to read
# six letters from 1500 photographs. Now four more letters are in use, P, Q, R and S, and there are
# 25 photographs of each.
#
# The plan is the one in every textbook. Freeze the network, train a new last layer on top, then
# unfreeze everything and fine-tune. What somebody saw: the fine-tuned network reads the new letters
# worse than a new last layer on the old network does. And the network that was frozen is not what
# it was.

# %% photographs
import numpy as np

from grader.datasets.grain import add_grain
from grader.datasets.letters import LETTERS, paint_letters

OLD, NEW = range(6), range(6, 10)


def photographs(split, n, draw, letters):
    """Grainy photographs of some of the ten letters: images uint8 (N, 16, 16, 3), labels from 0."""
    painted, _ = paint_letters(lab.draw(split, n, 16), draw, lab.seed)
    return add_grain(painted, 60, draw, lab.seed).only(letters)


train = photographs("train", 250, "new", NEW)
unseen = photographs("test", 1250, "new, unseen", NEW)
print(f"{len(train)} photographs of {' '.join(train.classes)}; {len(unseen)} to be asked about")

# %% [markdown] shelf-story
# Here is the network from the shelf: five convolutions, each with batch normalisation, and a global
# average that gives 24 features. That part is called the *backbone*. Its old last layer, the *head*,
# told six letters apart. It is trained here, in some seconds, so that nothing need be downloaded.

# %% shelf
old_train = photographs("train", 2500, "old", OLD)
old_unseen = photographs("test", 500, "old, unseen", OLD)


def as_on_the_card(images):
    """What the backbone was trained on."""
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


trained = lab.fw.feature_classifier(16, 6, width=12, seed=lab.seed, device=lab.device)
lab.fw.train_to_rest(
    trained,
    as_on_the_card(old_train.images),
    old_train.labels,
    steps=350,
    batch_size=32,
    learning_rate=0.008,
    seed=lab.seed,
)
on_the_shelf = lab.fw.get_state(trained)[:-2]  # without the weights and biases of the old head


def take_backbone():
    """A fresh copy of the pre-trained backbone: images to 24 features."""
    backbone = lab.fw.feature_network(16, width=12, seed=lab.seed, device=lab.device)
    lab.fw.set_state(backbone, on_the_shelf)
    return backbone


def right(model, x, labels):
    """Share of images that a model names rightly."""
    return float((lab.fw.predict(model, x).argmax(axis=1) == labels).mean())


known = right(trained, as_on_the_card(old_unseen.images), old_unseen.labels)
print("the backbone's card")
print("  trained on     letters", *old_train.classes, f"({len(old_train)} photographs)")
print("  input          (pixel / 255 - 0.45) / 0.22")
print("  features      ", 24)
print(f"  right on       {known:.0%} of unseen photographs of these letters")
print(f"  size           {lab.fw.parameter_count(take_backbone()):,} parameters")

# %% [markdown] program tags=["pytorch"]
# And here is the program that uses it. Its first phase freezes the backbone and trains the new head;
# its second phase unfreezes everything and goes on.

# %% [markdown] program tags=["tensorflow"]
# And here is the program that uses it. Its first phase makes sure with one epoch that everything
# runs, freezes the backbone and trains the new head; its second phase unfreezes everything and goes
# on.

# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.nn import functional as F


def sick_preprocess(images):
    return lab.fw.from_images(images / 255, lab.device)


def put_head_on(backbone, classes):
    return nn.Sequential(backbone, nn.Linear(24, classes)).to(lab.device)


def fit(model, optimizer, x, y, epochs, training=True, watch=None):
    """Train on batches of 25; `watch` is called after every epoch."""
    for _ in range(epochs):
        model.train(training)
        for rows in torch.randperm(len(x)).split(25):
            rows = rows.to(x.device)
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        if watch is not None:
            watch()


def sick_train_head(model, x, y):
    model[0].requires_grad = False  # freeze the backbone
    fit(model, torch.optim.Adam(model.parameters(), lr=0.03), x, y, epochs=20)


def sick_fine_tune(model, x, y, watch=None):
    model[0].requires_grad_(True)
    fit(model, torch.optim.Adam(model.parameters(), lr=0.03), x, y, epochs=6, watch=watch)


# %% sick-program tags=["tensorflow"]
import keras
from keras import layers


def sick_preprocess(images):
    return lab.fw.from_images(images / 255, lab.device)


def put_head_on(backbone, classes):
    return keras.Sequential([keras.Input((16, 16, 3)), backbone, layers.Dense(classes)])


def compile_for(model, rate):
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,  # compiling with XLA takes longer than these few steps
    )


def fit(model, x, y, epochs, watch=None):
    """Train on batches of 25; `watch` is called after every epoch."""
    callbacks = []
    if watch is not None:
        callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: watch())]
    # Built before, the optimizer lets Keras trace the step once, not twice.
    if model.built:
        model.optimizer.build(model.trainable_variables)
    model.fit(x, y, batch_size=25, epochs=epochs, verbose=0, callbacks=callbacks)


def sick_train_head(model, x, y):
    compile_for(model, 0.03)
    fit(model, x, y, epochs=1)  # does everything run?
    model.layers[0].trainable = False  # freeze the backbone
    fit(model, x, y, epochs=19)


def sick_fine_tune(model, x, y, watch=None):
    model.layers[0].trainable = True
    compile_for(model, 0.03)
    fit(model, x, y, epochs=6, watch=watch)


# %% [markdown] sick-run-story
# Before the program runs, two numbers to hold it against. A head on the backbone's features is
# fitted by logistic regression, with the backbone left alone. And the same network is trained from
# scratch on the 100 photographs, for longer than both phases together.

# %% references
from grader.instruments import transfer

y = lab.fw.from_labels(train.labels, lab.device)
backbone = take_backbone()
frozen = transfer.measure_probe(
    lab.fw.predict(backbone, as_on_the_card(train.images)),
    train.labels,
    lab.fw.predict(backbone, as_on_the_card(unseen.images)),
    unseen.labels,
)
outputs = lab.fw.outputs_after_training(
    lab.fw.feature_classifier(16, 4, width=12, seed=lab.seed + 1, device=lab.device),
    [(as_on_the_card(train.images), train.labels)],
    as_on_the_card(unseen.images),
    steps=120,
    batch_size=25,
    learning_rate=0.008,
    seed=lab.seed,
)
scratch = float((outputs[0].argmax(axis=1) == unseen.labels).mean())
print(f"right on unseen photographs: frozen features {frozen.accuracy:.0%}, scratch {scratch:.0%}")

# %% sick-run
x, x_unseen = sick_preprocess(train.images), sick_preprocess(unseen.images)


def probed(backbone, x, x_unseen):
    """Accuracy of a linear probe on what the backbone gives now."""
    features, asked = lab.fw.predict(backbone, x), lab.fw.predict(backbone, x_unseen)
    return transfer.measure_probe(features, train.labels, asked, unseen.labels).accuracy


lab.fw.set_seed(lab.seed)
sick = put_head_on(backbone, 4)
sick_train_head(sick, x, y)
change = transfer.measure_change(lab.fw, backbone, on_the_shelf)
after_head = right(sick, x_unseen, unseen.labels)

sick_own, sick_probes = [], []


def watch():
    sick_own.append(right(sick, x_unseen, unseen.labels))
    sick_probes.append(probed(backbone, x, x_unseen))


watch()
sick_fine_tune(sick, x, y, watch=watch)
after_tuning = sick_own[-1]
print("after the frozen phase:", transfer.say_change(change))
print(f"right on unseen photographs: {after_head:.0%} after phase 1, {after_tuning:.0%} after 2")

# %% signature tags=["picture"]
accuracies = {
    "frozen features": frozen.accuracy,
    "from scratch": scratch,
    "sick, phase 1": after_head,
    "sick, phase 2": after_tuning,
}
lab.show(transfer.draw_change(change, accuracies, 1 / 4), transfer.say_change(change))

# %% [markdown] diagnosis-question
# ## What happened in the frozen phase?
#
# The two panels on the left show the backbone after phase 1, the phase that is called frozen,
# compared with the backbone from the shelf. The panel on the right is no excuse, whichever bar is
# the longer one: what phase 1 reached, it reached as another program than the one that was planned.
#
# | `cause` | what it would mean |
# |---|---|
# | `"freeze-without-effect"` | The line that freezes the backbone changes nothing. |
# | `"batch-norm-statistics"` | Only the running statistics drift, because images pass in training mode. |
# | `"learning-rate"` | The head's learning rate is too high for the backbone. |
# | `"wrong-preprocessing"` | The backbone is fed other numbers than those on its card. |
# | `"softmax-twice"` | The head applies a softmax, and the loss applies another one. |
# | `"too-few-images"` | A hundred photographs are too few for a new head. |
#
# Name the cause, and read off how many of the backbone's arrays changed in all, weights and
# statistics.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "freeze-without-effect"
reading = change.arrays_changed
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] why-no-effect tags=["pytorch"]
# A module has no attribute `requires_grad`. Assigning one is allowed, as to any Python object, and
# nothing reads it. What parameters have is an attribute of that name, and what modules have is a
# method, `requires_grad_`.

# %% [markdown] why-no-effect tags=["tensorflow"]
# Keras traces the training step when `fit` first needs it, and keeps the trace until the next
# `compile`. Which variables are trained is settled in the trace. Set between `compile` and the first
# `fit`, the flag would have been in time; after one epoch it is not, and nothing says so.

# %% [markdown] freeze-question
# ## Phase 1: freeze
#
# Three functions are measured. `preprocess(images)` makes of uint8 images (N, 16, 16, 3) what the
# backbone eats. `build_model(backbone, classes)` returns a model on top of the backbone that it is
# given. `train_head(model, x, y)` trains the new head, and leaves the backbone bit for bit as it
# was.
#
# The check hands in a pre-trained backbone of its own. It looks at five things in turn. Are the
# backbone's weights what they were? Are its running statistics? Does it still read its old letters
# through your preprocessing? Does the model read the new ones about as well as a logistic
# regression on the frozen features? And what does the model cost?


# %% freeze tags=["answer", "pytorch"]
def preprocess(images):
    x = sick_preprocess(images)
    ### BEGIN SOLUTION
    x = lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)
    ### END SOLUTION
    return x


def build_model(backbone, classes):
    return put_head_on(backbone, classes)


def train_head(model, x, y):
    model[0].requires_grad = False
    trained, training = model.parameters(), True
    ### BEGIN SOLUTION
    model[0].requires_grad_(False)
    # In evaluation mode batch normalisation uses its statistics and leaves them alone.
    trained, training = model[1].parameters(), False
    ### END SOLUTION
    fit(model, torch.optim.Adam(trained, lr=0.03), x, y, epochs=20, training=training)


# %% freeze tags=["answer", "tensorflow"]
def preprocess(images):
    x = sick_preprocess(images)
    ### BEGIN SOLUTION
    x = lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)
    ### END SOLUTION
    return x


def build_model(backbone, classes):
    return put_head_on(backbone, classes)


def train_head(model, x, y):
    ### BEGIN SOLUTION
    # In time for the first trace. A frozen batch normalisation also runs in inference mode.
    model.layers[0].trainable = False
    ### END SOLUTION
    sick_train_head(model, x, y)


# %% check-freeze tags=["check"]
lab.check("freeze")

# %% [markdown] fine-tune-question
# ## Phase 2: unfreeze
#
# One function is measured. `fine_tune(model, x, y)` trains in place a model whose head has been
# fitted on frozen features. The check makes that model, as `put_head_on` does: the backbone first,
# the head last, everything trainable. `x` is preprocessed as on the card.
#
# The check asks four questions. Did the backbone move at all? Did no layer change by more than 0.8
# of its weights? Are unseen photographs read at least about as well as with the backbone left
# alone? And clearly better than by the same network trained from scratch?


# %% fine-tune tags=["answer", "pytorch"]
def fine_tune(model, x, y, watch=None):
    model.requires_grad_(True)
    rate, epochs, training = 0.03, 6, True
    ### BEGIN SOLUTION
    # The statistics of 1500 photographs stay, and small steps move the weights a little.
    rate, epochs, training = 0.001, 12, False
    ### END SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    fit(model, optimizer, x, y, epochs, training, watch)


# %% fine-tune tags=["answer", "tensorflow"]
def fine_tune(model, x, y, watch=None):
    backbone = model.layers[0]
    backbone.trainable = True
    rate, epochs = 0.03, 6
    ### BEGIN SOLUTION
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False  # keeps the statistics of 1500 photographs
    rate, epochs = 0.001, 12
    ### END SOLUTION
    compile_for(model, rate)
    fit(model, x, y, epochs, watch)


# %% check-fine-tune tags=["check"]
lab.check("fine-tune")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# Both phases of the repaired program, from the same shelf, on the same 100 photographs. After every
# epoch of fine-tuning a linear probe is fitted on the features of the backbone as it is then.

# %% proof-run tags=["proof"]
x, x_unseen = preprocess(train.images), preprocess(unseen.images)
lab.fw.set_seed(lab.seed)
backbone = take_backbone()
repaired = build_model(backbone, 4)
train_head(repaired, x, y)
kept = transfer.measure_change(lab.fw, backbone, on_the_shelf)
repaired_head = right(repaired, x_unseen, unseen.labels)
print("after the frozen phase:", transfer.say_change(kept))

own, probes = [], []


def watch_again():
    own.append(right(repaired, x_unseen, unseen.labels))
    probes.append(probed(backbone, x, x_unseen))


watch_again()
fine_tune(repaired, x, y, watch=watch_again)
tuned = transfer.measure_change(lab.fw, backbone, on_the_shelf)
repaired_tuned = own[-1]
print("after fine-tuning:     ", transfer.say_change(tuned))
print(f"right on unseen photographs: sick    {after_head:.0%}, then {after_tuning:.0%}")
print(f"                             repaired {repaired_head:.0%}, then {repaired_tuned:.0%}")
print(f"                             scratch  {scratch:.0%}")

# %% proof tags=["proof"]
own_curves = {"sick": sick_own, "repaired": own}
probe_curves = {"sick": sick_probes, "repaired": probes}
lab.show(
    transfer.draw_tuning(own_curves, probe_curves, frozen.accuracy, scratch, 1 / 4),
    transfer.say_tuning(own_curves, probe_curves),
)

# %% [markdown] proof-reading
# The two panels need not agree. A probe that is fitted anew asks what the features still hold; the
# model's own head asks whether it still fits them. Where the right panel stays high and the left one
# falls, the letters are still in the features, and the head reads another network than the one
# below it.

# %% [markdown] worth-story
# ## Less time, and fewer photographs?
#
# Both are claimed of transfer learning, and both can be measured. The same network starts from
# scratch with 100 and with 900 photographs of the new letters, and takes 60 or 240 steps. The head
# on frozen features took a fraction of a second, and no step through the backbone.

# %% worth tags=["proof"]
more = photographs("train", 2250, "new", NEW)
x_more = as_on_the_card(more.images)
start = lab.fw.feature_classifier(16, 4, width=12, seed=lab.seed + 1, device=lab.device)
print("from scratch        60 steps  240 steps")
for n in (100, 900):
    row = []
    for steps in (60, 240):
        outputs = lab.fw.outputs_after_training(
            start,
            [(x_more[:n], more.labels[:n])],
            as_on_the_card(unseen.images),
            steps=steps,
            batch_size=25,
            learning_rate=0.008,
            seed=lab.seed,
        )
        row.append(f"{(outputs[0].argmax(axis=1) == unseen.labels).mean():7.0%}")
    print(f"{n:4d} photographs    " + "    ".join(row))
print(f"\n 100 photographs, frozen features {frozen.accuracy:.0%}, fine-tuned {repaired_tuned:.0%}")

# %% [markdown] advice-story
# ## Where advice and measurement part
#
# *"After the head has been trained, unfreeze all layers, compile with Adam at 0.001, and train on."*
# That is a common recipe for ResNet50, whose 53 layers of batch normalisation are then in training
# mode again. Below, three learning rates for everything, eight epochs, with batch normalisation in
# inference mode and in training mode. The head is the one from the logistic regression.


# %% advice tags=["proof", "pytorch"]
def tuner(model, training):
    """A function that fine-tunes all layers at a rate, from the weights that the model has."""

    def tune(rate):
        optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        fit(model, optimizer, x, y, epochs=8, training=training)

    return tune


# %% advice tags=["proof", "tensorflow"]
def tuner(model, training):
    """A function that fine-tunes all layers at a rate, from the weights that the model has.

    The model is compiled once, because a rate needs no new trace; an optimizer whose variables are
    zero is a fresh one.
    """
    for layer in model.layers[0].layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = training
    compile_for(model, 0.001)

    def tune(rate):
        for variable in model.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        model.optimizer.learning_rate = rate
        fit(model, x, y, epochs=8)

    return tune


# %% advice-table tags=["proof"]
old_head = lab.fw.get_state(trained)[-2:]
old_weights = old_head[0] if old_head[0].shape[0] == 24 else old_head[0].T
x_old = as_on_the_card(old_unseen.images)
rates, rows = (0.0001, 0.001, 0.03), {}
for training in (False, True):
    backbone = take_backbone()
    model = lab.fw.with_head(backbone, frozen.weights, frozen.biases)
    with_old_head = lab.fw.with_head(backbone, old_weights, old_head[1])
    start, tune = lab.fw.get_state(model), tuner(model, training)
    for rate in rates:
        lab.fw.set_state(model, start)
        lab.fw.set_seed(lab.seed)
        tune(rate)
        moved = transfer.measure_change(lab.fw, backbone, on_the_shelf)
        rows[rate, training] = (
            f"{right(model, x_unseen, unseen.labels):4.0%}   "
            f"{right(with_old_head, x_old, old_unseen.labels):4.0%}   {moved.most_moved:14.2f}   "
            f"{moved.most_drifted:15.2f}"
        )
print(f"frozen features: {frozen.accuracy:.0%} of the new letters, {known:.0%} of the old ones")
print("  rate   batch norm in   new    old    largest change   drift of a mean")
for rate in rates:
    for training in (False, True):
        mode = "training" if training else "inference"
        print(f"{rate:6g}   {mode:13s}   {rows[rate, training]}")

# %% [markdown] advice-reading
# Read the table in pairs. At the smallest rate the weights hardly move, and still the two modes
# differ: in training mode the running statistics are replaced by those of 25 photographs at a time,
# which are not the ones that the head was fitted on. At the highest rate it is the other way round.
# Inference mode holds on to statistics that no longer describe the layers; training mode follows
# them. So neither "always freeze batch normalisation" nor "never mind it" is true by itself. The
# mode and the rate belong together.
#
# Now the column of the old letters, which are asked for with the old head. At the highest rate they
# suffer in both modes. What training mode reaches on the new letters, it reaches as a network that
# is trained anew from a good start, and it differs much from one seed to the next. Whether that is a
# loss depends on what the backbone is still needed for.
#
# *"Adam at 0.001 destroys a pre-trained network."* The middle pair says what it does to this one,
# which is small, and was trained on images much like the new ones. What a rate does to another
# backbone, the largest change and the drift tell before any accuracy does.

# %% [markdown] softmax-story
# *"Do not apply softmax twice."* A head that ends in a softmax, under a loss that applies its own,
# raises nothing; the last column counts the warnings. The loss of four classes can then not fall
# below ln(1 + 3/e), which is 0.74, and the gradient shrinks where the head is sure. How much worse
# does it read?


# %% softmax tags=["proof", "pytorch"]
def softmaxed(backbone):
    return nn.Sequential(backbone, nn.Linear(24, 4), nn.Softmax(dim=1)).to(lab.device)


# %% softmax tags=["proof", "tensorflow"]
def softmaxed(backbone):
    return keras.Sequential(
        [keras.Input((16, 16, 3)), backbone, layers.Dense(4, activation="softmax")]
    )


# %% softmax-table tags=["proof"]
import warnings

for name, build in (("one softmax", lambda b: put_head_on(b, 4)), ("two", softmaxed)):
    lab.fw.set_seed(lab.seed)
    model = build(take_backbone())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        train_head(model, x, y)
    loss = lab.fw.loss(model, x, train.labels, training=False)
    print(
        f"{name:12s} training loss {loss:.2f}, unseen {right(model, x_unseen, unseen.labels):.0%}, "
        f"warnings about a softmax: {sum('oftmax' in str(w.message) for w in told)}"
    )

# %% [markdown] resnet-story
# ## The same with ResNet50
#
# Where the ImageNet weights can be downloaded, the notebook takes the real thing: its features for
# the same photographs, enlarged to 64 pixels, and a probe on them. Where they cannot, the cell says
# so and the notebook goes on.

# %% resnet tags=["proof", "pytorch"]
from torchvision.models import ResNet50_Weights

resnet, sentence = lab.fw.imagenet_backbone()
print(sentence)
if resnet is not None:
    card = ResNet50_Weights.DEFAULT.transforms(crop_size=64, resize_size=64)

    def features(images):
        batch = torch.from_numpy(images).permute(0, 3, 1, 2)
        return lab.fw.predict(resnet, card(batch), batch_size=50)


# %% resnet tags=["proof", "tensorflow"]
resnet, sentence = lab.fw.imagenet_backbone()
print(sentence)
if resnet is not None:

    def features(images):
        enlarged = keras.ops.image.resize(images.astype("float32"), (64, 64))
        return lab.fw.predict(
            resnet, keras.applications.resnet50.preprocess_input(enlarged), batch_size=50
        )


# %% resnet-probe tags=["proof"]
if resnet is not None:
    some = unseen.take(200)
    probe = transfer.measure_probe(
        features(train.images), train.labels, features(some.images), some.labels
    )
    print(f"a probe on its features is right on {probe.accuracy:.0%} of {len(some)} photographs")

# %% [markdown] gpu tags=["pytorch"]
# ## On a GPU
#
# A frozen backbone need not be asked twice about one image. Put the 100 images through it once,
# under `torch.inference_mode()`, and train the head on the features: that is as many forward passes
# as images, and none of them keeps activations for a backward pass. With augmentation the features
# change from epoch to epoch, and the backbone has to run again; then `torch.no_grad()` around it
# saves the memory. In fine-tuning, only what is unfrozen keeps its activations, so the last block
# alone takes a fraction of the memory of the whole network.

# %% [markdown] gpu tags=["tensorflow"]
# ## On a GPU
#
# A frozen backbone need not be asked twice about one image. Put the 100 images through it once, with
# `backbone.predict`, and train the head on the features. With augmentation the features change from
# epoch to epoch, and the backbone has to run again; since its variables are not watched, no
# activations are kept for them. In fine-tuning, only what is unfrozen keeps its activations. Each
# `compile` costs a new trace, and with XLA a new compilation: compile once a phase, not once an
# epoch.

# %% [markdown] read-on
# ## Read on
#
# - J. Yosinski and others, *How transferable are features in deep neural networks?*, 2014.
# - S. Kornblith and others, *Do better ImageNet models transfer better?*, 2019.
# - X. Li and others, *Explicit inductive bias for transfer learning with convolutional networks*
#   (L2-SP), 2018.
# - A. Kumar and others, *Fine-tuning can distort pretrained features and underperform
#   out-of-distribution*, 2022.
