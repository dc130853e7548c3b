# %% takes_the_rate_for_too_small cell="diagnosis" kind="wrong" says="too small the loss falls slowly"
cause = "small-learning-rate"
reading = 0.6

# %% takes_it_for_a_vanishing_gradient cell="diagnosis" kind="wrong" says="exactly zero"
cause = "vanishing-gradient"
reading = 0.6

# %% counts_units_instead cell="diagnosis" kind="wrong" says="another number"
cause = "dead-units"
reading = 112


# %% says_the_same_for_all kind="constant" says="pass nothing of the image on"
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

# %% trains_longer kind="wrong" says="more epochs"
build_model = build_sick


def train(model, x, y):
    return fit(model, x, y, 0.5, epochs=20)


# %% adds_filters kind="wrong" says="more filters"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(48, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(96, activation="relu"),
            layers.Dense(classes, activation="relu"),
        ]
    )


train = sick_train


# %% adds_dropout kind="wrong" says="dropout"
def build_model(size, classes):
    model = build_sick(size, classes)
    model.pop()
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(classes, activation="relu"))
    return model


train = sick_train


# %% frees_the_logits_only kind="wrong" says="When do they die"
def build_model(size, classes):
    model = build_sick(size, classes)
    model.pop()
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% lowers_the_rate_only kind="wrong" says="have the same lowest value"
build_model = build_sick


def train(model, x, y):
    return fit(model, x, y, 0.003)


# %% changes_to_leaky_relu_only kind="wrong" says="thrown far away"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(16, 3, padding="same", activation="leaky_relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="leaky_relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="leaky_relu"),
            layers.Dense(classes),
        ]
    )


train = sick_train


# %% gives_probabilities kind="wrong" says="They are probabilities"
def build_model(size, classes):
    model = build_sick(size, classes)
    model.pop()
    model.add(layers.Dense(classes, activation="softmax"))
    return model


def train(model, x, y):
    model.compile(
        keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy", jit_compile=False
    )
    model.fit(x, y, batch_size=32, epochs=8, verbose=0)


# %% keeps_no_hidden_layer kind="wrong" says="falls short"
def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), layers.Flatten(), layers.Dense(classes)])


def train(model, x, y):
    return fit(model, x, y, 0.003)


# %% pays_with_size kind="wrong" says="times the multiply-adds"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(96, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(classes),
        ]
    )


def train(model, x, y):
    return fit(model, x, y, 0.003, epochs=8)


# %% leaky_relu_and_a_lower_rate kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters in (16, 32):
        model.add(layers.Conv2D(filters, 3, padding="same"))
        model.add(layers.LeakyReLU(negative_slope=0.01))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(64, activation="leaky_relu"))
    model.add(layers.Dense(classes))
    return model


def train(model, x, y):
    return fit(model, x, y, 0.003)


# %% silu_and_a_lower_rate kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters in (16, 32):
        model.add(layers.Conv2D(filters, 3, padding="same", activation="silu"))
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(64, activation="silu"))
    model.add(layers.Dense(classes))
    return model


def train(model, x, y):
    return fit(model, x, y, 0.003)


# %% elu_and_log_probabilities_as_functions kind="right"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    h = keras.ops.elu(layers.Conv2D(16, 3, padding="same")(inputs))
    h = keras.ops.elu(layers.Conv2D(32, 3, padding="same")(layers.MaxPooling2D()(h)))
    h = keras.ops.elu(layers.Dense(64)(layers.Flatten()(layers.MaxPooling2D()(h))))
    return keras.Model(inputs, keras.ops.log_softmax(layers.Dense(classes)(h)))


def train(model, x, y):
    return fit(model, x, y, 0.003)


# %% batch_normalisation kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters in (16, 32):
        model.add(layers.Conv2D(filters, 3, padding="same"))
        model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(64))
    model.add(layers.BatchNormalization())
    model.add(layers.ReLU())
    model.add(layers.Dense(classes))
    return model


def train(model, x, y):
    return fit(model, x, y, 0.1)


# %% he_weights_and_a_true_warm_up kind="right"
def build_model(size, classes):
    he = {"kernel_initializer": "he_normal", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(16, 3, padding="same", **he),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", **he),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, **he),
            layers.Dense(classes),
        ]
    )


def train(model, x, y):
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, decay_steps=90, warmup_target=0.002, warmup_steps=30
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rate), loss, jit_compile=False)
    model.fit(x, y, batch_size=32, epochs=12, verbose=0)


# %% plain_descent_and_clipping kind="right"
def build_model(size, classes):
    model = build_sick(size, classes)
    model.pop()
    model.add(layers.Dense(classes))
    return model


def train(model, x, y):
    def rate(epoch):
        return float(0.3 * np.sin(np.pi * (epoch + 0.5) / 16) ** 2)

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(0.3, momentum=0.9, global_clipnorm=0.2)
    model.compile(optimizer, loss, jit_compile=False)
    schedule = keras.callbacks.LearningRateScheduler(rate)
    model.fit(x, y, batch_size=32, epochs=16, callbacks=[schedule], verbose=0)


# %% grouped_shortcuts kind="healthy"
import tensorflow as tf


def block(x, outputs):
    short = layers.Conv2D(outputs, 1, strides=2)(x)
    y = layers.Activation("relu")(layers.GroupNormalization(4)(x))
    y = layers.Conv2D(outputs, 3, strides=2, padding="same", activation="gelu")(y)
    return layers.Add()([short, layers.Conv2D(outputs, 3, padding="same")(y)])


def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    h = layers.Conv2D(16, 3, padding="same")(inputs)
    h = layers.GlobalMaxPooling2D()(block(block(h, 16), 32))
    return keras.Model(inputs, layers.Dense(classes)(h))


def train(model, x, y):
    optimizer = keras.optimizers.Adam(0.003)
    optimizer.build(model.trainable_variables)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(320, seed=1).batch(32)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_mean(losses)
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    for _ in range(16):
        for images, labels in data:
            step(images, labels)
