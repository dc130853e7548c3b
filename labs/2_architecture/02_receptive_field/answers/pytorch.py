# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="in another way"
cause = "too-few-filters"
reading = 7

# %% takes_it_for_the_head cell="diagnosis" kind="wrong" says="Where a mast stood"
cause = "small-dense-layer"
reading = 7

# %% reads_the_distance cell="diagnosis" kind="wrong" says="another number"
cause = "receptive-field"
reading = 12


# %% ignores_the_image kind="constant" says="how they lie"
class SameForAll(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(classes))

    def forward(self, x):
        return self.logits.repeat(len(x), 1)


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


# %% more_filters kind="wrong" says="more filters"
def build_model(size, classes):
    return nn.Sequential(
        *block(3, 16, 3), *block(16, 16, 3), *block(16, 16, 3), *over_the_map(16, classes)
    )


train = sick_train

# %% more_epochs kind="wrong" says="more epochs"
build_model = build_sick


def train(model, x, y):
    fit(model, x, y, epochs=20)


# %% raises_the_learning_rate kind="wrong" says="another learning rate"
build_model = build_sick


def train(model, x, y):
    fit(model, x, y, rate=0.1)


# %% larger_dense_layer kind="wrong" says="larger dense layer"
def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8, 3), *block(8, 8, 3), *block(8, 8, 3),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        nn.Linear(8, 256), nn.ReLU(), nn.Linear(256, classes),
    )  # fmt: skip


train = sick_train


# %% enlarges_the_image kind="wrong" says="enlarged image"
def build_model(size, classes):
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), build_sick(size, classes))


train = sick_train


# %% squeezes_and_excites kind="wrong" says="how they lie"
class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 4, 1), nn.ReLU(),
            nn.Conv2d(4, channels, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x):
        return x * self.gate(x)


def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8, 3), *block(8, 8, 3), SqueezeExcite(8), *block(8, 8, 3),
        *over_the_map(8, classes),
    )  # fmt: skip


train = sick_train


# %% attention_without_positions kind="wrong" says="attention without positions"
class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.attend = nn.MultiheadAttention(channels, 2, batch_first=True)

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attend(tokens, tokens, tokens, need_weights=False)[0]
        return tokens.amax(dim=1)


def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8, 3), *block(8, 8, 3), *block(8, 16, 3), nn.MaxPool2d(4),
        Attention(16), nn.Linear(16, classes),
    )  # fmt: skip


train = sick_train


# %% weighs_every_place_by_itself kind="wrong" says="one mast"
def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8, 3), *block(8, 8, 3), *block(8, 8, 3), nn.MaxPool2d(4),
        nn.Flatten(), nn.Linear(8 * (size // 4) ** 2, classes),
    )  # fmt: skip


train = sick_train


# %% looks_at_twelve_pixels_only kind="wrong" says="near ones are lost"
def build_model(size, classes):
    return nn.Sequential(*block(3, 8, 1), *block(8, 8, 3, dilation=12), *over_the_map(8, classes))


train = sick_train


# %% steps_that_move_nothing kind="wrong" says="has not made use of it"
def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8, 3), *block(8, 8, 3, dilation=2), *block(8, 8, 3, dilation=4),
        *over_the_map(8, classes),
    )  # fmt: skip


def train(model, x, y):
    fit(model, x, y, epochs=2, rate=1e-7)


# %% pays_thirteen_times kind="wrong" says="times the multiply-adds"
def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8, 11), *block(8, 8, 11), *block(8, 8, 11), *over_the_map(8, classes)
    )


train = sick_train


# %% larger_kernels kind="right"
def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8, 11), *block(8, 8, 5), *block(8, 8, 3), *over_the_map(8, classes)
    )


def train(model, x, y):
    fit(model, x, y, epochs=12)


# %% more_layers_on_a_halved_map kind="right"
def build_model(size, classes):
    layers = [*block(3, 8, 3), nn.MaxPool2d(2)]
    for _ in range(4):
        layers += block(8, 8, 3)
    return nn.Sequential(*layers, *over_the_map(8, classes))


train = sick_train


# %% pooling_between kind="right"
def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8, 3), nn.MaxPool2d(2), *block(8, 16, 3), nn.MaxPool2d(2), *block(16, 16, 3),
        *over_the_map(16, classes),
    )  # fmt: skip


train = sick_train


# %% strided_convolutions kind="right"
def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8, 3), *block(8, 16, 3, stride=2), *block(16, 16, 3, stride=2),
        *block(16, 16, 3), *over_the_map(16, classes),
    )  # fmt: skip


train = sick_train


# %% attention_with_positions kind="right"
class Attention(nn.Module):
    """One transformer block over the positions of a map; sines and cosines say where each is."""

    def __init__(self, channels, side):
        super().__init__()
        place = torch.arange(side)[:, None] * torch.pi / 2 ** torch.arange(1, channels // 4 + 1)
        place = torch.cat([place.sin(), place.cos()], dim=1)
        rows = place[:, None].expand(side, side, -1)
        columns = place[None].expand(side, side, -1)
        self.register_buffer("places", torch.cat([rows, columns], dim=-1).flatten(0, 1))
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attend = nn.MultiheadAttention(channels, 2, batch_first=True)
        self.mix = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.ReLU(), nn.Linear(4 * channels, channels)
        )

    def forward(self, x):
        tokens = x.flatten(2).transpose(1, 2) + self.places
        seen = self.norm1(tokens)
        tokens = tokens + self.attend(seen, seen, seen, need_weights=False)[0]
        return (tokens + self.mix(self.norm2(tokens))).amax(dim=1)


def build_model(size, classes):
    return nn.Sequential(
        *block(3, 8, 3), nn.MaxPool2d(2), *block(8, 16, 3), nn.MaxPool2d(2),
        Attention(16, size // 4), nn.Linear(16, classes),
    )  # fmt: skip


def train(model, x, y):
    fit(model, x, y, epochs=20, rate=0.01)


# %% depthwise_shortcuts kind="healthy"
class Block(nn.Module):
    """A depthwise 7x7 convolution for the width, 1x1 convolutions for the rest, and a shortcut."""

    def __init__(self, channels):
        super().__init__()
        self.wide = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.BatchNorm2d(channels)
        self.mix = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 1), nn.ReLU(), nn.Conv2d(2 * channels, channels, 1)
        )

    def forward(self, x):
        return x + self.mix(self.norm(self.wide(x)))


class Network(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(16, classes)
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16))
        self.blocks = nn.Sequential(Block(16), Block(16))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).amax(dim=(2, 3)))


def build_model(size, classes):
    return Network(classes).to(lab.device)


def train(model, x, y):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    model.train()
    for _ in range(12):
        for rows in torch.randperm(len(x)).split(30):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
