"""`grader new-lab` makes a lab that lacks nothing but what its TODOs say."""

import re
from types import SimpleNamespace

import nbformat
import pytest

from grader.authoring import build
from grader.authoring.lint import lint_lab
from grader.authoring.scaffold import new_lab
from grader.authoring.source import read_answers, read_lab
from grader.checks import Case, engine
from grader.checks.catalogue import load_checks
from grader.errors import ClinicError

LAB = "1_data/07_wrong_flips"


def fill(folder):
    """Do what every TODO asks for, with the least that will do."""
    for path in folder.rglob("*.py"):
        text = path.read_text()
        text = text.replace("TODO: rows of the source list, such as 000/28", "000/28")
        text = re.sub(r"# TODO: .*", "# Written.", text)
        text = re.sub(r"TODO: [^\"|\n]*", "Written.", text)
        path.write_text(text)


@pytest.fixture
def folder(tmp_path):
    return new_lab(tmp_path, LAB, 'The "flips": wrong way round')


def release(folder):
    lab = folder / "lab.py"
    lab.write_text(lab.read_text(encoding="utf-8").replace("# draft: true\n", ""), encoding="utf-8")


def test_the_scaffold_has_every_file_of_a_lab(folder, tmp_path):
    assert folder == tmp_path / "labs" / LAB
    assert {str(p.relative_to(folder)) for p in folder.rglob("*.py")} == {
        "lab.py",
        "checks.py",
        "answers/pytorch.py",
        "answers/tensorflow.py",
    }
    assert read_lab(LAB, tmp_path / "labs").header.title == 'The "flips": wrong way round'


def test_every_todo_is_listed_with_its_line(folder, tmp_path):
    todos = {
        (f"labs/{LAB}/{p.relative_to(folder)}", i)
        for p in folder.rglob("*.py")
        for i, line in enumerate(p.read_text().splitlines(), 1)
        if "TODO" in line
    }
    found = lint_lab(LAB, tmp_path / "labs")
    assert len(todos) > 30
    assert todos == {(p.path, p.line) for p in found}


def test_a_new_lab_is_a_draft_until_its_author_says_otherwise(folder, tmp_path):
    fill(folder)
    assert build.build(tmp_path) == []
    release(folder)
    assert len(build.build(tmp_path)) == 2


def test_once_filled_it_passes_the_linter_and_builds(folder, tmp_path):
    fill(folder)
    release(folder)
    assert [str(p) for p in lint_lab(LAB, tmp_path / "labs")] == []
    for built in build.build(tmp_path):
        nbformat.validate(nbformat.read(built.notebook, as_version=4))
    assert build.check(tmp_path) == []


def test_once_filled_every_answer_gets_the_verdict_it_expects(folder, tmp_path):
    fill(folder)
    lab = read_lab(LAB, tmp_path / "labs")
    checks = load_checks(LAB, tmp_path / "labs")
    case = Case(lab=LAB, framework="pytorch", seed=7, practice_seed=0)
    session = SimpleNamespace(draw=case.practice().draw, check=lambda name: None)
    for answer in read_answers(lab, "pytorch"):
        namespace = {"lab": session}
        for cell in lab.for_framework("pytorch"):
            if not cell.markdown and cell.role not in ("picture", "proof", "check"):
                source = answer.source if cell.name == answer.cell else cell.source
                try:
                    exec(source, namespace)
                except Exception:
                    assert answer.kind == "crash"
        for name in [answer.cell] if answer.cell else list(checks):
            record = engine.collect(checks[name], case, namespace, unseen=True)
            verdict = engine.judge(checks[name], case, engine.measure(checks[name], case, record))
            assert verdict.outcome.value == answer.expect, (answer.name, verdict.sentence)


@pytest.mark.parametrize(
    "lab", ["", "flips", "1_data", "1_data/flips", "data/07_flips", "1_data/07_Flips", "../07_x"]
)
def test_an_id_of_another_form_is_refused(tmp_path, lab):
    with pytest.raises(ClinicError, match="such as 1_data/07_wrong_flips"):
        new_lab(tmp_path, lab, "A title")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("title", ["", "  ", "two\nlines", "Look!"])
def test_a_title_that_cannot_stand_above_a_notebook_is_refused(tmp_path, title):
    with pytest.raises(ClinicError, match="title"):
        new_lab(tmp_path, LAB, title)


def test_an_existing_folder_is_left_alone(folder, tmp_path):
    (folder / "lab.py").write_text("mine")
    with pytest.raises(ClinicError, match="exists already"):
        new_lab(tmp_path, LAB, "Another")
    assert (folder / "lab.py").read_text() == "mine"
    assert [p.name for p in folder.parent.iterdir()] == ["07_wrong_flips"]
