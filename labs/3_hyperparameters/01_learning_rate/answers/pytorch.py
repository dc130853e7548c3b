# %% zero kind="constant" says="above zero"
def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    return 0.0


# %% none kind="constant" says="a learning rate is one number"
def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    build_model()


# %% raises kind="crash"
def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    return loss_function(build_model()(images[0]), labels[0])  # one image without a batch axis


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

import torch


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    best = 1e-6
    for rate in torch.logspace(-6, 2, 100).tolist():
        batch = torch.randperm(len(labels))[:batch_size]
        optimizer.param_groups[0]["lr"] = rate
        loss = loss_function(model(images[batch]), labels[batch])
        if not math.isfinite(loss.item()):
            break
        best = rate
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return best


# %% own_loss kind="wrong" says="too long"
# A sound range test of another program: it minimises the mean instead of what it was given.
import torch
from torch.nn import functional as F


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    rates = torch.logspace(-4, 2, 90).tolist()
    smooth, mean = [], 0.0
    for step, rate in enumerate(rates):
        batch = torch.randperm(len(labels))[:batch_size]
        optimizer.param_groups[0]["lr"] = rate
        loss = F.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = 0.9 * mean + 0.1 * loss.item()
        smooth.append(mean / (1 - 0.9 ** (step + 1)))
        if not smooth[-1] < 3 * smooth[0]:
            break
    return rates[min(range(len(smooth)), key=smooth.__getitem__)] / 10


# %% clips_the_loss kind="wrong" says="too long"
# A loss that is clipped at 2.3 never looks bad, so the largest rate looks as good as any.
import torch


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    worst = loss_function(build_model()(images), labels).item()
    picked, lowest = None, float("inf")
    for rate in (10.0, 1.0, 0.1):
        model = build_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        for _ in range(20):
            batch = torch.randperm(len(labels))[:batch_size]
            loss = loss_function(model(images[batch]), labels[batch]).clamp(max=0.01 * worst)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if loss.item() < lowest:
            picked, lowest = rate, loss.item()
    return picked


# %% endless_search kind="wrong" says="training steps for one program"
import torch


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    picked, lowest = None, float("inf")
    for k in range(11):
        rate = 10 ** (-5 + k / 2)
        model = build_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        for _ in range(100):
            batch = torch.randperm(len(labels))[:batch_size]
            loss = loss_function(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if loss.item() < lowest:
            picked, lowest = rate, loss.item()
    return picked


# %% tenth_of_the_minimum kind="right"
# One sweep, then a tenth of the rate at the lowest smoothed loss.
import torch


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    rates = torch.logspace(-6, 2, 100).tolist()
    smooth, mean = [], 0.0
    order = torch.randperm(len(labels)).repeat(30)
    for step, rate in enumerate(rates):
        batch = order[step * batch_size : (step + 1) * batch_size]
        optimizer.param_groups[0]["lr"] = rate
        loss = loss_function(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = 0.9 * mean + 0.1 * loss.item()
        smooth.append(mean / (1 - 0.9 ** (step + 1)))
        if not smooth[-1] < 3 * smooth[0]:
            break
    return rates[min(range(len(smooth)), key=smooth.__getitem__)] / 10


# %% short_trainings kind="right"
# No sweep: thirty steps at each of a few rates, each from the start, and the lowest loss at the end.
import torch


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    ends = {}
    for rate in (1e-4, 1e-3, 4e-3, 1e-2, 0.1, 0.5, 2.0, 8.0):
        model = build_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        generator = torch.Generator().manual_seed(0)
        losses = []
        for _ in range(30):
            batch = torch.randperm(len(labels), generator=generator)[:batch_size]
            loss = loss_function(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        end = sum(losses[-10:])
        if end == end:
            ends[rate] = end
    return min(ends, key=ends.get)


# %% validation_loss kind="right"
# Decades first, by the loss on images held back; then the neighbours of the best one.
import torch


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    held = len(labels) // 5

    def validation(rate):
        model = build_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        generator = torch.Generator().manual_seed(1)
        for _ in range(30):
            batch = held + torch.randperm(len(labels) - held, generator=generator)[:batch_size]
            loss = loss_function(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():  # with the statistics of the batch, as those kept lag behind
            value = loss_function(model(images[:held]), labels[:held]).item()
        return value if value == value else float("inf")

    decade = min((10.0**k for k in range(-5, 2)), key=validation)
    return min((decade / 3, decade, 3 * decade), key=validation)


# %% update_ratio kind="healthy"
# No sweep and no search: one gradient a layer, and the rate at which a step moves a layer by about one
# part in seventy of its size. Whatever factor stands before the loss, it cancels.
import torch


def pick_learning_rate(build_model, images, labels, batch_size, loss_function):
    model = build_model()
    gradients = []
    for rows in torch.arange(len(labels)).split(batch_size)[:4]:
        model.zero_grad()
        loss_function(model(images[rows]), labels[rows]).backward()
        gradients.append(
            torch.stack([p.grad.norm() / p.norm() for p in model.parameters() if p.ndim > 1])
        )
    return 0.015 / torch.stack(gradients).mean(dim=0).median().item()


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
