"""What leaves the learner's process is data, and nothing else comes back."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.checks.evidence import (
    EvidenceError,
    Record,
    from_json,
    pack,
    plain,
    restore,
    to_json,
    unpack,
    unpack_like,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8).filter(lambda k: k != "float"), inner, max_size=4)
    ),
    max_leaves=20,
)


def same(a, b):
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b and type(a) is type(b)


def a_record(**changes):
    fields = {
        "lab": "1_data/01_x",
        "check": "repair",
        "framework": "pytorch",
        "seed": 3,
        "data": "tiles",
        "unseen": True,
        "status": "collected",
        "evidence": {"loss": 2.3},
    }
    return Record(**(fields | changes))


@given(st.dictionaries(st.text(max_size=8).filter(lambda k: k != "float"), json_values, max_size=5))
def test_a_record_survives_the_way_through_strict_json(evidence):
    text = json.dumps(to_json(a_record(evidence=evidence)), allow_nan=False)
    assert same(from_json(text).evidence, evidence)


@given(json_values)
def test_plain_and_restore_are_inverse(value):
    assert same(restore(plain(value)), value)


def test_numpy_values_become_plain_ones():
    found = plain({"a": np.float32(1.5), "b": np.arange(3), "c": (np.bool_(True), np.int64(4))})
    assert found == {"a": 1.5, "b": [0, 1, 2], "c": [True, 4]}


@pytest.mark.parametrize(
    "value", [object(), lambda: 1, {1: 2}, {"float": "x"}, np.array([object()])]
)
def test_what_is_not_data_is_refused(value):
    with pytest.raises(EvidenceError):
        plain(value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("lab"),
        lambda d: d.update(version=99),
        lambda d: d.update(seed="3"),
        lambda d: d.update(seed=True),
        lambda d: d.update(unseen=1),
        lambda d: d.update(evidence=[1]),
        lambda d: d.update(seconds={"float": "0x1"}),
    ],
)
def test_a_damaged_record_is_refused_with_a_reason(damage):
    data = to_json(a_record())
    damage(data)
    with pytest.raises(EvidenceError) as caught:
        from_json(data)
    assert str(caught.value)


@given(st.text(max_size=40) | json_values)
def test_arbitrary_data_never_becomes_a_record_by_accident(value):
    with pytest.raises(EvidenceError):
        from_json(value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64", "bool"])
def test_a_packed_array_keeps_every_bit(dtype):
    array = (np.array([[0, 1, 3], [7, 100, 0]]) / 3).astype(dtype)
    found = unpack(json.loads(json.dumps(pack(array))))
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


def test_a_packed_array_keeps_what_is_no_number():
    assert np.isnan(unpack(pack(np.array([np.nan], dtype=np.float32)))).all()


@pytest.mark.parametrize(
    "packed",
    [
        None,
        {},
        {"dtype": "<f4", "shape": [2], "base64": "AAAA"},
        {"dtype": "<f4", "shape": [1], "base64": "not base64"},
        {"dtype": "O", "shape": [1], "base64": "AAAAAAAAAAA="},
        {"dtype": [["a", "<f4"]], "shape": [1], "base64": "AAAAAA=="},
    ],
)
def test_what_is_no_packed_array_is_refused(packed):
    with pytest.raises(EvidenceError):
        unpack(packed)


WEIGHTS = [np.array([[0.1, math.nan], [math.inf, -3.0]], np.float32), np.array(2, np.int64)]


def test_weights_come_back_in_their_shapes_and_types():
    for array, weights in zip(
        unpack_like([pack(w) for w in WEIGHTS], WEIGHTS), WEIGHTS, strict=True
    ):
        assert np.array_equal(array, weights, equal_nan=True)


@pytest.mark.parametrize(
    "forged",
    [
        None,
        0.5,
        [],
        "ab",
        [pack(WEIGHTS[0])],
        [pack(w.reshape(-1)) for w in WEIGHTS],
        [pack(np.zeros(w.shape, np.uint8)) for w in WEIGHTS],
    ],
)
def test_what_is_not_weights_of_that_model_is_refused(forged):
    with pytest.raises(EvidenceError, match="handed over"):
        unpack_like(forged, WEIGHTS)
