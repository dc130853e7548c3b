"""Workers: what runs tasks elsewhere. Here the processes of this machine, one a core.

A worker is a spawned process with a fork server of its own, from which its kernels start warm. It
ends with this process, however that ends, and takes its fork server and its kernels along.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from grader.errors import ClinicError, could_not_run
from grader.harness import kernels, sandbox
from grader.harness.cores import one_thread
from grader.harness.grading import Done, Task, grade

SPARE_SECONDS = 90
"""What a worker may take beyond a notebook's own limit: to start, to judge, to clean up."""


START_SECONDS = 300
"""What a worker may take to import its framework, on a busy machine."""
_STARTS = 3


class WorkerLost(Exception):
    """The worker of a task died, or could not run it; the message is a sentence."""


class TimedOut(WorkerLost):
    """The worker of a task did not come back in time and was ended."""


class Workers(Protocol):
    """Whatever runs tasks: local processes, or a cluster."""

    @property
    def slots(self) -> int:
        """Tasks that run at the same time."""
        ...

    def submit(self, task: Task) -> Future[Done]:
        """Run a task; the future fails with `WorkerLost` when its worker died."""
        ...

    def close(self) -> None:
        """End all workers, and with them what they still run."""
        ...


class LocalWorkers:
    """Worker processes on this machine.

    Args:
        framework: imported before the first task; None for tasks that start no kernel.
        shut_in: whether kernels run in the sandbox.
        work: what a worker does with a task.
    """

    def __init__(
        self,
        processes: int,
        framework: str | None,
        shut_in: bool,
        *,
        work: Callable[[Task], Done] = grade,
        spare_seconds: float = SPARE_SECONDS,
    ) -> None:
        self.slots = processes
        self._order = _Order(framework, shut_in, work)
        self._server = _SharedServer(framework) if framework and shut_in else None
        self._spare_seconds = spare_seconds
        self._tasks: queue.SimpleQueue[tuple[Task, Future[Done]] | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._workers = [_Worker() for _ in range(processes)]
        self._threads = [
            threading.Thread(target=self._serve, args=(worker,), daemon=True)
            for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> Future[Done]:
        future: Future[Done] = Future()
        self._tasks.put((task, future))
        return future

    def close(self) -> None:
        self._closed.set()
        for _ in self._threads:
            self._tasks.put(None)
        for worker in self._workers:
            worker.close()
        for thread in self._threads:
            thread.join()
        if self._server is not None:
            self._server.close()
        sandbox.remove_left_behind()  # a worker that is killed cannot

    def _serve(self, worker: _Worker) -> None:
        """Run task after task on one worker, which is replaced when it dies."""
        while (item := self._tasks.get()) is not None and not self._closed.is_set():
            task, future = item
            try:
                if not worker.alive:
                    worker.start(self._order, self._server)
                future.set_result(worker.run(task, task.notebook_seconds + self._spare_seconds))
            except Exception as error:
                future.set_exception(error)


class _SharedServer:
    """The server of shut-in kernels for all workers, so that one import of a framework serves all.

    A worker starts its own when this one has ended.
    """

    def __init__(self, framework: str) -> None:
        self._framework = framework
        self._server: sandbox.Server | None = None
        self._lock = threading.Lock()
        self._closed = False

    def address(self) -> sandbox.ServerAddress:
        """Where it is; it is started when it is first asked for, and when it has ended.

        Raises:
            ClinicError: kernels cannot be shut in here.
        """
        with self._lock:
            if self._closed:
                raise ClinicError("The workers have been closed.")
            if self._server is None or not self._server.address.runs:
                self._end()
                variables = {**os.environ, **one_thread()}
                self._server = kernels.shut_in_server(self._framework, variables)
            return self._server.address

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._end()

    def _end(self) -> None:
        if self._server is not None:
            self._server.close()


@dataclass(frozen=True)
class _Order:
    """What a worker process is to be."""

    framework: str | None
    shut_in: bool
    work: Callable[[Task], Done]


class _Worker:
    """One worker process, as the thread that serves it sees it."""

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Any = None
        self._closed = False
        self._changing = threading.RLock()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def start(self, order: _Order, server: _SharedServer | None) -> None:
        """Have a process that is ready for tasks.

        Raises:
            ClinicError: there is none to be had; that is no task's fault.
        """
        for _ in range(_STARTS):
            self._spawn(order)
            address = server.address() if server is not None else None  # while the process starts
            with contextlib.suppress(EOFError, OSError):
                self._pipe.send(address)
                if self._pipe.poll(START_SECONDS):
                    fault = self._pipe.recv()
                    if fault is not None:
                        raise fault
                    return
        how = _how_it_ended(self._process.exitcode)
        raise ClinicError(
            f"No worker process can be started here: the last one {how} before it could begin; "
            "`grader doctor` says what this machine lacks."
        )

    def _spawn(self, order: _Order) -> None:
        with self._changing:
            self.end()
            if self._closed:
                raise WorkerLost("The call has ended.")
            # Spawned, not forked: an event loop, threads and open sockets do not survive a fork.
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            # Not a daemon in the sense of multiprocessing, which may have no children; it ends with
            # this process all the same.
            self._process = context.Process(target=_be_worker, args=(theirs, order), daemon=False)
            self._process.start()
            theirs.close()

    def run(self, task: Task, seconds: float) -> Done:
        try:
            self._pipe.send(task)
            if not self._pipe.poll(seconds):
                self.end()
                raise TimedOut(f"It did not end within {seconds:.0f} s, so its worker was ended.")
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            how = _how_it_ended(self._process.exitcode)
            self.end()
            raise WorkerLost(f"The worker process that ran it {how}.") from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def end(self) -> None:
        """End the process; the next task gets another."""
        with self._changing:
            if self._process is not None:
                self._process.kill()
                self._process.join()
                self._pipe.close()

    def close(self) -> None:
        """End the process for good."""
        with self._changing:
            self._closed = True
            self.end()


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return "ended by itself"


def _be_worker(pipe: Any, order: _Order) -> None:
    """Run tasks until the other side closes the pipe; never returns otherwise."""
    threading.Thread(target=_end_with_owner, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the owner's to answer
    _be_silent()
    os.environ.update(one_thread())
    try:
        address = pipe.recv()
        if order.framework is not None and address is not None:
            kernels.start_shut_in(order.framework, address=address)
        elif order.framework is not None:
            kernels.ensure_started(order.framework, order.shut_in)
    except Exception as error:
        pipe.send(ClinicError(f"No kernel can be started here: {error}"))
        return
    with contextlib.suppress(EOFError, OSError):  # the owner closes the pipe, or has gone
        pipe.send(None)
        while True:
            pipe.send(_outcome(order.work, pipe.recv()))


def _outcome(work: Callable[[Task], Done], task: Task) -> Done | Exception:
    try:
        return work(task)
    except Exception as error:
        return _portable(error)


def _portable(error: Exception) -> Exception:
    """The error as one that every process can unpickle; the course's own faults keep their kind."""
    if isinstance(error, ClinicError):
        return ClinicError(str(error))
    return WorkerLost(could_not_run(error))


def _be_silent() -> None:
    """Let nothing that native code or a kernel writes reach the instructor's terminal."""
    with open(os.devnull, "r+b") as nowhere:
        for descriptor in (0, 1, 2):
            os.dup2(nowhere.fileno(), descriptor)


def _end_with_owner() -> None:
    owner = multiprocessing.parent_process()
    assert owner is not None
    multiprocessing.connection.wait([owner.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)
