"""Read a lab.py and its answers: percent scripts, parsed by jupytext, with line numbers kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jupytext

from grader.authoring.names import names_defined, names_used
from grader.checks.catalogue import LabHeader, labs_root, read_header, split_header
from grader.errors import ClinicError
from grader.frameworks import NAMES

ROLES = ("answer", "check", "picture", "proof")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = "# YOUR CODE HERE"
_MARKER = re.compile(r"^# %%(\s|$)")
# jupytext would turn a comment such as "# copy the weights" into a shell command; comments stay.
_PERCENT = {"extension": ".py", "format_name": "percent", "comment_magics": False}


@dataclass(frozen=True)
class SourceCell:
    """One cell of a percent script.

    Attributes:
        name: title in the cell's marker; siblings of the two frameworks share it.
        markdown: True for prose.
        tags: as written.  framework: the tag that names one, None for a shared cell.
        role: "answer", "check", "picture", "proof" or None.
        source: the cell's text.  line: line of its marker in the file, from 1.
        metadata: other key="value" pairs of the marker.
        first: line in the file of the source's first line, from 1.
    """

    name: str
    markdown: bool
    tags: tuple[str, ...]
    framework: str | None
    role: str | None
    source: str
    line: int
    metadata: dict[str, object]
    first: int = 0

    def starter(self) -> str:
        """The source with every solution region replaced by the stub line."""
        return without_solution(self.source)


@dataclass(frozen=True)
class LabSource:
    """A parsed lab: header, cells of lab.py, answers of each framework."""

    header: LabHeader
    cells: tuple[SourceCell, ...]

    def for_framework(self, framework: str) -> list[SourceCell]:
        """Cells of one framework's notebook in order: the shared ones and its own."""
        return [c for c in self.cells if c.framework in (None, framework)]


def without_solution(source: str) -> str:
    """Replace solution regions by the stub, as nbgrader does, at the region's indentation.

    Raises:
        ValueError: a region that does not end, or ends before it began.
    """
    lines, inside = [], False
    for line in source.split("\n"):
        if "BEGIN SOLUTION" in line:
            if inside:
                raise ValueError("a solution region begins inside another one")
            inside = True
            lines.append(line[: len(line) - len(line.lstrip())] + STUB)
        elif "END SOLUTION" in line:
            if not inside:
                raise ValueError("a solution region ends before it begins")
            inside = False
        elif not inside:
            lines.append(line)
    if inside:
        raise ValueError("a solution region has no end")
    return "\n".join(lines)


def parse_cells(text: str, where: str, *, skip_lines: int = 0) -> list[SourceCell]:
    """Parse a percent script into cells.

    Args:
        text: the file's text.  where: its name for messages.
        skip_lines: lines of the header, which is not part of the first cell.

    Raises:
        ClinicError: text before the first marker, a marker that cannot be read, a raw cell, more
            than one framework or role in a cell; each with its line.
    """
    lines = text.splitlines()
    starts = [i for i in range(skip_lines, len(lines)) if _MARKER.match(lines[i])]
    first = starts[0] if starts else len(lines)
    for i in range(skip_lines, first):
        if lines[i].strip():
            raise ClinicError(
                f"{where}:{i + 1}: text stands before the first cell; start it with '# %% name'."
            )
    body = "\n".join(lines[first:]) + "\n"
    try:
        parsed = jupytext.reads(body, fmt=_PERCENT).cells if starts else []
    except Exception:
        raise _unreadable(lines, starts, where) from None
    if len(parsed) != len(starts):
        raise ClinicError(
            f"{where}: {len(starts)} cell markers give {len(parsed)} cells; a marker is written "
            "'# %% name' and never stands inside a string."
        )
    cells = []
    for cell, start in zip(parsed, starts, strict=True):
        metadata = {k: v for k, v in cell.metadata.items() if k != "lines_to_next_cell"}
        quoted = metadata.pop("cell_marker", None) is not None
        tags = metadata.pop("tags", [])
        if "incorrectly_encoded_metadata" in metadata or not _is_list_of_text(tags):
            raise _unreadable(lines, [start], where)
        if cell.cell_type not in ("code", "markdown"):
            raise ClinicError(f"{where}:{start + 1}: a cell is code or [markdown], nothing else.")
        blank = len(cell.source) - len(cell.source.lstrip("\n"))
        named = [t for t in tags if t in NAMES]
        roles = [t for t in tags if t in ROLES]
        if len(named) > 1 or len(roles) > 1:
            raise ClinicError(
                f"{where}:{start + 1}: a cell has one framework and one role at most."
            )
        cells.append(
            SourceCell(
                name=str(metadata.pop("title", "")),
                markdown=cell.cell_type == "markdown",
                tags=tuple(tags),
                framework=named[0] if named else None,
                role=roles[0] if roles else None,
                source=cell.source.strip("\n"),
                line=start + 1,
                metadata=metadata,
                first=start + 2 + quoted + blank,
            )
        )
    return cells


def _unreadable(lines: list[str], starts: list[int], where: str) -> ClinicError:
    """The error for the first marker that jupytext refuses, such as one with odd tags."""
    for start in starts:
        try:
            jupytext.reads(lines[start] + "\n", fmt=_PERCENT)
        except Exception:
            break
    return ClinicError(
        f'{where}:{start + 1}: the marker cannot be read; write it as # %% name tags=["answer"].'
    )


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def read_lab(lab: str, root: Path | None = None) -> LabSource:
    """Read labs/<lab>/lab.py.

    Raises:
        ClinicError: unknown lab, or a file that is not a lab, with the line.
    """
    root = root or labs_root()
    header = read_header(lab, root)
    path = root / lab / "lab.py"
    text = path.read_text(encoding="utf-8")
    where = f"labs/{lab}/lab.py"
    _, skip = split_header(text, where)
    return LabSource(header, tuple(parse_cells(text, where, skip_lines=skip)))


@dataclass(frozen=True)
class ProvingAnswer:
    """One answer that proves a check: what is handed in, and what must come back.

    Attributes:
        name: "divides_twice".  cell: the answer cell it replaces, "repair".
        kind: "untouched", "reference", "empty", "crash", "constant", "wrong", "right" or "healthy".
        expect: the outcome, as in `grader.checks.Outcome`'s values.
        says: words that the message must contain, "" for any.
        source: source of the answer cell.
    """

    name: str
    cell: str
    kind: str
    expect: str
    says: str
    source: str


KINDS = {
    "constant": "not yet",
    "wrong": "not yet",
    "right": "passed",
    "healthy": "passed",
    "crash": "your code raised",
}


def read_answers(lab: LabSource, framework: str) -> list[ProvingAnswer]:
    """All answers of one lab in one framework: those of answers/<framework>.py and the usual four.

    The usual four need no author: untouched, empty, reference, and a cell that crashes.

    Raises:
        ClinicError: no file, an unknown kind or an unknown cell, with the line.
    """
    where = f"labs/{lab.header.id}/answers/{framework}.py"
    path = lab.header.path / "answers" / f"{framework}.py"
    if not path.is_file():
        raise ClinicError(f"{where} is missing; write the answers that prove the checks.")
    cells = {c.name: c for c in lab.for_framework(framework) if c.role == "answer"}
    answers = []
    for name, cell in cells.items():
        crash = "raise RuntimeError('this cell always fails')"
        answers += [
            ProvingAnswer(
                f"untouched_{name}", name, "untouched", "not attempted", "", cell.starter()
            ),
            ProvingAnswer(f"empty_{name}", name, "empty", "not attempted", "", ""),
            ProvingAnswer(f"crash_{name}", name, "crash", "not attempted", "", crash),
        ]
    answers.append(ProvingAnswer("reference", "", "reference", "passed", "", ""))
    for cell in parse_cells(path.read_text(encoding="utf-8"), where):
        kind = str(cell.metadata.get("kind", ""))
        target = str(cell.metadata.get("cell", "repair"))
        if kind not in KINDS:
            raise ClinicError(
                f"{where}:{cell.line}: kind is {kind!r}; use one of {', '.join(KINDS)}."
            )
        if target not in cells:
            raise ClinicError(f"{where}:{cell.line}: there is no answer cell {target!r}.")
        answers.append(
            ProvingAnswer(
                name=cell.name,
                cell=target,
                kind=kind,
                expect=str(cell.metadata.get("expect", KINDS[kind])),
                says=str(cell.metadata.get("says", "")),
                source=cell.source,
            )
        )
    return answers


def needed_for(sources: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """The sources, in order, that define the wanted names, directly or through one another.

    Used where one check is measured many times: the sick run and its pictures are left out unless
    the answer uses what they computed.
    """
    cells = [(s, names_defined(s), names_used(s)) for s in sources]
    missing, chosen = set(wanted), set[int]()
    while True:
        more = {
            i for i, (_, defined, _) in enumerate(cells) if i not in chosen and defined & missing
        }
        if not more:
            return [cells[i][0] for i in sorted(chosen)]
        chosen |= more
        for i in more:
            missing |= cells[i][2]
