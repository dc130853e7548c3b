# ---
# title: Nine in ten right, and two classes hardly ever found
# symptom: Validation says that more than nine images in ten are right. In the field two of three classes are hardly ever recognised.
# minutes: 40
# difficulty: 2
# learn:
#   - to read recall class by class, with its interval, beside the accuracy of a constant answer
#   - to find copies of one scene, by their bytes and by their looks
#   - to hold out every class in its share without sharing a scene
#   - to make a loss hear the rare classes, and to see what the common one pays
# sources: ["000/5", "000/7", "003/70"]
# seconds: {pytorch: 30, tensorflow: 50}
# hints:
#   diagnosis:
#     - Which program, without looking at a single image, would reach the accuracy that validation reports?
#     - Compare the three panels. The common class is fine in all of them; is anything fine for the others in any of them?
#     - The reading is `sick_validation.constant`.
#   validation:
#     - Three things are asked of a split at once. Which of them does a draw by lot give, and which does a hash of the bytes give?
#     - First give every image the number of its scene, from the distances. Then look for a splitter in scikit-learn that takes labels and groups.
#     - "`scene = DBSCAN(eps=COPY, min_samples=1, metric=\"precomputed\").fit_predict(distances(images))`, then the first fold of `StratifiedGroupKFold(5, shuffle=True)`; and `balanced_accuracy_score`."
#   repair:
#     - In one epoch the common class contributes some four hundred terms to the loss. How many does a rare one contribute?
#     - There are three places for a repair, and one is enough. What is drawn into a batch, what each image weighs in the loss, or what is done with the logits afterwards.
#     - "PyTorch: `WeightedRandomSampler(weights, len(labels))` with `weights = 1 / np.bincount(labels)[labels]`. Keras: `tf.data.Dataset.sample_from_datasets` of one repeated dataset a class."
# ---

# %% [markdown] story
# An archive of aerial photographs shows three kinds of ground. One is everywhere, two are rare, and
# the rare ones are what somebody wants to find. A network is trained on most of the archive and
# tried on 32 images that were held out. It is right on more than nine in ten of them, and is put to use.
#
# What somebody saw: photographs of the two rare kinds are hardly ever reported.

# %% tools
import numpy as np

from grader.datasets.archive import archive
from grader.instruments.splits import COPY, distances, measure_recalls

SIZE = 12  # pixels


def sick_split(images, labels):
    """Positions for training and for validation: 32 images by lot."""
    order = np.random.default_rng(0).permutation(len(labels))
    return order[32:], order[:32]


# %% archive
# The second value says which images show the same scene. Outside of a course nobody knows that.
stored, _ = archive(
    lab.draw("train", 4000, SIZE), (0, 1, 2), (400, 14, 14), copies=0.5, seed=lab.seed
)
unseen, _ = archive(lab.draw("test", 2000, SIZE), (0, 1, 2), (200, 200, 200), seed=lab.seed)
classes = stored.classes
for name, n in zip(classes, np.bincount(stored.labels), strict=True):
    print(f"{name:12s}{n:4d} images in the archive")

# %% [markdown] program
# The program: a plain network, Adam, twelve epochs. `sick_train` takes uint8 images and labels and
# returns what it learned; `sick_predict` names a class for each image.

# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def prepared(images):
    return lab.fw.from_images(images / 255)  # float32 (N, 3, H, W), 0..1


def sick_train(images, labels):
    model = lab.fw.plain_cnn(SIZE, int(labels.max()) + 1).to(lab.device)
    data = TensorDataset(prepared(images), torch.from_numpy(labels))
    loader = DataLoader(data, batch_size=32, shuffle=True)
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    for _ in range(12):
        for x, y in loader:
            optimizer.zero_grad()
            loss_function(model(x.to(lab.device)), y.to(lab.device)).backward()
            optimizer.step()
    return model


def sick_predict(model, images):
    logits = lab.fw.predict(model, prepared(images))
    return logits.argmax(axis=1)


# %% sick-program tags=["tensorflow"]
import keras
import tensorflow as tf


def prepared(images):
    return lab.fw.from_images(images / 255)  # float32 (N, H, W, 3), 0..1


def sick_train(images, labels):
    model = lab.fw.plain_cnn(SIZE, int(labels.max()) + 1)
    data = tf.data.Dataset.from_tensor_slices((prepared(images), labels))
    batches = data.shuffle(len(labels)).repeat(12).batch(32)
    class_weight = None
    model.compile(
        optimizer=keras.optimizers.Adam(0.002),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(batches, class_weight=class_weight, shuffle=False, verbose=0)
    return model


def sick_predict(model, images):
    logits = lab.fw.predict(model, prepared(images))
    return logits.argmax(axis=1)


# %% sick-run
def run(split, train, predict, seed=lab.seed):
    """Train on one part of the archive; what is named in training, validation and unseen images."""
    to_train, to_validate = split(stored.images, stored.labels)
    lab.fw.set_seed(seed)
    model = train(stored.images[to_train], stored.labels[to_train])
    sets = {
        "training": stored.pick(to_train),
        "validation": stored.pick(to_validate),
        "unseen": unseen,
    }
    return {name: (some.labels, predict(model, some.images)) for name, some in sets.items()}


sick_named = run(sick_split, sick_train, sick_predict)
labels, predicted = sick_named["validation"]
print(f"right on {100 * (labels == predicted).mean():.1f} % of {len(labels)} validation images")

# %% [markdown] look
# That is the number that was reported. Below is the same run, class by class. The bars are 95 %
# intervals: where a recall may lie, given how many images it was measured on.

# %% measure
sick_training, sick_validation, sick_unseen = (
    measure_recalls(*sick_named[name], classes) for name in ("training", "validation", "unseen")
)

# %% signature tags=["picture"]
from grader.instruments.splits import draw_recalls, say_recalls

lab.show(
    draw_recalls(
        {
            "training": {"sick": sick_training},
            "validation": {"sick": sick_validation},
            "unseen, balanced": {"sick": sick_unseen},
        }
    ),
    say_recalls("validation", sick_validation) + " " + say_recalls("unseen images", sick_unseen),
)

# %% [markdown] diagnose
# *Recall* of a class is the share of its images that are recognised. *Balanced accuracy* is the
# mean of the recalls: every class counts alike, however rare. The interval is Wilson's, which still
# says something sensible for two images of two.
#
# | `cause` | what it would mean |
# |---|---|
# | `"imbalance"` | one class is so common that the loss, and the accuracy, hardly notice the others |
# | `"leak"` | validation images are known from training |
# | `"labels"` | images and labels do not belong together |
# | `"overfitting"` | the training images were learned by heart |
# | `"drift"` | unseen images look different from those of the archive |
#
# Which cause explains why the rare classes are missed? And how accurate is a program on the 32
# validation images if it always names the class that is commonest there, as a number from 0 to 1?

# %% diagnosis tags=["answer"]
cause = ...  # one of the names in the table
reading = ...  # accuracy of always naming the commonest class, on the validation images
### BEGIN SOLUTION
cause = "imbalance"
reading = sick_validation.constant
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] look-at-validation
# Before the training is repaired, its measurement must be. Validation held one or two images of a
# rare class, or none: the intervals above say what such a recall is worth. There is more. Archives
# hold the same scene more than once, saved twice or photographed twice in a row. A hash finds equal
# bytes. For the others, `distances` compares how two images look, at the best shift by a pixel and
# whatever their brightness: 0 for copies, about 1 for unrelated images.

# %% hash
import hashlib

to_train, to_validate = sick_split(stored.images, stored.labels)
known = {hashlib.sha256(stored.images[i].tobytes()).hexdigest() for i in to_train}
found = sum(hashlib.sha256(stored.images[i].tobytes()).hexdigest() in known for i in to_validate)
print(f"{found} of {len(to_validate)} validation images have the bytes of a training image")

# %% copies tags=["picture"]
from grader.instruments.splits import draw_copies, measure_copies, say_copies

parts = stored.images[to_train], stored.images[to_validate]
copies = measure_copies(*parts)
lab.show(draw_copies(copies, *parts), say_copies(copies))

# %% [markdown] validation-task
# Two names are measured, on archives of other classes and other sizes:
#
# - `split(images, labels)` returns the positions for training and the positions for validation. A
#   fifth is held out, of every class, and no scene lies in both parts. Nothing is repeated and no
#   scene is left out.
# - `score(labels, predicted)` returns one number, higher for the better classifier. Every class
#   counts, however rare: a program that looks at no image must not win.
#
# `distances(images)` gives the distances within one archive, an array (N, N). Below `COPY` two
# images show one scene. An image may be the copy of a copy.


# %% validation tags=["answer"]
def split(images, labels):
    order = np.random.default_rng(0).permutation(len(labels))
    train, validation = order[32:], order[:32]
    ### BEGIN SOLUTION
    from sklearn.cluster import DBSCAN
    from sklearn.model_selection import StratifiedGroupKFold

    # With min_samples=1 a cluster is whatever hangs together by steps shorter than eps.
    near = DBSCAN(eps=COPY, min_samples=1, metric="precomputed")
    scene = near.fit_predict(distances(images))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    train, validation = next(folds.split(images, labels, scene))
    ### END SOLUTION
    return train, validation


def score(labels, predicted):
    value = (labels == predicted).mean()
    ### BEGIN SOLUTION
    from sklearn.metrics import balanced_accuracy_score

    value = balanced_accuracy_score(labels, predicted)
    ### END SOLUTION
    return value


# %% check-validation tags=["check"]
lab.check("validation")

# %% [markdown] repair-task
# Now the training. The archive cannot be made larger, and nobody wants to throw most of it away.
# Two names are measured:
#
# - `train(images, labels)` takes uint8 images and their labels, imbalanced as above, and returns
#   whatever `predict` needs;
# - `predict(model, images)` names a class for each image, an array of integers.
#
# The check trains on new images in which another class number is the common one, and predicts
# images of which there are as many of each class. It does so for two archives. First: are the rare
# classes told from the common one, as well as by the same program with balanced training images?
# What counts is how much more often they are named otherwise than the common class is. Second: does
# each of them have a name of its own? How well the rare classes are told from each other is left to
# the pictures: from fourteen images it is mostly chance.


# %% repair tags=["answer", "pytorch"]
def train(images, labels):
    model = lab.fw.plain_cnn(SIZE, int(labels.max()) + 1).to(lab.device)
    data = TensorDataset(prepared(images), torch.from_numpy(labels))
    loader = DataLoader(data, batch_size=32, shuffle=True)
    loss_function = nn.CrossEntropyLoss()
    ### BEGIN SOLUTION
    from torch.utils.data import WeightedRandomSampler

    # Every class is drawn equally often; with replacement, so rare images come again and again.
    weights = torch.from_numpy(1 / np.bincount(labels)[labels])
    loader = DataLoader(data, batch_size=32, sampler=WeightedRandomSampler(weights, len(labels)))
    ### END SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    for _ in range(12):
        for x, y in loader:
            optimizer.zero_grad()
            loss_function(model(x.to(lab.device)), y.to(lab.device)).backward()
            optimizer.step()
    return model


def predict(model, images):
    logits = lab.fw.predict(model, prepared(images))
    return logits.argmax(axis=1)


# %% repair tags=["answer", "tensorflow"]
def train(images, labels):
    model = lab.fw.plain_cnn(SIZE, int(labels.max()) + 1)
    data = tf.data.Dataset.from_tensor_slices((prepared(images), labels))
    batches = data.shuffle(len(labels)).repeat(12).batch(32)
    class_weight = None
    ### BEGIN SOLUTION
    # Every class is drawn equally often, so rare images come again and again.
    x, y = prepared(images), tf.constant(labels)
    classes = [tf.constant(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    drawn = tf.data.Dataset.sample_from_datasets(
        [tf.data.Dataset.from_tensor_slices(c).shuffle(len(c)).repeat() for c in classes]
    )
    rows = drawn.take(12 * len(labels)).batch(32)
    batches = rows.map(lambda i: (tf.gather(x, i), tf.gather(y, i)))
    ### END SOLUTION
    model.compile(
        optimizer=keras.optimizers.Adam(0.002),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(batches, class_weight=class_weight, shuffle=False, verbose=0)
    return model


def predict(model, images):
    logits = lab.fw.predict(model, prepared(images))
    return logits.argmax(axis=1)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] prove
# The same archive and the same seed. Sick: 32 images by lot, every image with the same weight.
# Repaired: your split and your training.

# %% proof tags=["proof"]
named = run(split, train, predict)
validation, repaired_unseen = (
    measure_recalls(*named[name], classes) for name in ("validation", "unseen")
)
lab.show(
    draw_recalls(
        {
            "sick, validation": {"sick": sick_validation},
            "repaired, validation": {"repaired": validation},
            "unseen, balanced": {"sick": sick_unseen, "repaired": repaired_unseen},
        }
    ),
    say_recalls("validation", validation) + " " + say_recalls("unseen images", repaired_unseen),
)
print(
    f"your score of the sick program {score(*sick_named['unseen']):.2f}, "
    f"of the repaired one {score(*named['unseen']):.2f}"
)

# %% [markdown] lot
# ## What a split by lot is worth
#
# How many images of a rare class are held out? The cell draws a fifth by lot two hundred times.
# Nothing is trained: it only counts.

# %% lot-run tags=["proof"]
from sklearn.model_selection import train_test_split

rare = np.bincount(stored.labels).argmin()
for name, stratify in (("by lot", None), ("stratified", stored.labels)):
    counts = [
        (
            train_test_split(stored.labels, test_size=0.2, stratify=stratify, random_state=i)[1]
            == rare
        ).sum()
        for i in range(200)
    ]
    print(
        f"{name:12s} from {min(counts)} to {max(counts)} images of {classes[rare]}, "
        f"standard deviation {np.std(counts):.1f}"
    )

# %% [markdown] leak
# And what does a shared scene do to the number? The repaired training is run on two splits of the
# same size, three times each: one stratified and blind to copies, one that is yours. Reported is
# the mean recall of the two rare classes.


# %% leak-run tags=["proof"]
def blind_split(images, labels):
    return train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=0)


others = [c for c in range(len(classes)) if c != np.bincount(stored.labels).argmax()]
for name, how in (("blind to copies", blind_split), ("yours", split)):
    rows = []
    for i in range(3):
        result = run(how, train, predict, seed=lab.seed + i)
        rows.append(
            [
                measure_recalls(*result[s], classes).recall[others].mean()
                for s in ("validation", "unseen")
            ]
        )
    said, true = np.mean(rows, axis=0)
    print(f"{name:16s} validation says {100 * said:.0f} %, unseen images say {100 * true:.0f} %")

# %% [markdown] leak-reading
# A split that shares scenes asks the network about images it has seen. Whether that shows in these
# two rows depends on the archive and on the seed: with three images of a rare class held out, one
# image more or less is worth a third of its recall, and an honest split may flatter as much by
# chance. A few runs do not prove a leak, and do not disprove one. Counting shared scenes does, before
# anything is trained.

# %% [markdown] gpu
# ## On a GPU
#
# Finding copies compares every image with every other one: N² distances. As correlations they are
# one matrix product, which is what an accelerator does best. The cell below compares 4,000 images
# of 432 values with each other.

# %% gpu-run tags=["pytorch", "proof"]
import time

rows = np.random.default_rng(0).standard_normal((4000, 432)).astype(np.float32)
on_device = torch.from_numpy(rows).to(lab.device)
times = []
for _ in range(5):
    begin = time.perf_counter()
    (on_device @ on_device.T).max().item()  # reading one number waits for the device
    times.append(time.perf_counter() - begin)
print(f"{len(rows) ** 2:,} correlations in {1000 * min(times):.1f} ms")
print("on", lab.fw.describe_device(lab.device))

# %% gpu-run tags=["tensorflow", "proof"]
import time

rows = np.random.default_rng(0).standard_normal((4000, 432)).astype(np.float32)
times = []
with tf.device(lab.device):
    on_device = tf.convert_to_tensor(rows)
    for _ in range(5):
        begin = time.perf_counter()
        float(tf.reduce_max(tf.matmul(on_device, on_device, transpose_b=True)))  # waits
        times.append(time.perf_counter() - begin)
print(f"{len(rows) ** 2:,} correlations in {1000 * min(times):.1f} ms")
print("on", lab.fw.describe_device(lab.device))

# %% [markdown] advice
# ## Where advice and measurement part
#
# "Throw images of the common class away until the classes are even" is common advice, and so is
# "repeat the rare ones". Less often somebody says: train longer. The table trains the sick program
# on rows of the archive that were chosen accordingly, two seeds each, with the number of steps that
# it had; the last row but one has three times as many.

# %% advice-run tags=["proof"]
to_train, _ = split(stored.images, stored.labels)
y = stored.labels[to_train]
generator = np.random.default_rng(lab.seed)
few = np.concatenate(
    [to_train[np.flatnonzero(y == c)[: np.bincount(y).min()]] for c in range(len(classes))]
)
even = generator.choice(to_train, len(to_train), p=(1 / np.bincount(y)[y]) / len(classes))
ways = {
    "as it is": to_train,
    "common images thrown away": np.tile(few, len(to_train) // len(few)),
    "rare images repeated": even,
    "as it is, three times as long": np.tile(to_train, 3),
}
print(f"{'recall on unseen images':32s}" + "".join(f"{c:>14s}" for c in classes) + "      balanced")
for name, rows in ways.items():
    recalls = []
    for i in range(2):
        lab.fw.set_seed(lab.seed + i)
        model = sick_train(stored.images[rows], stored.labels[rows])
        recalls.append(
            measure_recalls(unseen.labels, sick_predict(model, unseen.images), classes).recall
        )
    mean = np.mean(recalls, axis=0)
    print(
        f"{name:32s}" + "".join(f"{100 * r:12.0f} %" for r in mean) + f"{100 * mean.mean():12.0f} %"
    )

# %% [markdown] advice-reading
# Compare the first row with the last. No weight and no sampler is in the last one, only time. At
# first the loss is lowest when the common class is always named; later the rare images are what is
# left to learn. The imbalance costs time before it costs anything else, and a short training stops
# before the rare classes get their turn. A repair makes their turn come early.
#
# The second row has seen a tenth of the archive. What it gives up is the variety of the common
# class, and its recall shows whether that was affordable.

# %% [markdown] read-on
# ## Read on
#
# - H. He and E. Garcia, *Learning from Imbalanced Data* (2009): sampling, costs, and which numbers
#   to report.
# - A. Menon and others, *Long-tail learning via logit adjustment* (2021): why the logarithm of the
#   class shares is what to subtract.
# - L. Brown, T. Cai and A. DasGupta, *Interval Estimation for a Binomial Proportion* (2001): why
#   Wilson's interval and not the one with the square root alone.
# - B. Barz and J. Denzler, *Do We Train on Test Data? Purging CIFAR of Near-Duplicates* (2020).
# - scikit-learn documentation, *Cross-validation iterators for grouped data*.
