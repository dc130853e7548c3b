# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="usual rate"
cause = "learning-rate"
reading = 1.5

# %% takes_it_for_overfitting cell="diagnosis" kind="wrong" says="wrong on most of them"
cause = "overfitting"
reading = 1.5

# %% reads_the_other_curve cell="diagnosis" kind="wrong" says="another number"
cause = "too-small"
reading = 0.002


# %% returns_nothing kind="constant" says="return a fresh model"
def build_model(size, classes):
    return None


train = sick_train


# %% returns_zeros kind="constant" says="the same logits for all images"
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
    return [1.0]


# %% raises_when_called kind="crash" says="no_such_layer"
def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), no_such_layer(classes)])


train = sick_train

# %% trains_longer kind="wrong" says="neither the number of epochs"
build_model = build_quick


def train(model, x, y):
    return fit(model, x, y, epochs=36)


# %% raises_the_learning_rate kind="wrong" says="nor the learning rate"
build_model = build_quick


def train(model, x, y):
    return fit(model, x, y, rate=0.03)


# %% adds_dropout kind="wrong" says="or dropout"
def build_model(size, classes):
    quick = build_quick(size, classes)
    return keras.Sequential([*quick.layers[:-1], layers.Dropout(0.5), quick.layers[-1]])


train = sick_train


# %% adds_layers_without_activations kind="wrong" says="more layers"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, strides in ((16, 2), (32, 2), (32, 1), (32, 1), (32, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.Conv2D(1, 1))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% widens_the_dense_layer kind="wrong" says="one matrix"
def build_model(size, classes):
    model = build_quick(size, 320)
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% removes_the_thin_map_only kind="wrong" says="one matrix"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, strides in ((16, 2), (32, 2), (32, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% adds_activations_only kind="wrong" says="so few numbers are left"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, strides in ((16, 2), (32, 2), (32, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.Conv2D(1, 1))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% activations_and_a_wide_dense_layer kind="wrong" says="all of them cannot"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, strides in ((16, 2), (32, 2), (32, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.Conv2D(1, 1))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(320, activation="relu"))
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% learns_by_heart kind="wrong" says="the images themselves"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Flatten(),
            layers.Dense(300, activation="relu"),
            layers.Dense(classes),
        ]
    )


train = sick_train


# %% takes_a_sledgehammer kind="wrong" says="times the multiply-adds"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, strides in ((64, 2), (96, 2), (128, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% more_filters kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, strides in ((24, 2), (48, 2), (48, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% more_blocks kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, strides in ((16, 2), (32, 2), (32, 1), (32, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% residual_blocks kind="right"
def residual(x, filters):
    body = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    body = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(body))
    body = layers.Conv2D(filters, 3, padding="same", use_bias=False)(body)
    body = layers.BatchNormalization(momentum=0.9, gamma_initializer="zeros")(body)
    return layers.ReLU()(layers.Add()([x, body]))


def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = residual(x, 16)
    x = layers.Conv2D(32, 3, strides=2, padding="same")(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = residual(x, 32)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


train = sick_train


# %% separable_and_wider kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    model.add(layers.Conv2D(32, 3, strides=2, padding="same"))
    for filters, strides in ((64, 2), (96, 1)):
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
        model.add(layers.SeparableConv2D(filters, 3, strides=strides, padding="same"))
    model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


train = sick_train


# %% two_convolutions_and_every_place kind="right"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(classes),
        ]
    )


def train(model, x, y):
    model.compile(
        optimizer=keras.optimizers.AdamW(0.003),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(x, y, batch_size=32, epochs=12, verbose=0)


# %% patches_and_group_normalisation kind="healthy"
def mixed(x):
    body = layers.GroupNormalization(4)(x)
    body = layers.DepthwiseConv2D(3, padding="same")(body)
    body = layers.Conv2D(64, 1, activation="gelu")(body)
    return x + layers.Conv2D(32, 1)(body)


def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(32, 4, strides=2, padding="same", activation="gelu")(inputs)
    x = layers.GlobalMaxPooling2D()(mixed(mixed(x)))
    return keras.Model(inputs, layers.Dense(classes, kernel_initializer="zeros")(x))


def train(model, x, y):
    return fit(model, x, y, rate=0.005)
