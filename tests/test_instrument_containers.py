"""What containers notice: images written, read back, and read from damaged copies."""

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from grader.instruments.containers import Arrived, Container, measure_container, say_container

linux = pytest.mark.skipif(sys.platform != "linux", reason="the system does not report opens")
IMAGES = (np.arange(8 * 48) % 256).astype(np.uint8).reshape(8, 4, 4, 3)


def write_array(folder: Path) -> None:
    np.save(folder / "images.npy", IMAGES)


def read_array(folder: Path):
    yield from enumerate(np.load(folder / "images.npy", mmap_mode="r"))


def write_rows(folder: Path) -> None:
    (folder / "rows").write_bytes(IMAGES.tobytes())


def read_rows(folder: Path):
    """Whole rows up to the end of the file, however many there are."""
    content = (folder / "rows").read_bytes()
    for number in range(len(content) // 48):
        row = content[48 * number : 48 * number + 48]
        yield number, np.frombuffer(row, np.uint8).reshape(4, 4, 3)


def test_what_was_written_arrives():
    assert measure_container(IMAGES, write_array, read_array).sound == Arrived(8, 0, 0)


@linux
def test_opens_and_bytes_are_those_of_the_sound_container():
    measured = measure_container(IMAGES, write_rows, read_rows)
    assert measured.opens == 1
    assert measured.kilobytes == pytest.approx(0.048)
    assert measured.ms >= 0


def test_an_array_refuses_a_cut_file_and_hands_out_a_changed_byte():
    measured = measure_container(IMAGES, write_array, read_array)
    assert measured.cut == Arrived(0, 0, 8, "ValueError")
    assert measured.struck == Arrived(7, 1, 0)


def test_a_file_read_to_its_end_loses_the_end_without_an_error():
    measured = measure_container(IMAGES, write_rows, read_rows)
    assert measured.cut == Arrived(4, 0, 4)
    assert measured.struck == Arrived(7, 1, 0)


def test_an_image_handed_out_as_damaged_is_missing():
    checksums = [zlib.crc32(image) for image in IMAGES]

    def read(folder):
        for number, image in read_rows(folder):
            yield number, image if zlib.crc32(image.tobytes()) == checksums[number] else None

    measured = measure_container(IMAGES, write_rows, read)
    assert measured.sound == Arrived(8, 0, 0)
    assert measured.struck == Arrived(7, 0, 1)


def test_the_largest_file_is_the_one_that_is_damaged():
    def write(folder):
        write_array(folder)
        (folder / "notes").write_bytes(b"few")

    assert measure_container(IMAGES, write, read_array).struck == Arrived(7, 1, 0)


def test_the_words_hold_the_numbers():
    words = say_container(
        "a box",
        Container(12.34, 0.5, 64, Arrived(8, 0, 0), Arrived(4, 1, 3, "OSError"), Arrived(7, 0, 1)),
    )
    first, sound, cut, struck = words.splitlines()
    assert first == "a box: 12.3 KB and 0.50 ms an image, 64 files opened"
    assert sound.endswith("8 as written, 0 changed, 0 missing")
    assert cut.endswith("4 as written, 1 changed, 3 missing, stopped by OSError")
    assert struck.endswith("7 as written, 0 changed, 1 missing")
