# ---
# title: The schedule that never fires
# symptom: A learning-rate schedule wins its comparison by several points, and in the whole training it does not change the rate once.
# minutes: 40
# difficulty: 2
# learn:
#   - read from the optimizer which rate was applied at each step
#   - write a schedule in the unit of the run, for a run of any length
#   - compare two recipes fairly, with fresh weights, equal seeds and an interval
#   - take "cannot tell" for an answer
# sources: ["000/29", "002/61", "002/67", "003/76", "004/95"]
# seconds: {pytorch: 35, tensorflow: 60}
# hints:
#   diagnosis:
#     - Two things differ between the arms in the program's text. Which of them differs in the picture as well?
#     - Read the two curves of the loss at zero epochs, and the fingerprints beside them.
#     - The cause is what the second arm was given by the first; the reading is `comparison.head_start(arms)`.
#   schedule:
#     - At which step, or in which epoch, would this schedule change the rate for the first time? How long is the run?
#     - The function is told how many epochs it has, and the images say how many steps an epoch takes. A plan can be written in shares of that.
#     - "PyTorch: `T_max` of a cosine is counted in the calls of `step()`; with one call an epoch it is `epochs`. Keras: `decay_steps` is counted in batches, `epochs` times the batches of an epoch."
#   compare:
#     - What does the second arm know before it starts? And how far apart are two trainings of one and the same arm?
#     - For each seed, both arms need the same fresh weights. Which of the many numbers then says how much the difference depends on the seed?
#     - Set the framework's seed and call `build_model`, once for each arm and seed; keep both scores, and let `comparison.measure_comparison(scores_a, scores_b).verdict` decide.
# ---

# %% [markdown] story
# Somebody reads that a learning rate should fall during training, and tries it. A network is
# trained for six epochs at a constant rate, then for six epochs with a schedule. The schedule wins
# by several points. It is now part of every program they write.
#
# In none of those programs has it ever changed the rate.

# %% images
import numpy as np

from grader.instruments import applied_rate, comparison

train_set, validation_set = lab.draw("train", 480, 16), lab.draw("validation", 500, 16)
labels, kinds = train_set.labels, len(train_set.classes)
x = lab.fw.from_images(train_set.images, lab.device) / 127.5 - 1
y = lab.fw.from_labels(labels, lab.device)
x_validation = lab.fw.from_images(validation_set.images, lab.device) / 127.5 - 1
print(f"{len(labels)} training images, {len(x_validation)} for validation, {kinds} kinds of ground")


def accuracy(model):
    """Share of the validation images that are recognised."""
    return float(
        (lab.fw.predict(model, x_validation).argmax(axis=1) == validation_set.labels).mean()
    )


# %% [markdown] program tags=["pytorch"]
# The network is small, two convolutions and two dense layers, so that it can be trained often.
# `constant` and `sick_train` differ in the schedule only. `StepLR` divides the rate by ten after
# every 30 of its steps, and it takes a step after each epoch, as in the tutorial it comes from.

# %% [markdown] program tags=["tensorflow"]
# The network is small, two convolutions and two dense layers, so that it can be trained often.
# `constant` and `sick_train` differ in the schedule only. `ExponentialDecay` multiplies the rate by
# 0.96 after every 100,000 of its steps, and it takes a step with each batch, as in the tutorial it
# comes from.

# %% sick-program tags=["pytorch"]
import torch
from torch.nn import functional as F


def build_model():
    return lab.fw.quick_cnn(16, kinds).to(lab.device)


def fit(model, x, y, optimizer, epochs, every_batch=None, every_epoch=None):
    """Train on batches of 32; schedules take a step after every batch or after every epoch."""
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
            if every_batch is not None:
                every_batch.step()
            total += loss.item()
        losses.append(total / len(batches))
        if every_epoch is not None:
            every_epoch.step()
    return losses


def constant(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return fit(model, x, y, optimizer, epochs)


def sick_train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.1)
    return fit(model, x, y, optimizer, epochs, every_epoch=schedule)


# %% sick-program tags=["tensorflow"]
import keras


def build_model():
    return lab.fw.quick_cnn(16, kinds)


def fit(model, x, y, optimizer, epochs, callbacks=()):
    """Train on batches of 32; return the mean loss of every epoch."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Compiling with XLA takes longer than these few steps.
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    # Built before, the optimizer lets Keras trace the step once, not twice.
    if model.built:
        model.optimizer.build(model.trainable_variables)
    history = model.fit(x, y, batch_size=32, epochs=epochs, callbacks=list(callbacks), verbose=0)
    return history.history["loss"]


def constant(model, x, y, epochs):
    return fit(model, x, y, keras.optimizers.SGD(0.05, momentum=0.9), epochs)


def sick_train(model, x, y, epochs):
    schedule = keras.optimizers.schedules.ExponentialDecay(
        0.05, decay_steps=100_000, decay_rate=0.96, staircase=True
    )
    return fit(model, x, y, keras.optimizers.SGD(schedule, momentum=0.9), epochs)


# %% [markdown] comparison-story
# And this is the comparison. Arm A is the constant rate, arm B the schedule; the seeds that it is
# given are not used.


# %% sick-comparison
def sick_compare(build_model, train_a, train_b, score, seeds):
    model = build_model()
    train_a(model)
    a = score(model)
    train_b(model)
    b = score(model)
    return "A" if a > b else "B"


# %% [markdown] instruments
# Two instruments look on. One notes the rate at every step, read from the optimizer and not from
# the plan. The other takes a fingerprint of the weights, eight digits that are the same for the same
# weights, before each arm's first step and after its last. `noted` puts both around a training; it
# also keeps the loss on the training images before the first step, and the score.


# %% sick-run
def noted(train, arms, epochs=6):
    """The same training as a function of the model alone; what it did is added to `arms`."""

    def run(model):
        start = comparison.fingerprint(lab.fw, model)
        first = lab.fw.loss(model, x, labels, training=False)
        rate, losses = applied_rate.measure_applied_rate(lab.fw, train, model, x, y, epochs)
        end = comparison.fingerprint(lab.fw, model)
        arms.append(comparison.Arm(rate, np.array([first, *losses]), start, end, accuracy(model)))

    return run


lab.fw.set_seed(lab.seed)
sick_a, sick_b = [], []
winner = sick_compare(
    build_model, noted(constant, sick_a), noted(sick_train, sick_b), accuracy, [lab.seed]
)
arms = {"A, constant": sick_a[0], "B, schedule": sick_b[0]}
for name, arm in arms.items():
    print(f"{name:12s} {100 * arm.score:.1f} % of the validation images")
print("the comparison says:", winner)

# %% signature-picture tags=["picture"]
lab.show(comparison.draw_arms(arms), comparison.say_arms(arms))

# %% [markdown] diagnosis-question
# ## Why does B win?
#
# On the left is the rate that was applied, on the right the loss: at zero before an arm's first
# step, then after each of its epochs.
#
# | `cause` | what it would mean |
# |---|---|
# | `"schedule-helps"` | B's rate fell in time, so B settled. |
# | `"lucky-weights"` | B drew better initial weights. |
# | `"higher-rate"` | B was given a better rate to begin with. |
# | `"more-epochs"` | B took more steps than A in its training. |
# | `"easier-images"` | B was trained or scored on other images. |
# | `"carried-over-weights"` | B starts with what A has learned. |
#
# Name the cause, and read off B's head start: the loss of A before its first step minus the loss of
# B before its first step.

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "carried-over-weights"
reading = comparison.head_start(arms)
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] schedule-question
# ## A schedule that fires
#
# So the score of B says nothing about its schedule, and the left panel says what there is to say:
# the rate was the same at every step. First give B a schedule.
#
# `train(model, x, y, epochs)` trains the model in place for as many epochs as it is told, with
# momentum or without, with an optimizer of your framework. At the end of the run the rate is to be
# a tenth of its highest value or less, and it is to be above a tenth for at least a third of the
# steps. In between it may do what you like: fall in a curve or in stairs, rise first, go up and
# down, or wait until the loss stands still.
#
# The check calls the function for a short run and for a long one. You do not learn how long they are.


# %% schedule tags=["answer", "pytorch"]
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.1)
    ### BEGIN SOLUTION
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    ### END SOLUTION
    return fit(model, x, y, optimizer, epochs, every_epoch=schedule)


# %% schedule tags=["answer", "tensorflow"]
def train(model, x, y, epochs):
    schedule = keras.optimizers.schedules.ExponentialDecay(
        0.05, decay_steps=100_000, decay_rate=0.96, staircase=True
    )
    ### BEGIN SOLUTION
    batches = -(-len(x) // 32)  # of an epoch; the last one may be smaller
    schedule = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=epochs * batches)
    ### END SOLUTION
    return fit(model, x, y, keras.optimizers.SGD(schedule, momentum=0.9), epochs)


# %% check-schedule tags=["check"]
lab.check("schedule")

# %% [markdown] gallery-story tags=["pytorch"]
# Eight ways to change a rate, each in a run of six epochs of 15 steps, as the optimizer applied
# them. PyTorch's schedules know nothing of epochs and batches. They count their own calls of
# `step()`, and the program decides when to make one. In the last panel a cosine that is planned in
# epochs is called after every batch.

# %% [markdown] gallery-story tags=["tensorflow"]
# Eight ways to change a rate, each in a run of six epochs of 15 steps, as the optimizer applied
# them. A `LearningRateSchedule` is a function of the optimizer's count of steps, so it is planned in
# batches. A callback is called when an epoch begins or ends, so it is planned in epochs. In the last
# panel a cosine that is planned in epochs is handed to the optimizer, which counts batches.


# %% gallery tags=["proof", "pytorch"]
from torch.optim import lr_scheduler


class StepsOnLoss:
    """Hands a constant loss to `ReduceLROnPlateau`, as if training stood still from the start."""

    def __init__(self, optimizer):
        self.schedule = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=1)

    def step(self):
        self.schedule.step(1.0)


def warm_up_then_cosine(optimizer):
    return lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, 0.05, total_iters=15),
            lr_scheduler.CosineAnnealingLR(optimizer, T_max=75),
        ],
        milestones=[15],
    )


plans = {
    "exponential": ("every_epoch", lambda o: lr_scheduler.ExponentialLR(o, 0.64)),
    "step": ("every_epoch", lambda o: lr_scheduler.MultiStepLR(o, [2, 4], gamma=0.1)),
    "cosine": ("every_batch", lambda o: lr_scheduler.CosineAnnealingLR(o, 90)),
    "warm-up, cosine": ("every_batch", warm_up_then_cosine),
    "one-cycle": ("every_batch", lambda o: lr_scheduler.OneCycleLR(o, 0.05, total_steps=90)),
    "cyclical": ("every_batch", lambda o: lr_scheduler.CyclicLR(o, 0.001, 0.05, step_size_up=15)),
    "plateau": ("every_epoch", StepsOnLoss),
    "cosine, wrong unit": ("every_batch", lambda o: lr_scheduler.CosineAnnealingLR(o, 6)),
}


def follow(plan):
    """Train the smallest of models with a plan; only the rate is of interest."""
    when, make = plan
    model = lab.fw.patches_network(16, kinds).to(lab.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    fit(model, x, y, optimizer, 6, **{when: make(optimizer)})


# %% gallery tags=["proof", "tensorflow"]
from keras.optimizers import schedules


class Formula(schedules.LearningRateSchedule):
    """A schedule from a formula for the rate at the share of the run that is over, 0..1."""

    def __init__(self, formula, steps=90):
        self.formula, self.steps = formula, steps

    def __call__(self, step):
        return self.formula(keras.ops.cast(step, "float32") / self.steps)


def one_cycle(done):
    up, down = done / 0.3, 1 - (done - 0.3) / 0.7
    return 0.05 * keras.ops.sin(1.5708 * keras.ops.minimum(up, down)) ** 2


def three_triangles(done):
    return 0.001 + 0.049 * (1 - keras.ops.abs(2 * (3 * done - keras.ops.floor(3 * done)) - 1))


plans = {
    "exponential": keras.callbacks.LearningRateScheduler(lambda epoch: 0.05 * 0.64**epoch),
    "step": schedules.PiecewiseConstantDecay([29, 59], [0.05, 0.005, 0.0005]),
    "cosine": schedules.CosineDecay(0.05, 90),
    "warm-up, cosine": schedules.CosineDecay(0.0025, 75, warmup_target=0.05, warmup_steps=15),
    "one-cycle": Formula(one_cycle),
    "cyclical": Formula(three_triangles),
    # A loss that is never 10 nats lower than before stands still from the start.
    "plateau": keras.callbacks.ReduceLROnPlateau("loss", 0.3, patience=2, min_delta=10),
    "cosine, wrong unit": schedules.CosineDecay(0.05, 6),
}


def follow(plan):
    """Train the smallest of models with a plan; only the rate is of interest."""
    model = lab.fw.patches_network(16, kinds)
    in_graph = isinstance(plan, schedules.LearningRateSchedule)
    optimizer = keras.optimizers.SGD(plan if in_graph else 0.05, momentum=0.9)
    fit(model, x, y, optimizer, 6, callbacks=[] if in_graph else [plan])


# %% gallery-picture tags=["proof"]
traces = {
    name: applied_rate.measure_applied_rate(lab.fw, follow, plan)[0] for name, plan in plans.items()
}
lab.show(applied_rate.draw_applied_rates(traces), applied_rate.say_applied_rates(traces))

# %% [markdown] compare-question
# ## A comparison that can say no
#
# Now the comparison. `compare(build_model, train_a, train_b, score, seeds)` is to say which arm is
# better, `"A"` or `"B"`, or that this cannot be told, `"cannot tell"`.
#
# - `build_model()` returns a fresh model. Its weights are drawn with the framework's own random
#   numbers, so the same seed gives the same weights.
# - `train_a(model)` and `train_b(model)` train a model in place, from first to last epoch, and return
#   nothing.
# - `score(model)` is a number; higher is better.
# - `seeds` is a list of whole numbers.
#
# The check calls the function with stand-ins for which the truth is known: small models whose score
# is made of the luck of their initial weights, what a training adds, and a little luck of each
# training. In some pairs both arms are equally good. `comparison.measure_comparison` may decide for
# you, once it is given scores that can be compared.

# %% compare tags=["answer", "pytorch"]
compare = sick_compare


### BEGIN SOLUTION
def compare(build_model, train_a, train_b, score, seeds):
    scores, starts = ([], []), ([], [])
    for seed in seeds:
        for arm, train_arm in enumerate((train_a, train_b)):
            torch.manual_seed(seed)
            model = build_model()
            starts[arm].append(comparison.fingerprint(lab.fw, model))
            train_arm(model)
            scores[arm].append(score(model))
    compared = comparison.measure_comparison(*scores, *starts)
    assert compared.same_starts
    return compared.verdict


### END SOLUTION

# %% compare tags=["answer", "tensorflow"]
compare = sick_compare


### BEGIN SOLUTION
def compare(build_model, train_a, train_b, score, seeds):
    scores, starts = ([], []), ([], [])
    for seed in seeds:
        for arm, train_arm in enumerate((train_a, train_b)):
            keras.utils.set_random_seed(seed)
            model = build_model()
            starts[arm].append(comparison.fingerprint(lab.fw, model))
            train_arm(model)
            scores[arm].append(score(model))
    compared = comparison.measure_comparison(*scores, *starts)
    assert compared.same_starts
    return compared.verdict


### END SOLUTION

# %% check-compare tags=["check"]
lab.check("compare")

# %% [markdown] proof-story
# ## The two arms again
#
# Your comparison, with the constant rate and the schedule that never fires, and three seeds. The
# scores are now those of images that no arm was trained on and no choice was made with.

# %% proof tags=["proof"]
test_set = lab.draw("test", 1000, 16)
x_test = lab.fw.from_images(test_set.images, lab.device) / 127.5 - 1


def accuracy(model):
    """Share of the test images that are recognised."""
    return float((lab.fw.predict(model, x_test).argmax(axis=1) == test_set.labels).mean())


log_a, log_b = [], []
verdict = compare(
    build_model, noted(constant, log_a), noted(sick_train, log_b), accuracy, [1, 2, 3]
)
print("the sick comparison said:", winner)
print("your comparison says:    ", verdict)
print("seed   A starts   B starts   A on unseen   B on unseen")
for seed, (a, b) in enumerate(zip(log_a, log_b, strict=True), start=1):
    print(f"{seed:4d}   {a.start}   {b.start}   {100 * a.score:9.1f} %   {100 * b.score:9.1f} %")

# %% [markdown] proof-reading
# From the same weights, with the same order of the images and the same rate at every step, the two
# arms are one and the same training. What the sick comparison reported was the value of six more
# epochs.
#
# ## Where advice and measurement part
#
# *"Learning-rate schedules improve convergence."* Here are two that do fire against the constant
# rate, in runs of twelve epochs, with three seeds each, fresh weights, and unseen images: a rate that
# is halved after every fifth epoch, and your schedule. The first row of the picture is the
# comparison from above.


# %% advice tags=["proof", "pytorch"]
def halved(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)
    return fit(model, x, y, optimizer, epochs, every_epoch=schedule)


# %% advice tags=["proof", "tensorflow"]
def halved(model, x, y, epochs):
    halving = keras.callbacks.LearningRateScheduler(lambda epoch: 0.05 * 0.5 ** (epoch // 5))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return fit(model, x, y, optimizer, epochs, callbacks=[halving])


# %% advice-table tags=["proof"]
recipes = {"constant": constant, "halved": halved, "yours": train}
results = {name: [] for name in recipes}
for seed in range(11, 14):
    for name, recipe in recipes.items():
        lab.fw.set_seed(seed)
        noted(recipe, results[name], epochs=12)(build_model())
print("recipe          last rate / highest   on unseen images, mean of three")
for name, arms_of in results.items():
    scores = [arm.score for arm in arms_of]
    print(f"{name:14s}{arms_of[0].rate.end_share:21.2g}{100 * np.mean(scores):30.1f} %")


def compared(a, b):
    """The comparison of two lists of arms, as far as both reach."""
    n = min(len(a), len(b))
    return comparison.measure_comparison(
        [arm.score for arm in a[:n]],
        [arm.score for arm in b[:n]],
        [arm.start for arm in a[:n]],
        [arm.start for arm in b[:n]],
    )


against_constant = {"never fires": compared(log_a, log_b)} | {
    name: compared(results["constant"], results[name]) for name in ("halved", "yours")
}

# %% advice-picture tags=["proof"]
lab.show(
    comparison.draw_comparisons(against_constant), comparison.say_comparisons(against_constant)
)

# %% [markdown] advice-reading
# Each row is one claim of the kind that is made in an article with a single pair of numbers. Look at
# the dots of a row: any one of them could have been that pair. A line that crosses zero is no proof
# that a schedule is useless; it says that three seeds of this training do not show it. More seeds
# make the line shorter, by half for four times as many.
#
# The first row is of another kind. Its dots lie on zero, all of them, because the two programs do the
# same. No number of seeds will change that, and the last rate in the table says so without any
# training to the end.

# %% [markdown] own-program tags=["pytorch"]
# ## In your own program
#
# The rate of the next step is in `optimizer.param_groups[0]["lr"]`; write it into the log beside the
# loss. A schedule's `get_last_lr()` is what it has set last. An attribute such as `optimizer.lr` can
# be set without an error, and no optimizer reads it.

# %% [markdown] own-program tags=["tensorflow"]
# ## In your own program
#
# In a callback, `float(self.model.optimizer.learning_rate)` is the rate of the next step, also when
# the optimizer was given a schedule; write it into the log beside the loss. Compiling a model again
# gives it a fresh optimizer and leaves its weights as they are. A fresh start takes a fresh model.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# With mixed precision, `torch.amp.GradScaler` skips a step whose gradients are not finite. The
# schedule does not know that and goes on, a step ahead of the optimizer; the instrument counts the
# steps that were taken. Two trainings from one seed may also differ on a GPU, because sums are taken
# in another order. Then even equal arms differ from seed to seed, and only the interval can tell.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# A schedule that is a `LearningRateSchedule` is part of the graph and costs nothing. A callback runs
# in Python; with `steps_per_execution` above one it is called less often, and a rate that it sets
# for every batch is then set for every few. Two trainings from one seed may also differ on a GPU,
# because sums are taken in another order, unless `tf.config.experimental.enable_op_determinism()`
# forbids it; then even equal arms differ from seed to seed, and only the interval can tell.

# %% [markdown] read-on
# ## Read on
#
# - Leslie N. Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, and Smith and
#   Topin, "Super-Convergence", 2018: cycles, and one cycle.
# - Ilya Loshchilov and Frank Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017:
#   where the cosine comes from.
# - Xavier Bouthillier and others, "Accounting for Variance in Machine Learning Benchmarks", 2021:
#   how much of a published difference is luck, and of which kind.
# - "Student", "The Probable Error of a Mean", Biometrika, 1908: the interval for a few numbers.
