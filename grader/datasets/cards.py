"""The committed sample of the tiles, and contact sheets of any images.

`python -m grader.datasets.cards` writes data/sample anew.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from grader.datasets.draw import draw
from grader.datasets.images import Images

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"
_PER_CLASS = 2
_GAP = 2


def contact_sheet(images: Images, per_class: int = 10, scale: int = 2) -> np.ndarray:
    """One row a class, in the order of `images.classes`: uint8 (rows, columns, 3).

    A row holds the first `per_class` images of its class, or black where there are fewer. Pixels
    are enlarged `scale` times.
    """
    size = images.images.shape[1]
    step = size + _GAP
    sheet = np.zeros((len(images.classes) * step - _GAP, per_class * step - _GAP, 3), np.uint8)
    for label in range(len(images.classes)):
        for column, index in enumerate(np.flatnonzero(images.labels == label)[:per_class]):
            top, left = label * step, column * step
            sheet[top : top + size, left : left + size] = images.images[index]
    return sheet.repeat(scale, axis=0).repeat(scale, axis=1)


def sample_images() -> Images:
    """What data/sample holds: the first two training tiles of every class, 32 px, seed 0."""
    return draw("tiles", "train", _PER_CLASS * 10, size=32, seed=0)


def write_sample(path: Path = SAMPLE) -> None:
    """Write the sample as `<class>/<k>.png`, and a contact sheet of six tiles a class."""
    sample = sample_images()
    for label, name in enumerate(sample.classes):
        (path / name).mkdir(parents=True, exist_ok=True)
        for k, index in enumerate(np.flatnonzero(sample.labels == label)):
            Image.fromarray(sample.images[index]).save(path / name / f"{k}.png", optimize=True)
    sheet = contact_sheet(draw("tiles", "train", 60, size=32, seed=0), per_class=6, scale=1)
    Image.fromarray(sheet).save(path / "contact_sheet.png", optimize=True)


if __name__ == "__main__":
    write_sample()
