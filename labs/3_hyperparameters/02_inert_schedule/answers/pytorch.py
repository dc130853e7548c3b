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
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return fit(model, x, y, optimizer, epochs, every_epoch=no_such_schedule(optimizer))


# %% lowers_the_constant_rate cell="schedule" kind="wrong" says="The rate never changed"
def train(model, x, y, epochs):
    return fit(model, x, y, torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9), epochs)


# %% sets_an_attribute_that_nobody_reads cell="schedule" kind="wrong" says="The rate never changed"
def train(model, x, y, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(epochs):
        optimizer.lr = 0.01 * 0.5**epoch
        fit(model, x, y, optimizer, 1)


# %% counts_steps_and_is_called_once_an_epoch cell="schedule" kind="wrong" says="counts in another unit"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    steps = epochs * -(-len(x) // 32)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    return fit(model, x, y, optimizer, epochs, every_epoch=schedule)


# %% counts_epochs_and_is_called_with_every_batch cell="schedule" kind="wrong" says="carried out once a batch"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.05 ** (1 / epochs))
    return fit(model, x, y, optimizer, epochs, every_batch=schedule)


# %% cosine_in_epochs_with_every_batch cell="schedule" kind="wrong" says="goes up and down"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    return fit(model, x, y, optimizer, epochs, every_batch=schedule)


# %% steps_after_ten_epochs cell="schedule" kind="wrong" says="has a length of its own"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.1)
    return fit(model, x, y, optimizer, epochs, every_epoch=schedule)


# %% halves_every_fifth_epoch cell="schedule" kind="wrong" says="has a length of its own"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.5)
    return fit(model, x, y, optimizer, epochs, every_epoch=schedule)


# %% cosine_over_forty_steps cell="schedule" kind="wrong" says="over long before the training"
import math


def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(step, 40) / 40))
    )
    return fit(model, x, y, optimizer, epochs, every_batch=schedule)


# %% trains_until_the_schedule_fires cell="schedule" kind="wrong" says="made long enough for the plan"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.1)
    return fit(model, x, y, optimizer, max(epochs, 45), every_epoch=schedule)


# %% falls_from_next_to_nothing cell="schedule" kind="wrong" says="the wrong height"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.00005, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    return fit(model, x, y, optimizer, epochs, every_epoch=schedule)


# %% milestones_at_shares_of_the_run cell="schedule" kind="right"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.MultiStepLR(
        optimizer, milestones=[epochs // 2, 3 * epochs // 4], gamma=0.1
    )
    return fit(model, x, y, optimizer, epochs, every_epoch=schedule)


# %% exponential_in_epochs cell="schedule" kind="right"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.02 ** (1 / epochs))
    return fit(model, x, y, optimizer, epochs, every_epoch=schedule)


# %% one_cycle cell="schedule" kind="right"
def train(model, x, y, epochs):
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.02, epochs=epochs, steps_per_epoch=-(-len(x) // 32)
    )
    return fit(model, x, y, optimizer, epochs, every_batch=schedule)


# %% cycles_that_fit_into_the_run cell="schedule" kind="right"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    steps = epochs * -(-len(x) // 32)
    schedule = torch.optim.lr_scheduler.CyclicLR(
        optimizer, base_lr=0.001, max_lr=0.05, step_size_up=steps / 4
    )
    return fit(model, x, y, optimizer, epochs, every_batch=schedule)


# %% plateau_or_three_quarters_of_the_run cell="schedule" kind="right"
def train(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.1, patience=max(2, epochs // 8), threshold=0.02
    )
    for epoch in range(1, epochs + 1):
        schedule.step(fit(model, x, y, optimizer, 1)[0])
        if epoch == 3 * epochs // 4:  # a loss that still falls never stands still
            for group in optimizer.param_groups:
                group["lr"] = min(group["lr"], 0.005)


# %% warm_up_and_a_straight_line_by_hand cell="schedule" kind="healthy"
def train(model, x, y, epochs):
    optimizer = torch.optim.Adam(model.parameters())
    steps, done = epochs * (len(x) // 24), 0
    model.train()
    while done < steps:
        for rows in torch.randperm(len(x)).split(24):
            done += 1
            share = done / steps
            for group in optimizer.param_groups:
                group["lr"] = 0.01 * min(10 * share, max(0, 1 - share) / 0.9)
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            if done == steps:
                break


# %% never_decides cell="compare" kind="constant" says="as useless as one that always does"
def compare(build_model, train_a, train_b, score, seeds):
    for seed in seeds:
        for train_arm in (train_a, train_b):
            torch.manual_seed(seed)
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
        torch.manual_seed(seed)
        model = build_model()
        train_a(model)
        a.append(score(model))
        train_b(model)
        b.append(score(model))
    return comparison.measure_comparison(a, b).verdict


# %% evaluates_the_same_model_twice cell="compare" kind="wrong" says="a training before has left"
def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for seed in seeds:
        torch.manual_seed(seed)
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
        torch.manual_seed(seed)
        model = build_model()
        train_a(model)
        a.append(score(model))
        torch.manual_seed(seed)
        model = build_model()
        train_b(model)
        train_b(model)
        b.append(score(model))
    return comparison.measure_comparison(a, b).verdict


# %% reports_the_best_epoch_of_one_arm cell="compare" kind="wrong" says="of arm B, start from weights"
def compare(build_model, train_a, train_b, score, seeds):
    a, b = [], []
    for seed in seeds:
        torch.manual_seed(seed)
        model = build_model()
        train_a(model)
        a.append(score(model))
        torch.manual_seed(seed)
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
        torch.manual_seed(seeds[0])
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
            torch.manual_seed(seed)
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
            torch.manual_seed(seed)
            model = build_model()
            train_arm(model)
            scores.append(score(model))
    return "A" if sum(a) / len(a) > max(b) else "B"


# %% takes_the_higher_mean cell="compare" kind="wrong" says="scores of two equal arms differ as well"
def compare(build_model, train_a, train_b, score, seeds):
    difference = 0
    for seed in seeds:
        for sign, train_arm in ((-1, train_a), (1, train_b)):
            torch.manual_seed(seed)
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
            torch.manual_seed(seed)
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
            torch.manual_seed(seed)
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
            torch.manual_seed(seed)
            model = build_model()
            train_arm(model)
            scores[arm].append(-score(model))
    return comparison.measure_comparison(*scores).verdict


# %% copies_one_model_for_both cell="compare" kind="right"
import copy


def compare(build_model, train_a, train_b, score, seeds):
    differences = []
    for _ in seeds:
        one = build_model()
        other = copy.deepcopy(one)
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
        torch.manual_seed(seed)
        model = build_model()
        start = {name: value.clone() for name, value in model.state_dict().items()}
        train_a(model)
        a = score(model)
        model.load_state_dict(start)
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
            torch.manual_seed(seed)
            model = build_model()
            train_arm(model)
            pair.append(score(model))
        differences.append(pair[0] - pair[1])
    draws = np.random.default_rng(0).choice(differences, (2000, len(differences))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return "B" if low > 0 else "A" if high < 0 else "cannot tell"
