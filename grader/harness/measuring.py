"""What the grader measures itself: in a process with the framework and without learner code.

One helper process for each framework, made when it is first needed and kept, so that what is the
same for a whole class is measured once. Where kernels start warm, it starts as they do.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from grader import frameworks
from grader.checks import engine
from grader.checks.catalogue import load_checks
from grader.checks.check import Case
from grader.checks.evidence import EvidenceError, Record
from grader.errors import ClinicError
from grader.harness.secrets import kept_from_forks


class NotMeasured(RuntimeError):
    """Measuring for one notebook failed; no word on the learner's answer, none on the others."""


Measurer = Callable[[Case, Record], Record]
"""Returns a record with what its check measures itself; `engine.measure`, wherever that runs."""


def measure(case: Case, record: Record) -> Record:
    """Let the helper process measure.

    Args:
        case: without a framework, its device as the notebook asks for it.

    Raises:
        EvidenceError: the evidence lacks what the measurement asks for.
        ClinicError: the framework is not there, or the helper process cannot be started.
        NotMeasured: the measurement failed, or the helper process ended.
    """
    check = load_checks(case.lab)[record.check]
    if check.measure is None or record.status != engine.COLLECTED:
        return record
    return _helper(case.framework, tuple(sorted(_passed_on().items()))).measure(case, record)


def _passed_on() -> Mapping[str, str]:
    return {k: v for k, v in os.environ.items() if k.startswith("CNN_CLINIC_")}


@functools.lru_cache(maxsize=2)
def _helper(framework: str, variables: tuple[tuple[str, str], ...]) -> _Helper:
    return _Helper(dict(variables))


class _Helper:
    """A process that ends with its owner, however that ends: it reads from a pipe of theirs."""

    def __init__(self, variables: dict[str, str]) -> None:
        context: Any = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
        self._lock = threading.Lock()
        self._ours, theirs = context.Pipe()
        # Daemonic: the owner's end does not wait for it.
        process = context.Process(
            target=_run, args=(theirs, variables), name="measuring", daemon=True
        )
        try:
            with kept_from_forks():
                process.start()
        except (AssertionError, OSError) as error:  # a daemonic process may not have children
            raise ClinicError(
                f"The process that measures for the grader cannot be started ({error}); grade in "
                "an ordinary process, with fewer of them if memory is short."
            ) from None
        theirs.close()

    def measure(self, case: Case, record: Record) -> Record:
        try:
            with self._lock:
                self._ours.send((case, record))
                answer = self._ours.recv()
        except (EOFError, OSError):
            _helper.cache_clear()
            raise NotMeasured(
                f"The process that measures {case.lab} for the grader ended, perhaps for want of "
                "memory; grade again with fewer processes."
            ) from None
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Record)
        return answer


def _run(requests: Connection, variables: dict[str, str]) -> None:
    """Answer requests until the owner is gone."""
    for name in _passed_on():  # the fork server's own, of the time when it was started
        del os.environ[name]
    os.environ.update(variables)
    # A framework's notes on its own start are no news to whoever grades; errors are sent back.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    while True:
        try:
            requests.send(_answer(*requests.recv()))
        except (EOFError, OSError):
            return


def _answer(case: Case, record: Record) -> Record | Exception:
    try:
        fw = frameworks.load(case.framework)
        case = replace(case, fw=fw, device=fw.choose_device(case.device))
        return engine.measure(load_checks(case.lab)[record.check], case, record)
    except (ClinicError, EvidenceError) as error:
        return error
    except Exception as error:
        return NotMeasured(f"{case.lab}, check {record.check!r}, cannot be measured: {error!r}.")
