"""One engine for the learner's cell, the command line and the instructor's grader.

`collect` runs beside the learner's code and never raises for what the learner did; `judge` decides.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from grader.checks.check import Answer, AnswerError, Case, Check
from grader.checks.evidence import EvidenceError, Record, plain, restore
from grader.checks.verdict import Finding, Outcome, Verdict, number

COLLECTED = "collected"
UNMEASURABLE = "unmeasurable"

# What reading evidence raises that is not what a check hands over.
_MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
LONGEST_MESSAGE = 1_000  # characters of a learner's error that are told

# What a pass was measured on, and what was not verified by it.
PRACTICE = "Measured on the practice images. Grading repeats this on images you have not seen."
UNSEEN = "Measured on images you have not seen."


def collect(check: Check, case: Case, namespace: Mapping[str, Any], *, unseen: bool) -> Record:
    """Run the collecting half of a check on the names in a namespace.

    Learner errors, up to and including SystemExit, end up in the record; an interrupt passes.
    """

    def record(status: str, evidence: dict[str, Any] | None = None, error: str = "") -> Record:
        return Record(
            lab=case.lab,
            check=check.name,
            framework=case.framework,
            seed=case.seed,
            data="tiles" if case.data == "tiles" else "folder",
            unseen=unseen,
            status=status,
            evidence=evidence or {},
            error=error,
            seconds=time.perf_counter() - start,
        )

    start = time.perf_counter()
    missing = [name for name in check.takes if name not in namespace]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        return record(
            Outcome.NOT_ATTEMPTED.value,
            error=f"{names} {'is' if len(missing) == 1 else 'are'} not defined; "
            "run the answer cell above, and see whether it raised.",
        )
    try:
        if case.fw is not None:
            case.fw.set_seed(case.seed)
        answer = Answer(**{name: namespace[name] for name in check.takes})
        evidence = restore(plain(check.collect(case, answer)))
    except AnswerError as error:
        return record(UNMEASURABLE, error=str(error))
    except EvidenceError as error:
        return record(UNMEASURABLE, error=f"What was measured is not a number: {error}.")
    except (Exception, SystemExit) as error:
        return record(Outcome.RAISED.value, error=describe_error(error))
    return record(COLLECTED, evidence)


def describe_error(error: BaseException) -> str:
    """One line for a learner's error: type, message, and the line of their own cell, if any."""
    message = str(error)[:LONGEST_MESSAGE].strip().splitlines()
    text = f"{type(error).__name__}: {message[0] if message else 'no message'}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_cell(frame.filename) and frame.line:
            return f"{text} (in your line `{frame.line.strip()}`)"
    return text


def _is_cell(filename: str) -> bool:
    # IPython compiles cells under names like /tmp/ipykernel_123/456.py or <ipython-input-7-...>;
    # <answer ...> is the command line's own name for a cell.
    return "ipykernel_" in filename or filename.startswith(("<ipython-input", "<answer"))


def measure(check: Check, case: Case, record: Record) -> Record:
    """The record with what the check measures itself, whatever the learner's side says of that.

    Raises:
        EvidenceError: the evidence lacks what the measurement asks for.
    """
    if check.measure is None or record.status != COLLECTED:
        return record
    start = time.perf_counter()
    if case.fw is not None:
        case.fw.set_seed(case.seed)
    try:
        measured = check.measure(case, record.evidence)
    except _MALFORMED as error:
        raise EvidenceError(f"the evidence is incomplete or malformed: {error!r}") from error
    return replace(
        record,
        evidence={**record.evidence, **restore(plain(measured))},
        seconds=record.seconds + time.perf_counter() - start,
    )


def judge(check: Check, case: Case, record: Record) -> Verdict:
    """Decide on a record. Pure: the same record gives the same verdict on every machine.

    Args:
        record: with what `measure` adds to it.
    """

    def verdict(
        outcome: Outcome, sentence: str, points: float = 0, findings: tuple[Finding, ...] = ()
    ) -> Verdict:
        return Verdict(
            check.name, outcome, points, float(check.points), findings, sentence, record.unseen
        )

    if record.status == Outcome.NOT_ATTEMPTED.value:
        return verdict(Outcome.NOT_ATTEMPTED, record.error)
    if record.status == Outcome.RAISED.value:
        return verdict(Outcome.RAISED, record.error)
    if record.status == UNMEASURABLE:
        return verdict(Outcome.NOT_YET, record.error)
    if record.status != COLLECTED:
        raise EvidenceError(f"the record's status is {record.status!r}")
    try:
        if check.untouched(record.evidence):
            return verdict(
                Outcome.NOT_ATTEMPTED,
                "Nothing that was measured differs from the sick program yet; "
                "change the answer cell above and run it.",
            )
        findings = tuple(check.judge(case, record.evidence))
    except _MALFORMED as error:
        raise EvidenceError(f"the evidence is incomplete or malformed: {error!r}") from error
    gates = 0
    for finding in findings:
        if not finding.holds:
            break
        gates += 1
    points = round(check.points * gates / len(findings), 2)
    if gates == len(findings):
        scope = check.when_passed or (UNSEEN if record.unseen else PRACTICE)
        return verdict(Outcome.PASSED, scope, float(check.points), findings)
    failing = findings[gates]
    sentence = (
        f"{failing.measured} Expected: {failing.expected}. {failing.means} {failing.look_next}"
        if failing.metric != "cause"
        else f"{failing.measured} {failing.means} {failing.look_next}"
    )
    return verdict(Outcome.NOT_YET, sentence, points, findings)


def not_run(check: Check) -> Verdict:
    """The verdict on a check that left no record."""
    return Verdict(
        check.name,
        Outcome.NOT_RUN,
        0.0,
        float(check.points),
        (),
        "The check did not run to its end, so there is nothing to judge.",
    )


def headline(verdict: Verdict) -> str:
    """The first words of a verdict: outcome and points, "Not yet, 1 of 3."."""
    outcome = verdict.outcome.value.capitalize()
    if verdict.outcome in (Outcome.PASSED, Outcome.NOT_YET):
        return f"{outcome}, {number(verdict.points)} of {number(verdict.max_points)}."
    return f"{outcome}."
