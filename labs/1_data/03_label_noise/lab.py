# ---
# title: Labels that are wrong
# symptom: Training accuracy nears 100 %, and after some epochs the validation loss climbs with it.
# minutes: 35
# difficulty: 2
# learn:
#   - what memorised labels look like in the curves
#   - to judge a label with a network that has not been trained on it
#   - to tell a wrong label from a hard image
# sources: ["000/1", "000/4", "001/33", "002/50", "003/69"]
# seconds: {pytorch: 40, tensorflow: 40}
# hints:
#   diagnosis:
#     - What is in the right panel of the picture that no property of a network can produce?
#     - Look at the images that are there twice, and at the words below them.
#     - The reading is `len(pairs)`.
#   repair:
#     - A network that has learned a label by heart repeats it. Which network has not seen this label?
#     - Split the images into folds. Train without one fold, ask about that fold, and go round. Then suspect a label where the network is surer of another class than it usually is.
#     - "`fold = np.random.default_rng(0).permutation(len(labels)) % 4`, then `confidence_after([(images[fold != k], labels[fold != k]) for k in range(4)], images, steps=60)[fold, np.arange(len(labels))]`."
# ---

# %% [markdown] story
# Three kinds of ground, a few hundred small tiles, labels by hand. The network learns: its training
# accuracy rises epoch by epoch and comes close to 100 %.
#
# What somebody saw: the validation loss falls for a few epochs. Then it climbs, in jumps, while the
# training accuracy still improves.

# %% images
import numpy as np
from grader.datasets import faults

kinds = (0, 6, 7)
drawn = lab.draw("train", 1600, 16).only(kinds)
train, planted = faults.careless_labels(drawn, 0.15, copies=8, seed=lab.seed)
classes = train.classes
print(f"{len(train)} training images of", ", ".join(classes))
print("images of each given label:", np.bincount(train.labels))

# %% [markdown] network
# The network is small: two convolutions, one hidden layer, logits. `confidence_after`
# trains a fresh one on each set that it is given, and returns how sure it then is of each class.


# %% confidence
import numpy as np


def prepare(images):
    return lab.fw.from_images((images.astype(np.float32) - 110) / 45)


def confidence_after(sets, unseen, steps):
    """Train a fresh network on each pair (images, labels), then ask it about `unseen`.

    Ten steps are about one epoch here. Returns probabilities, (sets, len(unseen), classes).
    """
    lab.fw.set_seed(lab.seed)
    logits = lab.fw.outputs_after_training(
        lab.fw.quick_cnn(16, 3),  # pixels, classes
        [(prepare(images), labels) for images, labels in sets],
        prepare(unseen),
        steps=steps,
        batch_size=48,
        learning_rate=0.007,  # Adam, in a straight line down to 0
        seed=lab.seed,
    ).astype(np.float64)
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


# %% sick-run
from grader.instruments.label_noise import Course

validation = lab.draw("validation", 1000, 16).only(kinds)


def watch(labels, chosen, epochs=30):
    """Train on the chosen images with these labels, and measure after every epoch."""
    lab.fw.set_seed(lab.seed)
    model = lab.fw.quick_cnn(16, len(classes))
    x, seen = prepare(train.images[chosen]), prepare(validation.images)
    y, per_epoch = labels[chosen], int(chosen.sum()) // 48
    accuracy, loss = [], []

    def after(step, _):
        if (step + 1) % per_epoch == 0:
            accuracy.append((lab.fw.predict(model, x).argmax(axis=1) == y).mean())
            loss.append(lab.fw.loss(model, seen, validation.labels, training=False))

    lab.fw.train(
        model, x, y, steps=epochs * per_epoch, batch_size=48, learning_rate=0.003,
        optimizer="adam", seed=lab.seed, on_step=after,
    )  # fmt: skip
    return Course(np.array(accuracy), np.array(loss))


everything = np.ones(len(train), bool)
sick = watch(train.labels, everything)
for epoch in (1, 5, 10, 20, 30):
    print(
        f"epoch {epoch:2d}: right on {100 * sick.accuracy[epoch - 1]:.0f} % of the training images,"
        f" validation loss {sick.validation_loss[epoch - 1]:.2f}"
    )

# %% [markdown] look
# A curve like this has more than one possible cause. So look at the images as well, and at their
# labels. The quickest thing to look for is an image that is there twice.

# %% copies
from grader.instruments.label_noise import twins

pairs = twins(train.images, train.labels)

# %% signature tags=["picture"]
from grader.instruments.label_noise import draw_course, say_course

shown = [
    (train.images[a], classes[train.labels[a]], train.images[b], classes[train.labels[b]])
    for a, b in pairs[:4]
]
lab.show(draw_course({"sick": sick}, shown), say_course(sick, len(pairs)))

# %% [markdown] diagnose
# | `cause` | what it would mean |
# | --- | --- |
# | `"label-noise"` | some labels are wrong, and are learned by heart |
# | `"learning-rate"` | the steps are too long or too short |
# | `"too-small"` | the network cannot hold what it is to learn |
# | `"imbalance"` | one class has hardly any images |
# | `"input-scale"` | the images arrive on the wrong scale |
# | `"validation-split"` | training images are among the validation images |
#
# Which cause explains the picture? And how many images are there twice with two different labels?

# %% diagnosis tags=["answer"]
cause = ...  # one of the names in the table
reading = ...  # images that are there twice with two different labels
### BEGIN SOLUTION
cause = "label-noise"
reading = len(pairs)
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-task
# The copies are only the wrong labels that give themselves away. The others are on images that are
# there once. Write `find_wrong_labels(images, labels)`. It returns two arrays, one entry an image:
#
# - the suspects, True or False;
# - the labels to train on: the given one, a better one, or -1 to leave the image out.
#
# The check brings other images, and other mistakes. It asks four things in turn. Are most of the
# wrong labels suspected? Are the right ones spared? Are fewer wrong labels left? And does a network
# that is trained on what you return do better on unseen images?


# %% repair tags=["answer"]
def find_wrong_labels(images, labels):
    suspects = np.zeros(len(labels), bool)  # every label is believed
    ### BEGIN SOLUTION
    # Each image is judged by the one network of four that has not been trained on it.
    fold = np.random.default_rng(0).permutation(len(labels)) % 4
    sets = [(images[fold != k], labels[fold != k]) for k in range(4)]
    confidence = confidence_after(sets, images, steps=60)[fold, np.arange(len(labels))]
    # How sure is it of class k for images that carry label k? Less than that is no evidence.
    usual = np.array([confidence[labels == k, k].mean() for k in range(confidence.shape[1])])
    sure = np.where(confidence >= usual, confidence, -1)
    suspects = (sure.max(axis=1) > 0) & (sure.argmax(axis=1) != labels)
    ### END SOLUTION
    return suspects, np.where(suspects, -1, labels)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] prove
# Here the truth is known, because the mistakes were planted. The left panel asks the network that
# was trained on every label until it knew them by heart. The middle one asks, for each image, the
# network that had not seen its label. The table on the right is what you would look at without the
# truth: which class is taken for which.

# %% proof tags=["proof"]
from grader.instruments.label_noise import (
    draw_audit, measure_found, measure_labels, say_audit,
)  # fmt: skip

wrong = planted.affected
by_heart = confidence_after([(train.images, train.labels)], train.images, steps=300)[0]
fold = np.random.default_rng(0).permutation(len(train)) % 4
sets = [(train.images[fold != k], train.labels[fold != k]) for k in range(4)]
held_out = confidence_after(sets, train.images, steps=60)[fold, np.arange(len(train))]
audits = {
    "by heart": measure_labels(by_heart, train.labels),
    "held out": measure_labels(held_out, train.labels),
}
lab.show(draw_audit(audits, wrong, classes), say_audit(audits, wrong))

# %% [markdown] after
# Your suspects against the truth, and the training run again without them.

# %% after-run tags=["proof"]
test = lab.draw("test", 2000, 16).only(kinds)
suspects, new_labels = find_wrong_labels(train.images, train.labels)
found = measure_found(suspects, wrong)
print(f"suspected {suspects.sum()}: {100 * found.recall:.0f} % of the wrong labels are among them,")
print(f"{100 * found.precision:.0f} % of them are wrong, {100 * found.spared:.0f} % of the right")
print("labels are spared")
repaired = watch(new_labels, new_labels >= 0)
lab.show(draw_course({"sick": sick, "repaired": repaired}, shown), say_course(repaired, 0))
for name, labels in (
    ("given labels", train.labels),
    ("your labels", new_labels),
    ("true labels", planted.parameters["labels"]),
):
    kept = labels >= 0
    seen = confidence_after([(train.images[kept], labels[kept])], test.images, steps=300)[0]
    print(f"{name:13s} right on {100 * (seen.argmax(axis=1) == test.labels).mean():.0f} % unseen")

# %% [markdown] after-reading
# Without the suspects the network repeats its labels as well, and its validation loss climbs again:
# a few hundred images can be learned by heart, whatever their labels say. So the climb alone was no
# proof. What cleaner labels change is how low the loss gets, and the share of unseen images that is
# right. The true labels show how much is still left to find.

# %% [markdown] tool
# ## The tool that people use
#
# The solution's lines are confident learning in small. The library cleanlab does the same with more
# care: it estimates how many labels of each class are mistaken for each other, and takes that many.
# It needs only what you have computed already, the labels and the held-out confidence.

# %% cleanlab tags=["proof"]
try:
    from cleanlab.filter import find_label_issues
except ImportError:
    print("cleanlab is not installed here: pip install cleanlab, then run this cell again.")
else:
    issues = find_label_issues(train.labels, held_out, n_jobs=1)
    for name, list_ in (("cleanlab", issues), ("yours", suspects)):
        found = measure_found(list_, wrong)
        print(
            f"{name:9s} suspects {list_.sum():3d}: finds {100 * found.recall:.0f} % of the wrong "
            f"labels, spares {100 * found.spared:.0f} % of the right ones"
        )
    print("on both lists:", int((issues & suspects).sum()))

# %% [markdown] advice
# ## Where advice and measurement part
#
# "Look at the images with the highest training loss" is common advice. It depends on when. The
# table asks one network about its own training images, after more and more steps.

# %% advice-run tags=["proof"]
for steps in (20, 40, 80, 160, 300):
    own = confidence_after([(train.images, train.labels)], train.images, steps)[0]
    audit = measure_labels(own, train.labels)
    print(
        f"{steps:3d} steps: a wrong label costs more than a right one in "
        f"{100 * audit.ranking(wrong):.0f} % of pairs; {100 * (~audit.contradicted).mean():.0f} % "
        "of the given labels are repeated"
    )
print(f" held out: {100 * audits['held out'].ranking(wrong):.0f} % of pairs")

# %% [markdown] advice-reading
# In the first rows the network's own loss ranks well: it has learned what many images share, and not
# yet the exceptions. From the row of 80 steps on, each row ranks worse than the one before, and more
# of the labels are repeated. The last line ranks best of all. Holding images out costs a network a
# fold, and judges no image by a network that has seen its label.
#
# No list is free of mistakes: right labels are suspected too. Before labels are changed for good,
# somebody looks at the suspects.

# %% [markdown] idiom tags=["pytorch"]
# ## In PyTorch
#
# Folds need no copies of the data: a `SubsetRandomSampler` draws from the positions it is given. And
# a loss can be told to trust labels less: `label_smoothing` gives each other class a small share.

# %% [markdown] idiom tags=["tensorflow"]
# ## In Keras
#
# A loss can be told to trust labels less: `label_smoothing` gives each other class a small share. It
# belongs to `CategoricalCrossentropy`, so the labels are one-hot.

# %% idiom-run tags=["pytorch", "proof"]
import torch
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset

data = TensorDataset(prepare(train.images), torch.tensor(train.labels))
for smoothing in (0.0, 0.2):
    lab.fw.set_seed(lab.seed)
    model = lab.fw.quick_cnn(16, len(classes))
    update = torch.optim.Adam(model.parameters(), lr=0.003)
    entropy = nn.CrossEntropyLoss(label_smoothing=smoothing)
    rows = np.flatnonzero(fold != 0).tolist()
    for _ in range(15):
        for x, y in DataLoader(data, 48, sampler=SubsetRandomSampler(rows)):
            update.zero_grad()
            entropy(model(x), y).backward()
            update.step()
    right = (lab.fw.predict(model, prepare(test.images)).argmax(axis=1) == test.labels).mean()
    print(f"label smoothing {smoothing:.1f}: right on {100 * right:.0f} % unseen")

# %% idiom-run tags=["tensorflow", "proof"]
import keras
import tensorflow as tf

rows = fold != 0
target = np.eye(len(classes))[train.labels]
data = tf.data.Dataset.from_tensor_slices((prepare(train.images[rows]), target[rows]))
data = data.shuffle(len(data), seed=lab.seed).batch(48)
for smoothing in (0.0, 0.2):
    lab.fw.set_seed(lab.seed)
    model = lab.fw.quick_cnn(16, len(classes))
    model.compile(
        keras.optimizers.Adam(0.003),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing),
    )
    model.fit(data, epochs=15, shuffle=False, verbose=0)  # the data set shuffles
    right = (lab.fw.predict(model, prepare(test.images)).argmax(axis=1) == test.labels).mean()
    print(f"label smoothing {smoothing:.1f}: right on {100 * right:.0f} % unseen")

# %% [markdown] smoothing-reading
# Smoothing is advised against wrong labels as well. The two lines above are one run each, and another
# order of the batches can change them by more than they differ. What smoothing does not do needs no
# run: it doubts every label alike, and points at none.

# %% [markdown] gpu
# ## On a GPU
#
# Folds do not depend on each other. On one accelerator they run one after the other with a larger
# batch; on several, one fold each. Set `DATA` in the second cell to a folder of photographs to see
# how the same search fares on harder images, with mistakes planted in the same way.

# %% [markdown] read-on
# ## Read on
#
# - C. G. Northcutt, L. Jiang and I. L. Chuang, *Confident Learning: Estimating Uncertainty in Dataset
#   Labels* (2021): the rule that the solution uses.
# - C. G. Northcutt, A. Athalye and J. Mueller, *Pervasive Label Errors in Test Sets* (2021): wrong
#   labels in the sets by which others are compared.
# - C. Zhang et al., *Understanding deep learning requires rethinking generalization* (2017): networks
#   learn random labels by heart.
# - D. Arpit et al., *A Closer Look at Memorization in Deep Networks* (2017): what is learned first.
# - cleanlab documentation, *find_label_issues*.
