"""The page that a learner gets back: what was measured, what it means, and nothing that runs.

Plugged into nbgrader_config.py (`GenerateFeedback.preprocessors` and `.exporter_class`), so stock
`nbgrader generate_feedback` writes it. The page is made from the graded notebook: the cards that
the judge drew, and what the learner wrote and printed. It leaves out the check cells' sources with
their hidden tests and the evidence; it loads nothing and holds no script.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bleach
from markupsafe import Markup
from nbconvert.exporters import Exporter
from nbconvert.filters import markdown2html, strip_ansi
from nbformat import NotebookNode
from nbgrader.preprocessors import GetGrades

from grader.checks.verdict import Outcome, number
from grader.harness.judging import outcome_of, plain_output
from grader.harness.markdown import from_markdown
from grader.harness.rebuild import cell_name, check_name, is_answer, is_check
from grader.harness.templating import render

Resources = dict[str, Any]
_CARD_TAGS = ("section", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "code")
_COMMENT_TAGS = (
    *("a", "p", "br", "em", "strong", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("h1", "h2", "h3", "h4", "table", "thead", "tbody", "tr", "th", "td"),
)
_TITLE = re.compile(r"^#\s+(.+)$", re.M)


@dataclass(frozen=True)
class Output:
    """Something that an answer cell left: text to be escaped, or a bitmap as a data URI."""

    text: str = ""
    picture: str = ""


@dataclass(frozen=True)
class Section:
    """What the page says on one graded cell.

    Attributes:
        name: the check's name in words.  points, max_points: as the gradebook has them.
        outcome: the judge's; None where a person decides.
        card: what the judge drew, as harmless HTML.
        comment: what an instructor wrote, as harmless HTML.
        answer: source of the answer cell, coloured; empty where there is none.
    """

    name: str
    points: float
    max_points: float
    by_hand: bool
    outcome: Outcome | None
    card: Markup
    comment: Markup
    answer: Markup
    outputs: tuple[Output, ...]

    @property
    def points_text(self) -> str:
        return f"{number(self.points)} of {number(self.max_points)}"


class FeedbackGrades(GetGrades):
    """nbgrader's own step, which also tells what was given by hand from what was measured."""

    def _get_score(self, cell: NotebookNode, resources: Resources) -> None:
        super()._get_score(cell, resources)
        grade = self.gradebook.find_grade(*self._where(cell))
        cell.metadata.nbgrader["by_hand"] = grade.manual_score is not None

    def _get_comment(self, cell: NotebookNode, resources: Resources) -> None:
        comment = self.gradebook.find_comment(*self._where(cell))
        cell.metadata.nbgrader["comment"] = comment.manual_comment or ""
        cell.metadata.nbgrader["reason"] = comment.auto_comment or ""

    def _where(self, cell: NotebookNode) -> tuple[str, str, str, str]:
        name = cell.metadata["nbgrader"]["grade_id"]
        return name, self.notebook_id, self.assignment_id, self.student_id


class FeedbackExporter(Exporter):
    """Turns a graded notebook into the feedback page."""

    file_extension = ".html"
    output_mimetype = "text/html"

    def from_notebook_node(  # type: ignore[override]
        self, nb: NotebookNode, resources: Resources | None = None, **kw: Any
    ) -> tuple[str, Resources]:
        nb, resources = super().from_notebook_node(nb, resources, **kw)
        return page(nb, resources["nbgrader"]), resources


def page(notebook: NotebookNode, grades: dict[str, Any]) -> str:
    """The feedback page of a notebook that went through `FeedbackGrades`."""
    return render(
        "feedback.html.j2",
        title=_title(notebook) or grades["notebook"],
        assignment=grades["assignment"],
        notebook=grades["notebook"],
        student=grades["student"],
        score=number(grades["score"]),
        max_score=number(grades["max_score"]),
        late_penalty=number(grades["late_penalty"]) if grades["late_penalty"] else "",
        sections=list(_sections(notebook)),
    )


def _title(notebook: NotebookNode) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = _TITLE.search(cell.source)
            return found[1].strip() if found else ""
    return ""


def _sections(notebook: NotebookNode) -> Iterator[Section]:
    answers = {cell_name(c): c for c in notebook.cells if is_answer(c)}
    for cell in notebook.cells:
        grading = cell.metadata.get("nbgrader", {})
        if not (grading.get("grade") or grading.get("task")):
            continue
        name = check_name(cell_name(cell))
        # A cell that a person grades holds the answer itself.
        answer = answers.get(name) if is_check(cell) else cell
        own = answer.metadata.nbgrader if answer is not None else {}
        reason = from_markdown(own.get("reason") or "")
        yield Section(
            name=name.replace("-", " ").replace("_", " "),
            points=float(grading.get("score") or 0),
            max_points=float(grading.get("points") or 0),
            by_hand=bool(grading.get("by_hand")),
            outcome=outcome_of(reason) if is_check(cell) else None,
            card=_card(cell) if is_check(cell) else Markup(),
            comment=_comment(own.get("comment") or ""),
            answer=_coloured(answer) if answer is not None else Markup(),
            outputs=tuple(_outputs(answer)) if answer is not None else (),
        )


def _card(cell: NotebookNode) -> Markup:
    """The card that the judge put into a check cell, reduced to the tags that a card has."""
    for output in cell.get("outputs", []):
        card = output.get("data", {}).get("text/html")
        if card:
            return Markup(bleach.clean("".join(card), _CARD_TAGS, {}, strip=True))
    return Markup()


def _comment(text: str) -> Markup:
    if not text:
        return Markup()
    allowed = {"a": ["href"]}
    protocols = ("http", "https", "mailto")
    html = markdown2html(text)
    return Markup(bleach.clean(html, _COMMENT_TAGS, allowed, protocols, strip=True))


def _coloured(cell: NotebookNode) -> Markup:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer, TextLexer

    if not cell.source.strip():
        return Markup()
    lexer = PythonLexer() if cell.cell_type == "code" else TextLexer()
    return Markup(highlight(cell.source, lexer, HtmlFormatter(nowrap=True)))


def _outputs(cell: NotebookNode) -> Iterator[Output]:
    for output in cell.get("outputs", []):
        kept = plain_output(output)
        if kept.output_type == "stream":
            yield Output(text=strip_ansi(kept.text))
        elif kept.output_type == "error":
            yield Output(text=f"{kept.ename}: {kept.evalue}")
        else:
            data = kept.get("data", {})
            picture = next((m for m in ("image/png", "image/jpeg") if m in data), "")
            if picture:
                content = base64.b64encode(base64.b64decode(data[picture])).decode("ascii")
                yield Output(picture=f"data:{picture};base64,{content}")
            elif "text/plain" in data:
                yield Output(text=strip_ansi(data["text/plain"]))
