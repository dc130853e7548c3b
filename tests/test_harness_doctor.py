"""What is said of a machine: each probe on a machine made up for it, and the screen."""

from __future__ import annotations

import importlib.metadata
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import harness_course
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import cli
from grader.harness import course, doctor, machine
from grader.harness.machine import Finding, ProbeError, State


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let every probe's process answer so, or fail so."""

    def set_answer(value: Any) -> None:
        def ask(*arguments: Any, **options: Any) -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        monkeypatch.setattr(machine, "ask", ask)

    return set_answer


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let these packages be installed and no others."""
    return lambda **versions: monkeypatch.setattr(machine, "version", versions.get)


def test_a_process_answers_with_what_it_prints_last() -> None:
    assert machine.ask("print('warning'); print('[1, 2]')") == [1, 2]
    assert machine.ask("import sys, json; print(json.dumps(sys.argv[1:]))", "a b") == ["a b"]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise OSError('no such library')", "OSError: no such library"),
        ("import os; os.kill(os.getpid(), 11)", "status -11"),
        ("pass", "answered with something else"),
        ("print('hello')", "answered with something else"),
    ],
)
def test_a_process_that_gives_no_answer_is_told_from_one_that_does(code: str, why: str) -> None:
    with pytest.raises(ProbeError, match=why):
        machine.ask(code)


def test_a_process_that_hangs_is_not_waited_for() -> None:
    with pytest.raises(ProbeError, match=r"no answer within 0\.5 s"):
        machine.ask("import time; time.sleep(60)", seconds=0.5)


def test_a_file_of_the_folder_is_not_taken_for_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert machine.ask("import numpy; print(1)") == 1


def test_a_framework_is_shown_with_the_gpus_it_sees(answer: Any, installed: Any) -> None:
    installed(torch="2.9.0", tensorflow="2.20.0")
    answer(["NVIDIA A100", "NVIDIA A100"])
    assert machine.framework("pytorch").found == "2.9.0, GPU: 2 x NVIDIA A100"
    answer([])
    assert machine.framework("tensorflow").found == "2.20.0, GPU: none"


def test_a_framework_that_is_not_there_is_missing(installed: Any) -> None:
    installed()
    found = machine.framework("tensorflow")
    assert found.state is State.MISSING
    assert found.mend == "pip install 'cnn-clinic[tensorflow]'"


def test_a_framework_that_does_not_import_is_broken(answer: Any, installed: Any) -> None:
    installed(torch="2.9.0")
    answer(ProbeError("ImportError: libcudart.so.12"))
    found = machine.framework("pytorch")
    assert found.state is State.BROKEN
    assert "libcudart.so.12" in found.found
    assert "--force-reinstall" in found.mend


def test_one_of_the_two_frameworks_is_enough(answer: Any, installed: Any) -> None:
    answer([])
    installed(torch="2.9.0")
    assert [f.needed for f in machine.frameworks()] == [False, False]
    installed()
    assert [f.needed for f in machine.frameworks()] == [True, True]


@pytest.mark.parametrize(
    ("reason", "program", "state", "mend"),
    [
        ("", "/usr/bin/bwrap", State.OK, ""),
        ("There is no bwrap; run `apt install b`.", None, State.MISSING, "apt install b"),
        ("It may not; run `sysctl x=1` or `y`.", "/usr/bin/bwrap", State.BROKEN, "sysctl x=1"),
        ("Nothing is known.", "/usr/bin/bwrap", State.BROKEN, ""),
        (ProbeError("it gave no answer within 30 s"), "/usr/bin/bwrap", State.BROKEN, ""),
    ],
)
def test_the_sandbox_is_what_its_trial_says(
    reason: Any,
    program: str | None,
    state: State,
    mend: str,
    answer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer(reason)
    monkeypatch.setattr(machine.shutil, "which", lambda name: program)
    found = machine.sandbox()
    assert (found.state, found.mend, found.needed) == (state, mend, True)


@pytest.mark.parametrize(
    ("version", "state"),
    [(None, State.MISSING), ("0.9.4", State.BROKEN), ("0.9.5", State.OK), ("0.10.0a1", State.OK)],
)
def test_nbgrader_has_a_version_that_the_course_knows(
    version: str | None, state: State, installed: Any
) -> None:
    installed(nbgrader=version)
    found = machine.nbgrader()
    assert found.state is state
    assert bool(found.mend) is (state is not State.OK)


@pytest.mark.parametrize(
    ("programs", "state"),
    [
        ({"python3": "sh"}, State.OK),
        ({"julia": "sh"}, State.MISSING),
        ({"python3": "/no/such/python"}, State.BROKEN),
        (ProbeError("No module named 'jupyter_client'"), State.BROKEN),
    ],
)
def test_the_kernel_is_there_with_its_program(programs: Any, state: State, answer: Any) -> None:
    answer(programs)
    assert machine.kernel().state is state


def test_a_provisioner_without_its_entry_point_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    entry_points = SimpleNamespace(names={"local-provisioner", "cnn-clinic-warm"})
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: entry_points)
    found = machine.provisioners()
    assert found.state is State.MISSING
    assert "no cnn-clinic-shut-in" in found.found
    entry_points.names.add("cnn-clinic-shut-in")
    assert machine.provisioners().state is State.OK


def test_a_course_is_whole_until_a_notebook_is_lost(tmp_path: Path) -> None:
    harness_course.make(tmp_path)
    assert machine.course(tmp_path).found == f"{tmp_path}, 2 notebooks built"
    (tmp_path / "notebooks" / harness_course.ASSIGNMENT / "01_double.ipynb").unlink()
    found = machine.course(tmp_path)
    assert found.state is State.MISSING
    assert found.found == "1 of 2 notebooks are not in notebooks/"
    assert found.mend == "grader build"


def test_outside_a_course_there_is_none() -> None:
    assert machine.course(None).state is State.MISSING


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        (["grader.harness.nbgrader_plugins", "nbgrader.preprocessors"], State.OK),
        (["nbgrader.preprocessors"], State.BROKEN),
        (ProbeError("SyntaxError: invalid syntax"), State.BROKEN),
    ],
)
def test_the_configuration_names_the_courses_steps(
    steps: Any, state: State, answer: Any, tmp_path: Path
) -> None:
    answer(steps)
    assert machine.configuration(tmp_path).state is state


def a_gradebook(folder: Path, schema: str | None) -> Path:
    path = folder / "gradebook.db"
    connection = sqlite3.connect(path)
    if schema is not None:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (schema,))
    connection.execute("CREATE TABLE student (id TEXT)")
    connection.commit()
    connection.close()
    return path


def test_a_gradebook_that_is_not_there_yet_is_no_fault(tmp_path: Path) -> None:
    assert machine.gradebook(tmp_path).state is State.OK
    assert not list(tmp_path.iterdir())


def test_a_gradebook_of_this_nbgrader_is_in_order_and_stays_as_it_is(tmp_path: Path) -> None:
    path = a_gradebook(tmp_path, machine.newest_schema())
    before = path.read_bytes()
    assert machine.gradebook(tmp_path).state is State.OK
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("schema", ["50a4d84c131a", None])
def test_a_gradebook_of_another_nbgrader_is_to_be_upgraded(
    schema: str | None, tmp_path: Path
) -> None:
    a_gradebook(tmp_path, schema)
    found = machine.gradebook(tmp_path)
    assert (found.state, found.mend) == (State.BROKEN, "nbgrader db upgrade")


def test_a_locked_gradebook_is_said_to_be_held(tmp_path: Path) -> None:
    path = a_gradebook(tmp_path, machine.newest_schema())
    holder = sqlite3.connect(path)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        found = machine.gradebook(tmp_path)
    finally:
        holder.close()
    assert "held by another program" in found.found
    assert found.mend == f"fuser -v {path}"


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"\xff" * 4096])
def test_a_gradebook_that_is_no_database_is_broken(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "gradebook.db").write_bytes(content)
    found = machine.gradebook(tmp_path)
    assert found.state is State.BROKEN
    assert ".recover" in found.mend


def test_a_folder_in_place_of_the_gradebook_is_broken(tmp_path: Path) -> None:
    (tmp_path / "gradebook.db").mkdir()
    assert machine.gradebook(tmp_path).state is State.BROKEN


@pytest.mark.slow
def test_a_gradebook_that_nbgrader_has_just_made_is_in_order(tmp_path: Path) -> None:
    api = pytest.importorskip("nbgrader.api", reason="nbgrader is not installed")
    with course.programs_of_this_python():
        api.Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}").close()
    found = machine.gradebook(tmp_path)
    assert (found.state, found.mend) == (State.OK, "")


def test_a_full_disk_and_a_folder_that_cannot_be_written_are_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {"free": 5_000_000_000}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(**free))
    assert machine.disk("disk", tmp_path).state is State.OK
    free["free"] = 100_000_000
    assert "0.1 GB free" in machine.disk("disk", tmp_path).found
    assert machine.disk("disk", tmp_path).state is State.BROKEN
    assert machine.shared_memory(tmp_path).state is State.BROKEN
    monkeypatch.setattr(machine.os, "access", lambda folder, mode: False)
    assert "cannot be written" in machine.disk("disk", tmp_path).found


def test_a_system_without_shared_memory_is_no_obstacle(tmp_path: Path) -> None:
    found = machine.shared_memory(tmp_path / "none")
    assert (found.state, found.needed) == (State.MISSING, False)


def files(root: Path, **contents: str) -> Path:
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_limits_of_control_groups_version_2_are_the_tightest_on_the_way_up(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        **{
            "proc/self/cgroup": "0::/slice/job\n",
            "sys/fs/cgroup/slice/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/slice/memory.max": "2000000000\n",
            "sys/fs/cgroup/slice/job/cpu.max": "max 100000\n",
            "sys/fs/cgroup/slice/job/memory.max": "3000000000\n",
        },
    )
    assert machine.limits(root) == machine.Limits(1.5, 2_000_000_000)


def test_limits_of_control_groups_version_1_are_read(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        **{
            "proc/self/cgroup": "4:memory:/job\n2:cpu,cpuacct:/job\n1:name=systemd:/\n0::/\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "4000000000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert machine.limits(root) == machine.Limits(2.0, 4_000_000_000)


def test_without_control_groups_nothing_is_limited(tmp_path: Path) -> None:
    assert machine.limits(tmp_path) == machine.Limits(None, None)


@given(groups=st.text(), quota=st.text(), size=st.text())
def test_whatever_the_files_hold_the_limits_are_read(
    groups: str, quota: str, size: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = files(
        tmp_path_factory.mktemp("root"),
        **{
            "proc/self/cgroup": groups.encode("utf-8", "replace").decode(),
            "sys/fs/cgroup/cpu.max": quota.encode("utf-8", "replace").decode(),
            "sys/fs/cgroup/memory.max": size.encode("utf-8", "replace").decode(),
        },
    )
    assert isinstance(machine.limits(root), machine.Limits)


def test_fewer_cores_than_there_are_change_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "limits", lambda: machine.Limits(0.5, None))
    assert machine.cores().found.endswith("with time for 0.5; grade with --processes 1")


def test_too_little_memory_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "limits", lambda: machine.Limits(None, 1_000_000_000))
    assert machine.memory().state is State.BROKEN
    monkeypatch.setattr(machine, "limits", lambda: machine.Limits(None, None))
    assert machine.memory(tmp_path / "none").found == "unknown"


def test_a_compiler_is_wanted_but_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    found = machine.compiler()
    assert (found.state, found.needed) == (State.MISSING, False)
    assert found.mend == "apt-get install g++"


def test_optional_packages_are_each_named_with_the_command(installed: Any) -> None:
    installed(optuna="5.0.0")
    found = {f.what: f for f in machine.optional_packages()}
    assert found["optuna"].state is State.OK
    assert found["dask-jobqueue"].mend == "pip install dask-jobqueue"
    assert not any(f.needed for f in found.values())


def test_a_probe_that_fails_itself_becomes_a_finding() -> None:
    def probe() -> list[Finding]:
        raise ZeroDivisionError("odd machine")

    (found,) = machine._asked("disk", probe)
    assert found.state is State.BROKEN
    assert "ZeroDivisionError: odd machine" in found.found


OK = Finding("one", State.OK, "1.0")
OPTIONAL = Finding("other thing", State.MISSING, "for later", "pip install it", needed=False)
NEEDED = Finding("third", State.BROKEN, "the third is " + "very " * 30 + "broken", "mend " * 40)


def test_the_screen_has_state_name_finding_and_command() -> None:
    assert doctor.screen([OK, OPTIONAL]).splitlines() == [
        "ok       one          1.0",
        "missing  other thing  (optional) for later",
        "                      mend: pip install it",
        "",
        "Grading can work here.",
    ]


def test_long_findings_are_folded_and_commands_are_not() -> None:
    lines = doctor.screen([NEEDED], width=60).splitlines()
    assert all(len(line) <= 60 for line in lines if "mend:" not in line)
    assert sum("mend:" in line for line in lines) == 1
    assert lines[-1] == "Grading cannot work here yet: third."


@pytest.mark.parametrize(
    ("findings", "status"), [([], 0), ([OK, OPTIONAL], 0), ([OK, OPTIONAL, NEEDED], 1)]
)
def test_the_status_is_1_when_something_needed_is_missing(
    findings: list[Finding], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda root: findings)
    assert cli.main(["doctor"]) == status


def test_the_doctor_comes_to_places_that_are_no_course(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "examine", lambda root: asked.append(root) or [OK])
    assert cli.main(["doctor"]) == 0
    assert asked == [None]


@pytest.mark.slow
def test_this_machine_is_examined_without_a_framework_in_this_process() -> None:
    found = machine.examine(machine.PACKAGE.parent)
    assert {"Python", "pytorch", "bubblewrap", "gradebook", "memory"} <= {f.what for f in found}
    assert not [f for f in found if "could not be examined" in f.found]
