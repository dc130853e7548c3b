# ---
# title: Every epoch decodes again
# symptom: The network sees 64 pixels on a side, and an epoch takes as long as if it saw 384.
# minutes: 35
# difficulty: 2
# learn:
#   - read off a table of stages which work repeats from epoch to epoch
#   - prepare photographs once, and store them as the bytes that the model needs
#   - keep the augmentation fresh when everything before it is stored
#   - survive a damaged file, and say so
#   - tell what decoding, parallel loading, a cache and a store each contribute
# sources: ["000/28", "004/83", "004/86", "004/89", "004/96", "004/97"]
# seconds: {pytorch: 20, tensorflow: 25}
# hints:
#   diagnosis:
#     - For each bar, ask what it would give for the same photograph tomorrow.
#     - Only one stage tosses a coin. Add up the time of the others, and divide by the whole.
#     - "`reading = costs.same_share`; the cause is the one that is still there when every single stage is made faster."
#   repair:
#     - "What depends on the photograph alone belongs into `prepare`; what depends on the epoch stays in `batches`."
#     - Store the small image in uint8, many to a file, and standardise a whole batch at once. Mirror with one coin an image, drawn from the number of the epoch. Number the files by what the folder already holds.
#     - "PyTorch: `np.save` the stacked uint8 images, `np.load(..., mmap_mode=\"r\")`, `torch.where(coins[:, None, None, None], images.flip(-1), images)`. TensorFlow: `tf.io.TFRecordWriter`, `tf.data.TFRecordDataset(...).ignore_errors()`, `tf.image.stateless_random_flip_left_right`. Around decoding a file: `try`, and its name onto the list. At the end of an epoch: compare what was handed out with what was stored, and `warnings.warn` the difference."
# ---

# %% [markdown] story
# Somebody trains on photographs of 384 pixels on a side. The network takes 64. To make an epoch
# shorter the network was made smaller, and the epoch took as long as before: the processor is busy
# from the first minute to the last, with images.
#
# **What you have.** 64 JPEG files in a folder, and a program in two functions. `sick_prepare` is
# called once for each delivery of photographs; it writes down which files there are.
# `sick_batches` is called for every epoch, and yields pairs of images and labels.
#
# **What you do.** Find out what the processor does, and let it do it once.

# %% sizes
from pathlib import Path

import numpy as np

SIZE = 64  # pixels on a side that the network sees
MEAN, STD = np.array([0.41, 0.42, 0.36]), np.array([0.16, 0.15, 0.15])

# %% photographs
import tempfile

from grader.datasets.photographs import as_jpeg, write

place = tempfile.TemporaryDirectory()
originals = Path(place.name) / "photographs"

images = lab.draw("train", 64, SIZE)
labels = images.labels
files = write(as_jpeg(images.images, seed=lab.seed), originals)
size = sum(Path(file).stat().st_size for file in files) / len(files)
print(f"{len(files)} files of {size / 1000:.0f} KB each, such as {Path(files[0]).name}")

# %% [markdown] sick-story tags=["pytorch"]
# An image passes six stages. They are written the way they are often found: `pixels / 255` on an
# array of bytes gives float64, the mirror comes before the shrinking, and the standardisation is
# a loop over pixels. A `Dataset` sends one file through, a `DataLoader` makes the batches.

# %% [markdown] sick-story tags=["tensorflow"]
# An image passes six stages. They are written the way they are often found: the conversion asks for
# float64, the mirror comes before the shrinking, and the standardisation is a loop over pixels. A
# Python generator sends the files through, and a `tf.data.Dataset` makes the batches.

# %% sick-model tags=["pytorch"]
import io
import json

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2


def read(file):
    return Path(file).read_bytes()


def decode(content):
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def to_float(pixels):
    return torch.from_numpy(pixels / 255).permute(2, 0, 1)


def standardise(pixels):
    pixels = pixels.permute(1, 2, 0).numpy()
    done = np.empty_like(pixels)
    for y in range(SIZE):
        for x in range(SIZE):
            done[y, x] = (pixels[y, x] - MEAN) / STD
    return torch.from_numpy(done).permute(2, 0, 1)


stages = {
    "read": read,
    "decode": decode,
    "to float": to_float,
    "flip": v2.RandomHorizontalFlip(),
    "shrink": v2.Resize((SIZE, SIZE), antialias=True),
    "standardise": standardise,
}


def sick_prepare(files, labels, folder):
    """Note a delivery's files; return those that cannot be used."""
    with open(Path(folder) / "index.jsonl", "a") as index:
        for file, label in zip(files, labels, strict=True):
            print(json.dumps([file, int(label)]), file=index)
    return []


class Photographs(Dataset):
    """Image float64 (3, SIZE, SIZE), standardised, and label of every file that was noted."""

    def __init__(self, folder):
        lines = (Path(folder) / "index.jsonl").read_text().splitlines()
        self.noted = [json.loads(line) for line in lines]

    def __len__(self):
        return len(self.noted)

    def __getitem__(self, i):
        value, label = self.noted[i]
        for stage in stages.values():
            value = stage(value)
        return value, label


def sick_batches(folder, batch_size, epoch):
    return DataLoader(Photographs(folder), batch_size=batch_size)


# %% sick-model tags=["tensorflow"]
import json

import tensorflow as tf


def read(file):
    return tf.io.read_file(file)


def decode(content):
    return tf.io.decode_jpeg(content, channels=3)


def to_float(pixels):
    return tf.cast(pixels, tf.float64) / 255


def shrink(pixels):
    return tf.image.resize(pixels, (SIZE, SIZE), antialias=True)


def standardise(pixels):
    pixels = pixels.numpy()
    done = np.empty(pixels.shape)
    for y in range(SIZE):
        for x in range(SIZE):
            done[y, x] = (pixels[y, x] - MEAN) / STD
    return done


stages = {
    "read": read,
    "decode": decode,
    "to float": to_float,
    "flip": tf.image.random_flip_left_right,
    "shrink": shrink,
    "standardise": standardise,
}


def sick_prepare(files, labels, folder):
    """Note a delivery's files; return those that cannot be used."""
    with open(Path(folder) / "index.jsonl", "a") as index:
        for file, label in zip(files, labels, strict=True):
            print(json.dumps([file, int(label)]), file=index)
    return []


def sick_batches(folder, batch_size, epoch):
    """Images float64 (N, SIZE, SIZE, 3), standardised, and labels of the files that were noted."""
    lines = (Path(folder) / "index.jsonl").read_text().splitlines()

    def examples():
        for line in lines:
            value, label = json.loads(line)
            for stage in stages.values():
                value = stage(value)
            yield value, label

    signature = (tf.TensorSpec((SIZE, SIZE, 3), tf.float64), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(examples, output_signature=signature).batch(batch_size)


# %% [markdown] sick-run-story
# Sixteen photographs pass the stages. The instrument notes the processor time of each stage, and
# how many bytes leave it.

# %% sick-run
from grader.instruments import input_cost

costs = input_cost.measure_stages(lab.fw, stages, files[:16])
print(costs.table())

# %% signature-picture tags=["picture"]
lab.show(input_cost.draw_stages(costs), input_cost.say_stages(costs))

# %% [markdown] diagnosis-question
# ## What keeps the processor busy?
#
# | `cause` | what it would mean |
# |---|---|
# | `"slow_disk"` | The disk needs its time to deliver the files. |
# | `"jpeg_format"` | JPEG is a slow format; another one would decode sooner. |
# | `"costly_augmentation"` | The random mirror takes most of the time. |
# | `"wide_numbers"` | float64 doubles the bytes; float32 would halve the time. |
# | `"too_few_workers"` | One process loads; several would end it. |
# | `"repeated_work"` | The same numbers are computed again in every epoch. |
#
# Several of these are true to some degree. Name the one without which the others would hardly
# matter, and read one number off the picture or its sentence: the share of the processor time
# whose result is the same in every epoch, between 0 and 1.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "repeated_work"
reading = costs.same_share
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## Do it once
#
# Write `prepare` and `batches`.
#
# - `prepare(files, labels, folder)` is called for every delivery of photographs, with the same
#   folder. It writes into the folder whatever it likes. It returns the list of the files that it
#   left out because they are damaged; it does not stop for them.
# - `batches(folder, batch_size, epoch)` is called for every epoch. It yields pairs of images and
#   labels: each photograph once, shrunk with antialiasing and standardised as the sick program does
#   it, as float32, mirrored or not by a coin of its own that is tossed anew in every epoch.
# - The folder may be moved to another place between the two.
# - Photographs must not get lost in silence. When a file of the store turns out to be damaged,
#   `batches` raises an error, or goes on and calls `warnings.warn` with the number of photographs
#   that are missing.
#
# The check counts: files opened in an epoch, bytes stored, photographs handed out. It compares what
# is handed out with the photographs, down to the finest detail that the network can see. Processor
# time is compared with a wasteful program in plain Python that runs beside yours. Which container
# you use is your choice.

# %% [markdown] repair-note tags=["pytorch"]
# A memory-mapped array, `np.load(file, mmap_mode="r")`, reads only the rows that are asked for. A
# tar file of small images, a file of `torch.save` and a database are possible as well. The
# transforms of `torchvision.transforms.v2` take whole batches; look closely at what a random one
# does with a batch.

# %% [markdown] repair-note tags=["tensorflow"]
# TensorFlow's own container is the TFRecord: `tf.io.TFRecordWriter` writes records,
# `tf.data.TFRecordDataset` reads them, and `tf.io.parse_example` takes a whole batch of them apart.
# `Dataset.save`, or arrays of NumPy, are possible as well. After a damaged record of a TFRecord file
# `Dataset.ignore_errors` goes on with the next file, and says nothing, so somebody has to count;
# after one of `Dataset.load` it tries the same record again, without an end.

# %% repair tags=["answer", "pytorch"]
prepare, batches = sick_prepare, sick_batches
### BEGIN SOLUTION
import warnings

# No coin is tossed here, so these transforms may take a whole batch.
to_input = v2.Compose(
    [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN.tolist(), STD.tolist())]
)


def prepare(files, labels, folder):
    """Write a delivery as two arrays: uint8 images (N, SIZE, SIZE, 3), and labels."""
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            with Image.open(file) as image:
                resized = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        except OSError:  # no image, or one that ends too soon
            left_out.append(file)
            continue
        small.append(np.array(resized))
        kept.append(label)
    part = len(list(Path(folder).glob("labels-*.npy")))
    np.save(Path(folder) / f"images-{part:03d}.npy", np.stack(small))
    np.save(Path(folder) / f"labels-{part:03d}.npy", np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = torch.Generator().manual_seed(epoch)
    stored = lost = 0
    for file in sorted(Path(folder).glob("labels-*.npy")):
        labels = torch.from_numpy(np.load(file))
        stored += len(labels)
        try:
            pixels = np.load(file.with_name(file.name.replace("labels", "images")), mmap_mode="r")
        except ValueError:  # the file is shorter than its header says
            lost += len(labels)
            continue
        for first in range(0, len(labels), batch_size):
            part = slice(first, first + batch_size)
            images = torch.from_numpy(np.array(pixels[part])).permute(0, 3, 1, 2)
            mirror = torch.rand(len(images), generator=coins) < 0.5  # one coin an image
            images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
            yield to_input(images), labels[part]
    if lost:
        warnings.warn(f"{lost} of {stored} photographs in the store cannot be read", stacklevel=2)


### END SOLUTION

# %% repair tags=["answer", "tensorflow"]
prepare, batches = sick_prepare, sick_batches
### BEGIN SOLUTION
import warnings

RECORD = {
    "pixels": tf.io.FixedLenFeature((), tf.string),
    "label": tf.io.FixedLenFeature((), tf.int64),
}


def prepare(files, labels, folder):
    """Write a delivery as one TFRecord file of uint8 images, and the number of its records."""
    part = len(list(Path(folder).glob("*.tfrecord")))
    shard = Path(folder) / f"part-{part:03d}.tfrecord"
    left_out = []
    with tf.io.TFRecordWriter(str(shard)) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:  # no image, or one that ends too soon
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            small = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            features = {
                "pixels": tf.train.Feature(bytes_list=tf.train.BytesList(value=[small])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
    shard.with_suffix(".count").write_text(str(len(files) - len(left_out)))
    return left_out


def batches(folder, batch_size, epoch):
    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    stored = sum(int(path.read_text()) for path in Path(folder).glob("*.count"))

    def read_shard(shard):
        return tf.data.TFRecordDataset(shard).ignore_errors()

    def to_input(number, records):
        parsed = tf.io.parse_example(records, RECORD)
        pixels = tf.io.decode_raw(parsed["pixels"], tf.uint8)
        images = tf.cast(tf.reshape(pixels, (-1, SIZE, SIZE, 3)), tf.float32) / 255
        images = (images - MEAN.astype("float32")) / STD.astype("float32")
        # A seed of the epoch and the batch: every image of it gets a coin of its own.
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        return tf.image.stateless_random_flip_left_right(images, seed), parsed["label"]

    records = tf.data.Dataset.from_tensor_slices(shards).interleave(read_shard)
    handed = 0
    for images, labels in records.batch(batch_size).enumerate().map(to_input):
        handed += len(labels)
        yield images, labels
    if handed < stored:
        warnings.warn(
            f"{stored - handed} of {stored} photographs in the store cannot be read", stacklevel=2
        )


### END SOLUTION

# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold for other photographs?
#
# Both programs prepare 64 photographs of the test split and hand out one epoch of them.

# %% proof tags=["proof"]
unseen = lab.draw("test", 64, SIZE)
unseen_originals = Path(place.name) / "unseen"
unseen_files = write(as_jpeg(unseen.images, seed=lab.seed + 1), unseen_originals)

epochs, stores = {}, {}
for name, prepare_with, batches_with in (
    ("sick", sick_prepare, sick_batches),
    ("repaired", prepare, batches),
):
    stores[name] = Path(place.name) / f"{name}-unseen"
    stores[name].mkdir()
    prepare_with(unseen_files, unseen.labels, str(stores[name]))

    def begin(batches=batches_with, store=str(stores[name])):
        return batches(store, 16, 0)

    epochs[name] = input_cost.measure_epoch(lab.fw, begin, unseen_originals, stores[name])
lab.show(input_cost.draw_epochs(epochs), input_cost.say_epochs(epochs))

# %% break-even tags=["proof"]
import time

again = Path(place.name) / "again"
again.mkdir()
start = time.process_time()
prepare(unseen_files, unseen.labels, str(again))
once = 1000 * (time.process_time() - start) / len(unseen_files)
saved = epochs["sick"].ms - epochs["repaired"].ms
stored = input_cost.bytes_in(again) / len(unseen_files) / 1000
print(f"preparing an image costs {once:.1f} ms once, and saves {saved:.1f} ms in every epoch")
print(f"the work is paid back after {once / saved:.1f} epochs")
print(f"stored: {stored:.1f} KB an image")

# %% [markdown] break-even-story
# Preparing is the sick program's work, done once. A training of thirty epochs does it thirty times.
#
# What is stored can be damaged later: a copy that ended too soon, a full disk. Below, the largest
# file of the store loses its last 40 %.

# %% damage tags=["proof"]
import shutil
import warnings

cut = Path(place.name) / "cut"
shutil.copytree(stores["repaired"], cut)
largest = max((path for path in cut.rglob("*") if path.is_file()), key=lambda p: p.stat().st_size)
with open(largest, "r+b") as file:
    file.truncate(int(0.6 * largest.stat().st_size))

with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    try:
        handed = sum(len(numbers) for _, numbers in batches(str(cut), 16, 0))
        print(f"{handed} of {len(unseen_files)} photographs arrive")
    except Exception as error:
        print(f"the epoch stops with {type(error).__name__}")
for warning in warned:
    print(f"it warns: {warning.message}")

# %% [markdown] containers-story
# ## What does a container notice?
#
# The photographs, shrunk, are written into containers and read back. Then a copy of each is damaged:
# once its largest file loses its last 40 %, as above, and once a single byte in the middle of that
# file changes, as a failing disk changes it. Where a reader can tell that an image is damaged, it
# leaves it out and goes on. What arrives is compared with what was written.

# %% containers tags=["proof"]
import io
import tarfile
import zlib

from PIL import Image

from grader.datasets.photographs import shrunk
from grader.instruments import containers

small = np.stack([shrunk(Path(file).read_bytes(), SIZE) for file in files])


def as_png(image):
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="PNG")
    return content.getvalue()


def from_png(content):
    try:
        return np.array(Image.open(io.BytesIO(content)))
    except Exception:  # whatever a decoder raises
        return None


def write_files(folder):
    for number, image in enumerate(small):
        (folder / f"{number:05d}.png").write_bytes(as_png(image))


def read_files(folder):
    for file in sorted(folder.iterdir()):
        yield int(file.stem), from_png(file.read_bytes())


def write_tar(folder):
    with tarfile.open(folder / "photographs.tar", "w") as archive:
        for number, image in enumerate(small):
            content = as_png(image)
            member = tarfile.TarInfo(f"{number:05d}.png")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def read_tar(folder):
    with tarfile.open(folder / "photographs.tar") as archive:
        for member in archive:
            yield int(Path(member.name).stem), from_png(archive.extractfile(member).read())


def write_array(folder):
    np.save(folder / "images.npy", small)


def read_array(folder):
    yield from enumerate(np.load(folder / "images.npy", mmap_mode="r"))


def write_checked(folder):
    write_array(folder)
    np.save(folder / "checksums.npy", [zlib.crc32(image) for image in small])


def read_checked(folder):
    checksums = np.load(folder / "checksums.npy")
    for number, image in read_array(folder):
        yield number, image if zlib.crc32(image) == checksums[number] else None


def try_out(name, write, read):
    print(containers.say_container(name, containers.measure_container(small, write, read)))


try_out("a PNG file an image", write_files, read_files)
try_out("PNG in a tar file", write_tar, read_tar)
try_out("array, memory-mapped", write_array, read_array)
try_out("the same with checksums", write_checked, read_checked)


# %% own-containers tags=["proof", "pytorch"]
def write_saved(folder):
    torch.save(torch.from_numpy(small), folder / "images.pt")


def read_saved(folder):
    yield from enumerate(torch.load(folder / "images.pt", mmap=True).numpy())


def write_parts(folder):
    for part, images in enumerate(np.split(small, 8)):
        torch.save(torch.from_numpy(images), folder / f"{part}.pt")


def read_parts(folder):
    for file in sorted(folder.iterdir()):
        try:
            images = torch.load(file, mmap=True).numpy()
        except Exception:  # the file cannot be read as a whole
            continue
        yield from enumerate(images, 8 * int(file.stem))


try_out("torch.save", write_saved, read_saved)
try_out("torch.save in eight files", write_parts, read_parts)


# %% own-containers tags=["proof", "tensorflow"]
def write_records(folder, parts=1):
    for part, numbers in enumerate(np.split(np.arange(len(small)), parts)):
        with tf.io.TFRecordWriter(str(folder / f"{part}.tfrecord")) as writer:
            for number in numbers:
                writer.write(bytes([number]) + small[number].tobytes())


def read_records(folder):
    shards = sorted(str(file) for file in folder.iterdir())
    for record in tf.data.TFRecordDataset(shards).ignore_errors().as_numpy_iterator():
        yield record[0], np.frombuffer(record, np.uint8, offset=1).reshape(SIZE, SIZE, 3)


try_out("TFRecord", write_records, read_records)
try_out("TFRecord in eight files", lambda folder: write_records(folder, 8), read_records)

# %% [markdown] containers-answer tags=["pytorch"]
# A container that knows its own length notices that it was cut off: an array of NumPy by its header,
# the zip archive of `torch.save` by the table at its end. It is refused as a whole, so that several
# files lose less than one. A tar file is read until it ends, and hands out what came before.
#
# A changed byte is another matter. The memory-mapped array hands the changed image out without a
# word; a checksum for each image finds it, and all the others arrive. Compare what the other
# containers made of it. And none of those that go on tells how many images there should have been:
# that number is written down beside them.

# %% [markdown] containers-answer tags=["tensorflow"]
# A container that knows its own length notices that it was cut off, as an array of NumPy does by its
# header, and is refused as a whole. A tar file or a TFRecord is read until it ends, and hands out
# what came before.
#
# A changed byte is another matter. The memory-mapped array hands the changed image out without a
# word; a checksum for each image finds it, and all the others arrive. A TFRecord has a checksum for
# each record. `ignore_errors` then goes on with the next *file*, so that several files lose less than
# one: compare the last lines. And nobody tells how many images there should have been: that number
# is written down beside the container.

# %% [markdown] advice-question
# ## Where advice and measurement part
#
# *"Pack the files into one big file; many small files are slow."* *"Use float32."* *"Decode faster."*
# Below, each of these is done alone, and then what they have in common is removed. The last column
# is the share of the sick program's processor time that is left.

# %% advice tags=["proof", "pytorch"]
import tarfile

sick_ms = costs.ms


def compare(said, load, items):
    start = time.process_time()
    for item in items:
        load(item)
    ms = 1000 * (time.process_time() - start) / len(files)
    print(f"{ms:7.2f} ms an image, {ms / sick_ms:4.0%} is left: {said}")


def whole_array(content):
    pixels = torch.from_numpy(decode(content)).permute(2, 0, 1)
    small = v2.functional.resize(pixels, (SIZE, SIZE), antialias=True)
    return v2.functional.normalize(small.float() / 255, MEAN.tolist(), STD.tolist())


def quarter(content):
    image = Image.open(io.BytesIO(content))
    image.draft("RGB", (SIZE, SIZE))  # decode at a half, a quarter or an eighth, but not below this
    small = np.array(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    pixels = torch.from_numpy(small).permute(2, 0, 1)
    return v2.functional.normalize(pixels.float() / 255, MEAN.tolist(), STD.tolist())


def six_stages(content):
    for name in list(stages)[1:]:
        content = stages[name](content)


tar = Path(place.name) / "photographs.tar"
with tarfile.open(tar, "w") as archive:
    for file in files:
        archive.add(file, arcname=Path(file).name)


def from_tar():
    with tarfile.open(tar) as archive:
        for member in archive:
            yield archive.extractfile(member).read()


advice_store = Path(place.name) / "advice"
advice_store.mkdir()
prepare(files, labels, str(advice_store))

compare("files, six stages", lambda file: six_stages(read(file)), files)
compare("one tar file of the photographs, six stages", six_stages, from_tar())
compare("files, shrink first, float32, no loop over pixels", lambda f: whole_array(read(f)), files)
compare("the same, decoded at a quarter of the size", lambda f: quarter(read(f)), files)
compare("your store", lambda batch: None, batches(str(advice_store), 16, 0))

# %% advice tags=["proof", "tensorflow"]
sick_ms = costs.ms


def compare(said, items, count):
    start = time.process_time()
    for _ in items:
        pass
    ms = 1000 * (time.process_time() - start) / count
    print(f"{ms:7.2f} ms an image, {ms / sick_ms:4.0%} is left: {said}")


def six_stages(content):
    for name in list(stages)[1:]:
        content = stages[name](content)


def decoded_at(ratio):
    def load(content):
        pixels = tf.io.decode_jpeg(content, channels=3, ratio=ratio)
        small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True) / 255
        return (small - MEAN.astype("float32")) / STD.astype("float32")

    return load


packed = str(Path(place.name) / "photographs.tfrecord")
with tf.io.TFRecordWriter(packed) as writer:
    for file in files:
        writer.write(Path(file).read_bytes())

# A pipeline has to be built for every epoch. Eight deliveries of the same photographs keep that small
# beside the work; the six stages would take too long for them.
advice_store = Path(place.name) / "advice"
advice_store.mkdir()
for _ in range(8):
    prepare(files, labels, str(advice_store))
many = tf.data.Dataset.from_tensor_slices(8 * files).map(tf.io.read_file)

in_files = tf.data.Dataset.from_tensor_slices(files).map(tf.io.read_file)
in_one = tf.data.TFRecordDataset(packed)
compare("files, six stages", (six_stages(content) for content in in_files), 64)
compare("one TFRecord of the photographs, six stages", (six_stages(c) for c in in_one), 64)
compare("files, shrink first, float32, no loop", many.map(decoded_at(1)).batch(16), 512)
compare("the same, decoded at a quarter of the size", many.map(decoded_at(4)).batch(16), 512)
compare("your store", batches(str(advice_store), 16, 0), 512)

# %% [markdown] advice-answer
# Compare the first two lines: one big file instead of many changes hardly anything on a local disk
# whose files are in memory already. On a network disk it saves a round trip for every file, which
# is why the check counts opens; it takes no work away.
#
# Cheap stages first, narrow numbers and no loop over pixels take away a good part, without storing
# anything. Decoding at a reduced size takes away more: a JPEG file can be read at a half, a quarter
# or an eighth of its size without computing the rest. Both are worth having in `prepare`. The last
# line is another matter, because there the work is gone.
#
# *"A parallel pipeline is an order of magnitude faster than a loop."* Whoever rewrites a loop as a
# pipeline changes several things at once. Below they change one after the other, each on top of those
# before it, and the clock on the wall counts, because it is waiting that parallel loading shortens.

# %% say-steps tags=["proof"]
import os

from threadpoolctl import threadpool_limits


def wall(begin, count):
    """Milliseconds an image, in the quicker of two epochs: other programs run on this machine, too."""
    took = []
    with threadpool_limits(1):  # a second thread would mostly wait, and keep a core from working
        for _ in range(2):
            start = time.perf_counter()
            for _ in begin():
                pass
            took.append(1000 * (time.perf_counter() - start) / count)
    return min(took)


def say_steps(steps):
    names, ms = list(steps), list(steps.values())
    print(f"{os.cpu_count()} processor cores")
    print(f"{ms[0]:7.2f} ms an image: {names[0]}")
    for name, before, after in zip(names[1:], ms[:-1], ms[1:], strict=True):
        share = (before - after) / (ms[0] - ms[-1])
        print(
            f"{after:7.2f} ms an image, {before / after:5.1f} times faster, "
            f"{share:4.0%} of what is saved: {name}"
        )
    print(f"all together: {ms[0] / ms[-1]:.0f} times faster")


# %% steps tags=["proof", "pytorch"]
many = 2 * files
flip = v2.RandomHorizontalFlip()


class Loaded(Dataset):
    """The photographs, made ready by `load`, and mirrored."""

    def __init__(self, load):
        self.load = load

    def __len__(self):
        return len(many)

    def __getitem__(self, i):
        return flip(self.load(read(many[i])))


class Kept(Dataset):
    """The same images, kept in memory until they are mirrored."""

    def __init__(self):
        self.images = [quarter(read(file)) for file in many]

    def __len__(self):
        return len(many)

    def __getitem__(self, i):
        return flip(self.images[i])


by_two = DataLoader(
    Loaded(quarter),
    batch_size=16,
    num_workers=2,
    persistent_workers=True,
    multiprocessing_context="fork",
)
for _ in by_two:  # the first epoch starts the workers
    pass
kept = Kept()

steps = {
    "the sick program": wall(lambda: sick_batches(str(stores["sick"]), 16, 0), len(unseen_files)),
    "shrink first, float32, no loop over pixels": wall(
        lambda: DataLoader(Loaded(whole_array), batch_size=16), len(many)
    ),
    "decoding, at a quarter of the size": wall(
        lambda: DataLoader(Loaded(quarter), batch_size=16), len(many)
    ),
    "parallel loading, two workers": wall(lambda: by_two, len(many)),
    "cache, in memory, image by image": wall(lambda: DataLoader(kept, batch_size=16), len(many)),
    "storage, your store, batch by batch": wall(
        lambda: batches(str(advice_store), 16, 0), len(files)
    ),
}
del by_two  # and its workers
say_steps(steps)

# %% steps tags=["proof", "tensorflow"]
in_turn = tf.data.Options()  # by itself, `tf.data` would run a `map` in parallel, and prefetch
in_turn.experimental_optimization.apply_default_optimizations = False
in_turn.threading.private_threadpool_size = 1
in_turn.threading.max_intra_op_parallelism = 1


def mirror(number, image):
    return tf.image.stateless_random_flip_left_right(
        image, tf.stack([number, tf.constant(0, tf.int64)])
    )


def loop(ratio):
    return many.map(decoded_at(ratio)).enumerate().map(mirror).batch(16).with_options(in_turn)


def parallel(images):
    return images.enumerate().map(mirror).batch(16).prefetch(tf.data.AUTOTUNE)


loaded = many.map(decoded_at(4), num_parallel_calls=tf.data.AUTOTUNE)
in_memory = parallel(loaded.cache())
for _ in in_memory:  # the first epoch fills the cache
    pass

steps = {
    "the sick program": wall(lambda: sick_batches(str(stores["sick"]), 16, 0), len(unseen_files)),
    "shrink first, float32, no loop over pixels": wall(lambda: loop(1), 512),
    "decoding, at a quarter of the size": wall(lambda: loop(4), 512),
    "parallel loading, as many calls as threads": wall(lambda: parallel(loaded), 512),
    "cache, in memory, image by image": wall(lambda: in_memory, 512),
    "storage, your store, batch by batch": wall(lambda: batches(str(advice_store), 16, 0), 512),
}
say_steps(steps)

# %% [markdown] steps-answer
# Read two columns. The factors multiply to the last line; the shares add up to all that is saved, and
# the step that comes first has most to save. Whoever caches first leaves next to nothing to parallel
# loading.
#
# Parallel loading shares the work among the cores, whose number stands above; it does not make it
# less. Decoding less and keeping the result take work away. A cache in memory is gone with the
# program, and a large data set does not fit into it; the store stays, whatever its size. Where the
# last step is slower than the cache, that is the price of reading.
#
# *"Store less: half the resolution, or JPEG again."* Below, sixteen photographs are shrunk to what the
# network sees, stored in several ways, and read back. The second column is the difference from what
# was stored, in units of the finest detail: the waves shorter than four pixels, which half as many
# pixels on a side cannot hold.

# %% detail tags=["proof"]
import io

from PIL import Image

from grader.datasets.photographs import shrunk
from grader.instruments.input_cost import finest_detail

given = np.stack([shrunk(Path(file).read_bytes(), SIZE) for file in files[:16]])


def store_as(said, side, **options):
    back, stored_bytes = [], 0
    for pixels in given:
        content = io.BytesIO()
        small = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
        small.save(content, **options)
        stored_bytes += content.tell()
        wide = Image.open(content).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        back.append(np.array(wide))
    difference = np.stack(back) - given.astype(float)
    share = np.sqrt((difference**2).mean(axis=(1, 2, 3))) / finest_detail(given)
    print(f"{stored_bytes / len(given) / 1000:5.1f} KB  {np.median(share):4.2f}  {said}")


print(f"{given[0].nbytes / 1000:5.1f} KB  {0:4.2f}  bytes as they are")
store_as("PNG", SIZE, format="PNG")
store_as("JPEG, quality 95", SIZE, format="JPEG", quality=95)
store_as("JPEG, quality 75", SIZE, format="JPEG", quality=75)
store_as("JPEG, quality 30", SIZE, format="JPEG", quality=30)
store_as("PNG of half the resolution", SIZE // 2, format="PNG")

# %% [markdown] detail-answer
# PNG gives every pixel back. JPEG takes fewer bytes, and pays with detail: on an image as small as
# this, what it leaves out is what the network would have seen. At a coarse quality that is about as
# much as at half the resolution. How much a network needs is a question for its accuracy, not for its
# loader; here the task is to hand out the same images.
#
# Storing has a price. The store is made for one size of input; who changes it prepares again. Keep
# the photographs.

# %% [markdown] coin-question tags=["pytorch"]
# *"Version 2 of the transforms takes batches, so put the whole pipeline behind the batch."* Below,
# `v2.RandomHorizontalFlip` takes eight batches of sixteen images, each with a bright left edge.

# %% [markdown] coin-question tags=["tensorflow"]
# *"Fix the seed, so that the experiment can be repeated."* Below, a pipeline is built anew for each of
# three epochs, after `open_lab` has set the global seed. Sixteen images have a bright left edge.

# %% coin tags=["proof", "pytorch"]
marked = torch.zeros(16, 3, 8, 8)
marked[..., 0] = 1
for batch in range(8):
    flipped = v2.RandomHorizontalFlip()(marked)[:, 0, 0, -1]
    print(f"batch {batch}: " + " ".join("mirrored" if f else "as it is" for f in flipped[:5]))

# %% coin tags=["proof", "tensorflow"]
marked = np.zeros((16, 8, 8, 3), np.float32)
marked[:, :, 0] = 1


def flips(mirror):
    dataset = tf.data.Dataset.from_tensors(marked).map(mirror)
    return "".join("m" if f else "." for f in next(iter(dataset)).numpy()[:, 0, -1, 0])


for epoch in range(3):

    def by_epoch(images, seed=(epoch, 0)):
        return tf.image.stateless_random_flip_left_right(images, seed)

    global_seed, own_seed = flips(tf.image.random_flip_left_right), flips(by_epoch)
    print(f"epoch {epoch}: {global_seed} with the global seed, {own_seed} with the epoch's")

# %% [markdown] coin-answer tags=["pytorch"]
# One coin is tossed for all sixteen. For resizing and standardising a batch that is what one wants;
# a random transform belongs in front of the batch, or gets its coins from `torch.rand(len(images))`.

# %% [markdown] coin-answer tags=["tensorflow"]
# A pipeline that is built anew starts its random operations anew. With a global seed they can toss
# the same coins in every epoch: compare the first columns. A stateless operation says what its
# coins depend on. `tf.image`'s mirror tosses one for each image of a batch.

# %% [markdown] serving
# ## When the model is used
#
# What is standardised in `batches` has to be standardised for every image that the model meets later
# on, with the same numbers and the same antialiasing. What is done once, and stored, is easily
# forgotten there. Below, sixteen photographs are prepared as a server might do it, and compared with
# what the network is trained on. The number is the difference of the typical image, in units of its
# finest detail.


# %% say-served tags=["proof"]
def say_served(said, images):
    """Images (16, SIZE, SIZE, 3), standardised."""
    pixels = 255 * (np.asarray(images, np.float64) * STD + MEAN)
    difference = np.sqrt(((pixels - given) ** 2).mean(axis=(1, 2, 3)))
    print(f"{np.median(difference / finest_detail(given)):5.2f}  {said}")


# %% served tags=["proof", "pytorch"]
import torch.nn.functional as F

whole = torch.stack([torch.from_numpy(decode(read(file))).permute(2, 0, 1) for file in files[:16]])
whole = whole.float() / 255


def standardised(images):
    return v2.functional.normalize(images, MEAN.tolist(), STD.tolist()).permute(0, 2, 3, 1)


shrunken = v2.functional.resize(whole, (SIZE, SIZE), antialias=True)
interpolated = F.interpolate(whole, size=(SIZE, SIZE), mode="bilinear")
say_served("resize with antialiasing, standardised", standardised(shrunken))
say_served("interpolate as it is by default, standardised", standardised(interpolated))
say_served("resize with antialiasing, not standardised", shrunken.permute(0, 2, 3, 1))

# %% served tags=["proof", "tensorflow"]
import keras

whole = tf.cast(tf.stack([decode(read(file)) for file in files[:16]]), tf.float32)


def inside_a_model(*, antialias, standardise=True):
    """What the first layers of a model make of the photographs."""
    first = keras.Sequential(
        [keras.layers.Resizing(SIZE, SIZE, antialias=antialias), keras.layers.Rescaling(1 / 255)]
    )
    if standardise:
        first.add(keras.layers.Normalization(mean=MEAN.tolist(), variance=(STD**2).tolist()))
    return first(whole)


say_served("Resizing with antialiasing, Normalization", inside_a_model(antialias=True))
say_served("Resizing as it is by default, Normalization", inside_a_model(antialias=False))
say_served(
    "Resizing with antialiasing, not standardised",
    inside_a_model(antialias=True, standardise=False),
)

# %% [markdown] served-answer tags=["pytorch"]
# torchvision's `resize` averages by default, as Pillow does; `torch.nn.functional.interpolate` picks
# and mixes the nearest pixels only, unless `antialias=True` is asked for. The second line is what a
# server pays for that. One function, called by `prepare` and by the server, cannot disagree with
# itself. Some put the standardisation into the model as its first layer, so that it cannot be lost;
# it costs a multiplication a value, on the accelerator.

# %% [markdown] served-answer tags=["tensorflow"]
# `tf.image.resize` and `keras.layers.Resizing` pick and mix the nearest pixels only, unless
# `antialias=True` is asked for. The second line is what a server pays for that. Layers inside the
# model are saved with it, so that a server cannot forget them; they also run again in every epoch, so
# only the cheap ones belong there while training.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# Copy the batch as uint8, a quarter of the bytes, and convert, mirror and standardise it there; the
# operations above run on any device. `torchvision.io.decode_jpeg(..., device="cuda")` decodes on the
# GPU where the photographs have to stay as they are, for random crops of the full size.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# `tf.data` runs on the processor. Let it hand out uint8, a quarter of the bytes, and put
# `keras.layers.Rescaling`, `RandomFlip` and `Normalization` at the beginning of the model: they then
# run on the GPU, and are saved with it. The random ones are inactive outside of training.

# %% [markdown] read-on
# ## Read on
#
# - NumPy documentation: *numpy.load* and *numpy.memmap*. Python documentation: *tarfile*.
# - PyTorch documentation: *torch.utils.data*, on loading from map-style and iterable-style data sets;
#   torchvision: *Getting started with transforms v2*.
# - TensorFlow tutorials: *TFRecord and tf.train.Example*; guide *Better performance with the tf.data
#   API*; API page of `tf.io.decode_jpeg`.
# - Murray, Šimša, Klimovic, Indyk: *tf.data: A Machine Learning Data Processing Framework* (2021).
# - Mohan, Phanishayee, Raniwala, Chidambaram: *Analyzing and Mitigating Data Stalls in DNN Training*
#   (2021).
