"""Random numbers and arithmetic that come out the same on every processor.

The tiles carry checksums, so a tile must not depend on the machine that makes it. Four things would
make it depend, and this is what is done about each:

- *The order in which random numbers are drawn.* There is no running generator. Every number is a
  hash of a tile's own key and a counter, so a tile is the same alone, in a chunk, or in a draw of
  another length, and NumPy may change its generators without changing a tile.
- *sin, cos, exp, pow.* Their last bit differs between processors (NumPy picks the code by the
  vector instructions it finds). `sine` uses only +, -, *, abs and rint, which IEEE 754 rounds in
  one way everywhere; so does everything else here and in `tiles`. (The one `pow`, in
  `faults.lighting_drift`, says there why it is safe.)
- *Matrix products.* BLAS adds in an order of its own. `smooth_noise` multiplies whole numbers held
  in float64 whose sums stay below 2**53: exact, hence the same in every order and thread count.
- *Integer overflow.* It is meant, and defined, for unsigned NumPy arrays.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_POINT_BITS = 15  # control points are whole numbers in [-2**15, 2**15)
_WEIGHT_BITS = 12  # interpolation weights are whole numbers of 2**-12


def key(*parts: object) -> int:
    """A 64-bit key for any description, such as ("tiles", "train", seed); SHA-256 underneath."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def mix64(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, 2014): uint64 in, well mixed uint64 out."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def mix32(x: np.ndarray) -> np.ndarray:
    """A 32-bit finaliser of two rounds (constants: C. Wellons, hash-prospector), in place."""
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x21F0AAAD)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x735A2D97)
    x ^= x >> np.uint32(15)
    return x


def keys(n: int, *parts: object) -> np.ndarray:
    """`n` different keys, uint64 (n,); the first m of them do not depend on n."""
    return mix64(np.arange(1, n + 1, dtype=np.uint64) * GOLDEN + np.uint64(key(*parts)))


def uniforms(n: int, *parts: object) -> np.ndarray:
    """`n` numbers in [0, 1), float64 (n,), from the description in `parts`."""
    return (keys(n, *parts) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def order(n: int, *parts: object) -> np.ndarray:
    """A permutation of 0..n-1, int64 (n,), from the description in `parts`."""
    return np.argsort(keys(n, *parts), kind="stable").astype(np.int64)


def balanced_labels(n: int, classes: int, *parts: object) -> np.ndarray:
    """Labels int64 (n,) in blocks that hold every class once, in a mixed order.

    Every prefix is balanced to within one image a class, and does not depend on n.
    """
    blocks = -(-n // classes)
    hashed = keys(blocks * classes, *parts).reshape(blocks, classes)
    return np.argsort(hashed, axis=1, kind="stable").reshape(-1)[:n].astype(np.int64)


class Stream:
    """Random numbers for n tiles at once, each tile's from its own key.

    Every call takes the next counter, for all tiles alike: a tile's numbers do not depend on which
    tiles are painted with it.
    """

    def __init__(self, tile_keys: np.ndarray) -> None:
        self.keys = tile_keys
        self._count = 0

    def __len__(self) -> int:
        return len(self.keys)

    def next_keys(self) -> np.ndarray:
        """Fresh keys, uint64 (n,), one a tile."""
        self._count += 1
        return mix64(self.keys + np.array(self._count, np.uint64) * GOLDEN)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """One number a tile in [low, high), float32 (n, 1, 1)."""
        unit = (self.next_keys() >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
        return (low + (high - low) * unit)[:, None, None]

    def bits(self, *shape: int) -> np.ndarray:
        """An array of 32 random bits a tile, uint32 (n, *shape)."""
        low, high = _halves(self.next_keys())
        place = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(0x9E3779B1)
        x = place[None] + low[:, None]
        x ^= (x >> np.uint32(15)) + high[:, None]
        return mix32(x).reshape(len(self), *shape)

    def cells(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """One number in [0, 1) for every grid cell: float32, the shape of i and j.

        i and j are whole-numbered float arrays (n, H, W): the cell in which a pixel lies. Pixels of
        one cell get the same number.
        """
        low, high = _halves(self.next_keys())
        x = i.astype(np.int32).view(np.uint32) * np.uint32(0x9E3779B1)
        x ^= j.astype(np.int32).view(np.uint32) * np.uint32(0x85EBCA77)
        x += low[:, None, None]
        x ^= (x >> np.uint32(15)) + high[:, None, None]
        return (mix32(x) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)

    def smooth_noise(self, size: int, cells: int) -> np.ndarray:
        """Smooth value noise of about [-1, 1], `cells` blobs across: float32 (n, size, size)."""
        points = cells + 3
        matrix = _interpolation(size, points)
        # Shift first, subtract after: the values are whole numbers in [-2**15, 2**15).
        grid = (self.bits(points, points) >> np.uint32(16)).astype(np.float64) - 2.0**_POINT_BITS
        blown_up = matrix @ (grid @ matrix.T)
        return (blown_up * 2.0 ** -(_POINT_BITS + 2 * _WEIGHT_BITS)).astype(np.float32)

    def film_grain(self, *shape: int) -> np.ndarray:
        """Noise with a triangular density on (-1, 1), float32 (n, *shape); variance 1/6."""
        x = self.bits(*shape)
        total = (x >> np.uint32(16)).astype(np.float32) + (x & np.uint32(0xFFFF)).astype(np.float32)
        return total * np.float32(2.0**-16) - np.float32(1)


def _halves(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.astype(np.uint32), (x >> np.uint64(32)).astype(np.uint32)


def sine(turns: np.ndarray) -> np.ndarray:
    """sin(2 pi turns) to within 0.0011, from exactly rounded operations only.

    A parabola through the zeros and peaks, corrected once by its own square (the old trick of
    signal processors); the error does not matter for a picture, the reproducibility does.
    """
    r = turns - np.rint(turns)
    y = r * (8 - 16 * np.abs(r))
    return y + 0.225 * (y * np.abs(y) - y)


@lru_cache(maxsize=64)
def _interpolation(size: int, points: int) -> np.ndarray:
    """Catmull-Rom interpolation from `points` to `size`, whole numbers of 2**-12 in float64."""
    t = (np.arange(size) + 0.5) / size * (points - 3) + 1
    i = np.floor(t).astype(int)
    f = t - i
    ff = f * f
    weights = np.stack(
        [
            -0.5 * f * ff + ff - 0.5 * f,
            1.5 * f * ff - 2.5 * ff + 1,
            -1.5 * f * ff + 2 * ff + 0.5 * f,
            0.5 * f * ff - 0.5 * ff,
        ],
        axis=1,
    )
    matrix = np.zeros((size, points))
    for tap in range(4):
        np.add.at(
            matrix,
            (np.arange(size), np.clip(i - 1 + tap, 0, points - 1)),
            np.rint(weights[:, tap] * 2.0**_WEIGHT_BITS),
        )
    matrix.setflags(write=False)  # it is cached, and shared
    return matrix
