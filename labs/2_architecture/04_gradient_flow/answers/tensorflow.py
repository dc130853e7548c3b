# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="by the same number"
cause = "learning-rate"
reading = sick_flow.lost

# %% takes_it_for_an_explosion cell="diagnosis" kind="wrong" says="grows on its way back"
cause = "exploding-gradient"
reading = sick_flow.lost

# %% reads_the_gradient_itself cell="diagnosis" kind="wrong" says="another number"
cause = "vanishing-gradient"
reading = sick_flow.relative.min()


# %% ignores_the_image kind="constant" says="no gradient at all"
class SameForAll(layers.Layer):
    def __init__(self, classes):
        super().__init__()
        self.unused = layers.Dense(classes)
        self.logits = self.add_weight(shape=(classes,), initializer="zeros")

    def build(self, shape):
        self.unused.build((None, 3))

    def call(self, x):
        return 0 * keras.ops.mean(x, axis=(1, 2, 3))[:, None] + self.logits


def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), SameForAll(classes)])


train = sick_train


# %% returns_zeros kind="constant" says="no gradient at all"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Flatten(),
            layers.Dense(classes),
            layers.Lambda(lambda logits: keras.ops.zeros_like(logits)),
        ]
    )


def train(model, x, y):
    return [1.386]


# %% returns_nothing kind="constant" says="return a fresh model"
def build_model(size, classes):
    return None


train = sick_train


# %% raises_when_called kind="crash" says="no_such_layer"
def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), no_such_layer(classes)])


train = sick_train

# %% raises_the_learning_rate kind="wrong" says="neither the learning rate"
build_model = build_deep


def train(model, x, y):
    return fit(model, x, y, keras.optimizers.SGD(0.5, momentum=0.9))


# %% trains_longer kind="wrong" says="number of epochs"
build_model = build_deep


def train(model, x, y):
    return fit(model, x, y, keras.optimizers.SGD(0.005, momentum=0.9), epochs=24)


# %% changes_to_adam_only kind="wrong" says="nor the optimizer"
build_model = build_deep


def train(model, x, y):
    return fit(model, x, y, keras.optimizers.Adam(0.001))


# %% clips_the_gradient kind="wrong" says="clipping"
build_model = build_deep


def train(model, x, y):
    return fit(model, x, y, keras.optimizers.SGD(0.005, momentum=0.9, global_clipnorm=0.01))


# %% widens_every_layer kind="wrong" says="powers of ten below the strongest"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    channels = 3
    for number in range(1, 15):
        start = as_pytorch_draws(9 * channels)
        model.add(layers.Conv2D(24, 3, padding="same", activation="relu", **start))
        channels = 24
        if number in (1, 2):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes, **as_pytorch_draws(24 * (size // 4) ** 2)))
    return model


train = sick_train


# %% freezes_the_first_layers kind="wrong" says="powers of ten below the strongest"
def build_model(size, classes):
    model = build_deep(size, classes)
    for layer in model.layers[:13]:
        layer.trainable = False
    return model


train = sick_train


# %% trains_the_last_layers_only kind="wrong" says="have the same weights after training"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for number in range(1, 15):
        model.add(
            layers.Conv2D(
                16,
                3,
                padding="same",
                activation="relu",
                kernel_initializer="he_normal",
                trainable=number > 12,
            )
        )
        if number in (1, 2):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% draws_weights_that_explode kind="wrong" says="grows from layer to layer"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for number in range(1, 15):
        start = keras.initializers.RandomNormal(stddev=1.0)
        model.add(layers.Conv2D(16, 3, padding="same", activation="relu", kernel_initializer=start))
        if number in (1, 2):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% draws_tiny_weights_without_biases kind="wrong" says="all of them stand low"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for number in range(1, 15):
        start = keras.initializers.RandomNormal(stddev=0.02)
        model.add(layers.Conv2D(16, 3, padding="same", activation="relu", kernel_initializer=start))
        if number in (1, 2):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% keeps_no_convolution kind="wrong" says="falls short"
def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), layers.Flatten(), layers.Dense(classes)])


train = sick_train


# %% pays_with_size kind="wrong" says="times the parameters"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for number in range(1, 5):
        model.add(layers.Conv2D(80, 3, padding="same", activation="relu"))
        if number in (1, 2):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes))
    return model


def train(model, x, y):
    return fit(model, x, y, keras.optimizers.Adam(0.002), epochs=6)


# %% batch_normalisation kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for number in range(1, 15):
        model.add(layers.Conv2D(16, 3, padding="same"))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
        if number in (1, 2):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% residual_connections kind="right"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D()(x)
    for number in range(6):
        start = as_pytorch_draws(144)
        y = layers.Conv2D(16, 3, padding="same", activation="relu", **start)(x)
        y = layers.Conv2D(16, 3, padding="same", **as_pytorch_draws(144))(y)
        x = layers.ReLU()(layers.Add()([x, y]))
        if number == 0:
            x = layers.MaxPooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(layers.Flatten()(x)))


train = sick_train


# %% residual_branches_that_start_at_zero kind="right"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D()(x)
    for number in range(6):
        y = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(y))
        y = layers.Conv2D(16, 3, padding="same", use_bias=False)(y)
        y = layers.BatchNormalization(momentum=0.9, gamma_initializer="zeros")(y)
        x = layers.ReLU()(layers.Add()([x, y]))
        if number == 0:
            x = layers.MaxPooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(layers.Flatten()(x)))


train = sick_train


# %% fewer_layers kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for number in range(1, 5):
        model.add(layers.Conv2D(16, 3, padding="same", activation="relu"))
        if number in (1, 3):
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes))
    return model


def train(model, x, y):
    return fit(model, x, y, keras.optimizers.Adam(0.002))


# %% he_weights_and_adam kind="right"
def build_model(size, classes):
    model = build_deep(size, classes)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            kernel, bias = layer.get_weights()
            start = keras.initializers.HeUniform()(kernel.shape)
            layer.set_weights([start, 0 * bias])
    return model


def train(model, x, y):
    return fit(model, x, y, keras.optimizers.AdamW(0.001))


# %% projects_and_strides kind="healthy"
import tensorflow as tf


def block(x, inputs, outputs, stride):
    short = layers.Conv2D(outputs, 1, strides=stride)(x)
    y = layers.Activation("gelu")(layers.GroupNormalization(4)(x))
    y = layers.Conv2D(outputs, 3, strides=stride, padding="same", activation="gelu")(y)
    return layers.Add()([short, layers.Conv2D(outputs, 3, padding="same")(y)])


def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(16, 3, padding="same")(inputs)
    x = block(x, 16, 16, 2)
    x = block(x, 16, 32, 2)
    x = block(x, 32, 32, 1)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def train(model, x, y):
    optimizer = keras.optimizers.Adam(0.003)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(320, seed=1).batch(40)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_mean(losses)
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    optimizer.build(model.trainable_variables)
    for _ in range(12):
        for images, labels in data:
            step(images, labels)
