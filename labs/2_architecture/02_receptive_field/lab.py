# ---
# title: Two things that are never seen together
# symptom: The network is right wherever the two masts stand close together, and guesses where they stand far apart.
# minutes: 35
# difficulty: 2
# learn:
#   - measure how far the units of a map see, and how much
#   - tell a field that is too small from too few filters, too few epochs and too small a dense layer
#   - widen it with kernels, dilation, layers, strides, pooling or attention, and say what each costs
#   - know what a large kernel with a large stride loses in exchange
# sources: ["000/10", "001/42", "002/56", "003/74"]
# seconds: {pytorch: 35, tensorflow: 55}
# hints:
#   diagnosis:
#     - Look at the pairs that are told apart and at those that are not. What do the filters have to see at once?
#     - Compare the square in the left picture with the two masts. Which unit of the last map sees both of them?
#     - The cause is the one that is about how far a unit sees; the reading is `sick_field.side`.
#   repair:
#     - Every convolution adds (kernel - 1) times its dilation to the side of the field, times all strides before it. What does it come to now, and what does a far pair take?
#     - The side must grow from 7 to 14 pixels at least. More filters and a larger dense layer add nothing to it. Which settings of a convolution do?
#     - A dilation of 2 in the second convolution and of 4 in the third makes the side 15, for the same multiply-adds. The padding grows along with it.
# ---

# %% [markdown] story
# From a plane, the wires of a power line cannot be seen, only its masts. A network is to say in
# which direction a line runs: level or upright in the picture, judged by two masts.
#
# What somebody saw: it is right on nearly every pair of masts that stand close together, and on
# about half of those that stand far apart. There are two answers, so that is guessing.
#
# They have already tried twice the filters.

# %% images
import numpy as np
from grader.datasets.masts import DISTANCES, four_pairs, paint_masts


def pairs_of_masts(split, n, size=28):
    """Images uint8 (n, size, size, 3) with labels 0 (level) and 1 (upright), and what was drawn."""
    painted, truth = paint_masts(lab.draw(split, n, size), split, lab.seed)
    return painted.images, painted.labels, truth.parameters


images, labels, drawn = pairs_of_masts("train", 300)
unseen_images, unseen_labels, unseen_drawn = pairs_of_masts("test", 600)
mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))


def prepare(images):
    return lab.fw.from_images((images - mean) / std, lab.device)


x, y = prepare(images), lab.fw.from_labels(labels, lab.device)
x_unseen = prepare(unseen_images)
print(f"{len(images)} images of {images.shape[1]} pixels, masts {DISTANCES} pixels apart")

# %% [markdown] program
# Three convolutions 3x3 with eight filters each, then the maximum of every filter over the whole map
# and one dense layer. A line may lie anywhere, so the maximum is a good idea: it answers whether
# there is a place that looks like this. Adam, with a rate that falls in a straight line.

# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.nn import functional as F


def block(inputs, filters, kernel, stride=1, dilation=1):
    """Convolution, normalisation and ReLU; with stride 1 the map keeps its size."""
    padding = dilation * (kernel // 2)
    return [
        nn.Conv2d(inputs, filters, kernel, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
    ]


def over_the_map(filters, classes):
    """The maximum of every filter over the map, and a dense layer."""
    return [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(filters, classes)]


def build_sick(size, classes):
    return nn.Sequential(
        *block(3, 8, 3), *block(8, 8, 3), *block(8, 8, 3), *over_the_map(8, classes)
    ).to(lab.device)


def fit(model, x, y, epochs=10, rate=0.02):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    steps = epochs * -(-len(x) // 25)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=steps)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(25):
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


def block(filters, kernel, stride=1, dilation=1):
    """Convolution, normalisation and ReLU; with stride 1 the map keeps its size."""
    return [
        layers.Conv2D(
            filters, kernel, stride, padding="same", dilation_rate=dilation, use_bias=False
        ),
        layers.BatchNormalization(momentum=0.9),  # so few steps need a short memory
        layers.ReLU(),
    ]


def over_the_map(classes):
    """The maximum of every filter over the map, and a dense layer."""
    return [layers.GlobalMaxPooling2D(), layers.Dense(classes)]


def build_sick(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(8, 3),
            *block(8, 3),
            *block(8, 3),
            *over_the_map(classes),
        ]
    )


def fit(model, x, y, epochs=10, rate=0.02):
    falling = keras.optimizers.schedules.PolynomialDecay(rate, epochs * -(-len(x) // 25), 0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Compiling with XLA takes longer than these few steps.
    model.compile(keras.optimizers.Adam(falling), loss, jit_compile=False)
    # Built before, the optimizer lets Keras trace the step once, not twice.
    if model.built:
        model.optimizer.build(model.trainable_variables)
    model.fit(x, y, batch_size=25, epochs=epochs, verbose=0)


def sick_train(model, x, y):
    fit(model, x, y)


# %% sick-run
from grader.instruments import receptive_field


def by_distance(model):
    """Accuracy on unseen images for each distance of the masts."""
    predicted = lab.fw.predict(model, x_unseen).argmax(axis=1)
    return receptive_field.measure_by_distance(predicted, unseen_labels, unseen_drawn["distance"])


lab.fw.set_seed(lab.seed)
sick = build_sick(28, 2)
sick_field = receptive_field.measure_fields(lab.fw, sick, x[:32])[-1]
sick_train(sick, x, y)
sick_by_distance = by_distance(sick)
print(receptive_field.say_by_distance(sick_by_distance))

# %% [markdown] sick-field-story
# One position in the middle of the last map: which pixels of the image does it depend on, and how
# much? The instrument differentiates it with respect to the image, over 32 images. The pixels with a
# gradient are the *receptive field*. Below, it is laid over an unseen image between two masts, drawn
# by itself, and the accuracy stands beside it.

# %% signature-picture tags=["picture"]
far = int(np.flatnonzero(unseen_drawn["distance"] == 12)[0])
example = unseen_images[far], unseen_drawn["top"][far], unseen_drawn["left"][far]
lab.show(
    receptive_field.draw_fields(
        *example, {"sick": sick_field}, {"sick": sick_by_distance}, guessing=1 / 2
    ),
    receptive_field.say_field(sick_field, distance=12, mark=2),
)

# %% [markdown] diagnosis-question
# ## Why are far pairs guessed?
#
# | `cause` | what it would mean |
# |---|---|
# | `"too-few-filters"` | Eight filters a layer cannot describe the pairs. |
# | `"too-little-training"` | More epochs are needed. |
# | `"imbalance"` | There are too few far pairs, or too many of one direction. |
# | `"learning-rate"` | The steps are too long or too short. |
# | `"receptive-field"` | The units of the last map do not see far enough. |
# | `"stride"` | The convolutions step over what matters. |
# | `"small-dense-layer"` | One dense layer is too little behind the maximum. |
#
# Name the cause, and read off the side of what the middle of the last map sees, in pixels.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "receptive-field"
reading = sick_field.side
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## See them together
#
# Two functions are measured. `build_model(size, classes)` returns a fresh model that gives logits,
# for images of 28 pixels. `train(model, x, y)` trains it in place. Change either or both, and keep
# within five times the multiply-adds of the sick model.
#
# The check looks at five things in turn. Does it change the logits how two far masts lie? What does
# the model cost? Is it right on far pairs, on near ones, and on those between? One training in fifty
# ends far below what its model can do; the check then starts again, up to three times in all.


# %% repair tags=["answer", "pytorch"]
def build_model(size, classes):
    model = build_sick(size, classes)
    ### BEGIN SOLUTION
    model = nn.Sequential(
        *block(3, 8, 3),
        *block(8, 8, 3, dilation=2),
        *block(8, 8, 3, dilation=4),
        *over_the_map(8, classes),
    ).to(lab.device)
    ### END SOLUTION
    return model


def train(model, x, y):
    sick_train(model, x, y)


# %% repair tags=["answer", "tensorflow"]
def build_model(size, classes):
    model = build_sick(size, classes)
    ### BEGIN SOLUTION
    model = keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(8, 3),
            *block(8, 3, dilation=2),
            *block(8, 3, dilation=4),
            *over_the_map(classes),
        ]
    )
    ### END SOLUTION
    return model


def train(model, x, y):
    sick_train(model, x, y)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# The same images and the same seed. Then a control: on the same ground, masts are set anew, and the
# labels stay those of the old ones. Whoever is right about them has found a leak.

# %% proof tags=["proof"]
lab.fw.set_seed(lab.seed)
repaired = build_model(28, 2)
field = receptive_field.measure_fields(lab.fw, repaired, x[:32])[-1]
train(repaired, x, y)
repaired_by_distance = by_distance(repaired)
lab.show(
    receptive_field.draw_fields(
        *example,
        {"sick": sick_field, "repaired": field},
        {"sick": sick_by_distance, "repaired": repaired_by_distance},
        guessing=1 / 2,
    ),
    receptive_field.say_by_distance(repaired_by_distance),
)
anew = paint_masts(lab.draw("test", 600, 28), "test", lab.seed, "anew")[0].images
shown_anew = lab.fw.predict(repaired, prepare(anew)).argmax(axis=1)
print(
    f"control, old labels for masts set anew: right on {(shown_anew == unseen_labels).mean():.0%}"
)

# %% [markdown] advice-story
# ## Where advice and measurement part
#
# Advice, followed and trained: ten epochs more; twice the filters, with a dense layer of 256 units
# behind them. Then come two ways to widen the field. `relation` tells what reaches the logits. Two far
# masts stand on plain ground, twice level and twice upright, so that single masts stand in the same
# places in both. The number says what their relation changes in the logits, as a share of what the
# masts change at all.


# %% advice tags=["proof", "pytorch"]
designs = {
    "twice as wide, dense": lambda: [
        *block(3, 16, 3), *block(16, 16, 3), *block(16, 16, 3),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 256), nn.ReLU(), nn.Linear(256, 2),
    ],
    "eight layers": lambda: [
        *block(3, 8, 3), *(layer for _ in range(7) for layer in block(8, 8, 3)),
        *over_the_map(8, 2),
    ],
    "pooling between": lambda: [
        *block(3, 8, 3), nn.MaxPool2d(2), *block(8, 16, 3), nn.MaxPool2d(2), *block(16, 16, 3),
        *over_the_map(16, 2),
    ],
}  # fmt: skip


def make(name):
    return nn.Sequential(*designs[name]()).to(lab.device)


# %% advice tags=["proof", "tensorflow"]
designs = {
    "twice as wide, dense": lambda: [
        *block(16, 3), *block(16, 3), *block(16, 3),
        layers.GlobalMaxPooling2D(), layers.Dense(256, activation="relu"), layers.Dense(2),
    ],
    "eight layers": lambda: [
        *(layer for _ in range(8) for layer in block(8, 3)), *over_the_map(2),
    ],
    "pooling between": lambda: [
        *block(8, 3), layers.MaxPooling2D(), *block(16, 3), layers.MaxPooling2D(), *block(16, 3),
        *over_the_map(2),
    ],
}  # fmt: skip


def make(name):
    return keras.Sequential([keras.Input((28, 28, 3)), *designs[name]()])


# %% advice-table tags=["proof"]
pairs = prepare(four_pairs(28, 12))


def row(name, model, by):
    cost = lab.fw.multiply_adds(model, x)
    relation = receptive_field.measure_relation(lab.fw, model, pairs)
    side = receptive_field.measure_fields(lab.fw, model, x[:32])[-1].side
    right = " ".join(f"{a:6.0%}" for a in by.accuracy)
    print(f"{name:24s}{side:6d} px{relation:10.0e}{cost / 1e6:9.2f} M  {right}")


print(f"{'':24s}{'field':>9s}{'relation':>10s}{'mult-adds':>11s}   right at {DISTANCES} px")
row("sick", sick, sick_by_distance)
fit(sick, x, y)
row("sick, 10 epochs more", sick, by_distance(sick))
for name in designs:
    lab.fw.set_seed(lab.seed)
    model = make(name)
    fit(model, x, y)
    row(name, model, by_distance(model))
row("your repair", repaired, repaired_by_distance)

# %% [markdown] advice-reading
# Read the first three rows down the column `relation`: epochs, filters and a dense layer leave it at
# zero or at the rounding of float32, and the accuracy at 12 pixels at that of guessing. What they
# change is what is made of the same seven pixels. Then look at the eight layers. By arithmetic they
# see 17 pixels, and a far pair takes 14. But from layer to layer there are many ways to the middle
# of a field and few to its rim, so the rim weighs little at first. Compare the last column and the
# price with those of the pooling below.
#
# ## Attention knows what, not where
#
# Attention lets every position look at every other one, so its field is the whole image at once.
# Does that repair the network? Below is one attention layer over the patches of 4 pixels of the last
# map, untrained, first as it comes, then with the place of every patch added to it, and for
# comparison *squeeze and excitation*, which weighs the filters by their mean over the whole map.


# %% attention tags=["proof", "pytorch"]
class Attention(nn.Module):
    """Every position asks every other one; `places` (positions, channels) is added first."""

    def __init__(self, channels, places=0.0):
        super().__init__()
        self.places = places
        self.attend = nn.MultiheadAttention(channels, 2, batch_first=True)
        self.mix = nn.Sequential(nn.Linear(channels, 32), nn.ReLU(), nn.Linear(32, channels))

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2) + self.places
        tokens = tokens + self.attend(tokens, tokens, tokens, need_weights=False)[0]
        return (tokens + self.mix(tokens)).amax(dim=1)


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(channels, channels), nn.Sigmoid())

    def forward(self, x):
        return x * self.gate(x.mean(dim=(2, 3)))[:, :, None, None]


def attentive(places):
    torch.manual_seed(lab.seed)
    return nn.Sequential(
        *block(3, 8, 3), *block(8, 8, 3), *block(8, 16, 3), nn.MaxPool2d(4),
        Attention(16, places), nn.Linear(16, 2),
    ).to(lab.device)  # fmt: skip


global_context = {
    "attention": attentive(0.0),
    "attention with places": attentive(torch.randn(49, 16, device=lab.device)),
    "squeeze and excitation": nn.Sequential(
        *block(3, 8, 3), *block(8, 8, 3), SqueezeExcite(8), *block(8, 8, 3), *over_the_map(8, 2)
    ).to(lab.device),
}


# %% attention tags=["proof", "tensorflow"]
def attentive(places):
    image = keras.Input((28, 28, 3))
    tokens = image
    for layer in [*block(8, 3), *block(8, 3), *block(16, 3), layers.MaxPooling2D(4)]:
        tokens = layer(tokens)
    tokens = layers.Reshape((49, 16))(tokens) + places
    tokens = tokens + layers.MultiHeadAttention(2, 8)(tokens, tokens)
    tokens = tokens + layers.Dense(16)(layers.Dense(32, activation="relu")(tokens))
    return keras.Model(image, layers.Dense(2)(layers.GlobalMaxPooling1D()(tokens)))


def squeezed():
    image = keras.Input((28, 28, 3))
    maps = image
    for layer in [*block(8, 3), *block(8, 3)]:
        maps = layer(maps)
    weights = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling2D()(maps))
    maps = maps * layers.Reshape((1, 1, 8))(weights)
    for layer in [*block(8, 3), *over_the_map(2)]:
        maps = layer(maps)
    return keras.Model(image, maps)


keras.utils.set_random_seed(lab.seed)
global_context = {
    "attention": attentive(0.0),
    "attention with places": attentive(keras.random.normal((49, 16))),
    "squeeze and excitation": squeezed(),
}

# %% attention-table tags=["proof"]
for name, model in global_context.items():
    relation = receptive_field.measure_relation(lab.fw, model, pairs)
    print(f"{name:24s} relation {relation:.0e}")

# %% [markdown] attention-reading
# Without places, attention is as blind as the sick network. It sees every mast, and a set of
# patches has no left and no below. Squeeze and excitation sees the whole map too, and reduces it to
# one number for each filter. A wide field is not enough; what arrives must still say where. With
# places the relation is there before the first step, and the check lets it pass.
#
# ## The other way round
#
# Large kernels with large strides are the classic way to a wide field: the first layer of AlexNet
# was 11x11 with stride 4. It is said to lose fine detail, such as stripes of two pixels. Here are
# patches of stripes, level or upright, on the same ground and in any phase, and three first layers:
# 3x3 with stride 1, 11x11 with stride 4, and 1x1 with stride 4, which steps over what it does not
# look at.


# %% stripes tags=["proof"]
def stripes(split, n, width):
    """Ground with a patch of 8 x 8 pixels of stripes, uint8, and the direction, 0 or 1."""
    ground = lab.draw(split, n, 28).images // 2
    random = np.random.default_rng([lab.seed, n, width])
    direction = np.arange(n) % 2
    for image, upright in zip(ground, direction, strict=True):
        top, left = random.integers(0, 21, 2)
        bright = 90 * ((np.arange(8) + random.integers(0, 2 * width)) // width % 2)
        patch = np.tile(bright, (8, 1)) if upright else np.tile(bright, (8, 1)).T
        image[top : top + 8, left : left + 8] += patch[..., None].astype(np.uint8)
    return ground, direction


def prepared(images):
    return lab.fw.from_images(np.concatenate(images) / 64.0 - 1, lab.device)


# %% first-layers tags=["proof", "pytorch"]
def first_layer(kernel, stride):
    return nn.Sequential(*block(3, 8, kernel, stride), *block(8, 8, 3), *over_the_map(8, 2)).to(
        lab.device
    )


# %% first-layers tags=["proof", "tensorflow"]
def first_layer(kernel, stride):
    if kernel == 1:
        # The same layer: step first, then convolve. With several CPU threads, the gradient of a
        # 1x1 convolution with a stride may end the process.
        first = [layers.MaxPooling2D(1, stride), *block(8, 1)]
    else:
        first = block(8, kernel, stride)
    return keras.Sequential([keras.Input((28, 28, 3)), *first, *block(8, 3), *over_the_map(2)])


# %% stripes-table tags=["proof"]
striped = [stripes("train", 300, width) for width in (1, 2)]
striped_unseen = prepared([stripes("test", 400, width)[0] for width in (1, 2)])
striped = [(prepared([images]), direction) for images, direction in striped]
print("first layer        multiply-adds   right on stripes of 1 px   2 px")
for kernel, stride in ((3, 1), (11, 4), (1, 4)):
    lab.fw.set_seed(lab.seed)
    model = first_layer(kernel, stride)
    outputs = lab.fw.outputs_after_training(
        model, striped, striped_unseen, steps=120, batch_size=25, learning_rate=0.02
    )
    # Row k of the outputs is trained on the k-th width, and asked about that width's images.
    right = [
        (outputs[k, 400 * k : 400 * (k + 1)].argmax(axis=1) == np.arange(400) % 2).mean()
        for k in range(2)
    ]
    cost = lab.fw.multiply_adds(model, x) / 1e6
    print(f"{kernel:3d}x{kernel:<3d}stride {stride}{cost:14.2f} M{right[0]:24.0%}{right[1]:7.0%}")

# %% [markdown] tweak-story
# Compare the second row with the first: a stride of four does not lose stripes as long as the kernel
# is wider than the stride, because a filter with stripes in it still meets them. The last row loses
# them. It looks at every fourth pixel, and stripes of one and of two pixels repeat after two and
# after four, so every look meets the same shade. That is aliasing, and no layer behind it can undo
# it. What a stride costs otherwise is place: the map tells where something is to four pixels only.
#
# ## Does a slight tweak of a kernel matter?
#
# It is said that a slight tweak of the kernel sizes changes the accuracy dramatically. Here the
# first kernel grows from 3x3 to 11x11, with two seeds each. The last line compares how far kernels
# lie apart with how far seeds do.


# %% tweak tags=["proof", "pytorch"]
def with_first_kernel(kernel):
    return nn.Sequential(
        *block(3, 8, kernel), *block(8, 8, 3), *block(8, 8, 3), *over_the_map(8, 2)
    ).to(lab.device)


# %% tweak tags=["proof", "tensorflow"]
def with_first_kernel(kernel):
    return keras.Sequential(
        [
            keras.Input((28, 28, 3)),
            *block(8, kernel),
            *block(8, 3),
            *block(8, 3),
            *over_the_map(2),
        ]
    )


# %% tweak-table tags=["proof"]
accuracies = {}
for kernel in (3, 7, 11):
    for seed in (1, 2):
        lab.fw.set_seed(lab.seed + seed)
        model = with_first_kernel(kernel)
        (outputs,) = lab.fw.outputs_after_training(
            model, [(x, labels)], x_unseen,
            steps=90, batch_size=25, learning_rate=0.02, seed=seed,
        )  # fmt: skip
        accuracies[kernel, seed] = receptive_field.measure_by_distance(
            outputs.argmax(axis=1), unseen_labels, unseen_drawn["distance"]
        ).accuracy
print(f"first kernel   field   right at {DISTANCES} px, two seeds")
for kernel in (3, 7, 11):
    side = receptive_field.theoretical_side([(kernel, 1, 1), (3, 1, 1), (3, 1, 1)])
    both = "   ".join(" ".join(f"{a:5.0%}" for a in accuracies[kernel, seed]) for seed in (1, 2))
    print(f"{kernel:6d}x{kernel:<5d}{side:6d} px   {both}")
means = {key: accuracy.mean() for key, accuracy in accuracies.items()}
of_kernels = [np.mean([means[kernel, seed] for seed in (1, 2)]) for kernel in (3, 7, 11)]
of_seeds = [abs(means[kernel, 1] - means[kernel, 2]) for kernel in (3, 7, 11)]
print(f"accuracy over all distances: kernels lie {np.ptp(of_kernels):.2f} apart, ", end="")
print(f"seeds {np.mean(of_seeds):.2f} on average")

# %% [markdown] tweak-reading
# The saying is right, and it is not a matter of luck. A pair at 4, 8 and 12 pixels takes a field of
# 6, 10 and 14 pixels, mast included. Below such a number the accuracy is that of guessing; just above
# it the pair lies on the rim of the field, and seeds may still differ. Whoever compares kernel sizes
# should print the spread over seeds beside them, as here, and the field.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# What a wide field costs in multiply-adds is not what it costs in seconds. cuDNN has kernels tuned
# for 3x3 and stride 1; a dilated or a depthwise convolution does fewer multiply-adds in a second, as
# it fetches more memory for each. `torch.backends.cudnn.benchmark = True` lets cuDNN try its
# algorithms for your sizes. With `need_weights=False`, `nn.MultiheadAttention` calls
# `F.scaled_dot_product_attention`, which need not store the matrix of all pairs, so attention over
# large maps fits into memory.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# What a wide field costs in multiply-adds is not what it costs in seconds. cuDNN has kernels tuned
# for 3x3 and stride 1; a dilated or a depthwise convolution does fewer multiply-adds in a second, as
# it fetches more memory for each. `jit_compile=True` lets XLA fuse the normalisation and the ReLU
# behind a convolution. `keras.config.enable_flash_attention()` makes `MultiHeadAttention` use a
# kernel that does not store the matrix of all pairs, where the GPU has one.

# %% [markdown] read-on
# ## Read on
#
# - W. Luo, Y. Li, R. Urtasun and R. Zemel, *Understanding the Effective Receptive Field in Deep
#   Convolutional Neural Networks* (2016): the picture of this lab, and why its middle is dark.
# - F. Yu and V. Koltun, *Multi-Scale Context Aggregation by Dilated Convolutions* (2016).
# - M. Zeiler and R. Fergus, *Visualizing and Understanding Convolutional Networks* (2014): what
#   AlexNet's 11x11 kernels with stride 4 missed, and what 7x7 with stride 2 found.
# - X. Wang, R. Girshick, A. Gupta and K. He, *Non-local Neural Networks* (2018); J. Hu, L. Shen and
#   G. Sun, *Squeeze-and-Excitation Networks* (2018).
# - PyTorch documentation, *torch.nn.Conv2d*; Keras documentation, *Conv2D layer*.
