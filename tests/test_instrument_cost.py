"""The cost instrument: parameters, multiply-adds, and operations that a layer executes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from grader import frameworks
from grader.instruments.cost import (
    Costs,
    Operations,
    costs_as_text,
    draw_costs,
    draw_operations,
    draw_times,
    measure_agreement,
    measure_costs,
    measure_operations,
    say_costs,
    say_operations,
)

IMAGES = np.random.default_rng(0).random((4, 16, 16, 3), dtype=np.float32)


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def costs(parameters=(10, 990), multiply_adds=(900, 100)) -> Costs:
    names = tuple(f"Conv2d, 4 x 4 x {n}" for n in range(len(parameters)))
    return Costs(
        names,
        np.array(parameters, np.int64),
        np.array(multiply_adds, np.int64),
        sum(parameters),
        sum(multiply_adds),
    )


def counted(*operations: int) -> Operations:
    return Operations(np.array([16, 36, 64, 144])[: len(operations)], np.array(operations))


def test_the_layer_that_computes_most_need_not_hold_most():
    measured = costs()
    assert (measured.hottest, measured.heaviest) == (0, 1)
    assert measured.hot_share == pytest.approx(0.9)
    assert measured.parameter_shares.tolist() == [0.01, 0.99]


def test_the_sentence_names_both_layers():
    text = say_costs(costs())
    assert "1,000 multiply-adds" in text
    assert "Layer 1 (Conv2d, 4 x 4 x 0) computes 90.0 %" in text
    assert "of them with 1.0 % of the parameters" in text
    assert "Layer 2 (Conv2d, 4 x 4 x 1) holds 99.0 % of the parameters" in text


def test_a_layer_that_computes_and_holds_most_is_named_once():
    text = say_costs(costs((990, 10), (900, 100)))
    assert text.count("Layer 1") == 1
    assert text.endswith("with 99.0 % of the parameters; no layer holds more.")


def test_a_model_that_multiplies_nothing_is_said_to():
    nothing = costs((), ())
    assert math.isnan(nothing.hot_share)
    assert say_costs(nothing) == "No layer of this model multiplies."
    assert isinstance(draw_costs({"sick": nothing}), Figure)


def test_the_printed_table_keeps_its_columns():
    lines = costs_as_text(costs((10, 1_000_000), (2_000_000, 100))).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].endswith("2,000,100")


def test_growth_compares_the_largest_map_with_the_smallest():
    assert counted(20, 45, 80, 180).growth == 9
    assert counted(3, 3, 3, 3).growth == 1
    assert counted(0, 0).growth == 1
    assert counted(0, 5).growth == math.inf
    assert "9.0 times as many for 9 times the positions" in say_operations(counted(20, 45, 80, 180))
    assert "does not depend on the map" in say_operations(counted(3, 3, 3, 3))


def test_everything_can_be_drawn():
    for figure in (
        draw_costs({"sick": costs(), "repaired": costs((5,), (5,))}),
        draw_operations({"sick": counted(20, 45, 80, 180), "repaired": counted(2, 2, 2, 2)}),
        draw_operations({"other": counted(0, 0, 0, 0)}),
        draw_times({"one": (8.0, 2.0), "another": (2.0, 0.5)}),
    ):
        assert isinstance(figure, Figure)
        figure.canvas.draw()


# ---- with the frameworks -------------------------------------------------------------------------


def own_operation(fw, x, weight, stride, padding):
    """A convolution in one operation of the framework."""
    if fw.NAME == "pytorch":
        from torch.nn import functional as F

        return F.conv2d(x, weight, stride=stride, padding=padding)
    import tensorflow as tf

    padded = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return tf.nn.conv2d(padded, weight, stride, "VALID")


def in_a_loop(fw, x, weight, stride, padding):
    """As many operations as the map has rows, none of them of use."""
    for _ in range(x.shape[2]):
        x = x + 1
    return x


@pytest.mark.slow
def test_the_costs_of_the_patient_are_known(fw):
    measured = measure_costs(fw, fw.costly_network(16, 4), fw.from_images(IMAGES))
    assert measured.multiply_adds.tolist() == [
        256 * 12 * 3 * 49,
        256 * 12 * 12 * 49,
        768 * 512,
        512 * 4,
    ]
    assert measured.all_multiply_adds == measured.multiply_adds.sum()
    # The two normalisations hold a scale and a shift for each filter, and multiply nothing.
    assert measured.all_parameters == measured.parameters.sum() + 2 * 2 * 12
    assert (measured.hottest, measured.heaviest) == (1, 2)
    assert measured.hot_share == pytest.approx(0.681, abs=0.001)
    assert measured.parameter_shares[2] > 0.95


@pytest.mark.slow
def test_the_peer_costs_a_twentieth(fw):
    x = fw.from_images(IMAGES)
    sick, peer = fw.costly_network(16, 4), fw.frugal_network(16, 4)
    assert fw.predict(peer, x).shape == (4, 4)
    assert fw.multiply_adds(sick, x) / fw.multiply_adds(peer, x) == pytest.approx(21.3, abs=0.1)


@pytest.mark.slow
def test_one_operation_stays_one_and_a_loop_grows(fw):
    one = measure_operations(fw, lambda *given: own_operation(fw, *given))
    assert one.growth == 1
    assert 1 <= one.operations[0] <= 6
    loop = measure_operations(fw, lambda *given: in_a_loop(fw, *given))
    assert loop.operations.tolist() == [4, 6, 8, 12]


@pytest.mark.slow
def test_a_compiled_loop_is_counted_as_it_is_written(fw):
    def loop(x, weight, stride, padding):
        return in_a_loop(fw, x, weight, stride, padding)

    if fw.NAME == "pytorch":
        import torch

        compiled = torch.compile(loop)
    else:
        import tensorflow as tf

        compiled = tf.function(loop)
    assert measure_operations(fw, compiled).operations.tolist() == [4, 6, 8, 12]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_trial_gives_output_and_gradients_in_the_same_order_in_both_frameworks(fw, dtype):
    generator = np.random.default_rng(1)
    x = generator.standard_normal((2, 5, 4, 3)).astype(dtype)
    weight = generator.standard_normal((1, 1, 3, 2)).astype(dtype)
    towards = generator.standard_normal((2, 5, 4, 2)).astype(dtype)
    trial = fw.layer_trial(lambda *given: own_operation(fw, *given), x, weight, towards, 1, 0)
    # A kernel of one position is a matrix.
    np.testing.assert_allclose(trial["output"], x @ weight[0, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trial["x"], towards @ weight[0, 0].T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        trial["weight"][0, 0], np.einsum("nhwc,nhwo->co", x, towards), rtol=1e-4, atol=1e-5
    )
    assert trial["dtype"] == np.dtype(dtype).name
    assert not trial["changed"]


@pytest.mark.slow
def test_the_ways_without_a_loop_agree_and_do_not_grow(fw):
    for way in fw.layer_ways().values():
        assert measure_operations(fw, way).growth == 1
        for dtype in ("float32", "float64"):
            apart = measure_agreement(fw, way, lambda *given: own_operation(fw, *given), dtype)
            assert max(apart) < 100 * np.finfo(dtype).eps


@pytest.mark.slow
def test_what_does_not_agree_is_told(fw):
    def own(x, weight, stride, padding):
        return own_operation(fw, x, weight, stride, padding)

    def nothing(x, weight, stride, padding):
        return None

    assert measure_agreement(fw, nothing, own, "float32") == (math.inf, math.inf, math.inf)

    def without_padding(x, weight, stride, padding):
        return own(x, weight, stride, 0)

    assert measure_agreement(fw, without_padding, own, "float32")[0] == math.inf

    def doubled(x, weight, stride, padding):
        return 2 * own(x, weight, stride, padding)

    assert measure_agreement(fw, doubled, own, "float64") == pytest.approx((1, 1, 1))


@pytest.mark.slow
def test_a_trial_follows_half_precision(fw):
    def halved(x, weight, stride, padding):
        if fw.NAME == "pytorch":
            return x.bfloat16() * 2
        import tensorflow as tf

        return tf.cast(x, tf.bfloat16) * 2

    x, weight = np.ones((1, 4, 4, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
    trial = fw.layer_trial(halved, x, weight, x, 1, 0)
    assert trial["dtype"] == "bfloat16"
    assert trial["output"].dtype == np.float32
    assert (trial["output"] == 2).all()
    assert (trial["x"] == 2).all()


@pytest.mark.slow
def test_a_trial_says_what_it_cannot_use(fw):
    x, weight = np.ones((1, 4, 4, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
    nothing = fw.layer_trial(lambda *given: None, x, weight, x, 1, 0)
    assert nothing["kind"] == "NoneType"
    assert nothing["output"] is None
    same = fw.layer_trial(lambda x, weight, stride, padding: x * 2, x, weight, x, 1, 0)
    assert same["weight"] is None
    assert (same["x"] == 1).sum() == 0
    assert (same["x"] == 2).all()
