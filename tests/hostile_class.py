"""The class of tests/hostile/: reads the cases, hands them in, and looks for what they left behind.

A case is one file whose first lines say in comments what it tries and what it must get. In most
folders the file is the source of the answer cell; in the folders of `BUILDERS` it defines
`hand_in(path, answered)`, which writes the submission: `path` is where the notebook belongs, and
`answered(source)` is a fresh released notebook with that answer.
"""

from __future__ import annotations

import json
import os
import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hostile_lab as lab
import nbformat
from nbformat import NotebookNode

from grader.checks import evidence
from grader.checks.check import Case
from grader.checks.session import unseen_seed
from grader.harness import course

CASES = Path(__file__).resolve().parent / "hostile"
BUILDERS = {"cells", "correct_cells", "files"}
NEEDS = ("", "sandbox", "labels outside", "batches")
MARKER = "HOSTILE_MARKER"
"""Environment variable by which processes of the class are known, and a secret for attacks."""
TRACE = "hostile-was-here"
"""Part of the name of every file that an attack leaves behind."""


@dataclass(frozen=True)
class HostileCase:
    """One submission and what it must get.

    Attributes:
        name: "endings/infinite_loop".  student: who hands it in.
        tries: what it tries, in words.
        outcomes: outcomes that are right; more than one where it depends on the machine.
        says: parts of sentences, one of which the learner must read.
        needs: what has to be there before it may be handed in; one of `NEEDS`.
        source: the file without its header.
    """

    name: str
    student: str
    tries: str
    outcomes: tuple[str, ...]
    points: float
    says: tuple[str, ...]
    needs: str
    source: str

    @property
    def folder(self) -> str:
        return self.name.split("/")[0]


def load() -> list[HostileCase]:
    """All cases in the order of their names."""
    return [_read(path) for path in sorted(CASES.glob("*/*.*py"))]


def _read(path: Path) -> HostileCase:
    lines = path.read_text(encoding="utf-8").splitlines()
    header: dict[str, str] = {}
    while lines and lines[0].startswith("# "):
        key, _, value = lines.pop(0)[2:].partition(": ")
        header[key] = value
    name = f"{path.parent.name}/{path.stem}"
    missing = {"tries", "outcome", "points", "says"} - set(header)
    unknown = set(header) - {"tries", "outcome", "points", "says", "needs", "student"}
    if missing or unknown or header.get("needs", "") not in NEEDS:
        raise ValueError(f"the header of {name} lacks {missing} or has {unknown}")
    return HostileCase(
        name=name,
        student=header.get("student", name.replace("/", "-")),
        tries=header["tries"],
        outcomes=tuple(header["outcome"].split(" or ")),
        points=float(header["points"]),
        says=tuple(header["says"].split(" or ")),
        needs=header.get("needs", ""),
        source="\n".join(lines) + "\n",
    )


def canary(folder: str) -> str:
    """Who hands in a correct answer after all cases of a folder."""
    return f"{folder}-~canary"


def hand_in(root: Path, case: HostileCase, port: int) -> None:
    """Hand a case in.

    Args:
        root: the course folder.  port: where a server of this machine listens.
    """
    release = course.released(root, lab.ASSIGNMENT, lab.NOTEBOOK)

    def answered(source: str) -> NotebookNode:
        return course.make_submission(release, {"repair": source})

    path = root / "submitted" / case.student / lab.ASSIGNMENT / f"{lab.NOTEBOOK}.ipynb"
    path.parent.mkdir(parents=True)
    if case.folder in BUILDERS:
        runpy.run_path(str(CASES / f"{case.name}.py"))["hand_in"](path, answered)
        return
    source = case.source.replace("COURSE", str(root)).replace("PORT", str(port))
    source = source.replace('"MIME"', json.dumps(evidence.MIME))
    if "RECORD" in source:
        source = source.replace("RECORD", _record_with_the_right_seed())
    write(path, answered(source))


def hand_in_right(root: Path, student: str) -> None:
    """Hand in a correct answer."""
    release = course.released(root, lab.ASSIGNMENT, lab.NOTEBOOK)
    content = course.make_submission(release, {"repair": lab.RIGHT})
    course.hand_in(root, student, lab.ASSIGNMENT, lab.NOTEBOOK, content)


def write(path: Path, notebook: NotebookNode) -> None:
    """Write a notebook as it is, valid or not."""
    path.write_text(nbformat.writes(notebook), encoding="utf-8")


def cell(notebook: NotebookNode, name: str) -> NotebookNode:
    """The cell of a name."""
    return next(c for c in notebook.cells if c.id == name)


def retype(notebook: NotebookNode, name: str, kind: str) -> None:
    """Make a cell one of another type."""
    found = cell(notebook, name)
    found.cell_type = kind
    for field in ("outputs", "execution_count"):
        found.pop(field, None)


@cache
def _labels() -> list[int]:
    seed = unseen_seed(lab.LAB, 0)
    case = Case(lab=lab.LAB, framework="pytorch", seed=seed)
    return [int(label) for label in case.draw_kinds("test", 200, 16, (0, 7, 9)).labels]


def perfect_record() -> dict[str, Any]:
    """A record of the right images in which every prediction is right."""
    record = evidence.Record(
        lab=lab.LAB,
        check="repair",
        framework="pytorch",
        seed=unseen_seed(lab.LAB, 0),
        data="tiles",
        unseen=True,
        status="collected",
        evidence={"starter": False, "predicted": _labels()},
    )
    return evidence.to_json(record)


def _record_with_the_right_seed() -> str:
    """The record as an expression: the seed that graded kernels use is known in there.

    Its strings stand in double quotes, so that the expression can stand in a string itself.
    """
    seed = '__import__("grader.checks.session", fromlist=["session"]).unseen_seed'
    record = repr(perfect_record()).replace("'", '"')
    return f'{{**{record}, "seed": {seed}("{lab.LAB}", 0)}}'


def processes_of(root: Path) -> dict[int, str]:
    """Command lines of the processes of the class: by its marker, its folder, or both."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        try:
            command = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = Path("/proc", pid, "environ").read_bytes()
            folder = os.readlink(f"/proc/{pid}/cwd")
        except (OSError, UnicodeDecodeError):
            continue  # it has ended meanwhile, or is a zombie
        if "resource_tracker" in command:
            continue  # one for the whole test run, as long as it lasts
        if MARKER.encode() in environment or str(root) in command or folder.startswith(str(root)):
            found[int(pid)] = command
    return found


def traces(*places: Path) -> Iterator[Path]:
    """Files and folders that an attack has left in a place or below it."""
    for place in places:
        for path in place.rglob(f"*{TRACE}*"):
            if "submitted" not in path.parts:
                yield path
