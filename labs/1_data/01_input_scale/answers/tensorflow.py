# %% names_the_cause_reads_guessing cell="diagnosis" kind="wrong" says="another number"
cause = "input-scale"
reading = 2.303

# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="before any step is taken"
cause = "learning-rate"
reading = float(losses[0])

# %% reads_the_last_loss cell="diagnosis" kind="wrong" says="another number"
cause = "input-scale"
reading = float(losses[-20:].mean())

# %% returns_zeros kind="constant" says="one and the same number"
import tensorflow as tf

learning_rate = 0.02


def train_batch(images):
    return tf.zeros(images.shape)


serve_batch = train_batch
build_model = plain_model

# %% returns_nothing kind="constant" says="return one prepared image for each"
learning_rate = 0.02


def train_batch(images):
    return None


serve_batch = train_batch
build_model = plain_model

# %% raises_when_called kind="crash" says="no_such_function"
learning_rate = 0.02


def train_batch(images):
    return no_such_function(images)


serve_batch = train_batch
build_model = plain_model

# %% lowers_the_learning_rate kind="wrong" says="no learning rate can change this"
learning_rate = 0.0002


def train_batch(images):
    return lab.fw.from_images(images)


serve_batch = train_batch
build_model = plain_model

# %% normalises_after_the_first_convolution kind="wrong" says="standard deviations between"
# Training hides the raw values behind batch statistics; serving still sends them.
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images) / 255


def serve_batch(images):
    return lab.fw.from_images(images)


def build_model(size, classes):
    first, *rest = plain_model(size, classes).layers
    return keras.Sequential([first, layers.BatchNormalization(), *rest])


# %% scales_in_training_only kind="wrong" says="standard deviations between"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images) / 255


def serve_batch(images):
    return lab.fw.from_images(images)


build_model = plain_model

# %% scales_in_serving_only kind="wrong" says="before any step"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images)


def serve_batch(images):
    return lab.fw.from_images(images) / 255


build_model = plain_model

# %% divides_twice kind="wrong" says="standard deviation of only 0.0"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images) / 255


serve_batch = train_batch


def build_model(size, classes):
    return keras.Sequential(
        [keras.Input((size, size, 3)), layers.Rescaling(1 / 255), plain_model(size, classes)]
    )


# %% divides_twice_in_serving kind="wrong" says="standard deviations between"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images) / 255


def serve_batch(images):
    return train_batch(images) / 255


build_model = plain_model

# %% clips_to_one kind="wrong" says="one and the same number"
import tensorflow as tf

learning_rate = 0.02


def train_batch(images):
    return tf.clip_by_value(lab.fw.from_images(images), 0, 1)


serve_batch = train_batch
build_model = plain_model

# %% takes_statistics_of_the_batch kind="wrong" says="neighbours"
import tensorflow as tf

learning_rate = 0.02


def train_batch(images):
    x = lab.fw.from_images(images)
    mean, variance = tf.nn.moments(x, axes=(0, 1, 2))
    return (x - mean) / tf.sqrt(variance)


serve_batch = train_batch
build_model = plain_model

# %% scales_inside_the_model_while_training kind="wrong" says="the served model is right on"
# What is prepared is the same on both paths; the model itself takes two paths.
learning_rate = 0.02


class ScaledInTraining(keras.Model):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def call(self, x, training=None):
        return self.model(x / 255 if training else x)


def train_batch(images):
    return lab.fw.from_images(images)


serve_batch = train_batch


def build_model(size, classes):
    return ScaledInTraining(plain_model(size, classes))


# %% scales_to_plus_minus_one kind="right"
learning_rate = 0.02
rescaling = layers.Rescaling(1 / 127.5, offset=-1)


def train_batch(images):
    return rescaling(images)


serve_batch = train_batch
build_model = plain_model

# %% standardises_with_training_images kind="right"
learning_rate = 0.02
normalization = layers.Normalization()
normalization.adapt(train.images.astype("float32"))


def train_batch(images):
    return lab.fw.from_images(images)


serve_batch = train_batch


def build_model(size, classes):
    return keras.Sequential(
        [keras.Input((size, size, 3)), normalization, plain_model(size, classes)]
    )


# %% standardises_each_image kind="right"
import tensorflow as tf

learning_rate = 0.02


def train_batch(images):
    return tf.image.per_image_standardization(images)


serve_batch = train_batch
build_model = plain_model

# %% normalises_inside_the_model kind="right"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images)


serve_batch = train_batch


def build_model(size, classes):
    return keras.Sequential(
        [keras.Input((size, size, 3)), layers.BatchNormalization(), plain_model(size, classes)]
    )


# %% divides_inside_the_model kind="right"
learning_rate = 0.02


def train_batch(images):
    return lab.fw.from_images(images)


serve_batch = train_batch


def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    return keras.Model(inputs, plain_model(size, classes)(layers.Rescaling(1 / 255)(inputs)))


# %% another_program kind="healthy"
import tensorflow as tf

learning_rate = 0.03


def _to_float(image):
    return (tf.image.convert_image_dtype(image, tf.float32) - 0.4) / 0.15


def train_batch(images):
    dataset = tf.data.Dataset.from_tensor_slices(images).map(_to_float)
    return next(iter(dataset.batch(len(images))))


def serve_batch(images):
    return tf.map_fn(_to_float, images, fn_output_signature=tf.float32)


class Averaging(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.fine = layers.Conv2D(24, 3, padding="same", activation="elu")
        self.coarse = layers.Conv2D(48, 3, padding="same", activation="elu")
        self.pool = layers.AveragePooling2D(2)
        self.flatten = layers.Flatten()
        self.head = layers.Dense(classes)

    def call(self, x):
        return self.head(self.flatten(self.pool(self.coarse(self.pool(self.fine(x))))))


def build_model(size, classes):
    return Averaging(classes)
