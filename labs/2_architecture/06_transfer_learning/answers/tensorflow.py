# %% blames_the_statistics kind="wrong" cell="diagnosis" says="every array of weights did"
cause = "batch-norm-statistics"
reading = 30

# %% blames_the_rate kind="wrong" cell="diagnosis" says="not trained, at any rate"
cause = "learning-rate"
reading = 30

# %% counts_the_statistics_only kind="wrong" cell="diagnosis" says="another number"
cause = "freeze-without-effect"
reading = 10


# %% returns_no_model kind="constant" cell="freeze" says="return a model"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    return None


def train_head(model, x, y):
    return model


# %% trains_no_head kind="constant" cell="freeze" says="it is the head"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    model.layers[1].set_weights([np.zeros((24, 4)), np.zeros(4)])


# %% raises_when_called kind="crash" cell="freeze" says="no_such_name"
def preprocess(images):
    return lab.fw.from_images(no_such_name(images), lab.device)


build_model = put_head_on
train_head = sick_train_head


# %% mends_the_preprocessing_only kind="wrong" cell="freeze" says="Something still trains them"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on
train_head = sick_train_head


# %% freezes_the_convolutions_only kind="wrong" cell="freeze" says="Something still trains them"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    for layer in model.layers[0].layers:
        layer.trainable = not isinstance(layer, layers.Conv2D)
    compile_for(model, 0.03)
    fit(model, x, y, epochs=8)


# %% runs_the_backbone_in_inference_only kind="wrong" cell="freeze" says="Something still trains them"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    inputs = keras.Input((16, 16, 3))
    return keras.Model(inputs, layers.Dense(classes)(backbone(inputs, training=False)))


def train_head(model, x, y):
    compile_for(model, 0.001)
    fit(model, x, y, epochs=4)


# %% leaves_training_mode_on kind="wrong" cell="freeze" says="in training mode"
import tensorflow as tf


def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    head = model.layers[1].trainable_variables
    optimizer = keras.optimizers.Adam(0.03)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=True))
        optimizer.apply_gradients(zip(tape.gradient(value, head), head, strict=True))

    for images, labels in tf.data.Dataset.from_tensor_slices((x, y)).repeat(20).batch(25):
        step(images, labels)


# %% keeps_the_wrong_preprocessing kind="wrong" cell="freeze" says="other numbers than it was trained"
preprocess = sick_preprocess
build_model = put_head_on


def train_head(model, x, y):
    model.layers[0].trainable = False
    compile_for(model, 0.03)
    fit(model, x, y, epochs=20)


# %% preprocesses_for_another_network kind="wrong" cell="freeze" says="other numbers than it was"
def preprocess(images):
    return lab.fw.from_images(images / 127.5 - 1, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    model.layers[0].trainable = False
    compile_for(model, 0.03)
    fit(model, x, y, epochs=20)


# %% starts_from_scratch kind="wrong" cell="freeze" says="another network"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(12, 3, padding="same", activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(), layers.Dense(classes),
        ]
    )  # fmt: skip


def train_head(model, x, y):
    compile_for(model, 0.01)
    fit(model, x, y, epochs=20)


# %% trains_a_copy_of_the_backbone kind="wrong" cell="freeze" says="a copy that was trained"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    copy = keras.models.clone_model(backbone)
    copy.set_weights(backbone.get_weights())
    return put_head_on(copy, classes)


def train_head(model, x, y):
    compile_for(model, 0.001)
    fit(model, x, y, epochs=4)


# %% puts_another_network_beside_it kind="wrong" cell="freeze" says="another network beside"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    inputs = keras.Input((16, 16, 3))
    beside = layers.Conv2D(32, 3, padding="same", activation="relu")(inputs)
    beside = layers.Conv2D(32, 3, padding="same", activation="relu")(beside)
    beside = 0.1 * layers.GlobalAveragePooling2D()(beside)
    features = layers.Concatenate()([backbone(inputs), beside])
    backbone.trainable = False
    return keras.Model(inputs, layers.Dense(classes)(features))


def train_head(model, x, y):
    compile_for(model, 0.01)
    fit(model, x, y, epochs=20)


# %% head_on_features_computed_once kind="right" cell="freeze"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    backbone, head = model.layers
    features = backbone(x, training=False)
    alone = keras.Sequential([keras.Input((24,)), head])
    compile_for(alone, 0.03)
    fit(alone, features, y, epochs=20)


# %% frozen_when_the_model_is_built kind="right" cell="freeze"
def preprocess(images):
    return (lab.fw.from_images(images, lab.device) - 114.75) / 56.1


def build_model(backbone, classes):
    backbone.trainable = False
    inputs = keras.Input((16, 16, 3))
    return keras.Model(inputs, layers.Dense(classes)(backbone(inputs, training=False)))


def train_head(model, x, y):
    compile_for(model, 0.03)
    fit(model, x, y, epochs=20)


# %% frozen_between_compile_and_the_first_fit kind="right" cell="freeze"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    compile_for(model, 0.03)
    model.layers[0].trainable = False
    fit(model, x, y, epochs=20)


# %% logistic_regression_as_the_head kind="right" cell="freeze"
from sklearn.linear_model import LogisticRegression


def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    features = lab.fw.predict(model.layers[0], x)
    regression = LogisticRegression(C=3.0, max_iter=2000).fit(features, lab.fw.to_numpy(y))
    model.layers[1].set_weights([regression.coef_.T, regression.intercept_])


# %% head_variables_only kind="right" cell="freeze"
import tensorflow as tf


def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


build_model = put_head_on


def train_head(model, x, y):
    head = model.layers[1].trainable_variables
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=False))
        optimizer.apply_gradients(zip(tape.gradient(value, head), head, strict=True))

    for images, labels in tf.data.Dataset.from_tensor_slices((x, y)).repeat(30).batch(25):
        step(images, labels)


# %% hidden_layer_with_dropout kind="healthy" cell="freeze"
def preprocess(images):
    return lab.fw.from_images((images / 255 - 0.45) / 0.22, lab.device)


def build_model(backbone, classes):
    backbone.trainable = False
    inputs = keras.Input((16, 16, 3))
    hidden = layers.Dense(48, activation="relu")(backbone(inputs, training=False))
    outputs = layers.Dense(classes, activation="softmax")(layers.Dropout(0.2)(hidden))
    return keras.Model(inputs, outputs)


def train_head(model, x, y):
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.optimizer.learning_rate = 0.005
    model.fit(x, y, batch_size=20, epochs=25, verbose=0)


# %% does_nothing kind="constant" cell="fine-tune" says="still frozen"
def fine_tune(model, x, y, watch=None):
    return model


# %% raises_while_tuning kind="crash" cell="fine-tune" says="no_such_rate"
def fine_tune(model, x, y, watch=None):
    compile_for(model, no_such_rate)


# %% tunes_the_head_only kind="wrong" cell="fine-tune" says="still frozen"
def fine_tune(model, x, y, watch=None):
    model.layers[0].trainable = False
    compile_for(model, 0.003)
    fit(model, x, y, 12, watch)


# %% keeps_the_rate_in_inference_mode kind="wrong" cell="fine-tune" says="is overwritten by a hundred"
def fine_tune(model, x, y, watch=None):
    for layer in model.layers[0].layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    compile_for(model, 0.03)
    fit(model, x, y, 6, watch)


# %% trains_longer_at_the_heads_rate kind="wrong" cell="fine-tune" says="is overwritten by a hundred"
def fine_tune(model, x, y, watch=None):
    compile_for(model, 0.03)
    fit(model, x, y, 9, watch)


# %% forgets_the_backbone kind="wrong" cell="fine-tune" says="is overwritten by a hundred"
def fine_tune(model, x, y, watch=None):
    drawn = keras.initializers.GlorotUniform(seed=1)
    for layer in model.layers[0].layers:
        if isinstance(layer, layers.Conv2D):
            layer.kernel.assign(drawn(layer.kernel.shape))
    compile_for(model, 0.008)
    fit(model, x, y, 8, watch)


# %% puts_a_new_head_on kind="wrong" cell="fine-tune" says="no longer fits the features"
def fine_tune(model, x, y, watch=None):
    fresh = keras.initializers.GlorotUniform(seed=1)
    model.layers[1].set_weights([fresh((24, 4)), np.zeros(4)])
    for layer in model.layers[0].layers:
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    compile_for(model, 0.0003)
    fit(model, x, y, 2, watch)


# %% two_rates kind="right" cell="fine-tune"
import tensorflow as tf


def fine_tune(model, x, y, watch=None):
    backbone, head = model.layers
    slow, fast = keras.optimizers.Adam(0.001), keras.optimizers.Adam(0.01)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    parts = [(slow, backbone.trainable_variables), (fast, head.trainable_variables)]

    @tf.function
    def step(images, labels):
        with tf.GradientTape(persistent=True) as tape:
            value = loss(labels, model(images, training=False))
        for optimizer, variables in parts:
            gradients = tape.gradient(value, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))

    for images, labels in tf.data.Dataset.from_tensor_slices((x, y)).repeat(12).batch(25):
        step(images, labels)


# %% unfreezes_the_last_block_first kind="right" cell="fine-tune"
def fine_tune(model, x, y, watch=None):
    backbone = model.layers[0]
    kernels = [layer for layer in backbone.layers if isinstance(layer, layers.Conv2D)]
    for opened in (1, 5):
        for layer in backbone.layers:
            layer.trainable = layer in kernels[-opened:]
        compile_for(model, 0.001)
        fit(model, x, y, 6, watch)


# %% last_block_only kind="right" cell="fine-tune"
def fine_tune(model, x, y, watch=None):
    backbone = model.layers[0]
    for layer in backbone.layers:
        layer.trainable = False
    backbone.layers[-4].trainable = True
    compile_for(model, 0.001)
    fit(model, x, y, 12, watch)


# %% held_to_the_start kind="right" cell="fine-tune"
import tensorflow as tf


def fine_tune(model, x, y, watch=None):
    variables = model.trainable_variables
    backbone = model.layers[0].trainable_variables
    start = [tf.identity(v.value) for v in backbone]
    optimizer = keras.optimizers.Adam(0.001)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            away = [tf.reduce_sum((v.value - s) ** 2) for v, s in zip(backbone, start, strict=True)]
            value = loss(labels, model(images, training=False)) + 0.01 * tf.add_n(away)
        gradients = tape.gradient(value, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    for images, labels in tf.data.Dataset.from_tensor_slices((x, y)).repeat(12).batch(25):
        step(images, labels)


# %% plain_descent_with_a_small_rate kind="right" cell="fine-tune"
def fine_tune(model, x, y, watch=None):
    for layer in model.layers[0].layers:
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    model.compile(
        keras.optimizers.SGD(0.003, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    fit(model, x, y, 12, watch)


# %% functional_with_inference_statistics kind="healthy" cell="fine-tune"
def fine_tune(model, x, y, watch=None):
    backbone, head = model.layers
    inputs = keras.Input((16, 16, 3))
    same = keras.Model(inputs, head(backbone(inputs, training=False)))
    schedule = keras.optimizers.schedules.CosineDecay(0.001, 60)
    same.compile(
        keras.optimizers.AdamW(schedule, weight_decay=0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    same.fit(x, y, batch_size=20, epochs=12, verbose=0)
