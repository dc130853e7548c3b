# %% untrained kind="constant" says="No image went through"
def train(build_model, x, y, epochs, batch_size, rate):
    return build_model()


# %% calls_what_is_not_there kind="crash"
def train(build_model, x, y, epochs, batch_size, rate):
    with tf.distribute.MirroredStrategy(DEVICES).scope():
        model = build_model()
        model.compile(keras.optimizers.SGD(rate), mean_loss, jit_compile=False)
    model.fit_in_replicas(x, y)
    return model


# %% averages_at_the_end_from_one_start kind="wrong" says="nothing brings them together"
def train(build_model, x, y, epochs, batch_size, rate):
    models = []
    for number, device in enumerate(DEVICES):
        with tf.device(device):
            model = build_model()
            if models:
                model.set_weights(start)
            start = model.get_weights()
            model.compile(keras.optimizers.SGD(rate), mean_loss, run_eagerly=True)
            model.optimizer.build(model.trainable_variables)
            model.fit(x[number::2], y[number::2], batch_size // 2, epochs, verbose=0)
        models.append(model)
    return average_weights(models)


# %% same_start_and_same_images kind="wrong" says="the same work side by side"
def train(build_model, x, y, epochs, batch_size, rate):
    models = []
    for device in DEVICES:
        data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=1)
        data = data.batch(batch_size // 2)
        with tf.device(device):
            model = build_model()
            if models:
                model.set_weights(start)
            start = model.get_weights()
            model.compile(keras.optimizers.SGD(rate), mean_loss, run_eagerly=True)
            model.optimizer.build(model.trainable_variables)
            model.fit(data, epochs=epochs, verbose=0)
        models.append(model)
    return average_weights(models)


# %% works_on_one_device kind="wrong" says="One replica works"
def train(build_model, x, y, epochs, batch_size, rate):
    strategy = tf.distribute.OneDeviceStrategy(DEVICES[0])
    return fit_in(strategy, build_model, batches_of(x, y, batch_size), epochs, rate)


# %% two_models_on_one_device kind="wrong" says="live on one device"
def train(build_model, x, y, epochs, batch_size, rate):
    models = [build_model(), build_model()]
    models[1].set_weights(models[0].get_weights())
    for part, targets in batches_of(x, y, batch_size).repeat(epochs):
        gradients = []
        for model, some, wanted in zip(
            models, tf.split(part, 2), tf.split(targets, 2), strict=True
        ):
            with tf.GradientTape() as tape:
                loss = mean_loss(wanted, model(some, training=True))
            gradients.append(tape.gradient(loss, model.trainable_variables))
        for model in models:
            for v, first, second in zip(model.trainable_variables, *gradients, strict=True):
                v.assign_sub(rate * (first + second) / 2)
    return models[0]


# %% whole_batch_in_each_replica kind="wrong" says="64 images"
def train(build_model, x, y, epochs, batch_size, rate):
    strategy = tf.distribute.MirroredStrategy(DEVICES)
    whole = batch_size * strategy.num_replicas_in_sync
    return fit_in(strategy, build_model, batches_of(x, y, whole), epochs, rate)


# %% loss_of_each_replica_averaged kind="wrong" says="not divided"
def train(build_model, x, y, epochs, batch_size, rate):
    strategy = tf.distribute.MirroredStrategy(DEVICES)
    with strategy.scope():
        model = build_model()
        optimizer = keras.optimizers.SGD(rate)
        optimizer.build(model.trainable_variables)

    def step(part, targets):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                targets, model(part, training=True)
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    data = strategy.experimental_distribute_dataset(batches_of(x, y, batch_size))
    for _ in range(epochs):
        for part, targets in data:
            strategy.run(step, args=(part, targets))
    return model


# %% shuffled_once kind="wrong" says="drawn once"
def train(build_model, x, y, epochs, batch_size, rate):
    strategy = tf.distribute.MirroredStrategy(DEVICES)
    with strategy.scope():
        model = build_model()
        model.compile(keras.optimizers.SGD(rate), mean_loss, run_eagerly=True)
        model.optimizer.build(model.trainable_variables)
    data = tf.data.Dataset.from_tensor_slices((x, y))
    data = data.shuffle(len(x), reshuffle_each_iteration=False).batch(batch_size)
    model.fit(data, epochs=epochs, verbose=0)
    return model


# %% fits_arrays_with_a_seed kind="wrong" says="drawn once"
def train(build_model, x, y, epochs, batch_size, rate):
    keras.utils.set_random_seed(7)
    with tf.distribute.MirroredStrategy(DEVICES).scope():
        model = build_model()
        model.compile(keras.optimizers.SGD(rate), mean_loss, run_eagerly=True)
        model.optimizer.build(model.trainable_variables)
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)
    return model


# %% loop_with_the_loss_of_the_whole_batch kind="right"
def train(build_model, x, y, epochs, batch_size, rate):
    strategy = tf.distribute.MirroredStrategy(DEVICES)
    each_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    with strategy.scope():
        model = build_model()
        optimizer = keras.optimizers.SGD(rate)
        optimizer.build(model.trainable_variables)

    def step(part, targets):
        with tf.GradientTape() as tape:
            losses = each_loss(targets, model(part, training=True))
            loss = tf.nn.compute_average_loss(losses, global_batch_size=batch_size)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    @tf.function
    def in_replicas(part, targets):
        strategy.run(step, args=(part, targets))

    data = strategy.experimental_distribute_dataset(batches_of(x, y, batch_size))
    for _ in range(epochs):
        for part, targets in data:
            in_replicas(part, targets)
    return model


# %% loop_with_a_loss_of_keras kind="right"
def train(build_model, x, y, epochs, batch_size, rate):
    strategy = tf.distribute.MirroredStrategy(DEVICES)
    with strategy.scope():
        model = build_model()
        optimizer = keras.optimizers.SGD(rate)
        optimizer.build(model.trainable_variables)

    def step(part, targets):
        with tf.GradientTape() as tape:
            loss = mean_loss(targets, model(part, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    data = strategy.experimental_distribute_dataset(batches_of(x, y, batch_size))
    for _ in range(epochs):
        for part, targets in data:
            strategy.run(step, args=(part, targets))
    return model


# %% two_models_by_hand kind="right"
def train(build_model, x, y, epochs, batch_size, rate):
    models = []
    for device in DEVICES:
        with tf.device(device):
            models.append(build_model())
    models[1].set_weights(models[0].get_weights())

    def gradient_of(model, part, targets):
        with tf.GradientTape() as tape:
            loss = mean_loss(targets, model(part, training=True))
        return tape.gradient(loss, model.trainable_variables)

    @tf.function
    def step(part, targets):
        halves = list(zip(tf.split(part, len(models)), tf.split(targets, len(models)), strict=True))
        gradients = []
        for device, model, half in zip(DEVICES, models, halves, strict=True):
            with tf.device(device):
                gradients.append(gradient_of(model, *half))
        for number, several in enumerate(zip(*gradients, strict=True)):
            mean = tf.add_n(several) / len(models)
            for model in models:
                model.trainable_variables[number].assign_sub(rate * mean)

    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(batch_size)
    for _ in range(epochs):
        for part, targets in data:
            step(part, targets)
    return models[0]


# %% weights_averaged_after_every_step kind="right"
def train(build_model, x, y, epochs, batch_size, rate):
    models = []
    for device in DEVICES:
        with tf.device(device):
            model = build_model()
            model.compile(keras.optimizers.SGD(rate), mean_loss, run_eagerly=True)
            model.optimizer.build(model.trainable_variables)
            models.append(model)
    average_weights(models)
    for epoch in range(epochs):
        order = tf.random.experimental.stateless_shuffle(tf.range(len(x)), seed=[3, epoch])
        for rows in tf.split(order, len(x) // batch_size):
            for model, part in zip(models, tf.split(rows, len(models)), strict=True):
                model.train_on_batch(tf.gather(x, part), tf.gather(y, part))
            average_weights(models)
    return models[0]


# %% batches_of_each_replica_by_itself kind="right"
def train(build_model, x, y, epochs, batch_size, rate):
    strategy = tf.distribute.MirroredStrategy(DEVICES)

    def batches_of(context):
        data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=9)
        return data.repeat().batch(context.get_per_replica_batch_size(batch_size))

    data = strategy.distribute_datasets_from_function(batches_of)
    with strategy.scope():
        model = build_model()
        model.compile(keras.optimizers.SGD(rate), mean_loss, run_eagerly=True)
        model.optimizer.build(model.trainable_variables)
    model.fit(data, epochs=epochs, steps_per_epoch=len(x) // batch_size, verbose=0)
    return model


# %% mirrored_fit_on_a_pipeline kind="healthy"
def train(build_model, x, y, epochs, batch_size, rate):
    strategy = tf.distribute.MirroredStrategy(DEVICES)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=4)
    data = data.batch(batch_size, drop_remainder=True).prefetch(2)
    with strategy.scope():
        model = build_model()
        model.compile(
            optimizer=keras.optimizers.SGD(rate), loss=mean_loss, metrics=["accuracy"],
            jit_compile=False,
        )  # fmt: skip
        model.optimizer.build(model.trainable_variables)
    model.fit(data, epochs=epochs, verbose=0)
    return model


# %% a_number_from_nowhere kind="constant" cell="metric" says="No image went through"
def evaluate(strategy, model, x, y, batch_size):
    return 0.25


# %% mean_of_the_replicas kind="wrong" cell="metric" says="mean of the replicas' means"
def evaluate(strategy, model, x, y, batch_size):
    def accuracy():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        rows = tf.range(number, len(x), 2)
        hits = tf.argmax(model(tf.gather(x, rows), training=False), axis=1) == tf.gather(y, rows)
        return tf.reduce_mean(tf.cast(hits, tf.float32))

    return float(strategy.reduce("MEAN", strategy.run(accuracy), axis=None))


# %% the_ragged_batch_is_dropped kind="wrong" cell="metric" says="Only 56 of 61"
def evaluate(strategy, model, x, y, batch_size):
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size, drop_remainder=True)
    count = counter(model)
    right = seen = tf.constant(0.0)
    for part, targets in strategy.experimental_distribute_dataset(data):
        per_replica = strategy.run(count, args=(part, targets))
        hits, images = (strategy.reduce("SUM", v, axis=None) for v in per_replica)
        right, seen = right + hits, seen + images
    return float(right / seen)


# %% one_replica_looks_at_everything kind="wrong" cell="metric" says="looks at 100%"
def evaluate(strategy, model, x, y, batch_size):
    return float(tf.reduce_mean(tf.cast(tf.argmax(model(x), axis=1) == y, tf.float32)))


# %% asks_at_every_batch kind="wrong" cell="metric" says="The host asks"
def evaluate(strategy, model, x, y, batch_size):
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
    count = counter(model)
    right = 0
    for part, targets in strategy.experimental_distribute_dataset(data):
        hits, _ = strategy.run(count, args=(part, targets))
        right += strategy.reduce("SUM", hits, axis=None).numpy()
    return right / len(x)


# %% keras_evaluates kind="right" cell="metric"
def evaluate(strategy, model, x, y, batch_size):
    with strategy.scope():
        model.compile(loss=mean_loss, metrics=["accuracy"], run_eagerly=True)
    return model.evaluate(x, y, batch_size=4 * batch_size, verbose=0)[1]


# %% halves_without_batches kind="right" cell="metric"
def evaluate(strategy, model, x, y, batch_size):
    replicas = strategy.num_replicas_in_sync

    def hits():
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        rows = tf.range(number, len(x), replicas)
        found = tf.argmax(model(tf.gather(x, rows), training=False), axis=1) == tf.gather(y, rows)
        return tf.reduce_sum(tf.cast(found, tf.float32))

    return float(strategy.reduce("SUM", strategy.run(hits), axis=None)) / len(x)


# %% builds_and_returns kind="constant" cell="device" says="0 images went through"
def train_on(device, build_model, x, y, batch_size, rate):
    with tf.device(device):
        return build_model()


# %% moves_what_it_returns kind="wrong" cell="device" says="not computed on the device"
def train_on(device, build_model, x, y, batch_size, rate):
    model, optimizer = build_model(), keras.optimizers.SGD(rate)
    for part, targets in batches_of(x, y, batch_size):
        with tf.GradientTape() as tape:
            loss = mean_loss(targets, model(part, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    with tf.device(device):
        moved = build_model()
    moved.set_weights(model.get_weights())
    return moved


# %% asks_at_every_step kind="wrong" cell="device" says="the host asks 8 times"
def train_on(device, build_model, x, y, batch_size, rate):
    with tf.device(device):
        model, total = build_model(), 0.0
    optimizer = keras.optimizers.SGD(rate)
    for part, targets in batches_of(x, y, batch_size):
        with tf.device(device):
            with tf.GradientTape() as tape:
                loss = mean_loss(targets, model(part, training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            total += float(loss)
    return total * batch_size / len(x)


# %% a_strategy_of_one_device kind="right" cell="device"
def train_on(device, build_model, x, y, batch_size, rate):
    with tf.distribute.OneDeviceStrategy(device).scope():
        model = build_model()
        model.compile(keras.optimizers.SGD(rate), mean_loss, run_eagerly=True)
        model.optimizer.build(model.trainable_variables)
    history = model.fit(batches_of(x, y, batch_size), verbose=0)
    return history.history["loss"][0]


# %% right_cause_wrong_number kind="wrong" cell="diagnosis" says="another number"
cause = "no-exchange"
reading = 0.0001

# %% the_exchange_blamed kind="wrong" cell="diagnosis" says="Nothing is exchanged"
cause = "slow-exchange"
reading = 1

# %% the_rate_blamed kind="wrong" cell="diagnosis" says="learned well with this rate"
cause = "rate-not-scaled"
reading = 1
