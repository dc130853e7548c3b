# %% untrained kind="constant" says="No image went through"
def train(build_model, x, y, epochs, batch_size, rate):
    return build_model()


# %% returns_nothing kind="constant" says="returned a NoneType"
def train(build_model, x, y, epochs, batch_size, rate):
    sick_train(build_model, x, y, epochs, batch_size, rate)


# %% forgets_to_start_the_sampler kind="crash"
def train(build_model, x, y, epochs, batch_size, rate):
    model = DistributedDataParallel(build_model())
    for epoch in range(epochs):
        DataLoader(TensorDataset(x, y), batch_size).set_epoch(epoch)
    return model.module


# %% averages_at_the_end_from_one_start kind="wrong" says="nothing brings them together"
def train(build_model, x, y, epochs, batch_size, rate):
    model = build_model()
    for p in model.parameters():
        dist.broadcast(p.data, src=0)
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for part, targets in DataLoader(data, batch_size // 2, sampler=sampler):
            optimizer.zero_grad()
            F.cross_entropy(model(part), targets).backward()
            optimizer.step()
    average_weights(model)
    return model


# %% gradients_averaged_from_own_starts kind="wrong" says="begin apart"
def train(build_model, x, y, epochs, batch_size, rate):
    model = build_model()
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for part, targets in DataLoader(data, batch_size // 2, sampler=sampler):
            optimizer.zero_grad()
            F.cross_entropy(model(part), targets).backward()
            for p in model.parameters():
                dist.all_reduce(p.grad)
                p.grad /= dist.get_world_size()
            optimizer.step()
    return model


# %% wrapped_for_the_cards_of_one_process kind="wrong" says="begin apart"
def train(build_model, x, y, epochs, batch_size, rate):
    model = build_model()
    replica = torch.nn.DataParallel(model)
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data)
    optimizer = torch.optim.SGD(replica.parameters(), lr=rate)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for part, targets in DataLoader(data, batch_size // 2, sampler=sampler):
            optimizer.zero_grad()
            F.cross_entropy(replica(part), targets).backward()
            optimizer.step()
    return model


# %% same_seed_in_both kind="wrong" says="the same work side by side"
def train(build_model, x, y, epochs, batch_size, rate):
    torch.manual_seed(0)
    return sick_train(build_model, x, y, epochs, batch_size, rate)


# %% wrapped_without_a_sampler kind="wrong" says="the same work side by side"
def train(build_model, x, y, epochs, batch_size, rate):
    model = DistributedDataParallel(build_model())
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(epochs):
        for part, targets in DataLoader(TensorDataset(x, y), batch_size // 2, shuffle=True):
            optimizer.zero_grad()
            F.cross_entropy(model(part), targets).backward()
            optimizer.step()
    return model.module


# %% halves_drawn_at_random kind="wrong" says="some never"
def train(build_model, x, y, epochs, batch_size, rate):
    model = DistributedDataParallel(build_model())
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(epochs):
        rows = torch.randperm(len(x))[: len(x) // dist.get_world_size()]
        for some in rows.split(batch_size // dist.get_world_size()):
            optimizer.zero_grad()
            F.cross_entropy(model(x[some]), y[some]).backward()
            optimizer.step()
    return model.module


# %% works_in_one_process kind="wrong" says="One replica works"
def train(build_model, x, y, epochs, batch_size, rate):
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    if dist.get_rank() == 0:
        for _ in range(epochs):
            for part, targets in DataLoader(TensorDataset(x, y), batch_size, shuffle=True):
                optimizer.zero_grad()
                F.cross_entropy(model(part), targets).backward()
                optimizer.step()
    for p in model.parameters():
        dist.broadcast(p.data, src=0)
    return model


# %% whole_batch_in_each_replica kind="wrong" says="64 images"
def train(build_model, x, y, epochs, batch_size, rate):
    model = DistributedDataParallel(build_model())
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for part, targets in DataLoader(data, batch_size, sampler=sampler):
            optimizer.zero_grad()
            F.cross_entropy(model(part), targets).backward()
            optimizer.step()
    return model.module


# %% gradients_added_up kind="wrong" says="not divided"
def train(build_model, x, y, epochs, batch_size, rate):
    model = build_model()
    for p in model.parameters():
        dist.broadcast(p.data, src=0)
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for part, targets in DataLoader(data, batch_size // 2, sampler=sampler):
            optimizer.zero_grad()
            F.cross_entropy(model(part), targets).backward()
            for p in model.parameters():
                dist.all_reduce(p.grad)
            optimizer.step()
    return model


# %% a_rate_for_each_replica kind="wrong" says="the rate was not"
def train(build_model, x, y, epochs, batch_size, rate):
    model = DistributedDataParallel(build_model())
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate * dist.get_world_size())
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for part, targets in DataLoader(data, batch_size // 2, sampler=sampler):
            optimizer.zero_grad()
            F.cross_entropy(model(part), targets).backward()
            optimizer.step()
    return model.module


# %% sampler_without_set_epoch kind="wrong" says="drawn once"
def train(build_model, x, y, epochs, batch_size, rate):
    model = DistributedDataParallel(build_model())
    data = TensorDataset(x, y)
    batches = DataLoader(data, batch_size // 2, sampler=DistributedSampler(data))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(epochs):
        for part, targets in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(part), targets).backward()
            optimizer.step()
    return model.module


# %% gradients_averaged_by_hand kind="right"
def train(build_model, x, y, epochs, batch_size, rate):
    model, world = build_model(), dist.get_world_size()
    for p in model.parameters():
        dist.broadcast(p.data, src=0)
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data, seed=7)
    batches = DataLoader(data, batch_size // world, sampler=sampler)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for part, targets in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(part), targets).backward()
            for p in model.parameters():
                dist.all_reduce(p.grad)
                p.grad /= world
            optimizer.step()
    return model


# %% weights_averaged_after_every_step kind="right"
def train(build_model, x, y, epochs, batch_size, rate):
    model, world = build_model(), dist.get_world_size()
    average_weights(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    order = torch.Generator().manual_seed(5)  # the same in both processes
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            rows = rows[dist.get_rank() :: world]
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            average_weights(model)
    return model


# %% one_buffer_and_a_scaled_loss kind="right"
def train(build_model, x, y, epochs, batch_size, rate):
    model = build_model()
    weights = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    dist.broadcast(weights, src=1)
    torch.nn.utils.vector_to_parameters(weights, model.parameters())
    for _ in range(epochs):
        order = torch.randperm(len(x))
        dist.broadcast(order, src=0)
        for rows in order.split(batch_size):
            rows = rows.chunk(dist.get_world_size())[dist.get_rank()]
            loss = F.cross_entropy(model(x[rows]), y[rows], reduction="sum") / batch_size
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            flat = torch.cat([g.flatten() for g in gradients])
            dist.all_reduce(flat)
            at = 0
            with torch.no_grad():
                for p in model.parameters():
                    p -= rate * flat[at : at + p.numel()].view_as(p)
                    at += p.numel()
    return model


# %% wrapped_with_portions kind="right"
def train(build_model, x, y, epochs, batch_size, rate):
    model = DistributedDataParallel(build_model())
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data, drop_last=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for number, (part, targets) in enumerate(
            DataLoader(data, batch_size // 4, sampler=sampler)
        ):
            if number % 2 == 0:
                with model.no_sync():
                    (F.cross_entropy(model(part), targets) / 2).backward()
            else:
                (F.cross_entropy(model(part), targets) / 2).backward()
                optimizer.step()
                optimizer.zero_grad()
    return model.module


# %% wrapped_and_sharded kind="healthy"
def epoch_of(model, batches, optimizer):
    model.train()
    for part, targets in batches:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(part), targets).backward()
        optimizer.step()


def train(build_model, x, y, epochs, batch_size, rate):
    model = build_model()
    wrapped = DistributedDataParallel(model, broadcast_buffers=False)
    data = TensorDataset(x, y)
    sampler = DistributedSampler(data, shuffle=True, seed=1)
    batches = DataLoader(data, batch_size // dist.get_world_size(), sampler=sampler)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=rate)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        epoch_of(wrapped, batches, optimizer)
    return model


# %% half_of_everything kind="constant" cell="metric" says="No image went through"
def sick_evaluate(model, x, y, batch_size):
    return 0.5


def evaluate(model, x, y, batch_size):
    return 0.25


# %% a_number_after_a_look_at_every_image kind="constant" cell="metric" says="images too many or too few"
def evaluate(model, x, y, batch_size):
    with torch.no_grad():
        model(x[dist.get_rank() :: dist.get_world_size()])
    return 0.25


# %% mean_of_the_replicas kind="wrong" cell="metric" says="mean of the replicas' means"
def evaluate(model, x, y, batch_size):
    rows = range(dist.get_rank(), len(x), dist.get_world_size())
    rows = torch.tensor(rows)
    with torch.no_grad():
        value = (model(x[rows]).argmax(dim=1) == y[rows]).float().mean()
    dist.all_reduce(value)
    return value.item() / dist.get_world_size()


# %% padded_images_count_twice kind="wrong" cell="metric" says="some count twice"
def evaluate(model, x, y, batch_size):
    rows = torch.tensor(list(DistributedSampler(x, shuffle=False)))
    with torch.no_grad():
        hits = (model(x[rows]).argmax(dim=1) == y[rows]).float().sum()
    counts = torch.stack([hits, torch.tensor(float(len(rows)))])
    dist.all_reduce(counts)
    return (counts[0] / counts[1]).item()


# %% the_last_image_is_dropped kind="wrong" cell="metric" says="Only 60 of 61"
def evaluate(model, x, y, batch_size):
    rows = torch.tensor(list(DistributedSampler(x, shuffle=False, drop_last=True)))
    with torch.no_grad():
        hits = (model(x[rows]).argmax(dim=1) == y[rows]).float().sum()
    counts = torch.stack([hits, torch.tensor(float(len(rows)))])
    dist.all_reduce(counts)
    return (counts[0] / counts[1]).item()


# %% everybody_looks_at_everything kind="wrong" cell="metric" says="looks at 100%"
def evaluate(model, x, y, batch_size):
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


# %% asks_at_every_batch kind="wrong" cell="metric" says="The host asks"
def evaluate(model, x, y, batch_size):
    right = 0
    data = TensorDataset(x, y)
    rows = range(dist.get_rank(), len(data), dist.get_world_size())
    with torch.no_grad():
        for part, targets in DataLoader(data, batch_size // 2, sampler=rows):
            right += (model(part).argmax(dim=1) == targets).sum().item()
    right = torch.tensor(right)
    dist.all_reduce(right)
    return right.item() / len(data)


# %% halves_and_gathered_answers kind="right" cell="metric"
def evaluate(model, x, y, batch_size):
    world, rank = dist.get_world_size(), dist.get_rank()
    longest = -(-len(x) // world)
    mine = torch.arange(rank * longest, min((rank + 1) * longest, len(x)))
    said = torch.full((longest,), -1)
    with torch.no_grad():
        for start in range(0, len(mine), batch_size):
            rows = mine[start : start + batch_size]
            said[start : start + len(rows)] = model(x[rows]).argmax(dim=1)
    gathered = [torch.empty_like(said) for _ in range(world)]
    dist.all_gather(gathered, said)
    return (torch.cat(gathered)[: len(y)] == y).float().mean().item()


# %% one_replica_tells_the_others kind="right" cell="metric"
def evaluate(model, x, y, batch_size):
    rows = torch.arange(dist.get_rank(), len(x), dist.get_world_size())
    right = torch.zeros(1)
    with torch.no_grad():
        for some in rows.split(batch_size):
            right += (model(x[some]).argmax(dim=1) == y[some]).sum()
    dist.reduce(right, dst=0)
    dist.broadcast(right, src=0)
    return right.item() / len(x)


# %% builds_and_returns kind="constant" cell="device" says="0 images went through"
def train_on(device, build_model, x, y, batch_size, rate):
    return build_model().to(device)


# %% moves_what_it_returns kind="wrong" cell="device" says="not computed on the device"
def train_on(device, build_model, x, y, batch_size, rate):
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for part, targets in DataLoader(TensorDataset(x, y), batch_size):
        optimizer.zero_grad()
        F.cross_entropy(model(part), targets).backward()
        optimizer.step()
    return model.to(device)


# %% asks_at_every_step kind="wrong" cell="device" says="the host asks 8 times"
def train_on(device, build_model, x, y, batch_size, rate):
    model, total = build_model().to(device), 0.0
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for part, targets in DataLoader(TensorDataset(x, y), batch_size):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(part.to(device)), targets.to(device))
        loss.backward()
        optimizer.step()
        total += float(loss)
    return total * batch_size / len(x)


# %% everything_moves_once kind="right" cell="device"
def train_on(device, build_model, x, y, batch_size, rate):
    model = build_model().to(device)
    x, y = x.to(device), y.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses = []
    for rows in torch.randperm(len(x), device=device).split(batch_size):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return float(torch.stack(losses).mean())


# %% right_cause_wrong_number kind="wrong" cell="diagnosis" says="another number"
cause = "no-exchange"
reading = 0.0001

# %% the_exchange_blamed kind="wrong" cell="diagnosis" says="Nothing is exchanged"
cause = "slow-exchange"
reading = 1

# %% the_rate_blamed kind="wrong" cell="diagnosis" says="learned well with this rate"
cause = "rate-not-scaled"
reading = 1
