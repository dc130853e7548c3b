"""The linter passes a good lab and names file, line and remedy for every fault."""

import re

import pytest
from authoring_course import LAB, edit, make_course

from grader.authoring.lint import lint, lint_lab
from grader.authoring.source import read_lab
from grader.checks import catalogue


@pytest.fixture
def course(tmp_path):
    return make_course(tmp_path)


@pytest.fixture
def labs(course):
    return course / "labs"


def problems(labs):
    catalogue._module.cache_clear()
    return [str(p) for p in lint_lab(LAB, labs)]


def test_a_complete_lab_has_nothing_to_mend(labs):
    assert lint(read_lab(LAB, labs)) == []


CELL_FAULTS = [
    # what is replaced, by what, what the linter says at that line
    ("# %% sick-run\n", "# %% \n", "has no name"),
    ("# %% sick-run\n", "# %% Sick_run\n", "'Sick_run' is not usable"),
    ("# %% sick-run\n", "# %% setup\n", "'setup' is taken by the builder"),
    ("# %% sick-run\n", "# %% layout\n", "'layout' stands in line"),
    ("# %% sick-run\n", '# %% sick-run tags=["pictures"]\n', "the tag 'pictures' is unknown"),
    ("# %% sick-run\n", '# %% sick-run tag="picture"\n', "the marker has 'tag'"),
    ("mean = float(", "mean = (float(", "syntax error in cell 'sick-run' (both frameworks)"),
    ('layout = "NHWC"', 'layout = = "NHWC"', "syntax error in cell 'layout' (tensorflow)"),
    ("import numpy as np\n", "import torch\n", "'torch' stands in a shared cell"),
    ("import numpy as np\n", "from keras import layers\n", "'keras' stands in a shared cell"),
    ("import numpy as np\n", "x = tf.ones(3)\n", "'tf' stands in a shared cell"),
    ('layout = "NHWC"', "import torch", "'torch' stands in a tensorflow cell"),
    ("# Somebody prepares", "# Look! Somebody prepares", "exclamation mark"),
    ("# symptom: The mean", "# symptom: Look! The mean", "exclamation mark"),
    ("# minutes: 10", "# minutes: 0", "minutes is 0"),
    ("# difficulty: 1", "# difficulty: 4", "difficulty is 4; use 1, 2 or 3"),
    ("pytorch: 5,", "pytorch: 61,", "seconds for pytorch is 61"),
    ("pytorch: 5,", "torch: 5,", "seconds lacks pytorch"),
    ('"000/28"', '"28"', "source '28' is no row of the seeds"),
    ('lab.check("diagnosis")', 'lab.check("diagnoses")', "there is no check 'diagnoses'"),
    ("mean = float(", "### END SOLUTION\nmean = float(", "outside an answer cell"),
    ("# Somebody prepares", "# BEGIN SOLUTION prepares", "outside an answer cell"),
    ("mean = float(", "### BEGIN HIDDEN TESTS\nmean = float(", "means something to nbgrader"),
    (
        "    ### END SOLUTION\n    return x",
        "    ### END SOLUTION 2\n    return x",
        "on its own line",
    ),
    ("# %% proof", "# TODO: the picture\n# %% proof", "still to do: the picture"),
]


@pytest.mark.parametrize(("old", "new", "says"), CELL_FAULTS)
def test_a_fault_is_named_at_its_line(labs, old, new, says):
    line = edit(labs / LAB / "lab.py", old, new)
    found = problems(labs)
    assert any(p.startswith(f"labs/{LAB}/lab.py:{line}: ") and says in p for p in found), found


LAB_FAULTS = [
    ("#     - Count the divisions.\n", "", "the check 'repair' has 2 hints; write 3"),
    ("#   repair:\n", "#   cure:\n", "the check 'repair' has no hints"),
    ("#   repair:\n", "#   cure:\n", "there are hints for 'cure', but no such check"),
    ("    ### END SOLUTION\n    return x", "    return x", "the solution is not closed"),
    ("    ### BEGIN SOLUTION\n    x", "    x", "a solution ends before it begins"),
    (
        "    ### BEGIN SOLUTION\n    x",
        "    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n    x",
        "a solution begins inside the one of line",
    ),
    (
        "    ### BEGIN SOLUTION\n    x = images / 255\n    ### END SOLUTION\n",
        "",
        "the answer cell 'repair' has no solution",
    ),
    (
        "    x = images / 255 / 255\n    ### BEGIN SOLUTION\n    x = images / 255\n    ### END",
        "    x = images / 255 / 255\n    ### BEGIN SOLUTION\n    # nothing\n    ### END",
        "the starter of 'repair' equals its solution",
    ),
    (
        "    x = images / 255 / 255\n    ### BEGIN SOLUTION\n    x = images / 255\n"
        "    ### END SOLUTION\n    return x",
        "    ### BEGIN SOLUTION\n    return images / 255\n    ### END SOLUTION",
        "the starter of 'repair' is no Python without its solution",
    ),
    ('lab.check("repair")', 'lab.check("repair")\nprint()', "must read exactly"),
    ('lab.check("repair")', "lab.check('repair')", "must read exactly"),
    ('lab.check("repair")', 'lab.check("diagnosis")', "the check 'repair' has no check cell"),
    ('lab.check("repair")', 'lab.check("diagnosis")', "the check 'diagnosis' stands in line"),
    ('# %% repair tags=["answer"]', '# %% cure tags=["answer"]', "'cure' has no check"),
    ('# %% repair tags=["answer"]', '# %% cure tags=["answer"]', "'repair' has no answer cell"),
    ('# %% picture tags=["picture"]', "# %% picture", "there is no picture cell for pytorch"),
    (
        '# %% layout tags=["tensorflow"]\nlayout = "NHWC"\n',
        "",
        "the cell 'layout' is for pytorch only",
    ),
    (
        '# %% layout tags=["tensorflow"]',
        '# %% between\n\n# %% layout tags=["tensorflow"]',
        "the siblings 'layout' stand apart",
    ),
    (
        '# %% layout tags=["tensorflow"]',
        '# %% layout tags=["tensorflow", "proof"]',
        "the siblings 'layout' differ in kind",
    ),
    (
        "mean = float(",
        'print("none")\n\n# %% drawn tags=["picture"]\nmean = float(',
        "the cell 'diagnosis' needs 'mean' from the picture cell 'drawn'",
    ),
    ("# title: The images arrive dark\n", "", "the header's 'title' is missing"),
    ("# ---\n\n# %% [markdown] story", "# %% [markdown] story", "the header has no end"),
]


@pytest.mark.parametrize(("old", "new", "says"), LAB_FAULTS)
def test_a_lab_that_lacks_something_is_refused(labs, old, new, says):
    edit(labs / LAB / "lab.py", old, new)
    found = problems(labs)
    assert any(says in p for p in found), found
    assert all(re.match(rf"labs/{LAB}/\S+py:\d+: ", p) for p in found), found


def test_an_answer_above_its_check_is_asked_for(labs):
    path = labs / LAB / "lab.py"
    check = '# %% check-repair tags=["check"]\nlab.check("repair")\n'
    edit(path, check, "")
    edit(path, "# %% sick-run\n", f"{check}\n# %% sick-run\n")
    assert any("stands above its answer cell" in p for p in problems(labs))


@pytest.mark.parametrize(
    "prose",
    [
        "`a != b` and ``c!``",
        "![a picture](picture.png)",
        "$5! = 120$",
        "<!-- a note! -->",
        "```\nassert x != y\n```",
    ],
)
def test_exclamation_marks_outside_prose_are_fine(labs, prose):
    comment = "\n".join(f"# {line}" for line in prose.split("\n"))
    edit(labs / LAB / "lab.py", "# Somebody prepares", f"{comment}\n#\n# Somebody prepares")
    assert problems(labs) == []


def test_a_picture_cell_may_use_names_of_its_own(labs):
    edit(labs / LAB / "lab.py", "shown = [", "mean = 3\nshown = [")
    edit(labs / LAB / "lab.py", "print(shown", "for value in shown:\n    pass\nprint(shown")
    (found,) = problems(labs)
    assert "the cell 'diagnosis' needs 'mean'" in found


def test_a_missing_answers_file_is_refused(labs):
    (labs / LAB / "answers" / "tensorflow.py").unlink()
    (found,) = problems(labs)
    assert found.startswith(f"labs/{LAB}/answers/tensorflow.py:1: is missing")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("zeros", "there are no answers of kind 'constant'; write at least 1"),
        ("raises", "there are no answers of kind 'crash'; write at least 1"),
        ("divides_thrice", "there are 2 answers of kind 'wrong'; write at least 3"),
        ("by_maximum", "there are 2 answers of kind 'right'; write at least 3"),
        ("table", "there are no answers of kind 'healthy'; write at least 1"),
        ("wrong_cause_right_number", "there is 1 answer with a wrong diagnosis"),
    ],
)
def test_too_few_answers_are_refused(labs, name, says):
    path = labs / LAB / "answers" / "pytorch.py"
    cells = path.read_text().split("# %% ")
    path.write_text("# %% ".join(c for c in cells if not c.startswith(f"{name} ")))
    (found,) = problems(labs)
    assert found.startswith(f"labs/{LAB}/answers/pytorch.py:1: {says}")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("return images / 1000", "return images * 1.0", "there are 2 answers of kind 'wrong'"),
        ('raises kind="crash"', 'raises kind="odd"', "kind is 'odd'"),
        ('raises kind="crash"', 'raises kind="crash" cell="cure"', "no answer cell 'cure'"),
        ('raises kind="crash"', 'raises kind="crash" say="x"', "the marker has 'say'"),
        ("return images / 1000", "return images / / 1000", "syntax error in 'divides_by_1000'"),
        ("# %% divides_by_1000", "# %% divides_thrice", "'divides_thrice' is there twice"),
    ],
)
def test_faulty_answers_are_refused(labs, old, new, says):
    edit(labs / LAB / "answers" / "pytorch.py", old, new)
    (found,) = problems(labs)
    assert re.match(rf"labs/{LAB}/answers/pytorch.py:\d+: ", found)
    assert says in found


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("CHECKS = [", "CHECKS = [\n    1 / 0,", "it raises ZeroDivisionError"),
        ("CHECKS = [", "CHECKS = = [", "syntax error"),
        ("import numpy as np", "import nothing_like_it", "it raises ModuleNotFoundError"),
    ],
)
def test_faulty_checks_are_named_with_their_line(labs, old, new, says):
    line = edit(labs / LAB / "checks.py", old, new)
    (found,) = problems(labs)
    match = re.match(rf"labs/{LAB}/checks.py:(\d+): {says}", found)
    assert match, found
    assert line <= int(match[1]) <= line + 1


def test_missing_checks_are_refused(labs):
    (labs / LAB / "checks.py").unlink()
    (found,) = problems(labs)
    assert found.startswith(f"labs/{LAB}/checks.py:1: ")
