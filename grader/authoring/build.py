"""From one lab.py to the learner's and the solution notebook of each framework.

The solution notebook is nbgrader's source, the learner's notebook its release. The release step is
made of nbgrader's own preprocessors, so `nbgrader generate_assignment` yields the same bytes.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.authoring.source import STUB, LabSource, SourceCell, read_lab
from grader.checks.catalogue import LabHeader, load_checks, released_ids
from grader.checks.check import Check
from grader.errors import ClinicError
from grader.frameworks import NAMES

GENERATED = ("title", "parameters", "setup")
"""Names of the cells that the builder puts in front; a lab uses other names."""

PARAMETERS: dict[str, Any] = {"SEED": 0, "DATA": "tiles", "DEVICE": "auto"}
"""What a notebook is released with, in its cell tagged "parameters"; papermill replaces it."""

FRAMEWORK_TITLES = {"pytorch": "PyTorch", "tensorflow": "TensorFlow"}
DIFFICULTY = {1: "introductory", 2: "intermediate", 3: "advanced"}
_KEPT_TAGS = ("picture", "proof")
_OUTPUT_KEYS = ("outputs", "execution_count")


@dataclass(frozen=True)
class Built:
    """One lab in one framework: where its notebooks are, and whether this build changed them."""

    lab: str
    framework: str
    solution: Path
    notebook: Path
    changed: bool

    def __str__(self) -> str:
        state = "written  " if self.changed else "unchanged"
        return f"{state} {self.lab:<36} {self.framework:<11} {self.notebook.name}"


@dataclass(frozen=True)
class _Target:
    """A file to be and its text."""

    lab: str
    framework: str
    solution: Path
    notebook: Path
    solution_text: str
    notebook_text: str


def build(root: Path, labs: Iterable[str] | None = None) -> list[Built]:
    """Write the notebooks of the labs below `root`/labs into solutions/ and notebooks/.

    Without `labs`, those of all that are released.

    Outputs of an existing solution notebook are kept where a cell's source is unchanged. Nothing
    is written unless everything can be: all notebooks are made and all existing ones looked at
    first.

    Raises:
        ClinicError: a lab that cannot be read, or an existing notebook that holds somebody's work
            or cannot be read.
    """
    targets = _targets(root, labs)
    for target in targets:
        _refuse_to_lose(root, target.notebook)
    built = []
    for target in targets:
        wrote = _write(target.solution, target.solution_text)
        wrote |= _write(target.notebook, target.notebook_text)
        built.append(
            Built(target.lab, target.framework, target.solution, target.notebook, changed=wrote)
        )
    return built


def check(root: Path, labs: Iterable[str] | None = None) -> list[str]:
    """Every difference between the notebooks on disk and what `build` would write.

    Outputs of solution notebooks are no difference: they come from the last run. Without `labs`,
    notebooks whose lab is gone are named too.
    """
    labs = None if labs is None else list(labs)
    targets = _targets(root, labs)
    found = []
    for target in targets:
        for path, text in (
            (target.solution, target.solution_text),
            (target.notebook, target.notebook_text),
        ):
            difference = _difference(path, text)
            if difference:
                found.append(f"{path.relative_to(root)}: {difference}; run `grader build`.")
    if labs is None:
        known = {path for t in targets for path in (t.solution, t.notebook)}
        found += _orphans(root, known, set(released_ids(root / "labs")))
    return found


def solution_notebook(lab: LabSource, framework: str, checks: Mapping[str, Check]) -> Any:
    """The nbgrader source of one lab in one framework, without outputs (nbformat 4.5).

    Raises:
        ClinicError: a check cell without its check, a cell without a name of its own.
    """
    nbformat = _nbformat()
    notebook = nbformat.v4.new_notebook(
        metadata={
            "kernelspec": {
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
            "cnn_clinic": {"lab": lab.header.id, "framework": framework},
        }
    )
    taken = set(GENERATED)
    for cell in lab.for_framework(framework):
        if not cell.name or cell.name in taken:
            raise ClinicError(
                f"labs/{lab.header.id}/lab.py:{cell.line}: the cell name {cell.name!r} is missing "
                f"or taken ({framework}); give every cell a name of its own."
            )
        taken.add(cell.name)
    notebook.cells = [
        *_generated_cells(lab.header, framework),
        *(_cell(lab, cell, checks) for cell in lab.for_framework(framework)),
    ]
    return notebook


def release(solution: Any) -> Any:
    """The learner's notebook: nbgrader's own release step on a copy of the solution notebook.

    The stub is the one setting that changes a notebook; nbgrader_config.py has the same one.
    """
    try:
        from nbgrader.converters.generate_assignment import GenerateAssignment
        from nbgrader.preprocessors import SaveCells
        from traitlets.config import Config
    except ModuleNotFoundError as error:
        raise _without_tools(error) from None

    config = Config({"ClearSolutions": {"code_stub": {"python": STUB}}})
    notebook = copy.deepcopy(solution)
    resources: dict[str, Any] = {}
    for preprocessor in GenerateAssignment().preprocessors:
        # Saving to the gradebook is the one step that changes no notebook.
        if preprocessor is not SaveCells:
            notebook, resources = preprocessor(config=config)(notebook, resources)
    return notebook


def keep_outputs(new: Any, old: Any) -> None:
    """Give the code cells of `new` the outputs of those in `old` with the same id and source."""
    before = {c.get("id"): c for c in old["cells"] if c.get("cell_type") == "code"}
    for cell in new.cells:
        same = before.get(cell["id"])
        if cell.cell_type == "code" and same and same.get("source") == cell.source:
            for key in _OUTPUT_KEYS:
                if key in same:
                    cell[key] = same[key]


def release_stamp(notebook: Any) -> str:
    """SHA-256 over types, ids and sources of the cells: what tells a release from changed work."""
    cells = [[c["cell_type"], c.get("id", ""), c["source"]] for c in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def holds_work(notebook: Any) -> bool:
    """True when the cells are not those that the notebook was released with."""
    stamp = notebook.get("metadata", {}).get("cnn_clinic", {}).get("release")
    return bool(stamp != release_stamp(notebook))


# The cells of a notebook


def _generated_cells(header: LabHeader, framework: str) -> list[Any]:
    v4 = _nbformat().v4
    title, parameters, setup = GENERATED
    open_line = f'lab = open_lab("{header.id}", "{framework}", seed=SEED, data=DATA, device=DEVICE)'
    return [
        v4.new_markdown_cell(_title_text(header, framework), id=title),
        v4.new_code_cell(
            f"SEED = {PARAMETERS['SEED']}\n"
            f'DATA = "{PARAMETERS["DATA"]}"  # or the path of an image folder\n'
            f'DEVICE = "{PARAMETERS["DEVICE"]}"  # or "cpu", "cuda"',
            id=parameters,
            metadata={"tags": ["parameters"]},
        ),
        v4.new_code_cell(f"from grader import open_lab\n\n{open_line}", id=setup),
    ]


def _title_text(header: LabHeader, framework: str) -> str:
    name = FRAMEWORK_TITLES[framework]
    seconds = header.seconds.get(framework, 60)
    learn = "\n".join(f"- {phrase}" for phrase in header.learn)
    difficulty = DIFFICULTY.get(header.difficulty, str(header.difficulty))
    return (
        f"# {header.title}\n\n"
        f"**The symptom:** {header.symptom}\n\n"
        f"{name} · about {header.minutes} minutes · {difficulty} "
        f"(difficulty {header.difficulty} of 3)\n\n"
        f"You learn:\n\n{learn}\n\n"
        f"This notebook needs CNN Clinic with {name}, and no GPU. Running all of it takes about "
        f"{seconds:.0f} seconds on two processor cores, plus the time {name} takes to start."
    )


def _cell(lab: LabSource, cell: SourceCell, checks: Mapping[str, Check]) -> Any:
    v4 = _nbformat().v4
    tags = [tag for tag in cell.tags if tag in _KEPT_TAGS]
    metadata: dict[str, Any] = {"tags": tags} if tags else {}
    if cell.markdown:
        return v4.new_markdown_cell(cell.source, id=cell.name, metadata=metadata)
    source = cell.source
    if cell.role == "answer":
        metadata["nbgrader"] = _nbgrader(cell.name, solution=True)
    elif cell.role == "check":
        name = checked_name(source)
        if name not in checks:
            raise ClinicError(
                f"labs/{lab.header.id}/lab.py:{cell.line}: the check cell {cell.name!r} names no "
                'check of checks.py; write lab.check("...") with one of its names.'
            )
        points = checks[name].points
        metadata["nbgrader"] = _nbgrader(cell.name, grade=True, locked=True) | {
            "points": int(points) if points == int(points) else points
        }
        # The learner's check measures practice images, the grader's the unseen ones.
        source = f"### BEGIN HIDDEN TESTS\nlab.use_unseen_images()\n### END HIDDEN TESTS\n{source}"
    return v4.new_code_cell(source, id=cell.name, metadata=metadata)


def _nbgrader(
    name: str, *, grade: bool = False, solution: bool = False, locked: bool = False
) -> dict[str, Any]:
    return {
        "schema_version": 3,
        "grade_id": name,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
    }


def checked_name(source: str) -> str:
    """The name in a check cell's one line, `lab.check("name")`; "" if it is anything else."""
    match = re.fullmatch(r'lab\.check\("([^"\n]+)"\)', source)
    return match[1] if match else ""


# Making, comparing and writing files


def _targets(root: Path, labs: Iterable[str] | None) -> list[_Target]:
    labs_root = root / "labs"
    targets = []
    for lab_id in released_ids(labs_root) if labs is None else labs:
        lab = read_lab(lab_id, labs_root)
        checks = _checks(lab_id, labs_root)
        for framework in NAMES:
            targets.append(_target(root, lab, framework, checks))
    return targets


def _checks(lab_id: str, labs_root: Path) -> Mapping[str, Check]:
    try:
        return load_checks(lab_id, labs_root)
    except ClinicError:
        raise
    except Exception as error:
        # checks.py is a program under work; the linter knows how to name its line.
        raise ClinicError(
            f"labs/{lab_id}/checks.py cannot be imported ({type(error).__name__}: {error}); "
            f"run `grader lint {lab_id}` and mend what it names."
        ) from None


def _target(root: Path, lab: LabSource, framework: str, checks: Mapping[str, Check]) -> _Target:
    header = lab.header
    place = Path(header.assignment(framework)) / f"{header.name}.ipynb"
    try:
        solution = solution_notebook(lab, framework, checks)
        learner = release(solution)
        for notebook in (solution, learner):
            notebook.metadata.cnn_clinic["release"] = release_stamp(learner)
        _nbformat().validate(learner)
    except ClinicError:
        raise
    except Exception as error:
        # nbgrader and nbformat raise RuntimeError, ValidationError and more for what they refuse.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ClinicError(
            f"labs/{header.id}/lab.py gives no valid {framework} notebook ({reason}); "
            f"run `grader lint {header.id}` and mend what it names."
        ) from None
    existing = _read_or_none(root / "solutions" / place)
    if existing is not None:
        keep_outputs(solution, existing)
    return _Target(
        header.id,
        framework,
        root / "solutions" / place,
        root / "notebooks" / place,
        _text(solution),
        _text(learner),
    )


def _text(notebook: Any) -> str:
    """The file's text as nbconvert's writer, and so nbgrader, would write it."""
    text = _nbformat().writes(notebook)
    return text if text.endswith("\n") else text + "\n"


def _read(path: Path) -> Any:
    """A notebook in format 4, as a dictionary with joined sources.

    Raises:
        ValueError: not such a notebook.  OSError: not a readable file.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    try:
        if notebook["nbformat"] != 4:
            raise ValueError("not notebook format 4")
        notebook = _nbformat().v4.reads(json.dumps(notebook))
        release_stamp(notebook)
        _ = notebook["metadata"].get("cnn_clinic", {}).get("release")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a notebook") from error
    return notebook


def _read_or_none(path: Path) -> Any:
    try:
        return _read(path)
    except (OSError, ValueError):
        return None


def _refuse_to_lose(root: Path, path: Path) -> None:
    where = path.relative_to(root)
    back = f"or give it up with `git checkout -- {where}`"
    if not os.path.lexists(path):
        return
    try:
        notebook = _read(path)
    except (OSError, ValueError):
        raise ClinicError(
            f"{where} cannot be read as a notebook, so nothing was written; move it elsewhere to "
            f"keep it, {back}, then build again."
        ) from None
    if holds_work(notebook):
        raise ClinicError(
            f"{where} holds somebody's work, so nothing was written; rename it or move it "
            f"elsewhere to keep it, {back}, then build again."
        )


def _difference(path: Path, expected: str) -> str:
    """What differs in a file, in words; "" for nothing."""
    if not path.exists():
        return "is missing"
    try:
        found, text = _read(path), path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return "cannot be read as a notebook"
    if text == expected:
        return ""
    wanted = _nbformat().v4.reads(expected)
    ids = [c.get("id") for c in found["cells"]]
    if ids != [c["id"] for c in wanted["cells"]]:
        missing = [c["id"] for c in wanted["cells"] if c["id"] not in ids]
        extra = [i for i in ids if i not in {c["id"] for c in wanted["cells"]}]
        if missing:
            return f"the cell {missing[0]!r} is missing"
        return f"the cell {extra[0]!r} is too much" if extra else "the cells stand in another order"
    for there, here in zip(found["cells"], wanted["cells"], strict=True):
        for key in sorted({*there, *here}):
            if there.get(key) != here.get(key):
                return f"the cell {here['id']!r} has another {key.replace('_', ' ')}"
    if found["metadata"] != wanted["metadata"]:
        return "the notebook's metadata differ"
    return "the file is laid out differently"


def _orphans(root: Path, known: set[Path], labs: set[str]) -> list[str]:
    found = []
    for path in sorted(p for f in ("solutions", "notebooks") for p in (root / f).glob("*/*.ipynb")):
        if path in known:
            continue
        notebook = _read_or_none(path)
        made_from = notebook and notebook["metadata"].get("cnn_clinic", {}).get("lab")
        if made_from and made_from not in labs:
            found.append(
                f"{path.relative_to(root)}: its lab {made_from!r} is gone or a draft; "
                "delete the notebook."
            )
    return found


def _write(path: Path, text: str) -> bool:
    """Replace a file in one step; leave one that already has this text alone. True if written."""
    data = text.encode("utf-8")
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        # A temporary file is private to its maker; a notebook is not.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True


def _nbformat() -> Any:
    try:
        import nbformat
    except ModuleNotFoundError as error:
        raise _without_tools(error) from None
    return nbformat


def _without_tools(error: ModuleNotFoundError) -> ClinicError:
    return ClinicError(
        f"Building notebooks needs the package {error.name!r}, which is not installed here; "
        "run `pip install cnn-clinic[instructor]`."
    )
