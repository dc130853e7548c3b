"""The order in which training sees the images: one definition for both frameworks."""

from __future__ import annotations

import numpy as np


def batch_order(n: int, batch_size: int, steps: int, seed: int) -> list[np.ndarray]:
    """Return `steps` index arrays (batch_size,), without replacement within an epoch.

    The ragged end of an epoch is dropped so that every batch has the same size (in TensorFlow a
    second shape would mean a second trace); a set smaller than a batch is one batch.
    """
    size = min(batch_size, n)
    per_epoch = max(1, n // size)
    batches: list[np.ndarray] = []
    epoch = 0
    while len(batches) < steps:
        permutation = np.random.default_rng([seed % 2**32, 7, epoch]).permutation(n)
        batches += [permutation[i * size : (i + 1) * size] for i in range(per_epoch)]
        epoch += 1
    return batches[:steps]
