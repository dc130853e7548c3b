"""Grading on a Dask cluster: the same tasks, on workers that share no disk with this machine.

Each worker is sent the course (`carrier`) and hands tasks to a process of its own (`courier`,
`runner`). Python and the packages of the course are installed on the workers beforehand.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import platform
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import cloudpickle

from grader.errors import ClinicError
from grader.harness import carrier
from grader.harness.cores import available
from grader.harness.grading import Done, Task, grade
from grader.harness.workers import SPARE_SECONDS, TimedOut, WorkerLost, Workers

if TYPE_CHECKING:
    from distributed import Client

# Seconds until there must be a worker: of a cluster that runs, and of one whose jobs wait in line.
_COMING, _QUEUED = 30, 600
_SETTINGS = {
    # A task that two workers died over has killed them; a third is not risked.
    "distributed.scheduler.allowed-failures": 1,
    # A worker is given the next task when it has done one: what waits does not share its fate.
    "distributed.scheduler.worker-saturation": 1.0,
}
_NEEDED = ("numpy", "cloudpickle", "ipykernel", "nbclient", "nbformat", "threadpoolctl")
_FRAMEWORKS = ("torch", "tensorflow")
_NO_RESOURCES: Mapping[str, float] = MappingProxyType({})


def connect(
    where: str,
    resources: Mapping[str, float] = _NO_RESOURCES,
    run: Callable[[Task], Done] = grade,
) -> Workers:
    """Connect to a cluster, or start one, and send the course to its workers.

    Args:
        where: "local", the address of a scheduler ("tcp://host:8786", "tls://..."), "slurm" or
            "kubernetes". All but the address may name how many workers to start, as in "local:4";
            without, "local" starts one a core and the other two start one. Slurm and Kubernetes
            are set up by Dask's own configuration in ~/.config/dask. On a scheduler that is
            already there, how many workers one task may kill is the scheduler's own setting
            `distributed.scheduler.allowed-failures`; of one started here, two.
        resources: what a worker needs to be given a task, such as {"GPU": 1}; workers that are
            started here are started with it.
        run: what is called with a task, in a process of the worker's.

    Raises:
        ClinicError: an unknown kind of cluster, a package that is missing here or on a worker,
            another Python there, nobody at the address, or no worker that has the resources.
    """
    kind, address, count = _parse(where)
    _package("distributed", "cnn-clinic[cluster]")
    with ExitStack() as stack:
        if address:
            client = _client(address, stack)
            patience = _COMING
        else:
            cluster = _START[kind](count, resources, stack)
            client = _client(cluster, stack)
            patience = _COMING if kind == "local" else _QUEUED
        _wait_for_worker(client, where, patience)
        _refuse_unfit(client)
        name = _send_course(client)
        workers = DaskWorkers(client, name, resources, run, stack.pop_all())
    if not workers.slots:
        workers.close()
        named = ", ".join(f"{name}={number:g}" for name, number in resources.items())
        raise ClinicError(
            f"No worker of the Dask cluster {where} has {named}; start workers with "
            f"`dask worker ADDRESS --nthreads 1 --resources {named.replace(', ', ',')}`."
        )
    return workers


class DaskWorkers:
    """The workers of a Dask cluster; see `grader.harness.workers.Workers`."""

    def __init__(
        self,
        client: Client,
        courier: str,
        resources: Mapping[str, float],
        run: Callable[[Task], Done],
        stack: ExitStack,
    ) -> None:
        self._client = client
        self._courier = courier
        self._resources = dict(resources)
        self._run = run
        self._stack = stack
        self._scheduler = client.scheduler_info()["address"]
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Done], bytes, float]] = deque()
        self._open: dict[str, tuple[Any, Future[Done]]] = {}
        self._gone: Exception | None = None  # why nothing more can be submitted

    @property
    def slots(self) -> int:
        """How many tasks run at a time on the workers that are there now."""
        if self._gone or self._client.status != "running":
            return 0
        try:
            found = self._client.scheduler_info(n_workers=-1)["workers"].values()
        except Exception:  # Dask's errors for a connection that is gone have no common type
            return 0
        return sum(_slots(worker, self._resources) for worker in found)

    def submit(self, task: Task) -> Future[Done]:
        """Have a task run; the future fails with WorkerLost when nobody could finish it."""
        future: Future[Done] = Future()
        request = cloudpickle.dumps((self._run, task))
        with self._lock:
            self._waiting.append((future, request, task.notebook_seconds + SPARE_SECONDS))
        self._fill()
        return future

    def close(self) -> None:
        """End what still runs, and what was started for this session."""
        with self._lock:
            self._gone = self._gone or WorkerLost(
                "The session on the Dask cluster was closed before its end."
            )
            running, self._open = self._open, {}
        for _, future in running.values():
            _fail(future, self._gone)
        self._fill()
        if self._client.status == "running":
            # Dask's errors for a connection that breaks now have no common type; there is nothing
            # left to release then.
            with contextlib.suppress(Exception):
                self._client.cancel([promise for promise, _ in running.values()])
                self._client.unregister_worker_plugin(self._courier)
        self._stack.close()

    def _fill(self) -> None:
        """Hand the cluster as many tasks as it has slots; fail them all when it is gone.

        Dask itself would line tasks up behind one another on a worker, and hold the death of that
        worker against each.
        """
        free = max(1, self.slots)
        started, failed = [], []
        with self._lock:
            if not self._gone and self._client.status != "running":
                self._gone = self._scheduler_is_gone()
            while self._waiting and (self._gone or len(self._open) < free):
                future, request, seconds = self._waiting.popleft()
                if self._gone:
                    failed.append((future, self._gone))
                    continue
                key = f"grade-{uuid.uuid4().hex}"
                promise = self._client.submit(
                    _deliver(self._courier),
                    request,
                    seconds,
                    key=key,
                    pure=False,
                    retries=1,  # for a grading process that died; what a task raises is an answer
                    resources=self._resources or None,
                )
                self._open[key] = (promise, future)
                started.append((key, promise))
        for key, promise in started:
            promise.add_done_callback(functools.partial(self._settle, key))
        for future, gone in failed:
            _fail(future, gone)

    def _settle(self, key: str, promise: Any) -> None:
        """Bring the end of a Dask future to the one that was given out."""
        from distributed.scheduler import KilledWorker

        with self._lock:
            if key not in self._open:
                return
            _, future = self._open.pop(key)
        try:
            reply = promise.result()
        except KilledWorker as error:
            times = error.allowed_failures + 1
            _fail(future, WorkerLost(f"{times} Dask workers in turn died over it."))
        except Exception as error:
            if promise.status in ("cancelled", "lost"):
                with self._lock:
                    self._gone = self._gone or self._scheduler_is_gone()
                _fail(future, self._gone)
            else:
                _fail(future, WorkerLost(f"A Dask worker could not run it: {error}."))
        else:
            _answer(future, reply)
        self._fill()

    def _scheduler_is_gone(self) -> ClinicError:
        return ClinicError(
            f"The connection to the Dask scheduler at {self._scheduler} is lost; start it again "
            "and repeat the command, which grades only what is missing."
        )


def _answer(future: Future[Done], reply: bytes) -> None:
    if not reply:
        _fail(future, TimedOut("It did not end within its time limit, so its process was ended."))
        return
    kind, value = cloudpickle.loads(reply)
    if kind == "refused":
        _fail(future, ClinicError(value))
    elif kind == "failed":
        _fail(future, WorkerLost(value))
    elif future.set_running_or_notify_cancel():
        future.set_result(value)


def _fail(future: Future[Any], error: BaseException) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)


def _deliver(name: str) -> Callable[[bytes, float], bytes]:
    def deliver(request: bytes, seconds: float) -> bytes:
        # A nested function travels by value: a worker need not have this module.
        from distributed import get_worker

        courier: Any = get_worker().plugins[name]
        reply: bytes = courier.carry(request, seconds)
        return reply

    return deliver


def _slots(worker: Mapping[str, Any], resources: Mapping[str, float]) -> int:
    """How many tasks a worker takes at a time: one a thread, as far as its resources go."""
    has = worker.get("resources", {})
    fits = [int(has.get(name, 0) // number) for name, number in resources.items() if number > 0]
    return min([int(worker["nthreads"]), *fits])


def _parse(where: str) -> tuple[str, str, int | None]:
    """The kind of cluster, its address and how many workers to start: of each what is given."""
    if "://" in where:
        return "", where, None
    kind, colon, number = where.partition(":")
    if kind not in _START or (colon and not (number.isdecimal() and int(number))):
        raise ClinicError(
            f"There is no cluster {where!r}; give local, slurm or kubernetes, each with a number "
            "of workers as in local:4, or the address of a Dask scheduler, tcp://HOST:8786."
        )
    return kind, "", int(number) if number else None


def _package(name: str, requirement: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ClinicError(
            f"This cluster needs the package {name!r}, which is not installed; "
            f"run `pip install {requirement}`."
        ) from None


def _start_local(count: int | None, resources: Mapping[str, float], stack: ExitStack) -> Any:
    import dask
    from distributed import LocalCluster

    stack.enter_context(dask.config.set(_SETTINGS))
    count = count or available()
    cluster = LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        memory_limit=0,  # kernels have limits of their own, and are no part of the worker
        silence_logs=logging.CRITICAL,
        resources=dict(resources),
    )
    return stack.enter_context(cluster)


def _start_slurm(count: int | None, resources: Mapping[str, float], stack: ExitStack) -> Any:
    jobqueue = _package("dask_jobqueue", "dask-jobqueue")
    import dask

    stack.enter_context(dask.config.set(_SETTINGS))
    before = dask.config.get("jobqueue.slurm.worker-extra-args", None) or []
    return _started(
        stack,
        "Slurm",
        lambda: jobqueue.SLURMCluster(worker_extra_args=[*before, *_arguments(resources)]),
        count,
    )


def _start_kubernetes(count: int | None, resources: Mapping[str, float], stack: ExitStack) -> Any:
    kubernetes = _package("dask_kubernetes.operator", "dask-kubernetes")
    import dask

    before = dask.config.get("kubernetes.worker-command", None) or "dask-worker"
    command = before.split() if isinstance(before, str) else list(before)
    settings = {
        f"DASK_{name.replace('.', '__').replace('-', '_').upper()}": str(value)
        for name, value in _SETTINGS.items()
    }
    return _started(
        stack,
        "Kubernetes",
        lambda: kubernetes.KubeCluster(
            worker_command=[*command, *_arguments(resources)],
            env={**dask.config.get("kubernetes.env", {}), **settings},
        ),
        count,
    )


_START: Mapping[str, Callable[[int | None, Mapping[str, float], ExitStack], Any]] = {
    "local": _start_local,
    "slurm": _start_slurm,
    "kubernetes": _start_kubernetes,
}


def _started(stack: ExitStack, name: str, start: Callable[[], Any], count: int | None) -> Any:
    try:
        cluster = stack.enter_context(start())
        cluster.scale(count or 1)
    except Exception as error:  # of Slurm, Kubernetes or the configuration, of any type
        lines = str(error).splitlines() or [type(error).__name__]
        raise ClinicError(
            f"Dask could not start a cluster on {name} ({lines[0].rstrip('.')}); "
            "correct its settings in ~/.config/dask."
        ) from None
    return cluster


def _arguments(resources: Mapping[str, float]) -> list[str]:
    """Of `dask worker`, of which the last one of a kind counts: one task at a time."""
    tags = ",".join(f"{name}={number:g}" for name, number in resources.items())
    return ["--nthreads", "1", *(["--resources", tags] if tags else [])]


def _client(where: Any, stack: ExitStack) -> Client:
    from distributed import Client

    # What it would log, with tracebacks, futures say in a sentence.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        return stack.enter_context(Client(where, timeout=_COMING, set_as_default=False))
    except (OSError, ValueError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise ClinicError(
            f"There is no Dask scheduler to be reached at {where} ({lines[0].rstrip('.')}); "
            "check the address, or start one with `dask scheduler`."
        ) from None


def _send_course(client: Client) -> str:
    """Send the course to all workers, and those to come; return the name of their courier."""
    from grader.harness import courier

    parcel = carrier.pack()
    name = f"cnn-clinic-{uuid.uuid4().hex}"
    cloudpickle.register_pickle_by_value(courier)
    client.register_plugin(courier.Courier(name, parcel.key, parcel.archive))
    return name


def _wait_for_worker(client: Client, where: str, seconds: float) -> None:
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError:
        raise ClinicError(
            f"The Dask cluster {where} had no worker after {seconds:g} s; start one with "
            "`dask worker ADDRESS --nthreads 1` and give the scheduler's address."
        ) from None


def _refuse_unfit(client: Client) -> None:
    """Refuse workers with another Python, to which no code can be sent, or without packages."""
    here = platform.python_version_tuple()[:2]
    found: Any = client.get_versions()
    for address, versions in found["workers"].items():
        there = tuple(str(versions["host"]["python"]).split(".")[:2])
        if there != here:
            raise ClinicError(
                f"The Dask worker {address} runs Python {'.'.join(there)}, this machine "
                f"{'.'.join(here)}; use the same on both."
            )

    def lacks() -> list[str]:
        from importlib.util import find_spec

        lacking = [name for name in needed if find_spec(name) is None]
        return lacking or ([] if any(map(find_spec, frameworks)) else [" or ".join(frameworks)])

    needed, frameworks = _NEEDED, _FRAMEWORKS  # what the nested function takes along
    for address, lacking in client.run(lacks).items():
        if lacking:
            raise ClinicError(
                f"The Dask worker {address} lacks the Python package {lacking[0]}; install there "
                "what is installed here."
            )
