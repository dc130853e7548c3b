"""Say what a lab lacks, by file and line, before a learner meets it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from grader.authoring.build import DIFFICULTY, GENERATED, checked_name
from grader.authoring.names import names_defined, names_needed, parse
from grader.authoring.source import (
    BEGIN,
    END,
    ROLES,
    LabSource,
    ProvingAnswer,
    SourceCell,
    parse_cells,
    read_answers,
    read_lab,
)
from grader.checks.catalogue import load_checks
from grader.checks.check import Check
from grader.errors import ClinicError
from grader.frameworks import NAMES

MAX_SECONDS = 60
"""Longest run of a solution notebook on two cores, in seconds."""
HINTS = 3
WANTED_ANSWERS = {"constant": 1, "crash": 1, "wrong": 3, "right": 3, "healthy": 1}
"""Answers that each framework's repair needs, by kind."""
WANTED_DIAGNOSES = 2
"""Wrong diagnoses that each framework needs."""

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_SOURCE = re.compile(r"\d{3}/\d+")
_WORDS_OF = {
    "pytorch": {"torch", "torchvision"},
    "tensorflow": {"tensorflow", "tf", "keras"},
}
# nbgrader acts on these words wherever they stand; the builder alone writes them.
RESERVED = ("HIDDEN TESTS", "MARK SCHEME", "AUTOTEST")
# What is not prose in Markdown: code, comments, formulas, the mark in front of a picture.
_NOT_PROSE = re.compile(r"(`+)(?:.*?)\1|<!--.*?-->|\$[^$\n]+\$|!(?=\[)", re.DOTALL)
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.DOTALL | re.MULTILINE)


_TODO = re.compile(r"\bTODO\b(.*?)[\"',|\]\s]*$")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend.

    Attributes:
        path: file, from the course folder.  line: from 1.
        message: what is wrong and what to do.
    """

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def lint_lab(lab: str, labs_root: Path) -> list[Problem]:
    """Problems of the lab in `labs_root`/<lab>, also when its lab.py cannot be read at all."""
    try:
        source = read_lab(lab, labs_root)
    except ClinicError as error:
        return [_as_problem(error, f"labs/{lab}/lab.py")]
    return lint(source)


def lint(lab: LabSource) -> list[Problem]:
    """All problems of a lab, in the order of its files and lines; an empty list for a good one."""
    path = f"labs/{lab.header.id}/lab.py"
    problems = [Problem(path, line, text) for line, text in _in_lab_py(lab)]
    checks, faults = _checks(lab)
    problems += faults
    if checks is not None:
        problems += [Problem(path, line, text) for line, text in _against_checks(lab, checks)]
    for framework in NAMES:
        problems += _answers(lab, framework)
    problems += _todos(lab)
    # A shared cell is looked at in both frameworks; it is reported once.
    return sorted(set(problems))


# One rule a function; each yields (line of lab.py, message).

Found = Iterator[tuple[int, str]]


def _in_lab_py(lab: LabSource) -> Iterator[tuple[int, str]]:
    rules: list[Callable[[LabSource], Found]] = [
        _header,
        _names,
        _tags,
        _siblings,
        _both_frameworks,
        _pictures,
        _regions,
        _starters,
        _syntax,
        _framework_words,
        _skipped_names,
        _prose,
    ]
    for rule in rules:
        yield from rule(lab)


def _header(lab: LabSource) -> Found:
    header = lab.header
    text = (header.path / "lab.py").read_text(encoding="utf-8").splitlines()

    def line(field: str) -> int:
        return next((i for i, t in enumerate(text, 1) if t.startswith(f"# {field}:")), 1)

    if not 1 <= header.minutes <= 120:
        yield line("minutes"), f"minutes is {header.minutes}; give the learner's time, 1 to 120."
    if header.difficulty not in DIFFICULTY:
        yield line("difficulty"), f"difficulty is {header.difficulty}; use 1, 2 or 3."
    for framework in NAMES:
        seconds = header.seconds.get(framework)
        if seconds is None:
            yield (
                line("seconds"),
                f"seconds lacks {framework}; give the time of its solution notebook.",
            )
        elif not 0 < seconds <= MAX_SECONDS:
            yield (
                line("seconds"),
                f"seconds for {framework} is {seconds:g}; a solution notebook takes at most "
                f"{MAX_SECONDS} s on two cores, so shorten its runs.",
            )
    for name in header.seconds.keys() - set(NAMES):
        yield line("seconds"), f"seconds names {name!r}; use {' and '.join(NAMES)}."
    for source in header.sources:
        if not _SOURCE.fullmatch(source):
            yield (
                line("sources"),
                f'source {source!r} is no row of the seeds; write it as "000/28".',
            )
    for field in ("sources", "learn"):
        if not getattr(header, field):
            yield line(field), f"{field} is empty; name at least one."
    for field in ("title", "symptom"):
        value = getattr(header, field)
        if not value.strip():
            yield line(field), f"{field} is empty; say in a sentence what somebody saw."
        elif "!" in _prose_only(value):
            yield (
                line(field),
                f"{field} has an exclamation mark; end the sentence with a full stop.",
            )


def _names(lab: LabSource) -> Found:
    for cell in lab.cells:
        if not cell.name:
            yield cell.line, "the cell has no name; write it behind the marker, '# %% name'."
        elif not _NAME.fullmatch(cell.name):
            yield (
                cell.line,
                f"the cell name {cell.name!r} is not usable; take small letters, digits and "
                "hyphens, at most 64.",
            )
        elif cell.name in GENERATED:
            yield cell.line, f"the cell name {cell.name!r} is taken by the builder; choose another."
    for framework in NAMES:
        seen: dict[str, int] = {}
        for cell in lab.for_framework(framework):
            if cell.name and cell.name in seen:
                yield (
                    cell.line,
                    f"the cell name {cell.name!r} stands in line {seen[cell.name]} already "
                    f"({framework}); choose another.",
                )
            seen.setdefault(cell.name, cell.line)


def _tags(lab: LabSource) -> Found:
    known = (*NAMES, *ROLES)
    for cell in lab.cells:
        for tag in cell.tags:
            if tag not in known:
                yield cell.line, f"the tag {tag!r} is unknown; use one of {', '.join(known)}."
        for key in cell.metadata:
            yield cell.line, f"the marker has {key!r}; a cell of lab.py has a name and tags only."
        if cell.markdown and cell.role in ("answer", "check"):
            yield cell.line, f"the {cell.role} cell is Markdown; make it a code cell."


def _siblings(lab: LabSource) -> Found:
    own = [(i, c) for i, c in enumerate(lab.cells) if c.framework]
    for i, cell in own:
        (other,) = set(NAMES) - {cell.framework}
        places = [j for j, c in own if c.framework == other and c.name == cell.name]
        if not places:
            yield (
                cell.line,
                f"the cell {cell.name!r} is for {cell.framework} only; write its sibling with the "
                f'same name and tags=["{other}"] next to it.',
            )
            continue
        sibling = lab.cells[places[0]]
        if cell.framework == NAMES[0] and abs(places[0] - i) != 1:
            yield (
                cell.line,
                f"the siblings {cell.name!r} stand apart (line {sibling.line}); put them next to "
                "each other.",
            )
        if cell.framework == NAMES[0] and (cell.role, cell.markdown) != (
            sibling.role,
            sibling.markdown,
        ):
            yield (
                cell.line,
                f"the siblings {cell.name!r} differ in kind (line {sibling.line}); give both the "
                "same role.",
            )


def _both_frameworks(lab: LabSource) -> Found:
    for framework in NAMES:
        if not any(not c.markdown for c in lab.for_framework(framework)):
            yield 1, f"there is no code for {framework}; every lab exists in both frameworks."


def _pictures(lab: LabSource) -> Found:
    for framework in NAMES:
        if not any(c.role == "picture" for c in lab.for_framework(framework)):
            yield (
                1,
                f"there is no picture cell for {framework}; draw the signature picture in a cell "
                'with tags=["picture"].',
            )


def _regions(lab: LabSource) -> Found:
    for cell in lab.cells:
        begins = _lines_with(cell, "BEGIN SOLUTION")
        ends = _lines_with(cell, "END SOLUTION")
        for word in RESERVED:
            for line in _lines_with(cell, word):
                yield line, f"{word!r} means something to nbgrader; the builder writes it, not you."
        if cell.role != "answer":
            for line in begins + ends:
                yield line, "a solution marker stands outside an answer cell; move or remove it."
        elif not begins and not ends:
            yield (
                cell.line,
                f"the answer cell {cell.name!r} has no solution; put it between {BEGIN} and {END}.",
            )
        else:
            fault = _region_fault(begins, ends)
            if fault:
                yield fault
            for line in begins + ends:
                marker = cell.source.split("\n")[line - cell.first].strip()
                if marker not in (BEGIN, END):
                    yield line, f"the marker is {marker!r}; write {BEGIN} or {END} on its own line."


def _lines_with(cell: SourceCell, words: str) -> list[int]:
    return [cell.first + i for i, t in enumerate(cell.source.split("\n")) if words in t]


def _region_fault(begins: list[int], ends: list[int]) -> tuple[int, str] | None:
    open_since = 0
    for line in sorted(begins + ends):
        if line in begins and open_since:
            return line, f"a solution begins inside the one of line {open_since}; close that first."
        if line in ends and not open_since:
            return line, f"a solution ends before it begins; write {BEGIN} above it."
        open_since = line if line in begins else 0
    if open_since:
        return open_since, f"the solution is not closed; write {END} behind it."
    return None


def _starters(lab: LabSource) -> Found:
    for cell in lab.cells:
        if cell.role != "answer" or cell.markdown or not _closed(cell):
            continue
        if not _lines_with(cell, "BEGIN SOLUTION"):
            continue
        try:
            solution = ast.dump(parse(cell.source))
        except SyntaxError:
            continue  # reported by the rule on syntax
        try:
            starter = ast.dump(parse(cell.starter()))
        except SyntaxError as error:
            yield (
                cell.line,
                f"the starter of {cell.name!r} is no Python without its solution "
                f"({error.msg}, line {error.lineno} of the starter); leave the sick code outside "
                "the region.",
            )
            continue
        if starter == solution:
            yield (
                cell.line,
                f"the starter of {cell.name!r} equals its solution; put the repair inside the "
                "region and the sick code outside.",
            )


def _closed(cell: SourceCell) -> bool:
    ends = _lines_with(cell, "END SOLUTION")
    return _region_fault(_lines_with(cell, "BEGIN SOLUTION"), ends) is None


def _syntax(lab: LabSource) -> Found:
    for cell in lab.cells:
        if cell.markdown:
            continue
        try:
            parse(cell.source)
        except SyntaxError as error:
            where = cell.framework or "both frameworks"
            line = cell.first + (error.lineno or 1) - 1
            yield line, f"syntax error in cell {cell.name!r} ({where}): {error.msg}."


def _framework_words(lab: LabSource) -> Found:
    for cell in lab.cells:
        if cell.markdown:
            continue
        foreign = set().union(*(_WORDS_OF[n] for n in NAMES if n != cell.framework))
        try:
            tree = parse(cell.source)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            for word in _words(node) & foreign:
                line = cell.first + getattr(node, "lineno", 1) - 1
                if cell.framework:
                    yield (
                        line,
                        f"{word!r} stands in a {cell.framework} cell; move it to its sibling.",
                    )
                else:
                    yield (
                        line,
                        f"{word!r} stands in a shared cell; write two sibling cells, tagged "
                        f"{' and '.join(NAMES)}, or call lab.fw.",
                    )


def _words(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").split(".")[0]}
    return {node.id} if isinstance(node, ast.Name) else set()


def _skipped_names(lab: LabSource) -> Found:
    """Picture and proof cells are skipped while grading, so nothing else may need what they set."""
    for framework in NAMES:
        last_set: dict[str, SourceCell] = {}
        for cell in lab.for_framework(framework):
            if cell.markdown:
                continue
            try:
                defined, needed = names_defined(cell.source), names_needed(cell.source)
            except SyntaxError:
                continue
            if cell.role not in ("picture", "proof"):
                for name in sorted(needed):
                    setter = last_set.get(name)
                    if setter and setter.role in ("picture", "proof"):
                        yield (
                            cell.line,
                            f"the cell {cell.name!r} needs {name!r} from the {setter.role} cell "
                            f"{setter.name!r} (line {setter.line}), which is skipped while "
                            "grading; compute it in a cell without that tag.",
                        )
            last_set |= dict.fromkeys(defined, cell)


def _prose(lab: LabSource) -> Found:
    for cell in lab.cells:
        if not cell.markdown:
            continue
        for i, text in enumerate(_prose_only(cell.source).split("\n")):
            if "!" in text:
                yield cell.first + i, "the prose has an exclamation mark; use a full stop."


def _prose_only(markdown: str) -> str:
    """Markdown with everything that is not prose blanked out; line numbers stay."""

    def blank(match: re.Match[str]) -> str:
        return "\n" * match[0].count("\n")

    return _NOT_PROSE.sub(blank, _FENCE.sub(blank, markdown))


# Rules that compare lab.py with checks.py and the answers


def _checks(lab: LabSource) -> tuple[Mapping[str, Check] | None, list[Problem]]:
    path = f"labs/{lab.header.id}/checks.py"
    try:
        checks = load_checks(lab.header.id, lab.header.path.parent.parent)
    except ClinicError as error:
        return None, [_as_problem(error, path)]
    except SyntaxError as error:
        return None, [Problem(path, error.lineno or 1, f"syntax error: {error.msg}.")]
    except Exception as error:
        # The file is somebody's program; whatever it raises is theirs to mend.
        return None, [
            Problem(
                path,
                _line_raised_in(error, lab.header.path / "checks.py"),
                f"it raises {type(error).__name__}: {error}; mend it so that it can be imported.",
            )
        ]
    return checks, [] if checks else [Problem(path, 1, "CHECKS is empty; declare a check.")]


def _line_raised_in(error: BaseException, path: Path) -> int:
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _against_checks(lab: LabSource, checks: Mapping[str, Check]) -> Found:
    yield from _hints(lab, checks)
    for framework in NAMES:
        cells = lab.for_framework(framework)
        answers = {c.name: i for i, c in enumerate(cells) if c.role == "answer"}
        asked: dict[str, SourceCell] = {}
        for i, cell in enumerate(cells):
            if cell.role != "check" or cell.markdown:
                continue
            name = checked_name(cell.source)
            if not name:
                yield (
                    cell.line,
                    f"the check cell {cell.name!r} must read exactly "
                    'lab.check("name"), with the name of a check.',
                )
            elif name not in checks:
                yield (
                    cell.first,
                    f"there is no check {name!r}; checks.py declares {', '.join(checks)}.",
                )
            elif name in asked:
                yield cell.first, f"the check {name!r} stands in line {asked[name].line} already."
            elif name in answers and answers[name] > i:
                yield cell.line, f"the check {name!r} stands above its answer cell; put it below."
            asked.setdefault(name, cell)
        for name in checks:
            if name not in asked:
                yield (
                    1,
                    f"the check {name!r} has no check cell for {framework}; add one that reads "
                    f'lab.check("{name}").',
                )
            if name not in answers:
                yield (
                    1,
                    f"the check {name!r} has no answer cell for {framework}; add a cell "
                    f'{name!r} with tags=["answer"].',
                )
        for name, i in answers.items():
            if name not in checks:
                yield (
                    cells[i].line,
                    f"the answer cell {name!r} has no check; declare one in checks.py.",
                )


def _hints(lab: LabSource, checks: Mapping[str, Check]) -> Found:
    text = (lab.header.path / "lab.py").read_text(encoding="utf-8").splitlines()
    line = next((i for i, t in enumerate(text, 1) if t.startswith("# hints:")), 1)
    for name in checks:
        hints = lab.header.hints.get(name, ())
        if len(hints) < HINTS:
            yield (
                line,
                f"the check {name!r} has {len(hints) or 'no'} hint{'s' * (len(hints) != 1)}; write "
                f"{HINTS}: a nudge, where to look, the line.",
            )
        elif not all(hint.strip() for hint in hints):
            yield line, f"a hint of {name!r} is empty; write it."
    for name in lab.header.hints:
        if name not in checks:
            yield line, f"there are hints for {name!r}, but no such check; rename or remove them."


def _answers(lab: LabSource, framework: str) -> list[Problem]:
    path = f"labs/{lab.header.id}/answers/{framework}.py"
    file = lab.header.path / "answers" / f"{framework}.py"
    try:
        # Regions that do not close are reported for lab.py; they must not hide the answers.
        closed = tuple(c if _closed(c) else replace(c, source="") for c in lab.cells)
        answers = read_answers(replace(lab, cells=closed), framework)
        cells = parse_cells(file.read_text(encoding="utf-8"), path)
    except ClinicError as error:
        return [_as_problem(error, path)]
    problems = []
    written = answers[-len(cells) :] if cells else []
    for cell in cells:
        try:
            parse(cell.source)
        except SyntaxError as error:
            line = cell.first + (error.lineno or 1) - 1
            problems.append(Problem(path, line, f"syntax error in {cell.name!r}: {error.msg}."))
        if not cell.name:
            problems.append(Problem(path, cell.line, "the answer has no name; write one."))
        for key in sorted(cell.metadata.keys() - {"kind", "cell", "expect", "says"}):
            text = f"the marker has {key!r}; use kind, cell, expect and says."
            problems.append(Problem(path, cell.line, text))
    for name, times in Counter(c.name for c in cells if c.name).items():
        if times > 1:
            line = [c.line for c in cells if c.name == name][-1]
            problems.append(Problem(path, line, f"the answer {name!r} is there twice; rename one."))
    problems += [Problem(path, 1, text) for text in _too_few(written)]
    return problems


def _too_few(answers: list[ProvingAnswer]) -> Iterator[str]:
    counted: dict[str, set[str]] = {kind: set() for kind in WANTED_ANSWERS}
    diagnoses = set()
    for answer in answers:
        # Two answers with the same text are one answer.
        if answer.cell == "diagnosis":
            diagnoses |= {answer.source} if answer.kind == "wrong" else set()
        else:
            counted[answer.kind].add(answer.source)
    for kind, wanted in WANTED_ANSWERS.items():
        if len(counted[kind]) < wanted:
            yield (
                f"there {_are(len(counted[kind]))} of kind {kind!r}; write at least {wanted} "
                "that differ."
            )
    if len(diagnoses) < WANTED_DIAGNOSES:
        yield (
            f"there {_are(len(diagnoses))} with a wrong diagnosis; write at least "
            f'{WANTED_DIAGNOSES} of kind "wrong" with cell="diagnosis".'
        )


def _are(n: int) -> str:
    return "is 1 answer" if n == 1 else f"are {n or 'no'} answers"


def _todos(lab: LabSource) -> list[Problem]:
    problems = []
    for name in ("lab.py", "checks.py", *(f"answers/{framework}.py" for framework in NAMES)):
        file = lab.header.path / name
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        for i, text in enumerate(lines, 1):
            left = _TODO.search(text)
            if left:
                what = left[1].strip(" :") or "see the line"
                path = f"labs/{lab.header.id}/{name}"
                problems.append(Problem(path, i, f"still to do: {what}"))
    return problems


def _as_problem(error: ClinicError, path: str) -> Problem:
    """A ClinicError of the parser as a problem; its sentence begins with file and line."""
    match = re.match(r"(labs/\S+?\.py)(?::(\d+))?:?\s+(.*)", str(error), re.DOTALL)
    if match:
        return Problem(match[1], int(match[2] or 1), match[3])
    return Problem(path, 1, str(error))
