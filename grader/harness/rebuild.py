"""The notebook that is graded: the course's own, with nothing of the submission but its answers.

A submission is read as untrusted data. What it adds, removes, moves or marks has no effect on
grading; each such difference becomes one sentence for the learner.
"""

from __future__ import annotations

import ast
import copy
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from grader.authoring.build import PARAMETERS

LARGEST_SUBMISSION = 50_000_000  # bytes; a notebook with its pictures has about 1 MB
MOST_OWN_CELLS = 5  # of which a sentence speaks; a reason is read by a person
SKIP = "skip-execution"
ONLY_DRAWS = {"picture", "proof"}
_HIDDEN = re.compile(
    r"^[^\n]*BEGIN HIDDEN TESTS[^\n]*\n.*?^[^\n]*END HIDDEN TESTS[^\n]*(?:\n|\Z)", re.M | re.S
)


@dataclass(frozen=True)
class SubmittedCell:
    """What grading looks at in a submitted cell.

    `name` is nbgrader's grade_id, "" where the cell has none; `id` is the notebook format's.
    """

    name: str
    id: str
    code: bool
    source: str
    tags: tuple[str, ...] = ()
    points: Any = None


@dataclass(frozen=True)
class Submission:
    """A submission as data; `unreadable` says why there are no cells."""

    cells: tuple[SubmittedCell, ...] = ()
    unreadable: str = ""
    lab: str = ""
    framework: str = ""


@dataclass(frozen=True)
class Difference:
    """What differs from the release: the name of a cell, "" for the whole, and a sentence."""

    cell: str
    sentence: str


def read_submission(path: Path) -> Submission:
    """Read a file that somebody handed in. Never raises for what is in it."""
    if path.is_symlink() or not path.is_file():
        # A link could lead to the solution, or to any other file of the grading machine.
        return _unreadable("is a link or no ordinary file; hand in the .ipynb file itself")
    try:
        if path.stat().st_size > LARGEST_SUBMISSION:
            limit = LARGEST_SUBMISSION // 1_000_000
            return _unreadable(f"is larger than {limit} MB; clear its outputs and hand it in again")
        text = path.read_text(encoding="utf-8-sig")  # some editors write a mark first
    except UnicodeDecodeError:
        return _unreadable("is not text; hand in the .ipynb file itself")
    except OSError as error:
        return _unreadable(f"cannot be read ({error.strerror})")
    return parse_submission(text)


def parse_submission(text: str) -> Submission:
    """Read the text of a notebook of any version; see `read_submission`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # missing and repeated ids; they are looked at below
            notebook = nbformat.reads(text, as_version=4)
    except nbformat.reader.NotJSONError:
        return _unreadable("is not JSON; open it in Jupyter, save it and hand it in again")
    except Exception:
        # nbformat raises whatever its converters stumble over, RecursionError included.
        return _unreadable("is JSON but not a notebook; hand in the .ipynb file itself")
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        return _unreadable("is JSON but not a notebook; hand in the .ipynb file itself")
    if not cells:
        return _unreadable("has no cells; hand in the notebook that you worked in")
    ours = _mapping(_mapping(notebook.get("metadata")).get("cnn_clinic"))
    return Submission(
        cells=tuple(_cell(c) for c in cells if isinstance(c, dict)),
        lab=_text(ours.get("lab")),
        framework=_text(ours.get("framework")),
    )


def _unreadable(why: str) -> Submission:
    return Submission(unreadable=f"The notebook that was handed in {why}.")


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = "".join(v for v in value if isinstance(v, str))
    # JSON can hold half a surrogate pair, which no UTF-8 file can.
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def _cell(cell: dict[str, Any]) -> SubmittedCell:
    metadata = _mapping(cell.get("metadata"))
    grading = _mapping(metadata.get("nbgrader"))
    tags = metadata.get("tags")
    return SubmittedCell(
        name=_text(grading.get("grade_id")),
        id=_text(cell.get("id")),
        code=cell.get("cell_type") == "code",
        source=_text(cell.get("source")),
        tags=tuple(_text(t) for t in tags) if isinstance(tags, list) else (),
        points=grading.get("points"),
    )


def cell_name(cell: NotebookNode) -> str:
    """The name of one of the course's cells: its grade_id, or its id."""
    return str(cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id", ""))


def is_answer(cell: NotebookNode) -> bool:
    """True for a cell whose source is the learner's."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution", False))


def is_check(cell: NotebookNode) -> bool:
    """True for a cell that carries points."""
    grading = cell.metadata.get("nbgrader", {})
    return bool(grading.get("grade", False)) and not is_answer(cell)


def check_name(grade_id: str) -> str:
    """Name of the check of a check cell: "check-repair" holds the check "repair"."""
    return grade_id.removeprefix("check-")


def without_hidden_tests(source: str) -> str:
    """The source as it is released."""
    return _HIDDEN.sub("", source)


def parameters(notebook: NotebookNode) -> dict[str, Any]:
    """SEED, DATA and DEVICE of a notebook of the course, from its cell tagged "parameters"."""
    values = dict(PARAMETERS)
    for cell in notebook.cells:
        if "parameters" not in cell.metadata.get("tags", []):
            continue
        for node in ast.parse(cell.source).body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                    values[name] = value
    return values


def rebuild(
    source: NotebookNode, submission: Submission
) -> tuple[NotebookNode, tuple[Difference, ...]]:
    """Return the notebook to grade and how the submission differs from the release.

    Args:
        source: the notebook in solutions/, with solutions and hidden tests.
        submission: what was handed in.

    Returns:
        A copy of `source` without outputs, in which every answer cell holds the submitted source
        ("" where there is none) and cells that only draw are marked to be skipped. A submission
        that could not be read differs in nothing: `unreadable` says all there is to say.
    """
    graded = copy.deepcopy(source)
    claims = _claims(source, submission.cells)
    for cell in graded.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if is_answer(cell):
            claimed = claims[cell_name(cell)]
            cell.source = claimed[-1].source if claimed else ""
        tags = cell.metadata.get("tags", [])
        if ONLY_DRAWS & set(tags):
            cell.metadata["tags"] = [*tags, SKIP]
    if submission.unreadable:
        return graded, ()
    return graded, tuple(_differences(source, submission, claims))


def _claims(
    source: NotebookNode, submitted: Sequence[SubmittedCell]
) -> dict[str, list[SubmittedCell]]:
    """For each released cell the submitted cells that claim to be it, in their order.

    By grade_id first; a cell without a known grade_id is taken by its id, which Jupyter keeps when
    metadata is lost.
    """
    names = {cell_name(c) for c in source.cells}
    claims: dict[str, list[SubmittedCell]] = {}
    for cell in source.cells:
        name = cell_name(cell)
        claims[name] = [s for s in submitted if s.name == name] or [
            s for s in submitted if s.name not in names and s.id and s.id in (name, cell.get("id"))
        ]
    return claims


def _differences(
    source: NotebookNode, submission: Submission, claims: dict[str, list[SubmittedCell]]
) -> Iterable[Difference]:
    ours = source.metadata.get("cnn_clinic", {})
    for field, found in (("lab", submission.lab), ("framework", submission.framework)):
        if found and found != ours.get(field):
            yield Difference(
                "",
                f"This is the notebook of another {field}, {found[:60]!r}; its answers were graded "
                f"in the notebook of {ours.get(field)!r}.",
            )
    for cell in source.cells:
        yield from _of_one_cell(cell, claims[cell_name(cell)])
    yield from _moved(source, submission, claims)
    claimed = {id(s) for cells in claims.values() for s in cells}
    own = [s for s in submission.cells if id(s) not in claimed and s.code and s.source.strip()]
    for extra in own[:MOST_OWN_CELLS]:
        first = extra.source.strip().splitlines()[0][:60]
        yield Difference(
            "",
            f"Your own cell that begins with `{first.replace('`', chr(39))}` was not run; grading "
            "runs the released cells and the answer cells, so move what an answer needs into its "
            "cell.",
        )
    if len(own) > MOST_OWN_CELLS:
        yield Difference(
            "", f"{len(own) - MOST_OWN_CELLS} more of your own cells were not run either."
        )


def _of_one_cell(cell: NotebookNode, claimed: list[SubmittedCell]) -> Iterable[Difference]:
    name = cell_name(cell)
    kind = "answer" if is_answer(cell) else "check" if is_check(cell) else "released"
    if kind == "released" and cell.cell_type != "code":
        return  # prose carries no points and defines no names
    title = f"The {kind} cell '{name}'"
    if not claimed:
        outcome = "there was nothing to grade" if kind == "answer" else "it was graded as released"
        yield Difference(name, f"{title} was missing; {outcome}.")
        return
    if len(claimed) > 1:
        outcome = "the last one was graded" if kind == "answer" else "it was graded as released"
        yield Difference(name, f"{title} was there {len(claimed)} times; {outcome}.")
    last = claimed[-1]
    if any(not c.code for c in claimed):
        outcome = "its text was graded as code" if kind == "answer" else "it was graded as released"
        yield Difference(name, f"{title} was no longer a code cell; {outcome}.")
    if kind != "answer" and any(not _same(cell.source, c.source) for c in claimed):
        yield Difference(name, f"{title} was changed; it was graded as released.")
    elif kind == "check" and last.points != cell.metadata.nbgrader.get("points"):
        yield Difference(
            name, f"The points of {title[4:]} were changed; it was graded as released."
        )
    if any(SKIP in c.tags for c in claimed) and SKIP not in cell.metadata.get("tags", []):
        yield Difference(name, f"{title} was tagged '{SKIP}'; grading ran it all the same.")


def _same(released: str, submitted: str) -> bool:
    def lines(text: str) -> list[str]:
        return [line.rstrip() for line in text.strip().splitlines()]

    # A solution notebook handed in as it is carries the hidden lines; that is no change.
    return lines(submitted) in (lines(without_hidden_tests(released)), lines(released))


def _moved(
    source: NotebookNode, submission: Submission, claims: dict[str, list[SubmittedCell]]
) -> Iterable[Difference]:
    place = {id(s): i for i, s in enumerate(submission.cells)}
    found = [
        (name, place[id(claims[name][-1])])
        for name in (cell_name(c) for c in source.cells if c.cell_type == "code")
        if claims[name]
    ]
    for (before, first), (after, second) in pairwise(found):
        if second < first:
            yield Difference(
                after,
                f"The cell '{after}' was moved above '{before}'; grading kept the released order.",
            )
