# %% names_the_evaluation_reads_right cell="diagnosis" kind="wrong" says="do not make a curve turn"
cause = "dropout-left-on"
reading = 1.2

# %% asks_for_more_epochs cell="diagnosis" kind="wrong" says="further up"
cause = "too-few-epochs"
reading = 1.2

# %% reads_the_spread cell="diagnosis" kind="wrong" says="another number"
cause = "learning-by-heart"
reading = sick_repeats.spread


# %% says_the_same_of_every_model kind="constant" says="is off by"
def evaluate(model, x, y):
    return 0.5, 0.9


build_model, train = build_wide, sick_train


# %% knows_nothing_of_the_image kind="constant" says="A model that learns nothing"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


class SameForAll(layers.Layer):
    def __init__(self, classes):
        super().__init__()
        self.logits = self.add_weight(shape=(classes,), initializer="zeros")

    def call(self, x):
        return 0 * keras.ops.mean(x, axis=(1, 2, 3))[:, None] + self.logits


def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), SameForAll(classes)])


def train(model, x, y, x_val, y_val):
    model.compile(keras.optimizers.Adam(0.005), cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=2,
        validation_data=(x_val, y_val),
        verbose=0,
    )
    return history.history


# %% evaluates_to_nothing kind="constant" says="return two numbers"
def evaluate(model, x, y):
    model(x, training=False)


build_model, train = build_wide, sick_train


# %% raises_when_called kind="crash" says="no_such_mode"
def evaluate(model, x, y):
    model.no_such_mode()


build_model, train = build_wide, sick_train

# %% evaluates_with_dropout_on kind="wrong" says="answers that differ"
evaluate, build_model = sick_evaluate, build_wide


def train(model, x, y, x_val, y_val):
    model.compile(keras.optimizers.AdamW(0.005, weight_decay=3), cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=4,
        validation_data=(x_val, y_val),
        verbose=0,
    )
    return history.history


# %% takes_the_mean_of_many_evaluations kind="wrong" says="answers that differ"
def evaluate(model, x, y):
    losses, rights = zip(*[sick_evaluate(model, x, y) for _ in range(10)], strict=True)
    return sum(losses) / 10, sum(rights) / 10


build_model, train = build_wide, sick_train


# %% seeds_the_evaluation kind="wrong" says="can still be the wrong one"
def evaluate(model, x, y):
    state = [v.numpy() for v in model.non_trainable_variables]
    answer = sick_evaluate(model, x, y)
    for variable, old in zip(model.non_trainable_variables, state, strict=True):
        variable.assign(old)
    return answer


build_model, train = build_wide, sick_train


# %% repairs_the_evaluation_only kind="wrong" says="is given up again"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


build_model, train = build_wide, sick_train


# %% watches_the_training_accuracy kind="wrong" says="is given up again"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


build_model = build_wide


def train(model, x, y, x_val, y_val):
    model.compile(
        keras.optimizers.Adam(0.005), cross_entropy, metrics=["accuracy"], jit_compile=False
    )
    model.optimizer.build(model.trainable_variables)
    keeper = keras.callbacks.EarlyStopping("accuracy", patience=8, restore_best_weights=True)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=24,
        validation_data=(x_val, y_val),
        callbacks=[keeper],
        verbose=0,
    )
    return history.history


# %% has_no_patience kind="wrong" says="too soon"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


build_model = build_wide


def train(model, x, y, x_val, y_val):
    """Small steps, and an end at the first epoch that is not 0.3 nats better."""
    model.compile(keras.optimizers.Adam(0.0001), cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=0.3)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=20,
        validation_data=(x_val, y_val),
        callbacks=[stop],
        verbose=0,
    )
    return history.history


# %% drops_nine_units_of_ten kind="wrong" says="A model that learns nothing"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.9),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.9),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.9),
            layers.Dense(classes),
        ]
    )


def train(model, x, y, x_val, y_val):
    model.compile(keras.optimizers.Adam(0.005), cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=10,
        validation_data=(x_val, y_val),
        verbose=0,
    )
    return history.history


# %% penalises_more_than_it_learns kind="wrong" says="outweighs the data"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


def build_model(size, classes):
    penalty = keras.regularizers.L2(3)
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu", kernel_regularizer=penalty),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu", kernel_regularizer=penalty),
            layers.Dense(classes, kernel_regularizer=penalty),
        ]
    )


def train(model, x, y, x_val, y_val):
    model.compile(keras.optimizers.Adam(0.005), cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=10,
        validation_data=(x_val, y_val),
        verbose=0,
    )
    return history.history


# %% trains_on_validation_images_too kind="wrong" says="kept apart"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


build_model = build_wide


def train(model, x, y, x_val, y_val):
    x, y = keras.ops.concatenate([x, x_val]), keras.ops.concatenate([y, y_val])
    model.compile(keras.optimizers.Adam(0.008), cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        x,
        y,
        batch_size=16,
        validation_batch_size=180,
        epochs=45,
        validation_data=(x_val, y_val),
        verbose=0,
    )
    return history.history


# %% decoupled_weight_decay kind="right"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


build_model = build_wide


def train(model, x, y, x_val, y_val):
    model.compile(keras.optimizers.AdamW(0.003, weight_decay=4), cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=20,
        validation_data=(x_val, y_val),
        verbose=0,
    )
    return history.history


# %% whole_maps_dropped_and_the_best_kept kind="right"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.SpatialDropout2D(0.2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.SpatialDropout2D(0.2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(classes),
        ]
    )


def train(model, x, y, x_val, y_val):
    model.compile(keras.optimizers.Adam(0.005), cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    best = keras.callbacks.EarlyStopping("val_loss", patience=16, restore_best_weights=True)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=16,
        validation_data=(x_val, y_val),
        callbacks=[best],
        verbose=0,
    )
    return history.history


# %% mirrors_every_batch kind="right"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


def build_model(size, classes):
    """Turned and mirrored at random while training; in inference the two layers do nothing."""
    wide = build_wide(size, classes)
    start = keras.Input((size, size, 3))
    mirrored = layers.RandomFlip("horizontal_and_vertical")(start)
    return keras.Model(start, wide(mirrored))


def train(model, x, y, x_val, y_val):
    model.compile(keras.optimizers.Adam(0.005), cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    best = keras.callbacks.EarlyStopping("val_loss", patience=8, restore_best_weights=True)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=16,
        validation_data=(x_val, y_val),
        callbacks=[best],
        verbose=0,
    )
    return history.history


# %% a_smaller_network kind="right"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes),
        ]
    )


def train(model, x, y, x_val, y_val):
    model.compile(keras.optimizers.Adam(0.01), cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=20,
        validation_data=(x_val, y_val),
        verbose=0,
    )
    return history.history


# %% soft_labels_and_the_best_kept kind="right"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


build_model = build_wide


def train(model, x, y, x_val, y_val):
    def soft(labels, logits):
        wanted = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), classes)
        return keras.losses.categorical_crossentropy(
            wanted, logits, from_logits=True, label_smoothing=0.1
        )

    model.compile(keras.optimizers.Adam(0.005), soft, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    best = keras.callbacks.EarlyStopping("val_loss", patience=6, restore_best_weights=True)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=20,
        validation_data=(x_val, y_val),
        callbacks=[best],
        verbose=0,
    )
    return history.history


# %% the_last_running_mean_of_the_weights kind="right"
def evaluate(model, x, y):
    logits = model(x, training=False)
    right = keras.ops.argmax(logits, axis=1) == keras.ops.cast(y, "int32")
    loss = cross_entropy(y, logits)
    return float(loss), float(keras.ops.mean(keras.ops.cast(right, "float32")))


build_model = build_wide


def train(model, x, y, x_val, y_val):
    optimizer = keras.optimizers.AdamW(
        0.005, weight_decay=3, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=None
    )
    model.compile(optimizer, cross_entropy, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=18,
        validation_data=(x_val, y_val),
        verbose=0,
    )
    # The means take the place of the weights when training ends.
    optimizer.finalize_variable_values(model.trainable_variables)
    return history.history


# %% normalises_averages_and_cools_down kind="healthy"
def evaluate(model, x, y):
    logits = lab.fw.predict(model, x, batch_size=50)
    losses = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
    right = logits.argmax(axis=1) == np.asarray(y)
    return float(keras.ops.mean(losses)), float(right.mean())


def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(12, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.2),
            layers.Dense(classes),
        ]
    )


def train(model, x, y, x_val, y_val):
    cooling = keras.optimizers.schedules.CosineDecay(0.01, 15 * 6)
    model.compile(
        keras.optimizers.AdamW(cooling, weight_decay=0.1), cross_entropy, jit_compile=False
    )
    model.optimizer.build(model.trainable_variables)
    best = keras.callbacks.EarlyStopping("val_loss", patience=15, restore_best_weights=True)
    history = model.fit(
        x,
        y,
        batch_size=8,
        validation_batch_size=180,
        epochs=15,
        validation_data=(x_val, y_val),
        callbacks=[best],
        verbose=0,
    )
    return history.history
