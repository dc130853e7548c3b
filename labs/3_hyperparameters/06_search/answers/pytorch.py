# %% names_the_first_thing_seen cell="diagnosis" kind="wrong" says="comes second"
cause = "trials-too-short"
reading = widest_gap(nine.values["rate"], *space["rate"])

# %% blames_the_number_of_trials cell="diagnosis" kind="wrong" says="could be nine rates"
cause = "too-few-trials"
reading = widest_gap(nine.values["rate"], *space["rate"])

# %% reads_the_gap_of_the_decay cell="diagnosis" kind="wrong" says="another number"
cause = "wrong-spacing"
reading = widest_gap(nine.values["decay"], *space["decay"])


# %% returns_the_middle kind="constant" says="No trial was asked for"
def search(trial, space, budget):
    return {name: (low + high) / 2 for name, (low, high) in space.items()}, 20


# %% returns_nothing kind="constant" says="return a pair"
def search(trial, space, budget):
    trial({name: low for name, (low, high) in space.items()}, 1)


# %% returns_zero kind="constant" says="a number above zero"
def search(trial, space, budget):
    return dict.fromkeys(space, 0.0), 20


# %% raises_when_called kind="crash"
def search(trial, space, budget):
    losses = trial({name: low for name, (low, high) in space.items()}, 3)
    return losses["rate"], 3


# %% picks_by_the_test_images kind="wrong" says="low by luck"
# A sound search, but for what it chooses by.
def search(trial, space, budget):
    rng = np.random.default_rng(0)
    best, lowest = None, math.inf
    while trial.spent + 12 <= budget:
        config = {
            name: 10 ** rng.uniform(np.log10(low) - 1, np.log10(high) + 1)
            for name, (low, high) in space.items()
        }
        trial(config, 12)
        loss = trial.test(config, 12)
        if loss < lowest:
            best, lowest = config, loss
    return best, 12


# %% decides_after_the_test kind="wrong" says="trials were made afterwards"
def search(trial, space, budget):
    config, epochs = sick_search_by_validation(trial, space, budget)
    if trial.test(config, epochs) > 2:
        trial(config, 12)
        epochs = 12
    return config, epochs


def sick_search_by_validation(trial, space, budget):
    low, high = np.log10(list(space.values())).T
    best, lowest = None, math.inf
    for point in np.random.default_rng(0).uniform(low, high, (10, len(space))):
        config = dict(zip(space, 10.0**point, strict=True))
        loss = np.nan_to_num(trial(config, 8)[-1], nan=99.0)
        if loss < lowest:
            best, lowest = config, loss
    return best, 8


# %% a_bigger_grid kind="wrong" says="it was given 120"
def search(trial, space, budget):
    axes = [np.geomspace(*space[name], 5) for name in space]
    losses = {}
    for values in itertools.product(*axes):
        losses[values] = np.nan_to_num(
            trial(dict(zip(space, values, strict=True)), 12)[-1], nan=99.0
        )
    return dict(zip(space, min(losses, key=losses.get), strict=True)), 12


# %% never_stops kind="wrong" says="when does yours stop asking"
def search(trial, space, budget):
    best, lowest = None, math.inf
    while lowest > 0.1:
        config = {n: 10 ** np.random.uniform(*np.log10(space[n])) for n in space}
        loss = trial(config, trial.longest)[-1]
        if loss < lowest:
            best, lowest = config, loss
    return best, trial.longest


# %% always_the_longest_training kind="wrong" says="took so much of the budget"
def search(trial, space, budget):
    rng = np.random.default_rng(0)
    best, lowest = {name: low for name, (low, high) in space.items()}, math.inf
    while trial.spent + trial.longest <= budget:
        config = {
            name: 10 ** rng.uniform(np.log10(low) - 1, np.log10(high) + 1)
            for name, (low, high) in space.items()
        }
        loss = trial(config, trial.longest)[-1]
        if loss < lowest:
            best, lowest = config, loss
    return best, trial.longest


# %% stops_every_trial_at_epoch_1 kind="wrong" says="starts fastest is ahead"
def search(trial, space, budget):
    rng = np.random.default_rng(0)
    best, lowest = None, math.inf
    while trial.spent + 1 + trial.longest <= budget:
        config = {
            name: 10 ** rng.uniform(np.log10(low) - 1, np.log10(high) + 1)
            for name, (low, high) in space.items()
        }
        loss = trial(config, 1)[-1]
        if loss < lowest:
            best, lowest = config, loss
    return best, int(np.nanargmin(trial(best, trial.longest))) + 1


# %% random_on_a_linear_scale kind="wrong" says="decades of a knob hold no trial"
def search(trial, space, budget):
    rng = np.random.default_rng(0)
    best, lowest = {name: low for name, (low, high) in space.items()}, math.inf
    while trial.spent + 8 + trial.longest <= budget:
        config = {name: rng.uniform(low, high) for name, (low, high) in space.items()}
        loss = trial(config, 8)[-1]
        if loss < lowest:
            best, lowest = config, loss
    return best, int(np.nanargmin(trial(best, trial.longest))) + 1


# %% the_planted_grid_by_validation kind="wrong" says="decades of a knob hold no trial"
def search(trial, space, budget):
    side = math.isqrt(budget // 3)
    axes = [np.linspace(*space[name], side) for name in space]
    losses = {}
    for values in itertools.product(*axes):
        losses[values] = np.nan_to_num(
            trial(dict(zip(space, values, strict=True)), 3)[-1], nan=99.0
        )
    return dict(zip(space, min(losses, key=losses.get), strict=True)), 3


# %% stays_inside_the_space kind="wrong" says="found the edge"
def search(trial, space, budget):
    low, high = np.log10(list(space.values())).T
    losses = {}
    for point in qmc.Sobol(len(space), seed=0).random(16):
        values = tuple(10 ** (low + (high - low) * point))
        losses[values] = np.nanmin(trial(dict(zip(space, values, strict=True)), 5))
    best = dict(zip(space, min(losses, key=losses.get), strict=True))
    return best, int(np.nanargmin(trial(best, trial.longest))) + 1


# %% keeps_the_three_epochs kind="wrong" says="cut short"
# Finds a good configuration, and trains it for as long as somebody always has.
def search(trial, space, budget):
    low, high = np.log10(list(space.values())).T
    losses = {}
    for point in qmc.Sobol(len(space), seed=0).random(16):
        values = tuple(10 ** (low - 1 + (high - low + 2) * point))
        losses[values] = np.nanmin(trial(dict(zip(space, values, strict=True)), 7))
    return dict(zip(space, min(losses, key=losses.get), strict=True)), 3


# %% trains_the_winner_for_the_longest kind="wrong" says="have turned"
def search(trial, space, budget):
    low, high = np.log10(list(space.values())).T
    losses = {}
    for point in qmc.Sobol(len(space), seed=0).random(16):
        values = tuple(10 ** (low - 1 + (high - low + 2) * point))
        losses[values] = np.nanmin(trial(dict(zip(space, values, strict=True)), 6))
    return dict(zip(space, min(losses, key=losses.get), strict=True)), trial.longest


# %% log_random_on_a_wider_space kind="right"
def search(trial, space, budget):
    rng = np.random.default_rng(1)
    best, lowest = None, math.inf
    while trial.spent + trial.longest <= budget:
        config = {
            name: 10 ** rng.uniform(np.log10(low) - 1, np.log10(high) + 1)
            for name, (low, high) in space.items()
        }
        loss = np.nanmin(trial(config, 5))
        if loss < lowest:
            best, lowest = config, loss
    return best, int(np.nanargmin(trial(best, trial.longest))) + 1


# %% log_random_then_steps_outward kind="right"
def search(trial, space, budget):
    rng = np.random.default_rng(1)
    low, high = np.log10(list(space.values())).T

    def loss(point, epochs):
        config = dict(zip(space, (10.0**point).tolist(), strict=True))
        return np.nanmin(trial(config, epochs))

    points = sorted(rng.uniform(low, high, (9, len(space))), key=lambda p: loss(p, 3))[:2]
    best = min(points, key=lambda p: loss(p, 7))
    # In steps of most of a decade, in each direction while it gets better, edge or no edge.
    for step in np.concatenate([np.eye(len(space)), -np.eye(len(space))]) * 0.8:
        while trial.spent + trial.longest <= budget and loss(best + step, 7) < loss(best, 7):
            best = best + step
    config = dict(zip(space, (10.0**best).tolist(), strict=True))
    return config, int(np.nanargmin(trial(config, trial.longest))) + 1


# %% sobol_on_a_wider_space kind="right"
def search(trial, space, budget):
    low, high = np.log10(list(space.values())).T
    losses = {}
    for point in qmc.Sobol(len(space), seed=0).random(16):
        values = tuple((10 ** (low - 1 + (high - low + 2) * point)).tolist())
        losses[values] = np.nanmin(trial(dict(zip(space, values, strict=True)), 5))
    best = dict(zip(space, min(losses, key=losses.get), strict=True))
    return best, int(np.nanargmin(trial(best, trial.longest))) + 1


# %% successive_halving_of_random_points kind="right"
def search(trial, space, budget):
    rng = np.random.default_rng(2)
    low, high = np.log10(list(space.values())).T
    points = rng.uniform(low - 1, high + 1, (20, len(space)))
    configs = [dict(zip(space, (10.0**point).tolist(), strict=True)) for point in points]
    for epochs, keep in ((2, 8), (6, 3), (12, 1)):
        configs.sort(key=lambda config: np.nanmin(trial(config, epochs)))
        configs = configs[:keep]
    # 40 + 8 * 4 + 3 * 6 epochs, and 20 to finish the last one.
    curve = trial(configs[0], trial.longest - 2)
    return configs[0], int(np.nanargmin(curve)) + 1


# %% bayesian_with_a_gaussian_process kind="right"
def search(trial, space, budget):
    rng = np.random.default_rng(0)
    low, high = np.log10(list(space.values())).T
    low, high = low - 1, high + 1

    def config_at(point):
        return dict(zip(space, (10 ** (low + (high - low) * point)).tolist(), strict=True))

    def alike(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=-1) / (2 * 0.15**2))

    points = list(qmc.Sobol(len(space), seed=0).random(4))
    losses = [np.nanmin(trial(config_at(p), 7)) for p in points]
    while trial.spent + 7 + trial.longest <= budget:
        seen, y = np.array(points), np.minimum(losses, 2.6)
        spread = y.std() + 1e-9
        inverse = np.linalg.inv(alike(seen, seen) + 0.02 * np.eye(len(seen)))
        asked = rng.random((400, len(space)))
        near = alike(asked, seen)
        mean = near @ inverse @ (y - y.mean()) / spread
        doubt = np.sqrt(np.maximum(0, 1 - np.einsum("ij,jk,ik->i", near, inverse, near)))
        points.append(asked[np.argmin(mean - 1.5 * doubt)])
        losses.append(np.nanmin(trial(config_at(points[-1]), 7)))
    best = config_at(points[int(np.argmin(losses))])
    return best, int(np.nanargmin(trial(best, trial.longest))) + 1


# %% log_grid_refined kind="right"
def search(trial, space, budget):
    low, high = np.log10(list(space.values())).T
    centre, half = (low + high) / 2, (high - low) / 2
    losses = {}

    def look(point):
        values = tuple((10.0**point).tolist())
        losses[values] = np.nanmin(trial(dict(zip(space, values, strict=True)), 4))

    def best():
        return np.log10(min(losses, key=losses.get))

    # A cross: one knob at a time over its decades and one more, then finer around the best.
    for knob in range(len(space)):
        for place in np.linspace(-1, 1, 8):
            point = best() if losses else centre.copy()
            point[knob] = centre[knob] + place * (half[knob] + 1)
            look(point)
    for place in (-0.4, 0.4, -0.2, 0.2):
        for knob in range(len(space)):
            if trial.spent + trial.longest <= budget:
                point = best()
                point[knob] += place
                look(point)
    config = dict(zip(space, (10 ** best()).tolist(), strict=True))
    return config, int(np.nanargmin(trial(config, trial.longest))) + 1


# %% reads_the_test_once kind="healthy"
# Random points, the promising ones carried on, the space left where it ends too soon; the test
# images are looked at once, when everything is decided.
def search(trial, space, budget):
    rng = np.random.default_rng(5)
    low, high = np.log10(list(space.values())).T
    span = high - low
    points = [low + span * (i + rng.random(2)) / 12 for i in range(12)]
    second = rng.permutation(12)
    points = [np.array([p[0], points[j][1]]) for p, j in zip(points, second, strict=True)]

    def loss(point, epochs):
        return np.nanmin(trial(dict(zip(space, (10.0**point).tolist(), strict=True)), epochs))

    points.sort(key=lambda p: loss(p, 4))
    for knob in range(2):
        outward = np.zeros(2)
        outward[knob] = 0.7
        for sign in (-1, 1):
            near = points[0][knob] - low[knob] if sign < 0 else high[knob] - points[0][knob]
            if near < 0.15 * span[knob]:
                points += [points[0] + sign * outward, points[0] + 2 * sign * outward]
    points = sorted(points, key=lambda p: loss(p, 4))[:3]
    best = min(points, key=lambda p: loss(p, 8))
    config = dict(zip(space, (10.0**best).tolist(), strict=True))
    epochs = int(np.nanargmin(trial(config, trial.longest - 4))) + 1
    print(f"test loss {trial.test(config, epochs):.2f}")
    return config, epochs
