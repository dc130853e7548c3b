"""The class of tests/hostile/ under nbgrader's own preprocessors, with the same check as asserts.

Not a test: it shows what the harness is there for. Cases that need a sandbox are left out, because
nothing shuts them in here. Run it from the repository, it takes about ten minutes:

    PYTHONPATH=tests python tests/hostile_stock.py
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path

import hostile_class as hostile
import hostile_lab as lab
import nbformat

from grader.checks.session import unseen_seed
from grader.harness import course
from grader.harness.gradebook import read_grades

CONFIG = """c = get_config()
c.CourseDirectory.course_id = "stock"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "notebooks"
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE"}
c.Execute.timeout = 20
"""

ASSERTS = """### BEGIN HIDDEN TESTS
import numpy as np
from grader.checks.check import Case

case = Case("LAB", "pytorch", SEED_OF_GRADING)
train = case.draw_kinds("train", 200, 16, (0, 7, 9))
unseen = case.draw_kinds("test", 200, 16, (0, 7, 9))
lab.fw.set_seed(0)
model = lab.fw.quick_cnn(16, 3)
lab.fw.train(
    model, lab.fw.from_images(prepare(train.images)), train.labels,
    steps=80, batch_size=32, learning_rate=0.003, optimizer="adam",
)
predicted = lab.fw.predict(model, lab.fw.from_images(prepare(unseen.images))).argmax(axis=1)
assert np.mean(predicted == unseen.labels) >= 0.5
### END HIDDEN TESTS
"""


def make(place: Path) -> Path:
    """Make the course below `place`; return its folder."""
    folder = lab.make(place, cell_seconds=20)
    path = folder / "solutions" / lab.ASSIGNMENT / f"{lab.NOTEBOOK}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    asserts = ASSERTS.replace("LAB", lab.LAB).replace(
        "SEED_OF_GRADING", str(unseen_seed(lab.LAB, 0))
    )
    hostile.cell(notebook, lab.CHECK).source = asserts
    nbformat.write(notebook, path)
    (folder / course.CONFIG).write_text(CONFIG)
    course.generate_assignment(folder, lab.ASSIGNMENT)
    return folder


def outcome(case: hostile.HostileCase, points: float | None) -> str:
    """What the points of a case come to."""
    if points is None:
        return "no grade"
    if points == case.points:
        return "right"
    return "points gained" if points > case.points else "points lost"


def main() -> None:
    """Grade the class and print what each case came to, and a table of counts by folder."""
    cases = [case for case in hostile.load() if case.needs != "sandbox"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        place = Path(name)
        os.environ["CNN_CLINIC_LABS"] = str(place / "labs")
        folder = make(place)
        for case in cases:
            hostile.hand_in(folder, case, port=9)
        steps = course.autograde(folder, lab.ASSIGNMENT, processes=2)
        failed = {step.student: step.fault for step in steps if not step.succeeded}
        points = {row.student: row.points for row in read_grades(folder, lab.ASSIGNMENT)}
    counts: Counter[tuple[str, str]] = Counter()
    for case in cases:
        came_to = outcome(case, points.get(case.student))
        counts[case.folder, came_to] += 1
        if came_to != "right":
            print(f"{case.name}: {came_to} {failed.get(case.student, '')[:100]}".rstrip())
    kinds = ("right", "points gained", "points lost", "no grade")
    print(f"| folder | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}")
    for name in sorted({case.folder for case in cases}):
        print(f"| {name} | {' | '.join(str(counts[name, kind]) for kind in kinds)} |")


if __name__ == "__main__":
    main()
