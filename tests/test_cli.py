"""Bad input gets one sentence and status 2; nothing is overwritten, no traceback is ours."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def grader(*arguments, cwd=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "grader", *arguments], capture_output=True, text=True, cwd=cwd
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "COMMAND"),
        (("heal",), "invalid choice"),
        (("run", "9_none/01_none"), "There is no lab '9_none/01_none'"),
        (("run", "--seed", "x"), "invalid int value"),
        (("run", "--framework", "jax"), "invalid choice: 'jax'"),
        (("lint", "1_data"), "There is no lab '1_data'"),
        (("calibrate", "--seeds", "0"), "not a positive number"),
        (("prove", "--part", "4/3"), "not a part such as 2/3"),
        (("prove", "--part", "half"), "not a part such as 2/3"),
        (("check", "no/such.ipynb"), "cannot be read"),
        (("check", "README.md"), "not a notebook of this course"),
        (("new-lab", "x"), "--title"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(arguments, words):
    done = grader(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr + done.stdout


def test_outside_a_course_the_command_says_where_to_run_it(tmp_path):
    done = grader("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "not inside a course" in done.stderr


def test_help_needs_no_framework():
    code = (
        "import sys\n"
        "from grader.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_the_labs_are_listed_in_the_order_of_the_course():
    listed = [line.split()[0] for line in grader("labs").stdout.splitlines()]
    assert listed == sorted(listed)
    assert listed


@pytest.mark.slow
def test_the_doctor_answers_anywhere_in_one_screen(tmp_path):
    done = grader("doctor", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert any(line.startswith("missing  course ") for line in lines)
    assert lines[-1].startswith("Grading cannot work here yet: ")
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])
def test_a_missing_framework_is_named_with_the_command_that_mends_it(framework, monkeypatch):
    from grader import frameworks
    from grader.errors import ClinicError

    package = {"pytorch": "torch", "tensorflow": "tensorflow"}[framework]

    def absent(name):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(frameworks.importlib, "import_module", absent)
    with pytest.raises(ClinicError, match=rf"pip install cnn-clinic\[{framework}\]"):
        frameworks.load(framework)


def test_a_missing_tool_is_named_with_the_command_that_mends_it(monkeypatch, capsys):
    from grader import cli

    def absent(labs):
        raise ModuleNotFoundError("No module named 'jupytext'", name="jupytext")

    monkeypatch.setattr(cli, "_problems", absent)
    assert cli.main(["lint"]) == 2
    assert "pip install cnn-clinic[instructor]" in capsys.readouterr().err
