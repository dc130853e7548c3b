# %% takes_the_rate_for_the_cause cell="diagnosis" kind="wrong" says="any multiple of zero is zero"
cause = "learning-rate"
reading = sick_used.ratio

# %% takes_it_for_momentum cell="diagnosis" kind="wrong" says="would bend and lie flat"
cause = "momentum"
reading = sick_used.ratio

# %% divides_the_other_way_round cell="diagnosis" kind="wrong" says="another number"
cause = "gradients-pile-up"
reading = sick_used.fresh / sick_used.used


# %% does_nothing kind="constant" says="learns nothing"
def train(model, batches, rate):
    return [1.386] * len(batches)


# %% trains_a_copy kind="constant" says="another model is trained"
def train(model, batches, rate):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    sick_train(copy, batches, rate)
    return copy


# %% raises_when_called kind="crash" says="no_such_optimizer"
def train(model, batches, rate):
    optimizer = no_such_optimizer(rate)
    return sick_train(model, batches, optimizer)


# %% lowers_the_rate kind="wrong" says="a lower rate"
def train(model, batches, rate):
    return sick_train(model, batches, rate / 30)


# %% clips_the_gradient kind="wrong" says="clipping"
def train(model, batches, rate):
    optimizer = keras.optimizers.SGD(rate, global_clipnorm=1.0)
    variables = model.trainable_variables
    optimizer.build(variables)
    sums = [tf.Variable(tf.zeros_like(variable)) for variable in variables]

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        for total, gradient in zip(sums, tape.gradient(loss, variables), strict=True):
            total.assign_add(gradient)
        optimizer.apply([total.value() for total in sums], variables)

    for x, y in batches:
        step(x, y)


# %% changes_to_adam_only kind="wrong" says="still pushes like a new one"
def train(model, batches, rate):
    optimizer = keras.optimizers.Adam(rate / 10)
    variables = model.trainable_variables
    optimizer.build(variables)
    sums = [tf.Variable(tf.zeros_like(variable)) for variable in variables]

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        for total, gradient in zip(sums, tape.gradient(loss, variables), strict=True):
            total.assign_add(gradient)
        optimizer.apply([total.value() for total in sums], variables)

    for x, y in batches:
        step(x, y)


# %% averages_the_pile kind="wrong" says="an average"
def train(model, batches, rate):
    optimizer = keras.optimizers.SGD(rate)
    variables = model.trainable_variables
    optimizer.build(variables)
    sums = [tf.Variable(tf.zeros_like(variable)) for variable in variables]

    @tf.function
    def step(x, y, count):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        for total, gradient in zip(sums, tape.gradient(loss, variables), strict=True):
            total.assign_add(gradient)
        optimizer.apply([total / count for total in sums], variables)

    for number, (x, y) in enumerate(batches, start=1):
        step(x, y, tf.constant(float(number)))


# %% clears_between_gradient_and_step kind="wrong" says="lost before the step"
def train(model, batches, rate):
    optimizer = keras.optimizers.SGD(rate)
    variables = model.trainable_variables
    optimizer.build(variables)
    sums = [tf.Variable(tf.zeros_like(variable)) for variable in variables]

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        for total, gradient in zip(sums, tape.gradient(loss, variables), strict=True):
            total.assign_add(gradient)
            total.assign(tf.zeros_like(total))
        optimizer.apply([total.value() for total in sums], variables)

    for x, y in batches:
        step(x, y)


# %% stops_after_a_few_batches kind="wrong" says="stops taking steps"
def train(model, batches, rate):
    model.compile(keras.optimizers.SGD(rate), mean_loss, jit_compile=False, run_eagerly=True)
    for x, y in batches[:10]:
        model.train_on_batch(x, y)


# %% moves_the_matrices_only kind="wrong" says="no step includes them"
def train(model, batches, rate):
    optimizer = keras.optimizers.SGD(rate)
    variables = [v for v in model.trainable_variables if len(v.shape) > 1]

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)

    for x, y in batches:
        step(x, y)


# %% clears_and_climbs kind="wrong" says="uphill"
def train(model, batches, rate):
    optimizer = keras.optimizers.SGD(rate)
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = -mean_loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)

    for x, y in batches:
        step(x, y)


# %% clears_and_lowers_the_rate kind="wrong" says="too slowly"
def train(model, batches, rate):
    model.compile(keras.optimizers.SGD(rate / 100), mean_loss, jit_compile=False)
    for x, y in batches:
        model.train_on_batch(x, y)


# %% leaves_it_to_fit kind="right"
def train(model, batches, rate):
    x = tf.concat([x for x, _ in batches], axis=0)
    y = tf.concat([y for _, y in batches], axis=0)
    model.compile(keras.optimizers.SGD(rate), mean_loss, jit_compile=False)
    model.fit(x, y, batch_size=len(batches[0][1]), shuffle=False, verbose=0)


# %% new_sums_for_every_batch_and_momentum kind="right"
def train(model, batches, rate):
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    variables = model.trainable_variables
    for x, y in batches:
        sums = [tf.Variable(tf.zeros_like(variable)) for variable in variables]
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        for total, gradient in zip(sums, tape.gradient(loss, variables), strict=True):
            total.assign_add(gradient)
        optimizer.apply([total.value() for total in sums], variables)


# %% adam_in_a_graph kind="right"
def train(model, batches, rate):
    optimizer = keras.optimizers.Adam(rate / 10)
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return [float(step(x, y)) for x, y in batches]


# %% rmsprop_on_batches kind="right"
def train(model, batches, rate):
    optimizer = keras.optimizers.RMSprop(rate / 30, weight_decay=1e-4)
    model.compile(optimizer, mean_loss, jit_compile=False)
    return [float(model.train_on_batch(x, y)) for x, y in batches]


# %% momentum_by_hand kind="right"
def train(model, batches, rate):
    variables = model.trainable_variables
    speeds = [tf.Variable(tf.zeros_like(variable)) for variable in variables]

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        gradients = tape.gradient(loss, variables)
        for variable, speed, gradient in zip(variables, speeds, gradients, strict=True):
            speed.assign(0.8 * speed + gradient)
            variable.assign_sub(0.3 * rate * speed)

    for x, y in batches:
        step(x, y)


# %% adamw_clipped kind="healthy"
def train(model, batches, rate):
    optimizer = keras.optimizers.AdamW(rate / 10, weight_decay=0.01, global_clipnorm=1.0)
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mean_loss(y, model(x, training=True))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return [float(step(x, y)) for x, y in batches]
