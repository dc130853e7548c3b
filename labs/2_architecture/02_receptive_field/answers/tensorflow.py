# %% names_another_cause_reads_right cell="diagnosis" kind="wrong" says="in another way"
cause = "too-few-filters"
reading = 7

# %% takes_it_for_the_head cell="diagnosis" kind="wrong" says="Where a mast stood"
cause = "small-dense-layer"
reading = 7

# %% reads_the_distance cell="diagnosis" kind="wrong" says="another number"
cause = "receptive-field"
reading = 12


# %% ignores_the_image kind="constant" says="how they lie"
class SameForAll(layers.Layer):
    def __init__(self, classes):
        super().__init__()
        self.logits = self.add_weight(shape=(classes,), initializer="zeros")

    def call(self, x):
        return 0 * keras.ops.mean(x, axis=(1, 2, 3))[:, None] + self.logits


def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), SameForAll(classes)])


train = sick_train


# %% returns_nothing kind="constant" says="return a fresh model"
def build_model(size, classes):
    return None


train = sick_train


# %% raises_when_called kind="crash" says="no_such_layer"
def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), no_such_layer(classes)])


train = sick_train


# %% more_filters kind="wrong" says="more filters"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(16, 3),
            *block(16, 3),
            *block(16, 3),
            *over_the_map(classes),
        ]
    )


train = sick_train

# %% more_epochs kind="wrong" says="more epochs"
build_model = build_sick


def train(model, x, y):
    fit(model, x, y, epochs=20)


# %% raises_the_learning_rate kind="wrong" says="another learning rate"
build_model = build_sick


def train(model, x, y):
    fit(model, x, y, rate=0.1)


# %% larger_dense_layer kind="wrong" says="larger dense layer"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(8, 3),
            *block(8, 3),
            *block(8, 3),
            layers.GlobalMaxPooling2D(),
            layers.Dense(256, activation="relu"),
            layers.Dense(classes),
        ]
    )


train = sick_train


# %% enlarges_the_image kind="wrong" says="enlarged image"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.UpSampling2D(2, interpolation="bilinear"),
            *block(8, 3),
            *block(8, 3),
            *block(8, 3),
            *over_the_map(classes),
        ]
    )


train = sick_train


# %% squeezes_and_excites kind="wrong" says="how they lie"
def build_model(size, classes):
    image = keras.Input((size, size, 3))
    maps = image
    for layer in [*block(8, 3), *block(8, 3)]:
        maps = layer(maps)
    weights = layers.Dense(4, activation="relu")(layers.GlobalAveragePooling2D()(maps))
    weights = layers.Dense(8, activation="sigmoid")(weights)
    maps = maps * layers.Reshape((1, 1, 8))(weights)
    for layer in [*block(8, 3), *over_the_map(classes)]:
        maps = layer(maps)
    return keras.Model(image, maps)


train = sick_train


# %% attention_without_positions kind="wrong" says="attention without positions"
def build_model(size, classes):
    image = keras.Input((size, size, 3))
    tokens = image
    for layer in [*block(8, 3), *block(8, 3), *block(16, 3), layers.MaxPooling2D(4)]:
        tokens = layer(tokens)
    tokens = layers.Reshape(((size // 4) ** 2, 16))(tokens)
    tokens = tokens + layers.MultiHeadAttention(2, 8)(tokens, tokens)
    return keras.Model(image, layers.Dense(classes)(layers.GlobalMaxPooling1D()(tokens)))


train = sick_train


# %% weighs_every_place_by_itself kind="wrong" says="one mast"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(8, 3),
            *block(8, 3),
            *block(8, 3),
            layers.MaxPooling2D(4),
            layers.Flatten(),
            layers.Dense(classes),
        ]
    )


train = sick_train


# %% looks_at_twelve_pixels_only kind="wrong" says="near ones are lost"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(8, 1),
            *block(8, 3, dilation=12),
            *over_the_map(classes),
        ]
    )


train = sick_train


# %% steps_that_move_nothing kind="wrong" says="has not made use of it"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(8, 3),
            *block(8, 3, dilation=2),
            *block(8, 3, dilation=4),
            *over_the_map(classes),
        ]
    )


def train(model, x, y):
    fit(model, x, y, epochs=2, rate=1e-7)


# %% pays_thirteen_times kind="wrong" says="times the multiply-adds"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(8, 11),
            *block(8, 11),
            *block(8, 11),
            *over_the_map(classes),
        ]
    )


train = sick_train


# %% larger_kernels kind="right"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(8, 11),
            *block(8, 5),
            *block(8, 3),
            *over_the_map(classes),
        ]
    )


def train(model, x, y):
    fit(model, x, y, epochs=12)


# %% more_layers_on_a_halved_map kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for layer in [*block(8, 3), layers.MaxPooling2D()]:
        model.add(layer)
    for _ in range(4):
        for layer in block(8, 3):
            model.add(layer)
    for layer in over_the_map(classes):
        model.add(layer)
    return model


train = sick_train


# %% pooling_between kind="right"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(8, 3),
            layers.MaxPooling2D(),
            *block(16, 3),
            layers.MaxPooling2D(),
            *block(16, 3),
            *over_the_map(classes),
        ]
    )


train = sick_train


# %% strided_convolutions kind="right"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            *block(8, 3),
            *block(16, 3, stride=2),
            *block(16, 3, stride=2),
            *block(16, 3),
            *over_the_map(classes),
        ]
    )


train = sick_train


# %% attention_with_positions kind="right"
def places(side, channels):
    """Sines and cosines of row and column, (side * side, channels)."""
    place = np.arange(side)[:, None] * np.pi / 2 ** np.arange(1, channels // 4 + 1)
    place = np.concatenate([np.sin(place), np.cos(place)], axis=1)
    rows = np.repeat(place, side, axis=0)
    return np.concatenate([rows, np.tile(place, (side, 1))], axis=1).astype("float32")


def build_model(size, classes):
    image = keras.Input((size, size, 3))
    tokens = image
    for layer in [
        *block(8, 3),
        layers.MaxPooling2D(),
        *block(16, 3),
        layers.MaxPooling2D(),
    ]:
        tokens = layer(tokens)
    tokens = layers.Reshape(((size // 4) ** 2, 16))(tokens) + places(size // 4, 16)
    seen = layers.LayerNormalization()(tokens)
    tokens = tokens + layers.MultiHeadAttention(2, 8)(seen, seen)
    mixed = layers.Dense(64, activation="relu")(layers.LayerNormalization()(tokens))
    tokens = tokens + layers.Dense(16)(mixed)
    return keras.Model(image, layers.Dense(classes)(layers.GlobalMaxPooling1D()(tokens)))


def train(model, x, y):
    fit(model, x, y, epochs=20, rate=0.01)


# %% depthwise_shortcuts kind="healthy"
def build_model(size, classes):
    image = keras.Input((size, size, 3))
    maps = layers.Conv2D(16, 4, 2, padding="same")(image)
    maps = layers.BatchNormalization(momentum=0.9)(maps)
    for _ in range(2):
        wide = layers.DepthwiseConv2D(7, padding="same")(maps)
        wide = layers.BatchNormalization(momentum=0.9)(wide)
        wide = layers.Conv2D(32, 1, activation="relu")(wide)
        maps = layers.Add()([maps, layers.Conv2D(16, 1)(wide)])
    return keras.Model(image, layers.Dense(classes)(layers.GlobalMaxPooling2D()(maps)))


def train(model, x, y):
    optimizer = keras.optimizers.AdamW(0.005)
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss_function, jit_compile=False)
    model.fit(x, y, batch_size=30, epochs=10, verbose=0)
