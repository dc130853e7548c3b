# %% names_the_cause_counts_every_copy cell="diagnosis" kind="wrong" says="another number"
cause = "label-noise"
reading = 2 * len(pairs)

# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="drawn apart"
cause = "validation-split"
reading = len(pairs)

# %% names_the_network_reads_right cell="diagnosis" kind="wrong" says="too small cannot repeat"
cause = "too-small"
reading = len(pairs)


# %% suspects_nobody kind="constant" expect="not attempted"
def find_wrong_labels(images, labels):
    return np.zeros(len(labels), bool), labels


# %% suspects_everybody kind="constant" says="right labels are suspected too"
def find_wrong_labels(images, labels):
    return np.ones(len(labels), bool), labels


# %% returns_nothing kind="constant" says="return two arrays"
def find_wrong_labels(images, labels):
    return None


# %% raises_when_called kind="crash" says="no_such_function"
def find_wrong_labels(images, labels):
    return no_such_function(images, labels), labels


# %% asks_about_what_was_learned_by_heart kind="wrong" says="by heart repeats them"
def find_wrong_labels(images, labels):
    confidence = confidence_after([(images, labels)], images, steps=300)[0]
    suspects = confidence.argmax(axis=1) != labels
    return suspects, np.where(suspects, -1, labels)


# %% ranks_losses_after_convergence kind="wrong" says="learned late"
def find_wrong_labels(images, labels):
    confidence = confidence_after([(images, labels)], images, steps=300)[0]
    loss = -np.log(confidence[np.arange(len(labels)), labels] + 1e-12)
    suspects = loss >= np.quantile(loss, 0.9)
    return suspects, np.where(suspects, -1, labels)


# %% suspects_at_random kind="wrong" says="drawn at random"
def find_wrong_labels(images, labels):
    suspects = np.random.default_rng(len(labels)).random(len(labels)) < 0.16
    return suspects, np.where(suspects, -1, labels)


# %% suspects_the_darkest kind="wrong" says="wrong ones"
def find_wrong_labels(images, labels):
    light = images.mean(axis=(1, 2, 3))
    suspects = light <= np.quantile(light, 0.16)
    return suspects, np.where(suspects, -1, labels)


# %% suspects_copies_only kind="wrong" says="Few labels"
from grader.instruments.label_noise import twins


def find_wrong_labels(images, labels):
    suspects = np.zeros(len(labels), bool)
    suspects[twins(images, labels)] = True
    return suspects, np.where(suspects, -1, labels)


# %% suspects_the_hard_of_one_class kind="wrong" says="one and the same label"
def find_wrong_labels(images, labels):
    confidence = confidence_after([(images, labels)], images, steps=300)[0]
    loss = -np.log(confidence[np.arange(len(labels)), labels] + 1e-12)
    suspects = (labels == 0) & (loss >= np.quantile(loss[labels == 0], 0.8))
    return suspects, np.where(suspects, -1, labels)


# %% suspects_whatever_is_not_sure kind="wrong" says="hard without being mislabelled"
def find_wrong_labels(images, labels):
    confidence = confidence_after([(images, labels)], images, steps=30)[0]
    suspects = confidence[np.arange(len(labels)), labels] < 0.8
    return suspects, np.where(suspects, -1, labels)


# %% finds_them_and_trains_on_them kind="wrong" says="have another label, or none"
def find_wrong_labels(images, labels):
    confidence = confidence_after([(images, labels)], images, steps=60)[0]
    loss = -np.log(confidence[np.arange(len(labels)), labels] + 1e-12)
    suspects = loss >= np.quantile(loss, 0.84)
    return suspects, labels


# %% finds_them_and_drops_a_class kind="wrong" says="poorer than it could be"
def find_wrong_labels(images, labels):
    confidence = confidence_after([(images, labels)], images, steps=60)[0]
    loss = -np.log(confidence[np.arange(len(labels)), labels] + 1e-12)
    suspects = loss >= np.quantile(loss, 0.84)
    return suspects, np.where(suspects | (labels == 2), -1, labels)


# %% asks_cleanlab kind="right"
from cleanlab.filter import find_label_issues


def find_wrong_labels(images, labels):
    fold = np.random.default_rng(1).permutation(len(labels)) % 4
    sets = [(images[fold != k], labels[fold != k]) for k in range(4)]
    confidence = confidence_after(sets, images, steps=60)[fold, np.arange(len(labels))]
    suspects = find_label_issues(labels, confidence, n_jobs=1)
    return suspects, np.where(suspects, -1, labels)


# %% ranks_losses_early kind="right"
def find_wrong_labels(images, labels):
    confidence = confidence_after([(images, labels)], images, steps=60)[0]
    loss = -np.log(confidence[np.arange(len(labels)), labels] + 1e-12)
    suspects = loss >= np.quantile(loss, 0.8)
    return suspects, np.where(suspects, -1, labels)


# %% relabels_where_held_out_networks_disagree kind="right"
def find_wrong_labels(images, labels):
    fold = np.random.default_rng(2).permutation(len(labels)) % 4
    sets = [(images[fold != k], labels[fold != k]) for k in range(4)]
    confidence = confidence_after(sets, images, steps=60)[fold, np.arange(len(labels))]
    rows = np.arange(len(labels))
    surer = confidence.max(axis=1) - confidence[rows, labels]  # than of the given label
    suspects = surer > np.quantile(surer, 0.82)
    new = np.where(confidence.max(axis=1) > 0.9, confidence.argmax(axis=1), -1)
    return suspects, np.where(suspects, new, labels)


# %% ranks_losses_out_of_fold kind="right"
def find_wrong_labels(images, labels):
    _, same = np.unique([image.tobytes() for image in images], return_inverse=True)
    fold = (
        np.random.default_rng(3).permutation(len(labels))[same] % 4
    )  # copies are held out together
    sets = [(images[fold != k], labels[fold != k]) for k in range(4)]
    confidence = confidence_after(sets, images, steps=60)[fold, np.arange(len(labels))]
    loss = -np.log(confidence[np.arange(len(labels)), labels] + 1e-12)
    suspects = loss >= np.quantile(loss, 0.82)
    return suspects, np.where(suspects, -1, labels)


# %% another_program kind="healthy"
import keras
import tensorflow as tf


def find_wrong_labels(images, labels):
    # Colours and how they vary, one small dense network, each image held out once of five times.
    pixels = images.reshape(len(images), -1, 3) / 255
    rough = np.abs(np.diff(images.astype(float), axis=2)).mean(axis=(1, 2)) / 25
    x = np.concatenate([pixels.mean(axis=1) * 4, pixels.std(axis=1) * 8, rough], axis=1)
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype("float32")
    fold = np.random.default_rng(0).permutation(len(labels)) % 5
    model = keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            keras.layers.Dense(16, activation="tanh"),
            keras.layers.Dense(3),
        ]
    )
    entropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    update = keras.optimizers.Adam(0.03)
    update.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def fit(rows, target):  # traced once, and every step sees all rows
        for _ in tf.range(60):
            with tf.GradientTape() as tape:
                value = entropy(target, model(rows, training=True))
            gradients = tape.gradient(value, model.trainable_variables)
            update.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    start, target = model.get_weights(), np.eye(3, dtype="float32")[labels]
    confidence = np.zeros((len(labels), 3))
    for k in range(5):
        model.set_weights(start)
        held = fold == k
        fit(tf.constant(x[~held]), tf.constant(target[~held]))
        confidence[held] = tf.nn.softmax(model(x[held]))
    given = confidence[np.arange(len(labels)), labels]
    suspects = given <= np.quantile(given, 0.16)
    return suspects, np.where(suspects, -1, labels)
