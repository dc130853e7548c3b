# %% names_the_product_of_the_dense_layer cell="trace" kind="wrong" says="another one stands above"
hot_operation = "MatMul/MatMul:_MklMatMul"
hot_layer = 3

# %% names_the_first_convolution cell="trace" kind="wrong" says="Layer 1 computes"
hot_operation = "Conv2DBackpropInput"
hot_layer = 1

# %% counts_layers_from_zero cell="trace" kind="wrong" says="1 to 4"
hot_operation = "Conv2DBackpropInput"
hot_layer = 0

# %% names_nothing cell="trace" kind="wrong" says="give the name that the trace prints"
hot_operation = None
hot_layer = 2

# %% names_the_pass_forward cell="trace" kind="right"
hot_operation = "conv2d_1/BiasAdd:_MklNativeFusedConv2D"
hot_layer = sick_costs.hottest + 1

# %% names_the_dense_layer cell="diagnosis" kind="wrong" says="multiplied once an image"
cause = "dense-layer"
reading = sick_costs.hot_share

# %% names_the_optimizer cell="diagnosis" kind="wrong" says="once a step"
cause = "optimizer"
reading = sick_costs.hot_share

# %% reads_the_share_of_the_parameters cell="diagnosis" kind="wrong" says="another number"
cause = "wide-kernels"
reading = sick_costs.parameter_shares.max()


# %% returns_zeros kind="constant" says="it does not learn"
class Zeros(layers.Layer):
    def __init__(self, classes):
        super().__init__()
        self.logits = self.add_weight(shape=(classes,), initializer="zeros")

    def call(self, x):
        return 0 * keras.ops.mean(x, axis=(1, 2, 3))[:, None] + 0 * self.logits


def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), Zeros(classes)])


def train(model, x, y):
    return [1.386]


# %% returns_nothing kind="constant" says="return a fresh model"
def build_model(size, classes):
    return None


train = fit


# %% raises_when_called kind="crash" says="no_such_layer"
def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), no_such_layer(classes)])


train = fit


# %% removes_the_dense_layer_only kind="wrong" says="More parameters went than multiply-adds"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(12, 7, padding="same", activation="relu"),
            layers.Conv2D(12, 7, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes),
        ]
    )


train = fit


# %% narrows_one_kernel kind="wrong" says="Some of the multiply-adds are gone"
def build_model(size, classes):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(12, 7, padding="same", activation="relu"),
            layers.Conv2D(12, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(512, activation="relu"),
            layers.Dense(classes),
        ]
    )


train = fit


# %% trains_on_a_quarter_of_the_images kind="wrong" says="Fewer images"
def build_model(size, classes):
    model = build_costly(size, classes)
    model.layers[-1].bias.assign([0.1] * classes)  # told apart before a step has to be traced
    return model


def train(model, x, y):
    return fit(model, x[: len(x) // 4], y[: len(y) // 4])


# %% no_gradient_for_the_kernels kind="wrong" says="no gradient"
def build_model(size, classes):
    return build_costly(size, classes)


def train(model, x, y):
    optimizer = keras.optimizers.Adam(0.003)
    learned = [v for part in model.layers[8:] for v in part.trainable_variables]
    for start in range(0, len(x), 32):
        maps, labels = x[start : start + 32], y[start : start + 32]
        for part in model.layers[:8]:
            statistics = isinstance(part, layers.BatchNormalization)
            maps = part(maps, training=True) if statistics else part(maps)
        with tf.GradientTape() as tape:
            logits = model.layers[9](model.layers[8](maps))
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        optimizer.apply_gradients(zip(tape.gradient(loss, learned), learned, strict=True))


# %% halves_the_image kind="wrong" says="Some of the multiply-adds are gone"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3)), layers.AveragePooling2D(2)])
    for part in build_costly(size // 2, classes).layers:
        model.add(part)
    return model


train = fit


# %% shrinks_the_image_to_four_pixels kind="wrong" says="What was saved was needed"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3)), layers.AveragePooling2D(size // 4)])
    for part in build_costly(4, classes).layers:
        model.add(part)
    return model


train = fit


# %% keeps_no_convolution kind="wrong" says="of the unseen images"
def build_model(size, classes):
    return keras.Sequential([keras.Input((size, size, 3)), layers.Flatten(), layers.Dense(classes)])


def train(model, x, y):
    return fit(model, x, y, rate=0.005)


# %% spends_it_on_more_epochs kind="wrong" says="spent again"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, strides in ((16, 2), (32, 2), (32, 1)):
        model.add(layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


def train(model, x, y):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.005), loss=loss, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model.fit(x, y, batch_size=96, epochs=24, verbose=0).history["loss"]


# %% stacks_of_three_in_place_of_seven kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    for filters, pooled in ((8, False), (8, True), (16, True)):
        model.add(layers.Conv2D(filters, 3, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
        if pooled:
            model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(classes))
    return model


def train(model, x, y):
    return fit(model, x, y, rate=0.005)


# %% depthwise_separable kind="right"
def build_model(size, classes):
    model = keras.Sequential([keras.Input((size, size, 3))])
    model.add(layers.Conv2D(8, 3, padding="same", activation="relu"))
    for filters, pooled in ((16, True), (32, True), (32, False)):
        model.add(layers.SeparableConv2D(filters, 3, padding="same", use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
        if pooled:
            model.add(layers.MaxPooling2D())
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(classes))
    return model


def train(model, x, y):
    return fit(model, x, y, rate=0.005)


# %% bottleneck_keeps_the_wide_kernel kind="right"
def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Conv2D(6, 1, use_bias=False)(x)
    x = layers.Conv2D(6, 7, padding="same", activation="relu")(x)
    x = layers.Conv2D(32, 1, use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(24, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def train(model, x, y):
    return fit(model, x, y, rate=0.005)


# %% residual_network_with_its_own_training kind="healthy"
def block(x, filters, stride):
    y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    y = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(y))
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(momentum=0.9)(y)
    if stride != 1:
        x = layers.Conv2D(filters, 1, strides=stride)(x)
    return layers.ReLU()(layers.Add()([x, y]))


def build_model(size, classes):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(12, 3, strides=2, padding="same", activation="relu")(inputs)
    x = block(block(x, 12, 1), 24, 2)
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalAveragePooling2D()(x)))


def train(model, x, y):
    optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.005, 8 * 15))
    optimizer.build(model.trainable_variables)
    data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=1).batch(32)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_mean(losses)
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    for _ in range(8):
        for images, labels in data:
            step(images, labels)


# %% map_of_zeros cell="layer" kind="constant" says="differ from the loop's"
def layer(x, weight, stride, padding):
    rows = (x.shape[1] + 2 * padding - weight.shape[0]) // stride + 1
    columns = (x.shape[2] + 2 * padding - weight.shape[1]) // stride + 1
    return tf.zeros((len(x), rows, columns, weight.shape[3]), x.dtype)


# %% no_map_at_all cell="layer" kind="constant" says="returned a NoneType"
def layer(x, weight, stride, padding):
    return None


# %% unknown_name cell="layer" kind="crash" says="no_such_function"
def layer(x, weight, stride, padding):
    return no_such_function(x, weight)


# %% compiles_the_loop cell="layer" kind="wrong" says="a wrapper or a compiler"
layer = tf.function(loop_layer, jit_compile=True)


# %% hides_the_loop_in_map_fn cell="layer" kind="wrong" says="for every position"
def layer(x, weight, stride, padding):
    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    height, width, _, filters = weight.shape
    rows = (x.shape[1] - height) // stride + 1
    columns = (x.shape[2] - width) // stride + 1

    def at(position):
        top, left = position // columns * stride, position % columns * stride
        window = x[:, top : top + height, left : left + width, :]
        return tf.tensordot(window, weight, axes=3)

    maps = tf.map_fn(at, tf.range(rows * columns), fn_output_signature=x.dtype)
    return tf.reshape(tf.transpose(maps, [1, 0, 2]), (len(x), rows, columns, filters))


# %% loops_over_the_rows cell="layer" kind="wrong" says="One of the two loops"
def layer(x, weight, stride, padding):
    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    height, width, channels, filters = weight.shape
    columns = (x.shape[2] - width) // stride + 1
    lines = []
    for top in range(0, x.shape[1] - height + 1, stride):
        windows = tf.signal.frame(x[:, top : top + height], width, stride, axis=2)
        windows = windows[:, :, :columns]
        lines.append(tf.einsum("nijwc,iwcf->njf", windows, weight))
    return tf.stack(lines, axis=1)


# %% computes_in_numpy cell="layer" kind="wrong" says="no gradient arrives at the images"
def layer(x, weight, stride, padding):
    import numpy as np

    maps = np.pad(x.numpy(), ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    sides = tuple(weight.shape[:2])
    windows = np.lib.stride_tricks.sliding_window_view(maps, sides, axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    return tf.constant(np.einsum("nijchw,hwcf->nijf", windows, weight.numpy()))


# %% forgets_the_padding cell="layer" kind="wrong" says="the output has the shape"
def layer(x, weight, stride, padding):
    return tf.nn.conv2d(x, weight, stride, "VALID")


# %% pads_to_the_same_size cell="layer" kind="wrong" says="Stride, padding"
def layer(x, weight, stride, padding):
    return tf.nn.conv2d(x, weight, stride, "SAME" if padding else "VALID")


# %% turns_the_kernel cell="layer" kind="wrong" says="order of the weights"
def layer(x, weight, stride, padding):
    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return tf.nn.conv2d(x, weight[::-1, ::-1], stride, "VALID")


# %% always_float32 cell="layer" kind="wrong" says="the output is float32"
def layer(x, weight, stride, padding):
    x = tf.pad(tf.cast(x, tf.float32), [[0, 0], [padding] * 2, [padding] * 2, [0, 0]])
    return tf.nn.conv2d(x, tf.cast(weight, tf.float32), stride, "VALID")


# %% float32_on_the_way cell="layer" kind="wrong" says="seven digits of sixteen"
def layer(x, weight, stride, padding):
    kept = x.dtype
    x = tf.pad(tf.cast(x, tf.float32), [[0, 0], [padding] * 2, [padding] * 2, [0, 0]])
    return tf.cast(tf.nn.conv2d(x, tf.cast(weight, tf.float32), stride, "VALID"), kept)


# %% weights_without_a_gradient cell="layer" kind="wrong" says="no gradient arrives at the weights"
def layer(x, weight, stride, padding):
    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return tf.nn.conv2d(x, tf.stop_gradient(weight), stride, "VALID")


# %% patches_and_a_matrix_product cell="layer" kind="right"
def layer(x, weight, stride, padding):
    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    height, width, _, filters = weight.shape
    windows = tf.image.extract_patches(
        x, [1, height, width, 1], [1, stride, stride, 1], [1, 1, 1, 1], "VALID"
    )
    return windows @ tf.reshape(weight, (-1, filters))


# %% loop_over_the_kernel cell="layer" kind="right"
def layer(x, weight, stride, padding):
    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    height, width = weight.shape[:2]
    rows = (x.shape[1] - height) // stride + 1
    columns = (x.shape[2] - width) // stride + 1
    maps = 0
    for i in range(height):
        for j in range(width):
            met = x[:, i : i + rows * stride : stride, j : j + columns * stride : stride]
            maps += tf.einsum("nhwc,cf->nhwf", met, weight[i, j])
    return maps


# %% gathers_windows_for_einsum cell="layer" kind="right"
def layer(x, weight, stride, padding):
    import numpy as np

    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    height, width = weight.shape[:2]
    rows = np.arange(0, x.shape[1] - height + 1, stride)[:, None] + np.arange(height)
    columns = np.arange(0, x.shape[2] - width + 1, stride)[:, None] + np.arange(width)
    windows = tf.gather(tf.gather(x, rows, axis=1), columns, axis=3)
    return tf.einsum("nihjwc,hwcf->nijf", windows, weight)


# %% compiled_on_top cell="layer" kind="right"
@tf.function(jit_compile=True)
def layer(x, weight, stride, padding):
    x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return tf.nn.conv2d(x, weight, stride, "VALID")


# %% convolution_of_keras_in_a_layer cell="layer" kind="healthy"
class Layer(layers.Layer):
    """Keras's own operation, inside a graph of its own."""

    @tf.function
    def convolve(self, x, weight, stride):
        return keras.ops.conv(x, weight, strides=stride, padding="valid")

    def __call__(self, x, weight, stride, padding):
        around = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
        return self.convolve(keras.ops.pad(x, around), weight, stride)


layer = Layer()
