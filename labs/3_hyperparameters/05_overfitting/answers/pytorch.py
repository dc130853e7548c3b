# %% names_the_evaluation_reads_right cell="diagnosis" kind="wrong" says="do not make a curve turn"
cause = "dropout-left-on"
reading = 1.2

# %% asks_for_more_epochs cell="diagnosis" kind="wrong" says="further up"
cause = "too-few-epochs"
reading = 1.2

# %% reads_the_spread cell="diagnosis" kind="wrong" says="another number"
cause = "learning-by-heart"
reading = sick_repeats.spread


# %% says_the_same_of_every_model kind="constant" says="is off by"
def evaluate(model, x, y):
    return 0.5, 0.9


def build_model(size, classes):
    return build_wide(size, classes)


train = sick_train


# %% knows_nothing_of_the_image kind="constant" says="A model that learns nothing"
def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


class SameForAll(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(classes))

    def forward(self, x):
        return self.logits.expand(len(x), -1)


def build_model(size, classes):
    return SameForAll(classes)


train = sick_train


# %% evaluates_to_nothing kind="constant" says="return two numbers"
def evaluate(model, x, y):
    model.eval()


build_model, train = build_wide, sick_train


# %% raises_when_called kind="crash" says="no_such_mode"
def evaluate(model, x, y):
    model.no_such_mode()


build_model, train = build_wide, sick_train


# %% evaluates_with_dropout_on kind="wrong" says="answers that differ"
evaluate, build_model = sick_evaluate, build_wide


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005, weight_decay=3)
    history = {"loss": [], "val_loss": []}
    for _ in range(12):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
    return history


# %% takes_the_mean_of_many_evaluations kind="wrong" says="answers that differ"
def evaluate(model, x, y):
    losses, rights = zip(*[sick_evaluate(model, x, y) for _ in range(10)], strict=True)
    return sum(losses) / 10, sum(rights) / 10


build_model, train = build_wide, sick_train


# %% seeds_the_evaluation kind="wrong" says="Evaluation reads"
def evaluate(model, x, y):
    torch.manual_seed(0)
    return sick_evaluate(model, x, y)


build_model, train = build_wide, sick_train


# %% repairs_the_evaluation_only kind="wrong" says="is given up again"
def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


build_model = build_wide


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    history = {"loss": [], "val_loss": []}
    for _ in range(24):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
    return history


# %% watches_the_training_accuracy kind="wrong" says="is given up again"
import copy


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


build_model = build_wide


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    history, highest = {"loss": [], "val_loss": []}, -1.0
    for _ in range(24):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
        right = evaluate(model, x, y)[1]
        if right >= highest:
            highest, best = right, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history


# %% has_no_patience kind="wrong" says="too soon"
def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


build_model = build_wide


def train(model, x, y, x_val, y_val):
    """Small steps, and an end at the first epoch that is not 0.3 nats better."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.00015)
    history, lowest = {"loss": [], "val_loss": []}, float("inf")
    for _ in range(20):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
        if history["val_loss"][-1] > lowest - 0.3:
            break
        lowest = history["val_loss"][-1]
    return history


# %% drops_nine_units_of_ten kind="wrong" says="A model that learns nothing"
def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.9),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.9),
        nn.Flatten(), nn.Linear(32 * (size // 4) ** 2, 128), nn.ReLU(), nn.Dropout(0.9),
        nn.Linear(128, classes),
    )  # fmt: skip


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    history = {"loss": [], "val_loss": []}
    for _ in range(15):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
    return history


# %% penalises_more_than_it_learns kind="wrong" says="outweighs the data"
def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


build_model = build_wide


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005, weight_decay=3)
    history = {"loss": [], "val_loss": []}
    for _ in range(15):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
    return history


# %% trains_on_validation_images_too kind="wrong" says="kept apart"
def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


build_model = build_wide


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    history = {"loss": [], "val_loss": []}
    x, y = torch.cat([x, x_val]), torch.cat([y, y_val])
    for _ in range(30):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
    return history


# %% decoupled_weight_decay kind="right"
def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


build_model = build_wide


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003, weight_decay=4)
    history = {"loss": [], "val_loss": []}
    for _ in range(20):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
    return history


# %% whole_maps_dropped_and_the_best_kept kind="right"
import copy


def evaluate(model, x, y):
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        logits = model(x)
    model.train(was_training)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.2),
        nn.Flatten(), nn.Linear(32 * (size // 4) ** 2, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, classes),
    )  # fmt: skip


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    history = {"loss": [], "val_loss": []}
    for _ in range(25):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
        if history["val_loss"][-1] == min(history["val_loss"]):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history


# %% turns_and_mirrors_every_batch kind="right"
import copy


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


build_model = build_wide


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    history = {"loss": [], "val_loss": []}
    for _ in range(25):
        losses = []
        for rows in torch.randperm(len(x)).split(8):
            images = torch.rot90(x[rows], int(torch.randint(4, ())), (2, 3))
            images = images.flip(3) if torch.rand(()) < 0.5 else images
            losses.append(one_epoch(model, optimizer, images, y[rows]))
        history["loss"].append(sum(losses) / len(losses))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
        if history["val_loss"][-1] == min(history["val_loss"]):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history


# %% a_smaller_network kind="right"
def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, classes),
    )  # fmt: skip


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    history = {"loss": [], "val_loss": []}
    for _ in range(20):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
    return history


# %% soft_labels_and_the_best_kept kind="right"
import copy


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


build_model = build_wide


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    history = {"loss": [], "val_loss": []}
    for _ in range(20):
        model.train()
        for rows in torch.randperm(len(x)).split(8):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows], label_smoothing=0.1).backward()
            optimizer.step()
        history["loss"].append(evaluate(model, x, y)[0])
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
        if history["val_loss"][-1] == min(history["val_loss"]):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history


# %% the_best_running_mean_of_the_weights kind="right"
import copy


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


build_model = build_wide


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005, weight_decay=1)
    mean_of = torch.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    running = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=mean_of)
    history = {"loss": [], "val_loss": []}
    for _ in range(25):
        for rows in torch.randperm(len(x)).split(8):
            one_epoch(model, optimizer, x[rows], y[rows])
            running.update_parameters(model)
        history["loss"].append(evaluate(running, x, y)[0])
        history["val_loss"].append(evaluate(running, x_val, y_val)[0])
        if history["val_loss"][-1] == min(history["val_loss"]):
            best = copy.deepcopy(running.module.state_dict())
    model.load_state_dict(best)
    return history


# %% normalises_averages_and_cools_down kind="healthy"
import copy


def evaluate(model, x, y):
    model.eval()
    loss, right = 0.0, 0
    with torch.no_grad():
        for images, labels in zip(x.split(50), y.split(50), strict=True):
            logits = model(images)
            loss += F.cross_entropy(logits, labels, reduction="sum").item()
            right += (logits.argmax(1) == labels).sum().item()
    return loss / len(x), right / len(x)


def build_model(size, classes):
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(24, classes),
    )  # fmt: skip


def train(model, x, y, x_val, y_val):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    cooling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 15)
    history = {"loss": [], "val_loss": []}
    for _ in range(15):
        history["loss"].append(one_epoch(model, optimizer, x, y))
        cooling.step()
        history["val_loss"].append(evaluate(model, x_val, y_val)[0])
        if history["val_loss"][-1] <= min(history["val_loss"]):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return history
