# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="usual rate"
cause = "learning-rate"
reading = 1.5

# %% takes_it_for_overfitting cell="diagnosis" kind="wrong" says="wrong on most of them"
cause = "overfitting"
reading = 1.5

# %% reads_the_other_curve cell="diagnosis" kind="wrong" says="another number"
cause = "too-small"
reading = 0.002


# %% returns_nothing kind="constant" says="return a fresh model"
def build_model(size, classes):
    return None


train = sick_train


# %% returns_zeros kind="constant" says="the same logits for all images"
class Zeros(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes, self.unused = classes, nn.Linear(3, 3)

    def forward(self, x):
        return x.new_zeros(len(x), self.classes)


def build_model(size, classes):
    return Zeros(classes)


def train(model, x, y):
    return [1.0]


# %% raises_when_called kind="crash" says="no_such_layer"
def build_model(size, classes):
    return nn.Sequential(no_such_layer(size), nn.Linear(3, classes))


train = sick_train

# %% trains_longer kind="wrong" says="neither the number of epochs"
build_model = build_quick


def train(model, x, y):
    return fit(model, x, y, epochs=36)


# %% raises_the_learning_rate kind="wrong" says="nor the learning rate"
build_model = build_quick


def train(model, x, y):
    return fit(model, x, y, rate=0.03)


# %% adds_dropout kind="wrong" says="or dropout"
def build_model(size, classes):
    model = build_quick(size, classes)
    model.insert(len(model) - 1, nn.Dropout(0.5))
    return model


train = sick_train


# %% adds_layers_without_activations kind="wrong" says="more layers"
def build_model(size, classes):
    layers, channels = [], 3
    for filters, stride in ((16, 2), (32, 2), (32, 1), (32, 1), (32, 1)):
        layers.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=1))
        layers.append(nn.BatchNorm2d(filters))
        channels = filters
    layers.append(nn.Conv2d(channels, 1, 1))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, classes))


train = sick_train


# %% widens_the_dense_layer kind="wrong" says="one matrix"
def build_model(size, classes):
    return nn.Sequential(*build_quick(size, 320), nn.Linear(320, classes))


train = sick_train


# %% removes_the_thin_map_only kind="wrong" says="one matrix"
def build_model(size, classes):
    layers, channels = [], 3
    for filters, stride in ((16, 2), (32, 2), (32, 1)):
        layers.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=1))
        layers.append(nn.BatchNorm2d(filters))
        channels = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


train = sick_train


# %% adds_activations_only kind="wrong" says="so few numbers are left"
def build_model(size, classes):
    layers = []
    for layer in build_quick(size, classes):
        layers.append(layer)
        if isinstance(layer, nn.BatchNorm2d):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


train = sick_train


# %% ends_in_a_softmax kind="wrong" says="nats"
def build_model(size, classes):
    return nn.Sequential(*build_quick(size, classes), nn.Softmax(dim=1))


train = sick_train


# %% activations_and_a_wide_dense_layer kind="wrong" says="all of them cannot"
def build_model(size, classes):
    layers = []
    for layer in build_quick(size, 320):
        layers.append(layer)
        if isinstance(layer, nn.BatchNorm2d):
            layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.ReLU(), nn.Linear(320, classes))


train = sick_train


# %% learns_by_heart kind="wrong" says="the images themselves"
def build_model(size, classes):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * size * size, 300), nn.ReLU(), nn.Linear(300, classes)
    )


train = sick_train


# %% stops_after_an_epoch kind="wrong" says="holds back"
def build_model(size, classes):
    layers, channels = [], 3
    for filters, stride in ((16, 2), (32, 2), (32, 1)):
        layers.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=1))
        layers += [nn.BatchNorm2d(filters), nn.ReLU()]
        channels = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


def train(model, x, y):
    return fit(model, x, y, epochs=1)


# %% takes_a_sledgehammer kind="wrong" says="times the multiply-adds"
def build_model(size, classes):
    layers, channels = [], 3
    for filters, stride in ((64, 2), (96, 2), (128, 1)):
        layers.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=1))
        layers += [nn.BatchNorm2d(filters), nn.ReLU()]
        channels = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


train = sick_train


# %% more_filters kind="right"
def build_model(size, classes):
    layers, channels = [], 3
    for filters, stride in ((24, 2), (48, 2), (48, 1)):
        layers.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=1))
        layers += [nn.BatchNorm2d(filters), nn.ReLU()]
        channels = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


train = sick_train


# %% more_blocks kind="right"
def build_model(size, classes):
    layers, channels = [], 3
    for filters, stride in ((16, 2), (24, 1), (32, 2), (32, 1), (32, 1)):
        layers.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=1))
        layers += [nn.BatchNorm2d(filters), nn.ReLU()]
        channels = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


train = sick_train


# %% residual_blocks kind="right"
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
    layers = [nn.Conv2d(3, 16, 3, 2, padding=1), nn.BatchNorm2d(16), nn.ReLU(), Residual(16)]
    layers += [nn.Conv2d(16, 32, 3, 2, padding=1), nn.BatchNorm2d(32), nn.ReLU(), Residual(32)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, classes))


train = sick_train


# %% a_wider_last_map kind="right"
def build_model(size, classes):
    layers, channels = [], 3
    for filters, stride in ((16, 2), (32, 2), (32, 1)):
        layers.append(nn.Conv2d(channels, filters, 3, stride=stride, padding=1))
        layers += [nn.BatchNorm2d(filters), nn.ReLU()]
        channels = filters
    layers += [nn.Conv2d(channels, 16, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16, classes))


train = sick_train


# %% separable_and_wider kind="right"
def build_model(size, classes):
    layers, channels = [], 3
    for filters, stride in ((32, 2), (64, 2), (96, 1)):
        if channels == 3:
            layers.append(nn.Conv2d(3, filters, 3, stride=stride, padding=1))
        else:
            layers.append(nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels))
            layers.append(nn.Conv2d(channels, filters, 1))
        layers += [nn.BatchNorm2d(filters), nn.ReLU()]
        channels = filters
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


train = sick_train


# %% two_convolutions_and_every_place kind="right"
def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(32 * (size // 4) ** 2, classes),
    )


train = sick_train


# %% patches_and_group_normalisation kind="healthy"
class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.look = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mix = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 1), nn.GELU(), nn.Conv2d(2 * channels, channels, 1)
        )

    def forward(self, x):
        return x + self.mix(self.look(self.norm(x)))


class Network(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(32, classes)
        self.blocks = nn.Sequential(Block(32), Block(32))
        self.stem = nn.Conv2d(3, 32, 4, stride=2, padding=1)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        return self.head(self.blocks(F.gelu(self.stem(x))).amax(dim=(2, 3)))


def build_model(size, classes):
    return Network(classes).to(lab.device)


def train(model, x, y):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    model.train()
    for _ in range(12):
        for start in range(0, len(x), 40):
            optimizer.zero_grad()
            F.cross_entropy(model(x[start : start + 40]), y[start : start + 40]).backward()
            optimizer.step()
