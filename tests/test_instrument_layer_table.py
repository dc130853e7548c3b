"""The table of layers: measured on any model, in both frameworks, and said in words."""

import numpy as np
import pytest

from grader import frameworks
from grader.instruments.layer_table import (
    LayerRow,
    LayerTable,
    draw_layers,
    measure_layers,
    say_layers,
    table_as_text,
)

IMAGES = np.random.default_rng(0).random((6, 16, 16, 3), dtype=np.float32)


@pytest.fixture(params=frameworks.NAMES)
def fw(request):
    module = frameworks.load(request.param)
    module.set_seed(0)
    return module


def a_shortcut(fw):
    """A strided convolution, then a block whose shortcut goes round it, then the mean and logits.

    Written with functions where people use functions, so that no list of layers tells its shape.
    """
    if fw.NAME == "pytorch":
        from torch import nn
        from torch.nn import functional as F

        class Shortcut(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
                self.block = nn.Conv2d(4, 4, 3, padding=1)
                self.head = nn.Linear(4, 2)

            def forward(self, x):
                x = F.leaky_relu(self.stem(x))
                return self.head((x + F.leaky_relu(self.block(x))).mean(dim=(2, 3)))

        return Shortcut()
    import keras
    from keras import layers

    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="leaky_relu")(images)
    x = x + layers.Conv2D(4, 3, padding="same", activation="leaky_relu")(x)
    return keras.Model(images, layers.Dense(2)(keras.ops.mean(x, axis=(1, 2))))


def test_a_model_with_a_shortcut_is_measured(fw):
    table = measure_layers(fw, a_shortcut(fw), fw.from_images(IMAGES))
    stem, block = [row for row in table.maps if row.parameters]
    assert (stem.shape, block.shape) == ((8, 8, 4), (8, 8, 4))
    assert (stem.field, block.field) == (3, 7)  # 3, then two positions more, two pixels apart each
    assert stem.multiply_adds == 8 * 8 * 4 * 27
    assert table.image == 16
    assert table.multiply_adds == 8 * 8 * 4 * (27 + 36) + 4 * 2


def row(name="conv", shape=(8, 8, 4), field=5, multiply_adds=100):
    return LayerRow(name, "Conv2d", shape, 10, multiply_adds, field)


def test_the_sentence_names_the_last_map_and_what_it_sees():
    dense = LayerRow("head", "Linear", (2,), 5, 8, None)
    text = say_layers(LayerTable(32, (row(), row(shape=(1, 1, 16), field=32), dense), 208))
    assert "1 x 1 positions" in text
    assert "sees 32 of the image's 32 pixels" in text
    assert "25 parameters and 208 multiply-adds" in text


def test_a_model_without_a_map_is_said_to_have_none():
    dense = LayerRow("head", "Linear", (2,), 5, 8, None)
    assert say_layers(LayerTable(32, (dense,), 8)).startswith("No layer gives a map.")


def test_the_printed_table_has_a_line_a_layer_and_keeps_its_columns():
    long = row("stages.0.blocks.1.convolutions.first")
    lines = table_as_text(LayerTable(32, (row(), long), 200)).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines[:3]}) == 1
    assert "8 x 8 x 4" in lines[1]
    assert lines[-1].endswith("200")


def test_every_model_has_its_own_line_in_the_picture():
    table = LayerTable(32, (row(), row(shape=(4, 4, 8), field=9)), 200)
    left, right = draw_layers({"sick": table, "repaired": table}).axes
    assert [line.get_label() for line in left.lines[:2]] == ["sick", "repaired"]
    np.testing.assert_array_equal(right.lines[0].get_ydata(), [5, 9])
