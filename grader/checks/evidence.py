"""Evidence as data: what leaves the learner's process is strict JSON, never pickle.

NaN and the infinities have no JSON form; they are written as {"float": "nan"} and read back.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

VERSION = 1
MIME = "application/vnd.cnn-clinic.record+json"


class EvidenceError(ValueError):
    """The record is not one that this version of the course can judge; the message says why."""


@dataclass(frozen=True)
class Record:
    """What one run of a check leaves behind.

    Attributes:
        lab, check, framework: what was run.
        seed: the seed of the images that were used.  data: "tiles" or "folder".
        unseen: True when the images were not the practice images.
        status: "collected", or the outcome that was reached without evidence
            ("not attempted", "your code raised").
        evidence: measured values, JSON types only.
        error: for "your code raised": one line, type and message, and where.
        seconds: wall time of the collection, for `make bench`, never for a verdict.
    """

    lab: str
    check: str
    framework: str
    seed: int
    data: str
    unseen: bool
    status: str
    evidence: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    seconds: float = 0.0


def plain(value: Any) -> Any:
    """Return NumPy scalars, arrays, tuples and non-finite floats as JSON types.

    Raises:
        EvidenceError: a type that is not data (a model, a function, an object array).
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        if not all(isinstance(k, str) for k in value) or set(value) == {"float"}:
            raise EvidenceError("evidence keys are strings, and 'float' alone is reserved")
        return {k: plain(v) for k, v in value.items()}
    raise EvidenceError(f"evidence cannot hold a {type(value).__name__}")


def restore(value: Any) -> Any:
    """Undo `plain` for non-finite floats."""
    if isinstance(value, list):
        return [restore(v) for v in value]
    if isinstance(value, dict):
        if set(value) == {"float"}:
            if value["float"] not in ("nan", "inf", "-inf"):
                raise EvidenceError(f"not a float: {value['float']!r}")
            return float(value["float"])
        return {k: restore(v) for k, v in value.items()}
    return value


def pack(array: np.ndarray) -> dict[str, Any]:
    """An array of numbers as JSON types, every bit kept, in a third of the room of its digits."""
    return {
        "dtype": array.dtype.newbyteorder("<").str,
        "shape": list(array.shape),
        "base64": base64.b64encode(
            array.astype(array.dtype.newbyteorder("<"), order="C").tobytes()
        ).decode("ascii"),
    }


def unpack(packed: Any) -> np.ndarray:
    """Undo `pack`, and bring nothing but numbers: floats, integers or truth values.

    Raises:
        EvidenceError: what was handed over is no such array.
    """
    try:
        dtype = np.dtype(packed["dtype"])
        if dtype.kind not in "fiub":
            raise EvidenceError(f"an array of {dtype} is no array of numbers")
        content = base64.b64decode(packed["base64"], validate=True)
        return np.frombuffer(content, dtype).reshape(packed["shape"]).copy()
    except (KeyError, TypeError, ValueError) as error:
        raise EvidenceError(f"an array that was handed over cannot be read: {error}") from None


def unpack_like(packed: Any, like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Undo `pack` for arrays, such as weights, that are to have the shapes and types of others.

    Raises:
        EvidenceError: they are others, or none.
    """
    if not isinstance(packed, list | tuple):
        raise EvidenceError("what was handed over is no list of arrays")
    arrays = [unpack(each) for each in packed]
    if [(a.shape, a.dtype.kind) for a in arrays] != [(a.shape, a.dtype.kind) for a in like]:
        raise EvidenceError("the arrays that were handed over have other shapes than the weights")
    return [a.astype(wanted.dtype) for a, wanted in zip(arrays, like, strict=True)]


def to_json(record: Record) -> dict[str, Any]:
    """Return a record as the JSON object that a check cell puts into its output."""
    body = plain(asdict(record))
    return {"version": VERSION, **body}


def from_json(data: Any) -> Record:
    """Read a record back.

    Raises:
        EvidenceError: not an object, another version, a missing or a mistyped field.
    """
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except ValueError as error:
            raise EvidenceError(f"the record is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise EvidenceError("the record is not an object")
    if data.get("version") != VERSION:
        raise EvidenceError(f"the record has version {data.get('version')!r}, expected {VERSION}")
    kinds = {
        "lab": str,
        "check": str,
        "framework": str,
        "seed": int,
        "data": str,
        "unseen": bool,
        "status": str,
        "evidence": dict,
        "error": str,
        "seconds": float,
    }
    fields: dict[str, Any] = {}
    for name, kind in kinds.items():
        value = restore(data.get(name))
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise EvidenceError(f"the record's {name} is {value!r}, expected {kind.__name__}")
        fields[name] = value
    return Record(**fields)
