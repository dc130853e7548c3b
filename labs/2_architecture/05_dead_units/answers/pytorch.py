# %% takes_the_rate_for_too_small cell="diagnosis" kind="wrong" says="too small the loss falls slowly"
cause = "small-learning-rate"
reading = 0.6

# %% takes_it_for_a_vanishing_gradient cell="diagnosis" kind="wrong" says="exactly zero"
cause = "vanishing-gradient"
reading = 0.6

# %% counts_units_instead cell="diagnosis" kind="wrong" says="another number"
cause = "dead-units"
reading = 112


# %% says_the_same_for_all kind="constant" says="pass nothing of the image on"
class SameForAll(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.unused = nn.Linear(3, 3)
        self.logits = nn.Parameter(torch.zeros(classes))

    def forward(self, x):
        self.unused(x.mean(dim=(2, 3)))
        return self.logits.expand(len(x), -1)


def build_model(size, classes):
    return SameForAll(classes)


train = sick_train


# %% returns_nothing kind="constant" says="return a fresh model"
def build_model(size, classes):
    return None


train = sick_train


# %% raises_when_called kind="crash" says="no_such_layer"
def build_model(size, classes):
    return nn.Sequential(no_such_layer(size), nn.Linear(3, classes))


train = sick_train

# %% trains_longer kind="wrong" says="more epochs"
build_model = build_sick


def train(model, x, y):
    return fit(model, x, y, 0.5, epochs=20)


# %% adds_filters kind="wrong" says="more filters"
def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(24, 48, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(48 * (size // 4) ** 2, 96),
        nn.ReLU(),
        nn.Linear(96, classes),
        nn.ReLU(),
    )


train = sick_train


# %% adds_dropout kind="wrong" says="dropout"
def build_model(size, classes):
    model = build_sick(size, classes)
    model.insert(9, nn.Dropout(0.5))
    return model


train = sick_train


# %% frees_the_logits_only kind="wrong" says="When do they die"
def build_model(size, classes):
    return build_sick(size, classes)[:-1]


train = sick_train


# %% lowers_the_rate_only kind="wrong" says="have the same lowest value"
build_model = build_sick


def train(model, x, y):
    return fit(model, x, y, 0.003)


# %% changes_to_leaky_relu_only kind="wrong" says="thrown far away"
def build_model(size, classes):
    model = build_sick(size, classes)[:-1]
    for place, layer in enumerate(model):
        if isinstance(layer, nn.ReLU):
            model[place] = nn.LeakyReLU()
    return model


train = sick_train


# %% gives_probabilities kind="wrong" says="They are probabilities"
def build_model(size, classes):
    return nn.Sequential(build_sick(size, classes)[:-1], nn.Softmax(dim=1))


def train(model, x, y):
    return fit(model, x, y, 0.003, epochs=8)


# %% keeps_no_hidden_layer kind="wrong" says="falls short"
def build_model(size, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes))


def train(model, x, y):
    return fit(model, x, y, 0.003)


# %% pays_with_size kind="wrong" says="times the multiply-adds"
def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 96, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(96 * (size // 4) ** 2, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def train(model, x, y):
    return fit(model, x, y, 0.003, epochs=8)


# %% leaky_relu_and_a_lower_rate kind="right"
def build_model(size, classes):
    model = build_sick(size, classes)[:-1]
    for place, layer in enumerate(model):
        if isinstance(layer, nn.ReLU):
            model[place] = nn.LeakyReLU()
    return model


def train(model, x, y):
    return fit(model, x, y, 0.003)


# %% silu_and_a_lower_rate kind="right"
def build_model(size, classes):
    model = build_sick(size, classes)[:-1]
    for place, layer in enumerate(model):
        if isinstance(layer, nn.ReLU):
            model[place] = nn.SiLU()
    return model


def train(model, x, y):
    return fit(model, x, y, 0.003)


# %% elu_and_log_probabilities_as_functions kind="right"
class Network(nn.Module):
    def __init__(self, size, classes):
        super().__init__()
        self.logits = nn.Linear(64, classes)
        self.hidden = nn.Linear(32 * (size // 4) ** 2, 64)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.first = nn.Conv2d(3, 16, 3, padding=1)

    def forward(self, x):
        x = F.max_pool2d(F.elu(self.first(x)), 2)
        x = F.max_pool2d(F.elu(self.second(x)), 2)
        return F.log_softmax(self.logits(F.elu(self.hidden(x.flatten(1)))), dim=1)


def build_model(size, classes):
    return Network(size, classes)


def train(model, x, y):
    return fit(model, x, y, 0.003)


# %% batch_normalisation kind="right"
def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (size // 4) ** 2, 64),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def train(model, x, y):
    return fit(model, x, y, 0.1)


# %% he_weights_and_a_true_warm_up kind="right"
def build_model(size, classes):
    model = build_sick(size, classes)[:-1]
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return model


def train(model, x, y):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.002)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=30)
    model.train()
    for _ in range(12):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            warm_up.step()


# %% plain_descent_and_clipping kind="right"
def build_model(size, classes):
    return build_sick(size, classes)[:-1]


def train(model, x, y):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.3, total_steps=161, div_factor=100, cycle_momentum=False
    )
    model.train()
    for _ in range(16):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.2)
            optimizer.step()
            schedule.step()


# %% grouped_shortcuts kind="healthy"
class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.short = nn.Conv2d(inputs, outputs, 1, stride=2)
        self.norm = nn.GroupNorm(4, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x):
        return self.short(x) + self.conv2(F.gelu(self.conv1(F.relu(self.norm(x)))))


class Shortcuts(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.Sequential(Block(16, 16), Block(16, 32))
        self.head = nn.Linear(32, classes)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).amax(dim=(2, 3)))


def build_model(size, classes):
    return Shortcuts(classes).to(lab.device)


def train(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    model.train()
    for _ in range(12):
        for start in range(0, len(x), 32):
            optimizer.zero_grad()
            F.cross_entropy(model(x[start : start + 32]), y[start : start + 32]).backward()
            optimizer.step()
