"""What the grader measures itself: in a process with the framework and without learner code.

One process for each framework, made when it is first needed and kept, so that what is the same for
a whole class is measured once. It is forked where kernels are, with the imports done.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from grader.checks import engine
from grader.checks.catalogue import load_checks
from grader.checks.check import Case
from grader.checks.evidence import Record
from grader.errors import ClinicError
from grader.harness import kernels, measuring_server
from grader.harness.measuring_server import NotMeasured
from grader.harness.sandbox import ServerAddress
from grader.harness.secrets import kept_from_forks

Measurer = Callable[[Case, Record], Record]
"""Returns a record with what its check measures itself; `engine.measure`, wherever that runs."""


def measure(case: Case, record: Record) -> Record:
    """Let the measuring process measure.

    Args:
        case: without a framework, its device as the notebook asks for it.

    Raises:
        EvidenceError: the evidence lacks what the measurement asks for.
        ClinicError: the framework is not there, or the process cannot be started.
        NotMeasured: the measurement failed, or the process ended.
    """
    check = load_checks(case.lab)[record.check]
    if check.measure is None or record.status != engine.COLLECTED:
        return record
    server = kernels.server_with(case.framework)
    return _process(case.framework, server, tuple(sorted(_passed_on().items()))).measure(
        case, record
    )


def _passed_on() -> Mapping[str, str]:
    return {k: v for k, v in os.environ.items() if k.startswith("CNN_CLINIC_")}


@functools.lru_cache(maxsize=2)
def _process(
    framework: str, server: ServerAddress | None, variables: tuple[tuple[str, str], ...]
) -> _Process:
    return _Process(_start(dict(variables)) if server is None else _forked(server))


def _forked(server: ServerAddress) -> Connection:
    try:
        return server.start_measuring()
    except OSError as error:
        raise NotMeasured(f"The server of kernels does not answer ({error}).") from None


class _Process:
    """The measuring process as its owner sees it. It ends with its owner, however that ends."""

    def __init__(self, connection: Connection) -> None:
        self._lock = threading.Lock()
        self._connection = connection

    def measure(self, case: Case, record: Record) -> Record:
        try:
            with self._lock:
                self._connection.send((case, record))
                answer = self._connection.recv()
        except (EOFError, OSError):
            _process.cache_clear()
            raise NotMeasured(
                f"The process that measures {case.lab} for the grader ended, perhaps for want of "
                "memory; grade again with fewer processes."
            ) from None
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Record)
        return answer


def _start(variables: dict[str, str]) -> Connection:
    context: Any = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    ours, theirs = context.Pipe()
    # Daemonic: the owner's end does not wait for it.
    process = context.Process(target=_run, args=(theirs, variables), name="measuring", daemon=True)
    try:
        with kept_from_forks():
            process.start()
    except (AssertionError, OSError) as error:  # a daemonic process may not have children
        raise ClinicError(
            f"The process that measures for the grader cannot be started ({error}); grade in an "
            "ordinary process, with fewer of them if memory is short."
        ) from None
    theirs.close()
    return ours


def _run(requests: Connection, variables: dict[str, str]) -> None:
    for name in _passed_on():  # the fork server's own, of the time when it was started
        del os.environ[name]
    os.environ.update(variables)
    measuring_server.serve(requests)
