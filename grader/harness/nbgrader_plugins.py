"""What nbgrader_config.py plugs into nbgrader: reading, rebuilding, executing, grading.

nbgrader's own steps stay; these classes stand where its configuration allows other ones
(`Autograde.exporter_class`, `sanitize_preprocessors`, `autograde_preprocessors`).
"""

from __future__ import annotations

import copy
import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import Execute, NbGraderPreprocessor
from traitlets import Integer

from grader.checks import evidence
from grader.errors import ClinicError
from grader.harness.judging import (
    TIMEOUT,
    Graded,
    Stop,
    grade_notebook,
    plain_output,
    show_grade,
)
from grader.harness.markdown import to_markdown
from grader.harness.rebuild import (
    Difference,
    cell_name,
    is_answer,
    is_check,
    read_submission,
    rebuild,
)
from grader.harness.secrets import learner_secret
from grader.harness.serving import serve

Resources = dict[str, Any]
KEY = "submission"  # where the notebook's cnn_clinic metadata keeps what rebuilding found


class SubmissionExporter(NotebookExporter):
    """Reads whatever was handed in: a file that is no notebook becomes an empty one.

    nbgrader would drop such a submission without a grade; here it reaches `RebuildFromRelease`,
    which reads the file itself.
    """

    def from_filename(
        self, filename: str, resources: Resources | None = None, **kw: Any
    ) -> tuple[NotebookNode, Resources]:
        path = Path(filename)
        if path.is_file() and os.access(path, os.R_OK):
            return super().from_filename(filename, resources, **kw)
        resources = resources or {}
        resources["metadata"] = {"name": path.stem, "path": str(path.parent)}
        return self.from_notebook_node(new_notebook(), resources, **kw)

    def from_file(
        self, file_stream: Any, resources: Resources | None = None, **kw: Any
    ) -> tuple[NotebookNode, Resources]:
        try:
            notebook = nbformat.read(file_stream, as_version=4)
            nbformat.validate(notebook)
            notebook.metadata.pop("language", None)  # nbconvert expects text there
        except Exception:
            # nbformat raises whatever its parsers stumble over.
            notebook = new_notebook()
        return self.from_notebook_node(notebook, resources=resources, **kw)


class RebuildFromRelease(NbGraderPreprocessor):
    """Puts the course's own notebook in the place of the submission, with the submitted answers."""

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        course = _course(self)
        ids = resources["nbgrader"]
        name = f"{ids['notebook']}.ipynb"
        source = _source(course, ids["assignment"], name)
        folder = course.format_path(course.submitted_directory, ids["student"], ids["assignment"])
        submission = read_submission(Path(folder) / name)
        graded, differences = rebuild(source, submission)
        graded.metadata.setdefault("cnn_clinic", {})[KEY] = {
            "unreadable": submission.unreadable,
            "differences": [[d.cell, d.sentence] for d in differences],
        }
        for sentence in (submission.unreadable, *(d.sentence for d in differences)):
            if sentence:
                self.log.warning("%s, %s: %s", ids["student"], name, sentence)
        return graded, resources


def _course(configurable: Any) -> CourseDirectory:
    """The course folder of the nbgrader command that a preprocessor works for."""
    while configurable is not None:
        course = getattr(configurable, "coursedir", None)
        if course is not None:
            return course
        configurable = configurable.parent
    raise ClinicError("This preprocessor works inside nbgrader; put it into nbgrader_config.py.")


def _secret(preprocessor: NbGraderPreprocessor, resources: Resources) -> str:
    ids = resources["nbgrader"]
    return learner_secret(Path(_course(preprocessor).root), ids["student"], ids["assignment"])


def _source(course: CourseDirectory, assignment: str, name: str) -> NotebookNode:
    path = Path(course.format_path(course.source_directory, ".", assignment)) / name
    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise ClinicError(
            f"The source notebook {path} cannot be read ({error.strerror}); run `grader build`."
        ) from None


class ExecuteAnswers(Execute):
    """Runs a rebuilt notebook in an empty folder; a kernel that dies ends this notebook only.

    `timeout` is for one cell. After `most_timeouts` cells ran into it the rest is not run: a kernel
    that does not answer an interrupt would use up the time of every cell that follows.
    """

    most_timeouts = Integer(2, help="cells that may run out of time before the rest is left").tag(
        config=True
    )

    def preprocess(
        self, nb: NotebookNode, resources: Any = None, km: AsyncKernelManager | None = None
    ) -> tuple[NotebookNode, Resources]:
        self._stop: Stop | None = None
        self._timeouts = 0
        late = f"it ran longer than {self.timeout} s and was stopped"
        self.error_on_timeout = {"ename": TIMEOUT, "evalue": late, "traceback": [late]}
        if nb.metadata.get("cnn_clinic", {}).get(KEY, {}).get("unreadable"):
            return nb, resources
        metadata = copy.deepcopy(nb.metadata)
        path = resources["metadata"].get("path")
        # Files beside the notebook would be imported before the real modules of their name.
        with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as folder:
            handed_in = serve(nb, _secret(self, resources), Path(folder))
            self._environment = os.environ | handed_in
            resources["metadata"]["path"] = folder
            try:
                nb, resources = super().preprocess(nb, resources, km)
            finally:
                resources["metadata"]["path"] = path
        nb.metadata = metadata  # a kernel can put widgets into it
        if self._stop is not None:
            nb.metadata["cnn_clinic"][KEY]["stop"] = [self._stop.cell, self._stop.sentence]
        return nb, resources

    def setup_kernel(self, **kwargs: Any) -> AbstractContextManager[None]:
        return super().setup_kernel(env=self._environment, **kwargs)

    def preprocess_cell(
        self, cell: NotebookNode, resources: Resources, index: int
    ) -> tuple[NotebookNode, Resources]:
        if self._stop is not None or cell.cell_type != "code":
            return cell, resources
        name = cell_name(cell)
        try:
            cell, resources = super().preprocess_cell(cell, resources, index)
        except DeadKernelError:
            self._end(name, "The Python process ended")
        except Exception as error:
            # nbclient trips over messages that a kernel should never send.
            self._end(name, f"Running the notebook failed ({type(error).__name__})")
        keep = {evidence.MIME} if is_check(cell) else set[str]()
        outputs = [plain_output(output, keep) for output in cell.outputs]
        cell.outputs = [output for output in outputs if output.get("data") != {}]
        if any(output.get("ename") == TIMEOUT for output in cell.outputs):
            self._timeouts += 1
            if self._timeouts >= self.most_timeouts:
                self._end(
                    name, f"{self._timeouts} cells ran longer than {self.timeout} s, the last"
                )
        return cell, resources

    def _end(self, cell: str, what: str) -> None:
        sentence = f"{what} in the cell '{cell}', so this check could not be measured."
        self._stop = Stop(cell, sentence)


class SaveVerdicts(NbGraderPreprocessor):
    """Judges every check cell and writes points and reasons into the gradebook.

    Nothing is read from streams. A manual score or comment is never touched.
    """

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        found = nb.metadata.get("cnn_clinic", {}).pop(KEY, {})
        differences = [Difference(*pair) for pair in found.get("differences", [])]
        stop = Stop(*found["stop"]) if "stop" in found else None
        if found.get("unreadable"):
            stop = Stop("", found["unreadable"])
        graded = grade_notebook(nb, differences, stop, secret=_secret(self, resources))
        by_cell = {one.cell: one for one in graded}
        for cell in nb.cells:
            if is_check(cell):
                show_grade(cell, by_cell[cell_name(cell)])
        self._save(nb, graded, resources["nbgrader"])
        return nb, resources

    def _save(self, nb: NotebookNode, graded: list[Graded], ids: dict[str, str]) -> None:
        where = (ids["notebook"], ids["assignment"], ids["student"])
        points = {cell_name(c): c.metadata.nbgrader["points"] for c in nb.cells if is_check(c)}
        answers = {cell_name(c) for c in nb.cells if is_answer(c)}
        with Gradebook(ids["db_url"]) as gradebook:
            for one in graded:
                grade = gradebook.find_grade(one.cell, *where)
                share = one.verdict.points / one.verdict.max_points
                grade.auto_score = round(share * float(points[one.cell]), 2)
                grade.needs_manual_grade = grade.manual_score is not None
                if one.answer in answers:
                    comment = gradebook.find_comment(one.answer, *where)
                    comment.auto_comment = to_markdown(one.reason)
            gradebook.db.commit()
