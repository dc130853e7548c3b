"""`grader bench`: how fast the parts are here. Shown, never asserted: machines differ."""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from grader.checks.catalogue import released_ids
from grader.frameworks import NAMES
from grader.harness.bench_class import measure_class, measure_cluster
from grader.harness.cores import available
from grader.harness.execute import run_solutions


def bench(root: Path, parts: Sequence[str]) -> int:
    """Print what the named `PARTS` take here; return 0."""
    print(f"{platform.machine()}, {available()} processor cores, Python {sys.version.split()[0]}")
    print("Median (least to most) of the runs, seconds of wall time.")
    for part in parts:
        print(flush=True)
        PARTS[part](root)
    return 0


def _small(root: Path) -> None:
    print(_row("python -c 'import grader', less a bare python", _import_seconds(), "at most 0.3"))
    print(_row("5,000 tiles of 32 px", _repeat(_tiles, 3), "at most 5"))


def _checks(root: Path) -> None:
    print("Reference answers on unseen images, three seeds:")
    for lab in released_ids(root / "labs"):
        for framework in NAMES:
            for check, seconds in _check_seconds(lab, framework).items():
                print(_row(f"{lab} {framework} {check}", seconds, "at most 10"))


def _notebooks(root: Path) -> None:
    print("Solution notebooks, from kernel start to the last cell:")
    for run in run_solutions(root, released_ids(root / "labs"), NAMES, {"DEVICE": "cpu"}):
        print(_row(f"{run.lab} {run.framework}", [run.seconds], "at most 60"), flush=True)


def _class(root: Path) -> None:
    size, rounds = 20, 5
    cores = available()
    print(f"A class of {size} right submissions to one check, {rounds} rounds, each way in turn:")
    for framework in NAMES:
        found = list(measure_class(root, framework, size, rounds))
        ways = {
            "stock nbgrader": [r.stock for r in found],
            "grader, one process": [r.one for r in found],
            f"grader, {cores} cores": [r.all for r in found],
            "grader, one process, not shut in": [r.open for r in found],
            "the cells' own work": [r.work for r in found],
        }
        for way, seconds in ways.items():
            print(_row(f"{framework}: {way}", seconds, ""))
        aims = {"pytorch": (3, 7), "tensorflow": (4, 9)}[framework]
        ratios = {
            "stock over one process": ([r.stock / r.one for r in found], f"at least {aims[0]}"),
            f"stock over {cores} cores": ([r.stock / r.all for r in found], f"at least {aims[1]}"),
            f"{cores} cores over own work on them": (
                [r.all * cores / r.work for r in found],
                "at most 1.3",
            ),
            "the sandbox, a submission": ([(r.one - r.open) / size for r in found], "at most 0.15"),
        }
        for what, (values, aim) in ratios.items():
            print(_row(f"{framework}: {what}", values, aim), flush=True)


def _cluster(root: Path) -> None:
    size, rounds = 20, 3
    cores = available()
    print(f"Dask workers of this machine, {size} submissions, {rounds} rounds, in turn, s each:")
    for framework in NAMES:
        found = list(measure_cluster(root, framework, size, rounds, (1, cores)))
        print(_row(f"{framework}: one worker", [one for one, _ in found], ""))
        print(_row(f"{framework}: {cores} workers", [many for _, many in found], ""))
        aim = f"at least {0.9 * cores:.2g}"
        print(_row(f"{framework}: one over {cores}", [a / b for a, b in found], aim), flush=True)


PARTS: dict[str, Callable[[Path], None]] = {
    "small": _small,
    "checks": _checks,
    "notebooks": _notebooks,
    "class": _class,
    "cluster": _cluster,
}


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
