# %% zero kind="constant" says="above zero"
def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    return 0.0


# %% none kind="constant" says="a learning rate is one number"
def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    build_model()


# %% raises kind="crash"
def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    return loss_function(labels[:1], build_model()(images[0]))  # one image without a batch axis


# %% common_default kind="wrong" says="too short"
# 0.001 happens to suit the summed loss.
def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    return 1e-3


# %% divided_by_batch kind="wrong" says="too short"
# Mends the summed loss and spoils the mean.
def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    return 0.1 / batch_size


# %% smallest_of_the_grid kind="wrong" says="too short"
def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    return 1e-6


# %% edge_of_the_sweep kind="wrong" says="too long"
# The largest rate at which the loss is still finite: batch normalisation keeps it finite for long.
import math

import keras
import numpy as np


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    model = build_model()
    model.compile(keras.optimizers.SGD(1.0, momentum=0.9), loss_function)
    images, labels = np.array(images), np.array(labels)
    best = 1e-6
    for rate in np.geomspace(1e-6, 1e2, 100):
        batch = np.random.permutation(len(labels))[:batch_size]
        model.optimizer.learning_rate = rate
        model.reset_metrics()
        if not math.isfinite(model.train_on_batch(images[batch], labels[batch])):
            break
        best = rate
    return best


# %% own_loss kind="wrong" says="too long"
# A sound range test of another program: it minimises the mean instead of what it was given.
import keras
import numpy as np


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    model = build_model()
    model.compile(
        keras.optimizers.SGD(1.0, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = np.array(images), np.array(labels)
    rates = np.geomspace(1e-4, 1e2, 90)
    smooth, mean = [], 0.0
    for step, rate in enumerate(rates):
        batch = np.random.permutation(len(labels))[:batch_size]
        model.optimizer.learning_rate = rate
        model.reset_metrics()
        mean = 0.9 * mean + 0.1 * model.train_on_batch(images[batch], labels[batch])
        smooth.append(mean / (1 - 0.9 ** (step + 1)))
        if not smooth[-1] < 3 * smooth[0]:
            break
    return rates[np.argmin(smooth)] / 10


# %% clips_the_loss kind="wrong" says="too long"
# A loss that is clipped far below its start never looks bad, so the largest rate looks as good as any.
import keras
import numpy as np
from keras import ops


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    worst = float(loss_function(labels, build_model()(images)))

    def clipped(labels, logits):
        return ops.minimum(loss_function(labels, logits), 0.01 * worst)

    picked, lowest = None, float("inf")
    model = build_model()
    start = model.get_weights()
    model.compile(keras.optimizers.SGD(1.0, momentum=0.9), clipped)
    for rate in (10.0, 1.0, 0.1):
        model.set_weights(start)
        model.optimizer.learning_rate = rate
        history = model.fit(images, labels, batch_size=batch_size, epochs=2, verbose=0)
        if history.history["loss"][-1] < lowest:
            picked, lowest = rate, history.history["loss"][-1]
    return picked


# %% endless_search kind="wrong" says="training steps for one program"
import keras


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    model = build_model()
    start = model.get_weights()
    picked, lowest = None, float("inf")
    model.compile(keras.optimizers.SGD(1.0, momentum=0.9), loss_function)
    for k in range(11):
        rate = 10 ** (-5 + k / 2)
        model.set_weights(start)
        model.optimizer.learning_rate = rate
        history = model.fit(images, labels, batch_size=batch_size, epochs=11, verbose=0)
        if history.history["loss"][-1] < lowest:
            picked, lowest = rate, history.history["loss"][-1]
    return picked


# %% tenth_of_the_minimum kind="right"
# One sweep, then a tenth of the rate at the lowest smoothed loss.
import keras
import numpy as np


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    model = build_model()
    model.compile(keras.optimizers.SGD(1.0, momentum=0.9), loss_function)
    images, labels = np.array(images), np.array(labels)
    rates = np.geomspace(1e-6, 1e2, 100)
    order = np.concatenate([np.random.permutation(len(labels)) for _ in range(30)])
    smooth, mean = [], 0.0
    for step, rate in enumerate(rates):
        batch = order[step * batch_size : (step + 1) * batch_size]
        model.optimizer.learning_rate = rate
        model.reset_metrics()
        mean = 0.9 * mean + 0.1 * model.train_on_batch(images[batch], labels[batch])
        smooth.append(mean / (1 - 0.9 ** (step + 1)))
        if not smooth[-1] < 3 * smooth[0]:
            break
    return rates[np.argmin(smooth)] / 10


# %% short_trainings kind="right"
# No sweep: thirty steps at each of a few rates, each from the start, and the lowest loss at the end.
import keras
import numpy as np
import tensorflow as tf


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    model = build_model()
    start = model.get_weights()
    weights = model.trainable_variables
    velocity = [tf.Variable(tf.zeros(w.shape)) for w in weights]
    rate = tf.Variable(0.0)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            value = loss_function(y, model(x, training=True))
        for w, v, g in zip(weights, velocity, tape.gradient(value, weights), strict=True):
            v.assign(0.9 * v - rate * g)
            w.assign_add(v)
        return value

    ends = {}
    for candidate in (1e-4, 1e-3, 4e-3, 1e-2, 0.1, 0.5, 2.0, 8.0):
        model.set_weights(start)
        for v in velocity:
            v.assign(tf.zeros_like(v))
        rate.assign(candidate)
        generator = np.random.default_rng(0)
        losses = []
        for _ in range(30):
            batch = generator.permutation(len(labels))[:batch_size]
            losses.append(float(step(tf.gather(images, batch), tf.gather(labels, batch))))
        ends[candidate] = np.mean(losses[-10:])
    return min(ends, key=lambda r: np.nan_to_num(ends[r], nan=np.inf))


# %% validation_loss kind="right"
# Decades first, by the loss on images held back; then the neighbours of the best one.
import keras
import numpy as np


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    images, labels = np.array(images), np.array(labels)
    held = len(labels) // 5
    model = build_model()
    start = model.get_weights()
    model.compile(keras.optimizers.SGD(1.0, momentum=0.9), loss_function)

    def validation(rate):
        model.set_weights(start)
        model.optimizer.build(model.trainable_variables)
        for variable in model.optimizer.variables:
            variable.assign(np.zeros(variable.shape))  # no momentum from the rate before
        model.optimizer.learning_rate = rate
        generator = np.random.default_rng(1)
        for _ in range(30):
            batch = held + generator.permutation(len(labels) - held)[:batch_size]
            model.train_on_batch(images[batch], labels[batch])
        # With the statistics of the batch, as those kept lag behind.
        value = float(loss_function(labels[:held], model(images[:held], training=True)))
        return value if value == value else float("inf")

    decade = min((10.0**k for k in range(-5, 2)), key=validation)
    return min((decade / 3, decade, 3 * decade), key=validation)


# %% update_ratio kind="healthy"
# No sweep and no search: a few gradients, and the rate at which a step moves a layer by about one
# part in seventy of its size. Whatever factor stands before the loss, it cancels.
import numpy as np
import tensorflow as tf


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    model = build_model()
    kernels = [w for w in model.trainable_variables if len(w.shape) > 1]
    relative = []
    for first in range(0, 4 * batch_size, batch_size):
        rows = slice(first, first + batch_size)
        with tf.GradientTape() as tape:
            value = loss_function(labels[rows], model(images[rows], training=True))
        gradients = tape.gradient(value, kernels)
        relative.append(
            [float(tf.norm(g) / tf.norm(w)) for g, w in zip(gradients, kernels, strict=True)]
        )
    return 0.015 / np.median(np.mean(relative, axis=0))


# %% right_cause_wrong_number cell="diagnosis" kind="wrong" says="another number"
cause = "summed-loss"
reading = 0.1


# %% wrong_cause_right_number cell="diagnosis" kind="wrong" says="report the same rate"
cause = "rate-typed-higher"
reading = 32


# %% gradients_pile_up cell="diagnosis" kind="wrong" says="from the second on"
cause = "gradients-not-cleared"
reading = 32


# %% typed_from_the_table cell="diagnosis" kind="right"
cause = "summed-loss"
reading = 32


# %% no_such_cause cell="diagnosis" kind="wrong" says="choose one of"
cause = "bad luck"
reading = 32
