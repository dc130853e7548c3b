# %% believes_the_sharp_minimum cell="diagnosis" kind="wrong" says="its own training images"
cause = "generalises-worse"
reading = 500 // 16

# %% takes_it_for_noise cell="diagnosis" kind="wrong" says="less noisy"
cause = "gradient-noise"
reading = 500 // 16

# %% divides_the_batch_sizes cell="diagnosis" kind="wrong" says="another number"
cause = "too-few-steps"
reading = 256 / 16


# %% does_nothing kind="constant" says="was not trained"
def train(model, x, y, batch_size, epochs):
    return model


# %% trains_a_copy kind="constant" says="was not trained"
def train(model, x, y, batch_size, epochs):
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    fit(other, x, y, batch_size, 2, 0.01)
    return other


# %% raises_when_called kind="crash" says="no_such_rate"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, epochs, no_such_rate)


# %% keeps_the_last_batch_only kind="wrong" says="not gone far enough"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, epochs, drop_last=False)


# %% trains_longer_at_the_old_rate kind="wrong" says="as short as before"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, round(1.2 * epochs), drop_last=False)


# %% regularises kind="wrong" says="what is missing is not"
def train(model, x, y, batch_size, epochs):
    optimizer = keras.optimizers.SGD(0.001, momentum=0.9, weight_decay=0.01)
    model.compile(optimizer, mean_loss, jit_compile=False)
    optimizer.build(model.trainable_variables)
    model.fit(tf.nn.dropout(x, 0.1), y, batch_size=batch_size, epochs=epochs, verbose=0)


# %% adds_the_noise_of_a_small_batch kind="wrong" says="not gone far enough"
def train(model, x, y, batch_size, epochs):
    class Noisy(keras.optimizers.SGD):
        def apply(self, grads, trainable_variables=None):
            noisy = [
                g + tf.norm(g) * tf.random.normal(g.shape) / float(np.prod(g.shape)) ** 0.5
                for g in grads
            ]
            return super().apply(noisy, trainable_variables)

    model.compile(Noisy(0.001, momentum=0.9), mean_loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)


# %% scales_far_beyond kind="wrong" says="too long now"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, epochs, rate=0.05 * batch_size)


# %% goes_back_to_small_batches kind="wrong" says="goes through a step of"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, 16, epochs)


# %% trains_six_times_as_long kind="wrong" says="times the images"
def train(model, x, y, batch_size, epochs):
    fit(model, x, y, batch_size, 6 * epochs, drop_last=False)


# %% linear_with_warm_up kind="right"
def train(model, x, y, batch_size, epochs):
    rate = 0.001 * batch_size / 16
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    model.compile(optimizer, mean_loss, jit_compile=False)
    optimizer.build(model.trainable_variables)
    warm_up = keras.callbacks.LearningRateScheduler(lambda epoch: rate * min(1, (epoch + 1) / 3))
    model.fit(x, y, batch_size=batch_size, epochs=epochs, callbacks=[warm_up], verbose=0)


# %% square_root_and_a_few_more_epochs kind="right"
def train(model, x, y, batch_size, epochs):
    rate = 0.001 * (batch_size / 16) ** 0.5
    fit(model, x, y, batch_size, round(1.2 * epochs), rate, drop_last=False)


# %% adam_with_a_rate_of_its_own kind="right"
def train(model, x, y, batch_size, epochs):
    optimizer = keras.optimizers.AdamW(0.005)
    model.compile(optimizer, mean_loss, jit_compile=False)
    optimizer.build(model.trainable_variables)
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)


# %% lets_keras_add_up_portions kind="right"
def train(model, x, y, batch_size, epochs):
    portions = 4
    small = batch_size // portions
    optimizer = keras.optimizers.SGD(
        0.001 * batch_size / 16, momentum=0.9, gradient_accumulation_steps=portions
    )
    model.compile(optimizer, mean_loss, jit_compile=False)
    optimizer.build(model.trainable_variables)
    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).repeat(epochs)
    model.fit(batches.batch(small, drop_remainder=True), shuffle=False, verbose=0)


# %% a_shorter_way_with_a_falling_rate kind="right"
def train(model, x, y, batch_size, epochs):
    steps = epochs * -(-len(x) // batch_size)
    falling = keras.optimizers.schedules.CosineDecay(
        0.0, round(0.85 * steps), warmup_target=0.002 * batch_size / 16,
        warmup_steps=round(0.15 * steps),
    )  # fmt: skip
    optimizer = keras.optimizers.SGD(falling, momentum=0.9, nesterov=True)
    model.compile(optimizer, mean_loss, jit_compile=False)
    optimizer.build(model.trainable_variables)
    model.fit(x, y, batch_size=batch_size, epochs=epochs, verbose=0)


# %% loops_by_hand_and_grows_the_batch kind="healthy"
def train(model, x, y, batch_size, epochs):
    variables = model.trainable_variables
    speeds = [tf.Variable(tf.zeros_like(variable)) for variable in variables]

    @tf.function(reduce_retracing=True)
    def step(some, targets, rate):
        with tf.GradientTape() as tape:
            loss = mean_loss(targets, model(some))
        for speed, gradient in zip(speeds, tape.gradient(loss, variables), strict=True):
            speed.assign(0.9 * speed + gradient)
        for variable, speed in zip(variables, speeds, strict=True):
            variable.assign_sub(rate * speed)

    for epoch in range(epochs):
        size = max(1, batch_size // 2) if epoch < 2 else batch_size
        order = np.random.default_rng(epoch).permutation(len(x))
        for start in range(0, len(x), size):
            rows = order[start : start + size]
            step(tf.gather(x, rows), tf.gather(y, rows), tf.constant(0.001 * size / 16))


# %% divides_by_the_number_of_portions cell="machine" kind="wrong" says="weighs more"
def accumulated_step(model, x, y, rate, portion):
    variables, gathered = model.trainable_variables, []
    for start in range(0, len(x), portion):
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + portion], model(x[start : start + portion]))
        gathered.append(tape.gradient(loss, variables))
    means = [tf.add_n(found) / len(gathered) for found in zip(*gathered, strict=True)]
    keras.optimizers.SGD(rate).apply(means, variables)


def pick_batch_size(sizes, images_per_second, memory, limit):
    fits, typical = memory <= limit, np.median(images_per_second, axis=0)
    return int(sizes[fits & (typical >= 0.9 * typical[fits].max())].min())


# %% steps_after_every_portion cell="machine" kind="wrong" says="taken for each"
def accumulated_step(model, x, y, rate, portion):
    optimizer = keras.optimizers.SGD(rate)
    for start in range(0, len(x), portion):
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + portion], model(x[start : start + portion]))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)


def pick_batch_size(sizes, images_per_second, memory, limit):
    fits, typical = memory <= limit, np.median(images_per_second, axis=0)
    return int(sizes[fits & (typical >= 0.9 * typical[fits].max())].min())


# %% never_clears cell="machine" kind="wrong" says="left over"
gathered = []


def accumulated_step(model, x, y, rate, portion):
    variables = model.trainable_variables
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + portion], model(part)) * len(part) / len(x)
        gathered.append(tape.gradient(loss, variables))
    sums = [tf.add_n(found) for found in zip(*gathered, strict=True)]
    keras.optimizers.SGD(rate).apply(sums, variables)


def pick_batch_size(sizes, images_per_second, memory, limit):
    fits, typical = memory <= limit, np.median(images_per_second, axis=0)
    return int(sizes[fits & (typical >= 0.9 * typical[fits].max())].min())


# %% takes_the_whole_batch cell="machine" kind="wrong" says="memory that is not there"
def accumulated_step(model, x, y, rate, portion):
    with tf.GradientTape() as tape:
        loss = mean_loss(y, model(x))
    variables = model.trainable_variables
    keras.optimizers.SGD(rate).apply(tape.gradient(loss, variables), variables)


def pick_batch_size(sizes, images_per_second, memory, limit):
    fits, typical = memory <= limit, np.median(images_per_second, axis=0)
    return int(sizes[fits & (typical >= 0.9 * typical[fits].max())].min())


# %% picks_the_largest_that_fits cell="machine" kind="wrong" says="costs steps for nothing"
def accumulated_step(model, x, y, rate, portion):
    variables = model.trainable_variables
    sums = [tf.zeros_like(variable) for variable in variables]
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + portion], model(part, training=True))
            loss = loss * len(part) / len(x)
        gradients = tape.gradient(loss, variables)
        sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
    keras.optimizers.SGD(rate).apply(sums, variables)


def pick_batch_size(sizes, images_per_second, memory, limit):
    return sizes[memory <= limit].max()


# %% believes_the_highest_reading cell="machine" kind="wrong" says="there is chance"
def accumulated_step(model, x, y, rate, portion):
    variables = model.trainable_variables
    sums = [tf.zeros_like(variable) for variable in variables]
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + portion], model(part, training=True))
            loss = loss * len(part) / len(x)
        gradients = tape.gradient(loss, variables)
        sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
    keras.optimizers.SGD(rate).apply(sums, variables)


def pick_batch_size(sizes, images_per_second, memory, limit):
    fits = sizes[memory <= limit]
    return fits[images_per_second[:, : len(fits)].max(axis=0).argmax()]


# %% always_takes_4 cell="machine" kind="constant" says="worst choice"
def accumulated_step(model, x, y, rate, portion):
    variables = model.trainable_variables
    sums = [tf.zeros_like(variable) for variable in variables]
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + portion], model(part, training=True))
            loss = loss * len(part) / len(x)
        gradients = tape.gradient(loss, variables)
        sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
    keras.optimizers.SGD(rate).apply(sums, variables)


def pick_batch_size(sizes, images_per_second, memory, limit):
    return 4


# %% forgets_the_memory cell="machine" kind="wrong" says="more memory than there is"
def accumulated_step(model, x, y, rate, portion):
    variables = model.trainable_variables
    sums = [tf.zeros_like(variable) for variable in variables]
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + portion], model(part, training=True))
            loss = loss * len(part) / len(x)
        gradients = tape.gradient(loss, variables)
        sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
    keras.optimizers.SGD(rate).apply(sums, variables)


def pick_batch_size(sizes, images_per_second, memory, limit):
    typical = np.median(images_per_second, axis=0)
    return int(sizes[typical >= 0.9 * typical.max()].min())


# %% weighs_by_the_sum_of_losses cell="machine" kind="right"
def accumulated_step(model, x, y, rate, portion):
    total_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    variables = model.trainable_variables
    sums = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
    for part, targets in tf.data.Dataset.from_tensor_slices((x, y)).batch(portion):
        with tf.GradientTape() as tape:
            loss = total_loss(targets, model(part))
        for total, gradient in zip(sums, tape.gradient(loss, variables), strict=True):
            total.assign_add(gradient)
    for variable, total in zip(variables, sums, strict=True):
        variable.assign_sub(rate * total / len(x))


def pick_batch_size(sizes, images_per_second, memory, limit):
    # Of disturbed readings the upper half; a rate that falls later is no reason to go on.
    typical = np.quantile(images_per_second, 0.7, axis=0)
    smooth = np.maximum.accumulate(typical[memory <= limit])
    return sizes[np.argmax(smooth >= 0.92 * smooth[-1])]


# %% walks_up_while_it_pays cell="machine" kind="right"
def accumulated_step(model, x, y, rate, portion):
    variables = model.trainable_variables
    sums = [tf.zeros_like(variable) for variable in variables]
    for start in range(0, len(x), portion):
        part = x[start : start + portion]
        with tf.GradientTape() as tape:
            loss = mean_loss(y[start : start + portion], model(part, training=True))
            loss = loss * len(part) / len(x)
        gradients = tape.gradient(loss, variables)
        sums = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
    keras.optimizers.SGD(rate).apply(sums, variables)


def pick_batch_size(sizes, images_per_second, memory, limit):
    typical = np.median(images_per_second, axis=0)
    highest = max(t for t, m in zip(typical, memory, strict=True) if m <= limit)
    for size, rate, needed in zip(sizes, typical, memory, strict=True):
        if needed <= limit and rate > 0.88 * highest:
            return size
