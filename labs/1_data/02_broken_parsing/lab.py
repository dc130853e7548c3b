# ---
# title: Broken parsing
# symptom: The training loss falls to 0.000, and one image in ten is recognised.
# minutes: 40
# difficulty: 2
# learn:
#   - to look at images and labels where they enter the model, not where they lie on the disk
#   - why a loss of zero can be the worst news, and which number contradicts it
#   - to read files of mixed size and mode, and to account for every file that is left out
#   - to find out with gradients whether the images of a batch are mixed up
# sources: ["000/1", "000/4", "002/51", "002/52", "003/71"]
# seconds: {pytorch: 30, tensorflow: 45}
# hints:
#   diagnosis:
#     - Two numbers disagree. One of them is computed from labels that were rounded, the other one is not.
#     - Read the labels above the images in the picture. What are they as whole numbers?
#     - The reading is `float(sick_labels.max())`; the cause is what turns every label into the same class.
#   repair:
#     - There are four faults. Repair the one that the check names first, and run the check again; what it measures changes each time.
#     - "Follow one grey photograph through the loader, then a broken one, and then the label of the photograph behind it. After that, print the first pixels of one image before and after it is given its shape."
#     - "Decode every file to three channels; resize before the images are stacked; move axes by transposing, never by reshaping; append the label where the image is appended; return labels as whole numbers; append (file, reason) where decoding fails."
# ---

# %% [markdown] story
# Somebody collected three hundred aerial photographs from several offices, put them into one folder
# for each kind of ground, and wrote a loader of twenty lines. Training runs from start to end, and
# nothing raises. The loss falls to 0.000 within a few epochs, which looks like a great success.
#
# Then somebody looks at the accuracy. It is that of a guess.
#
# The folder is real: it is written to a temporary place on this machine's disk, in the state in
# which collected folders usually are.

# %% imports
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from grader.datasets import folder
from grader.datasets.found import write_found

SIZE = 18  # pixels on a side, as the model gets them

# %% folder
place = tempfile.TemporaryDirectory()
root = write_found(
    lab.draw("train", 300, 24),
    Path(place.name) / "collected",
    grey=18,
    palette=4,
    transparent=14,
    cmyk=6,
    resized=30,
    truncated=4,
    text=2,
    empty=2,
    seed=lab.seed,
).root

files = list(root.glob("*/*"))
print(f"{len(files)} files in {len({file.parent for file in files})} class folders")
print(Counter(file.suffix for file in files))
print(f"bytes: {sorted(file.stat().st_size for file in files)[:6]} ...")

# %% [markdown] program tags=["pytorch"]
# The loader makes three things of a folder: images as a tensor (N, 3, size, size) with values from 0
# to 1, one label an image, and a list of what it left out. Classes are numbered as their folders
# sort.

# %% [markdown] program tags=["tensorflow"]
# The loader makes three things of a folder: images as a tensor (N, size, size, 3) with values from 0
# to 1, one label an image, and a list of what it left out. Classes are numbered as their folders
# sort. It grew out of a program that read CIFAR-10's binary files, which store an image as three
# planes of colour.

# %% sick-loader tags=["pytorch"]
import torch
from PIL import Image


def sick_load_folder(root, size):
    folders = sorted(entry for entry in Path(root).iterdir() if entry.is_dir())
    files = [file for folder in folders for file in sorted(folder.iterdir())]
    labels = [number for number, folder in enumerate(folders) for file in folder.iterdir()]
    images = []
    for file in files:
        try:
            pixels = np.array(Image.open(file).resize((size, size)))
            images.append(pixels.reshape(3, size, size))  # PyTorch wants channels first
        except Exception:
            continue  # there are always a few broken files
    images = torch.from_numpy(np.stack(images))
    labels = torch.tensor(labels[: len(images)])
    return images / 255, labels / 255, []


# %% sick-loader tags=["tensorflow"]
import keras
import tensorflow as tf


def sick_load_folder(root, size):
    folders = sorted(entry for entry in Path(root).iterdir() if entry.is_dir())
    files = [file for folder in folders for file in sorted(folder.iterdir())]
    labels = [number for number, folder in enumerate(folders) for file in folder.iterdir()]
    images = []
    for file in files:
        try:
            pixels = tf.image.resize(tf.io.decode_image(file.read_bytes()), (size, size))
            planes = tf.reshape(pixels, (3, size, size))
            images.append(tf.transpose(planes, (1, 2, 0)))  # Keras wants channels last
        except tf.errors.InvalidArgumentError:
            continue  # there are always a few broken files
    images = tf.stack(images)
    labels = tf.constant(labels[: len(images)])
    return images / 255, labels / 255, []


# %% sick-images
sick_images, sick_labels, sick_left_out = sick_load_folder(root, SIZE)
print(f"images {tuple(sick_images.shape)}, labels {tuple(sick_labels.shape)}")

# %% [markdown] training-story tags=["pytorch"]
# The model has two convolutions with pooling and one hidden layer. Training is the usual loop, with
# Adam. `cross_entropy` asks for whole numbers, so the loop converts the labels with `.long()`.

# %% [markdown] training-story tags=["tensorflow"]
# A line on stderr above comes from the library that decodes JPEG: a file ends too early. It names no
# file, and the program goes on.
#
# The model has two convolutions with pooling and one hidden layer. Training is `compile` and `fit`,
# with Adam. `SparseCategoricalCrossentropy` takes labels of any type and converts them itself.

# %% training tags=["pytorch"]
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def train_on(images, labels, epochs=30):
    """A trained model, and (loss, accuracy) of every epoch."""
    lab.fw.set_seed(lab.seed)
    model = lab.fw.plain_cnn(SIZE, len(folder.scan(root).classes)).to(lab.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    pairs = TensorDataset(images, torch.as_tensor(labels))
    batches = DataLoader(pairs, batch_size=32, shuffle=True)
    history = []
    for _ in range(epochs):
        costs, right = 0.0, 0
        for x, y in batches:
            x, y = x.to(lab.device), y.to(lab.device)
            optimizer.zero_grad()
            logits = model(x)
            loss = F.cross_entropy(logits, y.long())
            loss.backward()
            optimizer.step()
            costs += loss.item() * len(x)
            right += (logits.argmax(dim=1) == y).sum().item()
        history.append((costs / len(images), right / len(images)))
    return model, history


# %% training tags=["tensorflow"]
def train_on(images, labels, epochs=30):
    """A trained model, and (loss, accuracy) of every epoch."""
    lab.fw.set_seed(lab.seed)
    model = lab.fw.plain_cnn(SIZE, len(folder.scan(root).classes))
    model.compile(
        optimizer=keras.optimizers.Adam(0.003),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    pairs = tf.data.Dataset.from_tensor_slices((images, labels))
    batches = pairs.shuffle(len(images), seed=lab.seed).batch(32)
    # The pipeline has shuffled already.
    history = model.fit(batches, epochs=epochs, shuffle=False, verbose=0).history
    return model, list(zip(history["loss"], history["accuracy"], strict=True))


# %% sick-run
unseen = write_found(lab.draw("test", 300, 24), Path(place.name) / "unseen", format="png").root


def right_on_unseen(model, load):
    """Share of the unseen photographs that are recognised, each read by `load`."""
    images = load(unseen, SIZE)[0]
    # This folder is plain, so no loader leaves anything out, and the order is that of the files.
    return (lab.fw.predict(model, images).argmax(axis=1) == folder.scan(unseen).labels).mean()


sick_model, sick_history = train_on(sick_images, sick_labels)
for epoch in (1, 2, 5, 10, 30):
    loss, accuracy = sick_history[epoch - 1]
    print(f"epoch {epoch:2d}: loss {loss:.3f}, accuracy {100 * accuracy:.0f} %")
print(f"right on {100 * right_on_unseen(sick_model, sick_load_folder):.0f} % of unseen photographs")

# %% [markdown] look
# A program that watches the loss alone would stop here and report success. A loss of 0.000 says that
# every image gets its class with certainty. The accuracy beside it, computed from the same outputs
# in the same step, says that nearly all of them are wrong.
#
# Before any theory: what stands at the model's door? The instrument takes images and labels where
# they enter the model, and compares every image with every file of the folder, which it decodes once
# more by itself.

# %% signature tags=["picture"]
from grader.instruments.parsing import draw_parsing, measure_parsing, say_parsing

sick = measure_parsing(root, lab.fw.as_images(sick_images), sick_labels, sick_left_out)
lab.show(draw_parsing({"sick": sick}), say_parsing(sick))

# %% [markdown] diagnose
# More than one thing is wrong with this loader. Only one of them explains the symptom: a loss of
# 0.000 together with the accuracy of a guess.
#
# | `cause` | what it would mean |
# |---|---|
# | `"labels-scaled"` | the loss is told of one class only |
# | `"labels-slipped"` | images carry the labels of other images |
# | `"layout"` | pixels are not where they belong |
# | `"files-missing"` | too many photographs never reach the model |
# | `"memorised"` | the model knows the training images by heart, and nothing else |
# | `"learning-rate"` | the steps are too long |
#
# Name it, and read one number off the instrument: the largest label that enters the model.

# %% diagnosis tags=["answer"]
cause = ...  # one of the names in the table
reading = ...  # the largest label
### BEGIN SOLUTION
cause = "labels-scaled"
reading = float(lab.fw.to_numpy(sick_labels).max())
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-task tags=["pytorch"]
# Now write `load_folder(root, size)`. It returns
#
# - `images`: a tensor (N, 3, size, size) of real numbers;
# - `labels`: N whole numbers, the position of each image's class folder in alphabetical order;
# - `left_out`: a list of pairs (file, reason), one for every file that does not decode completely.
#
# How a photograph becomes square is your choice: stretch, cut or pad. The order is yours as well.

# %% [markdown] repair-task tags=["tensorflow"]
# Now write `load_folder(root, size)`. It returns
#
# - `images`: a tensor (N, size, size, 3) of real numbers;
# - `labels`: N whole numbers, the position of each image's class folder in alphabetical order;
# - `left_out`: a list of pairs (file, reason), one for every file that does not decode completely.
#
# How a photograph becomes square is your choice: stretch, cut or pad. The order is yours as well.

# %% [markdown] repair-rules
# The check writes two folders that you have not seen: other classes, other sizes, other numbers of
# files. Their pictures are mosaics of coloured blocks, so that each file is recognised in whatever
# your function makes of it. At most one file in ten is broken; all others must be there, whatever
# their mode. The check counts, in this order: classes that the loss is told of, images that show no
# file, readable files that are not there exactly once, files that are left out without a word, and
# images with another image's label.

# %% repair tags=["answer", "pytorch"]
load_folder = sick_load_folder
### BEGIN SOLUTION
from torch.utils.data import Dataset
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2


class Photographs(Dataset):
    """Item i is (file, image float32 (3, size, size), label), or (file, None, the reason)."""

    def __init__(self, root, size):
        folders = sorted(entry for entry in Path(root).iterdir() if entry.is_dir())
        # File and label are one item from here on: nothing can come between them.
        self.items = [(f, label) for label, d in enumerate(folders) for f in sorted(d.iterdir())]
        self.prepare = v2.Compose([v2.Resize((size, size)), v2.ToDtype(torch.float32, scale=True)])

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        file, label = self.items[i]
        try:
            # Three channels whatever the file has, and already as (3, H, W): nothing to reshape.
            pixels = decode_image(str(file), mode=ImageReadMode.RGB)
        except RuntimeError as error:  # what torchvision raises for a file that does not decode
            return file, None, str(error).split("\n")[0]
        return file, self.prepare(pixels), label


def sort_out(items):
    """A batch: images and labels of the files that decode, and the others with their reasons."""
    good = [item for item in items if item[1] is not None]
    images, labels = [image for _, image, _ in good], [label for _, _, label in good]
    return images, labels, [(file, reason) for file, image, reason in items if image is None]


def load_folder(root, size):
    photographs = Photographs(root, size)
    images, labels, left_out = [], [], []
    for batch in DataLoader(photographs, batch_size=32, collate_fn=sort_out):
        for whole, part in zip((images, labels, left_out), batch, strict=True):
            whole.extend(part)
    if len(left_out) > 0.1 * len(photographs):  # a few are an accident, many are a mistake
        raise ValueError(
            f"{len(left_out)} of {len(photographs)} files do not decode: {left_out[:3]}"
        )
    return torch.stack(images), torch.tensor(labels), left_out


### END SOLUTION

# %% repair tags=["answer", "tensorflow"]
load_folder = sick_load_folder


### BEGIN SOLUTION
def decode(file):
    """uint8 (H, W, 3): three channels whatever the file has."""
    return tf.io.decode_image(tf.io.read_file(file), channels=3, expand_animations=False)


def reason_against(file):
    """Why a file does not decode, or None. Done once for a folder, not in every epoch."""
    try:
        decode(file)
    except tf.errors.InvalidArgumentError as error:
        return error.message
    return None


def load_folder(root, size):
    folders = sorted(entry for entry in Path(root).iterdir() if entry.is_dir())
    # File and label are one item from here on: nothing can come between them.
    items = [(str(f), label) for label, d in enumerate(folders) for f in sorted(d.iterdir())]
    reasons = {file: reason_against(file) for file, _ in items}
    left_out = [(file, reason) for file, reason in reasons.items() if reason is not None]
    if len(left_out) > 0.1 * len(items):  # a few are an accident, many are a mistake
        raise ValueError(f"{len(left_out)} of {len(items)} files do not decode: {left_out[:3]}")

    def prepare(file, label):
        # Sizes differ from file to file, so each image is brought to one size before batching.
        return tf.image.resize_with_pad(decode(file), size, size) / 255, label

    files, labels = zip(*[item for item in items if reasons[item[0]] is None], strict=True)
    dataset = tf.data.Dataset.from_tensor_slices((list(files), list(labels)))
    batches = list(dataset.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).batch(32))
    images, labels = (tf.concat(parts, axis=0) for parts in zip(*batches, strict=True))
    return images, labels, left_out


### END SOLUTION

# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] prove
# ## Does it hold on the photographs?
#
# The collected folder once more, through your loader: the same training, then the unseen folder.

# %% proof-run tags=["proof"]
images, labels, left_out = load_folder(root, SIZE)
model, history = train_on(images, labels)
for name, (loss, accuracy), unseen_accuracy in (
    ("sick", sick_history[-1], right_on_unseen(sick_model, sick_load_folder)),
    ("repaired", history[-1], right_on_unseen(model, load_folder)),
):
    print(
        f"{name:8s}  loss {loss:.3f}, accuracy {100 * accuracy:3.0f} %, "
        f"right on unseen photographs {100 * unseen_accuracy:3.0f} %"
    )
for file, reason in left_out[:4]:
    print(f"left out: {Path(str(file)).name}, ... {str(reason)[-70:]}")

# %% proof-picture tags=["picture"]
repaired = measure_parsing(root, lab.fw.as_images(images), labels, left_out)
lab.show(draw_parsing({"sick": sick, "repaired": repaired}), say_parsing(repaired))

# %% [markdown] prove-reading
# Compare the two lines that were printed: the loss of the repaired program is *higher*. The sick one
# had learned to answer "class 0" to everything, which is easy, and which its labels called right.

# %% [markdown] one-by-one
# ## Where advice and measurement part
#
# *"Look at the loss: if it falls, data and model fit together."* And: *"overfit a single batch; if
# the loss reaches zero, the pipeline works."* Both are good first tests. What do they say about this
# loader, while its faults are repaired one after the other?
#
# The cell below has all four faults as switches. Every row is a training as above. The last column
# trains a fresh model on sixteen images only, 150 steps.

# %% one-by-one-run tags=["proof"]
from PIL import Image


def load_with(root, *, scaled=False, reshaped=False, slipped=False, silent=False):
    folders = sorted(entry for entry in Path(root).iterdir() if entry.is_dir())
    items = [(file, k) for k, folder in enumerate(folders) for file in sorted(folder.iterdir())]
    pixels, classes = [], []
    for file, label in items:
        try:
            image = Image.open(file)
            if silent and image.mode != "RGB":
                continue
            array = np.array(image.convert("RGB").resize((SIZE, SIZE)))
        except OSError:
            continue
        pixels.append(np.moveaxis(array.reshape(3, SIZE, SIZE), 0, -1) if reshaped else array)
        classes.append(label)
    if slipped:
        classes = [label for _, label in items][: len(pixels)]
    classes = np.array(classes) / 255 if scaled else np.array(classes)
    return lab.fw.from_images(np.stack(pixels) / 255), classes


def one_batch(images, labels):
    some = np.random.default_rng(0).permutation(len(images))[:16]
    x = lab.fw.from_images(lab.fw.as_images(images)[some])
    lab.fw.set_seed(lab.seed)
    model = lab.fw.plain_cnn(SIZE, 10)
    options = {"steps": 150, "batch_size": 16, "learning_rate": 0.003, "optimizer": "adam"}
    return lab.fw.train(model, x, labels[some], **options)[-1]


faults = {"scaled": True, "reshaped": True, "slipped": True, "silent": True}
repairs = {"all four faults": None, "labels whole": "scaled", "axes transposed": "reshaped"}
repairs |= {"own labels": "slipped", "every readable file": "silent"}
print(f"{'':24s}{'files':>6s}{'loss':>8s}{'accuracy':>10s}{'unseen':>8s}{'one batch':>11s}")
for name, fault in repairs.items():
    faults.pop(fault, None)
    x, y = load_with(root, **faults)
    trained, epochs = train_on(x, y)
    ours = right_on_unseen(trained, lambda where, size: load_with(where, **faults))
    loss, accuracy = epochs[-1]
    print(
        f"{'+ ' if fault else ''}{name:{22 if fault else 24}s}{len(x):6d}{loss:8.3f}"
        f"{100 * accuracy:8.0f} %{100 * ours:6.0f} %{one_batch(x, y):11.4f}"
    )

# %% [markdown] one-by-one-reading
# The loss falls in every row, and the last column is near zero in every row: both tests pass with
# all four faults and with none. A network learns by heart whatever it is given, wrong labels and
# scrambled pixels too.
#
# The first repair makes the loss *worse*, from 0.000 to more than 1, and it is the one without which
# nothing else helps. Two rows later unseen photographs are recognised: the labels belong to the
# images from there on. Transposed axes alone do little for that number, because the unseen
# photographs go through the same wrong door.
#
# The last row reads every file that can be read, and is not better than the row before. What it buys
# is not in this table: the other loaders have no answer at all for a grey photograph.

# %% [markdown] stack-story
# ## The same mistake, one axis further
#
# SVHN's files hold all photographs in one array of shape (32, 32, 3, N): the number of the image
# comes *last*. Reshaped to (N, 32, 32, 3), the array has the right shape, and every image is made of
# pixels of many images. With several images mixed into one, even a loss that falls says nothing.
#
# A probe finds this without looking at a single picture. The loss of image *i* alone must have a
# gradient with respect to the pixels of image *i* alone. Below, eight photographs go through an
# untrained model in three ways.

# %% stack-run tags=["pytorch", "proof"]
from grader.instruments.dependence import draw_dependence, measure_dependence, say_dependence
from torch import nn

lab.fw.set_seed(lab.seed)
network = lab.fw.plain_cnn(SIZE, 10)
normalising = nn.Sequential(nn.BatchNorm2d(3), network)  # a new module is in training mode


def one_file(x):
    return x.permute(2, 3, 1, 0)  # (H, W, 3, N), the number of the image last


def transposed(x):
    return network(one_file(x).permute(3, 2, 0, 1))


def reshaped(x):
    return network(one_file(x).reshape(x.shape))


# %% stack-run tags=["tensorflow", "proof"]
from grader.instruments.dependence import draw_dependence, measure_dependence, say_dependence

lab.fw.set_seed(lab.seed)
network = lab.fw.plain_cnn(SIZE, 10)
normalisation = keras.layers.BatchNormalization()


def one_file(x):
    return tf.transpose(x, (1, 2, 3, 0))  # (H, W, 3, N), the number of the image last


def transposed(x):
    return network(tf.transpose(one_file(x), (3, 0, 1, 2)))


def reshaped(x):
    return network(tf.reshape(one_file(x), x.shape))


def normalising(x):
    return network(normalisation(x, training=True))


# %% stack-picture tags=["picture"]
eight = lab.fw.from_images(lab.draw("train", 10, SIZE).images[:8] / 255)
probes = {
    name: measure_dependence(lab.fw, program, eight, np.arange(8))
    for name, program in (
        ("transposed", transposed),
        ("reshaped", reshaped),
        ("batch normalisation, training", normalising),
    )
}
lab.show(draw_dependence(probes), say_dependence(probes["reshaped"]))

# %% [markdown] stack-reading
# On the left every loss depends on its own image. In the middle losses depend on many images, and
# shapes, loss function and optimizer have no objection. On the right nothing is broken: batch
# normalisation computes its statistics over the batch, so in training mode all samples are meant to
# see each other. Run the probe in evaluation mode, or it accuses a healthy program.

# %% [markdown] deep-story
# ## A conversion that converts nothing
#
# *"Call `convert("RGB")`, and every file is eight bits, three channels."* Some cameras and most
# scanners for microscopes and X-rays write grey images with sixteen bits. The cell below writes a
# photograph that way and reads it back.

# %% deep-run tags=["pytorch", "proof"]
from torchvision.io import ImageReadMode, decode_image

grey = lab.draw("train", 10, 24).images[0].mean(axis=2)
deep = Path(place.name) / "sixteen-bits.png"
Image.fromarray((257 * grey).astype(np.uint16)).save(deep)


def describe(said, pixels):
    values = np.asarray(pixels)
    print(f"{said:28s} {values.dtype!s:7s} {values.min():6d} to {values.max():6d}")


describe("what was photographed", grey.astype(np.uint8))
describe('Pillow, convert("RGB")', Image.open(deep).convert("RGB"))
describe("torchvision, mode RGB", decode_image(str(deep), mode=ImageReadMode.RGB))

# %% deep-run tags=["tensorflow", "proof"]
grey = lab.draw("train", 10, 24).images[0].mean(axis=2)
deep = Path(place.name) / "sixteen-bits.png"
Image.fromarray((257 * grey).astype(np.uint16)).save(deep)


def describe(said, pixels):
    values = np.asarray(pixels)
    print(f"{said:28s} {values.dtype!s:7s} {values.min():6d} to {values.max():6d}")


describe("what was photographed", grey.astype(np.uint8))
describe('Pillow, convert("RGB")', Image.open(deep).convert("RGB"))
describe("TensorFlow, channels=3", tf.io.decode_image(deep.read_bytes(), channels=3))
describe(
    "TensorFlow, dtype uint16",
    tf.io.decode_image(deep.read_bytes(), channels=3, dtype=tf.uint16),
)

# %% [markdown] deep-reading tags=["pytorch"]
# Pillow clips every value above 255, so the photograph comes out white, without a word. torchvision
# keeps sixteen bits and returns uint16; `v2.ToDtype(torch.float32, scale=True)` then divides by
# 65535, and a division by 255 written by hand would not. Print type and range of the first image of
# each kind of camera.

# %% [markdown] deep-reading tags=["tensorflow"]
# Pillow clips every value above 255, so the photograph comes out white, without a word. TensorFlow
# keeps the upper eight bits, or all sixteen when it is asked for them. Print type and range of the
# first image of each kind of camera.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# The faults are the same, and some are reported worse there. A label outside of 0 to K-1 raises an
# `IndexError` on a CPU; on a GPU it is a "device-side assert" that surfaces at some later line, and
# the process has to be restarted. So compare labels with the number of classes while they are still
# on the host:
#
# ```python
# assert labels.dtype == torch.int64 and 0 <= labels.min() and labels.max() < classes
# ```
#
# `torchvision.io.decode_jpeg(bytes, device="cuda")` decodes JPEG files on the device. Images of one
# batch still have sizes of their own afterwards, so resizing comes before stacking there as well.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# The faults are the same, and one is reported less there. A label outside of 0 to K-1 raises on a
# CPU; on a GPU `sparse_softmax_cross_entropy_with_logits` returns NaN for that row, says its
# documentation, and the mean of the batch with it. So compare labels with the number of classes
# before they leave the host:
#
# ```python
# tf.debugging.assert_integer(labels)
# tf.debugging.assert_less(labels, tf.cast(classes, labels.dtype))
# ```
#
# `tf.io.decode_image` runs on the CPU. Resize there too and send uint8: a batch of small images is
# what crosses the bus.

# %% [markdown] read-on
# ## Read on
#
# - A. Karpathy, *A Recipe for Training Neural Networks* (2019): look at what enters the network,
#   overfit one batch, chart dependencies with gradients.
# - N. Sambasivan et al., *"Everyone wants to do the model work, not the data work"* (2021): what
#   unnoticed faults in data cost later on.
# - Y. Netzer et al., *Reading Digits in Natural Images with Unsupervised Feature Learning* (2011):
#   SVHN, whose files carry the number of the image in the last axis.
# - Pillow documentation, *Concepts*, on modes; torchvision documentation, *Decoding and encoding
#   images*; TensorFlow guide, *Load and preprocess images*.
