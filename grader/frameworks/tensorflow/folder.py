"""An image folder as TensorFlow reads it: tf.data, decoded in the graph where that is possible."""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from grader.datasets import folder

# Two markers of a JPEG segment that holds EXIF data, hence perhaps a rotation, which the graph does
# not apply; it stands first, or after the 18 bytes of a JFIF segment.
_EXIF_PLACES = (2, 20)
_PNG_END = b"IEND\xaeB`\x82"


def folder_batches(
    path: str | os.PathLike[str],
    *,
    size: int,
    batch_size: int,
    shuffle: bool,
    seed: int,
    split: str | None = None,
) -> tf.data.Dataset:
    """Batches of an image folder.

    Plain JPEG and PNG files are decoded in the graph. Everything else (palette, transparency, CMYK,
    16 bits, EXIF, other formats, damaged files) goes through Pillow, as in `folder.read_image`.

    Args:
        size: pixels on a side, after cropping to the centre square.
        shuffle: a new order every epoch, from `seed`; otherwise the order of `folder.scan`.
        split: "train", "validation" or "test", divided as `folder.scan` says; None for all images
            of a folder that is not divided into train and test.

    Returns:
        A tf.data.Dataset: uint8 (B, size, size, 3), int64 (B,). The last batch may be smaller.
        While it is read, a file that does not decode is a tf.errors.OpError whose message holds
        the sentence that names the file.

    Raises:
        ClinicError: as `folder.scan` and `folder.choose` say.
    """
    index = folder.choose(folder.scan(path), split)
    files = [os.fspath(index.root / file) for file in index.files]
    dataset = tf.data.Dataset.from_tensor_slices((files, index.labels))
    if shuffle:  # names are shuffled, not images: the buffer costs nothing
        dataset = dataset.shuffle(len(files), seed=seed, reshuffle_each_iteration=True)
    return (
        dataset.map(
            lambda file, label: (_read(file, size), label), num_parallel_calls=tf.data.AUTOTUNE
        )
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )


def _read(file: tf.Tensor, size: int) -> tf.Tensor:
    data = tf.io.read_file(file)
    image = tf.case(
        [
            (_is_plain_jpeg(data), lambda: _decode_jpeg(data, file, size)),
            (_is_plain_png(data), lambda: _resize(tf.io.decode_png(data, channels=3), size)),
        ],
        default=lambda: _read_with_pillow(file, size),
    )
    return tf.ensure_shape(image, (size, size, 3))


def _is_plain_jpeg(data: tf.Tensor) -> tf.Tensor:
    """Begins and ends as a JPEG does, with no EXIF segment in the usual places."""
    plain = (_bytes(data, 0, 2) == b"\xff\xd8") & (_last_bytes(data, 2) == b"\xff\xd9")
    for place in _EXIF_PLACES:
        plain &= _bytes(data, place, 2) != b"\xff\xe1"
    return plain


def _is_plain_png(data: tf.Tensor) -> tf.Tensor:
    """8 bits a channel, grey or RGB, complete."""
    depth_and_colour = _bytes(data, 24, 2)
    plain = (depth_and_colour == b"\x08\x00") | (depth_and_colour == b"\x08\x02")
    return plain & (_bytes(data, 0, 4) == b"\x89PNG") & (_last_bytes(data, 8) == _PNG_END)


def _bytes(data: tf.Tensor, place: int, count: int) -> tf.Tensor:
    """`count` bytes at `place`, or fewer at the end; substr itself fails beyond it."""
    return tf.strings.substr(data, tf.minimum(place, tf.strings.length(data)), count)


def _last_bytes(data: tf.Tensor, count: int) -> tf.Tensor:
    return tf.strings.substr(data, tf.maximum(tf.strings.length(data) - count, 0), count)


def _decode_jpeg(data: tf.Tensor, file: tf.Tensor, size: int) -> tf.Tensor:
    channels = tf.io.extract_jpeg_shape(data)[2]
    return tf.cond(
        channels == 4,  # CMYK
        lambda: _read_with_pillow(file, size),
        # INTEGER_ACCURATE is what Pillow uses; the default is faster and a few levels off.
        lambda: _resize(tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"), size),
    )


def _resize(image: tf.Tensor, size: int) -> tf.Tensor:
    """Centre square, then bilinear with antialiasing, as `folder.read_image`."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    side = tf.minimum(height, width)
    square = tf.image.crop_to_bounding_box(
        image, (height - side) // 2, (width - side) // 2, side, side
    )
    resized = tf.image.resize(square, (size, size), method="bilinear", antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def _read_with_pillow(file: tf.Tensor, size: int) -> tf.Tensor:
    def read(name: bytes) -> np.ndarray:
        return folder.read_image(os.fsdecode(name), size)

    return tf.ensure_shape(tf.numpy_function(read, [file], tf.uint8), (size, size, 3))
