"""The instructor's page says what the results say, runs nothing, and stays quick for thousands."""

import gc
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace

import harness_gradebook as made
import nbformat
import pytest
from harness_gradebook import ASSIGNMENT, NOTEBOOK, Learner
from harness_pages import Page
from nbformat.v4 import new_code_cell, new_notebook

from grader.errors import ClinicError
from grader.harness import results
from grader.harness.report import Figures, collect, distribution, page, report
from grader.harness.results import CheckResult, Result
from grader.harness.totals import Total, read_totals

STARTER = "def train(images):\n    return images"
LONG = "\n".join(f"layer_{i} = torch.nn.Conv2d({i}, {i + 3}, kernel_size=3)" for i in range(12))


def check(outcome="passed", points=4.0, name="repair", **fields):
    fields = {"measured_inside": False, "seconds": 1.0, **fields}
    return CheckResult(name, f"check-{name}", name, points, 4.0, outcome, "A reason.", **fields)


def result(student, *checks, **fields):
    fields = {"shut_in": True, "graded_at": "2026-03-01T10:00:00+00:00", **fields}
    lab = "9_tests/01_dark"
    return Result(student, ASSIGNMENT, NOTEBOOK, lab, "pytorch", "k", tuple(checks), **fields)


NOT_YET = {"metric": "brightness", "mistake": "The pictures are too dark."}
CLASS = [
    result("ada", check(), answers={"repair": LONG}),
    result("bob", check(), answers={"repair": LONG.replace("layer", "part")}),
    result("cy", check("not yet", 0, **NOT_YET), answers={"repair": "x = 1"}),
    result("di", check("not yet", 0, **NOT_YET), misbehaved=("It left a process behind.",)),
    result(
        "eve",
        check("not run", 0, notes=("The cell 'x' was changed.",)),
        stop="The Python process ended in the cell 'repair'.",
    ),
]


def figures_of(*found, released=STARTER):
    figures = Figures()
    for one in found:
        figures.add(one, {(NOTEBOOK, "repair"): released})
    return figures


def totals_of(*points, max_points=4.0):
    return [
        Total(f"s{i}", "", "", "", "", p, max_points, p is not None) for i, p in enumerate(points)
    ]


def shown(*found, totals=()):
    return Page(page(ASSIGNMENT, figures_of(*found), totals or totals_of(4, 2, None)))


def test_the_page_runs_nothing_and_loads_nothing():
    nasty = "<script>alert(1)</script><img src=https://evil.example onerror=alert(1)>"
    found = shown(
        result(
            nasty,
            check("not yet", 0, nasty, metric=nasty, mistake=nasty, notes=(nasty,)),
            stop=nasty,
            misbehaved=(nasty,),
        ),
        totals=[replace(t, student=nasty, by_hand=1) for t in totals_of(1, None)],
    )
    assert (found.active, found.loaded) == ([], [])
    assert nasty in found.text


def test_each_check_has_its_pass_rate_and_outcomes():
    found = shown(*CLASS).text
    assert " ".join(found.split()).count("01_dark repair 40 %") == 1
    figures = figures_of(*CLASS).checks[NOTEBOOK, "repair"]
    assert figures.outcomes == {"passed": 2, "not yet": 2, "not run": 1}
    assert sum(share for _, _, share in figures.shares) == pytest.approx(100)


def test_a_mistake_is_counted_with_its_sentence():
    found = figures_of(*CLASS).checks[NOTEBOOK, "repair"]
    assert found.mistakes == {("brightness", "The pictures are too dark."): 2}
    text = " ".join(shown(*CLASS).text.split())
    assert "2 The pictures are too dark. brightness 01_dark repair cy, di" in text


def test_what_misbehaved_or_stopped_is_told_with_the_learners_name():
    text = " ".join(shown(*CLASS).text.split())
    assert "di 01_dark It left a process behind." in text
    assert "eve 01_dark The Python process ended in the cell 'repair'." in text
    assert "eve 01_dark The cell 'x' was changed." in text


def test_lookalikes_are_told():
    assert "ada, bob (2, the same but for names" in " ".join(shown(*CLASS).text.split())


def test_unsafe_grading_stands_at_the_top():
    text = shown(CLASS[0], replace(CLASS[1], shut_in=False)).text
    assert "Graded unsafe: 1 notebook of 2 ran without the sandbox" in text
    assert text.index("Graded unsafe") < text.index("How the class did")
    assert "Graded unsafe" not in shown(*CLASS).text


def test_verdicts_that_rest_on_the_learners_process_are_counted():
    inside = result("flo", check(measured_inside=True))
    text = " ".join(shown(CLASS[0], inside).text.split())
    assert "50 % of verdicts from the grader’s own measurements" in text
    assert "Of 2 verdicts, 1 rest" in text


def test_a_check_that_takes_longer_than_declared_is_slow():
    figures = figures_of(*(result(f"s{i}", check(seconds=5.0)) for i in range(20)))
    found = figures.checks[NOTEBOOK, "repair"]
    assert not found.slow, "nothing is declared"
    found.expected = 2.0
    assert found.slow
    found.expected = 4.0
    assert not found.slow


def test_a_verdict_that_changed_for_the_same_work_is_flaky(tmp_path):
    made.make(tmp_path, [Learner("ada", points={"diagnosis": 2, "repair": 4})])
    for outcome, points in (("passed", 4), ("not yet", 0), ("passed", 4)):
        results.write(tmp_path, result("ada", check(outcome, points)), "{}")
    figures = collect(tmp_path, ASSIGNMENT)
    (event,) = figures.flaky.kept
    assert event.sentence == "repair: “not yet” with 0 points before; now “passed” with 4 points."


def test_the_distribution_counts_everybody_who_is_graded():
    found = distribution(totals_of(0, 0.39, 0.4, 2, 4, 4.5, None))
    assert found.counts == (2, 1, 0, 0, 0, 1, 0, 0, 0, 2)
    assert (found.full, found.lowest, found.highest) == (2, 0, 4.5)
    assert distribution(totals_of(None)) is None
    assert distribution(totals_of(0, max_points=0.0)).counts[0] == 1


def test_the_page_is_made_from_the_store_the_gradebook_and_the_release(tmp_path):
    learners = [
        Learner("ada", points={"diagnosis": 2, "repair": 4}),
        Learner("bob", points={"diagnosis": 2, "repair": 0}, by_hand={"repair": 3}),
        Learner("gone"),
        Learner("stock", points={"diagnosis": 0, "repair": None}),
    ]
    made.make(tmp_path, learners)
    released = tmp_path / "notebooks" / ASSIGNMENT / f"{NOTEBOOK}.ipynb"
    released.parent.mkdir(parents=True)
    grading = {"grade_id": "repair", "solution": True, "grade": False}
    cell = new_code_cell(LONG, metadata={"nbgrader": grading})
    nbformat.write(new_notebook(cells=[cell]), released)
    for one in (*CLASS[:2], result("lost", check())):
        results.write(tmp_path, one, "{}")
    text = " ".join(Page(report(tmp_path, ASSIGNMENT)).text.split())
    assert "3 of 4 learners handed in" in text
    assert "Not graded to the end: stock." in text
    assert "there are results of lost" in text
    assert "With a score by hand 1 bob" in text
    assert "Without a submission 1 gone" in text
    assert "Graded by other means 1 stock" in text
    assert "ada, bob (2, the same" not in text, "the release holds that answer already"


def test_wrong_requests_are_answered_in_a_sentence(tmp_path):
    with pytest.raises(ClinicError, match="no gradebook"):
        report(tmp_path, ASSIGNMENT)
    made.make(tmp_path, [])
    with pytest.raises(ClinicError, match="There are no results of pytorch-9-tests"):
        report(tmp_path, ASSIGNMENT)


def test_the_commands_write_their_files(tmp_path):
    made.make(tmp_path, [Learner("ada", points={"diagnosis": 2, "repair": 4})])
    results.write(tmp_path, CLASS[0], "{}")
    (tmp_path / "labs").mkdir()
    (tmp_path / "nbgrader_config.py").write_text("")

    def grader(*arguments):
        command = [sys.executable, "-m", "grader", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    folder = tmp_path / "build" / "grading" / ASSIGNMENT
    assert grader("report", ASSIGNMENT).returncode == 0
    assert (folder / "report.html").read_text().startswith("<!DOCTYPE html>")
    done = grader("export", ASSIGNMENT, "--format", "canvas", "--output", "grades.csv")
    assert done.stdout.strip() == "Wrote grades.csv."
    assert ",6\n" in (tmp_path / "grades.csv").read_text()
    done = grader("export", "other", "--format", "moodle")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no assignment 'other'" in done.stderr


def many(n):
    """Synthetic results, no two answers alike."""
    for i in range(n):
        outcome = "passed" if i % 3 else "not yet"
        lines = (f"y{k} = layer_{hash((i, k)) % 9999}(x, {(i * 31 + k) % 997})" for k in range(12))
        first = check(outcome, seconds=1 + i % 7, **({} if i % 3 else NOT_YET))
        second = check(outcome, name="diagnosis")
        yield result(f"s{i:05}", first, second, answers={"repair": "\n".join(lines)})


@pytest.mark.slow
def test_memory_hardly_grows_with_the_class():
    def held(n):
        tracemalloc.start()
        figures = Figures()
        for one in many(n):
            figures.add(one, {})
        gc.collect()
        # Of our own lines: Python's table of interned names grows by megabytes, now and then.
        ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/harness/*")])
        tracemalloc.stop()
        assert figures.notebooks == n
        return sum(line.size for line in ours.statistics("lineno"))

    held(10)  # what is imported and cached once
    assert held(2000) - held(1000) < 1000 * 3000, "at most 3 kB for each further learner"


@pytest.mark.slow
def test_ten_times_the_class_takes_about_ten_times_as_long():
    def seconds(n):
        begin = time.process_time()
        page(ASSIGNMENT, figures_of(*many(n)), totals_of(*[i % 5 for i in range(n)]))
        return time.process_time() - begin

    seconds(100)
    assert seconds(2000) < 30 * seconds(200)


def test_totals_and_report_agree(tmp_path):
    learners = [Learner("ada", points={"diagnosis": 2, "repair": 4}, penalty=1)]
    (total,) = read_totals(made.make(tmp_path, learners), ASSIGNMENT)
    assert distribution([total]).highest == total.points == 5
