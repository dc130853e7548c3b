"""How a verdict looks: a card in a notebook, the same words as plain text everywhere else."""

from __future__ import annotations

from html import escape

from grader.checks.engine import headline
from grader.checks.verdict import Outcome, Verdict, number

SYMBOLS = {
    Outcome.NOT_RUN: "○",
    Outcome.NOT_ATTEMPTED: "○",
    Outcome.RAISED: "!",
    Outcome.NOT_YET: "◐",
    Outcome.PASSED: "●",
}
# Borders only, chosen to be told apart without hue on light and dark backgrounds alike; the outcome
# is always in words and a symbol as well.
_BORDER = {
    Outcome.NOT_RUN: "1px dashed #888",
    Outcome.NOT_ATTEMPTED: "1px dashed #888",
    Outcome.RAISED: "4px double #d55e00",
    Outcome.NOT_YET: "4px dotted #e69f00",
    Outcome.PASSED: "4px solid #0072b2",
}


def as_text(verdict: Verdict, hint: str = "") -> str:
    """The verdict as plain text; `hint` is an invitation such as "hint('repair')"."""
    lines = [f"{SYMBOLS[verdict.outcome]} {headline(verdict)} {verdict.sentence}"]
    for f in verdict.findings:
        mark = "holds" if f.holds else "does not hold"
        lines.append(f"    {f.metric}: {number(f.value)}, expected {f.expected}: {mark}")
    if hint and not verdict.passed:
        lines.append(f"    {hint}")
    return "\n".join(lines)


def as_html(verdict: Verdict, hint: str = "") -> str:
    """The verdict as a card; uses the page's own colours, so it reads in light and dark themes."""
    rows = "".join(
        _row(
            "td", f.metric, number(f.value), f.expected, "✓ holds" if f.holds else "✗ does not hold"
        )
        for f in verdict.findings
    )
    table = (
        f"<table><thead>{_row('th', 'measured', 'value', 'expected', 'result')}</thead>"
        f"<tbody>{rows}</tbody></table>"
        if rows
        else ""
    )
    invitation = f"<p><code>{escape(hint)}</code></p>" if hint and not verdict.passed else ""
    return (
        f"<section role='status' aria-label='check {escape(verdict.check)}' "
        f"style='border-left:{_BORDER[verdict.outcome]};padding:.3em 1em;max-width:60em'>"
        f"<p><strong><span aria-hidden='true'>{SYMBOLS[verdict.outcome]}</span> "
        f"{escape(headline(verdict))}</strong> {escape(verdict.sentence)}</p>"
        f"{table}{invitation}</section>"
    )


def _row(kind: str, *cells: str) -> str:
    # Padding of its own: nbgrader's feedback pages have none for tables.
    style = "text-align:left;padding:.1em .8em"
    return (
        "<tr>" + "".join(f"<{kind} style='{style}'>{escape(c)}</{kind}>" for c in cells) + "</tr>"
    )
