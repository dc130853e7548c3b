# %% believes_the_sharp_minimum cell="diagnosis" kind="wrong" says="its own training images"
cause = "generalises-worse"
reading = 500 // 16

# %% takes_it_for_noise cell="diagnosis" kind="wrong" says="less noisy"
cause = "gradient-noise"
reading = 500 // 16

# %% divides_the_batch_sizes cell="diagnosis" kind="wrong" says="another number"
cause = "too-few-steps"
reading = 256 / 16


# %% does_nothing kind="constant" says="was not trained"
def train(model, x, y, batch_size, epochs):
    return model


# %% trains_a_copy kind="constant" says="was not trained"
def train(model, x, y, batch_size, epochs):
    import copy

    other = copy.deepcopy(model)
    fit(other, x, y, batch_size, epochs, 0.01)
    return other


# %% raises_when_called kind="crash" says="no_such_rate"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, epochs, no_such_rate)


# %% keeps_the_last_batch_only kind="wrong" says="not gone far enough"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, epochs, drop_last=False)


# %% trains_longer_at_the_old_rate kind="wrong" says="as short as before"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, round(1.2 * epochs), drop_last=False)


# %% regularises kind="wrong" says="what is missing is not"
def train(model, x, y, batch_size, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, weight_decay=0.01)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            logits = model(F.dropout(x[rows], 0.1))
            F.cross_entropy(logits, y[rows], label_smoothing=0.05).backward()
            optimizer.step()


# %% adds_the_noise_of_a_small_batch kind="wrong" says="not gone far enough"
def train(model, x, y, batch_size, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            for parameter in model.parameters():
                size = parameter.grad.norm() / parameter.numel() ** 0.5
                parameter.grad += size * torch.randn_like(parameter)
            optimizer.step()


# %% scales_far_beyond kind="wrong" says="too long now"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, epochs, rate=0.05 * batch_size)


# %% goes_back_to_small_batches kind="wrong" says="goes through a step of"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, 16, epochs)


# %% trains_six_times_as_long kind="wrong" says="times the images"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, 6 * epochs, drop_last=False)


# %% linear_with_warm_up kind="right"
def train(model, x, y, batch_size, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001 * batch_size / 16, momentum=0.9)
    steps = epochs * -(-len(x) // batch_size)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.2, 1.0, total_iters=steps // 5)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            warm_up.step()


# %% square_root_and_a_few_more_epochs kind="right"
def train(model, x, y, batch_size, epochs):
    rate = 0.001 * (batch_size / 16) ** 0.5
    fit(model, x, y, batch_size, round(1.2 * epochs), rate, drop_last=False)


# %% adam_with_a_rate_of_its_own kind="right"
def train(model, x, y, batch_size, epochs):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()


# %% adds_up_portions kind="right"
def train(model, x, y, batch_size, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001 * batch_size / 16, momentum=0.9)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            for portion in rows.split(40):
                total = F.cross_entropy(model(x[portion]), y[portion], reduction="sum")
                (total / len(rows)).backward()
            optimizer.step()


# %% a_shorter_way_with_a_falling_rate kind="right"
def train(model, x, y, batch_size, epochs):
    peak = 0.002 * batch_size / 16
    optimizer = torch.optim.SGD(model.parameters(), lr=peak, momentum=0.9, nesterov=True)
    steps = epochs * -(-len(x) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak, total_steps=steps, pct_start=0.15, cycle_momentum=False
    )
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()


# %% shuffles_once_and_grows_the_batch kind="healthy"
def train(model, x, y, batch_size, epochs):
    torch.manual_seed(0)
    order = torch.randperm(len(x)).to(x.device)
    speeds = [torch.zeros_like(p) for p in model.parameters()]
    for epoch in range(epochs):
        size = max(1, batch_size // 2) if epoch < 2 else batch_size
        for rows in order.roll(37 * epoch).split(size):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for weight, speed, gradient in zip(
                    model.parameters(), speeds, gradients, strict=True
                ):
                    speed.mul_(0.9).add_(gradient)
                    weight -= 0.001 * size / 16 * speed


# %% divides_by_the_number_of_portions cell="machine" kind="wrong" says="weighs more"
def accumulated_step(model, x, y, rate, portion):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    optimizer.zero_grad()
    starts = range(0, len(x), portion)
    for start in starts:
        part = x[start : start + portion]
        (F.cross_entropy(model(part), y[start : start + portion]) / len(starts)).backward()
    optimizer.step()


def pick_batch_size(sizes, images_per_second, memory, limit):
    fits, typical = memory <= limit, np.median(images_per_second, axis=0)
    return int(sizes[fits & (typical >= 0.9 * typical[fits].max())].min())


# %% steps_after_every_portion cell="machine" kind="wrong" says="taken for each"
def accumulated_step(model, x, y, rate, portion):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for start in range(0, len(x), portion):
        optimizer.zero_grad()
        part = x[start : start + portion]
        F.cross_entropy(model(part), y[start : start + portion]).backward()
        optimizer.step()


def pick_batch_size(sizes, images_per_second, memory, limit):
    fits, typical = memory <= limit, np.median(images_per_second, axis=0)
    return int(sizes[fits & (typical >= 0.9 * typical[fits].max())].min())


# %% never_clears cell="machine" kind="wrong" says="left over"
def accumulated_step(model, x, y, rate, portion):
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        loss = F.cross_entropy(model(part), y[start : start + portion])
        (loss * len(part) / len(x)).backward()
    torch.optim.SGD(model.parameters(), lr=rate).step()


def pick_batch_size(sizes, images_per_second, memory, limit):
    fits, typical = memory <= limit, np.median(images_per_second, axis=0)
    return int(sizes[fits & (typical >= 0.9 * typical[fits].max())].min())


# %% takes_the_whole_batch cell="machine" kind="wrong" says="memory that is not there"
def accumulated_step(model, x, y, rate, portion):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()


def pick_batch_size(sizes, images_per_second, memory, limit):
    fits, typical = memory <= limit, np.median(images_per_second, axis=0)
    return int(sizes[fits & (typical >= 0.9 * typical[fits].max())].min())


# %% picks_the_largest_that_fits cell="machine" kind="wrong" says="costs steps for nothing"
def accumulated_step(model, x, y, rate, portion):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    optimizer.zero_grad()
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        loss = F.cross_entropy(model(part), y[start : start + portion], reduction="sum")
        (loss / len(x)).backward()
    optimizer.step()


def pick_batch_size(sizes, images_per_second, memory, limit):
    return sizes[memory <= limit].max()


# %% believes_the_highest_reading cell="machine" kind="wrong" says="there is chance"
def accumulated_step(model, x, y, rate, portion):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    optimizer.zero_grad()
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        loss = F.cross_entropy(model(part), y[start : start + portion], reduction="sum")
        (loss / len(x)).backward()
    optimizer.step()


def pick_batch_size(sizes, images_per_second, memory, limit):
    fits = sizes[memory <= limit]
    return fits[images_per_second[:, : len(fits)].max(axis=0).argmax()]


# %% always_takes_4 cell="machine" kind="constant" says="worst choice"
def accumulated_step(model, x, y, rate, portion):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    optimizer.zero_grad()
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        loss = F.cross_entropy(model(part), y[start : start + portion], reduction="sum")
        (loss / len(x)).backward()
    optimizer.step()


def pick_batch_size(sizes, images_per_second, memory, limit):
    return 4


# %% forgets_the_memory cell="machine" kind="wrong" says="more memory than there is"
def accumulated_step(model, x, y, rate, portion):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    optimizer.zero_grad()
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        loss = F.cross_entropy(model(part), y[start : start + portion], reduction="sum")
        (loss / len(x)).backward()
    optimizer.step()


def pick_batch_size(sizes, images_per_second, memory, limit):
    typical = np.median(images_per_second, axis=0)
    return int(sizes[typical >= 0.9 * typical.max()].min())


# %% fits_a_curve cell="machine" kind="right"
def accumulated_step(model, x, y, rate, portion):
    weights = list(model.parameters())
    sums = [torch.zeros_like(weight) for weight in weights]
    for part, labels in zip(x.split(portion), y.split(portion), strict=True):
        loss = F.cross_entropy(model(part), labels)
        for total, gradient in zip(sums, torch.autograd.grad(loss, weights), strict=True):
            total += gradient * len(part)
    with torch.no_grad():
        for weight, total in zip(weights, sums, strict=True):
            weight -= rate * total / len(x)


def pick_batch_size(sizes, images_per_second, memory, limit):
    # A step takes a fixed time and a time for each image; of disturbed readings the upper half.
    typical = np.quantile(images_per_second, 0.7, axis=0)
    smooth = np.maximum.accumulate(typical[memory <= limit])
    return sizes[np.argmax(smooth >= 0.92 * smooth[-1])]


# %% walks_up_while_it_pays cell="machine" kind="right"
def accumulated_step(model, x, y, rate, portion):
    for parameter in model.parameters():
        parameter.grad = None
    for start in range(0, len(x), portion):
        rows = slice(start, start + portion)
        (F.cross_entropy(model(x[rows]), y[rows], reduction="sum") / len(x)).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= rate * parameter.grad


def pick_batch_size(sizes, images_per_second, memory, limit):
    typical = np.median(images_per_second, axis=0)
    highest = max(t for t, m in zip(typical, memory, strict=True) if m <= limit)
    for size, rate, needed in zip(sizes, typical, memory, strict=True):
        if needed <= limit and rate > 0.88 * highest:
            return size
