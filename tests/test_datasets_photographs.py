"""Large photographs from small images, and the count of who opens their files."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from grader.datasets import draw
from grader.datasets.opens import OpenCounter
from grader.datasets.photographs import as_jpeg, shrunk, write

linux = pytest.mark.skipif(sys.platform != "linux", reason="the system does not report opens")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return draw("tiles", "train", 10, size=48, seed=3).images


# ---- photographs ---------------------------------------------------------------------------------


def test_photographs_are_jpeg_files_of_the_size_asked_for(images):
    for content in as_jpeg(images[:2], side=120):
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.size, image.mode) == ("JPEG", (120, 120), "RGB")


def test_the_same_images_and_seed_give_the_same_bytes(images):
    assert as_jpeg(images[:3], side=96) == as_jpeg(images[:3], side=96)
    assert as_jpeg(images[:3], side=96) != as_jpeg(images[:3], side=96, seed=1)


def test_a_photograph_does_not_depend_on_how_many_follow(images):
    assert as_jpeg(images[:5], side=96)[:2] == as_jpeg(images[:2], side=96)


def test_the_grain_of_two_photographs_differs():
    grey = np.full((2, 24, 24, 3), 128, np.uint8)
    first, second = (np.asarray(Image.open(io.BytesIO(c))) for c in as_jpeg(grey, side=96))
    assert np.mean(first == second) < 0.2


def test_shrunk_again_a_photograph_shows_its_image(images):
    for image, content in zip(images, as_jpeg(images, side=240, detail=0), strict=True):
        small = np.asarray(Image.fromarray(image).resize((24, 24), Image.Resampling.BILINEAR))
        difference = shrunk(content, 24).astype(float) - small
        assert np.sqrt((difference**2).mean()) < 8


def test_the_texture_is_as_fine_as_the_images_were():
    grey = np.full((1, 48, 48, 3), 128, np.uint8)

    def rough(size: int, detail: float = 16) -> float:
        return float(shrunk(as_jpeg(grey, side=240, detail=detail)[0], size).std())

    assert rough(48) > 8
    assert rough(24) < rough(48) / 2
    assert rough(48, detail=0) < rough(48) / 2


def test_files_are_numbered_and_written_in_order(tmp_path):
    files = write([b"one", b"two"], tmp_path / "new", first=7)
    assert files == [str(tmp_path / "new" / "00007.jpg"), str(tmp_path / "new" / "00008.jpg")]
    assert (tmp_path / "new" / "00008.jpg").read_bytes() == b"two"


# ---- opens ---------------------------------------------------------------------------------------


@linux
def test_every_open_is_counted(tmp_path):
    (first, second) = write([b"one", b"two"], tmp_path)
    with OpenCounter(tmp_path) as counter:
        for file in (first, first, second, first):
            with open(file, "rb") as opened:
                opened.read()
    assert {path.name: times for path, times in counter.opens.items()} == {
        "00000.jpg": 3,
        "00001.jpg": 1,
    }


@linux
def test_folders_below_count_and_those_beside_do_not(tmp_path):
    inside = write([b"in"], tmp_path / "store" / "part")[0]
    outside = write([b"out"], tmp_path / "elsewhere")[0]
    with OpenCounter(tmp_path / "store") as counter:
        for file in (inside, outside):
            with open(file, "rb"):
                pass
    assert counter.opens.total() == 1
    assert counter.within(tmp_path / "store").total() == 1
    assert counter.within(tmp_path / "elsewhere").total() == 0


@linux
def test_other_programs_and_memory_maps_count_and_listing_does_not(tmp_path):
    np.save(tmp_path / "array.npy", np.arange(8))
    with OpenCounter(tmp_path) as counter:
        assert [path.name for path in tmp_path.iterdir()] == ["array.npy"]
    assert counter.opens.total() == 0
    with OpenCounter(tmp_path) as counter:
        read = f"open({str(tmp_path / 'array.npy')!r}, 'rb').read()"
        subprocess.run([sys.executable, "-S", "-c", read], check=True)
    assert counter.opens.total() == 1
    with OpenCounter(tmp_path) as counter:
        assert np.memmap(tmp_path / "array.npy", np.uint8, "r").size
    assert counter.opens.total() == 1


@linux
def test_an_error_inside_passes_and_nothing_stays_open(tmp_path):
    with pytest.raises(KeyError), OpenCounter(tmp_path):
        raise KeyError
    with OpenCounter(tmp_path) as counter:
        pass
    assert not counter.opens


@linux
def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match="cannot be watched"), OpenCounter(tmp_path / "nowhere"):
        pass


def test_without_reports_a_changed_time_of_access_counts_once(tmp_path, monkeypatch):
    import os

    (first, second) = write([b"one", b"two"], tmp_path)
    monkeypatch.setattr("grader.datasets.opens.sys.platform", "other")
    with OpenCounter(tmp_path) as counter:
        os.utime(first, ns=(10**18, os.stat(first).st_mtime_ns))
    assert [path.name for path in counter.opens] == ["00000.jpg"]
    assert second
