"""A course folder as nbgrader knows it: made, handed in to, graded, given feedback.

The steps are nbgrader's own converters with the configuration in nbgrader_config.py, so they do
what the commands `nbgrader generate_assignment`, `autograde` and `generate_feedback` do.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbformat import NotebookNode

from grader.checks.catalogue import PACKAGE, framework_of
from grader.errors import ClinicError
from grader.harness.cores import one_thread
from grader.harness.kernels import start_warm
from grader.harness.rebuild import cell_name, is_answer

if TYPE_CHECKING:
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

_RAISED = re.compile(r"([a-z_]\w*\.)*[A-Z]\w*(Error|Exception|Entry)\b")  # "sqlite3.IOError: ..."
CONFIG = "nbgrader_config.py"


@dataclass(frozen=True)
class Step:
    """What came of one nbgrader step for one student; `log` is nbgrader's own."""

    student: str
    succeeded: bool
    log: str = ""

    @property
    def fault(self) -> str:
        """What went wrong in one line: the exception that nbgrader logged; "" after success."""
        if self.succeeded:
            return ""
        raised = [line for line in self.log.splitlines() if _RAISED.match(line.strip())]
        return raised[0].strip() if raised else "it failed without a word"


def repository() -> Path:
    """The folder that holds solutions/ and nbgrader_config.py."""
    return PACKAGE.parent


def make_course(
    folder: Path, assignments: Iterable[str], source: Path | None = None, notebooks: str = "*"
) -> Path:
    """Make a course folder with the configuration and the source notebooks of some assignments.

    Args:
        folder: made if it is not there; nothing in it is removed.
        source: where solutions/ and nbgrader_config.py are; the repository unless given.
        notebooks: pattern for the names of the notebooks, "*" for all of an assignment.

    Raises:
        ClinicError: an assignment has no source notebooks.
    """
    source = source or repository()
    for assignment in assignments:
        found = sorted((source / "solutions" / assignment).glob(f"{notebooks}.ipynb"))
        if not found:
            raise ClinicError(
                f"There is no notebook {notebooks}.ipynb in {source / 'solutions' / assignment}; "
                "run `grader build` first."
            )
        target = folder / "solutions" / assignment
        target.mkdir(parents=True, exist_ok=True)
        for path in found:
            shutil.copyfile(path, target / path.name)
    shutil.copyfile(source / CONFIG, folder / CONFIG)
    return folder


def make_submission(notebook: NotebookNode, answers: Mapping[str, str]) -> NotebookNode:
    """A copy of a notebook with the sources of some answer cells replaced.

    Args:
        notebook: usually the released one.
        answers: source by the answer cell's name; the other cells stay as they are.

    Raises:
        ClinicError: the notebook has no such answer cell.
    """
    submission = copy.deepcopy(notebook)
    cells = {cell_name(c): c for c in submission.cells if is_answer(c)}
    for name, source in answers.items():
        if name not in cells:
            raise ClinicError(
                f"The notebook has no answer cell {name!r}; it has: {', '.join(cells)}."
            )
        cells[name].source = source
    return submission


def released(root: Path, assignment: str, notebook: str) -> NotebookNode:
    """The notebook that learners of this course folder get, after `generate_assignment`."""
    return nbformat.read(root / "notebooks" / assignment / f"{notebook}.ipynb", as_version=4)


def hand_in(
    root: Path, student: str, assignment: str, notebook: str, content: NotebookNode | bytes
) -> Path:
    """Put a notebook, or a file of any other content, where nbgrader looks for submissions."""
    path = root / "submitted" / student / assignment / f"{notebook}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(nbformat.writes(content), encoding="utf-8")
    return path


def students(root: Path, assignment: str) -> list[str]:
    """Who has handed something in for an assignment."""
    return sorted(p.parent.name for p in (root / "submitted").glob(f"*/{assignment}"))


def generate_assignment(root: Path, assignment: str) -> Step:
    """Write the learners' notebooks and enter the checks into the gradebook.

    Raises:
        ClinicError: nbgrader refuses; the sentence holds its last error.
    """
    from nbgrader.converters import GenerateAssignment

    step = _convert(GenerateAssignment, root, assignment, ".", force=True)
    if not step.succeeded:
        raise ClinicError(
            f"nbgrader could not generate {assignment} in {root}: {step.fault}; "
            "mend the source notebook in solutions/."
        )
    return step


def autograde(
    root: Path,
    assignment: str,
    students: Sequence[str] | None = None,
    processes: int = 1,
    on_student: Callable[[Step], None] = lambda step: None,
) -> list[Step]:
    """Grade submissions, everybody's unless students are named; again if graded before.

    Args:
        processes: how many students are graded at a time; the machine's cores are shared out among
            them. Each process imports nbgrader and the framework once, so more than one pays from
            about four students on.
        on_student: called in this process whenever a student is done.

    Returns:
        One step a student, in their order. A step fails when nbgrader itself does, never for what
        was handed in.
    """
    who = list(students) if students is not None else _students(root, assignment)
    done = {}
    for step in _graded(root, assignment, who, processes):
        done[step.student] = step
        on_student(step)
    return [done[student] for student in who]


_students = students  # `autograde` has an argument of that name


def _graded(root: Path, assignment: str, who: list[str], processes: int) -> Iterator[Step]:
    if len(who) <= 1:
        for student in who:
            yield _autograde_one(root, assignment, student)
        return
    processes = min(processes, len(who))
    # Spawned, not forked: nbgrader's event loop and database connections do not survive a fork.
    with ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare,
        initargs=(assignment,),
    ) as pool:
        jobs = [pool.submit(_autograde_one, root, assignment, student) for student in who]
        for job in as_completed(jobs):
            yield job.result()


def _prepare(assignment: str) -> None:
    """Give the kernels of this process one thread, and a warm start."""
    os.environ.update(one_thread())
    framework = framework_of(assignment)
    if framework is not None and hasattr(os, "fork"):
        start_warm(framework)


def _autograde_one(root: Path, assignment: str, student: str) -> Step:
    from nbgrader.converters import Autograde

    return _convert(Autograde, root, assignment, student, force=True)


def generate_feedback(
    root: Path, assignment: str, students: Sequence[str] | None = None
) -> dict[str, list[Path]]:
    """Write the HTML feedback of graded students and return its files by student."""
    from nbgrader.converters import GenerateFeedback

    written = {}
    for student in students if students is not None else _students(root, assignment):
        if not any((root / "autograded" / student / assignment).glob("*.ipynb")):
            continue
        step = _convert(GenerateFeedback, root, assignment, student, force=True)
        if not step.succeeded:
            raise ClinicError(
                f"nbgrader could not write the feedback of {student}: {step.fault}; "
                f"grade {assignment} again."
            )
        written[student] = sorted((root / "feedback" / student / assignment).glob("*.html"))
    return written


def load_config(root: Path) -> Config:
    """The configuration of a course folder, as nbgrader's commands read it there."""
    from traitlets.config import PyFileConfigLoader

    if not (root / CONFIG).is_file():
        raise ClinicError(f"There is no {CONFIG} in {root}; give the folder of a course.")
    config = PyFileConfigLoader(CONFIG, path=str(root)).load_config()
    config.CourseDirectory.root = str(root.resolve())
    return config


def directory(root: Path) -> CourseDirectory:
    """A course folder as nbgrader describes it: names of its parts, the gradebook's address."""
    from nbgrader.coursedir import CourseDirectory

    return CourseDirectory(config=load_config(root))


def _course(root: Path, assignment: str, student: str) -> CourseDirectory:
    course = directory(root)
    course.assignment_id, course.student_id = assignment, student
    return course


def _convert(kind: Any, root: Path, assignment: str, student: str, *, force: bool) -> Step:
    from nbgrader.utils import capture_log
    from sqlalchemy.exc import SAWarning

    course = _course(root, assignment, student)
    converter = kind(coursedir=course, config=course.config)
    converter.force = force
    with programs_of_this_python(), warnings.catch_warnings():
        # nbgrader's own way of making database rows; it is no news to an instructor.
        warnings.simplefilter("ignore", SAWarning)
        result = capture_log(converter)
    log = "\n".join(filter(None, (result.get("log"), result.get("error"))))
    return Step(student, result["success"], log)


@contextmanager
def programs_of_this_python() -> Iterator[None]:
    """Put the folder of this Python first on PATH, as in an activated environment.

    nbgrader starts `alembic` by its name when it makes a gradebook.
    """
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), before])
    try:
        yield
    finally:
        os.environ["PATH"] = before
