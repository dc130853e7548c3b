"""`grader bench`: how fast the parts are here. Shown, never asserted: machines differ."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from grader.checks.catalogue import released_ids
from grader.frameworks import NAMES
from grader.harness.execute import run_solutions


def bench(root: Path) -> int:
    """Print import time, image generation, checks and solution notebooks; return 0."""
    print(
        f"{platform.machine()}, {os.cpu_count()} processor cores, Python {sys.version.split()[0]}"
    )
    print("Median (least to most) of the runs, seconds of wall time.\n")
    print(_row("python -c 'import grader', less a bare python", _import_seconds(), "at most 0.3"))
    print(_row("5,000 tiles of 32 px", _repeat(_tiles, 3), "at most 5"))
    print("\nReference answers on unseen images, three seeds:")
    for lab in released_ids(root / "labs"):
        for framework in NAMES:
            for check, seconds in _check_seconds(lab, framework).items():
                print(_row(f"{lab} {framework} {check}", seconds, "at most 10"))
    print("\nSolution notebooks, from kernel start to the last cell:")
    for run in run_solutions(root, released_ids(root / "labs"), NAMES, {"DEVICE": "cpu"}):
        print(_row(f"{run.lab} {run.framework}", [run.seconds], "at most 60"), flush=True)
    return 0


def _row(what: str, seconds: Sequence[float], aim: str) -> str:
    middle = statistics.median(seconds)
    spread = f"({min(seconds):.2f} to {max(seconds):.2f})" if len(seconds) > 1 else ""
    return f"  {what:<58}{middle:>7.2f} {spread:<18} {aim}"


def _repeat(action: Callable[[], object], times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return seconds


def _import_seconds() -> list[float]:
    """Pairs of an interpreter with and without the import, so that its own start does not count."""

    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    pairs = [(_repeat(start("import grader"), 1), _repeat(start("pass"), 1)) for _ in range(7)]
    return [max(0.0, loaded[0] - bare[0]) for loaded, bare in pairs]


def _tiles() -> None:
    from grader.datasets import tiles

    tiles.make(5000, size=32, seed=0)


def _check_seconds(lab: str, framework: str) -> dict[str, list[float]]:
    # A process of its own: two frameworks in one process share memory and threads.
    code = (
        "import json, sys\n"
        "from grader.harness.calibrate import measure\n"
        "found = {}\n"
        "for m in measure(sys.argv[1], sys.argv[2], range(3), only='reference'):\n"
        "    found.setdefault(m.check, []).append(m.seconds)\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, lab, framework], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])
