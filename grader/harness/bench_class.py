"""How long a class takes to grade: stock nbgrader and this harness, turn about, in one run."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from grader.authoring.names import names_defined, names_needed
from grader.checks.catalogue import read_header
from grader.harness import course
from grader.harness.cores import one_thread
from grader.harness.demo import reference_answers
from grader.harness.execute import solution_path
from grader.harness.kernels import start_warm
from grader.harness.rebuild import cell_name, is_answer, is_check

LAB, CHECK = "1_data/07_harmful_augmentation", "repair"
"""A check whose real work, three short trainings, takes about a second in either framework."""

STOCK = """
c = get_config()
c.CourseDirectory.course_id = "bench"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "notebooks"
c.ExecutePreprocessor.kernel_name = "python3"
"""


@dataclass(frozen=True)
class Round:
    """Seconds of wall time for the same class, graded in turn in each way.

    Attributes:
        stock: `nbgrader autograde` with its own configuration.
        one, all: `grader autograde` with one process, and with one for each core.
        open: as `one`, without the sandbox.
        work: the notebooks' own work alone, one after another in a process that is warm.
    """

    stock: float
    one: float
    all: float
    open: float
    work: float


def measure_class(root: Path, framework: str, size: int, rounds: int) -> Iterator[Round]:
    """Grade a class of `size` right submissions `rounds` times in each way.

    Raises:
        RuntimeError: a way of grading failed.
    """
    assignment = read_header(LAB).assignment(framework)
    with tempfile.TemporaryDirectory(prefix="clinic-bench-") as name:
        ours, stock = Path(name) / "ours", Path(name) / "stock"
        _make_class(root, ours, framework, size)
        shutil.copytree(ours, stock)
        (stock / course.CONFIG).write_text(STOCK)
        command = ("grader", "autograde", assignment, "--force")
        for _ in range(rounds):
            yield Round(
                stock=_seconds(stock, "nbgrader", "autograde", assignment, "--force"),
                one=_seconds(ours, *command, "--processes", "1"),
                all=_seconds(ours, *command),
                open=_seconds(ours, *command, "--processes", "1", "--unsafe"),
                work=_work(ours, framework, size),
            )


def measure_cluster(
    root: Path, framework: str, size: int, rounds: int, workers: Sequence[int]
) -> Iterator[list[float]]:
    """Grade a class on Dask clusters of this machine.

    Yields:
        For each number of workers, seconds from the first grade of the class to the last, for each
        submission between them: what starts once is not in it.

    Raises:
        RuntimeError: a way of grading failed.
    """
    assignment = read_header(LAB).assignment(framework)
    with tempfile.TemporaryDirectory(prefix="clinic-bench-") as name:
        _make_class(root, Path(name), framework, size)
        command = ("grader", "autograde", assignment, "--force", "--cluster")
        for _ in range(rounds):
            yield [_seconds_each(Path(name), n, *command, f"local:{n}") for n in workers]


def _make_class(root: Path, folder: Path, framework: str, size: int) -> None:
    header = read_header(LAB)
    assignment = header.assignment(framework)
    course.make_course(folder, [assignment], source=root, notebooks=header.name)
    path = folder / "solutions" / assignment / f"{header.name}.ipynb"
    nbformat.write(only_check(nbformat.read(path, as_version=4), CHECK), path)
    course.generate_assignment(folder, assignment)
    released = course.released(folder, assignment, header.name)
    answers = reference_answers(solution_path(folder, header, framework))
    submission = course.make_submission(released, answers)
    for i in range(size):
        course.hand_in(folder, f"student_{i:03d}", assignment, header.name, submission)


def only_check(notebook: NotebookNode, check: str) -> NotebookNode:
    """The notebook with one check, its answer, and those cells above that they need.

    The rest of a lab's notebook shows pictures and asks other questions; stock nbgrader would run
    all of it, and be compared on that.
    """
    kept: list[NotebookNode] = []
    needed: set[str] = set()
    for cell in reversed(notebook.cells):
        if cell.cell_type != "code":
            continue
        wanted = cell_name(cell) in (check, f"check-{check}")
        parameters = "parameters" in cell.metadata.get("tags", [])
        if wanted or parameters or (names_defined(cell.source) & needed and not _asks(cell)):
            kept.insert(0, cell)
            needed = (needed - names_defined(cell.source)) | names_needed(cell.source)
    trimmed = nbformat.from_dict(notebook)
    trimmed.cells = kept
    return trimmed


def _asks(cell: NotebookNode) -> bool:
    return is_answer(cell) or is_check(cell)


def _seconds(folder: Path, program: str, *arguments: str) -> float:
    """Wall time of one command in a course folder, the interpreter's start included."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{program} {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return seconds


def _seconds_each(folder: Path, first: int, program: str, *arguments: str) -> float:
    """Seconds a submission of a command that says a line for each, after so many first ones."""
    with subprocess.Popen(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:
        assert running.stdout is not None
        said = [time.perf_counter() for line in running.stdout if line.startswith("student_")]
    if running.returncode or len(said) <= first:
        raise RuntimeError(f"{program} {' '.join(arguments)} failed.")
    return (said[-1] - said[first - 1]) / (len(said) - first)


def _work(folder: Path, framework: str, size: int) -> float:
    """Seconds that the submissions' cells take, each in a process forked with the imports done."""
    submissions = sorted((folder / "submitted").glob("*/*/*.ipynb"))[:size]
    # A process of its own: a fork server is started once a process, with one framework.
    with ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare,
        initargs=(framework,),
    ) as pool:
        return sum(pool.map(_seconds_of_cells, submissions))


def _prepare(framework: str) -> None:
    os.environ.update(one_thread())
    start_warm(framework)


def _seconds_of_cells(path: Path) -> float:
    context = multiprocessing.get_context("forkserver")
    results = context.SimpleQueue()
    process = context.Process(target=_run_cells, args=(path, results))
    process.start()
    seconds: float = results.get()
    process.join()
    return seconds


def _run_cells(path: Path, results: Any) -> None:
    notebook = nbformat.read(path, as_version=4)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        for cell in notebook.cells:
            exec(compile(cell.source, f"<answer {cell.id}>", "exec"), namespace)
        seconds = time.perf_counter() - start
    results.put(seconds)
