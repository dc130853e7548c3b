# %% blames_the_statistics kind="wrong" cell="diagnosis" says="every array of weights did"
cause = "batch-norm-statistics"
reading = 30

# %% blames_the_rate kind="wrong" cell="diagnosis" says="not trained, at any rate"
cause = "learning-rate"
reading = 30

# %% counts_the_statistics_only kind="wrong" cell="diagnosis" says="another number"
cause = "freeze-without-effect"
reading = 10


# %% returns_no_model kind="constant" cell="freeze" says="return a model"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    return None


def train_head(model, x, y):
    return model


# %% trains_no_head kind="constant" cell="freeze" says="it is the head"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    nn.init.zeros_(model[1].weight)
    nn.init.zeros_(model[1].bias)


# %% raises_when_called kind="crash" cell="freeze" says="no_such_name"
def preprocess(images):
    return lab.fw.from_images(no_such_name(images), lab.device)


build_model = put_head_on
train_head = sick_train_head


# %% mends_the_preprocessing_only kind="wrong" cell="freeze" says="Something still trains them"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on
train_head = sick_train_head


# %% lowers_the_rate kind="wrong" cell="freeze" says="Something still trains them"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    model[0].requires_grad = False
    fit(model, torch.optim.Adam(model.parameters(), lr=0.0001), x, y, epochs=20)


# %% freezes_the_convolutions_only kind="wrong" cell="freeze" says="Something still trains them"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    for layer in model[0]:
        if isinstance(layer, nn.Conv2d):
            layer.requires_grad_(False)
    fit(model, torch.optim.Adam(model.parameters(), lr=0.03), x, y, epochs=20)


# %% leaves_training_mode_on kind="wrong" cell="freeze" says="in training mode"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    model[0].requires_grad_(False)
    fit(model, torch.optim.Adam(model[1].parameters(), lr=0.03), x, y, epochs=20)


# %% keeps_the_wrong_preprocessing kind="wrong" cell="freeze" says="other numbers than it was trained"
preprocess = sick_preprocess
build_model = put_head_on


def train_head(model, x, y):
    model[0].requires_grad_(False)
    optimizer = torch.optim.Adam(model[1].parameters(), lr=0.03)
    fit(model, optimizer, x, y, epochs=20, training=False)


# %% preprocesses_for_another_network kind="wrong" cell="freeze" says="other numbers than it was"
def preprocess(images):
    return lab.fw.from_images(images / 127.5 - 1, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    model[0].requires_grad_(False)
    optimizer = torch.optim.Adam(model[1].parameters(), lr=0.03)
    fit(model, optimizer, x, y, epochs=20, training=False)


# %% starts_from_scratch kind="wrong" cell="freeze" says="another network"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, classes),
    ).to(lab.device)  # fmt: skip


def train_head(model, x, y):
    fit(model, torch.optim.Adam(model.parameters(), lr=0.01), x, y, epochs=20)


# %% trains_a_copy_of_the_backbone kind="wrong" cell="freeze" says="a copy that was trained"
import copy


def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    return put_head_on(copy.deepcopy(backbone), classes)


def train_head(model, x, y):
    fit(model, torch.optim.Adam(model.parameters(), lr=0.001), x, y, epochs=20, training=False)


# %% puts_another_network_beside_it kind="wrong" cell="freeze" says="another network beside"
class Beside(nn.Module):
    def __init__(self, backbone, classes):
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(24 + 32, classes)
        self.beside = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip

    def forward(self, x):
        return self.head(torch.cat([self.backbone(x), self.beside(x)], dim=1))


def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    return Beside(backbone, classes).to(lab.device)


def train_head(model, x, y):
    model.backbone.requires_grad_(False)
    optimizer = torch.optim.Adam(
        [
            {"params": model.head.parameters(), "lr": 0.03},
            {"params": model.beside.parameters(), "lr": 0.001},
        ]
    )
    fit(model, optimizer, x, y, epochs=20, training=False)


# %% head_on_features_computed_once kind="right" cell="freeze"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    backbone, head = model
    backbone.eval()
    with torch.no_grad():
        features = backbone(x)
    fit(head, torch.optim.Adam(head.parameters(), lr=0.03), features, y, epochs=30)


# %% backbone_that_refuses_to_train kind="right" cell="freeze"
class OnTop(nn.Module):
    def __init__(self, backbone, classes):
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(24, classes)

    def train(self, mode=True):
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, x):
        with torch.no_grad():
            features = self.backbone(x)
        return self.head(features)


def preprocess(images):
    return (lab.fw.from_images(images, lab.device) - 114.75) / 56.1


def build_model(backbone, classes):
    return OnTop(backbone, classes).to(lab.device)


def train_head(model, x, y):
    fit(model, torch.optim.AdamW(model.head.parameters(), lr=0.03), x, y, epochs=20)


# %% logistic_regression_as_the_head kind="right" cell="freeze"
from sklearn.linear_model import LogisticRegression


def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    features = lab.fw.predict(model[0], x)
    regression = LogisticRegression(C=3.0, max_iter=2000).fit(features, y.cpu().numpy())
    with torch.no_grad():
        model[1].weight.copy_(torch.as_tensor(regression.coef_))
        model[1].bias.copy_(torch.as_tensor(regression.intercept_))


# %% gradient_descent_on_a_frozen_copy kind="right" cell="freeze"
import copy


def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    return put_head_on(copy.deepcopy(backbone).requires_grad_(False), classes)


def train_head(model, x, y):
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1, momentum=0.9)
    fit(model, optimizer, x, y, epochs=30, training=False)


# %% hidden_layer_with_dropout kind="healthy" cell="freeze"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    head = nn.Sequential(nn.Linear(24, 48), nn.ReLU(), nn.Dropout(0.2), nn.Linear(48, classes))
    return nn.Sequential(backbone, head).to(lab.device)


def train_head(model, x, y):
    backbone, head = model
    backbone.eval().requires_grad_(False)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.005)
    for _ in range(40):
        head.train()
        for rows in torch.randperm(len(x)).split(20):
            optimizer.zero_grad()
            F.cross_entropy(head(backbone(x[rows])), y[rows]).backward()
            optimizer.step()


# %% does_nothing kind="constant" cell="fine-tune" says="still frozen"
def fine_tune(model, x, y, watch=None):
    return model


# %% raises_while_tuning kind="crash" cell="fine-tune" says="no_such_rate"
def fine_tune(model, x, y, watch=None):
    fit(model, torch.optim.Adam(model.parameters(), lr=no_such_rate), x, y, 1)


# %% tunes_the_head_only kind="wrong" cell="fine-tune" says="still frozen"
def fine_tune(model, x, y, watch=None):
    model[0].requires_grad_(False)
    optimizer = torch.optim.Adam(model[1].parameters(), lr=0.003)
    fit(model, optimizer, x, y, 12, training=False, watch=watch)


# %% keeps_the_rate_in_inference_mode kind="wrong" cell="fine-tune" says="is overwritten by a hundred"
def fine_tune(model, x, y, watch=None):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    fit(model, optimizer, x, y, 6, training=False, watch=watch)


# %% trains_longer_at_the_heads_rate kind="wrong" cell="fine-tune" says="is overwritten by a hundred"
def fine_tune(model, x, y, watch=None):
    fit(model, torch.optim.Adam(model.parameters(), lr=0.03), x, y, 15, watch=watch)


# %% forgets_the_backbone kind="wrong" cell="fine-tune" says="is overwritten by a hundred"
def fine_tune(model, x, y, watch=None):
    for layer in model[0]:
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    fit(model, torch.optim.Adam(model.parameters(), lr=0.008), x, y, 15, watch=watch)


# %% puts_a_new_head_on kind="wrong" cell="fine-tune" says="no longer fits the features"
def fine_tune(model, x, y, watch=None):
    model[1].reset_parameters()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0003)
    fit(model, optimizer, x, y, 2, training=False, watch=watch)


# %% two_rates kind="right" cell="fine-tune"
def fine_tune(model, x, y, watch=None):
    groups = [
        {"params": model[0].parameters(), "lr": 0.001},
        {"params": model[1].parameters(), "lr": 0.01},
    ]
    fit(model, torch.optim.Adam(groups), x, y, 12, training=False, watch=watch)


# %% unfreezes_the_last_block_first kind="right" cell="fine-tune"
def fine_tune(model, x, y, watch=None):
    backbone, head = model
    backbone.requires_grad_(False)
    blocks = [backbone[14:], backbone[11:14], backbone[:11]]
    for number, block in enumerate(blocks):
        block.requires_grad_(True)
        opened = [p for b in blocks[: number + 1] for p in b.parameters()]
        optimizer = torch.optim.Adam([*opened, *head.parameters()], lr=0.001 / 2**number)
        fit(model, optimizer, x, y, 4, training=False, watch=watch)


# %% last_block_only kind="right" cell="fine-tune"
def fine_tune(model, x, y, watch=None):
    backbone, head = model
    optimizer = torch.optim.Adam([*backbone[14:].parameters(), *head.parameters()], lr=0.001)
    fit(model, optimizer, x, y, 12, training=False, watch=watch)


# %% held_to_the_start kind="right" cell="fine-tune"
def fine_tune(model, x, y, watch=None):
    start = [p.detach().clone() for p in model[0].parameters()]
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    model.eval()
    for _ in range(12):
        for rows in torch.randperm(len(x)).split(25):
            optimizer.zero_grad()
            away = sum(
                (p - s).square().sum() for p, s in zip(model[0].parameters(), start, strict=True)
            )
            (F.cross_entropy(model(x[rows]), y[rows]) + 0.01 * away).backward()
            optimizer.step()


# %% plain_descent_with_a_small_rate kind="right" cell="fine-tune"
def fine_tune(model, x, y, watch=None):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
    fit(model, optimizer, x, y, 12, training=False, watch=watch)


# %% warms_the_rate_up_and_down kind="healthy" cell="fine-tune"
def fine_tune(model, x, y, watch=None):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.001, total_steps=48)
    for _ in range(12):
        model.eval()
        for rows in torch.randperm(len(x)).split(25):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
