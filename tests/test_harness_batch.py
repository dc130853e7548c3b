"""The order of a batch: every task ends with exactly one result, whatever happens to workers."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.harness.batch import (
    ATTEMPTS,
    Added,
    Batch,
    Enter,
    Finished,
    GiveUp,
    Name,
    Run,
    Save,
    Stopped,
    TimedOut,
    WorkerLost,
)

A, B = Name("anna", "01"), Name("bert", "01")


def test_tasks_run_in_their_order_as_far_as_there_is_room():
    batch = Batch(window=2)
    assert batch.handle(Added("anna", ("01", "02", "03"))) == [Run(A), Run(Name("anna", "02"))]
    assert batch.handle(Finished(A)) == [Run(Name("anna", "03")), Save(A)]


def test_a_submission_is_entered_when_its_last_notebook_has_a_result():
    batch = Batch(window=2)
    batch.handle(Added("anna", ("01", "02")))
    assert batch.handle(Finished(A)) == [Save(A)]
    second = Name("anna", "02")
    assert batch.handle(Finished(second)) == [Save(second), Enter("anna")]
    assert batch.ended


def test_a_submission_with_nothing_to_run_is_entered_at_once():
    assert Batch(window=1).handle(Added("anna", ())) == [Enter("anna")]


def test_a_task_whose_worker_died_runs_again_behind_the_others():
    batch = Batch(window=1)
    batch.handle(Added("anna", ("01",)))
    batch.handle(Added("bert", ("01",)))
    assert batch.handle(WorkerLost(A, "It died.")) == [Run(B)]
    assert batch.handle(Finished(B)) == [Run(A), Save(B), Enter("bert")]


def test_a_task_that_takes_two_workers_with_it_gets_no_third():
    batch = Batch(window=1)
    batch.handle(Added("anna", ("01",)))
    assert batch.handle(WorkerLost(A, "It died.")) == [Run(A)]
    assert batch.handle(WorkerLost(A, "Again.")) == [GiveUp(A, "Again."), Enter("anna")]
    assert batch.ended


def test_a_task_that_took_all_its_time_is_not_tried_again():
    batch = Batch(window=1)
    batch.handle(Added("anna", ("01",)))
    assert batch.handle(TimedOut(A, "Late.")) == [GiveUp(A, "Late."), Enter("anna")]


def test_late_news_of_an_attempt_that_was_written_off_changes_nothing():
    batch = Batch(window=1)
    batch.handle(Added("anna", ("01",)))
    batch.handle(TimedOut(A, "Late."))
    assert batch.handle(Finished(A)) == []
    assert batch.handle(WorkerLost(A, "Dead.")) == []


def test_after_a_stop_nothing_starts():
    batch = Batch(window=1)
    batch.handle(Added("anna", ("01",)))
    assert batch.handle(Stopped()) == []
    assert batch.ended
    assert batch.handle(Added("bert", ("01",))) == []
    assert batch.handle(WorkerLost(A, "It died.")) == []
    assert batch.left == 1


def test_what_is_no_event_is_refused():
    with pytest.raises(TypeError):
        Batch(window=1).handle("finished")


submissions = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 4), min_size=1, max_size=6)


@given(submissions, st.integers(1, 4), st.data())
def test_every_task_ends_with_exactly_one_result_under_any_order_of_events(sizes, window, data):
    batch = Batch(window)
    out: list[Name] = []
    runs: Counter[Name] = Counter()
    ends: Counter[Name] = Counter()
    entered: Counter[str] = Counter()
    names = {s: tuple(f"{i:02d}" for i in range(n)) for s, n in sizes.items()}

    def follow(instructions):
        for instruction in instructions:
            match instruction:
                case Run(task):
                    out.append(task)
                    runs[task] += 1
                case Save(task) | GiveUp(task):
                    ends[task] += 1
                case Enter(student):
                    assert all(ends[Name(student, n)] == 1 for n in names[student])
                    entered[student] += 1
        assert len(out) <= window

    coming = list(names)
    while coming or out:
        if coming and (not out or data.draw(st.booleans())):
            student = coming.pop()
            follow(batch.handle(Added(student, names[student])))
            continue
        task = out.pop(data.draw(st.integers(0, len(out) - 1)))
        kind = data.draw(st.sampled_from([Finished, WorkerLost, TimedOut]))
        follow(batch.handle(Finished(task) if kind is Finished else kind(task, "Why.")))
        stale = data.draw(st.sampled_from([Finished(task), WorkerLost(task, "Stale.")]))
        if task not in out and ends[task]:
            assert batch.handle(stale) == []
    everything = {Name(s, n) for s in names for n in names[s]}
    assert batch.ended
    assert batch.left == 0
    assert set(ends) == everything
    assert set(ends.values()) <= {1}
    assert max(runs.values(), default=0) <= ATTEMPTS
    assert entered == Counter(dict.fromkeys(names, 1))


@given(submissions, st.integers(1, 3), st.integers(0, 20))
def test_a_stop_at_any_moment_leaves_every_task_with_at_most_one_result(sizes, window, moment):
    batch = Batch(window)
    out: list[Name] = []
    ends: Counter[Name] = Counter()

    def follow(instructions):
        for instruction in instructions:
            if isinstance(instruction, Run):
                out.append(instruction.task)
            elif isinstance(instruction, Save):
                ends[instruction.task] += 1

    for student, size in sizes.items():
        follow(batch.handle(Added(student, tuple(map(str, range(size))))))
    for _ in range(moment):
        if out:
            follow(batch.handle(Finished(out.pop(0))))
    batch.handle(Stopped())
    assert batch.ended
    assert batch.left + len(ends) == sum(sizes.values())
    assert set(ends.values()) <= {1}
