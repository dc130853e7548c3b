"""Where the labs are, what their headers say, and their checks."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from grader.checks.check import Check
from grader.errors import ClinicError
from grader.frameworks import NAMES

PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class LabHeader:
    """The header of a lab.py: what the catalogue, the notebooks and the linter know of a lab.

    A draft is linted and can be named in every command; it is not released to learners.
    """

    id: str
    title: str
    symptom: str
    minutes: int
    difficulty: int
    learn: tuple[str, ...]
    sources: tuple[str, ...]
    seconds: dict[str, float]
    hints: dict[str, tuple[str, ...]]
    path: Path
    draft: bool = False

    @property
    def module(self) -> str:
        """Folder of the module, such as "1_data"."""
        return self.id.split("/")[0]

    @property
    def name(self) -> str:
        """Name of the lab's notebooks, such as "01_input_scale"."""
        return self.id.split("/")[1]

    def assignment(self, framework: str) -> str:
        """Name of the nbgrader assignment: a module in one framework, "pytorch-1-data"."""
        return f"{framework}-{self.module.replace('_', '-')}"


def framework_of(assignment: str) -> str | None:
    """The framework whose labs an assignment holds; None for one that is not of the course."""
    return next((name for name in NAMES if assignment.startswith(f"{name}-")), None)


def labs_root() -> Path:
    """The folder of the labs: the repository's, or the copy inside an installed package.

    The environment variable CNN_CLINIC_LABS names another one, for labs of one's own and tests.
    """
    if "CNN_CLINIC_LABS" in os.environ:
        own = Path(os.environ["CNN_CLINIC_LABS"])
        if not own.is_dir():
            raise ClinicError(
                f"CNN_CLINIC_LABS names {own}, which is no folder; correct or unset it."
            )
        return own
    for root in (PACKAGE.parent / "labs", PACKAGE / "labs"):
        if root.is_dir():
            return root
    raise ClinicError(
        f"There are no labs beside the package in {PACKAGE.parent}; install it again or run it "
        "from a clone of the repository."
    )


def lab_ids(root: Path | None = None) -> list[str]:
    """All labs, drafts included, in the order of the course."""
    root = root or labs_root()
    return [f"{p.parent.parent.name}/{p.parent.name}" for p in sorted(root.glob("*/*/lab.py"))]


def released_ids(root: Path | None = None) -> list[str]:
    """The labs that learners get, in the order of the course.

    Raises:
        ClinicError: a lab whose header cannot be read.
    """
    return [lab for lab in lab_ids(root) if not read_header(lab, root).draft]


def split_header(text: str, where: str = "lab.py") -> tuple[dict[str, Any], int]:
    """Return the YAML header of a percent script and the number of lines it takes.

    The header stands at the top between two lines `# ---`, each line behind "# ".

    Raises:
        ClinicError: no header, no end of the header, or text that is not YAML.
    """
    lines = text.splitlines()
    if not lines or lines[0].rstrip() != "# ---":
        raise ClinicError(f"{where}:1: the header is missing; start the file with a line '# ---'.")
    try:
        end = next(i for i in range(1, len(lines)) if lines[i].rstrip() == "# ---")
    except StopIteration:
        raise ClinicError(f"{where}:1: the header has no end; close it with '# ---'.") from None
    body = []
    for i in range(1, end):
        if lines[i].strip() not in ("#",) and not lines[i].startswith("# "):
            raise ClinicError(f"{where}:{i + 1}: a header line starts with '# '.")
        body.append(lines[i][2:])
    try:
        header = yaml.safe_load("\n".join(body))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 2 if mark else 1
        raise ClinicError(f"{where}:{line}: the header is not YAML; mend that line.") from None
    if not isinstance(header, dict):
        raise ClinicError(f"{where}:1: the header has no fields; see CONTRIBUTING.md.")
    return header, end + 1


def read_header(lab: str, root: Path | None = None) -> LabHeader:
    """Read the header of one lab.

    Raises:
        ClinicError: an unknown lab, a missing or a mistyped field.
    """
    root = root or labs_root()
    path = root / lab / "lab.py"
    if len(lab.split("/")) != 2 or not path.is_file():
        raise ClinicError(f"There is no lab {lab!r}; the labs are: {', '.join(lab_ids(root))}.")
    fields, _ = split_header(path.read_text(encoding="utf-8"), f"labs/{lab}/lab.py")
    kinds = {
        "title": str,
        "symptom": str,
        "minutes": int,
        "difficulty": int,
        "learn": list,
        "sources": list,
        "seconds": dict,
        "hints": dict,
        "draft": bool,
    }
    fields.setdefault("draft", False)
    for name, kind in kinds.items():
        if not isinstance(fields.get(name), kind):
            raise ClinicError(
                f"labs/{lab}/lab.py: the header's {name!r} is missing or not a {kind.__name__}; "
                "see CONTRIBUTING.md."
            )
    try:
        seconds = {str(k): float(v) for k, v in fields["seconds"].items()}
        hints = {str(k): tuple(map(str, v)) for k, v in fields["hints"].items()}
    except (TypeError, ValueError):
        raise ClinicError(
            f"labs/{lab}/lab.py: 'seconds' maps frameworks to numbers and 'hints' maps checks to "
            "lists; see CONTRIBUTING.md."
        ) from None
    return LabHeader(
        id=lab,
        title=fields["title"],
        symptom=fields["symptom"],
        minutes=fields["minutes"],
        difficulty=fields["difficulty"],
        learn=tuple(map(str, fields["learn"])),
        sources=tuple(map(str, fields["sources"])),
        seconds=seconds,
        hints=hints,
        path=path.parent,
        draft=fields["draft"],
    )


@cache
def _module(path: Path) -> ModuleType:
    name = f"cnn_clinic_checks_{path.parent.parent.name}_{path.parent.name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ClinicError(f"{path} is not a Python file; a lab's checks stand in checks.py.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_checks(lab: str, root: Path | None = None) -> dict[str, Check]:
    """The checks of a lab by name, in the order of the notebook."""
    path = (root or labs_root()) / lab / "checks.py"
    if not path.is_file():
        raise ClinicError(f"The lab {lab!r} has no checks; write {path.name} beside its lab.py.")
    return {check.name: check for check in _module(path).CHECKS}
