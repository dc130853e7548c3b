"""Grading on a Dask cluster: what comes back, and what is said when workers or schedulers die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from grader.errors import ClinicError
from grader.harness import cluster

distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
from grader.harness import courier  # noqa: E402
from grader.harness.workers import TimedOut, WorkerLost  # noqa: E402

PATIENCE = 90  # seconds after which a test fails instead of waiting on


@contextmanager
def connected(where: str, resources: dict[str, float] | None = None, *, run: Any) -> Iterator[Any]:
    workers = cluster.connect(where, resources or {}, run)
    try:
        yield workers
    finally:
        workers.close()


@contextmanager
def process(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Dask program in a folder of its own that knows nothing of the repository."""
    folder.mkdir(exist_ok=True)
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with (folder / "log").open("wb") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    told = folder / "scheduler.json"
    arguments = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    with process(
        "distributed.cli.dask_scheduler", *arguments, f"--scheduler-file={told}", folder=folder
    ) as started:
        wait_until(lambda: told.is_file() and told.read_text().endswith("}"))
        yield json.loads(told.read_text())["address"], started


@contextmanager
def worker(address: str, folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    arguments = (address, "--nthreads", "1", "--no-dashboard", "--death-timeout", "5")
    local = f"--local-directory={folder / 'local'}"
    with process(
        "distributed.cli.dask_worker", *arguments, local, *options, folder=folder
    ) as started:
        yield started


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def task(number: int, seconds: float = 600) -> Any:
    return SimpleNamespace(number=number, notebook_seconds=seconds)


# What the workers call: nested functions, since workers do not have this file.
def note_and(action: str, notes: Path) -> Any:
    def run(task: Any) -> Any:
        import os
        import signal
        import time
        from pathlib import Path

        task = task.number
        with open(notes, "a") as file:
            file.write(f"{task} {os.getpid()} {os.getppid()}\n")
        attempts = sum(
            line.split()[0] == str(task) for line in Path(notes).read_text().splitlines()
        )
        if action == "kill the worker" or (action == "kill it once" and attempts == 1):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        if action == "end":
            os._exit(3)
        if action == "sleep":
            time.sleep(600)
        return task * 2

    return run


def noted(notes: Path) -> list[list[int]]:
    """(task, process, its Dask worker) of every attempt."""
    if not notes.is_file():
        return []
    return [[int(word) for word in line.split()] for line in notes.read_text().splitlines()]


@pytest.mark.parametrize("where", ["loca", "local:", "local:0", "local:x", "slurm:-1", ""])
def test_an_unknown_kind_of_cluster_is_refused(where: str) -> None:
    with pytest.raises(ClinicError, match="There is no cluster"):
        cluster.connect(where)


@pytest.mark.parametrize(
    ("where", "package"),
    [
        ("tcp://127.0.0.1:1", "distributed"),
        ("slurm", "dask_jobqueue"),
        ("kubernetes:2", "dask_kubernetes.operator"),
    ],
)
def test_a_missing_package_is_named_with_the_command(
    where: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cluster.importlib.import_module

    def absent(name: str) -> Any:
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name)

    monkeypatch.setattr(cluster.importlib, "import_module", absent)
    with pytest.raises(ClinicError, match=rf"{package}.*`pip install [a-z-]+(\[cluster\])?`"):
        cluster.connect(where)


def test_an_address_where_nobody_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_COMING", 1)
    with pytest.raises(ClinicError, match="no Dask scheduler to be reached at tcp"):
        cluster.connect("tcp://127.0.0.1:1")


@pytest.mark.parametrize(
    ("worker", "resources", "slots"),
    [
        ({"nthreads": 4}, {}, 4),
        ({"nthreads": 4, "resources": {"GPU": 2}}, {"GPU": 1}, 2),
        ({"nthreads": 1, "resources": {"GPU": 2}}, {"GPU": 1}, 1),
        ({"nthreads": 4, "resources": {"GPU": 1}}, {"GPU": 2}, 0),
        ({"nthreads": 4}, {"GPU": 1}, 0),
    ],
)
def test_a_worker_takes_as_many_tasks_as_it_has_threads_and_resources(
    worker: Any, resources: dict[str, float], slots: int
) -> None:
    assert cluster._slots(worker, resources) == slots


def test_worker_arguments_allow_one_task_at_a_time() -> None:
    assert cluster._arguments({}) == ["--nthreads", "1"]
    assert cluster._arguments({"GPU": 1})[2:] == ["--resources", "GPU=1"]


def test_a_grading_process_has_the_course_first_and_all_threads_alike(tmp_path: Path) -> None:
    before = {"PYTHONPATH": "/elsewhere", "OMP_NUM_THREADS": "3", "CNN_CLINIC_LABS": "/gone"}
    after = courier.environment(tmp_path, before)
    assert after["PYTHONPATH"] == f"{tmp_path}{os.pathsep}/elsewhere"
    assert after["TF_NUM_INTRAOP_THREADS"] == after["OPENBLAS_NUM_THREADS"] == "3"
    assert "CNN_CLINIC_LABS" not in after


@pytest.mark.slow
def test_results_and_errors_come_back() -> None:
    def run(task: Any) -> int:
        from grader.errors import ClinicError

        if task.number == 3:
            raise ClinicError("The third one is refused.")
        return task.number // (4 - task.number)

    with connected("local:2", run=run) as workers:
        assert workers.slots == 2
        futures = [workers.submit(task(n)) for n in range(5)]
        assert [f.result(PATIENCE) for f in futures[:3]] == [0, 0, 1]
        with pytest.raises(ClinicError, match="The third one is refused"):
            futures[3].result(PATIENCE)
        with pytest.raises(WorkerLost, match=r"could not be run \(ZeroDivisionError"):
            futures[4].result(PATIENCE)


@pytest.mark.slow
def test_a_task_whose_worker_is_killed_runs_once_more(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with connected("local:2", run=note_and("kill it once", notes)) as workers:
        assert workers.submit(task(21)).result(PATIENCE) == 42
        assert len(noted(notes)) == 2
        wait_until(lambda: gone(noted(notes)[0][1]))


@pytest.mark.slow
def test_a_task_that_kills_its_second_worker_is_given_up_and_others_go_on(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    deadly = note_and("kill the worker", notes)

    def run(task: Any) -> int:
        return deadly(task) if task.number == 0 else task.number * 2

    with connected("local:2", run=run) as workers:
        futures = [workers.submit(task(n)) for n in range(6)]
        with pytest.raises(WorkerLost, match="2 Dask workers in turn died"):
            futures[0].result(PATIENCE)
        assert [f.result(PATIENCE) for f in futures[1:]] == [2, 4, 6, 8, 10]
    attempts = noted(notes)
    assert len(attempts) == 2
    wait_until(lambda: all(gone(pid) for attempt in attempts for pid in attempt[1:]))


@pytest.mark.slow
def test_a_grading_process_that_dies_leaves_its_worker_alive(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with connected("local:1", run=note_and("end", notes)) as workers:
        with pytest.raises(WorkerLost, match="the grading process ended with 3"):
            workers.submit(task(1)).result(PATIENCE)
        (_, first, worker_1), (_, second, worker_2) = noted(notes)
        assert first != second
        assert worker_1 == worker_2
        assert not gone(worker_1)


@pytest.mark.slow
def test_a_task_that_does_not_end_is_ended_by_its_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "SPARE_SECONDS", 2)
    notes = tmp_path / "notes"
    sleeping = note_and("sleep", notes)

    def run(task: Any) -> int:
        return sleeping(task) if task.number == 0 else task.number * 2

    with connected("local:1", run=run) as workers:
        with pytest.raises(TimedOut, match="did not end within"):
            workers.submit(task(0, seconds=1)).result(PATIENCE)
        assert len(noted(notes)) == 1
        assert gone(noted(notes)[0][1])
        assert workers.submit(task(4)).result(PATIENCE) == 8


@pytest.mark.slow
def test_closing_ends_what_still_runs(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with connected("local:1", run=note_and("sleep", notes)) as workers:
        future = workers.submit(task(1))
        wait_until(lambda: noted(notes))
    with pytest.raises(WorkerLost, match="closed before its end"):
        future.result(PATIENCE)
    assert "closed" in str(workers.submit(task(2)).exception(PATIENCE))
    wait_until(lambda: all(gone(pid) for pid in noted(notes)[0][1:]))


@pytest.mark.slow
def test_a_killed_scheduler_fails_every_task_and_leaves_no_process(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with (
        scheduler(tmp_path / "scheduler") as (address, running),
        worker(address, tmp_path / "worker") as dask_worker,
        connected(address, run=note_and("sleep", notes)) as workers,
    ):
        futures = [workers.submit(task(n)) for n in range(3)]
        wait_until(lambda: noted(notes))
        running.kill()
        for future in futures:
            assert isinstance(future.exception(PATIENCE), ClinicError)
            assert f"scheduler at {address} is lost" in str(future.exception())
        assert "is lost" in str(workers.submit(task(4)).exception(PATIENCE))
        assert workers.slots == 0
        wait_until(lambda: all(gone(pid) for pid in noted(notes)[0][1:]))
        wait_until(lambda: dask_worker.poll() is not None)


@pytest.mark.slow
def test_a_worker_in_an_empty_folder_gets_the_course_and_a_tag_selects_it(tmp_path: Path) -> None:
    def where(task: Any) -> tuple[str, str, int]:
        import os

        import grader
        from grader.checks.catalogue import lab_ids

        return grader.__file__, os.getcwd(), len(lab_ids())

    with (
        scheduler(tmp_path / "scheduler") as (address, _),
        worker(address, tmp_path / "plain"),
        worker(address, tmp_path / "gpu", "--resources", "GPU=1"),
    ):
        client = distributed.Client(address, set_as_default=False)
        client.wait_for_workers(2, timeout=PATIENCE)
        client.close()
        with connected(address, {"GPU": 1}, run=where) as workers:
            assert workers.slots == 1
            for _ in range(4):
                package, folder, labs = workers.submit(task(0)).result(PATIENCE)
                assert Path(package).is_relative_to(tmp_path / "gpu" / "local")
                assert Path(folder).is_relative_to(tmp_path / "gpu" / "local")
                assert labs
        with connected(address, run=where) as workers:
            assert workers.slots == 2
        with pytest.raises(ClinicError, match="has TPU=1; start workers with"):
            cluster.connect(address, {"TPU": 1}, where)
