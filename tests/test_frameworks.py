"""Both adapters mean the same by the same name, and leave a model as they found it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import frameworks
from grader.errors import ClinicError
from grader.frameworks.order import batch_order

IMAGES = np.random.default_rng(0).integers(0, 256, (96, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(96) % 4


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def a_network(fw):
    """conv, batch norm, dense: has parameters, statistics, and a training mode."""
    if fw.NAME == "pytorch":
        from torch import nn

        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * 64, 4),
        )
    import keras

    return keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(4),
        ]
    )


def freeze_first(fw, model):
    if fw.NAME == "pytorch":
        model[0].weight.requires_grad_(False)
    else:
        model.layers[0].trainable = False


@pytest.fixture
def model(fw):
    return a_network(fw)


@pytest.fixture
def inputs(fw):
    return fw.from_images(IMAGES / np.float32(255))


pytestmark = pytest.mark.slow


def test_measuring_changes_nothing(fw, model, inputs):
    fw.predict(model, inputs)
    before = fw.get_state(model)
    fw.loss(model, inputs, LABELS, training=True)
    fw.layer_gradients(model, inputs, LABELS)
    fw.predict(model, inputs)
    assert all(np.array_equal(a, b) for a, b in zip(before, fw.get_state(model), strict=True))


def test_the_loss_of_equal_scores_is_the_logarithm_of_the_classes(fw, model, inputs):
    fw.predict(model, inputs)
    fw.set_state(model, [np.zeros_like(v) for v in fw.get_state(model)])
    assert fw.loss(model, inputs, LABELS, training=False) == pytest.approx(np.log(4), abs=1e-6)


def test_training_lowers_the_loss_and_is_repeatable(fw, inputs):
    def losses():
        fw.set_seed(1)
        return fw.train(
            a_network(fw), inputs, LABELS, steps=30, batch_size=32, learning_rate=0.05, seed=1
        )

    first, second = losses(), losses()
    assert first[-5:].mean() < first[:5].mean()
    np.testing.assert_array_equal(first, second)


def test_training_stops_when_the_loss_is_no_number(fw, model, inputs):
    seen = []
    losses = fw.train(
        model,
        inputs * float("nan"),
        LABELS,
        steps=5,
        batch_size=32,
        learning_rate=0.1,
        on_step=lambda step, value: seen.append(step),
    )
    assert seen == [0]
    assert np.isnan(losses).all()


def test_a_frozen_layer_is_measured_and_stays_frozen(fw, model, inputs):
    fw.predict(model, inputs)
    freeze_first(fw, model)
    gradients = fw.layer_gradients(model, inputs, LABELS)
    assert [g.gradient > 0 for g in gradients] == [True, True]
    first = fw.get_state(model)[0]
    fw.train(model, inputs, LABELS, steps=3, batch_size=32, learning_rate=0.1)
    np.testing.assert_array_equal(first, fw.get_state(model)[0])


def test_a_model_with_nothing_to_train_gives_no_loss(fw, inputs):
    if fw.NAME == "pytorch":
        from torch import nn

        empty = nn.Sequential(nn.Flatten())
    else:
        import keras

        empty = keras.Sequential([keras.layers.Flatten()])
    losses = fw.train(empty, inputs, LABELS, steps=2, batch_size=8, learning_rate=0.1)
    assert np.isnan(losses).all()


def test_parameters_are_counted_without_statistics(fw, model, inputs):
    fw.predict(model, inputs)
    assert fw.parameter_count(model) == 3 * 9 * 4 + 4 + 2 * 4 + 4 * 64 * 4 + 4


def test_a_saved_state_comes_back(fw, model, inputs):
    before = fw.predict(model, inputs)
    state = fw.get_state(model)
    fw.train(model, inputs, LABELS, steps=3, batch_size=32, learning_rate=0.1)
    assert not np.allclose(before, fw.predict(model, inputs))
    fw.set_state(model, state)
    np.testing.assert_allclose(before, fw.predict(model, inputs), rtol=1e-5, atol=1e-6)


def test_an_unknown_device_is_refused(fw):
    with pytest.raises(ClinicError, match="abacus"):
        fw.choose_device("abacus")


@given(st.integers(1, 200), st.integers(1, 64), st.integers(1, 40), st.integers(0, 2**40))
def test_batches_have_one_size_and_no_repetition_within_an_epoch(n, batch_size, steps, seed):
    batches = batch_order(n, batch_size, steps, seed)
    size = min(n, batch_size)
    assert len(batches) == steps
    assert {len(b) for b in batches} == {size}
    epoch = np.concatenate(batches[: n // size])
    assert len(set(epoch)) == len(epoch)


def test_a_sample_depends_on_itself_and_in_training_on_its_batch(fw, model, inputs):
    few = inputs[:6]
    fw.predict(model, few)

    def alone(x):
        return model.eval()(x) if fw.NAME == "pytorch" else model(x, training=False)

    def together(x):
        return model.train()(x) if fw.NAME == "pytorch" else model(x, training=True)

    gradient = fw.batch_dependence(alone, few, LABELS[:6])
    assert gradient.shape == (6, 6)
    assert (np.diag(gradient) > 0).all()
    assert np.count_nonzero(gradient) == 6
    assert np.count_nonzero(fw.batch_dependence(together, few, LABELS[:6])) == 36


def test_every_set_is_trained_on_from_the_same_start(fw, model, inputs):
    fw.predict(model, inputs[:1])  # Keras creates the weights at the first call
    state = fw.get_state(model)
    other = np.array(LABELS[::-1])
    kinds = {"steps": 40, "batch_size": 16, "learning_rate": 0.01, "seed": 3}
    outputs = fw.outputs_after_training(
        model, [(inputs, LABELS), (inputs, other), (inputs, LABELS)], inputs[:50], **kinds
    )
    assert outputs.shape == (3, 50, 4)
    np.testing.assert_allclose(outputs[0], outputs[2], atol=1e-3)
    assert (outputs[0].argmax(axis=1) == LABELS[:50]).mean() > 0.8
    assert (outputs[1].argmax(axis=1) == other[:50]).mean() > 0.8
    for before, after in zip(state, fw.get_state(model), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_two_block_network_is_the_same_for_the_same_seed(fw):
    x = fw.from_images(IMAGES / np.float32(255))
    first, second, third = (
        fw.predict(fw.two_block_network(8, 5, width=4, seed=seed), x) for seed in (1, 1, 2)
    )
    assert first.shape == (96, 5)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, third)
