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


# %% raises_when_splitting cell="validation" kind="crash" says="no_such_splitter"
def split(images, labels):
    return no_such_splitter(images, labels)


def score(labels, predicted):
    return (labels == predicted).mean()


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
    model = lab.fw.plain_cnn(SIZE, 3)
    batches = tf.data.Dataset.from_tensor_slices((prepared(images), labels))
    batches = batches.shuffle(len(labels)).repeat(12).batch(32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.002), loss=loss)
    model.fit(batches, class_weight={0: 0.36, 1: 10.0, 2: 10.0}, verbose=0)
    return model


predict = sick_predict


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
# Every class weighs the same in an epoch: few images, each with a large weight.
def train(images, labels):
    model = lab.fw.plain_cnn(SIZE, int(labels.max()) + 1)
    counts = np.bincount(labels)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.002), loss=loss)
    model.fit(
        prepared(images),
        labels,
        epochs=12,
        batch_size=32,
        class_weight=dict(enumerate(len(labels) / (len(counts) * counts))),
        verbose=0,
    )
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
    alpha = tf.constant(len(labels) / (3 * np.bincount(labels)), tf.float32)

    def focal(y, logits):
        y = tf.cast(tf.reshape(y, [-1]), tf.int32)
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        return tf.gather(alpha, y) * (1 - tf.exp(-each)) ** 2 * each

    batches = tf.data.Dataset.from_tensor_slices((prepared(images), labels))
    model.compile(optimizer=keras.optimizers.Adam(0.002), loss=focal)
    model.fit(batches.shuffle(len(labels)).repeat(12).batch(32), verbose=0)
    return model


predict = sick_predict


# %% another_program kind="healthy"
# Every batch holds the same number of images of every class from the start.
def train(images, labels):
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.layers.Conv2D(24, 3, padding="same", activation="elu"),
            keras.layers.AveragePooling2D(2),
            keras.layers.Conv2D(32, 3, padding="same", activation="elu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(len(members)),
        ]
    )
    optimizer = keras.optimizers.AdamW(0.003)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    generator = np.random.default_rng(int(labels[:50].sum()))
    for _ in range(120):
        rows = np.concatenate([generator.choice(m, 20) for m in members])
        step(tf.constant(images[rows], tf.float32), tf.constant(labels[rows]))
    return model


def predict(model, images):
    return tf.argmax(model(tf.constant(images, tf.float32)), axis=1)
