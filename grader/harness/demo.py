"""A small class, graded through nbgrader: what an instructor gets, on one lab."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat

from grader.authoring.source import ProvingAnswer, read_answers, read_lab
from grader.checks.catalogue import LabHeader
from grader.errors import ClinicError
from grader.frameworks import NAMES
from grader.harness import course
from grader.harness.execute import solution_path
from grader.harness.gradebook import Row, as_table, read_grades
from grader.harness.rebuild import cell_name, is_answer

LAB = "1_data/01_input_scale"
MARKER = ".made-by-grader-demo"


@dataclass(frozen=True)
class Student:
    """Somebody in the demo class.

    Attributes:
        name: what they handed in, which is also their name in the gradebook.
        says: the same in words.
        answers: source of their answer cells by name; the released cells where there is none.
        earns_all: whether they should get all points.
    """

    name: str
    says: str
    answers: dict[str, str]
    earns_all: bool = False


def demo(root: Path, folder: Path, lab: str = LAB, frameworks: Sequence[str] = NAMES) -> int:
    """Grade the demo class, print grades and reasons, write the feedback; return an exit status.

    The status is 1 when a grade is not what that submission deserves.
    """
    header = read_lab(lab).header
    print(f"A class hands in '{header.title}' ({lab}). Everything is kept in {folder}.\n")
    make_class(root, folder, header, frameworks)
    surprises = []
    for framework in frameworks:
        assignment = header.assignment(framework)
        for student in class_of(root, header, framework):
            print(f"  {student.name:<10} {student.says}")
        print(f"\nGrading {assignment}: each notebook is rebuilt, run and judged on unseen images.")
        rows = grade_class(folder, assignment)
        pages = course.generate_feedback(folder, assignment)
        print(f"\n{as_table(rows)}\n")
        surprises += find_surprises(rows, class_of(root, header, framework))
        page = pages["wrong"][0]
        print(f"Feedback for everybody, for example: {page}\n")
    print("\n".join(surprises) or "Only the right repair earns all points.")
    print("To go on: `make lab` opens JupyterLab on the first notebook.")
    return 1 if surprises else 0


def make_class(root: Path, folder: Path, header: LabHeader, frameworks: Iterable[str]) -> None:
    """Make the course folder of the demo, anew if a demo made it, and hand in for everybody.

    Raises:
        ClinicError: the folder holds something else.
    """
    if folder.exists():
        if any(folder.iterdir()) and not (folder / MARKER).is_file():
            raise ClinicError(f"{folder} holds something else; name an empty folder for the demo.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
    for framework in frameworks:
        assignment = header.assignment(framework)
        course.make_course(folder, [assignment], source=root, notebooks=header.name)
        course.generate_assignment(folder, assignment)
        released = course.released(folder, assignment, header.name)
        for student in class_of(root, header, framework):
            submission = course.make_submission(released, student.answers)
            course.hand_in(folder, student.name, assignment, header.name, submission)


def class_of(root: Path, header: LabHeader, framework: str) -> list[Student]:
    """The students of the demo: one of each kind, from the answers that prove the lab's checks."""
    reference = reference_answers(solution_path(root, header, framework))
    answers = read_answers(read_lab(header.id), framework)
    wrong = _pick(answers, "wrong", "not yet")
    crash = _pick(answers, "crash", "your code raised")
    return [
        Student("untouched", "the notebook as it was released", {}),
        Student("right", "the reference solution", reference, earns_all=True),
        Student(
            "wrong",
            f"the right diagnosis, then a repair that looks plausible: {wrong.name}",
            reference | {wrong.cell: wrong.source},
        ),
        Student(
            "crashing",
            f"the right diagnosis, then a repair that raises: {crash.name}",
            reference | {crash.cell: crash.source},
        ),
    ]


def reference_answers(solution: Path) -> dict[str, str]:
    """Source of every answer cell of a solution notebook, by name.

    Raises:
        ClinicError: there is no such notebook.
    """
    if not solution.is_file():
        raise ClinicError(f"{solution} is missing; run `grader build` first.")
    notebook = nbformat.read(solution, as_version=4)
    return {cell_name(c): c.source for c in notebook.cells if is_answer(c)}


def _pick(answers: Iterable[ProvingAnswer], kind: str, expect: str) -> ProvingAnswer:
    for answer in answers:
        if (answer.kind, answer.expect) == (kind, expect) and answer.cell != "diagnosis":
            return answer
    raise ClinicError(f"The lab has no {kind} answer for its repair; write one in answers/.")


def grade_class(folder: Path, assignment: str, processes: int | None = None) -> list[Row]:
    """Grade everybody in a course folder and return the grades of the assignment.

    Raises:
        ClinicError: nbgrader could not grade somebody.
    """

    def report(step: course.Step) -> None:
        print(f"  graded {step.student}", flush=True)

    cores = processes or min(2, os.cpu_count() or 1)
    steps = course.autograde(folder, assignment, processes=cores, on_student=report)
    for step in steps:
        if not step.succeeded:
            raise ClinicError(f"nbgrader could not grade {step.student}: {step.fault}.")
    return read_grades(folder, assignment)


def find_surprises(rows: Iterable[Row], students: Iterable[Student]) -> list[str]:
    """A sentence for everybody whose total is not what their submission deserves."""
    rows = list(rows)
    found = []
    for student in students:
        own = [r for r in rows if r.student == student.name]
        full = bool(own) and all(r.points == r.max_points for r in own)
        if full != student.earns_all:
            got = "all points" if full else "less than all points"
            found.append(f"SURPRISE: '{student.name}' earned {got}.")
    return found
