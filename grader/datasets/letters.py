"""Letters painted on the ground: a task whose one nuisance, where the letter lies, is known.

The label is the letter. It lies anywhere in the tile, upright and never mirrored, on ground that
says nothing about it. So what an unseen image can differ in is known exactly, and with it which
variations of a training image are worth having: moved ones are, mirrored ones are not.
"""

from __future__ import annotations

import numpy as np

from grader.datasets import exact
from grader.datasets.faults import Truth
from grader.datasets.images import Images
from grader.errors import ClinicError

# No letter is its own mirror image, and none is the mirror image of another.
_GLYPHS = {
    "F": "##### #.... #.... ####. #.... #.... #....",
    "G": ".###. #...# #.... #.### #...# #...# .###.",
    "J": "..### ...#. ...#. ...#. ...#. #..#. .##..",
    "K": "#...# #..#. #.#.. ##... #.#.. #..#. #...#",
    "L": "#.... #.... #.... #.... #.... #.... #####",
    "N": "#...# ##..# ##..# #.#.# #..## #..## #...#",
    "P": "####. #...# #...# ####. #.... #.... #....",
    "Q": ".###. #...# #...# #...# #.#.# #..#. .##.#",
    "R": "####. #...# #...# ####. #.#.. #..#. #...#",
    "S": ".#### #.... #.... .###. ....# ....# ####.",
}
LETTERS = tuple(_GLYPHS)
HEIGHT, WIDTH = 7, 5
_MASKS = np.array([[[c == "#" for c in row] for row in g.split()] for g in _GLYPHS.values()])
_DUSK = 115  # of 256: how bright the ground stays, so that paint stands out from any ground
_PAINT = 115  # added where there is paint, with a tint of up to 15 either way in each channel


def paint_letters(ground: Images, *seed: object) -> tuple[Images, Truth]:
    """Paint one letter on every image, at a place drawn evenly from all places it fits.

    Args:
        ground: uint8 images of at least 7 pixels on a side; their labels are not used.
        seed: anything that tells this draw from others, such as a split's name and a number.

    Returns:
        Images with the letters as classes, balanced to within one image a class in every prefix.
        Parameters: top, left, int64 (N,): the pixel of the letter's upper left corner.

    Raises:
        ClinicError: the images are too small for a letter.
    """
    n, height, width = ground.images.shape[:3]
    if height < HEIGHT or width < WIDTH:
        raise ClinicError(f"A letter of 7 by 5 pixels does not fit on {height} by {width}.")
    labels = exact.balanced_labels(n, len(LETTERS), "letters", *seed)
    top = _evenly(height - HEIGHT + 1, n, "letters top", *seed)
    left = _evenly(width - WIDTH + 1, n, "letters left", *seed)
    tint = _evenly(31, 3 * n, "letters tint", *seed).reshape(n, 1, 1, 3) - 15
    pixels = (ground.images.astype(np.int64) * _DUSK) >> 8
    rows = top[:, None, None] + np.arange(HEIGHT)[None, :, None]
    columns = left[:, None, None] + np.arange(WIDTH)[None, None, :]
    which = np.arange(n)[:, None, None]
    pixels[which, rows, columns] += _MASKS[labels][..., None] * (_PAINT + tint)
    painted = Images(np.clip(pixels, 0, 255).astype(np.uint8), labels, LETTERS)
    return painted, Truth("paint_letters", np.ones(n, bool), {"top": top, "left": left})


def _evenly(below: int, n: int, *parts: object) -> np.ndarray:
    return (exact.uniforms(n, *parts) * below).astype(np.int64)
