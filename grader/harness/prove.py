"""Prove the checks: every answer of every lab through the released notebook and nbgrader."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from grader.authoring.source import ProvingAnswer, read_answers, read_lab
from grader.checks.catalogue import load_checks
from grader.checks.verdict import Outcome, number
from grader.harness import course
from grader.harness.demo import reference_answers
from grader.harness.execute import solution_path
from grader.harness.gradebook import Row, read_grades


@dataclass(frozen=True)
class Proof:
    """One answer, what it was graded as, and what is surprising about that ("" if nothing is)."""

    answer: ProvingAnswer
    rows: tuple[Row, ...]
    surprise: str


def prove(root: Path, labs: Iterable[str], frameworks: Sequence[str], *, processes: int) -> int:
    """Print the matrix of answers and grades; return 1 at a surprise, else 0.

    A lab is graded to its end, so that its matrix is whole; the next one is not started after a
    surprise.
    """
    for lab in labs:
        for framework in frameworks:
            start = time.perf_counter()
            proofs = prove_lab(root, lab, framework, processes)
            print(
                f"\n{lab}, {framework}: {len(proofs)} answers, {time.perf_counter() - start:.0f} s"
            )
            print(matrix(proofs), flush=True)
            if any(p.surprise for p in proofs):
                print(f"\nStopped: {lab}, {framework} graded an answer otherwise than expected.")
                return 1
    print("\nEvery answer was graded as expected.")
    return 0


def prove_lab(root: Path, lab: str, framework: str, processes: int) -> list[Proof]:
    """Grade every answer of one lab as a student of a class of its own."""
    source = read_lab(lab)
    header = source.header
    assignment = header.assignment(framework)
    answers = read_answers(source, framework)
    reference = reference_answers(solution_path(root, header, framework))
    with tempfile.TemporaryDirectory(prefix="clinic-prove-") as name:
        folder = Path(name)
        course.make_course(folder, [assignment], source=root, notebooks=header.name)
        course.generate_assignment(folder, assignment)
        released = course.released(folder, assignment, header.name)
        for answer in answers:
            sources = reference | ({answer.cell: answer.source} if answer.cell else {})
            submission = course.make_submission(released, sources)
            course.hand_in(folder, answer.name, assignment, header.name, submission)
        failed: dict[str, str] = {}
        with tqdm(total=len(answers), desc=f"{lab} {framework}", leave=False) as bar:

            def graded(step: course.Step) -> None:
                bar.update()
                if not step.succeeded:
                    failed[step.student] = step.fault

            course.autograde(folder, assignment, processes=processes, on_student=graded)
        rows = read_grades(folder, assignment)
    proofs = []
    for answer in answers:
        own = tuple(r for r in rows if r.student == answer.name)
        surprise = failed.get(answer.name) or find_surprise(answer, own, list(load_checks(lab)))
        proofs.append(Proof(answer, own, surprise))
    return proofs


def find_surprise(answer: ProvingAnswer, rows: Sequence[Row], checks: Sequence[str]) -> str:
    """Why these grades are not what the answer deserves; "" when they are.

    The check of the answer's own cell must have the expected outcome and message, the others, which
    were answered by the reference, must pass; full points are given exactly for a pass.
    """
    by_check = {r.check: r for r in rows}
    for check in checks:
        if check not in by_check:
            return f"{check}: no grade"
        row = by_check[check]
        own = check == answer.cell
        expected = answer.expect if own else Outcome.PASSED.value
        got = row.outcome.value if row.outcome else "not graded"
        if got != expected:
            return f"{check}: {got}, expected {expected}. {row.reason}"
        if own and answer.says and answer.says not in row.reason:
            return f"{check}: the message lacks {answer.says!r}. {row.reason}"
        if row.points is None:
            return f"{check}: no points"
        if (row.points == row.max_points) != (expected == Outcome.PASSED.value):
            return f"{check}: {number(row.points)} points for {got}"
    return ""


def matrix(proofs: Sequence[Proof]) -> str:
    """The proofs as text: one answer a line, the surprise below it."""
    width = max(len(p.answer.name) for p in proofs)
    lines = []
    for p in proofs:
        grades = "  ".join(
            f"{r.check} {number(r.points or 0)}/{number(r.max_points)} "
            f"{r.outcome.value if r.outcome else 'not graded'}"
            for r in p.rows
        )
        mark = "SURPRISE" if p.surprise else "expected"
        lines.append(f"  {p.answer.name:<{width}}  {p.answer.kind:<9}  {mark}  {grades}")
        if p.surprise:
            lines.append(f"      {p.surprise}")
    return "\n".join(lines)
