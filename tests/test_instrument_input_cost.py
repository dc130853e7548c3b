"""The cost of images before the model: stages of one, counts of an epoch, and what was lost."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from grader import frameworks
from grader.datasets import draw
from grader.datasets.photographs import as_jpeg, shrunk, write
from grader.instruments.input_cost import (
    EpochCost,
    Stage,
    StageCosts,
    bytes_in,
    draw_epochs,
    draw_stages,
    finest_detail,
    measure_epoch,
    measure_stages,
    plain_stages,
    say_epochs,
    say_stages,
)
from grader.instruments.style import as_png

linux = pytest.mark.skipif(sys.platform != "linux", reason="the system does not report opens")
MEAN, STD = (0.4, 0.4, 0.4), (0.2, 0.2, 0.2)


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return as_jpeg(draw("tiles", "train", 10, size=24, seed=3).images[:4], side=96)


@pytest.fixture
def files(contents, tmp_path) -> list[str]:
    return write(contents, tmp_path / "photographs")


class Arrays:
    """What an adapter does with arrays."""

    @staticmethod
    def to_numpy(value):
        return np.asarray(value)


def stage(name: str, ms: float, *, same: bool = True, kilobytes: float = 1.0) -> Stage:
    return Stage(name, ms, "uint8", kilobytes, same)


# ---- stages --------------------------------------------------------------------------------------


def test_the_share_that_repeats_is_a_share_of_the_time():
    costs = StageCosts((stage("decode", 6), stage("flip", 2, same=False), stage("shrink", 2)))
    assert costs.ms == 10
    assert costs.same_share == pytest.approx(0.8)


def test_the_largest_stage_is_the_one_with_most_bytes():
    costs = StageCosts((stage("decode", 9), stage("to float", 1, kilobytes=3000.0)))
    assert costs.largest.name == "to float"


def test_types_and_sizes_are_those_of_what_leaves_a_stage(files):
    costs = measure_stages(None, plain_stages(32, MEAN, STD), files)
    found = {s.name: (s.dtype, s.kilobytes) for s in costs.stages}
    assert found["read"][0] == "bytes"
    assert found["decode"] == ("uint8", pytest.approx(96 * 96 * 3 / 1000))
    assert found["to float"] == ("float64", pytest.approx(96 * 96 * 3 * 8 / 1000))
    assert found["standardise"] == ("float64", pytest.approx(32 * 32 * 3 * 8 / 1000))
    assert [s.name for s in costs.stages if not s.same] == ["flip"]


def test_processor_time_is_given_to_the_stage_that_takes_it(files):
    def busy(value):
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass
        return value

    stages = {"idle": lambda file: Path(file).read_bytes(), "busy": busy}
    costs = measure_stages(None, stages, files[:2])
    assert costs.stages[1].ms >= 20
    assert costs.stages[0].ms < 10


def test_waiting_is_not_processor_time(files):
    def wait(file):
        time.sleep(0.03)
        return b""

    assert measure_stages(None, {"wait": wait}, files[:2]).ms < 15


def test_the_first_file_is_sent_through_once_unmeasured(files):
    calls = []
    measure_stages(None, {"note": lambda file: calls.append(file) or b""}, files[:2])
    assert calls == [files[0], files[0], files[1]]


def test_without_files_nothing_is_measured():
    with pytest.raises(ValueError, match="without files"):
        measure_stages(None, {}, [])


def test_the_plain_stages_show_the_photograph_mirrored_and_standardised(files, contents):
    value = files[0]
    for step in plain_stages(32, MEAN, STD).values():
        value = step(value)
    seen = (shrunk(contents[0], 32) / 255 - 0.4) / 0.2
    assert np.abs(value[:, ::-1] - seen).max() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])
def test_tensors_are_measured_like_arrays(framework, files):
    fw = frameworks.load(framework)
    stages = {
        "read": lambda file: Path(file).read_bytes(),
        "image": lambda content: fw.from_images(shrunk(content, 16)[None]),
    }
    made = measure_stages(fw, stages, files).stages[1]
    assert (made.dtype, made.kilobytes) == ("float32", pytest.approx(16 * 16 * 3 * 4 / 1000))


# ---- an epoch ------------------------------------------------------------------------------------


@linux
def test_an_epoch_counts_images_opens_and_bytes(files, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    (store / "labels.bin").write_bytes(bytes(4))

    def begin():
        labels = (store / "labels.bin").read_bytes()
        for first in (0, 2):
            part = files[first : first + 2]
            yield [Path(file).read_bytes() for file in part], list(labels[first : first + 2])

    seen = []
    cost = measure_epoch(Arrays, begin, tmp_path / "photographs", store, each=seen.append)
    assert (cost.images, cost.originals, cost.stored, len(seen)) == (4, 4, 1, 2)
    assert cost.opened_bytes == 4 + sum(Path(file).stat().st_size for file in files)
    assert cost.opens == 5


def test_an_empty_epoch_has_no_time_an_image(tmp_path):
    cost = measure_epoch(Arrays, lambda: [], tmp_path, tmp_path)
    assert cost.images == 0
    assert np.isnan(cost.ms)


def test_time_is_spread_over_the_images():
    assert EpochCost(50, 0.1, 0, 2, 0).ms == pytest.approx(2)


def test_bytes_in_a_folder_are_those_of_all_files_below_it(tmp_path):
    write([b"12345"], tmp_path / "a" / "b")
    write([b"123"], tmp_path)
    assert bytes_in(tmp_path) == 8


# ---- pixels --------------------------------------------------------------------------------------


@given(st.integers(0, 7), st.integers(0, 7), st.floats(0.1, 2))
def test_detail_is_what_half_the_size_cannot_hold(down, along, height):
    place = np.pi * (np.arange(8) + 0.5) / 8
    wave = height * np.cos(down * place)[:, None] * np.cos(along * place)
    image = (0.4 + wave)[None, :, :, None]
    expected = np.sqrt((wave**2).mean()) if max(down, along) >= 4 else 0
    np.testing.assert_allclose(finest_detail(image), expected, atol=1e-9)


def test_detail_is_that_of_each_image():
    board = np.indices((8, 8)).sum(axis=0) % 2
    images = np.stack([0.1 * board, np.full((8, 8), 0.7)])[..., None] * np.ones(3)
    first, second = finest_detail(images)
    assert first == pytest.approx(0.05, abs=0.001)
    assert second == pytest.approx(0, abs=1e-9)


def test_a_photograph_stored_at_half_the_size_differs_by_its_detail(contents):
    seen = np.stack([shrunk(content, 24) for content in contents]).astype(float)
    half = [Image.fromarray(shrunk(c, 12)).resize((24, 24)) for c in contents]
    difference = np.sqrt(((np.stack(half) - seen) ** 2).mean(axis=(1, 2, 3)))
    share = difference / finest_detail(seen)
    assert (share > 0.8).all()


# ---- pictures and sentences ----------------------------------------------------------------------


def test_the_sentence_holds_the_numbers():
    costs = StageCosts(
        (stage("decode", 6, kilobytes=442), stage("flip", 2, same=False), stage("shrink", 2))
    )
    sentence = say_stages(costs)
    assert "10.0 ms" in sentence
    assert "largest part of it (6.0 ms) in 'decode'" in sentence
    assert "80%" in sentence
    assert "442 KB" in sentence


def test_the_table_has_a_line_a_stage_and_a_sum():
    table = StageCosts((stage("decode", 6), stage("flip", 2))).table().splitlines()
    assert len(table) == 4
    assert "8.00" in table[-1]


def test_each_program_has_its_sentence():
    sentence = say_epochs(
        {"sick": EpochCost(64, 1, 64, 1, 5_000_000), "repaired": EpochCost(64, 0.01, 0, 2, 800_000)}
    )
    assert "The sick program opens 65 files (5.00 MB)" in sentence
    assert "The repaired program opens 2 files (0.80 MB)" in sentence


def test_pictures_have_the_same_bytes_twice():
    costs = StageCosts((stage("decode", 6, kilobytes=442), stage("flip", 2, same=False)))
    assert as_png(draw_stages(costs)) == as_png(draw_stages(costs))
    epochs = {"sick": EpochCost(64, 1, 64, 1, 5_000_000), "repaired": EpochCost(64, 0, 0, 0, 0)}
    figure = draw_epochs(epochs)
    assert len(figure.axes) == 3
    assert as_png(figure) == as_png(draw_epochs(epochs))
