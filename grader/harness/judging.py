"""From an executed notebook to grades: records are judged again here, away from the learner.

Points need positive evidence. A check without exactly one valid record has none, and says why.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from grader.checks import engine, evidence
from grader.checks.catalogue import load_checks
from grader.checks.check import Case, Check
from grader.checks.display import as_html, as_text
from grader.checks.verdict import Outcome, Verdict
from grader.errors import ClinicError
from grader.harness import measuring
from grader.harness.rebuild import Difference, cell_name, check_name, is_answer, is_check
from grader.harness.serving import case_of

LONGEST_SENTENCE = 1_000  # characters; what a learner's process says of itself can have millions
LONGEST_TEXT = 20_000  # characters of one output that are kept
TIMEOUT = "CellTimeoutError"  # nbclient's name for a cell that ran out of time
PICTURES = ("image/png", "image/jpeg")


@dataclass(frozen=True)
class Stop:
    """Why the execution of a notebook ended early, in a sentence, and in which cell.

    The cell is "" where nothing was run at all.
    """

    cell: str
    sentence: str


@dataclass(frozen=True)
class Graded:
    """The grade of one check cell.

    Attributes:
        cell: grade_id of the check cell.  answer: grade_id of its answer cell.
        verdict: the judged verdict.
        notes: sentences on how the submission differed from the release.
        measured_inside: True where some of the verdict rests on what only the learner's process
            could measure.
    """

    cell: str
    answer: str
    verdict: Verdict
    notes: tuple[str, ...] = ()
    measured_inside: bool = True

    @property
    def reason(self) -> str:
        """Outcome, points, and everything that the learner should know, in plain words."""
        first = f"{engine.headline(self.verdict)} {self.verdict.sentence}"
        return " ".join([first, *self.notes])


def grade_notebook(
    notebook: NotebookNode,
    differences: Iterable[Difference] = (),
    stop: Stop | None = None,
    *,
    secret: str,
    measurer: measuring.Measurer = measuring.measure,
) -> list[Graded]:
    """Judge every check cell of an executed notebook of the course.

    Args:
        notebook: rebuilt by `rebuild`, so that its metadata and parameters are the course's own.
        differences: as returned by `rebuild`.
        stop: why execution ended early, if it did.
        secret: the learner's, with which `serve` made what the kernel was given.
        measurer: measures what checks measure themselves.

    Raises:
        ClinicError: the notebook is not one of the course, or its lab lacks the check.
    """
    differences = list(differences)
    case = case_of(notebook, secret)
    checks = load_checks(case.lab)
    general = [d.sentence for d in differences if not d.cell]
    belonging = _belonging(notebook)
    graded: list[Graded] = []
    for cell in notebook.cells:
        if not is_check(cell):
            continue
        name = check_name(cell_name(cell))
        if name not in checks:
            raise ClinicError(
                f"The lab {case.lab} has no check {name!r}, but its solution notebook has the "
                f"cell {cell_name(cell)!r}; run `grader build` again."
            )
        verdict = judge_cell(cell, checks[name], case, stop, measurer)
        notes = [d.sentence for d in differences if belonging.get(d.cell) == cell_name(cell)]
        notes += _errors(notebook, name, verdict)
        if not graded:
            notes = general + notes
        graded.append(
            Graded(cell_name(cell), name, verdict, tuple(notes), checks[name].measured_inside)
        )
    return graded


def _belonging(notebook: NotebookNode) -> dict[str, str]:
    """For each cell the check cell below it: what a difference in that cell bears upon.

    Cells below the last check belong to that one.
    """
    belonging: dict[str, str] = {}
    waiting: list[str] = []
    last = ""
    for cell in notebook.cells:
        waiting.append(cell_name(cell))
        if is_check(cell):
            last = cell_name(cell)
            belonging.update(dict.fromkeys(waiting, last))
            waiting = []
    belonging.update(dict.fromkeys(waiting, last))
    return belonging


def _errors(notebook: NotebookNode, answer: str, verdict: Verdict) -> list[str]:
    """A sentence on the error that an answer cell ended with, where it cost the points."""
    if verdict.passed:
        return []
    for cell in notebook.cells:
        if is_answer(cell) and cell_name(cell) == answer:
            errors = [o for o in cell.get("outputs", []) if o.output_type == "error"]
            if errors:
                return [f"The answer cell '{answer}' ended with {_one_line(_first(errors))}."]
    return []


def _one_line(error: NotebookNode) -> str:
    lines = str(error.get("evalue", "")).strip().splitlines()
    text = f"{error.get('ename', 'an error')}: {lines[0] if lines else 'no message'}"
    return text[:300].rstrip(".")


def judge_cell(
    cell: NotebookNode,
    check: Check,
    case: Case,
    stop: Stop | None = None,
    measurer: measuring.Measurer = measuring.measure,
) -> Verdict:
    """Judge one executed check cell from its record. Never raises for what the learner did."""

    def nothing(sentence: str) -> Verdict:
        return _bounded(replace(engine.not_run(check), sentence=sentence, unseen=True))

    found = _records(cell)
    if len(found) > 1:
        return nothing(
            f"The check cell shows {len(found)} records instead of one; something besides the "
            "check writes into it, so none of them counts."
        )
    if not found:
        return nothing(_why_no_record(cell, stop))
    try:
        record = evidence.from_json(found[0])
        _compare(record, check, case)
        return _bounded(engine.judge(check, case, measurer(case, record)))
    except evidence.EvidenceError as error:
        return nothing(f"The check's record does not count: {error}.")
    except (ClinicError, measuring.NotMeasured):
        raise  # the course's own fault, such as an image folder that is not there
    except Exception as error:
        # A judge reads evidence that the learner's process made; whatever it holds must not stop
        # the class.
        return nothing(f"The evidence could not be judged ({type(error).__name__}).")


def _bounded(verdict: Verdict) -> Verdict:
    if len(verdict.sentence) <= LONGEST_SENTENCE:
        return verdict
    return replace(verdict, sentence=verdict.sentence[:LONGEST_SENTENCE] + " …")


def _records(cell: NotebookNode) -> list[Any]:
    return [
        output["data"][evidence.MIME]
        for output in cell.get("outputs", [])
        if output.output_type in ("display_data", "execute_result")
        and evidence.MIME in output.get("data", {})
    ]


def _compare(record: evidence.Record, check: Check, case: Case) -> None:
    expected: Mapping[str, Any] = {
        "lab": case.lab,
        "check": check.name,
        "framework": case.framework,
        "data": "tiles" if case.data == "tiles" else "folder",
    }
    for field, value in expected.items():
        found = getattr(record, field)
        if found != value:
            raise evidence.EvidenceError(f"its {field} is {found!r}, expected {value!r}")
    if not record.unseen or record.seed != case.seed:
        raise evidence.EvidenceError("it was not measured on the images of this grading")


def _why_no_record(cell: NotebookNode, stop: Stop | None) -> str:
    errors = [o for o in cell.get("outputs", []) if o.output_type == "error"]
    if errors:
        return f"The check stopped with {_one_line(_first(errors))}."
    if stop is not None:
        return stop.sentence
    return "The check left no record; an answer may have replaced `lab` or ended the cell early."


def _first(errors: list[NotebookNode]) -> NotebookNode:
    """The error to speak of: running out of time rather than the interrupt that it led to."""
    return next((e for e in errors if e.get("ename") == TIMEOUT), errors[0])


def show_grade(cell: NotebookNode, graded: Graded) -> None:
    """Replace what the check cell shows by the judged card, in place.

    The card that the learner's process drew, its points and its tracebacks give way, because they
    are claims; the record stays with the card for whoever wants to judge it again.
    """
    found = _records(cell)
    data: dict[str, Any] = {
        "text/plain": "\n".join([as_text(graded.verdict), *graded.notes]),
        "text/html": as_html(graded.verdict)
        + "".join(f"<p style='padding-left:1em'>{escape(note)}</p>" for note in graded.notes),
    }
    if len(found) == 1 and isinstance(found[0], dict):
        data[evidence.MIME] = found[0]
    streams = [o for o in cell.get("outputs", []) if o.output_type == "stream"]
    cell.outputs = [new_output("display_data", data=data), *streams]


def plain_output(output: NotebookNode, keep: Container[str] = ()) -> NotebookNode:
    """The output with nothing in it that a browser would run, of bounded length, always valid.

    Text and bitmaps stay; HTML, SVG, Markdown, widgets and scripts go, since feedback pages show
    what a submission printed to whoever opens them.

    Args:
        output: as it came from the kernel.
        keep: further MIME types that stay as they are.
    """
    kind = output.output_type
    if kind == "stream":
        return new_output("stream", name=str(output.name), text=_shorten(output.text))
    if kind == "error":
        return new_output(
            "error",
            ename=_shorten(output.get("ename")),
            evalue=_shorten(output.get("evalue")),
            traceback=[_shorten(line) for line in output.get("traceback") or []],
        )
    kept: dict[str, Any] = {}
    for mime, value in output.get("data", {}).items():
        if mime == "text/plain":
            kept[mime] = _shorten(value)
        elif mime in keep or (mime in PICTURES and _is_base64(value)):
            kept[mime] = value
    return new_output(kind if kind == "execute_result" else "display_data", data=kept)


def encodable(text: str) -> str:
    """The text without halves of surrogate pairs, which a kernel can send and no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _shorten(text: Any) -> str:
    text = encodable(str(text))
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}\n[{len(text) - LONGEST_TEXT} characters more were left out]"


def _is_base64(value: Any) -> bool:
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except (AttributeError, ValueError, binascii.Error):
        return False
    return True


def outcome_of(reason: str) -> Outcome | None:
    """The outcome that a stored reason begins with; None for a text that is not one of ours."""
    for outcome in Outcome:
        if reason.startswith((f"{outcome.value.capitalize()}.", f"{outcome.value.capitalize()},")):
            return outcome
    return None
