"""The object `lab` of every notebook: images, checks, hints, pictures."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

from grader import frameworks
from grader.checks import catalogue, display, engine, evidence
from grader.checks.check import Case, Check
from grader.checks.verdict import Outcome, number
from grader.datasets import Images, UnlabelledImages, UnseenArrays, bundle
from grader.errors import ClinicError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Points(float):
    """Points of a check as the value of its cell.

    Its plain text is the bare number, because that is how nbgrader reads partial credit.
    """

    def __new__(cls, points: float, max_points: float) -> Points:
        value = super().__new__(cls, points)
        value.max_points = max_points
        return value

    max_points: float

    def __repr__(self) -> str:
        return float.__repr__(self)

    def _repr_html_(self) -> str:
        return f"<small>{number(self)} of {number(self.max_points)} points</small>"


SEED_VARIABLE = "CNN_CLINIC_SEED"
"""Environment variable with the text that a kernel's unseen images come from."""
IMAGES_VARIABLE = "CNN_CLINIC_UNSEEN"
"""Environment variable with the path of the images handed in, while a notebook is graded."""


def unseen_seed(lab: str, practice_seed: int, text: str | None = None) -> int:
    """Seed of the circumstances that grading uses: another for each lab, practice seed and text.

    Args:
        text: that of the environment variable CNN_CLINIC_SEED unless given.
    """
    if text is None:
        text = os.environ.get(SEED_VARIABLE, "")
    text = f"{text}/{lab}/{practice_seed}"
    return 1_000_000 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 1_000_000_000


class LabSession:
    """One lab, one framework, one seed. Made by `grader.open_lab`.

    Attributes:
        header: title, symptom, hints and budget of the lab.
        fw: the framework's adapter module, `grader.frameworks.pytorch` or `.tensorflow`.
        device: the framework's device; found, never assumed.
        seed, data: as given to `open_lab`.
        checks: the lab's checks by name, in the order of the notebook.
    """

    def __init__(
        self,
        header: catalogue.LabHeader,
        checks: dict[str, Check],
        fw: ModuleType,
        *,
        seed: int,
        data: str,
        device: Any,
    ) -> None:
        self.header = header
        self.fw = fw
        self.seed = seed
        self.data = data
        self.device = device
        self.checks = checks
        self._unseen = False
        self._handed_in: dict[str, UnlabelledImages | UnseenArrays] | None = None
        self._hints_given: dict[str, int] = {}

    @classmethod
    def open(cls, lab: str, framework: str, *, seed: int, data: str, device: str) -> LabSession:
        """See `grader.open_lab`."""
        header = catalogue.read_header(lab)
        # A framework's notes on its own start-up are not about the lab; a failed import raises.
        with _hold_descriptor():
            fw = frameworks.load(framework)
            where = fw.choose_device(device)
        if data != "tiles" and not Path(data).is_dir():
            raise ClinicError(
                f'There is no image folder {data!r}; give data="tiles" or the path of a folder.'
            )
        fw.set_seed(seed)
        return cls(
            header,
            catalogue.load_checks(lab),
            fw,
            seed=seed,
            data=data,
            device=where,
        )

    @property
    def case(self) -> Case:
        """The circumstances under which checks measure now."""
        return Case(
            lab=self.header.id,
            framework=self.fw.NAME,
            seed=unseen_seed(self.header.id, self.seed) if self._unseen else self.seed,
            data=self.data,
            device=self.device,
            fw=self.fw,
            practice_seed=self.seed,
        )

    def draw(self, split: str, n: int, size: int) -> Images:
        """Practice images of a split, as `Case.draw`: uint8 (n, size, size, 3) and labels."""
        return self.case.practice().draw(split, n, size)

    def use_unseen_images(self) -> None:
        """From here on checks measure on other images. Grading calls this.

        Where the grader handed in images, checks hand over evidence and are decided there.

        Raises:
            ClinicError: what the grader handed in cannot be read.
        """
        self._unseen = True
        handed_in = os.environ.get(IMAGES_VARIABLE)
        self._handed_in = bundle.read(Path(handed_in)) if handed_in else None

    def _check(self, name: str) -> Check:
        if name not in self.checks:
            raise ClinicError(
                f"The lab {self.header.id} has no check {name!r}; "
                f"its checks are: {', '.join(self.checks)}."
            )
        return self.checks[name]

    def collect(self, name: str, namespace: dict[str, Any]) -> evidence.Record:
        """Run one check on a namespace up to where it is judged.

        What the check measures itself is left to the grader where the images came from there.
        """
        check, case = self._check(name), self.case
        if self._handed_in is not None:
            case = replace(case, handed_in=self._handed_in.get(name))
            return engine.collect(check, case, namespace, unseen=self._unseen)
        record = engine.collect(check, case, namespace, unseen=self._unseen)
        try:
            return engine.measure(check, case, record)
        except Exception as error:  # what the notebook has set for its whole process, for example
            return replace(
                record, status=Outcome.RAISED.value, error=engine.describe_error(error), evidence={}
            )

    def check(self, name: str) -> Points | None:
        """Measure the answer in the cell above, show the verdict, return the points.

        The names that the check takes are looked up in the notebook. While the notebook is graded
        there is no verdict to show: what was measured is handed over.
        """
        from IPython.display import display as show

        check = self._check(name)
        # A check cell says what it needs in words; a second argument for the namespace would only
        # be one more thing to get wrong, so the caller's own globals are used.
        namespace = sys._getframe(1).f_globals
        print(f"Measuring; about {number(check.seconds)} s on two processor cores.")
        with _hold_stderr() as held:
            record = self.collect(name, namespace)
        if held.text:
            print(held.text)
        if self._handed_in is not None:
            show({"text/plain": "Handed over.", evidence.MIME: evidence.to_json(record)}, raw=True)
            return None
        verdict = engine.judge(check, self.case, record)
        hint = f"lab.hint({name!r})" if self.header.hints.get(name) else ""
        show(
            {
                "text/plain": display.as_text(verdict, hint),
                "text/html": display.as_html(verdict, hint),
                evidence.MIME: evidence.to_json(record),
            },
            raw=True,
        )
        return Points(verdict.points, verdict.max_points)

    def hint(self, name: str) -> None:
        """Show the next hint for a check: a nudge, then where to look, then the line."""
        hints = self.header.hints.get(self._check(name).name, ())
        if not hints:
            print(f"There are no hints for {name!r}.")
            return
        given = min(self._hints_given.get(name, 0) + 1, len(hints))
        self._hints_given[name] = given
        print(f"Hint {given} of {len(hints)}. {hints[given - 1]}")

    def show(self, figure: Figure, sentence: str) -> None:
        """Show a picture with its reading in words below, which is also its alternative text."""
        from grader.instruments.style import show_figure

        show_figure(figure, sentence)


class _HeldStderr:
    """What was written to stderr while `_hold_stderr` was active; empty before its end."""

    text = ""


@contextlib.contextmanager
def _descriptor_to(file: IO[bytes]) -> Iterator[None]:
    """Send what is written to file descriptor 2 to a file."""
    saved = os.dup(2)
    sys.stderr.flush()
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


@contextlib.contextmanager
def _hold_descriptor() -> Iterator[None]:
    """Drop what native code writes to file descriptor 2; sys.stderr stays as it is.

    A module that is imported meanwhile may keep sys.stderr for its logger, so it must not be one
    that is closed afterwards.
    """
    with open(os.devnull, "wb") as nowhere, _descriptor_to(nowhere):
        yield


@contextlib.contextmanager
def _hold_stderr() -> Iterator[_HeldStderr]:
    """Hold back what is written to stderr, so that the caller can decide what becomes of it.

    nbgrader gives a check cell no marks when anything is on stderr, and TensorFlow logs there when
    it starts; a warning is no failure. File descriptor 2 is redirected as well as sys.stderr,
    because the frameworks' native code writes to the descriptor.
    """
    held = _HeldStderr()
    with tempfile.TemporaryFile() as file:
        try:
            with (
                _descriptor_to(file),
                open(os.dup(file.fileno()), "w", encoding="utf-8", errors="replace") as text,
                contextlib.redirect_stderr(text),
            ):
                yield held
        finally:
            file.seek(0)
            held.text = file.read().decode("utf-8", "replace").strip()
