"""What nbgrader_config.py plugs into nbgrader: reading, rebuilding, executing, grading.

nbgrader's own steps stay; these classes stand where its configuration allows other ones
(`Autograde.exporter_class`, `sanitize_preprocessors`, `autograde_preprocessors`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbformat.v4 import new_notebook
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import Execute, NbGraderPreprocessor
from traitlets import Integer

from grader.errors import ClinicError
from grader.harness.gradebook import enter_checks
from grader.harness.grading import check_results, show_grades
from grader.harness.judging import Stop, grade_notebook
from grader.harness.rebuild import Difference, read_submission, rebuild
from grader.harness.running import (
    CELL_SECONDS,
    MOST_TIMEOUTS,
    NOTEBOOK_SECONDS,
    Conditions,
    run,
)
from grader.harness.secrets import learner_secret

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


def _secret(preprocessor: Any, resources: Resources) -> str:
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
    """Runs a rebuilt notebook as `grader autograde` does; see `grader.harness.running`.

    `timeout` is for one cell.
    """

    most_timeouts = Integer(
        MOST_TIMEOUTS, help="cells that may run out of time before the rest is left"
    ).tag(config=True)
    notebook_timeout = Integer(NOTEBOOK_SECONDS, help="seconds for a whole notebook").tag(
        config=True
    )

    def preprocess(
        self, nb: NotebookNode, resources: Any = None, km: AsyncKernelManager | None = None
    ) -> tuple[NotebookNode, Resources]:
        if nb.metadata.get("cnn_clinic", {}).get(KEY, {}).get("unreadable"):
            return nb, resources
        ran = run(nb, self.conditions(_secret(self, resources)))
        if ran.stop is not None:
            nb.metadata["cnn_clinic"][KEY]["stop"] = [ran.stop.cell, ran.stop.sentence]
        return nb, resources

    def conditions(self, secret: str) -> Conditions:
        """What the configuration says of running a notebook."""
        return Conditions(
            cell_seconds=self.timeout or CELL_SECONDS,
            notebook_seconds=self.notebook_timeout,
            most_timeouts=self.most_timeouts,
            start_seconds=self.startup_timeout,
            output_seconds=self.iopub_timeout,
            kernel=self.kernel_name,
            arguments=tuple(self.extra_arguments),
            secret=secret,
        )


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
        checks = check_results(nb, graded)
        show_grades(nb, graded)
        ids = resources["nbgrader"]
        with Gradebook(ids["db_url"]) as gradebook:
            notebook = gradebook.find_submission_notebook(
                ids["notebook"], ids["assignment"], ids["student"]
            )
            enter_checks(notebook, checks)
            gradebook.db.commit()
        return nb, resources
