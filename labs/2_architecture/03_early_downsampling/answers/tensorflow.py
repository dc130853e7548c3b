# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="the training loss where it is"
cause = "too-deep"
reading = 54.5

# %% takes_it_for_overfitting cell="diagnosis" kind="wrong" says="a twentieth of the weights"
cause = "overfitting"
reading = 54.5

# %% reads_the_side_of_the_map cell="diagnosis" kind="wrong" says="another number"
cause = "early-downsampling"
reading = 1


# %% returns_zeros kind="constant" says="no layer that computes on a map"
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
    return None


# %% returns_nothing kind="constant" says="return a fresh model"
def build_model(size, classes):
    return None


train = sick_train


# %% raises_when_called kind="crash" says="no_such_stem"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    return residual(inputs, no_such_stem(inputs), (1, 2, 2, 2), classes)


train = sick_train

# %% raises_the_learning_rate kind="wrong" says="neither the learning rate"
build_model = build_sick


def train(model, x, y):
    fit(model, x, y, rate=0.04)


# %% trains_longer kind="wrong" says="number of epochs"
build_model = build_sick


def train(model, x, y):
    fit(model, x, y, epochs=20)


# %% widens_the_head kind="wrong" says="a wider head"
def build_model(size, classes):
    model = build_sick(size, classes)
    x = layers.Dense(512, activation="relu")(model.layers[-2].output)
    return keras.Model(model.inputs, layers.Dense(classes)(x))


train = sick_train


# %% widens_every_layer kind="wrong" says="More filters"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.ReLU()(conv_norm(inputs, 11, 7, stride=2))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for filters, stride in ((11, 1), (22, 2), (44, 2), (88, 2)):
        x = block(x, filters, stride)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


train = sick_train


# %% enlarges_the_image kind="wrong" says="An enlarged image holds no detail"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.Resizing(224, 224)(inputs)
    x = layers.ReLU()(conv_norm(x, 8, 7, stride=2))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return residual(inputs, x, (1, 2, 2, 2), classes)


train = sick_train


# %% leaves_out_every_stride kind="wrong" says="a map that never shrinks"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    return residual(inputs, layers.ReLU()(conv_norm(inputs, 8, 7)), (1, 1, 1, 1), classes)


train = sick_train


# %% repairs_and_grows kind="wrong" says="times the parameters"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.ReLU()(conv_norm(inputs, 8, 3))
    for filters, stride in ((8, 1), (16, 2), (48, 2), (144, 2)):
        x = block(x, filters, stride)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


train = sick_train


# %% narrows_every_window_behind_the_stem kind="wrong" says="A stride that skips pixels"
def narrow(x, filters, stride):
    """A block whose windows have one position: no weight is idle, and the map as small."""
    skipped = layers.MaxPooling2D(1, strides=stride)(x)
    x = layers.ReLU()(conv_norm(skipped, filters, 1))
    x = conv_norm(x, filters, 1)
    return layers.ReLU()(layers.Add()([x, conv_norm(skipped, filters, 1)]))


def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.ReLU()(conv_norm(inputs, 8, 7, stride=2))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for filters, stride in ((8, 1), (16, 2), (32, 2), (64, 2)):
        x = narrow(x, filters, stride)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


train = sick_train


# %% takes_every_other_pixel_first kind="wrong" says="A stride that skips pixels"
def build_model(size, classes):
    """The pooling is gone, and strides do the same work earlier."""
    inputs = keras.Input((size, size, 3))
    x = layers.ReLU()(conv_norm(inputs, 8, 3, stride=2))
    return residual(inputs, x, (2, 2, 1, 1), classes)


train = sick_train


# %% keeps_no_convolution kind="wrong" says="no layer that computes on a map"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(classes),
        ]
    )


train = sick_train


# %% repairs_and_forgets_the_last_layer kind="wrong" says="not been trained for long enough"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.MaxPooling2D()(layers.ReLU()(conv_norm(inputs, 8, 3)))
    return residual(inputs, x, (1, 1, 2, 1), classes)


def train(model, x, y):
    fit(model, x, y)
    last = model.layers[-1]
    last.set_weights([0 * weights for weights in last.get_weights()])


# %% removes_the_pooling_and_strides_later kind="right"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.ReLU()(conv_norm(inputs, 8, 7, stride=2))
    return residual(inputs, x, (1, 1, 1, 2), classes)


train = sick_train


# %% pools_after_the_first_block kind="right"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = block(layers.ReLU()(conv_norm(inputs, 8, 3)), 8, 1)
    x = layers.MaxPooling2D()(x)
    for filters, stride in ((16, 1), (32, 2), (64, 1)):
        x = block(x, filters, stride)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


train = sick_train


# %% blurs_before_it_skips kind="right"
class Blur(layers.Layer):
    """A blur with the weights 1, 2, 1 along both sides, at every other position."""

    def call(self, x):
        line = keras.ops.array([1.0, 2.0, 1.0]) / 4
        window = keras.ops.outer(line, line)[:, :, None, None]
        window = keras.ops.tile(window, (1, 1, x.shape[-1], 1))
        return keras.ops.depthwise_conv(x, window, strides=2, padding="same")


def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.ReLU()(conv_norm(inputs, 8, 3))
    x = Blur()(layers.MaxPooling2D(2, strides=1, padding="same")(x))
    return residual(inputs, x, (1, 1, 2, 1), classes)


train = sick_train


# %% dilates_where_it_strode kind="right"
def dilated(x, filters, rate):
    """Two convolutions whose windows have gaps, and a shortcut around them."""
    short = conv_norm(x, filters, 1)
    for number in range(2):
        x = layers.Conv2D(filters, 3, padding="same", dilation_rate=rate, use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x) if number == 0 else x
    return layers.ReLU()(layers.Add()([x, short]))


def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.MaxPooling2D()(layers.ReLU()(conv_norm(inputs, 8, 3)))
    x = block(block(x, 8, 1), 16, 2)
    x = dilated(dilated(x, 32, 2), 64, 2)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


train = sick_train


# %% replaces_the_stem_only kind="right"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    return residual(inputs, layers.ReLU()(conv_norm(inputs, 8, 3)), (1, 2, 2, 2), classes)


train = sick_train


# %% wider_window_and_own_training kind="right"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    return residual(inputs, layers.ReLU()(conv_norm(inputs, 8, 5)), (1, 2, 2, 1), classes)


def train(model, x, y):
    steps = 12 * -(-len(x) // 40)
    falling = keras.optimizers.schedules.CosineDecay(0.008, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.AdamW(falling, weight_decay=0.01)
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    model.fit(x, y, batch_size=40, epochs=12, verbose=0)


# %% ends_in_one_position_without_padding kind="healthy"
def build_model(size, classes):
    """Convolution and pooling in turn, until one position is left: its weights all meet pixels."""
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters in (12, 24, 48):
        model.add(layers.Conv2D(filters, 3, padding="same"))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
    model.add(layers.Conv2D(64, 2))
    model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.ReLU())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes))
    return model


train = sick_train
