# %% names_the_cause_reads_the_classes cell="diagnosis" kind="wrong" says="another number"
cause = "labels-scaled"
reading = 9

# %% names_slipped_labels_reads_right cell="diagnosis" kind="wrong" says="learning each image by heart"
cause = "labels-slipped"
reading = float(tf.reduce_max(sick_labels))

# %% names_the_layout_reads_the_loss cell="diagnosis" kind="wrong" says="in all images alike"
cause = "layout"
reading = 0.0


# %% returns_zeros kind="constant" says="name 1 class of"
def load_folder(root, size):
    return tf.zeros((10, size, size, 3)), tf.zeros(10, tf.int64), []


# %% leaves_everything_out kind="constant" says="returns no image"
def load_folder(root, size):
    files = [(file, "looked difficult") for file in Path(root).glob("*/*")]
    return tf.zeros((0, size, size, 3)), tf.zeros(0, tf.int64), files


# %% returns_nothing kind="constant" says="return images, labels and the list"
def load_folder(root, size):
    return None


# %% raises_when_called kind="crash" says="no_such_function"
def load_folder(root, size):
    return no_such_function(root)


# %% moves_colours_to_the_front kind="wrong" says="the first layer takes (N,"
def load_folder(root, size):
    images, labels, left_out = sick_load_folder(root, size)
    return tf.transpose(images, (0, 3, 1, 2)), labels, left_out


# %% makes_the_labels_whole_after_dividing kind="wrong" says="never reach the loss"
def load_folder(root, size):
    images, labels, left_out = sick_load_folder(root, size)
    return images, tf.cast(labels, tf.int64), left_out


# %% gives_broken_files_the_label_minus_one kind="wrong" says="some lie outside"
def load_folder(root, size):
    images, labels = [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = tf.io.decode_image(file.read_bytes(), channels=3)
                images.append(tf.image.resize(pixels, (size, size)))
                labels.append(number)
            except tf.errors.InvalidArgumentError:
                images.append(tf.zeros((size, size, 3)))
                labels.append(-1)
    return tf.stack(images) / 255, tf.constant(labels), []


# %% repairs_the_labels_alone kind="wrong" says="bytes of pixels read as planes of colour"
def load_folder(root, size):
    images, labels, left_out = sick_load_folder(root, size)
    return images, tf.cast(tf.round(labels * 255), tf.int64), left_out


# %% reshapes_to_silence_the_error kind="wrong" says="bytes of pixels read as planes of colour"
# Every mode is read and every file named; the axes are still given their shape by force.
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = tf.io.decode_image(file.read_bytes(), channels=3)
            except tf.errors.InvalidArgumentError as error:
                left_out.append((file, error.message))
                continue
            planes = tf.reshape(tf.image.resize(pixels, (size, size)), (3, size, size))
            images.append(tf.transpose(planes, (1, 2, 0)))
            labels.append(number)
    return tf.stack(images) / 255, tf.constant(labels), left_out


# %% reads_blue_first kind="wrong" says="red and blue swapped"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = tf.io.decode_image(file.read_bytes(), channels=3)
            except tf.errors.InvalidArgumentError as error:
                left_out.append((file, error.message))
                continue
            images.append(tf.image.resize(pixels, (size, size))[:, :, ::-1])
            labels.append(number)
    return tf.stack(images) / 255, tf.constant(labels), left_out


# %% returns_zeros_for_broken_files kind="wrong" says="one single value"
def load_folder(root, size):
    images, labels = [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = tf.io.decode_image(file.read_bytes(), channels=3)
                images.append(tf.image.resize(pixels, (size, size)))
            except tf.errors.InvalidArgumentError:
                images.append(tf.zeros((size, size, 3)))
            labels.append(number)
    return tf.stack(images) / 255, tf.constant(labels), []


# %% reads_half_a_picture kind="wrong" says="are not recognised"
from PIL import Image, ImageFile


def load_folder(root, size):
    images, labels, left_out = [], [], []
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
            for file in sorted(folder.iterdir()):
                try:
                    image = Image.open(file).convert("RGB").resize((size, size))
                except OSError as error:
                    left_out.append((file, repr(error)))
                    continue
                images.append(np.asarray(image))
                labels.append(number)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    return tf.constant(np.stack(images)) / 255, tf.constant(labels), left_out


# %% leaves_out_unusual_modes kind="wrong" says="only their kind is unusual"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = tf.io.decode_image(file.read_bytes())
                if pixels.shape[-1] != 3:
                    raise ValueError(f"{pixels.shape[-1]} channels")
            except (tf.errors.InvalidArgumentError, ValueError) as error:
                left_out.append((file, str(error)))
                continue
            images.append(tf.image.resize(pixels, (size, size)))
            labels.append(number)
    return tf.stack(images) / 255, tf.constant(labels), left_out


# %% takes_the_neighbour_of_a_broken_file kind="wrong" says="a picture that is already there"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = tf.io.decode_image(file.read_bytes(), channels=3)
            except tf.errors.InvalidArgumentError as error:
                left_out.append((file, error.message))
                images += images[-1:]
                labels += labels[-1:]
                continue
            images.append(tf.image.resize(pixels, (size, size)))
            labels.append(number)
    return tf.stack(images) / 255, tf.constant(labels), left_out


# %% ignores_errors_in_the_pipeline kind="wrong" says="vanish without a word"
def load_folder(root, size):
    folders = sorted(d for d in Path(root).iterdir() if d.is_dir())
    items = [(str(f), number) for number, d in enumerate(folders) for f in sorted(d.iterdir())]

    def prepare(file, label):
        pixels = tf.io.decode_image(tf.io.read_file(file), channels=3, expand_animations=False)
        return tf.image.resize(pixels, (size, size)) / 255, label

    files, labels = zip(*items, strict=True)
    dataset = tf.data.Dataset.from_tensor_slices((list(files), list(labels))).map(prepare)
    pairs = list(dataset.ignore_errors())
    return tf.stack([x for x, _ in pairs]), tf.stack([y for _, y in pairs]), []


# %% names_without_a_reason kind="wrong" says="A name alone"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = tf.io.decode_image(file.read_bytes(), channels=3)
            except tf.errors.InvalidArgumentError:
                left_out.append(str(file))
                continue
            images.append(tf.image.resize(pixels, (size, size)))
            labels.append(number)
    return tf.stack(images) / 255, tf.constant(labels), left_out


# %% names_every_file_to_be_safe kind="wrong" says="among the images"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            left_out.append((file, "may be broken"))
            try:
                pixels = tf.io.decode_image(file.read_bytes(), channels=3)
            except tf.errors.InvalidArgumentError:
                continue
            images.append(tf.image.resize(pixels, (size, size)))
            labels.append(number)
    return tf.stack(images) / 255, tf.constant(labels), left_out


# %% deletes_broken_files kind="wrong" says="changed the folder"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = tf.io.decode_image(file.read_bytes(), channels=3)
            except tf.errors.InvalidArgumentError as error:
                left_out.append((file, error.message))
                file.unlink()
                continue
            images.append(tf.image.resize(pixels, (size, size)))
            labels.append(number)
    return tf.stack(images) / 255, tf.constant(labels), left_out


# %% lets_labels_slip_behind_broken_files kind="wrong" says="behind the first file that is left out"
def load_folder(root, size):
    folders = sorted(d for d in Path(root).iterdir() if d.is_dir())
    files = [file for folder in folders for file in sorted(folder.iterdir())]
    labels = [number for number, folder in enumerate(folders) for file in folder.iterdir()]
    images, left_out = [], []
    for file in files:
        try:
            pixels = tf.io.decode_image(file.read_bytes(), channels=3)
        except tf.errors.InvalidArgumentError as error:
            left_out.append((file, error.message))
            continue
        images.append(tf.image.resize(pixels, (size, size)))
    return tf.stack(images) / 255, tf.constant(labels[: len(images)]), left_out


# %% sorts_files_and_labels_apart kind="wrong" says="two different orders"
def load_folder(root, size):
    names = sorted(d.name for d in Path(root).iterdir() if d.is_dir())
    images, labels, left_out = [], [], []
    for file in sorted(Path(root).glob("*/*"), key=lambda file: file.name):
        try:
            pixels = tf.io.decode_image(file.read_bytes(), channels=3)
        except tf.errors.InvalidArgumentError as error:
            left_out.append((file, error.message))
            continue
        images.append(tf.image.resize(pixels, (size, size)))
        labels.append(names.index(file.parent.name))
    return tf.stack(images) / 255, tf.constant(sorted(labels)), left_out


# %% sorts_the_labels_of_a_batch kind="wrong" says="two different orders"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = tf.io.decode_image(file.read_bytes(), channels=3)
            except tf.errors.InvalidArgumentError as error:
                left_out.append((file, error.message))
                continue
            images.append(tf.image.resize(pixels, (size, size)) / 255)
            labels.append(number)
    dataset = tf.data.Dataset.from_tensor_slices((tf.stack(images), labels))
    batches = list(dataset.shuffle(len(images), seed=1).batch(32))
    return (
        tf.concat([x for x, _ in batches], axis=0),
        tf.concat([tf.sort(y) for _, y in batches], axis=0),
        left_out,
    )


# %% stretches_one_file_after_the_other kind="right"
def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                pixels = tf.io.decode_image(file.read_bytes(), channels=3)
            except tf.errors.InvalidArgumentError as error:
                left_out.append((file, error.message))
                continue
            images.append(tf.image.resize(pixels, (size, size)))
            labels.append(number)
    return tf.stack(images) / 255, tf.constant(labels), left_out


# %% cuts_without_scaling kind="right"
def load_folder(root, size):
    names = sorted(d.name for d in Path(root).iterdir() if d.is_dir())
    images, labels, left_out = [], [], {}
    for file in Path(root).glob("*/*"):
        try:
            pixels = tf.io.decode_jpeg(tf.io.read_file(str(file)), channels=3)
        except tf.errors.InvalidArgumentError as error:
            left_out[file] = error.message
            continue
        images.append(tf.image.resize_with_crop_or_pad(pixels, size, size))
        labels.append(names.index(file.parent.name))
    return tf.stack(images), tf.constant(labels, tf.int64), left_out


# %% cuts_a_square_with_keras kind="right"
from keras import utils


def load_folder(root, size):
    images, labels, left_out = [], [], []
    for number, folder in enumerate(sorted(d for d in Path(root).iterdir() if d.is_dir())):
        for file in sorted(folder.iterdir()):
            try:
                image = utils.load_img(file, target_size=(size, size), keep_aspect_ratio=True)
            except OSError as error:
                left_out.append(f"{file} does not decode: {error}")
                continue
            images.append(utils.img_to_array(image))
            labels.append(number)
    x = np.stack(images)
    x = (x - x.mean(axis=(0, 1, 2))) / x.std(axis=(0, 1, 2))
    return tf.constant(x, tf.float32), np.array(labels), left_out


# %% hands_a_sound_copy_to_keras kind="right"
import os


def load_folder(root, size):
    left_out = []
    with tempfile.TemporaryDirectory() as sound:
        for file in Path(root).glob("*/*"):
            try:
                tf.io.decode_image(file.read_bytes(), channels=3)
            except tf.errors.InvalidArgumentError as error:
                left_out.append((file, error.message))
                continue
            copy = Path(sound) / file.relative_to(root)
            copy.parent.mkdir(exist_ok=True)
            os.symlink(file, copy)
        batches = list(
            keras.utils.image_dataset_from_directory(
                sound,
                image_size=(size, size),
                shuffle=False,
                pad_to_aspect_ratio=True,
                verbose=False,
            )
        )
    images, labels = (tf.concat(parts, axis=0) for parts in zip(*batches, strict=True))
    return images / 255, labels, left_out


# %% another_program kind="healthy"
import os

from PIL import Image


def load_folder(root, size):
    names = [entry.name for entry in os.scandir(root) if entry.is_dir()]
    number = {name: i for i, name in enumerate(sorted(names))}
    paths = [
        os.path.join(root, name, file) for name in names for file in os.listdir(f"{root}/{name}")
    ]
    np.random.default_rng(0).shuffle(paths)
    kept, reasons = {}, {}
    for path in paths:
        try:
            with Image.open(path) as image:
                side = min(image.size)
                left, top = (image.width - side) // 2, (image.height - side) // 2
                square = image.convert("RGB").crop((left, top, left + side, top + side))
                kept[path] = np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))
        except Exception as error:
            reasons[path] = f"{type(error).__name__}: {error}"
    x = tf.constant(np.stack(list(kept.values())), tf.float32)
    y = tf.constant([number[os.path.basename(os.path.dirname(path))] for path in kept])
    return x / 127.5 - 1, y, reasons
