"""An archive as people collect them: few of some classes, and many a scene more than once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grader.datasets import exact, faults
from grader.datasets.images import Images


def archive(
    images: Images,
    classes: Sequence[int],
    counts: Sequence[int],
    *,
    copies: float = 0.0,
    seed: int = 0,
) -> tuple[Images, np.ndarray]:
    """Choose some classes, keep some images of each, and put copies of some scenes in.

    A scene is at most three images of one class: an original, the same moved by a pixel and a few
    per cent brighter or darker (`faults.near_duplicates`), and the same bytes once more. A copy
    replaces another image of its class, so copies do not change the counts.

    Args:
        images: to choose from, at least as many of each class as `counts` asks for; where there
            are fewer, all of them stay.
        classes: positions in `images.classes`; in this order they become labels 0, 1, 2 ...
            Positions beyond the last class count on from the first; repetitions are left out.
        counts: images of each of them, at least 1.
        copies: share of the originals, a third of the images, that get a near copy, and share that
            get an exact one; the two are chosen independently of each other.
        seed: which images stay, which are copied, and the order.

    Returns:
        The images in a random order, and the number of each one's scene, int64 (N,): equal for
        images of one scene, without order or meaning otherwise.
    """
    places = list(dict.fromkeys(c % len(images.classes) for c in classes))
    images = images.only(places)
    kept = dict(zip(range(len(places)), counts, strict=False))
    there = np.bincount(images.labels, minlength=len(places))
    shares = [min(1.0, kept[c] / max(1, there[c])) for c in range(len(places))]
    images, _ = faults.imbalance(images, shares, seed=seed)

    third = np.zeros(len(images), np.int64)
    for label in range(len(places)):
        members = np.flatnonzero(images.labels == label)
        third[members] = np.arange(len(members)) % 3
    originals, near, same = (np.flatnonzero(third == part) for part in range(3))
    pixels, scenes = images.images.copy(), np.arange(len(images))
    for part, is_exact in ((near, False), (same, True)):
        copied, truth = faults.near_duplicates(
            images.pick(part), images.pick(originals), copies, seed=seed + is_exact
        )
        places_in_part, of = truth.parameters["pairs"].T
        pixels[part] = copied.images
        if is_exact:
            pixels[part[places_in_part]] = images.images[originals[of]]
        scenes[part[places_in_part]] = scenes[originals[of]]
    order = exact.order(len(images), "archive", seed)
    return replace(images, images=pixels).pick(order), scenes[order]
