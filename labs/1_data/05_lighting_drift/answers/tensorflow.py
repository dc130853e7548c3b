# %% names_the_cause_reads_the_contrast cell="diagnosis" kind="wrong" says="another number"
from grader.instruments.lighting import measure_drift

cause = "lighting"
reading = float(measure_drift(reference.images, live.images).distance[3])

# %% names_the_class_mix_reads_right cell="diagnosis" kind="wrong" says="darkest quarter"
from grader.instruments.lighting import measure_drift

cause = "class-mix"
reading = measure_drift(reference.images, live.images).brightness

# %% names_overfitting_reads_right cell="diagnosis" kind="wrong" says="as unseen as"
from grader.instruments.lighting import measure_drift

cause = "overfitting"
reading = measure_drift(reference.images, live.images).brightness


# %% prepares_zeros cell="robustness" kind="constant" says="one and the same number"
def train_batch(images):
    return np.zeros(images.shape, np.float32)


serve_batch = train_batch
build_model = network


# %% prepares_nothing cell="robustness" kind="constant" says="return one prepared image for each"
def train_batch(images):
    return None


serve_batch = train_batch
build_model = network


# %% raises_in_training cell="robustness" kind="crash" says="no_such_function"
def train_batch(images):
    return no_such_function(images)


serve_batch = sick_batch
build_model = network

# %% brightens_by_one_percent cell="robustness" kind="wrong" says="still goes with the light"
from keras import layers

brightness = layers.RandomBrightness(0.01)


def train_batch(images):
    return sick_batch(lab.fw.to_numpy(brightness(images, training=True)))


serve_batch = sick_batch
build_model = network

# %% trains_in_the_evening_only cell="robustness" kind="wrong" says="noon is now the light"
# Every training image gets the light of the field: the network has moved, not widened.
light = live.images.mean(axis=(0, 1, 2)) / reference.images.mean(axis=(0, 1, 2))


def train_batch(images):
    return sick_batch(images * light)


serve_batch = sick_batch
build_model = network

# %% brightens_without_a_range cell="robustness" kind="wrong" says="shows little of"
# The layer expects 0 to 255, and these lie between 0 and 1: the images drown in what it adds.
from keras import layers

brightness = layers.RandomBrightness(0.3)


def train_batch(images):
    x = brightness(images.astype("float32") / 255, training=True)
    return (x - 0.36) / 0.12


serve_batch = sick_batch
build_model = network

# %% standardises_each_image cell="robustness" kind="right"
import tensorflow as tf


def train_batch(images):
    return tf.image.per_image_standardization(images)


serve_batch = train_batch
build_model = network

# %% jitters_brightness_and_colour cell="robustness" kind="right"
# As far as the unlabelled live images are from the reference, and a little further; the light is
# drawn inside the model, for every image, in training only. More lights ask for more filters.
import keras
from keras import layers


class RandomLight(layers.Layer):
    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(lab.seed)

    def call(self, x, training=None):
        if not training:
            return x
        n = keras.ops.shape(x)[0]
        light = keras.random.uniform((n, 1, 1, 1), 0.35, 1.15, seed=self.seeds)
        cast = keras.random.uniform((n, 1, 1, 3), 0.9, 1.1, seed=self.seeds)
        return keras.ops.clip(x * light * cast * [1.1, 1.0, 0.9], 0, 255)


def train_batch(images):
    return lab.fw.from_images(images)


serve_batch = train_batch


def build_model(size, classes):
    scale = layers.Rescaling(1 / (255 * 0.12), offset=-0.36 / 0.12)
    wider = lab.fw.two_block_network(size, classes, width=16, seed=lab.seed, device=lab.device)
    return keras.Sequential([keras.Input((size, size, 3)), RandomLight(), scale, wider])


# %% half_the_images_in_the_live_light cell="robustness" kind="right"
# No labels needed: the live images say how much light is missing.
light = live.images.mean(axis=(0, 1, 2)) / reference.images.mean(axis=(0, 1, 2))


def train_batch(images):
    share = np.random.random((len(images), 1, 1, 1)) * np.random.randint(
        0, 2, (len(images), 1, 1, 1)
    )
    return sick_batch(images * light**share)


serve_batch = sick_batch
build_model = network


# %% normalises_inside_the_model cell="robustness" kind="healthy"
import keras
from keras import layers


def train_batch(images):
    return images.astype("float32")


serve_batch = train_batch


def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.GroupNormalization(groups=-1, center=False, scale=False),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(momentum=0.9),
            layers.ELU(),
            layers.AveragePooling2D(2),
            layers.Conv2D(24, 3, padding="same"),
            layers.BatchNormalization(momentum=0.9),
            layers.ELU(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(classes),
        ]
    )


# %% always_fires cell="monitor" kind="constant" says="says nothing"
def make_monitor(reference):
    return lambda window: True


# %% never_fires cell="monitor" kind="constant" says="no alarm tells of it"
def make_monitor(reference):
    return lambda window: False


# %% returns_a_number cell="monitor" kind="constant" says="True for an alarm"
def make_monitor(reference):
    return lambda window: 0.0


# %% raises_on_a_window cell="monitor" kind="crash" says="no_such_function"
def make_monitor(reference):
    return lambda window: no_such_function(window)


# %% asks_for_labels cell="monitor" kind="wrong" says="anything but images"
# The labels at hand are those of other images.
def make_monitor(reference):
    def monitor(window):
        guesses = window.mean(axis=(1, 2, 3)).astype(int) % classes
        return bool((guesses == live.labels[: len(window)]).mean() < 0.6)

    return monitor


# %% knows_the_first_camera cell="monitor" kind="wrong" says="elsewhere it is not"
def make_monitor(reference):
    return lambda window: bool(not 81 < window.mean() < 100)


# %% counts_pixels_as_observations cell="monitor" kind="wrong" says="not the number of independent"
def make_monitor(reference):
    before = reference.astype(float)

    def monitor(window):
        error = before.std() * np.sqrt(1 / window.size + 1 / reference.size)
        return bool(abs(window.mean() - before.mean()) > 2 * error)

    return monitor


# %% watches_the_brightness_only cell="monitor" kind="wrong" says="the colour moves"
def make_monitor(reference):
    usual = reference.mean(axis=(1, 2, 3))

    def monitor(window):
        error = usual.std() * np.sqrt(1 / len(window) + 1 / len(usual))
        return bool(abs(window.mean() - usual.mean()) > 3.5 * error)

    return monitor


# %% watches_one_pixel cell="monitor" kind="wrong" says="hardly moves with it"
def make_monitor(reference):
    usual = reference[:, 3, 3, 1].astype(float)

    def monitor(window):
        error = usual.std() * np.sqrt(1 / len(window) + 1 / len(usual))
        return bool(abs(window[:, 3, 3, 1].mean() - usual.mean()) > 3 * error)

    return monitor


# %% tests_eighteen_numbers_at_five_percent cell="monitor" kind="wrong" says="chance alone"
def make_monitor(reference):
    def statistics(images):
        upper, lower = images[:, :5].mean(axis=(1, 2)), images[:, 5:].mean(axis=(1, 2))
        left, right = images[:, :, :5].mean(axis=(1, 2)), images[:, :, 5:].mean(axis=(1, 2))
        pixels = [images[:, row, column] for row in (2, 8) for column in (2, 8)]
        return np.column_stack([upper - lower, left - right, *pixels])

    usual = statistics(reference)

    def monitor(window):
        error = usual.std(axis=0) * np.sqrt(1 / len(window) + 1 / len(usual))
        z = np.abs(statistics(window).mean(axis=0) - usual.mean(axis=0)) / error
        return bool(z.max() > 1.96)

    return monitor


# %% compares_distributions cell="monitor" kind="right"
# Kolmogorov and Smirnov's test on five statistics of an image, each at one in ten thousand.
from grader.instruments.lighting import image_statistics, ks_distance


def make_monitor(reference):
    usual = image_statistics(reference)

    def monitor(window):
        live = image_statistics(window)
        limit = 2.22 * np.sqrt(1 / len(live) + 1 / len(usual))
        return max(ks_distance(usual[:, i], live[:, i]) for i in range(5)) > limit

    return monitor


# %% measures_one_distance_for_all cell="monitor" kind="right"
# Mahalanobis distance of the window's mean; the limit comes from windows of the reference.
def make_monitor(reference):
    def statistics(images):
        channels = images.mean(axis=(1, 2))
        return np.column_stack([channels, images.mean(axis=3).std(axis=(1, 2))])

    usual = statistics(reference)
    inverse = np.linalg.inv(np.cov(usual.T))

    def distance(rows):
        shift = rows.mean(axis=0) - usual.mean(axis=0)
        return shift @ inverse @ shift / (1 / len(rows) + 1 / len(usual))

    rng = np.random.default_rng(0)
    draws = [distance(usual[rng.choice(len(usual), 100)]) for _ in range(300)]
    limit = 1.5 * max(draws)
    return lambda window: bool(distance(statistics(window)) > limit)


# %% keeps_a_running_mean cell="monitor" kind="healthy"
# An exponentially weighted chart of Roberts: it remembers, so a small drift adds up.
class Chart:
    def __init__(self, reference):
        usual = self.numbers(reference)
        self.mean, self.spread = usual.mean(axis=0), usual.std(axis=0)
        self.kept, self.size = self.mean.copy(), len(reference)

    @staticmethod
    def numbers(images):
        red, green, blue = np.moveaxis(images.astype(float).mean(axis=(1, 2)), -1, 0)
        return np.column_stack([red + green + blue, red - green, blue - green])

    def __call__(self, window):
        self.kept = 0.4 * self.kept + 0.6 * self.numbers(window).mean(axis=0)
        error = self.spread * np.sqrt(0.43 / len(window) + 1 / self.size)
        return bool((np.abs(self.kept - self.mean) / error > 4).any())


def make_monitor(reference):
    return Chart(reference)
