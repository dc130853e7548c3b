"""The process that measures for the grader: it has the framework and never runs learner code."""

from __future__ import annotations

import os
from dataclasses import replace
from multiprocessing.connection import Connection

from grader import frameworks
from grader.checks import engine
from grader.checks.catalogue import load_checks
from grader.checks.check import Case
from grader.checks.evidence import EvidenceError, Record
from grader.errors import ClinicError


class NotMeasured(RuntimeError):
    """Measuring for one notebook failed; no word on the learner's answer, none on the others."""


def serve(requests: Connection) -> None:
    """Answer pairs of a case and a record until the owner is gone."""
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
