# ---
# title: The accelerator waits
# symptom: A training step takes 80 ms, and the accelerator computes for 30 of them.
# minutes: 30
# difficulty: 2
# learn:
#   - read a timeline of waiting, computing and loading
#   - tell prefetching from parallel reading, and when both are needed
#   - calculate how many readers a step needs
#   - find the hot spot in a profiler's trace
# sources: ["000/23", "000/30", "004/82", "004/89", "004/91"]
# seconds: {pytorch: 35, tensorflow: 40}
# hints:
#   diagnosis:
#     - Look at one wait in the picture. What happens in the row below it, and what happens there while the accelerator computes?
#     - Add up the reads below one wait. Do they fill it? Then look for a moment in which both rows are busy.
#     - "`reading = sick.waiting_share`; the cause is the one that leaves both rows busy in turn."
#   repair:
#     - Two things have to change. Somebody has to read while the accelerator computes, and a batch read in turn takes longer than its computation.
#     - Look for what your framework offers to do work ahead of need, and for what it offers to do several pieces of work at once. Then count reads under way in the timeline.
#     - "PyTorch: `DataLoader(..., num_workers=4, multiprocessing_context=\"fork\")`. TensorFlow: start from the names of the files, `from_tensor_slices((files, labels)).map(load_with(storage), num_parallel_calls=8).batch(batch_size).prefetch(2)`."
# ---

# %% [markdown] story
# Somebody moved the photographs from the laptop to a network disk and rented a faster accelerator.
# Training is now slower than before. A step takes about 80 ms, and the accelerator's own clock says
# that it computes for 30 ms of them. Its utilisation reads 38 %.
#
# **What you have.** Real JPEG files, a loader, and a storage that takes 12 ms to answer for a file,
# as a network disk does. Two processor cores are no accelerator, so the accelerator is simulated:
# it is busy for 7.5 ms an image, and meanwhile the program waits without using the processor, just
# as it does when it waits for a GPU. Loading, decoding, threads and worker processes are real.
#
# **What you do.** Find out what the accelerator waits for, and give it its batches in time.

# %% photographs
import time

images = lab.draw("train", 128, 32)


def compute(batch):
    """The simulated accelerator: 7.5 ms an image."""
    time.sleep(0.0075 * len(batch[1]))


# %% network-disk
from grader.datasets.storage import store

storage, files = store(images, latency=0.012)
labels = images.labels
print(f"{len(files)} files, such as {files[0]}: {len(storage.read(files[0]))} bytes")
storage.forget()

# %% [markdown] sick-story tags=["pytorch"]
# The loader is a `Dataset` that reads and decodes one photograph, and a `DataLoader` that makes
# batches of four.

# %% [markdown] sick-story tags=["tensorflow"]
# The loader is a Python generator that reads and decodes one photograph after the other, wrapped in
# a `tf.data.Dataset` that makes batches of four.
#
# `load_with` gives the step of the pipeline that asks the storage. `tf.numpy_function` calls Python
# from inside a pipeline. It is declared `stateful=False`, because the bytes depend on the file's
# name alone. That word matters more than it looks; the end of this notebook measures it.

# %% sick-model tags=["pytorch"]
import io
import warnings

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

# PyTorch warns of more workers than processor cores. The end of this notebook measures whether it
# is right here.
warnings.filterwarnings("ignore", message="This DataLoader will create")


class Photographs(Dataset):
    """Image float32 (3, H, W), 0..1, and label of every file."""

    def __init__(self, files, labels, storage):
        self.files, self.labels, self.storage = files, labels, storage

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        image = Image.open(io.BytesIO(self.storage.read(self.files[i]))).convert("RGB")
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return pixels.float() / 255, int(self.labels[i])


def sick_loader(files, labels, storage, batch_size):
    return DataLoader(Photographs(files, labels, storage), batch_size=batch_size)


# %% sick-model tags=["tensorflow"]
import tensorflow as tf


def load_with(storage):
    """Return the step of a pipeline that turns (file, label) into (image, label).

    The image is float32 (H, W, 3), 0..1.
    """

    def load(file, label):
        content = tf.numpy_function(storage.read, [file], tf.string, stateful=False)
        image = tf.io.decode_jpeg(content, channels=3)
        return tf.cast(image, tf.float32) / 255, label

    return load


def sick_loader(files, labels, storage, batch_size):
    load = load_with(storage)

    def examples():
        for file, label in zip(files, labels, strict=True):
            yield load(file, label)

    signature = (tf.TensorSpec((None, None, 3), tf.float32), tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(examples, output_signature=signature).batch(batch_size)


# %% [markdown] sick-run-story
# Twelve steps of the sick program. The instrument notes on one clock when the loop waits for a
# batch, when the accelerator computes, and when the storage reads.

# %% sick-run
from grader.instruments import overlap

sick = overlap.measure_overlap(sick_loader(files, labels, storage, 4), compute, storage, steps=12)
storage.forget()
for step in range(1, 6):
    wait, work = 1000 * sick.waiting[step], 1000 * sick.computing[step]
    print(f"step {step}: waits {wait:.0f} ms, computes {work:.0f} ms")

# %% signature-picture tags=["picture"]
lab.show(overlap.draw_overlap({"the sick program": sick}), overlap.say_overlap(sick))

# %% [markdown] diagnosis-question
# ## What does the accelerator wait for?
#
# | `cause` | what it would mean |
# |---|---|
# | `"slow_model"` | The network has too many multiply-adds; a smaller one would be quicker. |
# | `"slow_decoding"` | The processor needs its time to turn JPEG bytes into pixels. |
# | `"slow_storage"` | The storage is at its limit; it cannot deliver more files a second. |
# | `"loading_in_turn"` | Loading and computing take turns, and so do the files of a batch. |
# | `"small_batch"` | Four images are too few; a larger batch would spread the waiting. |
#
# Name the cause, and read one number off the picture or its sentence: the share of a step that is
# spent waiting, between 0 and 1.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "loading_in_turn"
reading = sick.waiting_share
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## Give it its batches in time
#
# Write `make_loader`. It returns what a `for` loop can run over, epoch after epoch, and what yields
# pairs of images and labels, as the sick loader does.
#
# - Every file once an epoch, with its own label; the order is yours.
# - The batch size is the one asked for.
# - No more than 32 files at once: others use the storage too.
# - The photographs of a real data set do not fit into memory before the first step.
#
# The check counts, so that a busy machine gives the same verdict as a quiet one: the computations
# during which a file is read, and the files that are read while another one is. How long a step
# waits is told as well, beside the sick program and a loader in plain Python with eight readers.

# %% [markdown] repair-note tags=["pytorch"]
# `DataLoader` can read in worker processes. In a notebook on Linux, ask for
# `multiprocessing_context="fork"`: a forked worker starts in milliseconds and knows the class
# `Photographs`, which exists in this notebook only. A worker that is started afresh ("spawn",
# "forkserver", the default from Python 3.14 on) would import PyTorch again and not find the class.
# In each worker PyTorch computes with one thread, so workers do not fight for the cores.

# %% [markdown] repair-note tags=["tensorflow"]
# A generator cannot be read at several places at once. The names of the files can: they are known
# from the start, and `load_with(storage)` turns each into an image independently of the others.


# %% repair tags=["answer", "pytorch"]
def make_loader(files, labels, storage, batch_size):
    loader = sick_loader(files, labels, storage, batch_size)
    ### BEGIN SOLUTION
    loader = DataLoader(
        Photographs(files, labels, storage),
        batch_size=batch_size,
        num_workers=4,  # 50 ms of reading in 30 ms of computing needs two; four leave a reserve
        prefetch_factor=2,  # batches that each worker reads ahead
        persistent_workers=True,  # do not fork again for every epoch
        multiprocessing_context="fork",
    )
    ### END SOLUTION
    return loader


# %% repair tags=["answer", "tensorflow"]
def make_loader(files, labels, storage, batch_size):
    loader = sick_loader(files, labels, storage, batch_size)
    ### BEGIN SOLUTION
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    # Eight reads under way where there are threads for them, then two batches ahead of need.
    loader = names.map(load_with(storage), num_parallel_calls=8).batch(batch_size).prefetch(2)
    ### END SOLUTION
    return loader


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold for other photographs?
#
# The same two loaders on 128 photographs of the test split.

# %% proof tags=["proof"]
unseen = lab.draw("test", 128, 32)
unseen_storage, unseen_files = store(unseen, latency=0.012)

before = overlap.measure_overlap(
    sick_loader(unseen_files, unseen.labels, unseen_storage, 4), compute, unseen_storage, steps=12
)
unseen_storage.forget()
after = overlap.measure_overlap(
    make_loader(unseen_files, unseen.labels, unseen_storage, 4), compute, unseen_storage
)
unseen_storage.forget()
lab.show(
    overlap.draw_overlap({"before": before, "after": after}, first=8), overlap.say_overlap(after)
)

# %% ratio tags=["proof"]
load_ms, compute_ms = before.wait_ms, before.compute_ms
print(
    f"step before: {before.step_ms:.0f} ms = {load_ms:.0f} ms waiting + {compute_ms:.0f} ms computing"
)
print(f"step after:  {after.step_ms:.0f} ms")
print(f"speed-up:    {before.step_ms / after.step_ms:.1f} times")
print(f"the most that overlap can give here: {(load_ms + compute_ms) / compute_ms:.1f} times")

# %% [markdown] ratio-story
# Overlap turns load *plus* computation into the *larger* of the two. The last line is its ceiling:
# once the computation is the larger one, no loader makes the step shorter. "An order of magnitude",
# which is often promised for a parallel pipeline, takes a load nine times as long as the
# computation.
#
# ## How many readers?
#
# A loader in plain Python threads, with 1 to 8 readers. The dotted line is the rule
# max(load / readers, computation).

# %% readers tags=["proof"]
in_turn = overlap.in_turn(files, labels, storage, 4)
turn = overlap.measure_overlap(in_turn, compute, storage, steps=12)
storage.forget()
sweep = {0: turn.step_ms}
for readers in (1, 2, 4, 8):
    ahead = overlap.ahead(files[:64], labels, storage, 4, readers=readers)
    sweep[readers] = overlap.measure_overlap(ahead, compute, storage).step_ms
    storage.forget()
figures = {"load_ms": turn.wait_ms, "compute_ms": turn.compute_ms}
lab.show(overlap.draw_readers(sweep, **figures), overlap.say_readers(sweep, **figures))

# %% [markdown] readers-story
# One reader ahead of need is prefetching alone: the step falls from the sum to the load, and the
# accelerator still waits. From the second reader on the step is the computation.
#
# ## What a profiler says
#
# The timeline above was made for this lab. The framework's own profiler finds the same place in any
# program: trace a few steps, add up by name, and read the top line.

# %% profiler tags=["proof", "pytorch"]
import os

os.environ["KINETO_LOG_LEVEL"] = "99"  # its notes on start, stop and missing devices

from torch.profiler import ProfilerActivity, profile

with profile(activities=[ProfilerActivity.CPU]) as trace:
    overlap.measure_overlap(sick_loader(files, labels, storage, 4), compute, storage, steps=6)
storage.forget()
events = sorted(trace.key_averages(), key=lambda event: event.cpu_time_total, reverse=True)
for event in events[:4]:
    print(f"{event.cpu_time_total / 1000:7.1f} ms in {event.count:3d} calls  {event.key}")

# %% profiler tags=["proof", "tensorflow"]
import tempfile
from collections import Counter
from pathlib import Path

from tensorflow.tsl.profiler.protobuf import xplane_pb2

with tempfile.TemporaryDirectory() as folder:
    with tf.profiler.experimental.Profile(folder):
        overlap.measure_overlap(sick_loader(files, labels, storage, 4), compute, storage, steps=6)
    space = xplane_pb2.XSpace()
    space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
storage.forget()
milliseconds, calls = Counter(), Counter()
for plane in space.planes:
    for line in plane.lines:
        for event in line.events:
            name = plane.event_metadata[event.metadata_id].name
            milliseconds[name] += event.duration_ps / 1e9
            calls[name] += 1
for name in [n for n, _ in milliseconds.most_common() if n.startswith("Iterator")][:4]:
    print(f"{milliseconds[name]:7.1f} ms in {calls[name]:3d} calls  {name}")

# %% [markdown] profiler-story tags=["pytorch"]
# The top line is the `__next__` of the single-process loader: the loop stands in it, and no layer of
# a network comes near. In a trace of your own program, look for that name first.
# `trace.export_chrome_trace("trace.json")` writes the same as a timeline for a browser.

# %% [markdown] profiler-story tags=["tensorflow"]
# The names are stages of the pipeline, the outermost first; each contains the time of those inside
# it. TensorFlow's own guide calls a program input-bound when one `IteratorGetNext` takes more than
# 50 microseconds; the top line, divided by its calls, is a thousand times that. TensorBoard's
# profiler draws the same file as a timeline.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# The accelerator is no sleep then, and the picture is the same: the host launches work, waits for
# the next batch, and the device is idle in between. One thing comes on top, the copy. Pinned memory
# lets it run beside the computation, so that it is overlapped like the reads:
#
# ```python
# loader = DataLoader(photographs, batch_size=256, num_workers=8, pin_memory=True, ...)
# for images, labels in loader:
#     images = images.to(device, non_blocking=True)
#     labels = labels.to(device, non_blocking=True)
# ```
#
# `non_blocking=True` without pinned memory copies as before. A step has to be timed with the device
# synchronised, or the loop is measured instead of the work. On a machine without an accelerator
# neither line changes anything.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# The accelerator is no sleep then, and the picture is the same: the host launches work, waits for
# the next batch, and the device is idle in between. One thing comes on top, the copy. It is
# overlapped like the reads when the last stage of the pipeline puts batches on the device:
#
# ```python
# dataset = dataset.apply(tf.data.experimental.prefetch_to_device("/GPU:0", buffer_size=2))
# ```
#
# A step has to be timed with the result fetched (`.numpy()`), or the loop is measured instead of the
# work. On a machine without an accelerator that line changes nothing.

# %% [markdown] advice-question tags=["pytorch"]
# ## Where advice and measurement part
#
# *"Set `num_workers` to the number of processor cores."* And: *"prefetching hides loading."* Below
# are four loaders, two epochs each. The last column is the first wait of the second epoch: what it
# costs to fork the workers again.

# %% [markdown] advice-question tags=["tensorflow"]
# ## Where advice and measurement part
#
# *"Add `.prefetch(AUTOTUNE)`, and training gets dramatically faster."* *"Set `num_parallel_calls`."*
# Below are six pipelines. `open_lab` asks TensorFlow for deterministic operations, as a careful
# experiment does.

# %% advice tags=["proof", "pytorch"]
import os


def compare(**options):
    loader = DataLoader(
        Photographs(files[:64], labels, storage),
        batch_size=4,
        multiprocessing_context="fork",
        **options,
    )
    first = overlap.measure_overlap(loader, compute, storage)
    storage.forget()
    second = overlap.measure_overlap(loader, lambda batch: None, storage)
    storage.forget()
    said = ", ".join(f"{name}={value}" for name, value in options.items())
    print(
        f"step {first.step_ms:3.0f} ms, second epoch begins after {1000 * second.waiting[0]:4.0f} ms: {said}"
    )


print(f"{os.cpu_count()} processor cores")
compare(num_workers=1, prefetch_factor=16)
compare(num_workers=2)
compare(num_workers=4)
compare(num_workers=4, persistent_workers=True)


# %% advice tags=["proof", "tensorflow"]
def stateful(file, label):
    content = tf.numpy_function(storage.read, [file], tf.string)  # stateful=True by default
    return tf.cast(tf.io.decode_jpeg(content, channels=3), tf.float32) / 255, label


def compare(said, dataset):
    measured = overlap.measure_overlap(dataset, compute, storage, steps=16)
    storage.forget()
    print(
        f"step {measured.step_ms:3.0f} ms, {measured.reads_at_once} at once, read during "
        f"{measured.reading_steps:4.0%} of the computations: {said}"
    )


names = tf.data.Dataset.from_tensor_slices((files, labels))
stateless = load_with(storage)


def one_file(file, label):
    return tf.data.Dataset.from_tensors((file, label)).map(stateless)


compare("generator, prefetch", sick_loader(files, labels, storage, 4).prefetch(tf.data.AUTOTUNE))
compare(
    "map stateful, 8 calls, prefetch",
    names.map(stateful, num_parallel_calls=8).batch(4).prefetch(2),
)
compare(
    "interleave stateless, 8 calls, prefetch",
    names.interleave(one_file, cycle_length=8, num_parallel_calls=8).batch(4).prefetch(2),
)
compare(
    "map stateless, 1 call, prefetch",
    names.map(stateless, num_parallel_calls=1).batch(4).prefetch(2),
)
compare(
    "map stateless, 8 calls, prefetch",
    names.map(stateless, num_parallel_calls=8).batch(4).prefetch(2),
)
compare("map stateless, nothing else", names.map(stateless).batch(4))

# %% [markdown] advice-answer tags=["pytorch"]
# One worker with sixteen batches of prefetch still has to read every file in turn: the first line
# stays near the load of a batch, however far ahead it reads. Prefetching moves waiting; only
# parallel reading shortens it.
#
# The number of workers follows from load divided by computation, not from the cores. Here a worker
# sleeps until the disk answers, so more workers than cores are fine, and the warning that PyTorch
# gives for them does not apply. Where a worker *computes*, by decoding large photographs, the cores
# are the limit: on two cores, 400 real JPEG files of 256 pixels took as long with two workers as
# with none (recorded: 1.0 times).
#
# Without `persistent_workers=True` every epoch starts its workers again. Compare the last two lines:
# forking costs some tens of milliseconds. Workers that import their framework again take seconds,
# every epoch.

# %% [markdown] advice-answer tags=["tensorflow"]
# Under deterministic operations `tf.data` runs whatever may have a state one call after the other
# and drops the prefetching. The first three lines show it: a Python generator, a `numpy_function`
# that is not declared stateless, and `interleave`. They say 1 at once and 0 %, whatever the code
# asks for, and nothing warns. Prefetching *without* parallel calls, in the fourth line, hides the
# computation and still waits for the load.
#
# The last line asks for neither parallel calls nor prefetching, and is as fast as the one above it.
# TensorFlow 2.21 adds both by itself where it is allowed to. On another release, measure again.
#
# The fifth line asks for eight calls at once and gets as many as there are threads: one a core,
# unless `options.threading.private_threadpool_size` says otherwise. For readers that only wait for a
# disk, more threads than cores are fine. Where decoding is the work, the cores are the limit: on two
# cores, 400 real JPEG files went 4 to 5 times faster through a parallel `tf.data` pipeline than
# through a loop of PIL calls, and only 1.1 to 1.6 times of that came from running in parallel
# (recorded).

# %% [markdown] read-on
# ## Read on
#
# - PyTorch documentation: *torch.utils.data*, on multi-process data loading; *A guide on good usage
#   of non_blocking and pin_memory()*.
# - TensorFlow guide: *Better performance with the tf.data API*; *Analyze tf.data performance with the
#   TF Profiler*; API page of `tf.config.experimental.enable_op_determinism`.
# - Murray, Šimša, Klimovic, Indyk: *tf.data: A Machine Learning Data Processing Framework* (2021).
# - Mohan, Phanishayee, Raniwala, Chidambaram: *Analyzing and Mitigating Data Stalls in DNN Training*
#   (2021).
