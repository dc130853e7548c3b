# ---
# title: Downsampled to death
# symptom: A well-known deep network, copied from large photographs, reads small images worse than three convolutions do.
# minutes: 35
# difficulty: 2
# learn:
#   - follow the side of the map from layer to layer, and see where it is lost
#   - count the weights that meet nothing but padding
#   - read with a linear probe what each stage still holds
#   - fit a network for photographs to small images, and know what it costs
# sources: ["000/15", "002/57", "002/58", "003/74"]
# seconds: {pytorch: 40, tensorflow: 60}
# hints:
#   diagnosis:
#     - The network learns the images that it is shown. So a gradient arrives. What does it have to work with?
#     - Read the table from above, third column. How many positions are left when the first block begins, and how many at the end?
#     - The cause is the one in which the map is gone before the layers have looked at it; the reading is `100 * sick_use.idle`.
#   repair:
#     - Five things in this network halve the map. Two of them come before the first block.
#     - A letter is seven pixels high. How many positions does it cover when the first block looks at it?
#     - Begin with a convolution 3x3 of stride 1, without pooling, and let the last block keep its map.
# ---

# %% [markdown] story
# A survey paints one letter on each of its fields, ten different letters, and cuts a tile of 20
# pixels out of the aerial photograph around it. A network of three convolutions reads the letters.
# Somebody replaced it with a residual network, the design that has won on photographs for years. It
# has twenty times as many weights. It learns its training images, and reads unseen letters far worse.
#
# They have already tried more epochs and a wider head.

# %% images
from grader.datasets.letters import LETTERS, paint_letters


def letters(split, n):
    """Ten letters, 7 pixels high and 5 wide, anywhere in a tile of 20 pixels."""
    painted, _ = paint_letters(lab.draw(split, n, 20), split, lab.seed)
    return painted


given, unseen = letters("train", 500), letters("test", 300)
labels = given.labels
mean, std = given.images.mean(axis=(0, 1, 2)), given.images.std(axis=(0, 1, 2))
x = lab.fw.from_images((given.images - mean) / std, lab.device)
x_unseen = lab.fw.from_images((unseen.images - mean) / std, lab.device)
y = lab.fw.from_labels(labels, lab.device)
print(f"{len(given.images)} images to learn from, {len(unseen.images)} unseen; {' '.join(LETTERS)}")

# %% [markdown] program tags=["pytorch"]
# The stem, which is what comes before the first block, is that of ResNet: a convolution 7x7 of
# stride 2, and a max pooling of stride 2. Four residual blocks follow; three of them halve the map
# again. Adam, with a rate that falls to zero.

# %% [markdown] program tags=["tensorflow"]
# The stem, which is what comes before the first block, is that of ResNet: a convolution 7x7 of
# stride 2, and a max pooling of stride 2. Four residual blocks follow; three of them halve the map
# again. Adam, with a rate that falls to zero. The normalisation's momentum is 0.9 and not Keras's
# 0.99, because a few dozen steps have to be enough for its statistics.
#
# A shortcut strides in a pooling of one position, and its convolution 1x1 has no stride. On a CPU the
# gradient of a 1x1 convolution with a stride has ended the whole process, in TensorFlow 2.21 with a
# map of 56 x 56; with one of 40 x 40 it did not.

# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two convolutions and a shortcut around them; a stride of 2 halves the map."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.body(x) + self.shortcut(x))


def residual(stem, strides, classes):
    """A stem that gives 8 channels, four blocks, the average of the last map, and logits."""
    channels = [8, 8, 16, 32, 64]
    blocks = [Block(channels[i], channels[i + 1], stride) for i, stride in enumerate(strides)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes)]
    return nn.Sequential(*stem, *blocks, *head).to(lab.device)


def build_sick(size, classes):
    stem = [
        nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    return residual(stem, (1, 2, 2, 2), classes)


def fit(model, x, y, epochs=10, rate=0.005):
    """Train on batches of 32 with Adam; the rate falls to zero in a straight line."""
    steps = epochs * -(-len(x) // 32)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(32):
            rows = rows.to(x.device)
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()


def sick_train(model, x, y):
    fit(model, x, y)


# %% sick-program tags=["tensorflow"]
import keras
from keras import layers


def conv_norm(x, filters, kernel, stride=1):
    x = layers.Conv2D(filters, kernel, strides=stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def block(x, filters, stride):
    """Two convolutions and a shortcut around them; a stride of 2 halves the map."""
    short = x
    if stride != 1 or x.shape[-1] != filters:
        # A stride in the 1x1 kernel itself crashes TensorFlow's CPU gradient on large maps.
        short = layers.MaxPooling2D(1, strides=stride)(x) if stride != 1 else x
        short = conv_norm(short, filters, 1)
    x = layers.ReLU()(conv_norm(x, filters, 3, stride))
    x = conv_norm(x, filters, 3)
    return layers.ReLU()(layers.Add()([x, short]))


def residual(inputs, x, strides, classes):
    """From the stem's output x: four blocks, the average of the last map, and logits."""
    for filters, stride in zip((8, 16, 32, 64), strides, strict=True):
        x = block(x, filters, stride)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


def build_sick(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.ReLU()(conv_norm(inputs, 8, 7, stride=2))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return residual(inputs, x, (1, 2, 2, 2), classes)


def fit(model, x, y, epochs=10, rate=0.01):
    """Train on batches of 32 with Adam; the rate falls to zero in a straight line."""
    steps = epochs * -(-len(x) // 32)
    falling = keras.optimizers.schedules.PolynomialDecay(rate, steps, end_learning_rate=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Compiling with XLA takes longer than these few steps.
    model.compile(optimizer=keras.optimizers.Adam(falling), loss=loss, jit_compile=False)
    # Built before, the optimizer lets Keras trace the step once, not twice.
    if model.built:
        model.optimizer.build(model.trainable_variables)
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)


def sick_train(model, x, y):
    fit(model, x, y)


# %% [markdown] sick-table-story tags=["pytorch"]
# Before anything is trained: what every layer gives. `torchinfo.summary` lists the shapes, channels
# first, with parameters and multiply-adds.

# %% [markdown] sick-table-story tags=["tensorflow"]
# Before anything is trained: what every layer gives. `model.summary()` lists the shapes, height and
# width first, with the parameters.

# %% sick-table tags=["pytorch"]
import torchinfo

lab.fw.set_seed(lab.seed)
sick = build_sick(20, 10)
print(
    torchinfo.summary(
        sick,
        input_size=(1, 3, 20, 20),
        depth=1,
        device=lab.device,
        col_names=("output_size", "num_params", "mult_adds"),
        verbose=0,
    )
)

# %% sick-table tags=["tensorflow"]
lab.fw.set_seed(lab.seed)
sick = build_sick(20, 10)
sick.summary(line_length=90)

# %% [markdown] sick-run-story
# Two things are measured. The first needs no training. A window of 3x3 has nine positions. On a map
# of one position, eight of them always lie outside, on the zeros that padding puts there; their
# weights are multiplied by nothing but zeros, and their gradient is exactly zero. The instrument
# counts such weights.
#
# The second is a linear probe: from what a layer gives, a linear classifier reads the letter, fitted
# on 300 images and tested on the unseen ones. It is done for the image itself, and for the last layer
# before the map becomes smaller, once before training and once after.

# %% sick-run
from grader.instruments import downsampling


def probe(model):
    return downsampling.measure_stages(
        lab.fw, model, x[:300], labels[:300], x_unseen, unseen.labels
    )


def right(model, images, truth):
    return (lab.fw.predict(model, images).argmax(axis=1) == truth).mean()


sick_use = downsampling.measure_downsampling(lab.fw, sick, x[:16], labels[:16])
sick_before = probe(sick)
sick_train(sick, x, y)
sick_stages = probe(sick)

tiny = lab.fw.small_network(20, 10, width=8, seed=lab.seed, device=lab.device)
lab.fw.train(
    tiny, x, labels, steps=160, batch_size=32, learning_rate=0.01, optimizer="adam", seed=lab.seed
)
for name, model in (("residual network", sick), ("three convolutions", tiny)):
    print(
        f"{name:20s}{lab.fw.parameter_count(model):8,d} parameters, right on training images "
        f"{right(model, x, labels):4.0%}, on unseen ones {right(model, x_unseen, unseen.labels):4.0%}"
    )

# %% signature tags=["picture"]
lab.show(
    downsampling.draw_downsampling(
        {"sick": sick_use}, {"sick, before training": sick_before, "sick": sick_stages}, 10
    ),
    f"{downsampling.say_downsampling(sick_use)} {downsampling.say_stages(sick_stages)}",
)

# %% [markdown] diagnosis-question
# ## Why does the larger network read less?
#
# | `cause` | what it would mean |
# |---|---|
# | `"too-deep"` | The gradient does not get through nine convolutions behind one another. |
# | `"too-few-filters"` | Eight to 64 filters cannot describe ten letters. |
# | `"learning-rate"` | The network is trained with the wrong steps. |
# | `"overfitting"` | 500 images are too few for so many weights. |
# | `"early-downsampling"` | The map is nearly gone before the layers look at it. |
# | `"missing-normalisation"` | The numbers grow or shrink from layer to layer. |
#
# Name the cause, and read off which percentage of the weights is multiplied by nothing but padding.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "early-downsampling"
reading = 100 * sick_use.idle
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## Give the layers something to look at
#
# Two functions are measured. `build_model(size, classes)` returns a fresh model that gives logits.
# `train(model, x, y)` trains it in place. Change either or both.
#
# The check asks five things in turn. Does the model take at most three times the multiply-adds of a
# healthy one? Has it at most twice the parameters of the sick one? Do its weights meet pixels? After
# training, can the letters be read linearly off its last map? And are unseen images recognised about
# as well as by three convolutions? A model that does not pass the first three is not trained.


# %% repair tags=["answer", "pytorch"]
def build_model(size, classes):
    stem = [
        nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    strides = (1, 2, 2, 2)
    ### BEGIN SOLUTION
    stem = [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    strides = (1, 2, 2, 1)
    ### END SOLUTION
    return residual(stem, strides, classes)


def train(model, x, y):
    sick_train(model, x, y)


# %% repair tags=["answer", "tensorflow"]
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.ReLU()(conv_norm(inputs, 8, 7, stride=2))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    strides = (1, 2, 2, 2)
    ### BEGIN SOLUTION
    x = layers.ReLU()(conv_norm(inputs, 8, 3))
    strides = (1, 2, 2, 1)
    ### END SOLUTION
    return residual(inputs, x, strides, classes)


def train(model, x, y):
    sick_train(model, x, y)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# The same images, seed, probe and count, with the repair in between.

# %% proof tags=["proof"]
lab.fw.set_seed(lab.seed)
repaired = build_model(20, 10)
use = downsampling.measure_downsampling(lab.fw, repaired, x[:16], labels[:16])
train(repaired, x, y)
stages = probe(repaired)
lab.show(
    downsampling.draw_downsampling(
        {"sick": sick_use, "repaired": use}, {"sick": sick_stages, "repaired": stages}, 10
    ),
    f"{downsampling.say_downsampling(use)} {downsampling.say_stages(stages)}",
)
for name, model in (("sick", sick), ("repaired", repaired)):
    print(
        f"{name:10s}{lab.fw.multiply_adds(model, x):10,d} multiply-adds an image, right on unseen "
        f"{right(model, x_unseen, unseen.labels):.0%}"
    )

# %% [markdown] price-story
# The repair is not free. The table shows where the multiply-adds went.

# %% price tags=["proof"]
from grader.instruments import layer_table

for model in (sick, repaired):
    table = layer_table.measure_layers(lab.fw, model, x[:4])
    costly = [row for row in table.rows if row.multiply_adds > 0.04 * table.multiply_adds]
    print(layer_table.say_layers(table))
    for row in costly:
        gives = " x ".join(str(n) for n in row.shape)
        print(f"    {row.name:24s}{gives:>14s}{row.multiply_adds / table.multiply_adds:7.0%}")

# %% [markdown] real-story tags=["pytorch"]
# ## The real one
#
# torchvision's ResNet-18, with random weights and without a download, on an image of CIFAR's size, 32
# pixels; then with the two lines changed that the literature on CIFAR changes. `FlopCounterMode`
# counts two operations a multiply-add.

# %% [markdown] real-story tags=["tensorflow"]
# ## The real one
#
# Keras's ResNet50, with random weights and without a download, accepts an image of CIFAR's size, 32
# pixels, and says nothing; 32 is the smallest size that it accepts. Below is the map at the end of
# each of its stages, and what it would be on a photograph.

# %% real tags=["proof", "pytorch"]
import torchvision
from torch.utils.flop_counter import FlopCounterMode

small_images = torch.randn(2, 3, 32, 32)
real = torchvision.models.resnet18(num_classes=10)
for name in ("as it comes", "stem replaced"):
    if name == "stem replaced":
        real.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        real.maxpool = nn.Identity()
    rows = torchinfo.summary(real, input_size=(1, 3, 32, 32), depth=1, device="cpu", verbose=0)
    sides = [row.output_size[-1] for row in rows.summary_list if row.depth == 1]
    with FlopCounterMode(display=False) as counter:
        real.eval()(small_images[:1])
    used = downsampling.measure_downsampling(lab.fw, real, small_images, labels[:2])
    print(f"{name}: sides 32 {' '.join(str(side) for side in sides[:8])}")
    print(f"    {counter.get_total_flops() / 2e6:,.0f} million multiply-adds")
    print(f"    {downsampling.say_downsampling(used)}")

# %% real tags=["proof", "tensorflow"]
for side in (32, 224):
    real = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(side, side, 3))
    ends = ("conv1_relu", "pool1_pool", *(f"conv{n}_block1_out" for n in (2, 3, 4, 5)))
    maps = [real.get_layer(name).output.shape[1] for name in ends]
    print(f"image {side}, then maps of side {' '.join(str(n) for n in maps)}")
at_one = [layer for layer in real.layers if layer.name.startswith("conv5")]
share = sum(layer.count_params() for layer in at_one) / real.count_params()
print(f"{share:.0%} of its parameters are in the last stage, which has one position at 32 pixels")

# %% [markdown] advice-story
# ## Where advice and measurement part
#
# *"Every pooling throws information away."* *"Average pooling is gentler than max pooling."* *"A
# global average forgets where things are; use `Flatten`."* Each is measured below on three
# convolutions, with one thing changed at a time. Two tasks: the letters, which may lie anywhere, and
# tiles with the sea along one side, where the side is the class.


# %% advice-models tags=["proof", "pytorch"]
def three(poolings, kind="max", head="average", classes=10):
    """Three convolutions; of up to five poolings, the first three stand behind them in turn."""
    stack, channels = [], 3
    pool = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}[kind]
    for number, filters in enumerate((8, 16, 16)):
        stack += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU()]
        stack += [pool(2)] if number < poolings else []
        channels = filters
    stack += [pool(2)] * (poolings - 3)
    if head == "flatten":
        return nn.Sequential(*stack, nn.Flatten(), nn.LazyLinear(classes))
    return nn.Sequential(*stack, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, classes))


# %% advice-models tags=["proof", "tensorflow"]
def three(poolings, kind="max", head="average", classes=10):
    """Three convolutions; of up to five poolings, the first three stand behind them in turn."""
    pool = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}[kind]
    model = keras.Sequential([keras.Input((20, 20, 3))])
    for number, filters in enumerate((8, 16, 16)):
        model.add(layers.Conv2D(filters, 3, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
        if number < poolings:
            model.add(pool(2))
    for _ in range(poolings - 3):
        model.add(pool(2))
    model.add(layers.Flatten() if head == "flatten" else layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


# %% advice-table tags=["proof"]
from grader.datasets import shores

seas = shores.draw(lab.data, "train", 200, size=20, seed=lab.seed)
seas_unseen = shores.draw(lab.data, "test", 300, size=20, seed=lab.seed)
tasks = {
    "letter": (x, labels, x_unseen, unseen.labels),
    "side of the sea": (
        lab.fw.from_images(seas.images / 127.5 - 1, lab.device),
        seas.labels,
        lab.fw.from_images(seas_unseen.images / 127.5 - 1, lab.device),
        seas_unseen.labels,
    ),
}


def row(task, **changes):
    known, truth, held, held_truth = tasks[task]
    lab.fw.set_seed(lab.seed)
    model = three(classes=int(truth.max()) + 1, **changes)
    lab.fw.predict(model, known[:2])
    (logits,) = lab.fw.outputs_after_training(
        model, [(known, truth)], held, steps=80, batch_size=32, learning_rate=0.01, seed=lab.seed
    )
    said = f"{(logits.argmax(axis=1) == held_truth).mean():.0%}"
    print(
        f"{task:16s}{changes['poolings']:5d} {changes.get('kind', 'max'):8s}"
        f"{changes.get('head', 'average'):8s}{lab.fw.multiply_adds(model, known):12,d}{said:>8s}"
    )


print("task            poolings     head     multiply-adds   unseen")
for poolings in (1, 2, 4):
    row("letter", poolings=poolings)
row("letter", poolings=2, kind="average")
row("letter", poolings=2, head="flatten")
row("side of the sea", poolings=2)
row("side of the sea", poolings=2, head="flatten")

# %% [markdown] advice-reading
# Go down the first three lines. From the first pooling to the second, the layer behind sees twice as
# much of the image, and the whole becomes cheaper. Do two more still help? Three convolutions have
# looked at the image before the fourth one, and it costs them nothing: what matters is not how many
# poolings there are, but what has been computed before each. The sick network has two before
# its first block.
#
# Compare the lines on the head by task. The letter lies anywhere, and a head that keeps the place has
# to learn it anew for every place. The sea's side is a place, and still the average can tell it: the
# padding along the border has marked it for the convolutions.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# A map of one position leaves a GPU idle as well: there is one product for each weight, and the
# weights have to be fetched for it. The repaired network does more multiply-adds for every byte it
# fetches, so the time grows less than the count. With `channels_last` and `torch.amp.autocast` large
# maps gain most. Measure it with your batch size before you choose the cheaper stem for its cost.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# A map of one position leaves a GPU idle as well: there is one product for each weight, and the
# weights have to be fetched for it. The repaired network does more multiply-adds for every byte it
# fetches, so the time grows less than the count. With `jit_compile=True` and the policy
# `mixed_float16` large maps gain most. Measure it with your batch size before you choose the cheaper
# stem for its cost.

# %% [markdown] read-on
# ## Read on
#
# - K. He, X. Zhang, S. Ren and J. Sun, *Deep Residual Learning for Image Recognition* (2015): table 1
#   is the network for photographs, section 4.2 the one for CIFAR-10, with another stem.
# - G. Alain and Y. Bengio, *Understanding intermediate layers using linear classifier probes* (2016).
# - R. Zhang, *Making Convolutional Networks Shift-Invariant Again* (2019): what a stride does to
#   detail, and a blur before it.
# - F. Yu and V. Koltun, *Multi-Scale Context Aggregation by Dilated Convolutions* (2015): to see more
#   of the image without a smaller map.
# - M. Richter, J. Schöning, A. Wiedenroth and U. Krumnack, *Should You Go Deeper?* (2021): layers that
#   improve nothing because the image is too small for them, found with linear probes.
