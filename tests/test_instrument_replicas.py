"""Replicas that are watched: what is measured, drawn and said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from grader import frameworks
from grader.frameworks.base import ReplicaCall, ReplicaRun
from grader.frameworks.processes import ENDED, LATE, RAISED, RETURNED, Ending
from grader.instruments.replicas import (
    DeviceAudit,
    ReplicasWait,
    bytes_to_move,
    draw_replicas,
    gradients_of,
    measure_devices,
    measure_gradients,
    measure_replicas,
    moves_of,
    replay,
    run_training,
    say_devices,
    say_replicas,
    steps_of,
    value_of,
    work_of,
)


def run(*calls: tuple[list[int], float], returned: float = 0.0) -> ReplicaRun:
    """Replica with one weight of the given value at each call."""
    made = [ReplicaCall(np.array(images), np.array([weight])) for images, weight in calls]
    return ReplicaRun(made, np.array([returned]), "Model")


IN_STEP = [
    run(([0, 1], 1.0), ([2, 3], 2.0), ([6, 1], 3.0), ([0, 2], 4.0)),
    run(([4, 5], 1.0), ([6, 7], 2.0), ([3, 4], 3.0), ([5, 7], 4.0)),
]


def test_replicas_in_step_see_every_image_once_an_epoch():
    found = measure_replicas(IN_STEP, 8, 2)
    assert found.apart.tolist() == [0, 0, 0, 0]
    assert found.not_once == 0
    assert found.shares.tolist() == [0.5, 0.5]
    assert found.step_sizes.tolist() == [4, 4, 4, 4]
    assert found.repeated == 0


def test_the_distance_is_relative_to_the_weights():
    found = measure_replicas([run(([0], 2.0)), run(([1], 3.0))], 2, 1)
    assert found.apart.tolist() == [0.5]


def test_the_same_data_in_both_replicas_is_seen_twice():
    alone = run(([0, 1], 1.0), ([2, 3], 2.0))
    found = measure_replicas([alone, alone], 4, 1)
    assert found.times.tolist() == [[2, 2, 2, 2]]
    assert found.not_once == 4


def test_one_replica_that_works_alone_has_all_of_the_share():
    found = measure_replicas([IN_STEP[0], run()], 8, 2)
    assert found.shares.tolist() == [1]
    assert "One replica" in say_replicas(found)


def test_two_replicas_on_one_device_share_its_work():
    for places, shares in ((("CPU:0", "CPU:0"), [1]), (("CPU:0", "CPU:1"), [0.5, 0.5])):
        runs = [replace(run, place=place) for run, place in zip(IN_STEP, places, strict=True)]
        assert measure_replicas(runs, 8, 2).shares.tolist() == shares


def test_an_order_that_comes_again_is_counted_whatever_the_places_in_the_batch():
    again = run(([0, 1], 1.0), ([2, 3], 2.0), ([1, 0], 3.0), ([3, 2], 4.0))
    assert measure_replicas([again], 4, 2).repeated == 1


def test_portions_of_one_step_are_put_together():
    portions = run(([0], 1.0), ([1], 1.0), ([2], 2.0)).calls
    assert [step.images.tolist() for step in steps_of(portions)] == [[0, 1], [2]]


def test_images_that_are_none_of_the_set_are_counted():
    found = measure_replicas([run(([0, -1], 1.0))], 2, 1)
    assert found.foreign == 1
    assert found.not_once == 2


def test_replicas_that_trained_on_nothing_are_refused():
    with pytest.raises(ValueError, match="no image"):
        measure_replicas([run()], 4, 1)


def test_a_step_is_compared_with_the_gradient_of_the_whole_batch():
    class Gradient:
        def mean_gradient(self, weights, images, labels, *, classes):
            return np.array([images.mean()])

    images = np.array([1.0, 3.0, 5.0, 7.0])
    # The mean of all four is 4; a rate of 0.5 moves the weight by 2, the sum of two means by 4.
    right = [run(([0, 1], 9.0), returned=7.0), run(([2, 3], 9.0), returned=7.0)]
    summed = [run(([0, 1], 9.0), returned=5.0), run(([2, 3], 9.0), returned=5.0)]
    for runs, length, error in ((right, 1, 0), (summed, 2, 1)):
        found = measure_gradients(Gradient(), runs, images, images, rate=0.5, classes=4)
        assert [(g.length, g.error) for g in found] == [(length, error)] * 2


def test_a_step_without_an_end_or_without_a_move_is_refused():
    runs = [run(([0], 1.0), ([1], 2.0))]
    moves = moves_of(runs)
    assert [[float(after[0]) for after in move.afters] for move in moves] == [[2], [0]]
    for wrong in (moves[:1], [replace(moves[0], afters=[]), moves[1]]):
        with pytest.raises(ValueError, match="no move"):
            gradients_of(None, work_of(runs), wrong, np.zeros(2), np.zeros(2), rate=1, classes=2)


def test_a_replay_takes_the_whole_batches_of_all_replicas():
    class Descent:
        def descend(self, weights, images, labels, batches, *, rate, classes):
            assert [rows.tolist() for rows in batches] == [[0, 1, 4, 5], [2, 3, 6, 7]]
            return weights + len(batches)

    images = np.zeros((8, 1))
    replayed = replay(Descent(), IN_STEP, images, images, steps=2, rate=0.1, classes=4)
    assert replayed.tolist() == [3]


def test_the_first_error_of_a_run_is_told_under_its_own_name():
    late = Ending(RAISED, kind="ConnectionError", message="peer is gone", when=2.0)
    first = Ending(RAISED, kind="KeyError", message="'weights'", when=1.0)
    with pytest.raises(RuntimeError, match="'weights'") as raised:
        value_of([late, first])
    assert type(raised.value).__name__ == "KeyError"
    with pytest.raises(ReplicasWait):
        value_of([Ending(RETURNED, 1), Ending(LATE)])
    waited = Ending(RAISED, kind="RuntimeError", message="Connection closed by peer [::1]:7")
    with pytest.raises(ReplicasWait):
        value_of([Ending(RETURNED, 1), waited])
    with pytest.raises(RuntimeError, match="ended by itself"):
        value_of([Ending(RETURNED, 1), Ending(ENDED, message="1")])


def test_what_replicas_print_is_printed(capsys):
    assert value_of([Ending(RETURNED, 3, printed="hello\n")]) == [3]
    assert capsys.readouterr().out == "hello\n"


def test_pictures_can_be_drawn():
    found = measure_replicas(IN_STEP, 8, 2)
    for scores in (None, {"replica 0": 0.5, "average": 0.25}):
        figure = draw_replicas({"sick": found, "repaired": found}, scores)
        assert isinstance(figure, Figure)
        figure.canvas.draw()
    assert "a set of 8, 0 of them" in say_replicas(found)


def test_an_audit_says_what_is_where():
    audit = DeviceAudit({"parameters": ("cpu",), "batch": ("cuda:0",)}, 12, 4)
    assert not audit.one_place
    assert "not all in one place" in say_devices(audit)
    assert "3.0 a step" in say_devices(audit)


def test_what_is_not_where_the_model_is_has_to_be_moved():
    class Places:
        def devices_of(self, thing):
            return [getattr(thing, "place", "host")]

        def from_labels(self, labels):
            return "labels"

        def bytes_of(self, part):
            return part.nbytes

    class On:
        def __init__(self, place, nbytes=0):
            self.place, self.nbytes = place, nbytes

    pixels, floats = np.zeros(10, np.uint8), On("host", 40)
    for model, moved in ((On("host"), 0), (On("card"), 50)):
        assert bytes_to_move(Places(), model, (pixels, floats)) == moved
    assert bytes_to_move(Places(), On("card"), (On("card", 40),)) == 0


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


IMAGES = np.random.default_rng(0).normal(size=(32, 16, 16, 3))
LABELS = np.arange(32) % 4


@pytest.mark.slow
def test_replicas_that_do_nothing_together_stay_apart(fw):
    if fw.NAME == "pytorch":

        def train(build_model, x, y, epochs, batch_size, rate):
            import torch.distributed as dist

            model, rank = build_model(), dist.get_rank()
            for start in range(0, len(x), batch_size):
                half = slice(start + rank * batch_size // 2, start + (rank + 1) * batch_size // 2)
                model(x[half]).sum().backward()
                for p in model.parameters():
                    p.data -= rate * p.grad
                    p.grad = None
            return model
    else:

        def train(build_model, x, y, epochs, batch_size, rate):
            import tensorflow as tf

            for rank, device in enumerate(("/CPU:0", "/CPU:1")):
                with tf.device(device):
                    model = build_model()
                    for start in range(0, len(x), batch_size):
                        first = start + rank * batch_size // 2
                        with tf.GradientTape() as tape:
                            loss = tf.reduce_sum(model(x[first : first + batch_size // 2]))
                        gradients = tape.gradient(loss, model.trainable_variables)
                        for v, g in zip(model.trainable_variables, gradients, strict=True):
                            v.assign_sub(rate * g)
            return model

    runs = run_training(
        fw, train, IMAGES, LABELS, epochs=1, batch_size=8, rate=0.001, classes=4, seed=1
    )
    found = measure_replicas(runs, 32, 1)
    assert found.not_once == 0
    assert found.apart.min() > 0.3
    assert found.shares.tolist() == [0.5, 0.5]
    assert found.step_sizes.tolist() == [8, 8, 8, 8]


@pytest.mark.slow
def test_a_training_that_ignores_its_device_is_told_from_one_that_does_not(fw):
    if fw.NAME == "pytorch":

        def train_on(device, build_model, x, y, batch_size, rate):
            model = build_model().to(device)
            float(model(x.to(device)).sum())
            model(x.to(device)).sum().backward()
    else:

        def train_on(device, build_model, x, y, batch_size, rate):
            import tensorflow as tf

            with tf.device(device):
                model = build_model()
                float(tf.reduce_sum(model(x)))
                model(x)

    def ignores(device, build_model, x, y, batch_size, rate):
        build_model()(x)

    options = {"batch_size": 8, "rate": 0.1, "classes": 4}
    (found,) = value_of(fw.watched_placement(train_on, IMAGES, LABELS, **options))
    assert (found.entered, found.there, found.waits) == (64, 64, 1)
    (found,) = value_of(fw.watched_placement(ignores, IMAGES, LABELS, **options))
    assert (found.entered, found.there, found.waits) == (32, 0, 0)


@pytest.mark.slow
def test_an_error_in_a_replica_is_raised_here(fw):
    def train(*arguments):
        raise KeyError("no such layer")

    with pytest.raises(RuntimeError, match="no such layer"):
        run_training(fw, train, IMAGES, LABELS, epochs=1, batch_size=8, rate=0.1, classes=4, seed=1)


@pytest.mark.slow
def test_replicas_that_wait_for_each_other_are_stopped(fw):
    def train(*arguments):
        import time

        time.sleep(60)

    with pytest.raises(ReplicasWait):
        run_training(
            fw, train, IMAGES, LABELS, epochs=1, batch_size=8, rate=0.1, classes=4, seed=1,
            seconds=2,
        )  # fmt: skip


@pytest.mark.slow
def test_values_that_the_host_asks_for_are_counted(fw):
    x = fw.from_images(IMAGES)
    model = fw.steady_network(16, 4, seed=0)

    def step(batch):
        return float(batch[0][0, 0, 0, 0])

    audit = measure_devices(fw, {"parameters": model}, step, [(x,), (x,)])
    assert audit.waits == 2
    assert audit.one_place
