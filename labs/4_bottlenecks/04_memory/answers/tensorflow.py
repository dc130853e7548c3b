# %% blames_the_batch cell="diagnosis" kind="wrong" says="it is the floor that rises"
cause = "batch-too-large"
reading = 3.15


# %% waits_for_the_collector cell="diagnosis" kind="wrong" says="no garbage to collect"
cause = "uncollected-garbage"
reading = 3.15


# %% reads_the_peak cell="diagnosis" kind="wrong" says="another number"
cause = "kept-for-backward"
reading = 36.0  # the highest point


# %% returns_zeros kind="constant" says="was not trained"
def prepare(images):
    return images


def train(model, data, labels, order, unseen, unseen_labels):
    return [0.0] * len(order)


# %% raises_when_called kind="crash" says="no_such_loss"
def prepare(images):
    return images


def train(model, data, labels, order, unseen, unseen_labels):
    return [no_such_loss(model) for rows in order]


# %% calls_the_collector kind="wrong" says="still referred to"
import gc


def prepare(images):
    return tf.constant(images / 255.0)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    looks = []
    for step, rows in enumerate(order):
        x = tf.cast(tf.gather(data, rows), tf.float32)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        with tf.GradientTape(persistent=True) as tape:
            loss = mean_loss(unseen_labels, model(unseen, training=False))
        looks.append((loss, tape))
        del loss, tape
        if step % 4 == 0:  # in every step it would take longer than the training
            gc.collect()
    return [loss for loss, _ in looks]


# %% makes_the_tape_forgetful kind="wrong" says="still refers to all"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    looks = []
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32) / 255
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        with tf.GradientTape() as tape:
            loss = mean_loss(unseen_labels, model(unseen, training=False))
        looks.append((loss, tape))
    return [loss for loss, _ in looks]


# %% keeps_maps_for_a_picture kind="wrong" says="Less is kept than before"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses, maps = [], []
    first = keras.Model(model.inputs, model.layers[0].output)
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32) / 255
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))
        maps.append(first(unseen))
    return losses


# %% forgets_the_images kind="wrong" says="double precision"
def prepare(images):
    return tf.constant(images / 255.0)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))
    return losses


# %% goes_half_the_way_with_the_images kind="wrong" says="4 bytes for every byte"
def prepare(images):
    return tf.cast(images, tf.float32) / 255


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = tf.gather(data, rows)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))
    return losses


# %% converts_all_images_inside kind="wrong" says="makes something large of it"
def prepare(images):
    return images


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    data = tf.cast(tf.constant(data), tf.float32) / 255
    for rows in order:
        x = tf.gather(data, rows)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))
    return losses


# %% converts_all_images_in_numpy kind="wrong" says="makes something large of it"
def prepare(images):
    return images


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    data = data / 255.0
    for rows in order:
        x = tf.constant(data[rows], tf.float32)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))
    return losses


# %% converts_all_images_in_every_step kind="wrong" says="all images in a larger type"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = tf.gather(tf.cast(data, tf.float32) / 255, rows)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))
    return losses


# %% cuts_the_training_off_too kind="wrong" says="their gradient went as well"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    body = keras.Model(model.inputs, model.layers[-2].output)
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32) / 255
        maps = body(x, training=True)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model.layers[-1](maps))
        last = model.layers[-1].trainable_variables
        optimizer.apply(tape.gradient(loss, last), last)
        losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))
    return losses


# %% forgets_to_divide kind="wrong" says="values from 0 to 1"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))
    return losses


# %% halves_the_batch kind="wrong" says="The steps are other ones"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    for rows in order:
        rows = rows[: len(rows) // 2]
        x = tf.cast(tf.gather(data, rows), tf.float32) / 255
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))
    return losses


# %% looks_every_second_step kind="wrong" says="returned 4 losses"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    for step, rows in enumerate(order):
        x = tf.cast(tf.gather(data, rows), tf.float32) / 255
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        if step % 2 == 1:
            losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))
    return losses


# %% looks_once_at_the_end kind="wrong" says="one and the same number"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32) / 255
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
    return [float(mean_loss(unseen_labels, model(unseen, training=False)))] * len(order)


# %% returns_the_training_losses kind="wrong" says="They are other losses"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32) / 255
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(float(loss))
    return losses


# %% stores_tensors_without_tape kind="right"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32) / 255
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.append(mean_loss(unseen_labels, model(unseen, training=False)))
    return losses


# %% holds_two_bytes_and_looks_in_portions kind="right"
def prepare(images):
    return tf.cast(images / 255.0, tf.float16)


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    losses = []
    for rows in order:
        x = tf.cast(tf.gather(data, rows), tf.float32)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        total = 0.0
        for start in range(0, len(unseen), 12):
            part, targets = unseen[start : start + 12], unseen_labels[start : start + 12]
            total += float(mean_loss(targets, model(part, training=False))) * len(part)
        losses.append(total / len(unseen))
    return losses


# %% fits_and_looks_in_a_callback kind="right"
def prepare(images):
    return images


def train(model, data, labels, order, unseen, unseen_labels):
    losses = []
    targets = labels.numpy()

    def look(batch, logs):
        losses.append(float(mean_loss(unseen_labels, model(unseen, training=False))))

    def batches():
        for rows in order:
            yield data[rows].astype("float32") / 255, targets[rows]

    model.compile(keras.optimizers.SGD(0.005, momentum=0.9), mean_loss, run_eagerly=True)
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=look)
    model.fit(batches(), steps_per_epoch=len(order), callbacks=[callback], verbose=0)
    return losses


# %% traces_a_step kind="right"
def prepare(images):
    return tf.constant(images)


def train(model, data, labels, order, unseen, unseen_labels):
    optimizer = keras.optimizers.SGD(0.005, momentum=0.9)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(rows):
        x = tf.image.convert_image_dtype(tf.gather(data, rows), tf.float32)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return mean_loss(unseen_labels, model(unseen, training=False))

    return [float(step(tf.constant(rows))) for rows in order]


# %% asks_the_tape_and_drops_it kind="healthy"
def prepare(images):
    return {"pixels": images}


def train(model, data, labels, order, unseen, unseen_labels):
    variables = model.trainable_variables
    speeds = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
    told = np.zeros(len(order))
    for step, rows in enumerate(order):
        x = tf.constant(data["pixels"][rows] / np.float32(255), tf.float32)
        with tf.GradientTape() as tape:
            loss = mean_loss(tf.gather(labels, rows), model(x, training=True))
        gradients = tape.gradient(loss, variables)
        for variable, speed, gradient in zip(variables, speeds, gradients, strict=True):
            speed.assign(0.9 * speed + gradient)
            variable.assign_sub(0.005 * speed)
        told[step] = mean_loss(unseen_labels, model(unseen, training=False))
    return told


# %% never_computes cell="fit" kind="constant" says="has a gradient after the call"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    return [tf.zeros_like(variable) for variable in model.trainable_variables]


# %% collects_before_the_gradient cell="fit" kind="wrong" says="The garbage collector frees"
import gc


def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    with tf.GradientTape() as tape:
        loss = mean_loss(y, model(x, training=True))
    gc.collect()
    return tape.gradient(loss, model.trainable_variables)


# %% takes_a_smaller_batch cell="fit" kind="wrong" says="another, smaller batch"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    with tf.GradientTape() as tape:
        loss = mean_loss(y[:16], model(x[:16], training=True))
    return tape.gradient(loss, model.trainable_variables)


# %% adds_up_means cell="fit" kind="wrong" says="It is too long"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    gathered = []
    for start in range(0, len(x), 8):
        part = x[start : start + 8]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + 8], model(part, training=True))
        gathered.append(tape.gradient(loss, model.trainable_variables))
    return [tf.add_n(found) for found in zip(*gathered, strict=True)]


# %% divides_a_mean_once_more cell="fit" kind="wrong" says="It is too short"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    gathered = []
    for start in range(0, len(x), 8):
        part = x[start : start + 8]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + 8], model(part, training=True)) / len(x)
        gathered.append(tape.gradient(loss, model.trainable_variables))
    return [tf.add_n(found) for found in zip(*gathered, strict=True)]


# %% divides_by_the_number_of_portions cell="fit" kind="wrong" says="smaller last portion"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    gathered = []
    for start in range(0, len(x), 8):
        part = x[start : start + 8]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + 8], model(part, training=True))
        gathered.append(tape.gradient(loss, model.trainable_variables))
    return [tf.add_n(found) / len(gathered) for found in zip(*gathered, strict=True)]


# %% leaves_out_the_rest cell="fit" kind="wrong" says="another, smaller batch"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    gathered = []
    for start in range(0, len(x) - 15, 16):
        part = x[start : start + 16]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + 16], model(part, training=True))
        gathered.append(tape.gradient(loss, model.trainable_variables))
    return [tf.add_n(found) / len(gathered) for found in zip(*gathered, strict=True)]


# %% cuts_in_the_middle cell="fit" kind="wrong" says="get no gradient at all"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    for layer in model.layers[:6]:
        x = layer(x)
    with tf.GradientTape() as tape:
        for layer in model.layers[6:]:
            x = layer(x)
        loss = mean_loss(y, x)
    return tape.gradient(loss, model.trainable_variables)


# %% remat_around_every_layer cell="fit" kind="wrong" says="until the backward pass comes past"
def build_model(classes):
    with keras.RematScope(mode="full"):
        parts = [
            layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False)
            for _ in range(12)
        ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    with tf.GradientTape() as tape:
        loss = mean_loss(y, model(x, training=True))
    return tape.gradient(loss, model.trainable_variables)


# %% one_image_at_a_time cell="fit" kind="wrong" says="nearly as long as one on a dozen"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    gathered = []
    for start in range(len(x)):
        part = x[start : start + 1]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + 1], model(part, training=True)) / len(x)
        gathered.append(tape.gradient(loss, model.trainable_variables))
    return [tf.add_n(found) for found in zip(*gathered, strict=True)]


# %% sums_and_divides_at_the_end cell="fit" kind="right"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    total_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    variables = model.trainable_variables
    sums = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
    for part, targets in tf.data.Dataset.from_tensor_slices((x, y)).batch(12):
        with tf.GradientTape() as tape:
            loss = total_loss(targets, model(part, training=True))
        for total, found in zip(sums, tape.gradient(loss, variables), strict=True):
            total.assign_add(found)
    return [total / len(x) for total in sums]


# %% remat_around_four_blocks cell="fit" kind="right"
def build_model(classes):
    blocks = []
    for _ in range(4):
        parts = [
            layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(3)
        ]
        with keras.RematScope(mode="full"):
            blocks.append(keras.Sequential(parts))
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *blocks, *head])


def gradient(model, x, y):
    with tf.GradientTape() as tape:
        loss = mean_loss(y, model(x, training=True))
    return tape.gradient(loss, model.trainable_variables)


# %% recomputes_by_hand cell="fit" kind="right"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    def through(some):
        def run(x):
            for layer in some:
                x = layer(x)
            return x

        return tf.recompute_grad(run)

    with tf.GradientTape() as tape:
        for first in range(0, 9, 3):
            x = through(model.layers[first : first + 3])(x)
        for layer in model.layers[9:]:
            x = layer(x)
        loss = mean_loss(y, x)
    return tape.gradient(loss, model.trainable_variables)


# %% computes_in_sixteen_bits cell="fit" kind="right"
def build_model(classes):
    parts = [
        layers.Conv2D(
            8, 3, padding="same", activation="relu", use_bias=False, dtype="mixed_float16"
        )
        for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(dtype="float32"), layers.Dense(classes, dtype="float32")]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    scale = 1024  # what flows back would fall below the smallest number of two bytes
    with tf.GradientTape() as tape:
        loss = mean_loss(y, model(x, training=True)) * scale
    return [found / scale for found in tape.gradient(loss, model.trainable_variables)]


# %% splits_nearly_evenly cell="fit" kind="right"
def build_model(classes):
    parts = [
        layers.Conv2D(8, 3, padding="same", activation="relu", use_bias=False) for _ in range(12)
    ]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(classes)]
    return keras.Sequential([keras.Input((16, 16, 3)), *parts, *head])


def gradient(model, x, y):
    variables, sums = model.trainable_variables, None
    for rows in np.array_split(np.arange(len(x)), 5):
        with tf.GradientTape() as tape:
            outputs = model(tf.gather(x, rows), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(y, rows), outputs)
            loss = tf.reduce_sum(losses) / len(x)
        found = tape.gradient(loss, variables)
        sums = found if sums is None else [a + b for a, b in zip(sums, found, strict=True)]
    return sums
