"""What grading an assignment came to, on one page for the instructor.

Results are read one at a time; what is kept of each are counts, times and the numbers by which
answers are compared, so that a class of thousands needs little memory.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from grader.checks.catalogue import load_checks
from grader.checks.verdict import Outcome, number
from grader.errors import ClinicError
from grader.harness import results
from grader.harness.lookalikes import ALIKE, FEWEST_RUNS, Answers, runs
from grader.harness.results import CheckResult, Result
from grader.harness.templating import render
from grader.harness.totals import Total, read_totals

BINS = 10  # of the distribution of totals
MOST_ROWS = 100  # of a table that names learners
SLOW = 2.0  # times the declared seconds
ORDER = (
    Outcome.PASSED,
    Outcome.NOT_YET,
    Outcome.RAISED,
    Outcome.NOT_ATTEMPTED,
    Outcome.NOT_RUN,
)


@dataclass
class CheckFigures:
    """What one check came to in the whole class.

    Attributes:
        expected: declared seconds; None where the lab is not there any more.
        mistakes: how often each finding failed first, by metric and meaning.
        examples: a few learners for each mistake.
        seconds: of each measurement, wall time.
        inside: verdicts that rest on what the learner's process measured.
    """

    notebook: str
    check: str
    expected: float | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    mistakes: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    seconds: array[float] = field(default_factory=lambda: array("f"))
    inside: int = 0

    def add(self, student: str, result: CheckResult) -> None:
        self.outcomes[result.outcome] += 1
        self.inside += result.measured_inside
        if result.metric:
            mistake = (result.metric, result.mistake)
            self.mistakes[mistake] += 1
            examples = self.examples.setdefault(mistake, [])
            if len(examples) < 3:
                examples.append(student)
        if result.seconds > 0:
            self.seconds.append(result.seconds)

    @property
    def count(self) -> int:
        return self.outcomes.total()

    @property
    def shares(self) -> list[tuple[Outcome, int, float]]:
        """Each outcome with its count and its share in percent, in one order for all checks."""
        counts = ((outcome, self.outcomes[outcome.value]) for outcome in ORDER)
        return [(outcome, n, 100 * n / self.count) for outcome, n in counts if n]

    @property
    def passed(self) -> float:
        """Share of the class that passed, in percent."""
        return 100 * self.outcomes[Outcome.PASSED.value] / self.count

    def quantile(self, share: float) -> float:
        return float(np.quantile(np.asarray(self.seconds), share)) if self.seconds else 0.0

    @property
    def slow(self) -> bool:
        """True where one measurement in twenty took more than `SLOW` times what was declared."""
        return self.expected is not None and self.quantile(0.95) > SLOW * self.expected


@dataclass(frozen=True)
class Event:
    """Something about one learner's notebook that is worth reading."""

    student: str
    notebook: str
    sentence: str


@dataclass
class Events:
    """Events of one kind: all are counted, the first `MOST_ROWS` are kept."""

    count: int = 0
    kept: list[Event] = field(default_factory=list)

    def add(self, result: Result, sentence: str) -> None:
        self.count += 1
        if len(self.kept) < MOST_ROWS:
            self.kept.append(Event(result.student, result.notebook, sentence))


@dataclass
class Figures:
    """What all results of an assignment came to, added one at a time."""

    checks: dict[tuple[str, str], CheckFigures] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answers] = field(default_factory=dict)
    misbehaved: Events = field(default_factory=Events)
    stopped: Events = field(default_factory=Events)
    differing: Events = field(default_factory=Events)
    flaky: Events = field(default_factory=Events)
    students: set[str] = field(default_factory=set)
    notebooks: int = 0
    unsafe: int = 0
    first: str = ""
    last: str = ""

    def add(self, result: Result, released: Mapping[tuple[str, str], str]) -> None:
        """Count one result; `released` is the source of each answer cell before any answer."""
        self.students.add(result.student)
        self.notebooks += 1
        self.unsafe += not result.shut_in
        self.first = min(filter(None, (self.first, result.graded_at)), default="")
        self.last = max(self.last, result.graded_at)
        for sentence in result.misbehaved:
            self.misbehaved.add(result, sentence)
        if result.stop:
            self.stopped.add(result, result.stop)
        for check in result.checks:
            key = (result.notebook, check.check)
            if key not in self.checks:
                expected = _expected(result.lab, check.check)
                self.checks[key] = CheckFigures(*key, expected)
            self.checks[key].add(result.student, check)
            for note in check.notes:
                self.differing.add(result, note)
        for name, source in result.answers.items():
            key = (result.notebook, name)
            if key not in self.answers:
                self.answers[key] = Answers(*key, runs(released.get(key, "")))
            self.answers[key].add(result.student, source)

    def add_earlier(self, result: Result, earlier: Iterable[Result]) -> None:
        """Note each check that came to another verdict when the same work was graded before."""
        now = results.verdicts(result)
        before: dict[str, list[str]] = {}
        for one in earlier:
            for check, verdict in results.verdicts(one).items():
                if check in now and verdict != now[check]:
                    before.setdefault(check, []).append(_verdict(*verdict))
        for check, said in before.items():
            was = ", then ".join(dict.fromkeys(said))
            self.flaky.add(result, f"{check}: {was} before; now {_verdict(*now[check])}.")


def _verdict(outcome: str, points: float) -> str:
    return f"“{outcome}” with {number(points)} points"


def _expected(lab: str, check: str) -> float | None:
    try:
        found = load_checks(lab).get(check)
    except ClinicError:
        return None
    return found.seconds if found else None


@dataclass(frozen=True)
class Distribution:
    """How the totals lie: counts in `BINS` equal steps from 0 to the most points.

    The last step holds full marks, and whatever extra credit lifts above them.
    """

    counts: tuple[int, ...]
    mean: float
    median: float
    lowest: float
    highest: float
    full: int
    max_points: float

    @property
    def tallest(self) -> int:
        return max(self.counts)

    def step(self, i: int) -> str:
        """The points of a step, such as "1.2 to 1.8"."""
        width = self.max_points / BINS
        return f"{number(i * width)} to {number((i + 1) * width)}"


def distribution(totals: Iterable[Total]) -> Distribution | None:
    """The distribution of all that are graded; None where nobody is."""
    graded = [t for t in totals if t.points is not None]
    if not graded:
        return None
    points = np.array([t.points for t in graded], float)
    most = graded[0].max_points
    place = np.clip((points * BINS / most).astype(int) if most else points * 0, 0, BINS - 1)
    return Distribution(
        counts=tuple(np.bincount(place.astype(int), minlength=BINS).tolist()),
        mean=float(points.mean()),
        median=float(np.median(points)),
        lowest=float(points.min()),
        highest=float(points.max()),
        full=int((points >= most).sum()),
        max_points=most,
    )


def released_answers(root: Path, assignment: str) -> dict[tuple[str, str], str]:
    """Source of each answer cell as it was released, by notebook and cell; none that is missing."""
    import nbformat

    from grader.harness.rebuild import cell_name, is_answer

    found = {}
    for path in sorted((root / "notebooks" / assignment).glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if is_answer(cell):
                found[path.stem, cell_name(cell)] = cell.source
    return found


def collect(root: Path, assignment: str) -> Figures:
    """Read all results of an assignment.

    Raises:
        ClinicError: there is none, or one of them cannot be read.
    """
    figures = Figures()
    released = released_answers(root, assignment)
    for result in results.read_all(root, assignment):
        figures.add(result, released)
        figures.add_earlier(result, results.read_earlier(root, result))
    if not figures.notebooks:
        raise ClinicError(
            f"There are no results of {assignment} in {root}; run `grader autograde {assignment}`."
        )
    return figures


def report(root: Path, assignment: str) -> str:
    """The page, as HTML that loads nothing and runs nothing.

    Raises:
        ClinicError: no gradebook, no such assignment, no results, or one that cannot be read.
    """
    totals = read_totals(root, assignment)
    return page(assignment, collect(root, assignment), totals)


def page(assignment: str, figures: Figures, totals: Sequence[Total]) -> str:
    """Render figures and totals; see `report`."""
    checks = [figures.checks[key] for key in sorted(figures.checks)]
    lookalikes = sorted(
        (pair for answers in figures.answers.values() for pair in answers.find()),
        key=lambda p: (-p.similarity, -len(p.first), p.notebook, p.answer, p.first),
    )
    mistakes = sorted(
        (
            (n, check, metric, meaning, check.examples[metric, meaning])
            for check in checks
            for (metric, meaning), n in check.mistakes.items()
        ),
        key=lambda row: (-row[0], row[1].notebook, row[1].check, row[2]),
    )
    submitted = [t for t in totals if t.submitted]
    return render(
        "report.html.j2",
        assignment=assignment,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        figures=figures,
        checks=checks,
        verdicts=sum(c.count for c in checks),
        inside=sum(c.inside for c in checks),
        mistakes=mistakes[:MOST_ROWS],
        more_mistakes=max(0, len(mistakes) - MOST_ROWS),
        most_mistakes=mistakes[0][0] if mistakes else 0,
        slow=[c for c in checks if c.slow],
        lookalikes=lookalikes[:MOST_ROWS],
        more_lookalikes=max(0, len(lookalikes) - MOST_ROWS),
        alike=ALIKE,
        fewest_runs=FEWEST_RUNS,
        distribution=distribution(totals),
        learners=len(totals),
        submitted=len(submitted),
        missing=[t.student for t in totals if not t.submitted],
        waiting=[t.student for t in submitted if t.points is None],
        by_hand=[t for t in totals if t.by_hand],
        late=[t for t in totals if t.penalty],
        unknown=sorted(figures.students - {t.student for t in submitted}),
        elsewhere=sorted({t.student for t in submitted} - figures.students),
        order=ORDER,
        slow_factor=SLOW,
        number=number,
        names=names,
    )


def names(found: Sequence[str], longest: int = 12) -> str:
    """Learners in a row, cut after `longest`."""
    rest = len(found) - longest
    return ", ".join(found[:longest]) + (f" and {rest} more" if rest > 0 else "")
