"""One lab.py becomes four notebooks, nbgrader makes the same ones, and no work is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from authoring_course import LAB, NOTEBOOK, edit, make_course
from hypothesis import HealthCheck, given, settings
from test_authoring_source import CODE, PROSE

from grader.authoring import build
from grader.authoring.source import BEGIN, END, STUB
from grader.checks import catalogue
from grader.errors import ClinicError

pytest.importorskip("nbgrader")
REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def course(tmp_path):
    return make_course(tmp_path)


def read(path):
    return nbformat.read(path, as_version=4)


def cell(notebook, name):
    return next(c for c in notebook.cells if c.id == name)


def files(root):
    """Every notebook's bytes and time of last change, by path."""
    return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in root.glob("*/*/*.ipynb")}


def test_each_framework_gets_a_learner_and_a_solution_notebook(course):
    built = build.build(course)
    assert [(b.lab, b.framework, b.changed) for b in built] == [
        (LAB, "pytorch", True),
        (LAB, "tensorflow", True),
    ]
    assert built[0].notebook == course / "notebooks" / NOTEBOOK
    assert built[0].solution == course / "solutions" / NOTEBOOK
    assert all(b.notebook.is_file() and b.solution.is_file() for b in built)


def test_a_second_build_changes_nothing(course):
    build.build(course)
    before = files(course)
    assert [b.changed for b in build.build(course)] == [False, False]
    assert files(course) == before


def test_the_bytes_depend_on_nothing_but_the_lab(course, tmp_path_factory):
    build.build(course)
    other = make_course(tmp_path_factory.mktemp("other"))
    build.build(other)
    for path in course.glob("*/*/*.ipynb"):
        assert path.read_bytes() == (other / path.relative_to(course)).read_bytes()


def test_the_notebook_opens_with_title_parameters_and_set_up(course):
    build.build(course)
    notebook = read(course / "notebooks" / NOTEBOOK)
    title, parameters, setup = notebook.cells[:3]
    assert title.source.startswith("# The images arrive dark\n")
    for words in ("0.002", "about 10 minutes", "introductory", "PyTorch", "divide once", "5 sec"):
        assert words in title.source
    assert parameters.metadata.tags == ["parameters"]
    values: dict = {}
    exec(parameters.source, values)
    assert (values["SEED"], values["DATA"], values["DEVICE"]) == (0, "tiles", "auto")
    assert f'open_lab("{LAB}", "pytorch", seed=SEED, data=DATA, device=DEVICE)' in setup.source


def test_papermill_finds_the_parameters(course):
    papermill = pytest.importorskip("papermill")
    build.build(course)
    found = papermill.inspect_notebook(str(course / "solutions" / NOTEBOOK))
    assert set(found) == {"SEED", "DATA", "DEVICE"}


def test_each_framework_sees_its_own_siblings_under_the_same_ids(course):
    build.build(course)
    torch, tensorflow = (
        read(course / "notebooks" / f / "01_dark_images.ipynb")
        for f in ("pytorch-9-tests", "tensorflow-9-tests")
    )
    assert [c.id for c in torch.cells] == [c.id for c in tensorflow.cells]
    assert cell(torch, "layout").source == 'layout = "NCHW"'
    assert cell(tensorflow, "layout").source == 'layout = "NHWC"'


def test_the_learner_sees_the_sick_code_and_no_solution(course):
    build.build(course)
    notebook = read(course / "notebooks" / NOTEBOOK)
    repair = cell(notebook, "repair")
    assert repair.source.split("\n")[1:3] == ["    x = images / 255 / 255", f"    {STUB}"]
    text = (course / "notebooks" / NOTEBOOK).read_text()
    assert "SOLUTION" not in text
    assert "use_unseen_images" not in text
    assert cell(notebook, "check-repair").source == 'lab.check("repair")'


def test_answers_and_checks_carry_what_nbgrader_needs(course):
    build.build(course)
    notebook = read(course / "solutions" / NOTEBOOK)
    answer = cell(notebook, "repair").metadata.nbgrader
    assert (answer.solution, answer.grade, answer.locked, answer.grade_id) == (
        True,
        False,
        False,
        "repair",
    )
    check = cell(notebook, "check-repair")
    assert check.metadata.nbgrader.points == 3
    assert (check.metadata.nbgrader.grade, check.metadata.nbgrader.locked) == (True, True)
    assert check.source.split("\n") == [
        "### BEGIN HIDDEN TESTS",
        "lab.use_unseen_images()",
        "### END HIDDEN TESTS",
        'lab.check("repair")',
    ]
    assert cell(notebook, "picture").metadata.tags == ["picture"]
    assert cell(notebook, "proof").metadata.tags == ["proof"]


def test_every_notebook_is_valid_for_jupyter_and_for_nbgrader(course):
    from nbgrader.preprocessors import CheckCellMetadata

    for built in build.build(course):
        for path in (built.notebook, built.solution):
            notebook = read(path)
            nbformat.validate(notebook)
            CheckCellMetadata().preprocess(notebook, {})


def test_the_stamp_is_that_of_the_released_cells(course):
    for built in build.build(course):
        learner, solution = read(built.notebook), read(built.solution)
        assert learner.metadata.cnn_clinic == solution.metadata.cnn_clinic
        assert learner.metadata.cnn_clinic.release == build.release_stamp(learner)
        assert not build.holds_work(learner)


@pytest.mark.slow
def test_nbgrader_itself_releases_the_same_bytes(course):
    built = build.build(course)
    shutil.copy(REPOSITORY / "nbgrader_config.py", course)
    made = course / "made"
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(course / "jupyter"),
        "IPYTHONDIR": str(course / "ipython"),
        # nbgrader calls the command `alembic`, which is installed beside this Python.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for assignment in ("pytorch-9-tests", "tensorflow-9-tests"):
        subprocess.run(
            [
                *(sys.executable, "-m", "nbgrader", "generate_assignment", assignment),
                f"--CourseDirectory.release_directory={made}",
            ],
            cwd=course,
            env=environment,
            check=True,
            capture_output=True,
        )
    for b in built:
        same = made / b.notebook.relative_to(course / "notebooks")
        assert same.read_bytes() == b.notebook.read_bytes()


# Outputs of solution notebooks


def _run(path, text):
    """Give every code cell of a notebook an output, as a run would."""
    notebook = read(path)
    for i, c in enumerate(c for c in notebook.cells if c.cell_type == "code"):
        c.execution_count = i + 1
        c.outputs = [nbformat.v4.new_output("stream", text=f"{text} {c.id}\n")]
    nbformat.write(notebook, path)


def test_outputs_of_the_last_run_stay_and_are_no_difference(course):
    build.build(course)
    solution = course / "solutions" / NOTEBOOK
    _run(solution, "seen in")
    before = solution.read_bytes()
    assert build.check(course) == []
    assert not any(b.changed for b in build.build(course))
    assert solution.read_bytes() == before


def test_a_changed_cell_loses_its_output_and_no_other_does(course):
    build.build(course)
    solution = course / "solutions" / NOTEBOOK
    _run(solution, "seen in")
    edit(course / "labs" / LAB / "lab.py", "x = images / 255\n", "x = images / 255.0\n")
    build.build(course)
    notebook = read(solution)
    assert cell(notebook, "repair").outputs == []
    assert cell(notebook, "repair").execution_count is None
    assert cell(notebook, "sick-run").outputs[0].text == "seen in sick-run\n"


def test_learner_notebooks_have_no_outputs(course):
    build.build(course)
    _run(course / "solutions" / NOTEBOOK, "seen in")
    edit(course / "labs" / LAB / "lab.py", "x = images / 255\n", "x = images / 255.0\n")
    build.build(course)
    for c in read(course / "notebooks" / NOTEBOOK).cells:
        assert not c.get("outputs")
        assert c.get("execution_count") is None


# Nobody's work is lost


def _work_in(path, name, source):
    notebook = read(path)
    cell(notebook, name).source = source
    nbformat.write(notebook, path)


@pytest.mark.parametrize("name", ["repair", "story", "parameters", "picture"])
def test_a_changed_notebook_is_never_overwritten(course, name):
    build.build(course)
    edit(course / "labs" / LAB / "lab.py", "almost nothing", "next to nothing")
    _work_in(course / "notebooks" / NOTEBOOK, name, "mine = 1")
    before = files(course)
    with pytest.raises(ClinicError) as caught:
        build.build(course)
    assert f"notebooks/{NOTEBOOK}" in str(caught.value)
    assert "git checkout" in str(caught.value)
    assert files(course) == before


def test_an_added_cell_is_work_too(course):
    build.build(course)
    path = course / "notebooks" / NOTEBOOK
    notebook = read(path)
    notebook.cells.append(nbformat.v4.new_code_cell("mine = 1"))
    nbformat.write(notebook, path)
    with pytest.raises(ClinicError, match="holds somebody's work"):
        build.build(course)


def test_an_unchanged_notebook_of_an_older_release_is_replaced(course):
    build.build(course)
    edit(course / "labs" / LAB / "lab.py", "almost nothing", "next to nothing")
    assert [b.changed for b in build.build(course)] == [True, True]
    assert build.check(course) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<<<<<<< HEAD",
        "[]",
        "{}",
        '{"nbformat": 3}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": [], "cells": []}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}',
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}',
    ],
)
def test_a_file_that_is_no_notebook_of_ours_is_never_overwritten(course, text):
    path = course / "notebooks" / NOTEBOOK
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ClinicError, match="nothing was written"):
        build.build(course)
    assert path.read_text() == text
    assert not (course / "solutions").exists()


def test_a_renamed_copy_is_left_alone(course):
    build.build(course)
    path = course / "notebooks" / NOTEBOOK
    _work_in(path, "repair", "mine = 1")
    mine = path.with_name("mine.ipynb")
    path.rename(mine)
    before = mine.read_bytes()
    build.build(course)
    assert mine.read_bytes() == before
    assert build.check(course) == []


# What check says


def test_check_is_silent_after_a_build(course):
    build.build(course)
    assert build.check(course) == []


def test_check_names_what_is_missing(course):
    found = build.check(course)
    assert len(found) == 4
    assert all("is missing; run `grader build`" in line for line in found)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("almost nothing", "next to nothing", "the cell 'story' has another source"),
        ("title: The images arrive dark", "title: Dark", "the cell 'title' has another source"),
        ("# %% sick-run", "# %% sick-program", "the cell 'sick-program' is missing"),
    ],
)
def test_check_names_the_cell_that_a_change_of_the_lab_touches(course, old, new, says):
    build.build(course)
    edit(course / "labs" / LAB / "lab.py", old, new)
    found = build.check(course)
    assert len(found) == 4
    assert all(says in line for line in found)


def test_check_sees_changed_points(course):
    build.build(course)
    edit(course / "labs" / LAB / "checks.py", "points=3", "points=4")
    catalogue._module.cache_clear()
    assert any("'check-repair' has another metadata" in line for line in build.check(course))


@pytest.mark.parametrize("folder", ["notebooks", "solutions"])
def test_check_sees_a_change_in_a_notebook(course, folder):
    build.build(course)
    _work_in(course / folder / NOTEBOOK, "repair", "mine = 1")
    (line,) = build.check(course)
    assert line.startswith(f"{folder}/{NOTEBOOK}: the cell 'repair' has another source")


def test_check_names_a_notebook_whose_lab_is_gone(course):
    build.build(course)
    shutil.rmtree(course / "labs" / LAB)
    found = build.check(course)
    assert len(found) == 4
    assert all("is gone" in line for line in found)


def test_a_draft_is_built_when_it_is_named_and_not_released(course):
    edit(course / "labs" / LAB / "lab.py", "# difficulty: 1\n", "# difficulty: 1\n# draft: true\n")
    assert build.build(course) == []
    assert len(build.build(course, [LAB])) == 2
    found = build.check(course)
    assert len(found) == 4
    assert all("is gone or a draft" in line for line in found)


def test_an_unknown_lab_is_one_sentence(course):
    with pytest.raises(ClinicError, match="no lab"):
        build.build(course, ["1_data/99_nothing"])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("# %% proof", "# %% repair", "'repair' is missing or taken"),
        ("# %% proof", "# %% setup", "'setup' is missing or taken"),
        ("# %% proof", "# %% a proof", "run `grader lint"),
        ('lab.check("repair")', 'lab.check("repair2")', "names no check"),
        (f"reading = mean\n{END}\n", "reading = mean\n", "run `grader lint"),
        (f"reading = mean\n{END}\n", f"reading = mean\n{END}\n# AUTOTEST\n", "run `grader lint"),
    ],
)
def test_a_faulty_lab_is_one_sentence_and_nothing_is_written(course, old, new, says):
    edit(course / "labs" / LAB / "lab.py", old, new)
    with pytest.raises(ClinicError) as caught:
        build.build(course)
    assert says in str(caught.value)
    assert f"labs/{LAB}/lab.py" in str(caught.value)
    assert not (course / "notebooks").exists()


def test_checks_that_cannot_be_imported_are_one_sentence(course):
    edit(course / "labs" / LAB / "checks.py", "CHECKS = [", "CHECKS = = [")
    with pytest.raises(ClinicError, match="cannot be imported"):
        build.check(course)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(prose=PROSE, sick=CODE, cure=CODE, picture=CODE)
def test_whatever_the_cells_say_they_reach_the_notebooks_unchanged(
    course, prose, sick, cure, picture
):
    def as_comment(text):
        return "\n".join(f"# {line}".rstrip() for line in text.split("\n"))

    path = course / "labs" / LAB / "lab.py"
    header = path.read_text().split("\n# %% ")[0]
    path.write_text(
        f"{header}\n# %% [markdown] story\n{as_comment(prose)}\n\n"
        f'# %% repair tags=["answer"]\n{sick}\n{BEGIN}\n{cure}\n{END}\n\n'
        f'# %% check-repair tags=["check"]\nlab.check("repair")\n\n'
        f'# %% picture tags=["picture"]\n{picture}\n'
    )
    shutil.rmtree(course / "notebooks", ignore_errors=True)
    build.build(course)
    solution, learner = (read(course / f / NOTEBOOK) for f in ("solutions", "notebooks"))
    for notebook in (solution, learner):
        assert cell(notebook, "story").source == prose
        assert cell(notebook, "picture").source == picture
    assert cell(solution, "repair").source == f"{sick}\n{BEGIN}\n{cure}\n{END}".strip("\n")
    assert cell(learner, "repair").source == f"{sick}\n{STUB}".strip("\n")
    assert json.loads((course / "notebooks" / NOTEBOOK).read_text())["nbformat_minor"] == 5
    path.write_text(header)
