# %% names_the_cause_reads_what_was_meant cell="diagnosis" kind="wrong" says="another number"
cause = "stale-augmentation"
reading = sick_freshness.shown

# %% names_too_few_images_reads_right cell="diagnosis" kind="wrong" says="Twenty a class"
cause = "too-few-images"
reading = sick_freshness.different


# %% yields_zeros kind="constant" says="0 % of the images change"
def training_batches(images, labels):
    return prepared(images, labels).map(lambda image, label: (0 * image, label)).batch(32)


evaluation_batches = plain_evaluation_batches


# %% raises_when_called kind="crash" says="no_such_function"
def training_batches(images, labels):
    return no_such_function(images, labels)


evaluation_batches = plain_evaluation_batches


# %% yields_images_without_labels kind="wrong" says="not a pair"
def training_batches(images, labels):
    return sick_training_batches(images, labels).map(lambda x, y: x)


evaluation_batches = plain_evaluation_batches


# %% can_be_run_through_once kind="wrong" says="second epoch is empty"
def training_batches(images, labels):
    return iter(sick_training_batches(images, labels))


evaluation_batches = plain_evaluation_batches


# %% varies_more_and_still_once kind="wrong" says="0 % of the images change"
def training_batches(images, labels):
    flip, turn = layers.RandomFlip("horizontal"), layers.RandomRotation(0.03)

    def augment(image, label):
        return turn(flip(image, training=True), training=True), label

    return prepared(images, labels).map(augment).cache().shuffle(len(labels)).batch(32)


evaluation_batches = plain_evaluation_batches


# %% numbers_its_seeds_from_0_in_every_epoch kind="wrong" says="0 % of the images change"
def training_batches(images, labels):
    def crop(pair, number):
        image, label = pair
        wide = tf.pad(image, [[2, 2], [2, 2], [0, 0]])
        return tf.image.stateless_random_crop(wide, images.shape[1:], seed=(number, 0)), label

    numbered = tf.data.Dataset.zip((prepared(images, labels), tf.data.Dataset.counter()))
    return numbered.map(crop).shuffle(len(labels)).batch(32)


evaluation_batches = plain_evaluation_batches


# %% shows_every_image_twice kind="wrong" says="come again"
def training_batches(images, labels):
    move = layers.RandomTranslation(0.125, 0.125)
    batches = prepared(images, labels).repeat(2).shuffle(len(labels)).batch(32)
    return batches.map(lambda x, y: (move(x, training=True), y))


evaluation_batches = plain_evaluation_batches


# %% shuffles_labels_by_themselves kind="wrong" says="different ways"
def training_batches(images, labels):
    move = layers.RandomTranslation(0.125, 0.125)
    pictures = tf.data.Dataset.from_tensor_slices(lab.fw.from_images(images) / 255)
    numbers = tf.data.Dataset.from_tensor_slices(labels).shuffle(len(labels))
    batches = tf.data.Dataset.zip((pictures.shuffle(len(labels)), numbers)).batch(32)
    return batches.map(lambda x, y: (move(x, training=True), y))


evaluation_batches = plain_evaluation_batches


# %% varies_evaluation_too kind="wrong" says="asked for a second time"
def training_batches(images, labels):
    move = layers.RandomTranslation(0.125, 0.125)
    batches = prepared(images, labels).shuffle(len(labels)).batch(32)
    return batches.map(lambda x, y: (move(x, training=True), y))


evaluation_batches = training_batches


# %% varies_evaluation_once kind="wrong" says="not their originals"
def training_batches(images, labels):
    move = layers.RandomTranslation(0.125, 0.125)
    batches = prepared(images, labels).shuffle(len(labels)).batch(32)
    return batches.map(lambda x, y: (move(x, training=True), y))


evaluation_batches = sick_training_batches


# %% evaluates_full_batches_only kind="wrong" says="evaluation images"
def training_batches(images, labels):
    move = layers.RandomTranslation(0.125, 0.125)
    batches = prepared(images, labels).shuffle(len(labels)).batch(32)
    return batches.map(lambda x, y: (move(x, training=True), y))


def evaluation_batches(images, labels):
    return prepared(images, labels).batch(32, drop_remainder=True)


# %% brightens_on_the_scale_of_255 kind="wrong" says="training goes from"
def training_batches(images, labels):
    augment = keras.Sequential(
        [layers.RandomTranslation(0.125, 0.125), layers.RandomBrightness(0.2)]
    )
    batches = prepared(images, labels).shuffle(len(labels)).batch(32)
    return batches.map(lambda x, y: (augment(x, training=True), y))


evaluation_batches = plain_evaluation_batches


# %% adds_noise_of_a_thousandth kind="wrong" says="the same picture"
def training_batches(images, labels):
    noise = layers.GaussianNoise(0.001)
    batches = prepared(images, labels).cache().shuffle(len(labels)).batch(32)
    return batches.map(lambda x, y: (noise(x, training=True), y))


evaluation_batches = plain_evaluation_batches


# %% adds_noise_to_the_one_draw kind="wrong" says="named after the most similar"
def training_batches(images, labels):
    noise = layers.GaussianNoise(0.02)
    return sick_training_batches(images, labels).map(lambda x, y: (noise(x, training=True), y))


evaluation_batches = plain_evaluation_batches


# %% flips_only kind="wrong" says="named after the most similar"
def training_batches(images, labels):
    flip = layers.RandomFlip("horizontal")
    batches = prepared(images, labels).cache().shuffle(len(labels)).batch(32)
    return batches.map(lambda x, y: (flip(x, training=True), y))


evaluation_batches = plain_evaluation_batches


# %% changes_light_only kind="wrong" says="not in what tells"
def training_batches(images, labels):
    augment = keras.Sequential(
        [layers.RandomBrightness(0.2, value_range=(0, 1)), layers.RandomContrast(0.3)]
    )
    batches = prepared(images, labels).cache().shuffle(len(labels)).batch(32)
    return batches.map(lambda x, y: (augment(x, training=True), y))


evaluation_batches = plain_evaluation_batches


# %% moves_and_flips kind="right"
def training_batches(images, labels):
    augment = keras.Sequential(
        [layers.RandomTranslation(0.125, 0.125), layers.RandomFlip("horizontal")]
    )
    batches = prepared(images, labels).cache().shuffle(len(labels)).batch(32)
    return batches.map(lambda x, y: (augment(x, training=True), y)).prefetch(2)


evaluation_batches = plain_evaluation_batches


# %% standardises_and_crops_each_image kind="right"
def scaled(image, label):
    return tf.image.convert_image_dtype(image, tf.float32) * 2 - 1, label


def training_batches(images, labels):
    def crop(image, label):
        wide = tf.pad(image, [[2, 2], [2, 2], [0, 0]], mode="REFLECT")
        return tf.image.random_crop(wide, images.shape[1:]), label

    photographs = tf.data.Dataset.from_tensor_slices((images, labels)).map(scaled).cache()
    return photographs.shuffle(len(labels)).map(crop).batch(16)


def evaluation_batches(images, labels):
    return tf.data.Dataset.from_tensor_slices((images, labels)).map(scaled).batch(64)


# %% turns_zooms_moves_and_brightens kind="right"
def training_batches(images, labels):
    augment = keras.Sequential(
        [
            layers.RandomRotation(0.02),
            layers.RandomZoom(0.1),
            layers.RandomTranslation(0.125, 0.125, fill_mode="nearest"),
            layers.RandomBrightness(0.1, value_range=(0, 1)),
        ]
    )
    batches = prepared(images, labels).cache().shuffle(len(labels)).batch(32)
    return batches.map(lambda x, y: (augment(x, training=True), y))


evaluation_batches = plain_evaluation_batches


# %% moves_and_mixes kind="right"
def training_batches(images, labels):
    move, classes = layers.RandomTranslation(0.125, 0.125), int(labels.max()) + 1

    def mix(x, y):
        x, y = move(x, training=True), tf.one_hot(y, classes)
        share = tf.random.uniform((tf.shape(x)[0], 1), 0.75, 1.0)
        x = share[:, :, None, None] * x + (1 - share[:, :, None, None]) * tf.reverse(x, [0])
        return x, share * y + (1 - share) * tf.reverse(y, [0])

    return prepared(images, labels).cache().shuffle(len(labels)).batch(32).map(mix)


evaluation_batches = plain_evaluation_batches


# %% numbers_its_seeds_after_shuffling kind="right"
def training_batches(images, labels):
    def crop(pair, number):
        image, label = pair
        wide = tf.pad(image, [[2, 2], [2, 2], [0, 0]])
        return tf.image.stateless_random_crop(wide, images.shape[1:], seed=(number, 0)), label

    shuffled = prepared(images, labels).shuffle(len(labels))
    return tf.data.Dataset.zip((shuffled, tf.data.Dataset.counter())).map(crop).batch(32)


evaluation_batches = plain_evaluation_batches


# %% another_program kind="healthy"
import numpy as np


class Roofs(keras.utils.PyDataset):
    """Everything in NumPy: whole-image shifts by rolling, noise, a batch at a time."""

    def __init__(self, images, labels, rng=None):
        super().__init__()
        self.images = images.astype(np.float32) / 127.5 - 1
        self.labels, self.rng = labels, rng
        self.order = np.arange(len(labels))

    def __len__(self):
        return -(-len(self.labels) // 25)

    def __getitem__(self, i):
        rows = self.order[25 * i : 25 * i + 25]
        x = self.images[rows]
        if self.rng is not None:
            steps = self.rng.integers(-3, 4, (len(rows), 2))
            x = np.stack([np.roll(one, step, (0, 1)) for one, step in zip(x, steps, strict=True)])
            x = x + self.rng.normal(0, 0.02, x.shape).astype(np.float32)
        return x, self.labels[rows]

    def __iter__(self):
        return (self[i] for i in range(len(self)))


def training_batches(images, labels):
    return Roofs(images, labels, np.random.default_rng(7))


def evaluation_batches(images, labels):
    return Roofs(images, labels)
