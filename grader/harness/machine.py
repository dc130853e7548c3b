"""What this machine and this folder have of what grading needs, one probe a question.

A probe returns findings and changes nothing. What might hang or crash, such as the import of a
framework, is tried in a process of its own with a time limit.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from grader.checks.catalogue import PACKAGE, read_header, released_ids
from grader.frameworks import NAMES

SECONDS = 60
"""How long a process of a probe may take; a framework's import takes a few seconds."""

_GB = 1_000_000_000
_LEAST_DISK = 2 * _GB
_LEAST_MEMORY = 3 * _GB  # either framework, one network and its images
_LEAST_SHARED = 256_000_000
_PROVISIONERS = ("cnn-clinic-warm", "cnn-clinic-shut-in")
_INSTRUCTOR = "pip install 'cnn-clinic[instructor]'"
_OPTIONAL = {
    "distributed": "grading on a Dask cluster",
    "dask-jobqueue": "a cluster on Slurm",
    "dask-kubernetes": "a cluster on Kubernetes",
    "optuna": "the lab on search",
    "cleanlab": "the lab on label noise",
    "tensorboard": "curves in TensorBoard",
}


class State(Enum):
    """What a probe found of a thing."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """What is known of one thing.

    Attributes:
        what: the thing, in a word or two.
        found: what there is, or what is the matter.
        mend: the command that mends it; "" where nothing is to be mended or no command can.
        needed: whether grading cannot work without it.
    """

    what: str
    state: State
    found: str
    mend: str = ""
    needed: bool = True


@dataclass(frozen=True)
class Limits:
    """What the control group of this process allows; None where it sets no limit."""

    cores: float | None
    memory: int | None  # bytes


class ProbeError(Exception):
    """A probe's process gave no answer; the message says what happened."""


def examine(root: Path | None) -> list[Finding]:
    """Ask all probes side by side; return their findings in the order of the screen.

    Args:
        root: the course folder; None where there is none.
    """
    here = root or Path.cwd()
    probes: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("Python", lambda: [python()]),
        ("frameworks", frameworks),
        ("bubblewrap", lambda: [sandbox()]),
        ("nbgrader", lambda: [nbgrader()]),
        ("kernel", lambda: [kernel()]),
        ("provisioners", lambda: [provisioners()]),
        ("course", lambda: [course(root)]),
        ("configuration", lambda: [configuration(root)] if root else []),
        ("gradebook", lambda: [gradebook(root)] if root else []),
        ("disk", lambda: [disk("course folder", here)]),
        ("temporary files", lambda: [disk("temporary files", Path(tempfile.gettempdir()))]),
        ("shared memory", lambda: [shared_memory()]),
        ("cores", lambda: [cores()]),
        ("memory", lambda: [memory()]),
        ("compiler", lambda: [compiler()]),
        ("packages", optional_packages),
    ]
    with ThreadPoolExecutor(len(probes)) as pool:
        found = list(pool.map(lambda probe: _asked(*probe), probes))
    return [finding for findings in found for finding in findings]


def _asked(what: str, probe: Callable[[], Iterable[Finding]]) -> list[Finding]:
    try:
        return list(probe())
    except Exception as error:
        # A machine in a state that nobody thought of is what this is run on.
        text = f"it could not be examined ({type(error).__name__}: {error})"
        return [Finding(what, State.BROKEN, text)]


def ask(code: str, *arguments: str, seconds: float = SECONDS) -> Any:
    """Run Python code in a process of its own; return what it prints last, read as JSON.

    Raises:
        ProbeError: it failed, took too long or printed nothing of the kind.
    """
    path = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        done = subprocess.run(
            # Not the current folder on the import path: a file there may be named torch.py.
            [sys.executable, "-P", "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ProbeError(f"it gave no answer within {seconds:g} s") from None
    except OSError as error:
        raise ProbeError(f"no process could be started ({error})") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise ProbeError(lines[-1][:200].rstrip("."))
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise ProbeError("it answered with something else") from None


def version(distribution: str) -> str | None:
    """The version of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def python() -> Finding:
    return Finding("Python", State.OK, f"{platform.python_version()} at {sys.executable}")


_SEEN = {
    "pytorch": (
        "import json, torch\n"
        "n = torch.cuda.device_count() if torch.cuda.is_available() else 0\n"
        "print(json.dumps([torch.cuda.get_device_name(i) for i in range(n)]))"
    ),
    "tensorflow": (
        "import json, os\n"
        "os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'\n"
        "import tensorflow as tf\n"
        "found = tf.config.list_physical_devices('GPU')\n"
        "names = [tf.config.experimental.get_device_details(g).get('device_name') for g in found]\n"
        "print(json.dumps([n or 'a GPU' for n in names]))"
    ),
}


def frameworks() -> list[Finding]:
    """Both frameworks; what is the matter with one counts only where the other is no use either."""
    with ThreadPoolExecutor(len(NAMES)) as pool:
        found = list(pool.map(framework, NAMES))
    enough = any(finding.state is State.OK for finding in found)
    return [Finding(f.what, f.state, f.found, f.mend, needed=not enough) for f in found]


def framework(name: str) -> Finding:
    """A framework's version, and the GPUs it sees, asked in a process of its own."""
    installed = version({"pytorch": "torch"}.get(name, name))
    mend = f"pip install 'cnn-clinic[{name}]'"
    if installed is None:
        return Finding(name, State.MISSING, f"the {name} labs cannot be graded", mend)
    try:
        gpus = ask(_SEEN[name])
    except ProbeError as error:
        text = f"{installed} does not import: {error}"
        again = mend.replace("install", "install --force-reinstall", 1)
        return Finding(name, State.BROKEN, text, again)
    return Finding(name, State.OK, f"{installed}, GPU: {_counted(gpus) or 'none'}")


def _counted(names: Sequence[str]) -> str:
    return ", ".join(f"{names.count(n)} x {n}" for n in dict.fromkeys(names))


def sandbox() -> Finding:
    """Whether a kernel can be shut in, by shutting one in."""
    try:
        reason = ask(
            "import json; from grader.harness.sandbox import why_not\nprint(json.dumps(why_not()))"
        )
    except ProbeError as error:
        return Finding("bubblewrap", State.BROKEN, f"the trial failed: {error}")
    if not reason:
        return Finding("bubblewrap", State.OK, "a kernel can be shut in")
    state = State.BROKEN if shutil.which("bwrap") else State.MISSING
    commands = re.findall(r"`([^`]+)`", reason)
    return Finding("bubblewrap", state, reason.rstrip("."), commands[0] if commands else "")


def nbgrader() -> Finding:
    installed = version("nbgrader")
    if installed is None:
        return Finding("nbgrader", State.MISSING, "nothing can be graded", _INSTRUCTOR)
    if tuple(map(int, re.findall(r"\d+", installed)[:3])) < (0, 9, 5):
        upgrade = "pip install --upgrade 'nbgrader>=0.9.5'"
        return Finding("nbgrader", State.BROKEN, f"{installed}; 0.9.5 is needed", upgrade)
    return Finding("nbgrader", State.OK, installed)


def kernel() -> Finding:
    """The kernel in which notebooks run, and whether its program is there."""
    code = (
        "import json; from jupyter_client.kernelspec import KernelSpecManager\n"
        "found = KernelSpecManager().get_all_specs()\n"
        "print(json.dumps({name: spec['spec']['argv'][0] for name, spec in found.items()}))"
    )
    mend = "python -m ipykernel install --sys-prefix"
    try:
        programs = ask(code)
    except ProbeError as error:
        return Finding("Jupyter kernel", State.BROKEN, str(error), _INSTRUCTOR)
    if "python3" not in programs:
        return Finding("Jupyter kernel", State.MISSING, "there is no kernel 'python3'", mend)
    if shutil.which(programs["python3"]) is None:
        text = f"the kernel 'python3' starts {programs['python3']}, which is not there"
        return Finding("Jupyter kernel", State.BROKEN, text, mend)
    return Finding("Jupyter kernel", State.OK, f"python3 ({len(programs)} in all)")


def provisioners() -> Finding:
    """The package's own ways to start a kernel, which Jupyter finds by their entry points."""
    group = importlib.metadata.entry_points(group="jupyter_client.kernel_provisioners")
    lacking = [name for name in _PROVISIONERS if name not in group.names]
    if lacking:
        text = f"Jupyter knows no {' and no '.join(lacking)}"
        mend = "pip install --no-deps --editable ."
        return Finding("provisioners", State.MISSING, text, mend)
    return Finding("provisioners", State.OK, ", ".join(_PROVISIONERS))


def course(root: Path | None) -> Finding:
    """Whether this is a course folder with all notebooks that its labs make."""
    if root is None:
        text = f"{Path.cwd()} is not inside a course; go to a clone of the repository"
        return Finding("course", State.MISSING, text)
    labs = root / "labs"
    expected = [
        f"{header.assignment(framework)}/{header.name}.ipynb"
        for header in (read_header(lab, labs) for lab in released_ids(labs))
        for framework in NAMES
    ]
    for folder in ("solutions", "notebooks"):
        there = sum((root / folder / name).is_file() for name in expected)
        if there < len(expected):
            text = f"{len(expected) - there} of {len(expected)} notebooks are not in {folder}/"
            return Finding("course", State.MISSING, text, "grader build")
    return Finding("course", State.OK, f"{root}, {len(expected)} notebooks built")


def configuration(root: Path) -> Finding:
    """Whether nbgrader reads the course's configuration and finds the course's own steps in it."""
    code = (
        "import json, sys; from pathlib import Path\n"
        "from grader.harness.course import load_config\n"
        "config = load_config(Path(sys.argv[1]))\n"
        "steps = config.Autograde.autograde_preprocessors\n"
        "print(json.dumps([getattr(step, '__module__', str(step)) for step in steps]))"
    )
    mend = "git checkout nbgrader_config.py"
    try:
        steps = ask(code, str(root))
    except ProbeError as error:
        return Finding("configuration", State.BROKEN, f"nbgrader_config.py: {error}", mend)
    if not any(step.startswith("grader.") for step in steps):
        text = "nbgrader_config.py does not name the course's own grading steps"
        return Finding("configuration", State.BROKEN, text, mend)
    return Finding("configuration", State.OK, "nbgrader_config.py names the course's own steps")


def gradebook(root: Path) -> Finding:
    """Whether the gradebook opens, can be written and has the schema of this nbgrader."""
    path = root / "gradebook.db"
    if not path.exists():
        return Finding("gradebook", State.OK, "none yet; the first grading makes it", needed=False)
    try:
        schema = _schema(path)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            text = f"{path.name} is held by another program; end that one"
            return Finding("gradebook", State.BROKEN, text, f"fuser -v {path}")
        return Finding("gradebook", State.BROKEN, f"{path.name}: {error}", f"chmod u+rw {path}")
    except sqlite3.DatabaseError as error:
        rescue = f"sqlite3 {path} .recover | sqlite3 {path.with_name('recovered.db')}"
        return Finding("gradebook", State.BROKEN, f"{path.name}: {error}", rescue)
    current = newest_schema()
    if schema != current:
        text = f"its schema is {schema or 'not recorded'}, this nbgrader has {current}"
        return Finding("gradebook", State.BROKEN, text, "nbgrader db upgrade")
    return Finding("gradebook", State.OK, f"{path.stat().st_size / 1e6:.1f} MB, schema {schema}")


def _schema(path: Path) -> str:
    """The schema that a gradebook records; "" where it records none. Takes the lock and lets go."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=1)
    try:
        connection.execute("BEGIN IMMEDIATE")
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if "alembic_version" not in tables:
            return ""
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else ""
    finally:
        connection.close()


def newest_schema() -> str:
    """The schema that the installed nbgrader makes, the last of its chain of revisions."""
    distribution = importlib.metadata.distribution("nbgrader")
    revisions, before = set(), set()
    for path in Path(str(distribution.locate_file("nbgrader/alembic/versions"))).glob("*.py"):
        text = path.read_text(encoding="utf-8")
        revisions.update(re.findall(r"^revision\s*=\s*['\"](\w+)", text, re.M))
        before.update(re.findall(r"^down_revision\s*=\s*['\"](\w+)", text, re.M))
    return ", ".join(sorted(revisions - before))


def disk(what: str, folder: Path) -> Finding:
    """Free space of a folder's file system, and whether files can be made there."""
    free = shutil.disk_usage(folder).free
    text = f"{free / _GB:.1f} GB free in {folder}"
    if not os.access(folder, os.W_OK):
        text = f"{folder} cannot be written"
        return Finding(what, State.BROKEN, text, f"chmod u+w {folder}")
    if free < _LEAST_DISK:
        text = f"{text}; {_LEAST_DISK / _GB:g} GB are needed"
        return Finding(what, State.BROKEN, text, f"du -xh {folder} | sort -h | tail")
    return Finding(what, State.OK, text)


def shared_memory(folder: Path = Path("/dev/shm")) -> Finding:
    """Shared memory, through which a PyTorch loader's processes return their batches."""
    mend = "mount -o remount,size=1G /dev/shm"
    if not folder.is_dir():
        text = f"there is no {folder}; loaders with several processes may fail"
        return Finding("shared memory", State.MISSING, text, needed=False)
    free = shutil.disk_usage(folder).free
    text = f"{free / _GB:.2f} GB free in {folder}"
    if free < _LEAST_SHARED:
        text = f"{text}; loaders with several processes may fail"
        return Finding("shared memory", State.BROKEN, text, mend, needed=False)
    return Finding("shared memory", State.OK, text, needed=False)


def cores() -> Finding:
    """Processor cores, and how much of them this process may use."""
    machine = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    quota = limits().cores
    text = f"{usable} of {machine}"
    if quota is not None and quota < usable:
        text += f", with time for {quota:g}; grade with --processes {max(1, int(quota))}"
    return Finding("cores", State.OK, text)


def memory(information: Path = Path("/proc/meminfo")) -> Finding:
    """Memory of the machine, and the limit of the control group."""
    sizes = [limits().memory]
    if information.is_file():
        found = re.search(r"^MemTotal:\s+(\d+) kB", information.read_text(), re.M)
        sizes.append(int(found[1]) * 1024 if found else None)
    known = [size for size in sizes if size is not None]
    if not known:
        return Finding("memory", State.OK, "unknown", needed=False)
    text = f"{min(known) / _GB:.1f} GB"
    if min(known) < _LEAST_MEMORY:
        text += f"; {_LEAST_MEMORY / _GB:g} GB are needed for one kernel"
        return Finding("memory", State.BROKEN, text)
    return Finding("memory", State.OK, text)


def limits(root: Path = Path("/")) -> Limits:
    """The tightest limits of this process's control groups, versions 1 and 2 of them.

    Args:
        root: folder that stands for the file system's root.
    """
    quotas: list[float] = []
    sizes: list[int] = []
    for folder in _groups(root):
        if match := re.fullmatch(r"(\d+) (\d+)", _line(folder / "cpu.max")):
            quotas.append(int(match[1]) / int(match[2]))
        quota, period = _line(folder / "cpu.cfs_quota_us"), _line(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period):
            quotas.append(int(quota) / int(period))
        for name in ("memory.max", "memory.limit_in_bytes"):
            size = _line(folder / name)
            # Version 1 writes "no limit" as a number beyond any machine.
            if size.isdecimal() and int(size) < 1 << 60:
                sizes.append(int(size))
    return Limits(min(quotas, default=None), min(sizes, default=None))


def _groups(root: Path) -> list[Path]:
    """The folders of this process's control groups, each with those above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders: dict[Path, None] = {}
    for line in lines:
        parts = line.split(":", 2)
        if len(parts) != 3:
            continue
        for mount in parts[1].split(",") if parts[1] else ["", "unified"]:
            base = root / "sys/fs/cgroup" / mount
            inside = base / parts[2].lstrip("/")
            folders.update(
                dict.fromkeys(f for f in (inside, *inside.parents) if base in (f, *f.parents))
            )
    return list(folders)


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def compiler() -> Finding:
    """A C++ compiler, without which `torch.compile` makes no code for the processor."""
    found = next(
        filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))), ""
    )
    if not found:
        text = "torch.compile cannot work on the processor"
        return Finding("compiler", State.MISSING, text, "apt-get install g++", needed=False)
    return Finding("compiler", State.OK, f"{found}, for torch.compile", needed=False)


def optional_packages() -> list[Finding]:
    """Packages that only some commands and labs use."""
    return [_optional(name, purpose) for name, purpose in _OPTIONAL.items()]


def _optional(name: str, purpose: str) -> Finding:
    installed = version(name)
    if installed is None:
        return Finding(name, State.MISSING, f"for {purpose}", f"pip install {name}", needed=False)
    return Finding(name, State.OK, f"{installed}, for {purpose}", needed=False)
