"""The batch-size instrument: what it measures, what it draws, what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import frameworks
from grader.frameworks.base import Passes
from grader.instruments.batch_size import (
    Course,
    Follower,
    GradientNoise,
    Throughput,
    draw_courses,
    draw_gradient_noise,
    draw_throughput,
    knee,
    looks,
    measure_gradient_noise,
    measure_steps,
    measure_throughput,
    say_courses,
    say_gradient_noise,
    say_steps,
    say_throughput,
    take_steps,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(50, 8, 8, 3)).astype(np.float32)
LABELS = np.arange(50) % 4


def course(batch_size: int, accuracy: list[float]) -> Course:
    steps = np.array([1, 2, 4, 8])
    return Course(batch_size, 80 // batch_size, steps, 0.01 * steps, np.array(accuracy), np.ones(4))


COURSES = [course(10, [0.2, 0.3, 0.4, 0.5]), course(80, [0.3, 0.4, 0.6, 0.7])]


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def test_the_order_of_two_trainings_depends_on_the_axis():
    small, large = COURSES
    assert small.at("epochs", 1) > large.at("epochs", 1)
    assert small.at("steps", 8) < large.at("steps", 8)
    assert small.at("steps", 3) == pytest.approx(0.35)
    assert small.at("steps", 3, "loss") == 1
    assert math.isnan(small.at("steps", 9))


def test_the_sentence_compares_at_equal_epochs_and_at_equal_steps():
    text = say_courses(COURSES, 1, 8)
    assert "batch of 10 50 %, batch of 80 30 % right on unseen images, in 8, 1 steps" in text
    assert "After 8 steps: batch of 10 50 %, batch of 80 70 %" in text


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_looks_begin_at_the_first_step_and_end_at_the_last(last, also):
    at = looks(last, also)
    assert at == sorted(set(at))
    assert {1, last, also} <= set(at)
    assert len(at) <= math.log2(max(last, 2)) + 4


def test_a_step_is_as_large_as_what_the_average_image_goes_through():
    assert Passes(np.array([100, 100]), 100).typical == 100
    assert 95 < Passes(np.array([100] * 5 + [10]), 100).typical < 100
    assert Passes(np.array([], dtype=np.int64), 0).typical == 0


@given(st.integers(1, 200), st.floats(1, 1e4))
def test_the_knee_is_the_smallest_size_with_nearly_the_highest_rate(half, top):
    sizes = 2 ** np.arange(12)
    rates = top * sizes / (sizes + half)
    chosen = knee(sizes, rates)
    assert rates[sizes == chosen] >= 0.9 * rates.max()
    assert (rates[sizes < chosen] < 0.9 * rates.max()).all()


def test_a_disturbed_repeat_does_not_move_the_knee():
    rates = np.tile([10.0, 50.0, 95.0, 100.0], (5, 1))
    rates[:2] /= 3
    assert Throughput(np.array([1, 8, 64, 512]), rates).knee == 64


def test_throughput_is_images_over_seconds_and_sizes_take_turns():
    asked: list[int] = []
    measured = measure_throughput(asked.append, (1, 4), repeats=3)
    assert asked == [1, 4] * 4
    assert measured.images_per_second.shape == (3, 2)
    assert (measured.images_per_second > 0).all()


def test_noise_that_falls_as_one_over_the_size_has_a_slope_of_minus_one():
    noise = GradientNoise(np.array([4, 16, 64]), 20 / np.array([4.0, 16.0, 64.0]))
    assert noise.slope == pytest.approx(-1)
    assert noise.scale == pytest.approx(20)
    assert "to the power of -1.00" in say_gradient_noise(noise)


def test_everything_can_be_drawn():
    throughput = Throughput(np.array([1, 8, 64]), np.array([[10.0, 60.0, 80.0]]))
    noise = GradientNoise(np.array([4, 16, 64]), np.array([5.0, 1.0, 0.3]))
    for figure in (
        draw_courses(COURSES, 1, 8),
        draw_gradient_noise(noise),
        draw_throughput(throughput, 8),
    ):
        figure.canvas.draw()
    assert "from a batch of 64 on" in say_throughput(throughput)


def one_step(fw, weigh):
    """A step in portions; `weigh(n, N, portions)` is a portion's share of the gradient."""

    def step(model, x, y, rate, portion):
        starts = range(0, len(x), portion)
        if fw.NAME == "pytorch":
            import torch
            from torch.nn import functional as F

            optimizer = torch.optim.SGD(model.parameters(), lr=rate)
            optimizer.zero_grad()
            for i in starts:
                part = x[i : i + portion]
                share = weigh(len(part), len(x), len(starts))
                (share * F.cross_entropy(model(part), y[i : i + portion])).backward()
            optimizer.step()
        else:
            import tensorflow as tf

            sums = [0.0] * len(model.trainable_variables)
            for i in starts:
                part = x[i : i + portion]
                with tf.GradientTape() as tape:
                    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                        y[i : i + portion], model(part, training=True)
                    )
                    loss = weigh(len(part), len(x), len(starts)) * tf.reduce_mean(losses)
                gradients = tape.gradient(loss, model.trainable_variables)
                sums = [a + b for a, b in zip(sums, gradients, strict=True)]
            for variable, total in zip(model.trainable_variables, sums, strict=True):
                variable.assign_sub(rate * total)

    return step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weigh", "even", "ragged"),
    [
        (lambda n, of, portions: n / of, 0, 0),
        (lambda n, of, portions: 1 / portions, 0, None),
        (lambda n, of, portions: 1.0, 2, None),
    ],
)
def test_portions_add_up_to_the_whole_batch_when_each_image_weighs_the_same(
    fw, weigh, even, ragged
):
    batches = [(IMAGES[:48], LABELS[:48]), (IMAGES, LABELS)]
    model, fresh = (fw.steady_network(8, 4, seed=1) for _ in range(2))
    taken = take_steps(fw, one_step(fw, weigh), model, batches, rate=0.1, portion=16)
    measured = measure_steps(fw, taken, fresh, batches, rate=0.1)
    assert measured[0].error == pytest.approx(even, abs=1e-3)
    assert measured[0].length == pytest.approx(1 + even, abs=1e-3)
    if ragged is None:
        assert measured[1].error > 0.1
    else:
        assert measured[1].error == pytest.approx(ragged, abs=1e-3)
    assert [step.largest for step in measured] == [16, 16]
    assert "largest call had 16 images" in say_steps({"portions": measured[0]})


@pytest.mark.slow
def test_passes_are_counted_by_step(fw):
    model = fw.steady_network(8, 4, seed=1)
    x = fw.from_images(IMAGES)
    passes = fw.count_passes(model)
    fw.train(model, x, LABELS, steps=5, batch_size=20, learning_rate=0.01)
    fw.predict(model, x)
    one_step(fw, lambda n, of, portions: n / of)(model, x, fw.from_labels(LABELS), 0.1, 16)
    counted = passes()
    assert counted.images.tolist() == [20] * 5 + [50]
    assert counted.largest == 20


@pytest.mark.slow
def test_passes_are_counted_inside_fit():
    fw = frameworks.load("tensorflow")
    import keras

    model = fw.steady_network(8, 4, seed=1)
    passes = fw.count_passes(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    model.fit(IMAGES, LABELS, batch_size=20, epochs=2, verbose=0, validation_data=(IMAGES, LABELS))
    assert passes().images.tolist() == [20, 20, 10] * 2


@pytest.mark.slow
def test_passes_are_counted_where_the_model_is_a_part_of_another():
    fw = frameworks.load("tensorflow")
    import keras

    model = fw.steady_network(8, 4, seed=1)
    passes = fw.count_passes(model)
    whole = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.GaussianNoise(0.1), model])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    whole.compile("sgd", loss, jit_compile=False)
    whole.fit(IMAGES, LABELS, batch_size=25, epochs=2, verbose=0)
    assert passes().images.tolist() == [25] * 4


@pytest.mark.slow
def test_passes_are_counted_where_layers_are_frozen_later():
    fw = frameworks.load("tensorflow")
    import keras

    model = fw.steady_network(8, 4, seed=1)
    passes = fw.count_passes(model)
    model.layers[0].trainable = False
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    model.fit(IMAGES, LABELS, batch_size=25, epochs=2, verbose=0)
    assert passes().images.tolist() == [25] * 4


@pytest.mark.slow
def test_the_noise_of_the_gradient_falls_as_one_over_the_size(fw):
    model = fw.steady_network(8, 4, seed=1)
    noise = measure_gradient_noise(fw, model, IMAGES, LABELS, sizes=(2, 8, 32), draws=16)
    assert -1.3 < noise.slope < -0.7


@pytest.mark.slow
def test_a_follower_looks_where_it_was_told(fw):
    model = fw.steady_network(8, 4, seed=1)
    seen = (fw.from_images(IMAGES), LABELS)
    follow = Follower(fw, model, seen, seen, batch_size=10, steps_per_epoch=5, at=[1, 3])
    with pytest.raises(ValueError, match="no step"):
        follow.course()
    fw.train(model, *seen, steps=4, batch_size=10, learning_rate=0.01, on_step=lambda *_: follow())
    course = follow.course()
    assert course.steps.tolist() == [1, 3]
    assert course.epochs.tolist() == [0.2, 0.6]
    assert math.isnan(course.seconds[0])
    assert course.seconds[1] > 0
    assert course.loss.shape == course.accuracy.shape == (2,)
