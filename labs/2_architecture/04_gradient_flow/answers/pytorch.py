# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="by the same number"
cause = "learning-rate"
reading = sick_flow.lost

# %% takes_it_for_an_explosion cell="diagnosis" kind="wrong" says="grows on its way back"
cause = "exploding-gradient"
reading = sick_flow.lost

# %% reads_the_gradient_itself cell="diagnosis" kind="wrong" says="another number"
cause = "vanishing-gradient"
reading = sick_flow.relative.min()


# %% ignores_the_image kind="constant" says="no gradient at all"
class SameForAll(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.unused = nn.Conv2d(3, 16, 3)
        self.logits = nn.Parameter(torch.zeros(classes))

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def build_model(size, classes):
    return SameForAll(classes)


train = sick_train


# %% returns_zeros kind="constant" says="no gradient at all"
class Zeros(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes, self.unused = classes, nn.Linear(3, 3)

    def forward(self, x):
        return x.new_zeros(len(x), self.classes)


def build_model(size, classes):
    return Zeros(classes)


def train(model, x, y):
    return [1.386]


# %% returns_nothing kind="constant" says="return a fresh model"
def build_model(size, classes):
    return None


train = sick_train


# %% raises_when_called kind="crash" says="no_such_layer"
def build_model(size, classes):
    return nn.Sequential(no_such_layer(size), nn.Linear(3, classes))


train = sick_train

# %% raises_the_learning_rate kind="wrong" says="neither the learning rate"
build_model = build_deep


def train(model, x, y):
    return fit(model, x, y, torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9))


# %% trains_longer kind="wrong" says="number of epochs"
build_model = build_deep


def train(model, x, y):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    return fit(model, x, y, optimizer, epochs=24)


# %% changes_to_adam_only kind="wrong" says="nor the optimizer"
build_model = build_deep


def train(model, x, y):
    return fit(model, x, y, torch.optim.Adam(model.parameters(), lr=0.001))


# %% clips_the_gradient kind="wrong" says="clipping"
build_model = build_deep


def train(model, x, y):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    for _ in range(12):
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.01)
            optimizer.step()


# %% widens_every_layer kind="wrong" says="powers of ten below the strongest"
def build_model(size, classes):
    layers, channels = [], 3
    for number in range(1, 15):
        layers += [nn.Conv2d(channels, 24, 3, padding=1), nn.ReLU()]
        channels = 24
        if number in (1, 2):
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(24 * (size // 4) ** 2, classes))


train = sick_train


# %% freezes_the_first_layers kind="wrong" says="powers of ten below the strongest"
def build_model(size, classes):
    model = build_deep(size, classes)
    for layer in list(model)[:26]:
        layer.requires_grad_(False)
    return model


train = sick_train


# %% trains_the_last_layers_only kind="wrong" says="have the same weights after training"
def build_model(size, classes):
    model = build_deep(size, classes)
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return model


def train(model, x, y):
    last = [p for layer in list(model)[-6:] for p in layer.parameters()]
    return fit(model, x, y, torch.optim.SGD(last, lr=0.005, momentum=0.9))


# %% draws_weights_that_explode kind="wrong" says="grows from layer to layer"
def build_model(size, classes):
    model = build_deep(size, classes)
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=1.0)
            nn.init.zeros_(layer.bias)
    return model


train = sick_train


# %% draws_tiny_weights_without_biases kind="wrong" says="all of them stand low"
def build_model(size, classes):
    model = build_deep(size, classes)
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    return model


train = sick_train


# %% keeps_no_convolution kind="wrong" says="falls short"
def build_model(size, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes))


train = sick_train


# %% pays_with_size kind="wrong" says="times the parameters"
def build_model(size, classes):
    layers, channels = [], 3
    for number in range(1, 5):
        layers += [nn.Conv2d(channels, 80, 3, padding=1), nn.BatchNorm2d(80), nn.ReLU()]
        channels = 80
        if number in (1, 2):
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(80 * (size // 4) ** 2, classes))


def train(model, x, y):
    return fit(model, x, y, torch.optim.Adam(model.parameters(), lr=0.002), epochs=6)


# %% batch_normalisation kind="right"
def build_model(size, classes):
    layers, channels = [], 3
    for number in range(1, 15):
        layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()]
        channels = 16
        if number in (1, 2):
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * (size // 4) ** 2, classes))


train = sick_train


# %% residual_connections kind="right"
class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + self.second(torch.relu(self.first(x))))


def build_model(size, classes):
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), Residual(16)]
    layers += [nn.MaxPool2d(2)] + [Residual(16) for _ in range(5)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * (size // 4) ** 2, classes))


train = sick_train


# %% residual_branches_that_start_at_zero kind="right"
class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        nn.init.zeros_(self.body[-1].weight)

    def forward(self, x):
        return torch.relu(x + self.body(x))


def build_model(size, classes):
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), Residual(16)]
    layers += [nn.MaxPool2d(2)] + [Residual(16) for _ in range(5)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * (size // 4) ** 2, classes))


train = sick_train


# %% fewer_layers kind="right"
def build_model(size, classes):
    layers, channels = [], 3
    for number in range(1, 5):
        layers += [nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()]
        channels = 16
        if number in (1, 3):
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * (size // 4) ** 2, classes))


def train(model, x, y):
    return fit(model, x, y, torch.optim.Adam(model.parameters(), lr=0.002))


# %% he_weights_and_adam kind="right"
def build_model(size, classes):
    model = build_deep(size, classes)
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return model


def train(model, x, y):
    return fit(model, x, y, torch.optim.AdamW(model.parameters(), lr=0.001))


# %% projects_and_strides kind="healthy"
class Block(nn.Module):
    """A residual block that halves the map and has a 1x1 convolution as its shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.short = nn.Conv2d(inputs, outputs, 1, stride=stride)
        self.norm = nn.GroupNorm(4, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x):
        return self.short(x) + self.conv2(F.gelu(self.conv1(F.gelu(self.norm(x)))))


class Network(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(32, classes)
        self.blocks = nn.Sequential(Block(16, 16, 2), Block(16, 32, 2), Block(32, 32, 1))
        self.stem = nn.Conv2d(3, 16, 3, padding=1)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))


def build_model(size, classes):
    return Network(classes).to(lab.device)


def train(model, x, y):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    model.train()
    for _ in range(12):
        for start in range(0, len(x), 40):
            optimizer.zero_grad()
            F.cross_entropy(model(x[start : start + 40]), y[start : start + 40]).backward()
            optimizer.step()
