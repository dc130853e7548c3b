"""Copied answers are found however they are disguised; independent right answers are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.authoring.source import read_answers, read_lab
from grader.checks.catalogue import lab_ids
from grader.frameworks import NAMES
from grader.harness.lookalikes import ALIKE, IDIOM, Answers, runs, tokens

STARTER = "def train(images):\n    # YOUR CODE HERE\n    return images"
ANSWER = """
def prepare(images, mean=0.5):
    scaled = np.asarray(images, dtype="float32") / 255
    return (scaled - mean) / scaled.std(axis=(0, 1, 2), keepdims=True)

def train(images):
    batch = prepare(images)
    for channel in range(batch.shape[-1]):
        batch[..., channel] = np.clip(batch[..., channel], -3, 3)
    return batch.transpose(0, 3, 1, 2)
"""
RENAMED = (
    "# my own work\n"
    + ANSWER.replace("prepare", "normal").replace("scaled", "x").replace("batch", "out")
).replace("    ", "  ")


def found_in(answers, released=STARTER):
    cell = Answers("01_dark", "repair", runs(released))
    for student, source in answers.items():
        cell.add(student, source)
    return cell.find()


def test_an_answer_with_other_names_comments_and_indents_is_the_same_answer():
    (pair,) = found_in({"ada": ANSWER, "bob": RENAMED, "eve": "x = 1"})
    assert (pair.first, pair.second, pair.similarity) == (("ada", "bob"), (), 1.0)


def test_an_answer_with_a_changed_line_is_still_found():
    (pair,) = found_in({"ada": ANSWER, "bob": RENAMED.replace("-3, 3", "-3, 4")})
    assert (pair.first, pair.second) == (("ada",), ("bob",))
    assert ALIKE <= pair.similarity < 1


def test_short_answers_are_never_compared():
    assert (
        found_in(dict.fromkeys(["ada", "bob"], "def train(images):\n    return images / 255")) == []
    )


def test_what_was_released_counts_for_nothing():
    assert found_in({"ada": ANSWER, "bob": ANSWER}, released=ANSWER) == []


def test_names_and_literals_are_told_apart():
    assert tokens("x = a") != tokens("x = 'a'")
    assert tokens("x = 1") != tokens("x = 2")
    assert tokens("x = y.x") == tokens("z = y.x") != tokens("x = y.z")


def test_many_copies_with_a_change_each_are_found_as_a_chain():
    copies = {f"s{i:03}": ANSWER.replace("0.5", f"0.{i}") for i in range(1, 2 * IDIOM)}
    linked = set()
    for pair in found_in(copies):
        linked |= {*pair.first, *pair.second}
    assert linked == set(copies)


def test_a_class_of_thousands_is_compared_without_comparing_every_pair(monkeypatch):
    import grader.harness.lookalikes as module

    draw = np.random.default_rng(0)
    compared = []
    intersect = np.intersect1d
    monkeypatch.setattr(
        module.np, "intersect1d", lambda *a, **k: compared.append(1) or intersect(*a, **k)
    )
    answers = {
        f"s{i}": "\n".join(f"y = f{n}(x, {n})" for n in draw.integers(0, 10**6, 20))
        for i in range(2000)
    }
    answers["copy"] = answers["s7"] + "\ny = 1"
    (pair,) = found_in(answers)
    assert {*pair.first, *pair.second} == {"s7", "copy"}
    assert len(compared) < 100


@given(st.text(max_size=200))
def test_any_text_can_be_read(text):
    runs(text)


# One text but for the function that is called: made as a copy, and rightly found as one.
A_COPY = {"tfrecord_that_fails_loudly", "decoded_at_a_quarter_then_stored"}


@pytest.mark.slow
@pytest.mark.parametrize("framework", NAMES)
@pytest.mark.parametrize("lab", lab_ids())
def test_the_different_right_answers_of_the_course_are_not_accused(lab, framework):
    source = read_lab(lab)
    answers = [a for a in read_answers(source, framework) if a.kind in ("right", "healthy")]
    for cell in source.for_framework(framework):
        own = {a.name: a.source for a in answers if a.cell == cell.name}
        if cell.role == "answer" and len(own) > 1:
            accused = [{*p.first, *p.second} for p in found_in(own, released=cell.starter())]
            assert [a for a in accused if a != A_COPY] == []
