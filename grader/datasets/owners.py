"""Labels of which half is not in the picture: what grows on a plot, and who owns it."""

from __future__ import annotations

import zlib

import numpy as np

from grader.datasets.images import Images

OWNERS = ("private", "public")


def add_owners(images: Images, *seed: object) -> Images:
    """Give every plot an owner, by a fair coin, and every class a private and a public half.

    The images stay as they are: nothing in them tells the owner. So on images that it has not
    learned by heart no classifier reaches a mean cross-entropy below ln 2 = 0.69 nats.

    Args:
        seed: anything that tells this draw from others, such as the split and the case's seed.
            An image's owner depends on it and on the image's position only, so the first m owners
            do not depend on how many images there are.

    Returns:
        Labels 2 * label + owner, and twice the classes, such as "forest, private".
    """
    rng = np.random.default_rng([zlib.crc32(str(part).encode()) for part in seed])
    public = (rng.random(len(images)) < 0.5).astype(np.int64)
    classes = tuple(f"{kind}, {owner}" for kind in images.classes for owner in OWNERS)
    return Images(images.images, 2 * images.labels + public, classes)
