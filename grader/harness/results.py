"""What grading came to, one file a notebook: the form in which results are kept, sent and read.

Results stand in build/grading/ASSIGNMENT/results/STUDENT/NOTEBOOK.json below the course folder, the
executed notebook beside each as NOTEBOOK.ipynb. A result is there whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from grader.errors import ClinicError

VERSION = 1


@dataclass(frozen=True)
class CheckResult:
    """The grade of one check.

    Attributes:
        check: its name in the lab.  cell: grade_id of its cell.  answer: grade_id of its answer.
        points, max_points: as the gradebook counts them.
        outcome: a value of `grader.checks.verdict.Outcome`.
        reason: what the learner reads, in plain words.
        metric: the first finding that does not hold; "" where every one does, or none was made.
        mistake: what that finding means, the sentence by which a mistake is known.
        seconds: wall time of the collecting half in the learner's process; 0 where it left none.
        measured_inside: True where some of the verdict rests on what the learner's process
            measured; False where the trusted side measured all of it.
        notes: how the submission differed from the release, in sentences.
    """

    check: str
    cell: str
    answer: str
    points: float
    max_points: float
    outcome: str
    reason: str
    metric: str = ""
    mistake: str = ""
    seconds: float = 0.0
    measured_inside: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What grading one submitted notebook came to.

    Attributes:
        key: content hash of all that the result depends on.
        stop: why the notebook was not run to its end, in a sentence; "" where it was.
        misbehaved: what it did that a submission should not, in sentences.
        shut_in: whether it ran in the sandbox.
        seconds: wall time from the kernel's start to the last verdict.
        graded_at: when, ISO 8601 in UTC.
        answers: source of each answer cell by grade_id, "" where there was none.
    """

    student: str
    assignment: str
    notebook: str
    lab: str
    framework: str
    key: str
    checks: tuple[CheckResult, ...] = ()
    stop: str = ""
    misbehaved: tuple[str, ...] = ()
    shut_in: bool = False
    seconds: float = 0.0
    graded_at: str = ""
    answers: dict[str, str] = field(default_factory=dict)


def to_json(result: Result) -> dict[str, Any]:
    """The result as JSON types."""
    return {"version": VERSION, **asdict(result)}


def from_json(data: Any) -> Result:
    """Read a result back.

    Raises:
        ValueError: another version, a field that is missing or one too many.
    """
    if not isinstance(data, dict) or data.get("version") != VERSION:
        raise ValueError("it is not a result of this version of the grader")
    values = {k: v for k, v in data.items() if k != "version"}
    if set(values) != {f.name for f in fields(Result)}:
        raise ValueError("its fields are not those of a result")
    checks = []
    for check in values["checks"]:
        if not isinstance(check, dict) or set(check) != {f.name for f in fields(CheckResult)}:
            raise ValueError("its fields are not those of a check's result")
        checks.append(CheckResult(**{**check, "notes": tuple(check["notes"])}))
    return Result(**{**values, "checks": tuple(checks), "misbehaved": tuple(values["misbehaved"])})


def folder(root: Path, assignment: str) -> Path:
    """Where the results of an assignment are kept."""
    return root / "build" / "grading" / assignment / "results"


def path_of(root: Path, assignment: str, student: str, notebook: str) -> Path:
    """The file of one result; the executed notebook has the same name and the suffix .ipynb."""
    return folder(root, assignment) / student / f"{notebook}.json"


def write(root: Path, result: Result, executed: str) -> Path:
    """Keep a result and its executed notebook; when this returns, a power cut does not lose them.

    The notebook is written first, so that a result is never there without it. An earlier result of
    the same work that came to other verdicts is kept as well, for `read_earlier`.
    """
    path = path_of(root, result.assignment, result.student, result.notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    _keep_what_differs(path, result)
    _write_whole(path.with_suffix(".ipynb"), executed)
    _write_whole(path, json.dumps(to_json(result), ensure_ascii=False, indent=1))
    return path


def _keep_what_differs(path: Path, result: Result) -> None:
    try:
        earlier = read(path)
    except ClinicError:
        return
    if earlier.key == result.key and verdicts(earlier) != verdicts(result):
        line = json.dumps(to_json(replace(earlier, answers={})), ensure_ascii=False)
        with _earlier(path).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def _earlier(path: Path) -> Path:
    return path.with_suffix(".earlier.jsonl")


def verdicts(result: Result) -> dict[str, tuple[str, float]]:
    """Outcome and points of each check: what is the same whenever the same work is graded."""
    return {check.check: (check.outcome, check.points) for check in result.checks}


def read_earlier(root: Path, result: Result) -> list[Result]:
    """Results of the same work that came to other verdicts, the oldest first, without answers."""
    path = _earlier(path_of(root, result.assignment, result.student, result.notebook))
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            found.append(from_json(json.loads(line)))
        except (ValueError, TypeError):
            continue  # the end of a line that a power cut left
    return [earlier for earlier in found if earlier.key == result.key]


def _write_whole(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path) -> Result:
    """Read one result.

    Raises:
        ClinicError: it cannot be read, or is none.
    """
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ClinicError(
            f"The result {path} cannot be read ({error}); delete it and grade again."
        ) from None


def read_all(root: Path, assignment: str) -> Iterator[Result]:
    """The results of an assignment one after the other, in order of student and notebook.

    Raises:
        ClinicError: one of them cannot be read.
    """
    for path in sorted(folder(root, assignment).glob("*/*.json")):
        if not path.name.startswith("."):
            yield read(path)
