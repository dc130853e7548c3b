# ---
# title: "Search, and stopping too soon"
# symptom: A grid of nine trials finds nothing better than guessing, and the network learns well.
# minutes: 45
# difficulty: 2
# learn:
#   - see which values of the knob that matters a search has never tried
#   - spend a fixed number of epochs on many short trainings and few long ones
#   - go on where the best trial lies at the edge of the space, or its curve still falls
#   - choose by validation images, and look at the test images once
# sources: ["000/16", "000/22", "003/78"]
# seconds: {pytorch: 40, tensorflow: 55}
# hints:
#   diagnosis:
#     - Nine marks stand over the axis of the rate. Over how many different rates?
#     - The axis is logarithmic, as the solid line wants it. Where on this axis are the rates that were tried, and where is the dip?
#     - The cause is the one about equal steps; the reading is `widest_gap(nine.values["rate"], *space["rate"])`.
#   repair:
#     - Which of the nine trials told the search something that another one had not told it? And what did each of them know after three epochs?
#     - Draw the values evenly over the decades, a new value of every knob in each trial. Give many configurations a few epochs, the best of them more, the best of those the longest training. Look whether the winner lies at an edge.
#     - "Sixteen points `10 ** (low + (high - low) * u)` with `low`, `high` the logarithms of the edges and `u` from `scipy.stats.qmc.Sobol`; a few points beyond an edge that the best one is near; 3 epochs each, 9 for the best five, `trial.longest` for the best one; return it with the epoch of its lowest loss."
# ---

# %% [markdown] story
# Somebody tunes a small network. It has two knobs that they are unsure of: the learning rate, and
# the strength of an L2 penalty on the weights, called weight decay. A grid search tries three values
# of each, nine trials. To save time every trial is stopped after three epochs.
#
# What they saw: the best of the nine is hardly better than guessing, if at all. They conclude that
# the network cannot learn these images, and would like a larger one.

# %% images
import itertools
import math

import numpy as np
from scipy.stats import qmc

train = lab.draw("train", 320, 16)
validation, test = lab.draw("validation", 300, 16), lab.draw("test", 300, 16)
classes = len(train.classes)
x = lab.fw.from_images(train.images, lab.device) / 127.5 - 1
y = lab.fw.from_labels(train.labels, lab.device)
both = np.concatenate([validation.images, test.images])
x_held_out = lab.fw.from_images(both, lab.device) / 127.5 - 1
print(
    f"{len(train)} training images, {classes} classes: guessing costs {math.log(classes):.2f} nats"
)

# %% [markdown] program
# A training takes a configuration and a number of epochs. It starts from the same weights every
# time, and gives out what the network says of the held-out images after each epoch.

# %% training tags=["pytorch"]
import torch
from torch.nn import functional as F


def logits_of_a_training(config, epochs, x_asked):
    """Logits after each epoch, (epochs, N, classes); NaN once the loss is not finite."""
    lab.fw.set_seed(lab.seed)
    model = lab.fw.quick_cnn(16, classes).to(lab.device)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config["rate"], momentum=0.9, weight_decay=config["decay"]
    )
    logits = np.full((epochs, len(x_asked), classes), np.nan)
    for epoch in range(epochs):
        model.train()
        for rows in torch.randperm(len(x)).split(32):
            rows = rows.to(x.device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
        if not torch.isfinite(loss):
            break
        logits[epoch] = lab.fw.predict(model, x_asked)
    return logits


# %% training tags=["tensorflow"]
import keras
import tensorflow as tf
from keras import ops

# The strength is a variable that the graph reads, so one graph serves every trial: tracing a new
# one takes longer than three epochs here.
strength = keras.Variable(0.0, trainable=False, name="decay")


def penalty(kernel):
    return strength / 2 * ops.sum(ops.square(kernel))


class Notes(keras.callbacks.Callback):
    """After each epoch, what the model says of some images; stop when the loss is not finite."""

    def __init__(self, logits, x_asked):
        super().__init__()
        self.logits, self.x_asked = logits, x_asked

    def on_epoch_end(self, epoch, logs=None):
        if math.isfinite(logs["loss"]):
            self.logits[epoch] = what_it_says(self.x_asked)
        else:
            self.model.stop_training = True


steps = len(train) // 32


def batches():
    """Without an end, so that one iterator serves all epochs of a training."""
    images = tf.data.Dataset.from_tensor_slices((x, y))
    return images.shuffle(len(train), seed=lab.seed).repeat().batch(32)


lab.fw.set_seed(lab.seed)
model = lab.fw.quick_cnn(16, classes)
for layer in model.layers:
    if hasattr(layer, "kernel"):
        layer.kernel.regularizer = penalty
model.compile(
    optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    steps_per_execution=steps,
    jit_compile=False,
)
model.optimizer.build(model.trainable_variables)
what_it_says = tf.function(lambda images: model(images, training=False))
fresh = model.get_weights()
fresh_optimizer = [ops.convert_to_numpy(variable) for variable in model.optimizer.variables]


def logits_of_a_training(config, epochs, x_asked):
    """Logits after each epoch, (epochs, N, classes); NaN once the loss is not finite."""
    lab.fw.set_seed(lab.seed)
    model.set_weights(fresh)
    for variable, value in zip(model.optimizer.variables, fresh_optimizer, strict=True):
        variable.assign(value)
    model.optimizer.learning_rate = config["rate"]
    strength.assign(config["decay"])
    logits = np.full((epochs, len(x_asked), classes), np.nan)
    model.fit(
        batches(),
        epochs=epochs,
        steps_per_epoch=steps,
        shuffle=False,  # the data set does
        verbose=0,
        callbacks=[Notes(logits, x_asked)],
    )
    return logits


# %% [markdown] trials-story
# `Trials` keeps the books. `trial(config, epochs)` returns the loss on the validation images after
# each epoch, and costs its epochs; a training that was asked for before is carried on, and only new
# epochs cost. `trial.test(config, epochs)` is the loss on the test images. A counter knows how often
# it is called.

# %% trials
from grader.instruments.search import Trials, measure_search, widest_gap

space = {"rate": (1e-5, 3.0), "decay": (1e-8, 1e-3)}
longest = 20


def cross_entropy(logits, labels):
    """Mean over the images in nats, (epochs,), of logits (epochs, N, classes)."""
    with np.errstate(all="ignore"):  # a training that diverges leaves the range of numbers
        highest = logits.max(axis=-1, keepdims=True)
        log_sum = highest[..., 0] + np.log(np.exp(logits - highest).sum(axis=-1))
        return (log_sum - logits[:, np.arange(len(labels)), labels]).mean(axis=-1)


def curves(config, epochs):
    """Losses after each epoch on the validation and on the test images."""
    logits = logits_of_a_training(config, epochs, x_held_out)
    return (
        cross_entropy(logits[:, : len(validation)], validation.labels),
        cross_entropy(logits[:, len(validation) :], test.labels),
    )


def new_trials():
    return Trials(curves, list(space), longest=longest)


# %% sick-search
def sick_search(trial, space, budget):
    """As many values of each knob as the budget allows, three epochs each."""
    side = math.isqrt(budget // 3)
    axes = [np.linspace(*space[name], side) for name in space]
    best, lowest = None, math.inf
    for values in itertools.product(*axes):
        config = dict(zip(space, values, strict=True))
        trial(config, 3)
        loss = trial.test(config, 3)
        if loss < lowest:
            best, lowest = config, loss
    return best, 3


trials = new_trials()
chosen, epochs = sick_search(trials, space, 27)
nine = measure_search(trials)
print("   rate     decay   validation loss after 3 epochs")
for rate, decay, loss in zip(nine.values["rate"], nine.values["decay"], nine.losses, strict=True):
    print(f"{rate:7.5f}  {decay:8.2g}   {loss:.3f}")
print(f"chosen: rate {chosen['rate']:.5f}, decay {chosen['decay']:.2g}")

# %% [markdown] signature-story
# Nine crosses, and behind them what the grid did not see: the same network over the whole range of
# each knob, after three epochs (dotted) and at the best moment of a training of twenty (solid). While
# one knob moves, the other one is held; the rate at 0.01, the decay at 10⁻⁵.

# %% signature tags=["picture"]
from grader.instruments.search import Sweep, draw_search, say_search

rates = np.array([1e-5, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 3])
decays = np.array([1e-8, 1e-5, 1e-3])
sweeps = {
    "rate": Sweep(rates, np.array([curves({"rate": r, "decay": 1e-5}, longest)[0] for r in rates])),
    "decay": Sweep(
        decays, np.array([curves({"rate": 0.01, "decay": d}, longest)[0] for d in decays])
    ),
}
lab.show(
    draw_search({"sick": nine}, sweeps, short=3, guessing=math.log(classes)),
    say_search(nine, space),
)

# %% [markdown] diagnosis-question
# ## Why do nine trials find nothing?
#
# The network is not at fault, and something in the search comes first. Whatever would still be wrong
# after the others are mended is the cause.
#
# | `cause` | what it would mean |
# |---|---|
# | `"too-few-trials"` | Nine is too few; a tenth or an eleventh would have found it. |
# | `"trials-too-short"` | The trials would be good, had they been trained for longer. |
# | `"wrong-spacing"` | The rates stand at equal distances, and what matters is their factor. |
# | `"decay-too-weak"` | The decay should have been tried at larger values. |
# | `"noise"` | The losses of the trials differ by chance. |
# | `"network"` | The network cannot learn these images. |
#
# Name the cause. For the reading, take the rates that were tried and the two ends of the space: how
# many decades wide is the widest gap between neighbours?

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "wrong-spacing"
reading = widest_gap(nine.values["rate"], *space["rate"])
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")

# %% [markdown] repair-question
# ## A search that finds, on networks that you have not seen
#
# `search(trial, space, budget)` returns a pair: a configuration, and the number of epochs to train
# it for.
#
# - `space` gives the lowest and the highest value of each knob, all above zero. What the knobs are
#   called and which of them matters differs from network to network. A trial outside is allowed.
# - `budget` is the number of epochs that all trials together may cost; `trial.spent` is the bill so
#   far, `trial.longest` the longest training.
# - A training whose rate is too high gives losses that are NaN, and a comparison with NaN is false.
#
# The check calls it for three dozen networks with a budget of 120 epochs each. Each is a formula
# whose shape was read off trainings like those above, so that the check takes a second and the
# optimum is known. Five things are asked in turn. How often were the test images looked at? Was the
# budget kept? How far does the search come from what the grid finds with the same budget to the
# best there is? On some networks the best lies beyond the space: does the search follow? And is the
# training stopped where its curve is lowest?


# %% repair tags=["answer"]
search = sick_search


### BEGIN SOLUTION
def search(trial, space, budget):
    # The space is somebody's guess: a decade more at each end, evenly over the decades.
    low, high = np.log10(list(space.values())).T
    points = low - 1 + (high - low + 2) * qmc.Sobol(len(space), seed=0).random(16)
    configs = [dict(zip(space, (10.0**point).tolist(), strict=True)) for point in points]

    def lowest(config, epochs):
        losses = trial(config, epochs)
        return np.nanmin(losses) if np.isfinite(losses).any() else math.inf

    # Sixteen begin, five go on, and two are trained for as long as the budget allows.
    configs = sorted(configs, key=lambda config: lowest(config, 3))[:5]
    configs = sorted(configs, key=lambda config: lowest(config, 8))[:2]
    longest = min(trial.longest, 8 + (budget - trial.spent) // 2)
    best = min(configs, key=lambda config: lowest(config, longest))
    return best, int(np.nanargmin(trial(best, longest))) + 1


### END SOLUTION


# %% check-repair tags=["check"]
lab.check("repair")

# %% [markdown] proof-story
# ## Does it hold on the real network, and on unseen images?
#
# Back to the real trainings, with the same budget for both: 90 epochs. The sick search is not left
# with nine trials; it gets the largest grid that it can pay for. Then both winners are trained as
# their search says, and asked about 600 images that no search has seen.

# %% proof tags=["proof"]
budget = 90
done, winners = {}, {}
for name, strategy in (("sick", sick_search), ("repaired", search)):
    trials = new_trials()
    winners[name] = strategy(trials, space, budget)
    done[name] = measure_search(trials)
    print(f"{name}: {say_search(done[name], space)}")
lab.show(
    draw_search(done, sweeps, short=3, guessing=math.log(classes)),
    say_search(done["repaired"], space),
)

# %% proof-unseen tags=["proof"]
drawn = lab.draw("test", 900, 16)
assert np.array_equal(drawn.images[: len(test)], test.images)  # what follows is new
unseen = drawn.images[len(test) :], drawn.labels[len(test) :]
x_unseen = lab.fw.from_images(unseen[0], lab.device) / 127.5 - 1
print("              rate     decay  epochs   loss on unseen images   right")
for name, (config, epochs) in winners.items():
    logits = logits_of_a_training(config, epochs, x_unseen)[-1:]
    right = (logits[0].argmax(axis=1) == unseen[1]).mean()
    print(
        f"{name:9s} {config['rate']:8.2g}  {config['decay']:8.2g}  {epochs:6d}   "
        f"{cross_entropy(logits, unseen[1])[0]:21.2f}   {right:5.0%}"
    )

# %% [markdown] stopping-story
# ## When is a training long enough?
#
# The sweep from the first picture once more: the best of its rates, stopped after more and more
# epochs. The last column is the slope of the curve over the last third of what was trained.

# %% stopping tags=["proof"]
from grader.instruments.search import fall_at_the_end

sweep = sweeps["rate"]
curve = sweep.curves[sweep.lowest().argmin()]
print(f"at rate {rates[sweep.lowest().argmin()]:g}")
print("epochs   loss   falls by, nats an epoch   best rate of the sweep by then")
for stop in (3, 6, 9, 12, 16, 20):
    print(
        f"{stop:6d}   {curve[stop - 1]:.2f}   {fall_at_the_end(curve[:stop]):23.3f}   "
        f"{rates[np.nanargmin(sweep.after(stop))]:g}"
    )

# %% [markdown] stopping-reading
# A loss alone does not say whether it is done; its slope does. While the slope is well above zero,
# the training is too short to be judged, and to be used. Past the bottom it changes its sign: the
# network begins to memorise its 320 images. A slope is as noisy as its loss, so look at several
# epochs. The last column is the harm that a short trial does to a search. Read it downwards: early
# on the ranking favours large steps, and a rate that wins after three epochs may lose after twenty.
# A search that compares short trainings finds what is best for short trainings.

# %% [markdown] advice-story
# ## Where advice and measurement part
#
# *"Random search beats grid search."* Bergstra and Bengio showed why: nine random trials hold nine
# values of the knob that matters, a grid of nine holds three. Two things change at once when a
# linear grid is replaced by a random search over logarithms, though. Below they are taken apart, on
# networks given by formula, with 120 epochs for each strategy. The first four have nine points of
# ten epochs and train the best one to its end; halving has sixteen points of three epochs, carries
# five on to eight and two to the end.

# %% advice tags=["proof"]
from grader.datasets.objectives import LONGEST, draw_objectives
from grader.instruments.search import draw_strategies, say_strategies


def nine_points(place):
    """A strategy that compares nine configurations; `place(low, high)` gives their logarithms."""

    def strategy(trial, space, budget):
        low, high = np.log10(list(space.values())).T
        configs = [dict(zip(space, (10.0**p).tolist(), strict=True)) for p in place(low, high)]
        best = min(configs, key=lambda config: np.nanmin(trial(config, 10)))
        return best, int(np.nanargmin(trial(best, trial.longest))) + 1

    return strategy


def halving_inside(trial, space, budget):
    low, high = np.log10(list(space.values())).T
    points = low + (high - low) * qmc.Sobol(len(low), seed=rng).random(16)
    configs = [dict(zip(space, (10.0**p).tolist(), strict=True)) for p in points]
    for epochs, kept in ((3, 5), (8, 2), (31, 1)):
        configs = sorted(configs, key=lambda c: np.nanmin(trial(c, epochs)))[:kept]
    return configs[0], int(np.nanargmin(trial(configs[0], 31))) + 1


def grid(axis):
    return lambda low, high: [
        np.array(p)
        for p in itertools.product(*(axis(*ends) for ends in zip(low, high, strict=True)))
    ]


rng = np.random.default_rng(lab.seed)
strategies = {
    "linear grid": nine_points(grid(lambda low, high: np.log10(np.linspace(10**low, 10**high, 3)))),
    "grid over logarithms": nine_points(grid(lambda low, high: np.linspace(low, high, 3))),
    "random over logarithms": nine_points(lambda low, high: rng.uniform(low, high, (9, 2))),
    "Sobol over logarithms": nine_points(
        lambda low, high: low + (high - low) * qmc.Sobol(2, seed=rng).random(16)[:9]
    ),
    "halving in the same space": halving_inside,
    "your search": search,
}
networks = [o for seed in range(2) for o in draw_objectives(lab.seed + seed) if not o.beyond]


def trials_of(network):
    def measured(config, epochs):
        return tuple(network.measured(config, epochs, split) for split in ("validation", "test"))

    return Trials(measured, list(network.space), longest=LONGEST)


def shares_of(strategy):
    shares = []
    for network in networks:
        best, planted = network.lowest_anywhere(), network.lowest(planted_of[id(network)])
        config, _ = strategy(trials_of(network), network.space, 120)
        shares.append((planted - network.lowest(config)) / (planted - best))
    return np.array(shares)


planted_of = {id(n): sick_search(trials_of(n), n.space, 120)[0] for n in networks}
shares = {name: shares_of(strategy) for name, strategy in strategies.items()}
lab.show(draw_strategies(shares), say_strategies(shares))

# %% [markdown] advice-reading
# Read the bars from the top. The linear grid gets nowhere with ten epochs a trial either. The
# largest step is the one to the second bar: the same nine points, evenly spread over the decades.
# Chance, or a sequence that only looks like it, adds the next, smaller part, for Bergstra and
# Bengio's reason. After that the strategies lie close together. Successive halving earns its keep
# where a few epochs already tell who will not win; compare it with Sobol's points above before
# believing that it always does. And your search has looked beyond the edges as well, which these
# networks do not reward.
#
# *"Choose by the test set, it is the honest one."* It is honest once. Below, the networks are
# trained with 1, 9 and 81 values of the knob that hardly matters, so that all trainings of a network
# are about equally good. The numbers are means over the networks.

# %% luck tags=["proof"]
print("trainings   lowest test loss   what that training is really worth")
for count in (1, 9, 81):
    lowest, worth = [], []
    for network in networks:
        (other,) = set(network.space) - {network.knob}
        values = 10 ** rng.uniform(*np.log10(network.space[other]), count)
        configs = [{network.knob: 10**network.best, other: value} for value in values]
        stop = int(network.pace)
        tested = [network.measured(config, stop, "test")[-1] for config in configs]
        lowest.append(min(tested))
        worth.append(network.truth(configs[int(np.argmin(tested))], stop)[-1])
    print(f"{count:9d}   {np.mean(lowest):16.2f}   {np.mean(worth):34.2f}")

# %% [markdown] luck-reading
# The more often the test images are asked, the further their best answer lies below what is true.
# Nothing has been trained on them; choosing is enough. The same happens to validation images, and
# that is why there are two sets: one to choose by, and one that is asked when nothing is left to
# choose.

# %% [markdown] tools-story tags=["pytorch"]
# ## The tool people use: Optuna
#
# Optuna keeps the books, proposes configurations, and ends trials early. Its sampler models which
# values did well (TPE); a pruner stops a trial whose loss at 3 or 9 epochs is not among the best
# third. That is successive halving, one trial at a time. These are real trainings again. `log=True`
# is the line that the sick search lacked, and nobody adds it for you. A training that diverged is
# reported as no better than guessing; a very large number would spoil any model of the loss.

# %% [markdown] tools-story tags=["tensorflow"]
# ## The tool people use: KerasTuner
#
# KerasTuner keeps the books and proposes configurations; `BayesianOptimization` models the loss
# over the space. Usually it calls a function that builds a model. `run_trial` may be overridden to
# train in any way, here with the one graph that is there already. These are real trainings again.
# `sampling="log"` is the line that the sick search lacked, and nobody adds it for you. A training
# that diverged is reported as no better than guessing; a very large number would spoil the model of
# the loss. The tuner writes its books to a folder and carries on from it when it is started again,
# so every search needs a new one.

# %% tools tags=["proof", "pytorch"]
tool = new_trials()


def optuna_objective(trial):
    config = {name: trial.suggest_float(name, *space[name], log=True) for name in space}
    for epochs in (3, 9, longest):
        loss = np.nan_to_num(tool(config, epochs), nan=math.log(classes)).min()
        trial.report(loss, step=epochs)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


try:
    import optuna
except ModuleNotFoundError:
    print("Optuna is not installed here; `pip install cnn-clinic[search]` brings it.")
else:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=lab.seed, n_startup_trials=6),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=3, reduction_factor=3),
    )
    study.optimize(
        optuna_objective,
        n_trials=30,
        callbacks=[lambda study, trial: study.stop() if tool.spent > budget - longest else None],
    )
    found = measure_search(tool)
    print(say_search(found, space))
    print("trials by epochs:", {int(e): int((found.epochs == e).sum()) for e in set(found.epochs)})
    print("best:", study.best_params)

# %% tools tags=["proof", "tensorflow"]
import tempfile
import warnings

tool = new_trials()

try:
    import keras_tuner
except ModuleNotFoundError:
    print("KerasTuner is not installed here; `pip install cnn-clinic[search]` brings it.")
else:

    class Tuner(keras_tuner.BayesianOptimization):
        def run_trial(self, trial, **kwargs):
            config = {name: trial.hyperparameters.get(name) for name in space}
            return float(np.nan_to_num(tool(config, 9), nan=math.log(classes)).min())

    knobs = keras_tuner.HyperParameters()
    for name, (low, high) in space.items():
        knobs.Float(name, low, high, sampling="log")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Nine losses are few for its model of them, and that is what it warns of.
        warnings.simplefilter("ignore", UserWarning)
        tuner = Tuner(
            hyperparameters=knobs,
            max_trials=9,
            num_initial_points=5,
            seed=lab.seed,
            directory=folder,
            project_name="search",
        )
        tuner.search(verbose=0)
        found = measure_search(tool)
        print(say_search(found, space))
        print("best:", tuner.get_best_hyperparameters()[0].values)

# %% [markdown] tools-reading
# The tool chooses the next point better than a grid does. It does not choose the scale, the edges
# of the space, the epochs of a trial, or the images to compare by. Those were the four faults of
# the nine trials, and a tool would have repeated them faster. Compare its bill and its lowest loss
# with those of your search above.

# %% [markdown] on-a-gpu tags=["pytorch"]
# ## On a GPU
#
# A trial of a small network leaves most of a GPU idle. Several trials can share one, each in a
# process of its own with the same Optuna storage (`create_study(storage="sqlite:///search.db",
# load_if_exists=True)`), or as one model with a batch dimension for its weights
# (`torch.func.stack_module_state` and `torch.vmap`). Successive halving then waits for the slowest
# trial of every round; its asynchronous form, which Optuna's pruner is, does not.

# %% [markdown] on-a-gpu tags=["tensorflow"]
# ## On a GPU
#
# A trial of a small network leaves most of a GPU idle. Several trials can share one, each in a
# process of its own, with `tf.config.experimental.set_memory_growth`, or the first takes all the
# memory. KerasTuner distributes trials over processes by the variables `KERASTUNER_TUNER_ID` and
# `KERASTUNER_ORACLE_IP`. A knob that changes a shape makes a new graph, and its tracing is paid in
# every trial; a knob that is a variable, as the rate and the decay are here, is not.

# %% [markdown] read-on
# ## Read on
#
# - J. Bergstra and Y. Bengio, *Random Search for Hyper-Parameter Optimization* (2012): why a grid
#   wastes its trials, and which knobs matter on which data.
# - K. Jamieson and A. Talwalkar, *Non-stochastic Best Arm Identification and Hyperparameter
#   Optimization* (2016), and L. Li and others, *Hyperband* (2018): successive halving, and how to
#   choose its first round.
# - Y. Wu, M. Ren, R. Liao and R. Grosse, *Understanding Short-Horizon Bias in Stochastic
#   Meta-Optimization* (2018): why three epochs prefer another rate than thirty.
# - The documentation of Optuna, *Efficient Optimization Algorithms*, of KerasTuner, *Getting started*,
#   and of `scipy.stats.qmc`.
