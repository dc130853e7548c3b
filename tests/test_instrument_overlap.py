"""The timeline of waiting, computing and reading, and the slow storage under it."""

from __future__ import annotations

import multiprocessing
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.datasets import draw
from grader.datasets.storage import Storage, store, stored
from grader.errors import ClinicError
from grader.instruments.overlap import (
    Timeline,
    _lanes,
    ahead,
    decode,
    draw_overlap,
    draw_readers,
    in_turn,
    measure_overlap,
    say_overlap,
    say_readers,
)
from grader.instruments.style import as_png


@pytest.fixture(scope="module")
def images():
    return draw("tiles", "train", 20, size=16, seed=3)


@pytest.fixture
def slow(images):
    """A storage that needs 4 ms a file, its files and labels."""
    storage, files = store(images, latency=0.004)
    return storage, files, images.labels


def compute(batch) -> None:
    time.sleep(0.008)


def timeline(waits, computes, reads=()) -> Timeline:
    def pairs(intervals):
        return np.array(intervals, dtype=float).reshape(-1, 2)

    return Timeline(pairs(waits), pairs(computes), pairs(reads))


# ---- the storage ---------------------------------------------------------------------------------


def test_a_read_returns_the_file_after_the_latency(slow):
    storage, files, _ = slow
    content = storage.read(files[0])
    (read,) = storage.reads()
    assert content == (storage.root / files[0]).read_bytes()
    assert read.file == files[0]
    assert read.end - read.start >= storage.latency


@pytest.mark.parametrize("form", [str, str.encode, lambda name: np.array(name.encode(), object)])
def test_a_file_is_named_by_text_bytes_or_a_scalar_array(slow, form):
    storage, files, _ = slow
    assert decode(storage.read(form(files[1]))).shape == (16, 16, 3)


def test_an_unknown_file_is_named_in_one_sentence(slow):
    with pytest.raises(ClinicError, match=r"no file 'nothing\.jpg'"):
        slow[0].read("nothing.jpg")


def test_forgetting_empties_the_log(slow):
    storage, files, _ = slow
    storage.read(files[0])
    storage.forget()
    storage.forget()
    assert storage.reads() == []


def test_reads_of_threads_forks_and_unpickled_copies_share_one_log(slow):
    storage, files, _ = slow
    copy = pickle.loads(pickle.dumps(storage))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(copy.read, files))
    worker = multiprocessing.get_context("fork").Process(target=storage.read, args=(files[0],))
    worker.start()
    worker.join()
    reads = storage.reads()
    assert sorted(r.file for r in reads) == sorted([*files, files[0]])
    assert len({r.reader.split("/")[0] for r in reads}) == 2
    assert [r.start for r in reads] == sorted(r.start for r in reads)


def test_the_folder_goes_with_the_storage_that_made_it(images):
    storage, _ = store(images, latency=0)
    root: Path = storage.root
    copy = Storage(root, 0)
    del copy
    assert root.is_dir()
    del storage
    assert not root.exists()


def test_a_with_block_removes_the_folder_though_the_storage_is_still_held(images):
    with stored(images, latency=0) as (storage, files):
        assert storage.read(files[0])
    assert not storage.root.exists()


# ---- what a timeline says ------------------------------------------------------------------------


def test_the_first_wait_is_start_up_and_counts_for_nothing():
    quick = timeline([(0, 90), (100, 103), (110, 113)], [(90, 100), (103, 110), (113, 120)])
    assert quick.waiting_share == pytest.approx(0.3)
    assert quick.step_ms == pytest.approx(10_000)


def test_one_step_has_no_share():
    assert np.isnan(timeline([(0, 1)], [(1, 2)]).waiting_share)


def test_reading_during_a_computation_counts_while_files_are_left():
    computes = [(1, 2), (3, 4), (5, 6), (7, 8)]
    waits = [(0, 1), (2, 3), (4, 5), (6, 7)]
    reads = [(0, 1), (1.5, 2.5), (4.5, 5)]  # during the first; before the third; none is left then
    assert timeline(waits, computes, reads).reading_steps == pytest.approx(1 / 2)


def test_reads_that_all_came_before_the_first_batch_overlap_nothing():
    preloaded = timeline([(5, 6), (7, 8)], [(6, 7), (8, 9)], [(0, 1), (1, 2), (3, 5)])
    assert preloaded.reading_steps == 0
    assert preloaded.read_ahead_share == 1


def test_reads_that_follow_one_another_are_one_at_once():
    assert timeline([], [], [(0, 1), (1, 2), (2, 3)]).reads_at_once == 1
    assert timeline([], [], [(0, 2), (1, 3), (1.5, 4)]).reads_at_once == 3
    assert timeline([], []).reads_at_once == 0


def test_a_single_reader_is_never_beside_another():
    assert timeline([], [], [(0, 1), (1, 2), (3, 4)]).parallel_reads == 0
    assert timeline([], [], [(0, 1), (0.5, 2), (3, 4), (5, 6)]).parallel_reads == pytest.approx(0.5)
    assert timeline([], []).parallel_reads == 0


intervals = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda x: (x[0], x[0] + x[1]))
).map(sorted)


@given(intervals)
def test_lanes_never_overlap_and_are_as_few_as_reads_at_once(reads):
    measured = timeline([], [], reads)
    lanes = _lanes(measured.reads)
    for lane in set(lanes):
        mine = [r for r, of in zip(reads, lanes, strict=True) if of == lane]
        assert all(a[1] <= b[0] for a, b in pairwise(mine))
    assert len(set(lanes)) == measured.reads_at_once


# ---- loaders to compare with ---------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [4, 6])
def test_both_loaders_hand_out_the_same_batches(slow, batch_size):
    storage, files, labels = slow
    one = list(in_turn(files, labels, storage, batch_size))
    other = list(ahead(files, labels, storage, batch_size, readers=3))
    assert [len(y) for _, y in one] == [len(y) for _, y in other]
    for (x, y), (u, v) in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)
    np.testing.assert_array_equal(np.concatenate([y for _, y in one]), labels)


def test_loading_in_turn_never_reads_while_the_accelerator_computes(slow):
    storage, files, labels = slow
    measured = measure_overlap(in_turn(files, labels, storage, 4), compute, storage)
    assert (measured.steps, measured.reads_at_once, measured.reading_steps) == (5, 1, 0)
    assert len(measured.reads) == 20


def test_reading_ahead_reads_while_the_accelerator_computes(slow):
    storage, files, labels = slow
    measured = measure_overlap(ahead(files, labels, storage, 4, readers=4), compute, storage)
    assert measured.reading_steps > 0.5
    assert 2 <= measured.reads_at_once <= 4


def test_without_readers_nothing_is_read_ahead(slow):
    storage, files, labels = slow
    with pytest.raises(ValueError, match="at least 1"):
        next(ahead(files, labels, storage, 4, readers=0))


def test_every_batch_is_shown_once(slow):
    storage, files, labels = slow
    seen: list[int] = []
    measure_overlap(
        in_turn(files, labels, storage, 4),
        compute,
        storage,
        steps=3,
        each=lambda batch: seen.extend(batch[1]),
    )
    assert seen == list(labels[:12])


# ---- pictures and sentences ----------------------------------------------------------------------


def test_the_sentence_holds_the_numbers():
    measured = timeline(
        [(0, 0.5), (0.53, 0.58)], [(0.5, 0.53), (0.58, 0.61)], [(0, 0.5), (0.53, 0.58)]
    )
    sentence = say_overlap(measured)
    assert "80 ms, 50 ms of it waiting and 30 ms computing" in sentence
    assert "62%" in sentence
    assert "at most 1 file at once" in sentence


def test_the_rule_names_the_readers_that_a_step_needs():
    assert "at 2 readers" in say_readers({0: 80, 1: 50}, load_ms=50, compute_ms=30)


def test_pictures_have_a_panel_a_timeline_and_the_same_bytes_twice(slow):
    storage, files, labels = slow
    measured = measure_overlap(in_turn(files, labels, storage, 4), compute, storage)
    figure = draw_overlap({"before": measured, "after": measured})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["before", "after"]
    assert as_png(figure) == as_png(draw_overlap({"before": measured, "after": measured}))
    assert draw_readers({0: 80, 1: 50, 2: 31}, load_ms=50, compute_ms=30).axes
