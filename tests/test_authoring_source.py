"""lab.py and its answers are read as they were written, with the lines they stand in."""

import string

import pytest
from authoring_course import LAB, make_course
from hypothesis import given
from hypothesis import strategies as st

from grader.authoring.lint import RESERVED
from grader.authoring.names import names_defined, names_needed, names_used, parse
from grader.authoring.source import (
    BEGIN,
    END,
    STUB,
    parse_cells,
    read_answers,
    read_lab,
    without_solution,
)
from grader.errors import ClinicError

# Lines without markers of any kind; what stands in them is no concern of the parser.
LINES = (
    st.text(string.ascii_letters + string.digits + " .,:;=()[]{}'*/%!?+-", max_size=30)
    .map(str.rstrip)
    # What nbgrader acts on is no plain line, and the linter refuses it.
    .filter(lambda line: not any(word in line for word in ("SOLUTION", *RESERVED)))
)


def _block(lines):
    """A cell's text: no empty lines at its ends, none that opens another kind of block."""
    return "\n".join(lines).strip("\n")


CODE = st.lists(LINES.map(lambda t: f"x = 1  # {t}".rstrip() if t else ""), min_size=1).map(_block)
COMMENTS = st.lists(LINES.map(lambda t: f"# ({t})"), min_size=1).map(_block)
PROSE = st.lists(LINES.map(str.strip), min_size=1).map(_block)


@st.composite
def scripts(draw):
    """A percent script, and the (name, markdown, source) of each of its cells."""
    cells, text = [], []
    for i in range(draw(st.integers(1, 6))):
        markdown = draw(st.booleans())
        source = draw(PROSE if markdown else st.one_of(CODE, COMMENTS))
        cells.append((f"cell-{i}", markdown, source))
        text.append(f"# %%{' [markdown]' if markdown else ''} cell-{i}")
        lines = source.split("\n")
        text += [f"# {line}".rstrip() for line in lines] if markdown else lines
        text += [""] * draw(st.integers(1, 3))
    return "\n".join(text), cells


@given(scripts())
def test_cells_come_back_as_they_were_written(script):
    text, cells = script
    assert [(c.name, c.markdown, c.source) for c in parse_cells(text, "lab.py")] == cells


@given(scripts())
def test_every_cell_knows_its_lines(script):
    text, _ = script
    lines = text.split("\n")
    for cell in parse_cells(text, "lab.py"):
        assert lines[cell.line - 1].endswith(cell.name)
        if cell.source:
            assert cell.source.split("\n")[0] in lines[cell.first - 1]


def test_comments_stay_comments_even_if_they_look_like_commands():
    source = "# copy the weights\n# %time is a magic\n# cat or dog?\nx = 1"
    (cell,) = parse_cells(f"# %% a\n{source}\n", "lab.py")
    assert cell.source == source


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n# %% a\n", "lab.py:1: text stands before the first cell"),
        ("# %% a\n\n# %% b tags=[answer]\nx = 1\n", "lab.py:3: the marker cannot be read"),
        ('# %% a tags="answer"\nx = 1\n', "lab.py:1: the marker cannot be read"),
        ("# %% [raw] a\n# x\n", "lab.py:1: a cell is code or [markdown]"),
        ('# %% a tags=["answer", "check"]\nx = 1\n', "lab.py:1: a cell has one framework"),
        ('# %% a\ns = """\n# %% b\n"""\n', "never stands inside a string"),
    ],
)
def test_a_faulty_marker_is_named_with_its_line(text, says):
    with pytest.raises(ClinicError) as caught:
        parse_cells(text, "lab.py")
    assert says in str(caught.value)


@st.composite
def solved_cells(draw):
    """A cell with any number of closed solution regions at any indentation."""
    lines = []
    for _ in range(draw(st.integers(0, 3))):
        lines += draw(st.lists(LINES, max_size=3))
        indent = " " * draw(st.integers(0, 8))
        lines += [indent + BEGIN, *draw(st.lists(LINES, max_size=3)), indent + END]
    return "\n".join([*lines, *draw(st.lists(LINES, max_size=3))])


@given(solved_cells())
def test_the_starter_is_what_nbgrader_makes_of_the_cell(source):
    from nbformat.v4 import new_code_cell
    from nbgrader.preprocessors import ClearSolutions
    from traitlets.config import Config

    clear = ClearSolutions(config=Config({"ClearSolutions": {"code_stub": {"python": STUB}}}))
    metadata = {"nbgrader": {"solution": BEGIN in source}}
    cell = new_code_cell(source, metadata=metadata)
    cleared, _ = clear.preprocess_cell(cell, {"language": "python"}, 0)
    assert without_solution(source) == cleared.source


@pytest.mark.parametrize("source", [BEGIN, END, f"{BEGIN}\n{BEGIN}\n{END}", f"{END}\n{BEGIN}"])
def test_a_region_that_does_not_close_is_refused(source):
    with pytest.raises(ValueError, match="solution region"):
        without_solution(source)


def test_magics_are_no_syntax_errors_but_errors_are():
    assert names_defined("%matplotlib inline\nx = 1") == {"x"}
    with pytest.raises(SyntaxError) as caught:
        parse("%matplotlib inline\nx = (1")
    assert caught.value.lineno == 2


@pytest.mark.parametrize(
    ("source", "defined", "needed"),
    [
        ("x = y", {"x"}, {"y"}),
        ("x = 1\nprint(x)", {"x"}, {"print"}),
        ("total += 1", {"total"}, {"total"}),
        ("squares = [i * i for i in values]", {"squares"}, {"values"}),
        ("def f(a, *, b=c):\n    d = a\n    return d + later\nlater = 1", {"f", "later"}, {"c"}),
        ("def f():\n    def g():\n        return a + b\n    a = 1\n    return g", {"f"}, {"b"}),
        (
            "class A(B):\n    y = 1\n    z = y\n    def f(self):\n        return w",
            {"A"},
            {"B", "w"},
        ),
        ("import numpy.linalg as la, os.path", {"la", "os"}, set()),
        ("with f() as g:\n    g.x", {"g"}, {"f"}),
        ("for i, (j, k) in rows:\n    i + j + k", {"i", "j", "k"}, {"rows"}),
        ("key = lambda q: q + t", {"key"}, {"t"}),
        ("try:\n    a\nexcept E as e:\n    e", {"e"}, {"a", "E"}),
        ("model.rate = 3", set(), {"model"}),
    ],
)
def test_a_cell_defines_and_needs_names_as_python_does(source, defined, needed):
    assert names_defined(source) == defined
    assert names_needed(source) == needed
    assert needed <= names_used(source)


def test_every_answer_cell_gets_the_usual_answers(tmp_path):
    lab = read_lab(LAB, make_course(tmp_path) / "labs")
    answers = read_answers(lab, "tensorflow")
    for kind in ("untouched", "empty", "crash"):
        cells = [a.cell for a in answers if a.kind == kind]
        assert {"diagnosis", "repair"} <= set(cells)
    assert [a.expect for a in answers if a.kind == "reference"] == ["passed"]
