# %% zeros kind="constant" says="finest detail"
def prepare(files, labels, folder):
    part = len(list(Path(folder).iterdir()))
    np.save(Path(folder) / f"labels-{part}.npy", labels)
    return []


def batches(folder, batch_size, epoch):
    for file in sorted(Path(folder).iterdir()):
        labels = np.load(file)
        for first in range(0, len(labels), batch_size):
            part = tf.constant(labels[first : first + batch_size])
            yield tf.zeros((len(part), SIZE, SIZE, 3)), part


# %% nothing_at_all kind="constant" says="has no batch"
def prepare(files, labels, folder):
    return []


def batches(folder, batch_size, epoch):
    return []


# %% raises_when_called kind="crash"
def prepare(files, labels, folder):
    with tf.io.TFRecordWriter(str(Path(folder) / "part.tfrecord")) as writer:
        for file in files:
            writer.write(tf.io.decode_jpeg(tf.io.read_file(file)))
    return []


batches = sick_batches


# %% returns_none kind="wrong" says="returned a NoneType"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% prefetch_behind_the_generator kind="wrong" expect="not attempted"
prepare = sick_prepare


def batches(folder, batch_size, epoch):
    return sick_batches(folder, batch_size, epoch).prefetch(tf.data.AUTOTUNE)


# %% faster_stages_every_epoch kind="wrong" says="opens photographs"
prepare = sick_prepare


def batches(folder, batch_size, epoch):
    lines = (Path(folder) / "index.jsonl").read_text().splitlines()
    files, labels = zip(*(json.loads(line) for line in lines), strict=True)

    def load(number, file_and_label):
        file, label = file_and_label
        pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        image = tf.image.resize(pixels, (SIZE, SIZE), antialias=True) / 255
        image = (image - MEAN.astype("float32")) / STD.astype("float32")
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        return tf.image.stateless_random_flip_left_right(image, seed), label

    pairs = tf.data.Dataset.from_tensor_slices((list(files), list(labels))).enumerate()
    loaded = pairs.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return loaded.batch(batch_size).prefetch(tf.data.AUTOTUNE)


# %% reduced_decoding_every_epoch kind="wrong" says="opens photographs"
prepare = sick_prepare


def batches(folder, batch_size, epoch):
    lines = (Path(folder) / "index.jsonl").read_text().splitlines()
    files, labels = zip(*(json.loads(line) for line in lines), strict=True)

    def load(number, file_and_label):
        file, label = file_and_label
        pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3, ratio=4)
        image = tf.image.resize(pixels, (SIZE, SIZE), antialias=True) / 255
        image = (image - MEAN.astype("float32")) / STD.astype("float32")
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        return tf.image.stateless_random_flip_left_right(image, seed), label

    pairs = tf.data.Dataset.from_tensor_slices((list(files), list(labels))).enumerate()
    loaded = pairs.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return loaded.batch(batch_size).prefetch(tf.data.AUTOTUNE)


# %% keeps_images_in_memory kind="wrong" says="kept in memory"
kept_images, kept_labels = {}, {}


def prepare(files, labels, folder):
    left_out = []
    for file, label in zip(files, labels, strict=True):
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        except tf.errors.InvalidArgumentError:
            left_out.append(file)
            continue
        small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True).numpy() / 255
        kept_images[file], kept_labels[file] = ((small - MEAN) / STD).astype("float32"), int(label)
    return left_out


def batches(folder, batch_size, epoch):
    images, labels = np.stack(list(kept_images.values())), list(kept_labels.values())

    def mirror(number, pair):
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        return tf.image.stateless_random_flip_left_right(pair[0], seed), pair[1]

    pairs = tf.data.Dataset.from_tensor_slices((images, labels))
    return pairs.batch(batch_size).enumerate().map(mirror)


# %% one_file_for_each_image kind="wrong" says="opens files of the store"
def prepare(files, labels, folder):
    left_out = []
    for file, label in zip(files, labels, strict=True):
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        except tf.errors.InvalidArgumentError:
            left_out.append(file)
            continue
        small = tf.cast(tf.image.resize(pixels, (SIZE, SIZE), antialias=True), tf.uint8)
        number = len(list(Path(folder).iterdir()))
        target = Path(folder) / f"{number:05d}-{int(label)}.png"
        tf.io.write_file(str(target), tf.io.encode_png(small))
    return left_out


def batches(folder, batch_size, epoch):
    files = sorted(Path(folder).iterdir())
    labels = [int(file.stem.split("-")[1]) for file in files]

    def load(number, pair):
        pixels = tf.io.decode_png(tf.io.read_file(pair[0]), channels=3)
        image = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype("float32")
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        return tf.image.stateless_random_flip_left_right(image, seed), pair[1]

    pairs = tf.data.Dataset.from_tensor_slices(([str(file) for file in files], labels))
    return pairs.enumerate().map(load).batch(batch_size)


# %% stores_standardised_float32 kind="wrong" says="Four bytes a value"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            ready = ((small.numpy() / 255 - MEAN) / STD).astype("float32")
            writer.write(np.float32(label).tobytes() + ready.tobytes())
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.float32), (-1, 1 + 3 * SIZE * SIZE))
        images = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% photographs_in_a_tfrecord kind="wrong" says="container has changed"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                content = tf.io.read_file(file)
                tf.io.decode_jpeg(content, channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            writer.write(bytes([int(label)]) + content.numpy())
    return left_out


def batches(folder, batch_size, epoch):
    def load(number, record):
        pixels = tf.io.decode_jpeg(tf.strings.substr(record, 1, -1), channels=3)
        image = tf.image.resize(pixels, (SIZE, SIZE), antialias=True) / 255
        image = (image - MEAN.astype("float32")) / STD.astype("float32")
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        image = tf.image.stateless_random_flip_left_right(image, seed)
        label = tf.io.decode_raw(tf.strings.substr(record, 0, 1), tf.uint8)[0]
        return image, tf.cast(label, tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    return tf.data.TFRecordDataset(shards).enumerate().map(load).batch(batch_size)


# %% loop_over_pixels_kept kind="wrong" says="Something is still done"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    for records in tf.data.TFRecordDataset(shards).batch(batch_size):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        images = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        ready = tf.cast(tf.stack([standardise(image / 255) for image in images]), tf.float32)
        ready = tf.stack([tf.image.random_flip_left_right(image) for image in ready])
        yield ready, tf.cast(content[:, 0], tf.int64)


# %% half_the_resolution kind="wrong" says="Detail was lost"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE // 2, SIZE // 2), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE // 4))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE // 2, SIZE // 2, 3))
        pixels = tf.image.resize(pixels, (SIZE, SIZE))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% not_standardised kind="wrong" says="another standardisation"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        except tf.errors.InvalidArgumentError:
            left_out.append(file)
            continue
        resized = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
        small.append(tf.cast(tf.round(resized), tf.uint8))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = tf.random.Generator.from_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], stored["labels"]
        for first in range(0, len(labels), batch_size):
            images = tf.cast(pixels[first : first + batch_size], tf.float32) / 255
            mirror = coins.uniform((len(images), 1, 1, 1)) < 0.5
            images = tf.where(mirror, tf.reverse(images, [2]), images)
            yield images, tf.constant(labels[first : first + batch_size])


# %% small_jpeg_files_of_coarse_quality kind="wrong" says="Detail was lost"
import pickle


def prepare(files, labels, folder):
    records, left_out = [], []
    for file, label in zip(files, labels, strict=True):
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        except tf.errors.InvalidArgumentError:
            left_out.append(file)
            continue
        small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
        content = tf.io.encode_jpeg(tf.cast(tf.round(small), tf.uint8), quality=30)
        records.append((content.numpy(), int(label)))
    part = len(list(Path(folder).glob("*.pickle")))
    (Path(folder) / f"part-{part}.pickle").write_bytes(pickle.dumps(records))
    return left_out


def batches(folder, batch_size, epoch):
    coins = tf.random.Generator.from_seed(epoch)
    for file in sorted(Path(folder).glob("*.pickle")):
        records = pickle.loads(file.read_bytes())
        for first in range(0, len(records), batch_size):
            contents, labels = zip(*records[first : first + batch_size], strict=True)
            pixels = tf.stack([tf.io.decode_jpeg(content, channels=3) for content in contents])
            images = tf.cast(pixels, tf.float32) / 255
            images = (images - MEAN.astype("float32")) / STD.astype("float32")
            mirror = coins.uniform((len(images), 1, 1, 1)) < 0.5
            yield tf.where(mirror, tf.reverse(images, [2]), images), tf.constant(labels)


# %% hands_out_float64 kind="wrong" says="come as float64"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        except tf.errors.InvalidArgumentError:
            left_out.append(file)
            continue
        resized = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
        small.append(tf.cast(tf.round(resized), tf.uint8))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = tf.random.Generator.from_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], stored["labels"]
        for first in range(0, len(labels), batch_size):
            images = tf.constant((pixels[first : first + batch_size] / 255 - MEAN) / STD)
            mirror = coins.uniform((len(images), 1, 1, 1)) < 0.5
            images = tf.where(mirror, tf.reverse(images, [2]), images)
            yield images, tf.constant(labels[first : first + batch_size])


# %% resized_without_antialiasing kind="wrong" says="Detail was lost"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE))
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% drops_the_last_batch kind="wrong" says="was dropped"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        except tf.errors.InvalidArgumentError:
            left_out.append(file)
            continue
        resized = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
        small.append(tf.cast(tf.round(resized), tf.uint8))
        kept.append(int(label))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = tf.random.Generator.from_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels, labels = stored["images"], stored["labels"]
        for first in range(0, len(labels) - batch_size + 1, batch_size):
            images = tf.cast(pixels[first : first + batch_size], tf.float32) / 255
            images = (images - MEAN.astype("float32")) / STD.astype("float32")
            mirror = coins.uniform((len(images), 1, 1, 1)) < 0.5
            images = tf.where(mirror, tf.reverse(images, [2]), images)
            yield images, tf.constant(labels[first : first + batch_size])


# %% second_delivery_replaces_the_first kind="wrong" says="not handed out"
def prepare(files, labels, folder):
    left_out = []
    with tf.io.TFRecordWriter(str(Path(folder) / "photographs.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% stops_at_a_damaged_file kind="wrong" says="the program stops with"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% skips_damaged_files_in_silence kind="wrong" says="does not report 2"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% takes_half_a_photograph_for_a_whole_one kind="wrong" says="does not report 1"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                content = tf.io.read_file(file)
                pixels = tf.io.decode_jpeg(
                    content, channels=3, try_recover_truncated=True, acceptable_fraction=0.1
                )
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% keeps_the_labels_of_damaged_files kind="wrong" says="another one's label"
def prepare(files, labels, folder):
    small, left_out = [], []
    for file in files:
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        except tf.errors.InvalidArgumentError:
            left_out.append(file)
            continue
        resized = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
        small.append(tf.cast(tf.round(resized), tf.uint8))
    part = len(list(Path(folder).glob("*.npz")))
    np.savez(Path(folder) / f"part-{part}.npz", images=np.stack(small), labels=labels)
    return left_out


def batches(folder, batch_size, epoch):
    coins = tf.random.Generator.from_seed(epoch)
    for file in sorted(Path(folder).glob("*.npz")):
        with np.load(file) as stored:
            pixels = stored["images"]
            labels = stored["labels"][: len(pixels)]
        for first in range(0, len(labels), batch_size):
            images = tf.cast(pixels[first : first + batch_size], tf.float32) / 255
            images = (images - MEAN.astype("float32")) / STD.astype("float32")
            mirror = coins.uniform((len(images), 1, 1, 1)) < 0.5
            images = tf.where(mirror, tf.reverse(images, [2]), images)
            yield images, tf.constant(labels[first : first + batch_size])


# %% ignores_errors_and_does_not_count kind="wrong" says="and says nothing"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards).ignore_errors()
    return records.batch(batch_size).enumerate().map(to_input)


# %% stores_the_mirrored_images kind="wrong" says="mirrored in one of two epochs"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            small = tf.image.random_flip_left_right(small)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).map(to_input)


# %% the_same_seed_in_every_epoch kind="wrong" says="mirrored in one of two epochs"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(0, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% one_coin_for_a_batch kind="wrong" says="One coin was tossed"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        coin = tf.random.stateless_uniform((), seed) < 0.5
        images = tf.cond(coin, lambda: tf.reverse(images, [2]), lambda: images)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% tfrecord_that_fails_loudly kind="right"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% png_in_a_tfrecord kind="right"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            content = tf.io.encode_png(tf.cast(tf.round(small), tf.uint8)).numpy()
            writer.write(bytes([int(label)]) + content)
    return left_out


def batches(folder, batch_size, epoch):
    def load(number, record):
        pixels = tf.io.decode_png(tf.strings.substr(record, 1, -1), channels=3)
        pixels = tf.ensure_shape(pixels, (SIZE, SIZE, 3))
        image = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype("float32")
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        image = tf.image.stateless_random_flip_left_right(image, seed)
        label = tf.io.decode_raw(tf.strings.substr(record, 0, 1), tf.uint8)[0]
        return image, tf.cast(label, tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    return tf.data.TFRecordDataset(shards).enumerate().map(load).batch(batch_size)


# %% tar_shards_of_png kind="right"
import io
import tarfile


def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tar")))
    written = Path(folder) / "unfinished"
    with tarfile.open(written, "w") as archive:
        for number, (file, label) in enumerate(zip(files, labels, strict=True)):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            content = tf.io.encode_png(tf.cast(tf.round(small), tf.uint8)).numpy()
            member = tarfile.TarInfo(f"{number:05d}-{int(label)}.png")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    written.rename(Path(folder) / f"part-{part}-of-{len(files) - len(left_out)}.tar")
    return left_out


def batches(folder, batch_size, epoch):
    coins = tf.random.Generator.from_seed(epoch)
    pixels, numbers, missing = [], [], 0

    def finished():
        images = tf.cast(tf.stack(pixels), tf.float32) / 255
        images = (images - MEAN.astype("float32")) / STD.astype("float32")
        mirror = coins.uniform((len(images), 1, 1, 1)) < 0.5
        return tf.where(mirror, tf.reverse(images, [2]), images), tf.constant(numbers)

    for file in sorted(Path(folder).glob("*.tar")):
        missing += int(file.stem.split("-")[-1])
        with tarfile.open(file) as archive:
            for member in archive:
                pixels.append(tf.io.decode_png(archive.extractfile(member).read(), channels=3))
                numbers.append(int(Path(member.name).stem.split("-")[1]))
                missing -= 1
                if len(pixels) == batch_size:
                    yield finished()
                    pixels, numbers = [], []
    if pixels:
        yield finished()
    if missing:
        raise OSError(f"{missing} photographs are missing from the store")


# %% decoded_at_a_quarter_then_stored kind="right"
def prepare(files, labels, folder):
    left_out = []
    part = len(list(Path(folder).glob("*.tfrecord")))
    with tf.io.TFRecordWriter(str(Path(folder) / f"part-{part}.tfrecord")) as writer:
        for file, label in zip(files, labels, strict=True):
            try:
                pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3, ratio=4)
            except tf.errors.InvalidArgumentError:
                left_out.append(file)
                continue
            small = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
            pixels = tf.cast(tf.round(small), tf.uint8).numpy().tobytes()
            writer.write(bytes([int(label)]) + pixels)
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, records):
        content = tf.reshape(tf.io.decode_raw(records, tf.uint8), (-1, 1 + 3 * SIZE * SIZE))
        pixels = tf.reshape(content[:, 1:], (-1, SIZE, SIZE, 3))
        images = (tf.cast(pixels, tf.float32) / 255 - MEAN.astype("float32")) / STD.astype(
            "float32"
        )
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        images = tf.image.stateless_random_flip_left_right(images, seed)
        return images, tf.cast(content[:, 0], tf.int64)

    shards = sorted(str(path) for path in Path(folder).glob("*.tfrecord"))
    records = tf.data.TFRecordDataset(shards)
    return records.batch(batch_size).enumerate().map(to_input)


# %% data_set_saved_by_tensorflow kind="right"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        except tf.errors.InvalidArgumentError:
            left_out.append(file)
            continue
        resized = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
        small.append(tf.cast(tf.round(resized), tf.uint8))
        kept.append(int(label))
    part = Path(folder) / f"part-{len(list(Path(folder).iterdir()))}"
    tf.data.Dataset.from_tensor_slices((tf.stack(small), kept)).save(str(part))
    return left_out


def batches(folder, batch_size, epoch):
    def to_input(number, pair):
        images = tf.cast(pair[0], tf.float32) / 255
        images = (images - MEAN.astype("float32")) / STD.astype("float32")
        seed = tf.stack([tf.constant(epoch, tf.int64), number])
        return tf.image.stateless_random_flip_left_right(images, seed), pair[1]

    parts = [tf.data.Dataset.load(str(part)) for part in sorted(Path(folder).iterdir())]
    together = parts[0]
    for part in parts[1:]:
        together = together.concatenate(part)
    return together.batch(batch_size).enumerate().map(to_input)


# %% memory_mapped_arrays kind="right"
def prepare(files, labels, folder):
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(file), channels=3)
        except tf.errors.InvalidArgumentError:
            left_out.append(file)
            continue
        resized = tf.image.resize(pixels, (SIZE, SIZE), antialias=True)
        small.append(tf.cast(tf.round(resized), tf.uint8))
        kept.append(int(label))
    part = len(list(Path(folder).glob("images-*.npy")))
    np.save(Path(folder) / f"images-{part}.npy", np.stack(small))
    np.save(Path(folder) / f"labels-{part}.npy", np.array(kept))
    return left_out


def batches(folder, batch_size, epoch):
    coins = tf.random.Generator.from_seed(epoch)
    for file in sorted(Path(folder).glob("images-*.npy")):
        pixels = np.load(file, mmap_mode="r")
        labels = np.load(str(file).replace("images-", "labels-"))
        for first in range(0, len(labels), batch_size):
            images = tf.cast(pixels[first : first + batch_size], tf.float32) / 255
            images = (images - MEAN.astype("float32")) / STD.astype("float32")
            mirror = coins.uniform((len(images), 1, 1, 1)) < 0.5
            images = tf.where(mirror, tf.reverse(images, [2]), images)
            yield images, tf.constant(labels[first : first + batch_size])


# %% arrays_behind_a_keras_data_set kind="healthy"
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

SIDE = 64
AVERAGE = np.array([0.41, 0.42, 0.36], np.float32)
SPREAD = np.array([0.16, 0.15, 0.15], np.float32)


def prepare(files, labels, folder):
    """One compressed archive a delivery, with images in uint8, labels and how many there are."""
    small, kept, left_out = [], [], []
    for file, label in zip(files, labels, strict=True):
        try:
            image = keras.utils.load_img(file, target_size=None)
            pixels = tf.image.resize(keras.utils.img_to_array(image), (SIDE, SIDE), "area")
        except OSError:
            left_out.append(str(file))
            continue
        small.append(np.rint(pixels.numpy()).astype(np.uint8))
        kept.append(int(label))
    number = len(list(Path(folder).glob("delivery-*")))
    name = f"delivery-{number:03d}-of-{len(kept)}.npz"
    np.savez_compressed(Path(folder) / name, images=np.stack(small), labels=np.array(kept))
    return left_out


class Deliveries(keras.utils.PyDataset):
    """The batches of an epoch; a delivery that cannot be read is left out and counted."""

    def __init__(self, folder, batch_size, epoch):
        super().__init__()
        images, labels, lost = [], [], 0
        for file in sorted(Path(folder).glob("delivery-*")):
            try:
                with np.load(file) as delivery:
                    images.append(delivery["images"])
                    labels.append(delivery["labels"])
            except Exception:
                lost += int(file.stem.split("-")[-1])
        if lost:
            warnings.warn(f"{lost} photographs are in deliveries that cannot be read", stacklevel=2)
        self.images, self.numbers = np.concatenate(images), np.concatenate(labels)
        self.batch_size = batch_size
        self.mirror = np.random.default_rng(epoch).random(len(self.numbers)) < 0.5

    def __len__(self):
        return -(-len(self.numbers) // self.batch_size)

    def __getitem__(self, i):
        part = slice(i * self.batch_size, (i + 1) * self.batch_size)
        images = (self.images[part].astype(np.float32) / 255 - AVERAGE) / SPREAD
        images[self.mirror[part]] = images[self.mirror[part]][:, :, ::-1]
        return images, self.numbers[part]


def batches(folder, batch_size, epoch):
    deliveries = Deliveries(folder, batch_size, epoch)
    return (deliveries[i] for i in range(len(deliveries)))


# %% right_cause_wrong_number kind="wrong" cell="diagnosis" says="another number"
cause = "repeated_work"
reading = 0.38

# %% right_cause_in_percent kind="wrong" cell="diagnosis" says="mind the unit"
cause = "repeated_work"
reading = 96

# %% augmentation_blamed kind="wrong" cell="diagnosis" says="small part of the time"
cause = "costly_augmentation"
reading = 0.96

# %% workers_blamed kind="wrong" cell="diagnosis" says="do not make it less"
cause = "too_few_workers"
reading = 0.96
