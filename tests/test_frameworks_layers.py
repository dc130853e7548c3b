"""What a layer gives, costs and sees: both adapters, and both on one design, agree."""

import numpy as np
import pytest

from grader import frameworks

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8) / 255


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


@pytest.fixture
def x(fw):
    return fw.from_images(IMAGES)


def a_network(fw):
    """Convolution, depthwise convolution with dilation, pooling, dense; 16 pixels, 4 classes."""
    if fw.NAME == "pytorch":
        from torch import nn

        return nn.Sequential(
            nn.Conv2d(3, 8, 5, padding=2),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8),
            nn.Flatten(),
            nn.Linear(8 * 64, 4),
        )
    import keras
    from keras import layers

    return keras.Sequential(
        [
            layers.Conv2D(8, 5, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3, padding="same", dilation_rate=2),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )


def a_network_with_attention(fw):
    """One head of attention over the 16 pixels of a small map, then their mean and logits."""
    if fw.NAME == "pytorch":
        from torch import nn

        class Attentive(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = nn.Conv2d(3, 8, 4, stride=4)
                self.attention = nn.MultiheadAttention(8, 1, batch_first=True)
                self.head = nn.Linear(8, 4)

            def forward(self, x):
                pixels = self.stem(x).flatten(2).transpose(1, 2)
                attended, _ = self.attention(pixels, pixels, pixels, need_weights=False)
                return self.head(attended.mean(dim=1))

        return Attentive()
    import keras
    from keras import layers

    images = keras.Input((16, 16, 3))
    pixels = layers.Reshape((16, 8))(layers.Conv2D(8, 4, strides=4)(images))
    attended = layers.MultiHeadAttention(1, 8)(pixels, pixels)
    mean = layers.GlobalAveragePooling1D()(attended)
    return keras.Model(images, layers.Dense(4)(mean))


@pytest.fixture
def model(fw):
    return a_network(fw)


def test_the_last_layer_gives_what_the_model_predicts(fw, model, x):
    outputs = fw.layer_outputs(model, x, batch_size=2)
    assert len(outputs) == 7
    np.testing.assert_allclose(outputs[-1].output, fw.predict(model, x), rtol=1e-5, atol=1e-6)


def test_outputs_have_their_channels_last_and_are_not_overwritten_by_the_next_layer(fw, model, x):
    convolution, normalised, rectified, pooled = fw.layer_outputs(model, x)[:4]
    assert convolution.output.shape == (5, 16, 16, 8)
    assert pooled.output.shape == (5, 8, 8, 8)
    assert (normalised.output < 0).any()
    np.testing.assert_array_equal(rectified.output, np.maximum(normalised.output, 0))


def test_looking_at_layers_changes_nothing(fw, model, x):
    said, before = fw.predict(model, x), fw.get_state(model)
    fw.layer_outputs(model, x)
    fw.layer_costs(model, x)
    fw.centre_gradients(model, x)
    fw.multiply_adds(model, x)
    for old, new in zip(before, fw.get_state(model), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(said, fw.predict(model, x))


def test_multiply_adds_are_products_summed_up(fw, model, x):
    costs = fw.layer_costs(model, x)
    by_hand = [16 * 16 * 8 * 75, 0, 0, 0, 8 * 8 * 8 * 9, 0, 8 * 64 * 4]
    assert [cost.multiply_adds for cost in costs] == by_hand
    assert fw.multiply_adds(model, x) == sum(by_hand)
    assert costs[0].parameters == 3 * 25 * 8 + 8
    assert costs[0].shape == (16, 16, 8)
    assert costs[-1].shape == (4,)


def test_attention_is_counted(fw, x):
    model = a_network_with_attention(fw)
    stem, projections, attention, head = 16 * 48 * 8, 4 * 16 * 8 * 8, 2 * 16 * 16 * 8, 8 * 4
    assert fw.multiply_adds(model, x) == stem + projections + attention + head
    shares = {cost.kind: cost.multiply_adds for cost in fw.layer_costs(model, x)}
    assert projections + attention in shares.values()


def test_the_middle_of_a_map_sees_its_receptive_field(fw, model, x):
    seen = [(gradient > 0).any(axis=0) for _, gradient in fw.centre_gradients(model, x)]
    assert len(seen) == 5  # convolution, normalisation, ReLU, pooling, depthwise convolution
    widths = [int(field.any(axis=0).sum()) for field in seen]
    assert widths[:2] == [5, 5]
    assert 5 <= widths[3] <= 6  # pooling of two lets the larger of two values through
    assert 10 <= widths[4] <= 14  # three taps, two apart, on a map of half the size


def test_a_model_that_does_not_look_sees_nothing(fw, x):
    if fw.NAME == "pytorch":
        import torch
        from torch import nn

        class Blind(nn.Module):
            def __init__(self):
                super().__init__()
                self.map = nn.Identity()

            def forward(self, x):
                return self.map(torch.zeros(len(x), 4, 3, 3, requires_grad=True)).mean(dim=(2, 3))

        model = Blind()
    else:
        import keras

        class Blind(keras.Model):
            def __init__(self):
                super().__init__()
                self.map = keras.layers.Identity()

            def call(self, x, training=False):
                zeros = keras.ops.zeros((keras.ops.shape(x)[0], 3, 3, 4))
                return keras.ops.mean(self.map(zeros), axis=(1, 2))

        model = Blind()
    ((_, gradient),) = fw.centre_gradients(model, x)
    assert gradient.shape == (5, 16, 16)
    assert not gradient.any()


def test_a_model_that_gives_its_own_weights_multiplies_nothing(fw, x):
    if fw.NAME == "pytorch":
        import torch
        from torch import nn

        class Same(nn.Module):
            def __init__(self):
                super().__init__()
                self.logits = nn.Parameter(torch.zeros(4))

            def forward(self, x):
                return self.logits.expand(len(x), -1)

        model = Same()
    else:
        import keras

        class Same(keras.Model):
            def __init__(self):
                super().__init__()
                self.logits = self.add_weight(shape=(4,), initializer="zeros")

            def call(self, x, training=False):
                return keras.ops.broadcast_to(self.logits, (keras.ops.shape(x)[0], 4))

        model = Same()
    assert fw.multiply_adds(model, x) == 0
