"""A fair share of the processor cores for kernels that run beside one another."""

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


def share(processes: int) -> dict[str, str]:
    """Environment variables that limit threads, for one of some processes that run side by side.

    What somebody has set in the environment stays.

    Args:
        processes: how many like this one run at the same time.
    """
    threads = str(max(1, available() // processes))
    return {name: os.environ.get(name, threads) for name in THREADS}


def share_cores(processes: int) -> None:
    """Limit the threads of this process's kernels, which inherit its environment; see `share`."""
    os.environ.update(share(processes))
