"""The memory instrument: what it counts, what it draws, what it says."""

from __future__ import annotations

import gc
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import frameworks
from grader.frameworks.ledger import Ledger
from grader.instruments.memory import (
    MemoryUse,
    draw_memory,
    gradient_error,
    measure_memory,
    say_memory,
)

RNG = np.random.default_rng(0)
SIZE = 8
IMAGES = RNG.integers(0, 256, size=(40, SIZE, SIZE, 3), dtype=np.uint8)
LABELS = np.arange(40) % 4
LAYER = 4 * 8 * SIZE * SIZE  # bytes that one layer of `even_stack` keeps for an image


def use(live: list[int], steps: int = 1) -> MemoryUse:
    return MemoryUse(np.array(live), np.array([0]), np.array([1]), live[-1] if live else 0, steps)


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def test_a_block_counts_once_and_until_its_last_tensor_is_gone():
    ledger = Ledger()
    ledger.hold("a", 10)
    ledger.hold("a", 10)
    ledger.hold("b", 5)
    ledger.note()
    ledger.drop("a")
    ledger.note()
    ledger.drop("a")
    ledger.note()
    assert ledger.live == [15, 15, 5]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 99)), max_size=30))
def test_what_is_dropped_as_often_as_it_was_held_leaves_nothing(held):
    ledger = Ledger()
    for block, size in held:
        ledger.hold(block, size)
    assert ledger.now == sum(dict(reversed(held)).values())
    for block, _ in reversed(held):
        ledger.drop(block)
    assert ledger.now == 0


def test_a_staircase_grows_by_its_step():
    stairs = [100 * step + wave for step in range(40) for wave in (0, 500, 900, 300)]
    assert use(stairs, steps=40).growth == pytest.approx(100)
    assert use(stairs, steps=40).peak == 39 * 100 + 900


def test_what_the_first_steps_set_up_is_no_growth():
    once = [0, 900] + [50, 900] * 39
    assert use(once, steps=40).growth == 0
    assert use(once, steps=40).floor == 50


def test_a_program_without_operations_takes_nothing():
    nothing = MemoryUse(np.zeros(0), np.zeros(0), np.zeros(0), 0)
    assert nothing.peak == nothing.growth == nothing.floor == 0


def test_the_error_of_a_gradient_is_relative_to_its_length():
    whole = [np.array([[3.0], [0.0]]), np.array([4.0])]
    assert gradient_error(whole, whole) == (0, 1)
    assert gradient_error([3 * g for g in whole], whole) == pytest.approx((2, 3))
    assert gradient_error([0 * g for g in whole], whole) == pytest.approx((1, 0))
    assert gradient_error([np.nan * g for g in whole], whole) == (math.inf, math.inf)


def test_it_is_drawn_and_said():
    stairs = use([10**6 * step for step in range(40)], steps=40)
    draw_memory({"sick": stairs, "repaired": use([0, 10**6] * 20)}, cap=2e7).canvas.draw()
    draw_memory({"sick": stairs}).canvas.draw()
    assert "rises by 1.000 MB with every step" in say_memory(stairs)


@pytest.mark.slow
def test_a_precision_that_was_set_for_new_layers_does_not_reach_the_control():
    fw = frameworks.load("tensorflow")
    import keras

    with fw.settings_kept():
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = fw.even_stack(SIZE, 4, seed=1)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


@pytest.mark.slow
def test_a_loss_that_is_kept_with_its_gradient_keeps_every_layer(fw):
    model = fw.even_stack(SIZE, 4, seed=1)
    x = fw.from_images(IMAGES)
    measured, kept = measure_memory(
        fw, model, lambda: fw.look_with_gradient(model, x, LABELS), given=x
    )
    assert kept is not None
    assert 12 * LAYER * len(x) <= measured.end < 12.5 * LAYER * len(x)
    assert measured.images.tolist() == [len(x)]


@pytest.mark.slow
def test_the_count_is_the_same_every_time(fw):
    ends, peaks = set(), set()
    for _ in range(3):
        model = fw.even_stack(SIZE, 4, seed=1)
        x = fw.from_images(IMAGES)
        measured, _ = measure_memory(
            fw, model, lambda m=model, x=x: fw.whole_gradient(m, x, LABELS)
        )
        ends.add(measured.end)
        peaks.add(measured.peak)
    assert len(peaks) == 1
    assert len(ends) == 1


@pytest.mark.slow
def test_arrays_of_numpy_are_counted_while_they_are_traced(fw):
    model = fw.even_stack(SIZE, 4, seed=1)
    x = fw.from_images(IMAGES[:4])

    def program():
        kept = np.ones(100_000)
        fw.predict(model, x)
        return kept

    untraced, _ = measure_memory(fw, model, program, given=x)
    tracemalloc.start()
    try:
        traced, _ = measure_memory(fw, model, program, given=x)
    finally:
        tracemalloc.stop()
    assert len(untraced.arrays) == 0
    assert traced.arrays.tolist() == [pytest.approx(8e5, rel=0.1)]
    assert untraced.peak == traced.peak < 8e5


@pytest.mark.slow
def test_a_training_that_keeps_numbers_only_stays_flat(fw):
    model = fw.even_stack(SIZE, 4, seed=1)
    x = fw.from_images(IMAGES[:16]) / 255
    order = RNG.integers(0, 40, size=(12, 4))
    measured, values = measure_memory(
        fw,
        model,
        lambda: fw.train_and_look(
            model, IMAGES, LABELS, order, (x, LABELS[:16]), learning_rate=0.01
        ),
        steps=12,
        given=x,
    )
    assert len(values) == 12
    assert measured.growth == 0
    assert measured.peak > 12 * 4 * LAYER


@pytest.mark.slow
def test_losses_that_are_kept_with_their_gradients_pile_up(fw):
    model = fw.even_stack(SIZE, 4, seed=1)
    x = fw.from_images(IMAGES[:8])
    once, _ = measure_memory(
        fw, model, lambda: fw.look_with_gradient(model, x, LABELS[:8]), given=x
    )
    piled, _ = measure_memory(
        fw,
        model,
        lambda: [fw.look_with_gradient(model, x, LABELS[:8]) for _ in range(20)],
        steps=20,
        given=x,
    )
    assert piled.growth == pytest.approx(once.end, rel=0.1)


@pytest.mark.slow
def test_collecting_garbage_frees_nothing_that_is_held(fw):
    model = fw.even_stack(SIZE, 4, seed=1)
    x = fw.from_images(IMAGES[:8])

    def program():
        kept = []
        for _ in range(3):
            kept.append(fw.look_with_gradient(model, x, LABELS[:8]))
            gc.collect()
        return kept

    measured, _ = measure_memory(fw, model, program, given=x)
    assert measured.end > 3 * 12 * LAYER * 8


@pytest.mark.slow
def test_the_whole_gradient_is_that_of_the_mean_loss(fw):
    model = fw.even_stack(SIZE, 4, seed=1)
    x = fw.from_images(IMAGES) / 255
    fw.clear_gradient(model)
    found = fw.gradient_left(model, fw.whole_gradient(model, x, LABELS))
    error, length = gradient_error(found, fw.loss_gradients(model, x, LABELS))
    assert error < 1e-5
    assert length == pytest.approx(1)


@pytest.mark.slow
def test_bytes_are_those_of_the_memory_behind_a_view(fw):
    floats = IMAGES / 255.0
    assert fw.bytes_of(IMAGES) == IMAGES.size
    assert fw.bytes_of(floats) == 8 * IMAGES.size
    assert fw.bytes_of(np.moveaxis(floats, -1, 1)[:2]) == 8 * IMAGES.size
    assert fw.bytes_of([fw.from_images(IMAGES), {"y": LABELS}]) == 4 * IMAGES.size + 8 * 40
    with pytest.raises(ValueError, match="neither"):
        fw.bytes_of("images")
