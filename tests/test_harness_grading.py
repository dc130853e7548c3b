"""What a result depends on, and one notebook graded as plain data in and out."""

from __future__ import annotations

import pickle
from dataclasses import replace

import harness_course as tiny
import nbformat
import pytest
from nbformat.v4 import new_output

from grader.harness import grading
from grader.harness.grading import Task, content_key, give_up, grade
from grader.harness.judging import plain_output
from grader.harness.rebuild import Submission, SubmittedCell


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tiny.environment(root).items():
            patch.setenv(name, value)
        folder = tiny.make(root)
        yield (folder / "solutions" / tiny.ASSIGNMENT / f"{tiny.NOTEBOOK}.ipynb").read_text()


def cells(**answers):
    return tuple(SubmittedCell(n, n, True, s, points=None) for n, s in answers.items())


RIGHT = Submission(cells(diagnosis=tiny.DIAGNOSED, repair=tiny.RIGHT), lab=tiny.LAB)


def key(source, submission=RIGHT, secret="s"):
    return content_key(source, tiny.LAB, "pytorch", submission, secret)


def task(source, submission=RIGHT):
    return Task(
        student="anna",
        assignment=tiny.ASSIGNMENT,
        notebook=tiny.NOTEBOOK,
        lab=tiny.LAB,
        framework="pytorch",
        source=source,
        submission=submission,
        secret="s",
        shut_in=False,
        key="k",
    )


def test_the_same_work_has_the_same_key(source):
    assert key(source) == key(source)
    reordered_ids = replace(RIGHT, cells=tuple(replace(c, id="") for c in RIGHT.cells))
    assert key(source, reordered_ids) == key(source)


@pytest.mark.parametrize(
    "submission",
    [
        Submission(cells(diagnosis=tiny.DIAGNOSED, repair=tiny.RIGHT + "\n# more")),
        Submission(cells(diagnosis=tiny.DIAGNOSED)),
        Submission((*RIGHT.cells, SubmittedCell("", "own", True, "print(1)"))),
        Submission(unreadable="The notebook that was handed in is not JSON."),
    ],
)
def test_another_answer_or_another_difference_is_other_work(source, submission):
    assert key(source, submission) != key(source)


def test_another_source_or_secret_is_other_work(source):
    assert key(source, secret="t") != key(source)
    notebook = nbformat.reads(source, as_version=4)
    next(c for c in notebook.cells if c.id == "check-repair").metadata.nbgrader["points"] = 10
    assert key(nbformat.writes(notebook)) != key(source)


def test_other_checks_or_another_package_are_other_work(source, monkeypatch):
    before = key(source)
    monkeypatch.setattr(grading, "_of_package", lambda: "changed")
    grading._of_course.cache_clear()
    assert key(source) != before
    monkeypatch.undo()
    grading._of_course.cache_clear()
    assert key(source) == before
    path = grading.labs_root() / tiny.LAB / "checks.py"
    text = path.read_text()
    path.write_text(text.replace("0.01", "0.02"))
    grading._of_course.cache_clear()
    assert key(source) != before
    path.write_text(text)
    grading._of_course.cache_clear()


def test_a_file_that_cannot_be_read_is_graded_without_a_kernel(source):
    why = "The notebook that was handed in is not JSON."
    done = pickle.loads(pickle.dumps(grade(task(source, Submission(unreadable=why)))))
    assert [c.points for c in done.result.checks] == [0, 0]
    assert [c.reason for c in done.result.checks] == [f"Not run. {why}"] * 2
    assert (done.result.key, done.result.stop) == ("k", why)
    assert nbformat.reads(done.executed, as_version=4).cells


def test_a_task_that_was_given_up_is_tried_again_by_the_next_call(source):
    done = give_up(task(source), "The worker process that ran it was ended by SIGKILL.")
    assert done.result.key == ""
    assert {c.outcome for c in done.result.checks} == {"not run"}
    assert "SIGKILL" in done.result.checks[0].reason
    assert done.result.answers["repair"] == tiny.RIGHT


def test_text_that_no_file_can_hold_stops_nothing(source):
    done = grade(task(source, Submission(unreadable="Half a pair: \ud800.")))
    done.executed.encode()
    assert done.result.checks[0].reason == "Not run. Half a pair: ?."
    kept = plain_output(new_output("stream", text="half \ud800"))
    assert kept.text == "half ?"
