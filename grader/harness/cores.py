"""Processor cores and threads for kernels that run beside one another."""

from __future__ import annotations

import os

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def available() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def one_thread() -> dict[str, str]:
    """Environment variables that give the numerical libraries one thread.

    For kernels that are graded, and for what measures beside them: with other threads numbers are
    added up in another order, so a verdict would depend on the machine. Networks as small as the
    labs' gain nothing by a second one. What somebody has set in the environment stays.
    """
    return {name: os.environ.get(name, "1") for name in THREADS}


def share_cores(processes: int) -> None:
    """Limit the threads of this process's kernels, which inherit its environment.

    What somebody has set in the environment stays.

    Args:
        processes: how many like this one run at the same time.
    """
    for name in THREADS:
        os.environ.setdefault(name, str(max(1, available() // processes)))
