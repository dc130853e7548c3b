"""Checksums of the generated images: what this machine makes is what every machine makes.

data/checksums.json holds the SHA-256 of a few reference draws. `verify` makes them again and
compares. A difference means that the generator changed, or that this machine's arithmetic is not
IEEE 754; `exact` says what was done so that nothing else can be the cause.

`python -m grader.datasets.checksums` writes the file anew, after a change of the generator that is
meant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grader.datasets import tiles
from grader.datasets.draw import draw
from grader.errors import ClinicError

PATH = Path(__file__).resolve().parents[2] / "data" / "checksums.json"


@dataclass(frozen=True)
class Result:
    """One reference draw.

    Attributes:
        name: what was drawn, such as "tiles/train n=1000 size=32 seed=0".
        expected: the SHA-256 in the file.
        found: the SHA-256 of what this machine made.
    """

    name: str
    expected: str
    found: str

    @property
    def ok(self) -> bool:
        return self.expected == self.found


def _drawn(split: str, n: int, size: int) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    def make() -> tuple[np.ndarray, np.ndarray]:
        drawn = draw("tiles", split, n, size=size, seed=0)
        return drawn.images, drawn.labels

    return make


#: One draw for every split and every generator, and one at another size.
REFERENCES: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "tiles/train n=1000 size=32 seed=0": _drawn("train", 1000, 32),
    "tiles/validation n=500 size=32 seed=0": _drawn("validation", 500, 32),
    "tiles/test n=500 size=32 seed=0": _drawn("test", 500, 32),
    "tiles/field n=500 size=32 seed=0": _drawn("field", 500, 32),
    "tiles/train n=100 size=64 seed=0": _drawn("train", 100, 64),
    "target/train n=120 size=32 seed=0": lambda: tiles.make_target(120, 32, 0),
}


def digest(images: np.ndarray, labels: np.ndarray) -> str:
    """SHA-256 over shape, pixels and labels, the same for either byte order."""
    sha = hashlib.sha256(repr(images.shape).encode())
    sha.update(np.ascontiguousarray(images, dtype=np.uint8).tobytes())
    sha.update(labels.astype("<i8").tobytes())
    return sha.hexdigest()


def compute() -> dict[str, str]:
    """The checksum of every reference draw, made now; about one second."""
    return {name: digest(*make()) for name, make in REFERENCES.items()}


def verify(path: Path = PATH) -> list[Result]:
    """Make the reference draws and compare them with the file.

    Raises:
        ClinicError: the file is missing or is not what `write` wrote.
    """
    try:
        expected = json.loads(path.read_text(encoding="utf-8"))
        names = set(expected)
    except FileNotFoundError:
        raise ClinicError(
            f"There are no checksums at {path}: work in a clone of the repository, or restore "
            "data/checksums.json."
        ) from None
    except (ValueError, TypeError):
        raise ClinicError(
            f"{path} is not a list of checksums: restore it from the repository."
        ) from None
    if names != set(REFERENCES):
        raise ClinicError(
            f"{path} does not name the reference draws of this version: restore it from the "
            "repository."
        )
    return [Result(name, expected[name], found) for name, found in compute().items()]


def write(path: Path = PATH) -> None:
    """Write the checksums of what is generated now."""
    path.write_text(json.dumps(compute(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
