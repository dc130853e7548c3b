# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="the training loss where it is"
cause = "too-deep"
reading = 54.5

# %% takes_it_for_overfitting cell="diagnosis" kind="wrong" says="a twentieth of the weights"
cause = "overfitting"
reading = 54.5

# %% reads_the_side_of_the_map cell="diagnosis" kind="wrong" says="another number"
cause = "early-downsampling"
reading = 1


# %% returns_zeros kind="constant" says="no layer that computes on a map"
class Zeros(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes, self.unused = classes, nn.Linear(3, 3)

    def forward(self, x):
        return x.new_zeros(len(x), self.classes)


def build_model(size, classes):
    return Zeros(classes)


def train(model, x, y):
    return None


# %% returns_nothing kind="constant" says="return a fresh model"
def build_model(size, classes):
    return None


train = sick_train


# %% raises_when_called kind="crash" says="no_such_stem"
def build_model(size, classes):
    return residual(no_such_stem(size), (1, 2, 2, 2), classes)


train = sick_train

# %% raises_the_learning_rate kind="wrong" says="neither the learning rate"
build_model = build_sick


def train(model, x, y):
    fit(model, x, y, rate=0.02)


# %% trains_longer kind="wrong" says="number of epochs"
build_model = build_sick


def train(model, x, y):
    fit(model, x, y, epochs=20)


# %% widens_the_head kind="wrong" says="a wider head"
def build_model(size, classes):
    model = build_sick(size, classes)
    model[-1] = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, classes))
    return model


train = sick_train


# %% widens_every_layer kind="wrong" says="More filters"
def build_model(size, classes):
    channels = [11, 11, 22, 44, 88]
    blocks = [Block(channels[i], channels[i + 1], stride) for i, stride in enumerate((1, 2, 2, 2))]
    return nn.Sequential(
        nn.Conv2d(3, 11, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(11),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(88, classes),
    )


train = sick_train


# %% enlarges_the_image kind="wrong" says="An enlarged image holds no detail"
def build_model(size, classes):
    return nn.Sequential(nn.Upsample(size=224, mode="bilinear"), build_sick(224, classes))


train = sick_train


# %% leaves_out_every_stride kind="wrong" says="a map that never shrinks"
def build_model(size, classes):
    stem = [nn.Conv2d(3, 8, 7, padding=3, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return residual(stem, (1, 1, 1, 1), classes)


train = sick_train


# %% repairs_and_grows kind="wrong" says="times the parameters"
def build_model(size, classes):
    channels = [8, 8, 16, 48, 144]
    blocks = [Block(channels[i], channels[i + 1], stride) for i, stride in enumerate((1, 2, 2, 2))]
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        *blocks,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(144, classes),
    )


train = sick_train


# %% narrows_every_window_behind_the_stem kind="wrong" says="A stride that skips pixels"
def build_model(size, classes):
    """A window of one position is never on padding: no weight is idle, and the map as small."""
    model = build_sick(size, classes)
    for block in model[4:8]:
        for number in (0, 3):
            sick = block.body[number]
            block.body[number] = nn.Conv2d(
                sick.in_channels, sick.out_channels, 1, sick.stride, bias=False
            )
    return model


train = sick_train


# %% takes_every_other_pixel_first kind="wrong" says="A stride that skips pixels"
def build_model(size, classes):
    """The pooling is gone, and strides do the same work earlier."""
    stem = [nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return residual(stem, (2, 2, 1, 1), classes)


train = sick_train


# %% keeps_no_convolution kind="wrong" says="no layer that computes on a map"
def build_model(size, classes):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * size * size, 64), nn.ReLU(), nn.Linear(64, classes)
    )


train = sick_train


# %% repairs_and_forgets_the_last_layer kind="wrong" says="not been trained for long enough"
def build_model(size, classes):
    stem = [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return residual([*stem, nn.MaxPool2d(2)], (1, 1, 2, 1), classes)


def train(model, x, y):
    fit(model, x, y)
    model[-1].reset_parameters()


# %% removes_the_pooling_and_strides_later kind="right"
def build_model(size, classes):
    stem = [nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return residual(stem, (1, 1, 1, 2), classes)


train = sick_train


# %% pools_after_the_first_block kind="right"
def build_model(size, classes):
    stem = [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    model = residual(stem, (1, 1, 2, 1), classes)
    return nn.Sequential(*model[:4], nn.MaxPool2d(2), *model[4:])


train = sick_train


# %% blurs_before_it_skips kind="right"
class BlurredPool(nn.Module):
    """The largest of four neighbours at every position, then a blur, then every other position."""

    def __init__(self, channels):
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("window", torch.outer(line, line).expand(channels, 1, 3, 3).clone())

    def forward(self, x):
        x = F.pad(F.max_pool2d(x, 2, stride=1), (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, self.window, stride=2, groups=x.shape[1])


def build_model(size, classes):
    stem = [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), BlurredPool(8)]
    return residual(stem, (1, 1, 2, 1), classes)


train = sick_train


# %% dilates_where_it_strode kind="right"
def build_model(size, classes):
    stem = [
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]
    model = residual(stem, (1, 2, 1, 1), classes)
    for number in (6, 7):
        for layer in model[number].body:
            if isinstance(layer, nn.Conv2d):
                layer.dilation, layer.padding = (2, 2), (2, 2)
    return model


train = sick_train


# %% replaces_the_stem_only kind="right"
def build_model(size, classes):
    stem = [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return residual(stem, (1, 2, 2, 2), classes)


train = sick_train


# %% wider_window_and_own_training kind="right"
def build_model(size, classes):
    stem = [nn.Conv2d(3, 8, 5, padding=2, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return residual(stem, (1, 2, 2, 1), classes)


def train(model, x, y):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.004, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12 * 10)
    model.train()
    for _ in range(12):
        for rows in torch.randperm(len(x)).split(40):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()


# %% ends_in_one_position_without_padding kind="healthy"
def build_model(size, classes):
    """Convolution and pooling in turn, until one position is left: its weights all meet pixels."""
    stack, channels = [], 3
    for filters in (12, 24, 48):
        stack += [nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters), nn.ReLU()]
        stack.append(nn.MaxPool2d(2))
        channels = filters
    stack += [nn.Conv2d(48, 64, 2), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(*stack, nn.Flatten(), nn.Linear(64, classes)).to(lab.device)


train = sick_train
