"""The demo class: one student of each kind, and only the right repair earns all points."""

from __future__ import annotations

import harness_course as tiny
import pytest

from grader.authoring.source import read_lab
from grader.checks.verdict import Outcome
from grader.errors import ClinicError
from grader.harness import demo
from grader.harness.gradebook import Row

ANSWERS = """# %% wrong_reading kind="wrong" cell="diagnosis"
cause, reading = "factor", 50.0

# %% adds_three kind="wrong"
def double(x):
    return x + 3

# %% raises kind="crash"
def double(x):
    raise ValueError("no idea")
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tiny.environment(root).items():
            patch.setenv(name, value)
        tiny.make(root)
        folder = root / "labs" / tiny.LAB / "answers"
        folder.mkdir()
        (folder / "pytorch.py").write_text(ANSWERS)
        yield root


def test_the_class_holds_one_of_each_kind(root):
    students = demo.class_of(root, read_lab(tiny.LAB).header, "pytorch")
    answers = {s.name: s.answers.get("repair", "") for s in students}
    assert list(answers) == ["untouched", "right", "wrong", "crashing"]
    assert "x * 2" in answers["right"]
    assert "x + 3" in answers["wrong"]
    assert "no idea" in answers["crashing"]
    assert [s.name for s in students if s.earns_all] == ["right"]


def row(student, points):
    return Row(student, "a", "n", "repair", points, 4, Outcome.NOT_YET, "Not yet. Because.")


def test_an_undeserved_grade_is_a_surprise():
    students = [demo.Student("right", "", {}, earns_all=True), demo.Student("wrong", "", {})]
    assert demo.find_surprises([row("right", 4), row("wrong", 3)], students) == []
    assert demo.find_surprises([row("right", 3), row("wrong", 4)], students) == [
        "SURPRISE: 'right' earned less than all points.",
        "SURPRISE: 'wrong' earned all points.",
    ]
    assert len(demo.find_surprises([], students)) == 1


def test_a_folder_with_something_else_is_left_alone(root, tmp_path):
    (tmp_path / "work.txt").write_text("mine")
    header = read_lab(tiny.LAB).header
    with pytest.raises(ClinicError, match="holds something else"):
        demo.make_class(root, tmp_path, header, ["pytorch"])
    assert (tmp_path / "work.txt").read_text() == "mine"


@pytest.mark.slow
def test_the_demo_grades_prints_and_can_be_run_again(root, tmp_path, capsys):
    folder = tmp_path / "class"
    for _ in range(2):
        assert demo.demo(root, folder, tiny.LAB, ["pytorch"]) == 0
        text = capsys.readouterr().out
        assert "adds_three" in text
        assert "double(100) is 103" in text
        assert "ValueError: no idea" in text
        assert "Only the right repair earns all points." in text
        assert "make lab" in text
    assert len(list(folder.glob("feedback/*/*/*.html"))) == 4
