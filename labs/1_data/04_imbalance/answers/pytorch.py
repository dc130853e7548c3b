# %% names_the_cause_reads_the_balanced_accuracy cell="diagnosis" kind="wrong" says="another number"
cause = "imbalance"
reading = 1 / 3

# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="without copies"
cause = "leak"
held_out = stored.labels[sick_split(stored.images, stored.labels)[1]]
reading = np.bincount(held_out).max() / len(held_out)


# %% holds_out_nothing cell="validation" kind="constant" says="at least one image"
def split(images, labels):
    return np.arange(len(labels)), np.array([], int)


def score(labels, predicted):
    return 0.0


# %% splits_well_and_scores_nothing cell="validation" kind="constant" says="always names the commonest"
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split


def split(images, labels):
    _, scene = connected_components(distances(images) < COPY)
    _, first = np.unique(scene, return_index=True)
    train, validation = train_test_split(
        np.arange(len(first)), test_size=0.2, stratify=labels[first], random_state=4
    )
    return np.flatnonzero(np.isin(scene, train)), np.flatnonzero(np.isin(scene, validation))


def score(labels, predicted):
    return 1.0


# %% raises_when_splitting cell="validation" kind="crash" says="no_such_splitter"
def split(images, labels):
    return no_such_splitter(images, labels)


def score(labels, predicted):
    return (labels == predicted).mean()


# %% holds_out_a_fifth_by_lot cell="validation" kind="wrong" says="same bytes as a training image"
from sklearn.metrics import balanced_accuracy_score as score
from sklearn.model_selection import train_test_split


def split(images, labels):
    return train_test_split(np.arange(len(labels)), test_size=0.2, random_state=1)


# %% stratifies_and_looks_for_no_copies cell="validation" kind="wrong" says="same bytes as a training image"
from sklearn.metrics import balanced_accuracy_score as score
from sklearn.model_selection import train_test_split


def split(images, labels):
    return train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=1)


# %% groups_by_hash cell="validation" kind="wrong" says="hash of the bytes is silent"
import hashlib

from sklearn.metrics import balanced_accuracy_score as score
from sklearn.model_selection import train_test_split


def split(images, labels):
    hashes = np.array([hashlib.sha256(image.tobytes()).hexdigest() for image in images])
    different, first = np.unique(hashes, return_index=True)
    train, validation = train_test_split(
        different, test_size=0.2, stratify=labels[first], random_state=1
    )
    return np.flatnonzero(np.isin(hashes, train)), np.flatnonzero(np.isin(hashes, validation))


# %% groups_without_strata cell="validation" kind="wrong" says="as chance has it"
from sklearn.cluster import DBSCAN
from sklearn.metrics import balanced_accuracy_score as score
from sklearn.model_selection import GroupShuffleSplit


def split(images, labels):
    near = DBSCAN(eps=COPY, min_samples=1, metric="precomputed")
    scene = near.fit_predict(distances(images))
    return next(GroupShuffleSplit(1, test_size=0.2, random_state=1).split(images, labels, scene))


# %% stays_tiny cell="validation" kind="wrong" says="a fifth was asked for"
from sklearn.cluster import DBSCAN
from sklearn.metrics import balanced_accuracy_score as score


def split(images, labels):
    near = DBSCAN(eps=COPY, min_samples=1, metric="precomputed")
    scene = near.fit_predict(distances(images))
    held = scene < 0.06 * scene.max()
    return np.flatnonzero(~held), np.flatnonzero(held)


# %% repeats_the_rare_before_splitting cell="validation" kind="wrong" says="in both parts"
from sklearn.metrics import balanced_accuracy_score as score


def split(images, labels):
    generator = np.random.default_rng(1)
    counts = np.bincount(labels)
    members = [np.flatnonzero(labels == label) for label in range(len(counts))]
    rows = np.concatenate([generator.choice(m, counts.max()) for m in members])
    generator.shuffle(rows)
    return rows[len(rows) // 5 :], rows[: len(rows) // 5]


# %% resamples_validation_as_well cell="validation" kind="wrong" says="more than once"
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import balanced_accuracy_score as score
from sklearn.model_selection import train_test_split


def split(images, labels):
    _, scene = connected_components(distances(images) < COPY)
    _, first = np.unique(scene, return_index=True)
    train, validation = train_test_split(
        np.arange(len(first)), test_size=0.2, stratify=labels[first], random_state=4
    )
    return [even(np.flatnonzero(np.isin(scene, part)), labels) for part in (train, validation)]


def even(part, labels):
    counts = np.bincount(labels[part])
    generator = np.random.default_rng(0)
    members = [part[labels[part] == label] for label in range(len(counts))]
    return np.concatenate([generator.choice(m, counts.max()) for m in members])


# %% throws_common_images_away cell="validation" kind="wrong" says="in neither part"
from sklearn.metrics import balanced_accuracy_score as score
from sklearn.model_selection import train_test_split


def split(images, labels):
    fewest = np.bincount(labels).min()
    kept = np.concatenate([np.flatnonzero(labels == c)[:fewest] for c in range(labels.max() + 1)])
    return train_test_split(kept, test_size=0.2, stratify=labels[kept], random_state=4)


# %% throws_every_copied_scene_away cell="validation" kind="wrong" says="in neither part"
from sklearn.metrics import balanced_accuracy_score as score
from sklearn.model_selection import train_test_split


def split(images, labels):
    alone = np.flatnonzero((distances(images) < COPY).sum(axis=1) == 1)
    return train_test_split(alone, test_size=0.2, stratify=labels[alone], random_state=0)


# %% reports_accuracy cell="validation" kind="wrong" says="always names the commonest"
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import accuracy_score as score
from sklearn.model_selection import train_test_split


def split(images, labels):
    _, scene = connected_components(distances(images) < COPY)
    _, first = np.unique(scene, return_index=True)
    train, validation = train_test_split(
        np.arange(len(first)), test_size=0.2, stratify=labels[first], random_state=4
    )
    return np.flatnonzero(np.isin(scene, train)), np.flatnonzero(np.isin(scene, validation))


# %% reports_the_recall_of_the_rarest cell="validation" kind="wrong" says="always names the rarest"
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split


def split(images, labels):
    _, scene = connected_components(distances(images) < COPY)
    _, first = np.unique(scene, return_index=True)
    train, validation = train_test_split(
        np.arange(len(first)), test_size=0.2, stratify=labels[first], random_state=4
    )
    return np.flatnonzero(np.isin(scene, train)), np.flatnonzero(np.isin(scene, validation))


def score(labels, predicted):
    rarest = np.bincount(labels).argmin()
    return (predicted[labels == rarest] == rarest).mean()


# %% stratifies_the_scenes cell="validation" kind="right"
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split


def split(images, labels):
    _, scene = connected_components(distances(images) < COPY)
    _, first = np.unique(scene, return_index=True)
    train, validation = train_test_split(
        np.arange(len(first)), test_size=0.2, stratify=labels[first], random_state=3
    )
    return np.flatnonzero(np.isin(scene, train)), np.flatnonzero(np.isin(scene, validation))


def score(labels, predicted):
    return f1_score(labels, predicted, average="macro")


# %% keeps_one_image_of_a_scene cell="validation" kind="right"
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split


def split(images, labels):
    alike = distances(images) < COPY
    kept, taken = [], np.zeros(len(images), bool)
    for i in range(len(images)):
        if not taken[i]:
            kept.append(i)
            scene, before = alike[i], 0
            while scene.sum() > before:  # the copies of copies as well
                before, scene = scene.sum(), alike[scene].any(axis=0)
            taken |= scene
    kept = np.array(kept)
    return train_test_split(kept, test_size=0.2, stratify=labels[kept], random_state=2)


def score(labels, predicted):
    return recall_score(labels, predicted, average=None).min()


# %% deals_scenes_out_by_hand cell="validation" kind="right"
def split(images, labels):
    scene = np.arange(len(images))
    for i, row in enumerate(distances(images) < COPY):
        scene[np.isin(scene, scene[row])] = scene[i]
    held = np.zeros(len(images), bool)
    generator = np.random.default_rng(5)
    for label in range(labels.max() + 1):
        wanted = round(0.2 * (labels == label).sum())
        for number in generator.permutation(np.unique(scene[labels == label])):
            if held[labels == label].sum() < wanted:
                held |= scene == number
    return ~held, held


def score(labels, predicted):
    recalls = [(predicted[labels == c] == c).mean() for c in np.unique(labels)]
    return float(np.prod(recalls))


# %% another_program_of_its_own_distances cell="validation" kind="healthy"
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import matthews_corrcoef
from sklearn.model_selection import StratifiedGroupKFold


def split(images, labels):
    grey = images.astype(float).mean(axis=3)
    alike = np.zeros((len(grey), len(grey)))
    centre = grey[:, 1:-1, 1:-1].reshape(len(grey), -1)
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            side = grey.shape[1] - 2
            moved = grey[:, dy : dy + side, dx : dx + side].reshape(len(grey), -1)
            both = np.corrcoef(np.concatenate([centre, moved]))[: len(grey), len(grey) :]
            alike = np.maximum(alike, np.maximum(both, both.T))
    grouping = AgglomerativeClustering(
        None, distance_threshold=0.01, metric="precomputed", linkage="single"
    )
    scene = grouping.fit_predict(1 - alike)
    folds = list(StratifiedGroupKFold(5).split(images, labels, scene))
    train, validation = folds[-1]
    return train.tolist(), validation.tolist()


def score(labels, predicted):
    return matthews_corrcoef(labels, predicted)


# %% always_names_the_commonest kind="constant" says="still missed"
def train(images, labels):
    return np.bincount(labels).argmax()


def predict(model, images):
    return np.full(len(images), model)


# %% returns_no_classes kind="constant" says="one class number for each"
def train(images, labels):
    return None


def predict(model, images):
    return np.zeros((len(images), 3))


# %% raises_when_training kind="crash" says="no_such_program"
def train(images, labels):
    return no_such_program(images)


def predict(model, images):
    return model


# %% always_names_the_rarest kind="wrong" says="the mistake has only moved"
def train(images, labels):
    return np.bincount(labels).argmin()


def predict(model, images):
    return np.full(len(images), model)


# %% types_the_weights_of_the_notebook kind="wrong" says="how many images there are of each"
def train(images, labels):
    return fit(images, labels, torch.tensor([1.0, 28.0, 28.0]))


def fit(images, labels, weight):
    model = lab.fw.plain_cnn(SIZE, len(weight))
    loader = DataLoader(TensorDataset(prepared(images), torch.from_numpy(labels)), 32, shuffle=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    for _ in range(12):
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y, weight=weight).backward()
            optimizer.step()
    return model


def predict(model, images):
    return lab.fw.predict(model, prepared(images)).argmax(axis=1)


# %% favours_the_rare_without_measure kind="wrong" says="weigh more now"
# The classes are even already; on top of that the rare ones are given a large bonus.
def train(images, labels):
    counts = np.bincount(labels)
    generator = np.random.default_rng(0)
    members = [np.flatnonzero(labels == label) for label in range(len(counts))]
    rows = np.concatenate([generator.choice(m, len(labels) // len(counts)) for m in members])
    return sick_train(images[rows], labels[rows]), 60.0 * (counts < counts.max())


def predict(model, images):
    network, bonus = model
    return (lab.fw.predict(network, prepared(images)) + bonus).argmax(axis=1)


# %% gives_all_rare_images_one_name kind="wrong" says="share one name"
# Rare against common, and nothing more.
def train(images, labels):
    counts = np.bincount(labels)
    rare = (labels != counts.argmax()).astype(np.int64)
    generator = np.random.default_rng(0)
    rows = np.concatenate(
        [generator.choice(np.flatnonzero(rare == label), len(labels) // 2) for label in (0, 1)]
    )
    return sick_train(images[rows], rare[rows]), counts.argmax(), counts.argmin()


def predict(model, images):
    network, common, rarest = model
    rare = lab.fw.predict(network, prepared(images)).argmax(axis=1)
    return np.where(rare, rarest, common)


# %% weighs_the_loss kind="right"
def train(images, labels):
    model = lab.fw.plain_cnn(SIZE, 3)
    loader = DataLoader(TensorDataset(prepared(images), torch.from_numpy(labels)), 32, shuffle=True)
    counts = torch.bincount(torch.from_numpy(labels))
    loss_function = nn.CrossEntropyLoss(weight=len(labels) / (len(counts) * counts))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    for _ in range(12):
        for x, y in loader:
            optimizer.zero_grad()
            loss_function(model(x), y).backward()
            optimizer.step()
    return model


predict = sick_predict


# %% subtracts_the_prior_in_training kind="right"
# Logit adjustment: the network learns what is left when the class shares are known.
def train(images, labels):
    model = lab.fw.plain_cnn(SIZE, 3)
    loader = DataLoader(TensorDataset(prepared(images), torch.from_numpy(labels)), 32, shuffle=True)
    prior = torch.log(torch.from_numpy(np.bincount(labels) / len(labels)).float())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    for _ in range(12):
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x) + prior, y).backward()
            optimizer.step()
    return model


predict = sick_predict


# %% subtracts_the_prior_afterwards kind="right"
def train(images, labels):
    return sick_train(images, labels), np.log(np.bincount(labels) / len(labels))


def predict(model, images):
    network, prior = model
    return (lab.fw.predict(network, prepared(images)) - prior).argmax(axis=1)


# %% focuses_and_weighs kind="right"
def train(images, labels):
    model = lab.fw.plain_cnn(SIZE, 3)
    loader = DataLoader(TensorDataset(prepared(images), torch.from_numpy(labels)), 32, shuffle=True)
    alpha = torch.from_numpy(len(labels) / (3 * np.bincount(labels))).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.002)
    for _ in range(12):
        for x, y in loader:
            optimizer.zero_grad()
            each = nn.functional.cross_entropy(model(x), y, reduction="none")
            (alpha[y] * (1 - torch.exp(-each)) ** 2 * each).mean().backward()
            optimizer.step()
    return model


predict = sick_predict


# %% another_program kind="healthy"
# Every batch holds the same number of images of every class from the start.
class Averaging(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 24, 3, padding=1), nn.Conv2d(24, 32, 3, padding=1)
        self.head = nn.Linear(32 * 9, classes)

    def forward(self, x):
        x = nn.functional.avg_pool2d(nn.functional.elu(self.fine(x)), 2)
        return self.head(nn.functional.max_pool2d(nn.functional.elu(self.coarse(x)), 2).flatten(1))


def train(images, labels):
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    members = [torch.from_numpy(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    model = Averaging(len(members))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.002)
    for _ in range(120):
        rows = torch.cat([m[torch.randint(len(m), (20,))] for m in members])
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[rows]), torch.from_numpy(labels)[rows]).backward()
        optimizer.step()
    return model.eval()


def predict(model, images):
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    with torch.inference_mode():
        return model(x).argmax(dim=1)
