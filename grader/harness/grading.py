"""One notebook from what was handed in to its result, as plain data in and out.

The same on every worker: a local process or one of a cluster, with no disk in common.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata

import nbformat
from nbformat import NotebookNode

from grader.checks import evidence
from grader.checks.catalogue import PACKAGE, labs_root, load_checks, split_header
from grader.checks.check import Check
from grader.harness import kernels
from grader.harness.judging import (
    Graded,
    Stop,
    encodable,
    grade_notebook,
    show_grade,
)
from grader.harness.rebuild import Difference, Submission, cell_name, is_answer, is_check, rebuild
from grader.harness.results import CheckResult, Result
from grader.harness.running import CELL_SECONDS, NOTEBOOK_SECONDS, Conditions, Ran, run

_PACKAGES = {
    "pytorch": ("torch", "torchvision"),
    "tensorflow": ("tensorflow", "keras"),
    "": ("numpy", "scipy", "scikit-learn"),
}


@dataclass(frozen=True)
class Task:
    """One submitted notebook with all that grading it takes.

    Attributes:
        lab, framework: of the source notebook.
        source: the course's own notebook in solutions/, as JSON.
        secret: decides on the unseen images.
        shut_in: whether the kernel runs in the sandbox.
        cell_seconds, notebook_seconds: limits of wall time.
        key: content hash of all that the result depends on; see `content_key`.
    """

    student: str
    assignment: str
    notebook: str
    lab: str
    framework: str
    source: str
    submission: Submission
    secret: str
    shut_in: bool
    cell_seconds: int = CELL_SECONDS
    key: str = ""
    notebook_seconds: int = NOTEBOOK_SECONDS


@dataclass(frozen=True)
class Done:
    """What came of a task: the result, and the executed notebook as JSON."""

    result: Result
    executed: str


def grade(task: Task) -> Done:
    """Run and judge one notebook. Never raises for what was handed in.

    Raises:
        ClinicError: the course's own notebook or checks have a fault.
        RuntimeError: no kernel could be started.
    """
    start = time.perf_counter()
    notebook, differences = rebuild(nbformat.reads(task.source, as_version=4), task.submission)
    if task.submission.unreadable:
        ran = Ran(Stop("", task.submission.unreadable))
    else:
        kernels.ensure_started(task.framework, task.shut_in)
        ran = run(
            notebook,
            Conditions(
                cell_seconds=task.cell_seconds,
                notebook_seconds=task.notebook_seconds,
                secret=task.secret,
            ),
        )
    return _judged(task, notebook, differences, ran, start)


def give_up(task: Task, why: str) -> Done:
    """The result of a task that no worker brought to its end, with the reason in a sentence.

    Its key is "", so that the next call tries again.
    """
    start = time.perf_counter()
    notebook, differences = rebuild(nbformat.reads(task.source, as_version=4), task.submission)
    ran = Ran(Stop("", why), (why,))
    return _judged(replace(task, key=""), notebook, differences, ran, start)


def _judged(
    task: Task,
    notebook: NotebookNode,
    differences: Iterable[Difference],
    ran: Ran,
    start: float,
) -> Done:
    graded = grade_notebook(notebook, differences, ran.stop, secret=task.secret)
    checks = check_results(notebook, graded)
    show_grades(notebook, graded)
    result = Result(
        student=task.student,
        assignment=task.assignment,
        notebook=task.notebook,
        lab=task.lab,
        framework=task.framework,
        key=task.key,
        checks=checks,
        stop=encodable(ran.stop.sentence) if ran.stop else "",
        misbehaved=ran.misbehaved,
        shut_in=task.shut_in,
        seconds=time.perf_counter() - start,
        graded_at=datetime.now(UTC).isoformat(timespec="seconds"),
        answers=answers_of(notebook),
    )
    return Done(result, encodable(nbformat.writes(notebook)))


def show_grades(notebook: NotebookNode, graded: Iterable[Graded]) -> None:
    """Put the judged cards into the check cells of an executed notebook, in place."""
    by_cell = {one.cell: one for one in graded}
    for cell in notebook.cells:
        if is_check(cell):
            show_grade(cell, by_cell[cell_name(cell)])


def answers_of(notebook: NotebookNode) -> dict[str, str]:
    """Source of each answer cell by its name."""
    return {cell_name(c): c.source for c in notebook.cells if is_answer(c)}


def check_results(notebook: NotebookNode, graded: Sequence[Graded]) -> tuple[CheckResult, ...]:
    """The grades with the points that the notebook gives for each check."""
    cells = {cell_name(c): c for c in notebook.cells if is_check(c)}
    checks = load_checks(notebook.metadata["cnn_clinic"]["lab"])
    return tuple(_check_result(cells[one.cell], one, checks[one.answer]) for one in graded)


def _check_result(cell: NotebookNode, one: Graded, check: Check) -> CheckResult:
    points = float(cell.metadata.nbgrader["points"])
    verdict, failing = one.verdict, one.verdict.failing
    return CheckResult(
        check=check.name,
        cell=one.cell,
        answer=one.answer,
        points=round(verdict.points / verdict.max_points * points, 2),
        max_points=points,
        outcome=verdict.outcome.value,
        reason=encodable(one.reason),
        metric=failing.metric if failing else "",
        mistake=encodable(failing.means) if failing else "",
        seconds=_seconds(cell),
        measured_inside=one.measured_inside,
        notes=tuple(map(encodable, one.notes)),
    )


def _seconds(cell: NotebookNode) -> float:
    for output in cell.get("outputs", []):
        try:
            seconds = evidence.from_json(output.get("data", {})[evidence.MIME]).seconds
        except Exception:  # a forged record makes its reader stumble over anything
            continue
        return seconds if math.isfinite(seconds) and seconds >= 0 else 0.0
    return 0.0


def content_key(source: str, lab: str, framework: str, submission: Submission, secret: str) -> str:
    """What a result depends on, as 64 hexadecimal digits; time limits are left out.

    The submission counts by its answers and by what else of it is told to the learner, so that
    saving a notebook again, with other outputs, is no new work.
    """
    notebook, differences = rebuild(_parsed(source), submission)
    parts = [
        source,
        _of_course(lab, framework),
        secret,
        submission.unreadable,
        answers_of(notebook),
        [[d.cell, d.sentence] for d in differences],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@functools.lru_cache(maxsize=64)
def _parsed(source: str) -> NotebookNode:
    return nbformat.reads(source, as_version=4)


@functools.cache
def _of_course(lab: str, framework: str) -> str:
    """Hash of the lab's checks and header, the package, and the libraries' versions."""
    folder = labs_root() / lab
    header, _ = split_header((folder / "lab.py").read_text(encoding="utf-8"), f"labs/{lab}/lab.py")
    digest = hashlib.sha256((folder / "checks.py").read_bytes())
    digest.update(json.dumps(header, sort_keys=True, default=str).encode())
    digest.update(_of_package().encode())
    digest.update(platform.python_version().encode())
    for name in (*_PACKAGES[framework], *_PACKAGES[""]):
        digest.update(f"{name} {_version(name)}".encode())
    return digest.hexdigest()


@functools.cache
def _of_package() -> str:
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE)}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
