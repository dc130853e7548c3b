# ---
# title: The gradient that never arrives
# symptom: Somebody made a network deeper, and its loss has not moved from the loss of guessing since the first step.
# minutes: 35
# difficulty: 2
# learn:
#   - read the gradient of every layer, relative to its own weights
#   - tell a vanishing gradient from a small learning rate, wrong labels and dead units
#   - repair it with initial weights, normalisation, shortcuts or fewer layers
#   - know what Adam, clipping and longer training can and cannot do about it
# sources: ["000/13", "000/14", "000/21", "001/42", "002/55", "003/73"]
# seconds: {pytorch: 30, tensorflow: 50}
# hints:
#   diagnosis:
#     - A single number multiplies every layer's gradient alike. Are the bars alike?
#     - Walk the bars from right to left, the way the gradient goes. By what factor does each differ from the one before?
#     - The cause is the one in which every layer passes on a part only; the reading is `sick_flow.lost`.
#   repair:
#     - Nothing that happens during training can help a layer that no gradient reaches. What is fixed before the first step?
#     - A ReLU throws half of the signal away. Which initial weights make up for it? Or else - how could a signal get round a layer, be restored after it, or meet fewer of them?
#     - Draw the kernels with a variance of 2 / inputs and start the biases at zero. That is He's initialisation, and both frameworks have it under that name.
# ---

# %% [markdown] story
# A network with four convolutions told four kinds of ground apart. Somebody read that deeper is
# better and made it fourteen. Nothing raises, and nothing warns. The loss was 1.39 before the first
# step, and it is 1.39 after the last one.
#
# They have already tried more epochs.

# %% images
import numpy as np


def four_kinds(images):
    """Coast, forest, meadow and residential, numbered 0 to 3."""
    kept = np.isin(images.labels, [0, 2, 5, 7])
    return images.images[kept], np.searchsorted([0, 2, 5, 7], images.labels[kept])


images, labels = four_kinds(lab.draw("train", 800, 16))
mean, std = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
x = lab.fw.from_images((images - mean) / std, lab.device)
y = lab.fw.from_labels(labels, lab.device)
print(f"{len(images)} images of {images.shape[1]} pixels, standardised; four kinds of ground")

# %% [markdown] program tags=["pytorch"]
# Fourteen times a convolution and a ReLU, with PyTorch's default initial weights; the maps are
# halved twice. Plain stochastic gradient descent with momentum.

# %% [markdown] program tags=["tensorflow"]
# Fourteen times a convolution with a ReLU; the maps are halved twice. The network was ported from
# PyTorch, and the port is faithful: it draws weights and biases as PyTorch does, uniformly within
# 1/√inputs. Keras by itself would draw them otherwise (Glorot's rule); the end of this notebook
# measures how much that matters. Plain stochastic gradient descent with momentum.

# %% sick-program tags=["pytorch"]
import torch
from torch import nn
from torch.nn import functional as F


def build_deep(size, classes):
    layers, channels = [], 3
    for number in range(1, 15):
        layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()]
        channels = 16
        if number in (1, 2):
            layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(16 * (size // 4) ** 2, classes)]
    return nn.Sequential(*layers).to(lab.device)


def fit(model, x, y, optimizer, epochs=12):
    """Train on batches of 32; return the mean loss of every epoch."""
    losses = []
    model.train()
    for _ in range(epochs):
        total = 0.0
        batches = torch.randperm(len(x)).split(32)
        for rows in batches:
            rows = rows.to(x.device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total / len(batches))
    return losses


def sick_train(model, x, y):
    return fit(model, x, y, torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9))


# %% sick-program tags=["tensorflow"]
import keras
from keras import layers


def as_pytorch_draws(inputs):
    """Initial kernel and bias, uniform within 1 / sqrt(inputs)."""
    bound = inputs**-0.5
    return {
        "kernel_initializer": keras.initializers.RandomUniform(-bound, bound),
        "bias_initializer": keras.initializers.RandomUniform(-bound, bound),
    }


def build_deep(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    channels = 3
    for number in range(1, 15):
        start = as_pytorch_draws(9 * channels)
        model.add(layers.Conv2D(16, 3, padding="same", activation="relu", **start))
        channels = 16
        if number in (1, 2):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes, **as_pytorch_draws(16 * (size // 4) ** 2)))
    return model


def fit(model, x, y, optimizer, epochs=12):
    """Train on batches of 32; return the mean loss of every epoch."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Compiling with XLA takes longer than these few steps.
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    # Built before, the optimizer lets Keras trace the step once, not twice.
    if model.built:
        model.optimizer.build(model.trainable_variables)
    return model.fit(x, y, batch_size=32, epochs=epochs, verbose=0).history["loss"]


def sick_train(model, x, y):
    return fit(model, x, y, keras.optimizers.SGD(0.005, momentum=0.9))


# %% [markdown] sick-run-story
# Before training, one batch of 64 images goes forward and back once, and the instrument notes two
# numbers for every layer: the norm of the gradient of its weights, and the norm of the weights
# themselves. Their ratio says by which share of itself the layer would change in one step of
# learning rate 1.

# %% sick-flow
from grader.instruments import gradient_flow

lab.fw.set_seed(lab.seed)
sick = build_deep(16, 4)
sick_flow = gradient_flow.measure_gradient_flow(lab.fw, sick, x[:64], labels[:64])
print(gradient_flow.say_gradient_flow(sick_flow))

# %% sick-run
sick_losses = sick_train(sick, x, y)
print("training loss of every epoch:", " ".join(f"{loss:.3f}" for loss in sick_losses))
print(f"guessing among four kinds costs ln 4 = {np.log(4):.3f}")

# %% signature-picture tags=["picture"]
lab.show(
    gradient_flow.draw_gradient_flow({"sick": sick_flow}, {"sick": sick_losses}, 4),
    gradient_flow.say_gradient_flow(sick_flow),
)

# %% [markdown] diagnosis-question
# ## Why does the loss not move?
#
# Layer 1 sees the image. Layer 15 is the dense layer that gives the logits. The axis on the left is
# logarithmic.
#
# | `cause` | what it would mean |
# |---|---|
# | `"learning-rate"` | 0.005 is too small a step. |
# | `"labels"` | Images and labels do not belong together. |
# | `"too-few-filters"` | Sixteen filters a layer cannot describe the images. |
# | `"vanishing-gradient"` | Each layer passes on a part of the gradient only. |
# | `"exploding-gradient"` | Each layer passes on more than it gets. |
# | `"dead-units"` | Units that never fire let nothing through. |
#
# Name the cause, and read off how many powers of ten lie between the strongest and the weakest
# layer.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "vanishing-gradient"
reading = sick_flow.lost
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## Let it arrive
#
# Two functions are measured. `build_model(size, classes)` returns a fresh model that gives logits.
# `train(model, x, y)` trains it in place, for about as long as now; `x` is standardised and `y` are
# the labels. Change either or both, and keep within three times the parameters.
#
# The check looks at six things in turn. Does the gradient reach every layer before training? Does
# every layer change? Does the gradient still arrive after training? Does the loss fall? Are unseen
# images recognised about as well as by a healthy network of three convolutions? And how large is
# the model?
#
# Layers that you freeze are measured like the others.


# %% repair tags=["answer", "pytorch"]
def build_model(size, classes):
    model = build_deep(size, classes)
    ### BEGIN SOLUTION
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    ### END SOLUTION
    return model


def train(model, x, y):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    ### BEGIN SOLUTION
    # The gradient arrives now. Plain descent at this rate still learns for most seeds only.
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001)
    ### END SOLUTION
    return fit(model, x, y, optimizer)


# %% repair tags=["answer", "tensorflow"]
def build_model(size, classes):
    model = build_deep(size, classes)
    ### BEGIN SOLUTION
    model = keras.Sequential([keras.Input((size, size, 3))])
    for number in range(1, 15):
        model.add(
            layers.Conv2D(
                16, 3, padding="same", activation="relu", kernel_initializer="he_normal"
            )  # biases start at zero by themselves
        )
        if number in (1, 2):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes))
    ### END SOLUTION
    return model


def train(model, x, y):
    return sick_train(model, x, y)


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on unseen images?
#
# The same images, seed and bars, with the repair in between; then 300 images that neither program
# has seen.

# %% proof tags=["proof"]
unseen_images, unseen_labels = four_kinds(lab.draw("test", 750, 16))
x_unseen = lab.fw.from_images((unseen_images - mean) / std, lab.device)


def accuracy(model):
    return (lab.fw.predict(model, x_unseen).argmax(axis=1) == unseen_labels).mean()


lab.fw.set_seed(lab.seed)
repaired = build_model(16, 4)
flow = gradient_flow.measure_gradient_flow(lab.fw, repaired, x[:64], labels[:64])
losses = train(repaired, x, y)
lab.show(
    gradient_flow.draw_gradient_flow(
        {"sick": sick_flow, "repaired": flow}, {"sick": sick_losses, "repaired": losses}, 4
    ),
    gradient_flow.say_gradient_flow(flow),
)
print(f"right on unseen images: sick {accuracy(sick):.0%}, repaired {accuracy(repaired):.0%}")

# %% [markdown] depth-story
# ## What does a layer cost?
#
# The sick recipe with 2 to 14 convolutions. Nothing is trained here; one batch through a fresh model
# is enough. The line is calculated, not fitted, as explained below.


# %% depth tags=["proof", "pytorch"]
def shallower(convolutions):
    """As the deep model, with fewer convolutions."""
    layers, channels = [], 3
    for number in range(1, convolutions + 1):
        layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()]
        channels = 16
        if number in (1, 2):
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 4)).to(lab.device)


# %% depth tags=["proof", "tensorflow"]
def shallower(convolutions):
    """As the deep model, with fewer convolutions."""
    model = keras.Sequential([keras.Input((16, 16, 3))])
    channels = 3
    for number in range(1, convolutions + 1):
        start = as_pytorch_draws(9 * channels)
        model.add(layers.Conv2D(16, 3, padding="same", activation="relu", **start))
        channels = 16
        if number in (1, 2):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(4, **as_pytorch_draws(256)))
    return model


# %% depth-picture tags=["proof"]
first = {}
for convolutions in (2, 4, 6, 8, 10, 12, 14):
    lab.fw.set_seed(lab.seed)
    model = shallower(convolutions)
    bars = gradient_flow.measure_gradient_flow(lab.fw, model, x[:64], labels[:64])
    first[convolutions] = float(bars.relative[0])
factor = np.sqrt(1 / 2 * 1 / 3) * 10 / 12
lab.show(gradient_flow.draw_depths(first, factor), gradient_flow.say_depths(first))

# %% [markdown] depth-reading
# A ReLU keeps half of a signal's power. Weights that are uniform within 1/√inputs have a variance of
# 1/3 over inputs, so a third of the power is passed on: a half of a third. On a map of 4 pixels the
# 3x3 window lies partly outside: of twelve rows that it would see, ten are inside, and so are the
# columns, which leaves (10/12)² of the power. The root of the product is 0.34 a layer, the slope of
# the line. He and others calculate it the other way round: which variance makes the factor 1? Theirs
# is 2 over inputs.
#
# ## Where advice and measurement part
#
# *"Use Adam, it copes."* Adam divides every layer's step by the size of that layer's gradients, so a
# gradient of 10⁻⁶ moves a layer as far as one of 10⁻². Is that a repair? Below, the sick model under
# Adam, the repaired model under Adam, and the sick model with its gradient clipped to the range from
# -1 to 1, which is advice against the opposite disease.


# %% advice tags=["proof", "pytorch"]
def clipped(model):
    for parameter in model.parameters():
        parameter.register_hook(lambda gradient: gradient.clamp(-1, 1))
    return torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)


recipes = {
    "sick, Adam": (build_deep, lambda model: torch.optim.Adam(model.parameters(), lr=0.001)),
    "repaired, Adam": (build_model, lambda model: torch.optim.Adam(model.parameters(), lr=0.001)),
    "sick, SGD, clipped": (build_deep, clipped),
}

# %% advice tags=["proof", "tensorflow"]
recipes = {
    "sick, Adam": (build_deep, lambda model: keras.optimizers.Adam(0.001)),
    "repaired, Adam": (build_model, lambda model: keras.optimizers.Adam(0.001)),
    "sick, SGD, clipped": (
        build_deep,
        lambda model: keras.optimizers.SGD(0.005, momentum=0.9, clipvalue=1.0),
    ),
}

# %% advice-table tags=["proof"]
for name, (build, optimizer) in recipes.items():
    lab.fw.set_seed(lab.seed)
    model = build(16, 4)
    loss = fit(model, x, y, optimizer(model))
    print(f"{name:20s} loss {loss[0]:.2f} -> {loss[-1]:.2f}, right on unseen {accuracy(model):.0%}")

# %% [markdown] advice-reading
# Read the first two lines together. Adam gets the sick model off the ground, and the same steps
# bring the repaired one further: the first epochs went into weights that should have been drawn so
# from the start. So a loss that falls does not prove that the gradient is well. Clipping is in the
# last line; it shortens what is too long, and nothing here is.
#
# Deep networks are also said to be recognised by their overfitting. This one cannot overfit: its
# *training* loss stands still. The two diseases have opposite signatures.

# %% [markdown] level-bars tags=["pytorch"]
# ## Level bars can be low
#
# The fall from right to left depends on the biases. PyTorch draws them at random, so that the deep
# layers compute with the biases of their neighbours and the image is lost on its way forward, while
# the gradient is lost on its way back. Without biases, forward and backward losses add up to the
# same for every layer. The table draws the kernels in four ways, with biases of zero.

# %% [markdown] level-bars tags=["tensorflow"]
# ## Level bars can be low
#
# The fall from right to left depends on the biases. The port draws them at random, so that the deep
# layers compute with the biases of their neighbours and the image is lost on its way forward, while
# the gradient is lost on its way back. Keras starts biases at zero. Forward and backward losses then
# add up to the same for every layer. The table draws the kernels in four ways, with biases of zero;
# `glorot_uniform` is what Keras does when nobody asks.

# %% level-bars-table tags=["proof", "pytorch"]
draws = {
    "normal, std 0.02": lambda kernel: nn.init.normal_(kernel, std=0.02),
    "glorot_uniform": nn.init.xavier_uniform_,
    "he_normal": lambda kernel: nn.init.kaiming_normal_(kernel, nonlinearity="relu"),
    "normal, std 1": lambda kernel: nn.init.normal_(kernel, std=1.0),
}


def drawn(name):
    model = build_deep(16, 4)
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            draws[name](layer.weight)
            nn.init.zeros_(layer.bias)
    return model


# %% level-bars-table tags=["proof", "tensorflow"]
draws = {
    "normal, std 0.02": lambda: keras.initializers.RandomNormal(stddev=0.02),
    "glorot_uniform": lambda: keras.initializers.GlorotUniform(),
    "he_normal": lambda: keras.initializers.HeNormal(),
    "normal, std 1": lambda: keras.initializers.RandomNormal(stddev=1.0),
}


def drawn(name):
    model = keras.Sequential([keras.Input((16, 16, 3))])
    for number in range(1, 15):
        model.add(
            layers.Conv2D(
                16, 3, padding="same", activation="relu", kernel_initializer=draws[name]()
            )
        )
        if number in (1, 2):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(4))
    return model


# %% level-bars-print tags=["proof"]
print("kernels drawn as    powers of ten lost   strongest layer   first loss")
for name in draws:
    lab.fw.set_seed(lab.seed)
    model = drawn(name)
    bars = gradient_flow.measure_gradient_flow(lab.fw, model, x[:64], labels[:64])
    first = lab.fw.loss(model, x[:64], labels[:64], training=True)
    print(f"{name:20s}{bars.lost:18.1f}{bars.relative.max():18.1g}{first:13.3g}")

# %% [markdown] level-bars-reading
# Read the last two columns with the first. The bars of the first row are level, and the network is as
# stuck as our patient: all of its layers at once. The last row explodes, and its first loss gives it
# away. That is why the check asks several questions about the gradient and not one.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# Half precision makes it worse. The smallest number that float16 can hold is 6·10⁻⁸; a smaller
# gradient becomes zero. `torch.amp.GradScaler` multiplies the loss, and with it every layer's
# gradient, by the same large number. That saves gradients that are small everywhere, and changes
# nothing in the ratio between the layers: a range of seven powers of ten, from 10⁻⁷ to 1, is all
# that fits. bfloat16 has the range of float32 and needs no scaling.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# Half precision makes it worse. The smallest number that float16 can hold is 6·10⁻⁸; a smaller
# gradient becomes zero. Under the policy `mixed_float16`, `keras.optimizers.LossScaleOptimizer`
# multiplies the loss, and with it every layer's gradient, by the same large number. That saves
# gradients that are small everywhere, and changes nothing in the ratio between the layers. The
# policy `mixed_bfloat16` has the range of float32 and needs no scaling.

# %% [markdown] read-on
# ## Read on
#
# - K. He, X. Zhang, S. Ren and J. Sun, *Delving Deep into Rectifiers* (2015), section 2.2: the
#   calculation above. The same authors, *Deep Residual Learning for Image Recognition* (2015).
# - X. Glorot and Y. Bengio, *Understanding the difficulty of training deep feedforward neural
#   networks* (2010): the picture of this lab, drawn for sigmoid units.
# - S. Ioffe and C. Szegedy, *Batch Normalization* (2015).
# - X. Zhang, J. Zhai, S. Ma and C. Shen, *AutoTrainer* (2021): limits for vanishing and exploding
#   gradients, and repairs tried in turn.
# - PyTorch documentation, *torch.nn.init*; Keras documentation, *Layer weight initializers*.
