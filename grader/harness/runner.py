"""A grading process on a machine of a cluster: requests come in, answers go out, one by one.

Started by `grader.harness.courier` with the number of a connection's file descriptor. It ends when
the process that started it does, or after a time without a request, and takes along what it
started.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from multiprocessing.connection import Connection

import cloudpickle

from grader.errors import ClinicError, could_not_run

# A session of the grader that was killed leaves its processes waiting on the workers.
IDLE_SECONDS = 900


def main(descriptor: int) -> None:
    """Answer requests until there are no more."""
    owner = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # not for kernels to read
    threading.Thread(target=_end_with, args=(owner,), daemon=True).start()
    connection = Connection(descriptor)
    try:
        while connection.poll(IDLE_SECONDS):
            connection.send_bytes(answer(connection.recv_bytes()))
    finally:
        _end()


def answer(request: bytes) -> bytes:
    """Call a pickled (function, argument).

    Returns:
        A pickled pair: "done" and the value, or a sentence on what went wrong, after "refused"
        where it is the course's own and "failed" where it is not.
    """
    try:
        function, argument = cloudpickle.loads(request)
        return cloudpickle.dumps(("done", function(argument)))
    except ModuleNotFoundError as error:
        return cloudpickle.dumps(
            (
                "refused",
                f"The cluster's worker on {socket.gethostname()} lacks the Python package "
                f"{error.name!r}; install there what is installed here.",
            )
        )
    except ClinicError as error:
        return cloudpickle.dumps(("refused", str(error)))
    except Exception as error:
        return cloudpickle.dumps(("failed", could_not_run(error)))


def _end_with(owner: int) -> None:
    while os.read(owner, 1):
        pass
    _end()


def _end() -> None:
    # The courier starts this process as the leader of its own group.
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
