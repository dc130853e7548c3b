"""`grader doctor`: what this machine can do, what it lacks, and the command that mends it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from grader.harness.machine import Finding, State, examine


def doctor(root: Path | None) -> int:
    """Print one line for each thing; return 0 where grading can work and 1 where it cannot.

    Args:
        root: the course folder; None where there is none.
    """
    findings = examine(root)
    print(screen(findings))
    return 1 if lacking(findings) else 0


def lacking(findings: Sequence[Finding]) -> list[Finding]:
    """What grading cannot work without."""
    return [f for f in findings if f.needed and f.state is not State.OK]


def screen(findings: Sequence[Finding], width: int = 100) -> str:
    """The findings as text of at most `width` columns, and what follows from them."""
    column = max((len(f.what) for f in findings), default=0)
    lines = [line for finding in findings for line in _lines(finding, column, width)]
    wanting = lacking(findings)
    if wanting:
        names = ", ".join(f.what for f in wanting)
        lines += ["", f"Grading cannot work here yet: {names}."]
    else:
        lines += ["", "Grading can work here."]
    return "\n".join(lines)


def _lines(finding: Finding, column: int, width: int) -> list[str]:
    optional = "" if finding.needed or finding.state is State.OK else "(optional) "
    head = f"{finding.state.value:<8} {finding.what:<{column}}  "
    indent = " " * len(head)
    text = " ".join(f"{optional}{finding.found}".split())
    lines = fill(text, width, initial_indent=head, subsequent_indent=indent).splitlines()
    # A command stays on one line, to be copied.
    return [*lines, f"{indent}mend: {finding.mend}"] if finding.mend else lines
