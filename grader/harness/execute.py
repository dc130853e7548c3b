"""Execute notebooks: solutions by papermill, a learner's notebook for `grader check`."""

from __future__ import annotations

import base64
import multiprocessing
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from grader.authoring.build import PARAMETERS
from grader.authoring.source import read_lab
from grader.checks import catalogue, engine, evidence
from grader.checks.check import Case
from grader.checks.verdict import Verdict
from grader.errors import ClinicError
from grader.harness.cores import share_cores
from grader.harness.rebuild import parameters as parameters_of


@dataclass(frozen=True)
class Run:
    """One executed solution notebook: where its outputs went, how long it took, what was wrong."""

    lab: str
    framework: str
    path: Path
    seconds: float
    fault: str = ""


def solution_path(root: Path, header: catalogue.LabHeader, framework: str) -> Path:
    """The solution notebook of a lab: solutions/pytorch-1-data/01_input_scale.ipynb."""
    return root / "solutions" / header.assignment(framework) / f"{header.name}.ipynb"


def run_solutions(
    root: Path,
    labs: Iterable[str],
    frameworks: Iterable[str],
    parameters: dict[str, Any],
    *,
    processes: int = 1,
) -> Iterator[Run]:
    """Execute solution notebooks and yield what came of each, in the order of the course.

    With the default parameters the outputs are saved in solutions/; with others the executed
    notebook goes to build/runs/, because solutions/ shows the default run.

    Args:
        processes: notebooks that run at the same time; with more than one, their times are those
            of a shared machine.
    """
    jobs = [
        (root, catalogue.read_header(lab), framework, PARAMETERS | parameters)
        for lab in labs
        for framework in frameworks
    ]
    if processes == 1:
        for job in jobs:
            yield _run(*job)
        return
    # Spawned, not forked: papermill's event loop does not survive a fork.
    with ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=share_cores,
        initargs=(processes,),
    ) as pool:
        yield from pool.map(_run, *zip(*jobs, strict=True))


def _run(
    root: Path, header: catalogue.LabHeader, framework: str, parameters: dict[str, Any]
) -> Run:
    import papermill
    from papermill.exceptions import PapermillExecutionError

    source = solution_path(root, header, framework)
    if not source.is_file():
        raise ClinicError(f"{source.relative_to(root)} is missing; run `grader build` first.")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        executed = Path(folder) / source.name
        fault = ""
        try:
            papermill.execute_notebook(
                str(source),
                str(executed),
                parameters=parameters,
                kernel_name="python3",
                cwd=folder,
                log_output=False,
                # The kernel's own notes on its connection would cut the progress bar to pieces.
                extra_arguments=["--log-level=CRITICAL"],
                progress_bar=_bar(header, framework),
                # What a cell prints is one output, however often the kernel sent some of it.
                coalesce_streams=True,
            )
        except PapermillExecutionError as error:
            fault = f"raised {error.ename}: {error.evalue}"
        seconds = time.perf_counter() - start
        notebook = nbformat.read(executed, as_version=4)
    if fault:
        failed = next(c for c in notebook.cells if _raised(c))
        fault = f"{header.id}, {framework}, cell {failed.get('id', '?')!r} {fault}"
    else:
        fault = _first_failed_check(notebook, header, framework, parameters)
    if parameters == PARAMETERS:
        target = source
        _save_outputs(notebook, source, root)
        _save_pictures(notebook, header, framework)
    else:
        target = root / "build" / "runs" / header.assignment(framework) / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
    return Run(header.id, framework, target, seconds, fault)


def _bar(header: catalogue.LabHeader, framework: str) -> dict[str, Any] | bool:
    """Settings of the progress bar; none beside others, which would write over it."""
    alone = multiprocessing.parent_process() is None
    return {"desc": f"{header.id} {framework}", "leave": False} if alone else False


def _raised(cell: Any) -> bool:
    return any(o.output_type == "error" for o in cell.get("outputs", []))


def records(notebook: Any) -> Iterator[tuple[Any, evidence.Record]]:
    """Every check cell's records: pairs of cell and record."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if evidence.MIME in data:
                yield cell, evidence.from_json(data[evidence.MIME])


def _first_failed_check(
    notebook: Any, header: catalogue.LabHeader, framework: str, parameters: dict[str, Any]
) -> str:
    checks = catalogue.load_checks(header.id)
    found = set()
    for cell, record in records(notebook):
        verdict = judge_record(record, data=parameters["DATA"], practice_seed=parameters["SEED"])
        found.add(record.check)
        if not verdict.passed:
            return f"{header.id}, {framework}, cell {cell.id!r}: {verdict.sentence}"
    missing = [name for name in checks if name not in found]
    if missing:
        return f"{header.id}, {framework}: the check {missing[0]!r} left no record"
    return ""


def judge_record(record: evidence.Record, *, data: str, practice_seed: int) -> Verdict:
    """Decide on a record in this process, from its evidence alone."""
    check = catalogue.load_checks(record.lab)[record.check]
    case = Case(
        lab=record.lab,
        framework=record.framework,
        seed=record.seed,
        data=data,
        practice_seed=practice_seed,
    )
    return engine.judge(check, case, record)


def _save_outputs(executed: Any, path: Path, root: Path) -> None:
    """Put the outputs of a run into the clean solution notebook, cell by cell.

    Counts, times and the machine's folders stay out, so that a run changes only what it shows.
    """
    clean = nbformat.read(path, as_version=4)
    outputs = {c.id: c.outputs for c in executed.cells if c.cell_type == "code"}
    for cell in clean.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [_clean(o, root) for o in outputs.get(cell.id, [])]
    nbformat.write(clean, path)


def _save_pictures(executed: Any, header: catalogue.LabHeader, framework: str) -> None:
    """Put the pictures of a run beside the lab, one PNG a cell, for the README and the site."""
    folder = header.path / "pictures"
    folder.mkdir(exist_ok=True)
    for cell in executed.cells:
        if not {"picture", "proof"} & set(cell.metadata.get("tags", [])):
            continue
        pictures = [
            o["data"]["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})
        ]
        for picture in pictures[:1]:
            path = folder / f"{framework}-{cell.id}.png"
            path.write_bytes(base64.b64decode(picture))


def _clean(output: Any, root: Path) -> Any:
    if "execution_count" in output:
        output["execution_count"] = None
    data = output.get("data", {})
    data.pop(evidence.MIME, None)
    for holder, key in [(output, "text"), *((data, k) for k in data if k.startswith("text/"))]:
        if isinstance(holder.get(key), str):
            text = holder[key].replace(f"{root}/", "").replace(f"{sys.prefix}/", "")
            # Without the name that a temporary folder was given in this run.
            holder[key] = re.sub(rf"{re.escape(tempfile.gettempdir())}/[\w-]+", "tmp", text)
    return output


def check_notebook(path: Path) -> Iterator[tuple[str, Verdict]]:
    """Run a learner's notebook without a browser and yield each check's name and verdict.

    Raises:
        ClinicError: not a notebook of the course.
    """
    from nbclient import NotebookClient

    try:
        notebook = nbformat.read(path, as_version=4)
        lab = notebook.metadata["cnn_clinic"]["lab"]
    except OSError as error:
        raise ClinicError(f"{path} cannot be read ({error.strerror}); check the path.") from None
    except Exception:
        raise ClinicError(
            f"{path} is not a notebook of this course; give one from the folder notebooks/."
        ) from None
    header = read_lab(lab).header
    for cell in notebook.cells:
        if {"picture", "proof"} & set(cell.metadata.get("tags", [])):
            cell.metadata["tags"] = [*cell.metadata["tags"], "skip-execution"]
    NotebookClient(notebook, kernel_name="python3", allow_errors=True, timeout=600).execute()
    data = parameters_of(notebook)["DATA"]
    latest = {record.check: record for _, record in records(notebook)}
    for name in catalogue.load_checks(header.id):
        if name in latest:
            record = latest[name]
            yield name, judge_record(record, data=data, practice_seed=record.seed)
        else:
            yield name, engine.not_run(catalogue.load_checks(header.id)[name])
