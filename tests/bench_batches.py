"""The harness's own cost: a class whose check work takes no time, graded and graded again.

    python tests/bench_batches.py 500 2000 10000

A row a size, each in a process of its own, so that its memory is its own. Shown, never asserted.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import harness_course as tiny
import nbformat

from grader.harness import course
from grader.harness.autograde import Given, autograde
from grader.harness.grading import Done, Task, grade
from grader.harness.rebuild import Submission

OUTPUT = 60_000  # characters that a submission's notebook shows, about that of the course


class Simulated:
    """Workers that have the result at once."""

    slots = 2

    def __init__(self, done: Done) -> None:
        self._done = done

    def submit(self, task: Task) -> Future[Done]:
        future: Future[Done] = Future()
        result = replace(self._done.result, student=task.student, key=task.key)
        future.set_result(replace(self._done, result=result))
        return future

    def close(self) -> None:
        pass


def hand_in_class(root: Path, size: int) -> None:
    """Everybody hands in an answer of their own."""
    notebook = course.released(root, tiny.ASSIGNMENT, tiny.NOTEBOOK)
    for i in range(size):
        answers = {"diagnosis": tiny.DIAGNOSED, "repair": f"# {i}\n{tiny.RIGHT}"}
        content = course.make_submission(notebook, answers)
        shown = nbformat.v4.new_output("stream", text="x" * OUTPUT)
        next(c for c in content.cells if c.id == "repair").outputs = [shown]
        course.hand_in(root, f"student-{i:05d}", tiny.ASSIGNMENT, tiny.NOTEBOOK, content)


def measure(size: int) -> dict[str, float]:
    """Seconds a submission and peak memory of one class."""
    with tempfile.TemporaryDirectory(prefix="clinic-bench-") as name:
        os.environ.update(tiny.environment(Path(name)))
        root = tiny.make(Path(name))
        course.generate_assignment(root, tiny.ASSIGNMENT)
        hand_in_class(root, size)
        task = Given(root, tiny.ASSIGNMENT, False).task("student-00000", tiny.NOTEBOOK)
        done = grade(replace(task, submission=Submission(unreadable="Simulated.")))
        done = replace(done, executed=done.executed + " " * OUTPUT)
        seconds = []
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(2):
            start = time.perf_counter()
            autograde(
                root, tiny.ASSIGNMENT, shut_in=False, workers=Simulated(done), say=lambda line: None
            )
            seconds.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"first": seconds[0], "again": seconds[1], "before": before, "after": after}


def main(sizes: list[str]) -> None:
    if os.environ.get("BENCH_ONE"):
        print(json.dumps(measure(int(sizes[0]))))
        return
    print(f"{'submissions':>11} {'ms each':>8} {'again, s':>9} {'ms each':>8} {'MB more':>8}")
    for size in sizes:
        done = subprocess.run(
            [sys.executable, __file__, size],
            env=os.environ | {"BENCH_ONE": "1"},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        m, n = json.loads(done.stdout.splitlines()[-1]), int(size)
        print(
            f"{size:>11} {1000 * m['first'] / n:>8.1f} {m['again']:>9.2f} "
            f"{1000 * m['again'] / n:>8.1f} {(m['after'] - m['before']) / 1024:>8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:] or ["500", "2000", "10000"])
