# %% takes_the_rate_for_the_cause cell="diagnosis" kind="wrong" says="any multiple of zero is zero"
cause = "learning-rate"
reading = sick_used.ratio

# %% takes_it_for_momentum cell="diagnosis" kind="wrong" says="would bend and lie flat"
cause = "momentum"
reading = sick_used.ratio

# %% divides_the_other_way_round cell="diagnosis" kind="wrong" says="another number"
cause = "gradients-pile-up"
reading = sick_used.fresh / sick_used.used


# %% does_nothing kind="constant" says="learns nothing"
def train(model, batches, rate):
    return [1.386] * len(batches)


# %% trains_a_copy kind="constant" says="another model is trained"
import copy


def train(model, batches, rate):
    model = copy.deepcopy(model)
    sick_train(model, batches, rate)
    return model


# %% raises_when_called kind="crash" says="no_such_optimizer"
def train(model, batches, rate):
    optimizer = no_such_optimizer(model.parameters(), lr=rate)
    return sick_train(model, batches, optimizer)


# %% lowers_the_rate kind="wrong" says="a lower rate"
def train(model, batches, rate):
    return sick_train(model, batches, rate / 30)


# %% clips_the_gradient kind="wrong" says="clipping"
def train(model, batches, rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for x, y in batches:
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


# %% changes_to_adam_only kind="wrong" says="still pushes like a new one"
def train(model, batches, rate):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate / 10)
    for x, y in batches:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# %% changes_to_rmsprop_only kind="wrong" says="still pushes like a new one"
def train(model, batches, rate):
    optimizer = torch.optim.RMSprop(model.parameters(), lr=rate / 30)
    for x, y in batches:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# %% makes_a_new_optimizer_for_every_batch kind="wrong" says="where is it kept"
def train(model, batches, rate):
    for x, y in batches:
        optimizer = torch.optim.Adam(model.parameters(), lr=rate / 10)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# %% averages_the_pile kind="wrong" says="an average"
def train(model, batches, rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for number, (x, y) in enumerate(batches, start=1):
        F.cross_entropy(model(x), y).backward()
        optimizer.param_groups[0]["lr"] = rate / number
        optimizer.step()


# %% clears_between_gradient_and_step kind="wrong" says="lost before the step"
def train(model, batches, rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for x, y in batches:
        F.cross_entropy(model(x), y).backward()
        optimizer.zero_grad()
        optimizer.step()


# %% stops_after_a_few_batches kind="wrong" says="stops taking steps"
def train(model, batches, rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for x, y in batches[:10]:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# %% moves_the_matrices_only kind="wrong" says="no step includes them"
def train(model, batches, rate):
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.ndim >= 2], lr=rate)
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# %% clears_and_climbs kind="wrong" says="uphill"
def train(model, batches, rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, maximize=True)
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# %% clears_and_lowers_the_rate kind="wrong" says="too slowly"
def train(model, batches, rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate / 100)
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# %% clears_at_the_end_with_momentum kind="right"
def train(model, batches, rate):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, nesterov=True)
    model.zero_grad()
    for x, y in batches:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)


# %% gradients_by_function kind="right"
from torch.func import functional_call, grad


def train(model, batches, rate):
    def loss(parameters, x, y):
        return F.cross_entropy(functional_call(model, parameters, (x,)), y)

    for x, y in batches:
        parameters = {name: p.detach() for name, p in model.named_parameters()}
        with torch.no_grad():
            for name, gradient in grad(loss)(parameters, x, y).items():
                model.get_parameter(name).sub_(rate * gradient)


# %% adam_that_clears kind="right"
def train(model, batches, rate):
    optimizer = torch.optim.Adam(model.parameters(), lr=rate / 10)
    for x, y in batches:
        for p in model.parameters():
            p.grad = None
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# %% rmsprop_with_weight_decay kind="right"
def train(model, batches, rate):
    optimizer = torch.optim.RMSprop(model.parameters(), lr=rate / 30, weight_decay=1e-4)
    for x, y in batches:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


# %% momentum_by_hand kind="right"
def train(model, batches, rate):
    parameters = list(model.parameters())
    speeds = [torch.zeros_like(p) for p in parameters]
    for x, y in batches:
        gradients = torch.autograd.grad(F.cross_entropy(model(x), y), parameters)
        with torch.no_grad():
            for p, speed, gradient in zip(parameters, speeds, gradients, strict=True):
                speed.mul_(0.8).add_(gradient)
                p.sub_(0.3 * rate * speed)


# %% adamw_clipped kind="healthy"
def train(model, batches, rate):
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate / 10, weight_decay=0.01)
    losses = []
    model.train()
    for x, y in batches:
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
