"""What a lab's checks.py declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

from grader.checks.verdict import Finding, Threshold, number
from grader.datasets import Images, LabelsWithheld, UnlabelledImages, UnseenArrays, draw

Answer = SimpleNamespace
Drawn = TypeVar("Drawn", Images, UnlabelledImages, UnseenArrays)


class AnswerError(Exception):
    """The learner's answer cannot be measured: one sentence on what it returned and what it should.

    Raised by a `collect` half; the check answers "not yet" with this sentence.
    """


@dataclass(frozen=True)
class Case:
    """The circumstances of one run of a check, the same for `collect` and `judge`.

    Attributes:
        lab: "1_data/01_input_scale".  framework: "pytorch" or "tensorflow".
        seed: seed of images, weights and order; differs between practice and grading.
        data: "tiles" or the path of an image folder.
        device: the framework's device; where nothing is computed, what the notebook asked for.
        fw: the framework's adapter module, None where nothing is computed.
        practice_seed: the seed of the notebook, for numbers that were read off the practice run.
        unseen_seed: seed of the images that an answer is asked about, where it is not `seed`:
            known to the grader only.
        handed_in: those images without their labels, in the process of an answer that is graded.
    """

    lab: str
    framework: str
    seed: int
    data: str = "tiles"
    device: Any = None
    fw: ModuleType | None = None
    practice_seed: int = 0
    unseen_seed: int | None = None
    handed_in: UnlabelledImages | UnseenArrays | None = None

    def draw(self, split: str, n: int, size: int) -> Images:
        """Images of a split ("train", "validation", "test", "field"), uint8 (n, size, size, 3)."""
        return draw(self.data, split, n, size=size, seed=self.seed)

    def draw_kinds(self, split: str, n: int, size: int, kinds: Sequence[int]) -> Images:
        """About `n` images of a few kinds; of a folder with fewer classes, those that there are.

        Args:
            kinds: positions in the ten classes; labels count within them.
        """
        classes = len(self.draw(split, 20, size).classes)
        there = [kind for kind in kinds if kind < classes]
        return self.draw(split, n * classes // len(there), size).only(there)

    def practice(self) -> Case:
        """The same circumstances on the practice images."""
        return replace(self, seed=self.practice_seed, unseen_seed=None, handed_in=None)

    def unseen(self, draw: Callable[[Case], Drawn]) -> Drawn | UnlabelledImages | UnseenArrays:
        """The images that an answer is asked about: drawn by `draw`, or as they were handed in.

        Args:
            draw: what the check declares as `unseen`.
        """
        return self.handed_in if self.handed_in is not None else draw(self.of_unseen())

    def of_unseen(self) -> Case:
        """The circumstances that the unseen images are drawn in; for those who know the labels.

        Raises:
            LabelsWithheld: in the process of an answer that is graded.
        """
        if self.handed_in is not None:
            raise LabelsWithheld(
                "The seed of the unseen images is not in this process; take the images from "
                "`case.unseen`."
            )
        return replace(
            self, seed=self.seed if self.unseen_seed is None else self.unseen_seed, unseen_seed=None
        )


Evidence = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """One graded question.

    Attributes:
        name: the check's name in the notebook, such as "repair"; also its answer cell's name.
        points: full points; shared evenly by the findings, as gates in order.
        takes: names that the learner's answer cell defines.
        collect: (case, answer) -> evidence; runs beside the learner's code. Raises AnswerError
            for an answer that cannot be measured.
        judge: (case, evidence) -> findings in order; pure, needs no framework.
        untouched: (evidence) -> True when nothing differs from the sick program; then the outcome
            is "not attempted". Compares deterministic values only.
        seconds: expected seconds on two processor cores, said before the check runs.
        when_passed: what a pass says, where it is not about unseen images.
        unseen: (case) -> the labelled images that the answer is asked about, if any. `collect` has
            them from `case.unseen`, where they have no labels when the answer is graded. Arrays,
            where it is asked about something else, are handed over as they are.
        measure: (case, evidence) -> more evidence, which is put over what bears the same name: all
            that has to be measured and does not depend on the learner's code, such as controls.
            Where an answer is graded it is run by the grader, away from that code.
        measured_inside: True where some gate rests on numbers that can only be measured beside the
            learner's code; False where the grader alone decides each.
    """

    name: str
    points: float
    takes: tuple[str, ...]
    collect: Callable[[Case, Answer], dict[str, Any]]
    judge: Callable[[Case, Evidence], Sequence[Finding]]
    untouched: Callable[[Evidence], bool]
    seconds: float = 3.0
    when_passed: str = ""
    unseen: Callable[[Case], Images | UnlabelledImages | UnseenArrays] | None = None
    measure: Callable[[Case, Evidence], dict[str, Any]] | None = None
    measured_inside: bool = True


def Diagnosis(
    *,
    causes: Mapping[str, str],
    cause: str,
    reading: str,
    measure: Callable[[Case], float],
    tolerance: float,
    points: float = 2,
    seconds: float = 1.0,
) -> Check:
    """A check that grades the cause that was named and the number that was read off.

    Args:
        causes: every choice, with the sentence that explains why it is not the cause (for the
            right one: why it is).
        cause: the right choice.
        reading: what the number is, with its unit, such as "loss of the first batch, in nats".
        measure: measures that number again, on the practice images.
        tolerance: allowed relative difference of the number, from its spread over machines.

    The notebook's answer cell sets `cause` and `reading`, and both are all that it hands over: the
    number is measured again by the grader.
    """
    if cause not in causes:
        raise ValueError(f"the cause {cause!r} is not among the choices")
    named = Threshold("cause", 1, "at least")
    read = Threshold("reading error", tolerance, "at most")

    def collect(case: Case, answer: Answer) -> dict[str, Any]:
        chosen = answer.cause
        if chosen is Ellipsis and answer.reading is Ellipsis:
            return {"untouched": True}
        if not isinstance(chosen, str) or chosen not in causes:
            choices = ", ".join(repr(c) for c in causes)
            raise AnswerError(f"`cause` is {chosen!r}; choose one of {choices}.")
        try:
            value = float(answer.reading)
        except (TypeError, ValueError):
            raise AnswerError(
                f"`reading` is {answer.reading!r}; give the {reading} as a number."
            ) from None
        return {"untouched": False, "cause": chosen, "reading": value}

    # The number depends on the practice run alone: once is enough for a whole class.
    measure_once = lru_cache(maxsize=4)(measure)

    def measure_again(case: Case, evidence: Evidence) -> dict[str, Any]:
        if evidence["untouched"]:
            return {}
        return {"measured": float(measure_once(case.practice()))}

    def judge(case: Case, evidence: Evidence) -> list[Finding]:
        chosen, value, measured = evidence["cause"], evidence["reading"], evidence["measured"]
        error = abs(value - measured) / max(abs(measured), 1e-12)
        return [
            named.finding(
                float(chosen == cause),
                measured=f"You named {chosen!r}.",
                means=causes[chosen],
                look_next="Go back to the picture: which of the causes can produce it?",
            ),
            read.finding(
                error,
                measured=f"You read {number(value)}.",
                means=f"The instrument shows another number for the {reading}.",
                look_next="Read the sentence below the picture again, and mind the unit.",
            ),
        ]

    return Check(
        name="diagnosis",
        points=points,
        takes=("cause", "reading"),
        collect=collect,
        judge=judge,
        untouched=lambda evidence: bool(evidence["untouched"]),
        seconds=seconds,
        when_passed="The cause and the number agree with the practice run.",
        measure=measure_again,
        measured_inside=False,
    )
