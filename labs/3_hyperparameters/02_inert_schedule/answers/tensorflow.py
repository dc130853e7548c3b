# %% believes_the_winner cell="diagnosis" kind="wrong" says="both arms had the same one at every step"
cause = "schedule-helps"
reading = comparison.head_start(arms)

# %% takes_it_for_luck cell="diagnosis" kind="wrong" says="drew no initial weights"
cause = "lucky-weights"
reading = comparison.head_start(arms)

# %% reads_the_difference_of_the_scores cell="diagnosis" kind="wrong" says="another number"
cause = "carried-over-weights"
reading = arms["B, schedule"].score - arms["A, constant"].score


# %% trains_nothing cell="schedule" kind="constant" says="No optimizer took a step"
def train(model, x, y, epochs):
    return [2.3] * epochs


# %% raises_when_training cell="schedule" kind="crash" says="no_such_schedule"
def train(model, x, y, epochs):
    return fit(model, x, y, keras.optimizers.SGD(no_such_schedule(0.05)), epochs)


# %% lowers_the_constant_rate cell="schedule" kind="wrong" says="The rate never changed"
def train(model, x, y, epochs):
    return fit(model, x, y, keras.optimizers.SGD(0.005, momentum=0.9), epochs)


# %% sets_the_rate_of_another_optimizer cell="schedule" kind="wrong" says="The rate never changed"
def train(model, x, y, epochs):
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)

    def lower(epoch, logs):
        optimizer.learning_rate = 0.01 * 0.5**epoch

    # Compiling copies nothing; but this is not the optimizer that is compiled.
    other = keras.optimizers.SGD.from_config(optimizer.get_config())
    lowering = keras.callbacks.LambdaCallback(on_epoch_begin=lower)
    return fit(model, x, y, other, epochs, callbacks=[lowering])


# %% decays_over_ten_thousand_steps cell="schedule" kind="wrong" says="has begun to fall"
def train(model, x, y, epochs):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 10_000, 0.96)
    return fit(model, x, y, keras.optimizers.SGD(schedule, momentum=0.9), epochs)


# %% counts_steps_and_is_called_once_an_epoch cell="schedule" kind="wrong" says="counts in another unit"
import math


def train(model, x, y, epochs):
    steps = epochs * -(-len(x) // 32)
    cosine = keras.callbacks.LearningRateScheduler(
        lambda step: 0.025 * (1 + math.cos(math.pi * step / steps))
    )
    return fit(model, x, y, keras.optimizers.SGD(0.05, momentum=0.9), epochs, callbacks=[cosine])


# %% counts_epochs_and_is_called_with_every_batch cell="schedule" kind="wrong" says="carried out once a batch"
def train(model, x, y, epochs):
    schedule = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=epochs)
    return fit(model, x, y, keras.optimizers.SGD(schedule, momentum=0.9), epochs)


# %% steps_after_ten_epochs cell="schedule" kind="wrong" says="has a length of its own"
def train(model, x, y, epochs):
    batches = -(-len(x) // 32)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([10 * batches], [0.05, 0.005])
    return fit(model, x, y, keras.optimizers.SGD(schedule, momentum=0.9), epochs)


# %% halves_every_fifth_epoch cell="schedule" kind="wrong" says="has a length of its own"
def train(model, x, y, epochs):
    def halve(epoch, rate):
        return rate / 2 if epoch > 2 and epoch % 5 == 0 else rate

    halving = keras.callbacks.LearningRateScheduler(halve)
    return fit(model, x, y, keras.optimizers.SGD(0.05, momentum=0.9), epochs, callbacks=[halving])


# %% cosine_over_forty_steps cell="schedule" kind="wrong" says="over long before the training"
def train(model, x, y, epochs):
    schedule = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=40)
    return fit(model, x, y, keras.optimizers.SGD(schedule, momentum=0.9), epochs)


# %% trains_until_the_schedule_fires cell="schedule" kind="wrong" says="made long enough for the plan"
def train(model, x, y, epochs):
    stairs = keras.callbacks.LearningRateScheduler(lambda epoch: 0.05 * 0.1 ** (epoch // 30))
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return fit(model, x, y, optimizer, max(epochs, 45), callbacks=[stairs])


# %% falls_from_next_to_nothing cell="schedule" kind="wrong" says="the wrong height"
def train(model, x, y, epochs):
    batches = -(-len(x) // 32)
    schedule = keras.optimizers.schedules.CosineDecay(0.00005, decay_steps=epochs * batches)
    return fit(model, x, y, keras.optimizers.SGD(schedule, momentum=0.9), epochs)


# %% milestones_at_shares_of_the_run cell="schedule" kind="right"
def train(model, x, y, epochs):
    steps = epochs * -(-len(x) // 32)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        [steps // 2, 3 * steps // 4], [0.05, 0.005, 0.0005]
    )
    return fit(model, x, y, keras.optimizers.SGD(schedule, momentum=0.9), epochs)


# %% exponential_in_epochs cell="schedule" kind="right"
def train(model, x, y, epochs):
    falling = keras.callbacks.LearningRateScheduler(lambda epoch: 0.05 * 0.02 ** (epoch / epochs))
    return fit(model, x, y, keras.optimizers.SGD(0.05, momentum=0.9), epochs, callbacks=[falling])


# %% one_cycle cell="schedule" kind="right"
class OneCycle(keras.callbacks.Callback):
    def __init__(self, highest, steps):
        super().__init__()
        self.highest, self.steps, self.done = highest, steps, 0

    def on_train_batch_begin(self, batch, logs=None):
        share = self.done / self.steps
        height = share / 0.3 if share < 0.3 else (1 - share) / 0.7
        self.model.optimizer.learning_rate = self.highest * max(height, 0.001)
        self.done += 1


def train(model, x, y, epochs):
    cycle = OneCycle(0.02, epochs * -(-len(x) // 32))
    return fit(model, x, y, keras.optimizers.AdamW(), epochs, callbacks=[cycle])


# %% cycles_that_fit_into_the_run cell="schedule" kind="right"
class Triangles(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, low, high, length):
        self.low, self.high, self.length = low, high, length

    def __call__(self, step):
        share = keras.ops.cast(step, "float32") / self.length
        share = share - keras.ops.floor(share)
        return self.low + (self.high - self.low) * (1 - keras.ops.abs(2 * share - 1))


def train(model, x, y, epochs):
    schedule = Triangles(0.001, 0.05, epochs * -(-len(x) // 32) / 2)
    return fit(model, x, y, keras.optimizers.SGD(schedule, momentum=0.9), epochs)


# %% plateau_or_three_quarters_of_the_run cell="schedule" kind="right"
def train(model, x, y, epochs):
    plateau = keras.callbacks.ReduceLROnPlateau(
        "loss", factor=0.1, patience=max(2, epochs // 8), min_delta=0.02
    )
    latest = keras.callbacks.LearningRateScheduler(  # a loss that still falls never stands still
        lambda epoch, rate: min(rate, 0.005) if epoch >= 3 * epochs // 4 else rate
    )
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    return fit(model, x, y, optimizer, epochs, callbacks=[plateau, latest])


# %% warm_up_and_a_loop_of_its_own cell="schedule" kind="healthy"
import tensorflow as tf


def train(model, x, y, epochs):
    steps = epochs * (len(x) // 24)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=0.01, warmup_steps=steps // 10
    )
    optimizer = keras.optimizers.Adam(schedule)
    optimizer.build(model.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(images, targets):
        with tf.GradientTape() as tape:
            loss = cross_entropy(targets, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=1)
    return [float(step(*batch)) for batch in batches.batch(24).repeat(epochs)]


# %% never_decides cell="compare" kind="constant" says="as useless as one that always does"
def compare(build_model, train_a, train_b, score, seeds):
    for seed in seeds:
        for train_arm in (train_a, train_b):
            keras.utils.set_random_seed(seed)
            train_arm(build_model())
    return "cannot tell"


# %% decides_without_training cell="compare" kind="constant" says="without training both arms"
def compare(build_model, train_a, train_b, score, seeds):
    return "B"


# %% returns_a_difference cell="compare" kind="constant" says="the arm that is better"
def compare(build_model, train_a, train_b, score, seeds):
    model = build_model()
    train_a(model)
    return score(model)


# %% raises_when_comparing cell="compare" kind="crash" says="no_such_test"
def compare(build_model, train_a, train_b, score, seeds):
    model = build_model()
    train_a(model)
    return no_such_test(score(model))


# %% repeats_the_shared_model cell="compare" kind="wrong" says="a training before has left"
def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = build_model()
        train_a(model)
        a.append(score(model))
        train_b(model)
        b.append(score(model))
    return comparison.measure_comparison(a, b).verdict


# %% compiles_again_between_the_arms cell="compare" kind="wrong" says="of arm B, start from weights"
def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = build_model()
        for scores, train_arm in ((a, train_a), (b, train_b)):
            model.compile(optimizer=keras.optimizers.Adam(0.001), loss="mse")
            train_arm(model)
            scores.append(score(model))
    return comparison.measure_comparison(a, b).verdict


# %% evaluates_the_same_model_twice cell="compare" kind="wrong" says="a training before has left"
def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = build_model()
        train_a(model)
        train_b(model)
        a.append(score(model))
        b.append(score(model))
    return comparison.measure_comparison(a, b).verdict


# %% gives_the_schedule_more_time cell="compare" kind="wrong" says="of arm B, start from weights"
def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = build_model()
        train_a(model)
        a.append(score(model))
        keras.utils.set_random_seed(seed)
        model = build_model()
        train_b(model)
        train_b(model)
        b.append(score(model))
    return comparison.measure_comparison(a, b).verdict


# %% reports_the_best_epoch_of_one_arm cell="compare" kind="wrong" says="of arm B, start from weights"
def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = build_model()
        train_a(model)
        a.append(score(model))
        keras.utils.set_random_seed(seed)
        model, epochs = build_model(), []
        for _ in range(3):
            train_b(model)
            epochs.append(score(model))
        b.append(max(epochs))
    return comparison.measure_comparison(a, b).verdict


# %% draws_weights_for_each_arm cell="compare" kind="wrong" says="draws weights of its own"
def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for _ in seeds:
        for scores, train_arm in ((a, train_a), (b, train_b)):
            model = build_model()
            train_arm(model)
            scores.append(score(model))
    return comparison.measure_comparison(a, b).verdict


# %% trusts_one_seed cell="compare" kind="wrong" says="How much a score differs from seed to seed"
def compare(build_model, train_a, train_b, score, seeds):
    scores = []
    for train_arm in (train_a, train_b):
        keras.utils.set_random_seed(seeds[0])
        model = build_model()
        train_arm(model)
        scores.append(score(model))
    return "A" if scores[0] > scores[1] else "B"


# %% tunes_one_arm_only cell="compare" kind="wrong" says="more chances of a lucky one"
def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for seed in seeds:
        tried = []
        for train_arm in (train_a, train_b, train_b, train_b):
            keras.utils.set_random_seed(seed)
            model = build_model()
            train_arm(model)
            tried.append(score(model))
        a.append(tried[0])
        b.append(max(tried[1:]))
    return comparison.measure_comparison(a, b).verdict


# %% best_seed_against_the_mean cell="compare" kind="wrong" says="always the same arm"
def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for seed in seeds:
        for scores, train_arm in ((a, train_a), (b, train_b)):
            keras.utils.set_random_seed(seed)
            model = build_model()
            train_arm(model)
            scores.append(score(model))
    return "A" if sum(a) / len(a) > max(b) else "B"


# %% takes_the_higher_mean cell="compare" kind="wrong" says="scores of two equal arms differ as well"
def compare(build_model, train_a, train_b, score, seeds):
    difference = 0
    for seed in seeds:
        for sign, train_arm in ((-1, train_a), (1, train_b)):
            keras.utils.set_random_seed(seed)
            model = build_model()
            train_arm(model)
            difference += sign * score(model)
    if difference == 0:
        return "cannot tell"
    return "A" if difference < 0 else "B"


# %% calls_one_point_a_difference cell="compare" kind="wrong" says="large beside the spread"
def compare(build_model, train_a, train_b, score, seeds):
    difference = 0
    for seed in seeds:
        for sign, train_arm in ((-1, train_a), (1, train_b)):
            keras.utils.set_random_seed(seed)
            model = build_model()
            train_arm(model)
            difference += sign * score(model) / len(seeds)
    if abs(difference) < 0.01:
        return "cannot tell"
    return "A" if difference < 0 else "B"


# %% forgets_which_scores_belong_together cell="compare" kind="wrong" says="luck that both arms share"
import numpy as np


def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for seed in seeds:
        for scores, train_arm in ((a, train_a), (b, train_b)):
            keras.utils.set_random_seed(seed)
            model = build_model()
            train_arm(model)
            scores.append(score(model))
    error = np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / len(seeds))
    t = (np.mean(b) - np.mean(a)) / error
    return "cannot tell" if abs(t) < 2.2 else ("B" if t > 0 else "A")


# %% takes_lower_for_better cell="compare" kind="wrong" says="is a higher score better"
def compare(build_model, train_a, train_b, score, seeds):
    scores = [], []
    for seed in seeds:
        for arm, train_arm in enumerate((train_a, train_b)):
            keras.utils.set_random_seed(seed)
            model = build_model()
            train_arm(model)
            scores[arm].append(-score(model))
    return comparison.measure_comparison(*scores).verdict


# %% clones_one_model_for_both cell="compare" kind="right"
def compare(build_model, train_a, train_b, score, seeds):
    differences = []
    for _ in seeds:
        one = build_model()
        other = keras.models.clone_model(one)
        other.set_weights(one.get_weights())  # a clone draws weights of its own
        train_a(one)
        train_b(other)
        differences.append(score(other) - score(one))
    signs = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    # The sign test: all of six on one side happens once in 32 by chance.
    if 0 in signs and max(signs) == len(seeds):
        return "B" if signs[0] else "A"
    return "cannot tell"


# %% restores_the_state_and_permutes cell="compare" kind="right"
import itertools

import numpy as np


def compare(build_model, train_a, train_b, score, seeds):
    differences = []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = build_model()
        start = model.get_weights()
        train_a(model)
        a = score(model)
        model.set_weights(start)
        train_b(model)
        differences.append(score(model) - a)
    differences = np.array(differences)
    signs = np.array(list(itertools.product([-1, 1], repeat=len(differences))))
    as_large = np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12
    if as_large.mean() > 0.05:
        return "cannot tell"
    return "B" if differences.mean() > 0 else "A"


# %% two_errors_of_the_mean cell="compare" kind="right"
import numpy as np


def compare(build_model, train_a, train_b, score, seeds):
    def scores_of(train_arm):
        scores = []
        for seed in seeds:
            lab.fw.set_seed(seed)
            model = build_model()
            train_arm(model)
            scores.append(score(model))
        return np.array(scores)

    differences = scores_of(train_b) - scores_of(train_a)
    error = differences.std(ddof=1) / np.sqrt(len(seeds))
    if abs(differences.mean()) <= 2.6 * error:
        return "cannot tell"
    return "B" if differences.mean() > 0 else "A"


# %% resamples_the_differences cell="compare" kind="healthy"
import numpy as np


def compare(build_model, train_a, train_b, score, seeds):
    differences = []
    for seed in [*seeds, *(s + 20_000 for s in seeds)]:
        pair = []
        for train_arm in (train_b, train_a):
            keras.utils.set_random_seed(seed)
            model = build_model()
            train_arm(model)
            pair.append(score(model))
        differences.append(pair[0] - pair[1])
    draws = np.random.default_rng(0).choice(differences, (2000, len(differences))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return "B" if low > 0 else "A" if high < 0 else "cannot tell"
