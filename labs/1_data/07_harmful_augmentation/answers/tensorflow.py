# %% names_the_cause_reads_chance cell="diagnosis" kind="wrong" says="another number"
cause = "labels-destroyed"
reading = 0.25

# %% names_the_cause_reads_the_lost_ones cell="diagnosis" kind="wrong" says="another number"
cause = "labels-destroyed"
reading = 0.69

# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="training accuracy is low"
cause = "too-weak"
reading = 0.31

# %% names_the_range_reads_right cell="diagnosis" kind="wrong" says="second fault"
cause = "value-range"
reading = 0.31

# %% returns_black_images kind="constant" says="pushed onto 0 or 1"
steps = 80


def augment(images, labels):
    return tf.zeros_like(images), labels


# %% returns_one_image_for_all kind="constant" says="show what their label says"
steps = 80


def augment(images, labels):
    return tf.repeat(images[:1], len(images), axis=0), labels


# %% returns_nothing kind="constant" says="return the images and their labels"
steps = 80


def augment(images, labels):
    return None


# %% raises_when_called kind="crash" says="no_such_function"
steps = 80


def augment(images, labels):
    return no_such_function(images), labels


# %% changes_the_brightness_only_by_grey_levels kind="wrong" says="another unit"
# The layer takes 0 to 255 for granted unless it is told otherwise.
steps = 80
brightness = layers.RandomBrightness(0.2)


def augment(images, labels):
    return brightness(images, training=True), labels


# %% clips_brightness_in_grey_levels kind="wrong" says="cutting off hides"
steps = 80
brightness = layers.RandomBrightness(0.2)


def augment(images, labels):
    return tf.clip_by_value(brightness(images, training=True), 0, 1), labels


# %% trains_longer kind="wrong" says="No number of steps"
steps = 800


def augment(images, labels):
    images, labels = sick_augment(images, labels)
    return tf.clip_by_value(images, 0, 1), labels


# %% only_clips_the_range kind="wrong" says="hardly have anything"
steps = 80


def augment(images, labels):
    images, labels = sick_augment(images, labels)
    return tf.clip_by_value(images, 0, 1), labels


# %% mirrors_without_the_label kind="wrong" says="mirrored or turned upside down"
steps = 80
change = Sequential(
    [layers.RandomFlip("horizontal"), layers.RandomRotation(0.04), layers.RandomZoom(0.1)]
)


def augment(images, labels):
    return change(images, training=True), labels


# %% keeps_the_wide_rotation kind="wrong" says="half a right angle"
steps = 80
change = Sequential([layers.RandomRotation(0.2), layers.RandomZoom(0.2)])


def augment(images, labels):
    return change(images, training=True), labels


# %% turns_by_half_a_turn kind="wrong" says="hardly have anything"
steps = 80
change = layers.RandomRotation(0.5)


def augment(images, labels):
    return change(images, training=True), labels


# %% draws_labels_at_random kind="wrong" says="hardly have anything"
steps = 80


def augment(images, labels):
    images = images + tf.random.normal(tf.shape(images), stddev=0.05)
    return tf.clip_by_value(images, 0, 1), tf.random.uniform(labels.shape, 0, 4, tf.int64)


# %% crops_the_sea_away kind="wrong" says="cut away"
steps = 80


def augment(images, labels):
    n = len(images)
    corner, size = tf.random.uniform((n, 2), 0.1, 0.55), tf.random.uniform((n, 1), 0.22, 0.45)
    boxes = tf.concat([corner, corner + size], axis=1)
    return tf.image.crop_and_resize(images, boxes, tf.range(n), (16, 16)), labels


# %% deletes_the_augmentation kind="wrong" says="the augmentation itself is gone"
steps = 80


def augment(images, labels):
    return images, labels


# %% adds_invisible_noise kind="wrong" says="the augmentation itself is gone"
steps = 80
noise = layers.GaussianNoise(1e-4)


def augment(images, labels):
    return tf.clip_by_value(noise(images, training=True), 0, 1), labels


# %% shuffles_the_batch kind="wrong" says="the augmentation itself is gone"
steps = 80


def augment(images, labels):
    order = tf.random.shuffle(tf.range(len(images)))
    return tf.gather(images, order), tf.gather(labels, order)


# %% changes_one_image_in_ten kind="wrong" says="the augmentation itself is gone"
steps = 80


def augment(images, labels):
    chosen = tf.random.uniform((len(images), 1, 1, 1)) < 0.1
    noisy = tf.clip_by_value(images + tf.random.normal(tf.shape(images), stddev=0.04), 0, 1)
    return tf.where(chosen, noisy, images), labels


# %% always_mirrors kind="wrong" says="always in the same way"
steps = 80


def augment(images, labels):
    return tf.image.flip_left_right(images), tf.gather([0, 2, 1, 3], labels)


# %% returns_stored_images kind="wrong" says="does not seem to be made from"
steps = 80


def augment(images, labels):
    rows = tf.random.uniform((len(images),), 0, len(train), tf.int32)
    pixels = lab.fw.from_images(train.images / 255)
    return tf.gather(pixels, rows), tf.gather(train.labels, rows)


# %% turns_everything_to_one_side kind="wrong" says="unlike those it is asked about"
# Every label is right, and a network that says "top" to everything makes no mistake.
steps = 80


def augment(images, labels):
    quarters = tf.gather([2, 3, 1, 0], labels)  # against the clock, from each side to the top
    turned = tf.stack([tf.image.rot90(images, k) for k in range(4)])
    turned = tf.gather_nd(turned, tf.stack([quarters, tf.range(len(images))], axis=1))
    noisy = turned + tf.random.normal(tf.shape(images), stddev=0.05)
    return tf.clip_by_value(noisy, 0, 1), tf.fill(tf.shape(labels), tf.constant(3, tf.int64))


# %% mirrors_with_the_label kind="right"
steps = 80


def augment(images, labels):
    mirrored = tf.random.uniform((len(images),)) < 0.5
    swapped = tf.gather(tf.constant([0, 2, 1, 3], tf.int64), labels)  # bottom, right, left, top
    images = tf.where(mirrored[:, None, None, None], tf.image.flip_left_right(images), images)
    return images, tf.where(mirrored, swapped, labels)


# %% turns_by_quarters_with_the_label kind="right"
steps = 80
# After k quarters against the clock: bottom, right, top, left.
TURNED = tf.constant([[0, 1, 2, 3], [2, 0, 3, 1], [3, 2, 1, 0], [1, 3, 0, 2]], tf.int64)


def augment(images, labels):
    quarters = tf.random.uniform((len(images),), 0, 4, tf.int32)
    turned = tf.stack([tf.image.rot90(images, k) for k in range(4)])
    images = tf.gather_nd(turned, tf.stack([quarters, tf.range(len(images))], axis=1))
    return images, tf.gather_nd(TURNED, tf.stack([tf.cast(quarters, tf.int64), labels], axis=1))


# %% lowers_the_strength kind="right"
steps = 80
change = Sequential(
    [
        layers.RandomRotation(20 / 360),
        layers.RandomZoom(0.1),
        layers.RandomBrightness(0.1, value_range=(0, 1)),
        layers.RandomContrast(0.2, value_range=(0, 1)),
    ]
)


def augment(images, labels):
    return change(images, training=True), labels


# %% changes_colour_and_noise_only kind="right"
steps = 80


def augment(images, labels):
    images = images * tf.random.uniform((len(images), 1, 1, 1), 0.7, 1.3)
    images = tf.image.random_saturation(images, 0.8, 1.2)
    images = images + tf.random.normal(tf.shape(images), stddev=0.05)
    return tf.clip_by_value(images, 0, 1), labels


# %% crops_a_little_and_trains_longer kind="right"
steps = 160
change = layers.RandomTranslation(0.125, 0.125, fill_mode="constant")


def augment(images, labels):
    return change(images, training=True), labels


# %% another_program kind="healthy"
import numpy as np

steps = 80
generator = np.random.default_rng(7)


def augment(images, labels):
    pixels, sides = images.numpy().copy(), labels.numpy().copy()
    for i in range(len(pixels)):
        if generator.random() < 0.5:  # upside down, and the label with it
            pixels[i] = pixels[i][::-1]
            sides[i] = {0: 3, 3: 0}.get(int(sides[i]), int(sides[i]))
        down, right = generator.integers(0, 3, 2)
        padded = np.pad(pixels[i], ((1, 1), (1, 1), (0, 0)), "edge")
        pixels[i] = padded[down : down + 16, right : right + 16]
        pixels[i] = pixels[i] ** generator.uniform(0.8, 1.25)
    return pixels, sides
