"""Prove the checks: every answer of every lab through the released notebook and nbgrader.

A submission holds one answer for each answer cell, because checks are graded separately: that
halves the kernels to start. The reference is a submission of its own, with all its answers.

Proving everything takes longer than a change should wait, so the answers can be split into parts,
each a cross-section of all labs; continuous integration proves another part with every commit.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from grader.authoring.source import ProvingAnswer, read_answers, read_lab
from grader.checks.catalogue import load_checks
from grader.checks.session import SEED_VARIABLE
from grader.checks.verdict import Outcome, number
from grader.harness import course
from grader.harness.demo import reference_answers
from grader.harness.execute import solution_path
from grader.harness.gradebook import Row, read_grades

EVERYTHING = slice(None)


@dataclass(frozen=True)
class Proof:
    """One answer, its check's grade, and what is surprising about that ("" if nothing is)."""

    answer: ProvingAnswer
    check: str
    row: Row | None
    surprise: str


def prove(
    root: Path,
    labs: Iterable[str],
    frameworks: Sequence[str],
    *,
    processes: int,
    part: slice = EVERYTHING,
) -> int:
    """Print the matrix of answers and grades; return 1 after a surprise, else 0.

    `part` is cut out of the answers to every cell.
    """
    # The same unseen images in every proof, so that verdicts repeat.
    os.environ.setdefault(SEED_VARIABLE, "proof")
    graded = 0
    surprising = []
    for lab in labs:
        for framework in frameworks:
            start = time.perf_counter()
            proofs = prove_lab(root, lab, framework, processes, part)
            print(
                f"\n{lab}, {framework}: {len(proofs)} answers, {time.perf_counter() - start:.0f} s"
            )
            print(matrix(proofs), flush=True)
            graded += len(proofs)
            if any(p.surprise for p in proofs):
                surprising.append(f"{lab}, {framework}")
    if surprising:
        print(f"\nAn answer was graded otherwise than expected in: {'; '.join(surprising)}.")
        return 1
    print(f"\nAll {graded} answers were graded as expected.")
    return 0


def prove_lab(root: Path, lab: str, framework: str, processes: int, part: slice) -> list[Proof]:
    """Grade the answers of one lab in a class of its own."""
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
        class_ = submissions(answers, part)
        for student, handed_in in class_.items():
            sources = {c: a.source for c, a in handed_in.items() if a.kind != "reference"}
            sources = dict.fromkeys(reference, "") | sources if sources else reference
            submission = course.make_submission(released, sources)
            course.hand_in(folder, student, assignment, header.name, submission)
        failed: dict[str, str] = {}
        with tqdm(total=len(class_), desc=f"{lab} {framework}", leave=False) as bar:

            def graded(step: course.Step) -> None:
                bar.update()
                if not step.succeeded:
                    failed[step.student] = step.fault

            course.autograde(folder, assignment, processes=processes, on_student=graded)
        rows = read_grades(folder, assignment)
    found = {(r.student, r.check): r for r in rows}
    proofs = []
    for student, handed_in in class_.items():
        for check in load_checks(lab):
            answer = handed_in.get(check) or handed_in.get("")
            if answer is not None:
                row = found.get((student, check))
                surprise = failed.get(student) or find_surprise(answer, row)
                proofs.append(Proof(answer, check, row, surprise))
    return proofs


def submissions(
    answers: Sequence[ProvingAnswer], part: slice = EVERYTHING
) -> dict[str, dict[str, ProvingAnswer]]:
    """Answers by answer cell for each submission of the class; the reference stands under "".

    The reference is in every part.
    """
    by_cell: dict[str, list[ProvingAnswer]] = {}
    for answer in answers:
        if answer.cell:
            by_cell.setdefault(answer.cell, []).append(answer)
    class_ = {a.name: {"": a} for a in answers if a.kind == "reference"}
    for i in range(max(map(len, by_cell.values()), default=0))[part]:
        class_[f"answers_{i:02d}"] = {c: own[i] for c, own in by_cell.items() if i < len(own)}
    return class_


def find_surprise(answer: ProvingAnswer, row: Row | None) -> str:
    """Why this grade is not what the answer deserves; "" when it is.

    Outcome and message must be the expected ones, and full points are given exactly for a pass.
    """
    if row is None:
        return "no grade"
    got = row.outcome.value if row.outcome else "not graded"
    if got != answer.expect:
        return f"{got}, expected {answer.expect}. {row.reason}"
    if answer.says and answer.says not in row.reason:
        return f"the message lacks {answer.says!r}. {row.reason}"
    if row.points is None:
        return "no points"
    if (row.points == row.max_points) != (answer.expect == Outcome.PASSED.value):
        return f"{number(row.points)} points for {got}"
    return ""


def matrix(proofs: Sequence[Proof]) -> str:
    """The proofs as text: one answer a line, the surprise below it."""
    width = max(len(p.answer.name) for p in proofs)
    lines = []
    for p in sorted(proofs, key=lambda p: p.check):
        grade = "not graded"
        if p.row is not None and p.row.outcome is not None and p.row.points is not None:
            points = f"{number(p.row.points)} of {number(p.row.max_points)}"
            grade = f"{points:<10}{p.row.outcome.value}"
        mark = "SURPRISE" if p.surprise else "expected"
        lines.append(
            f"  {p.check:<10}{p.answer.name:<{width}}  {p.answer.kind:<9}  {mark}  {grade}"
        )
        if p.surprise:
            lines.append(f"      {p.surprise}")
    return "\n".join(lines)
