"""nbgrader for this course: stock commands, the course's own grading steps.

    nbgrader generate_assignment pytorch-1-data --force
    nbgrader autograde pytorch-1-data
    nbgrader generate_feedback pytorch-1-data

An assignment is a module in one framework. Submissions go to submitted/STUDENT/ASSIGNMENT/.
"""

from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, LimitOutput

from grader.harness.feedback import FeedbackExporter, FeedbackGrades
from grader.harness.nbgrader_plugins import (
    ExecuteAnswers,
    RebuildFromRelease,
    SaveVerdicts,
    SubmissionExporter,
)

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "cnn-clinic"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "notebooks"

# The starter runs as it is: the sick program is outside the solution region.
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE"}
c.ClearSolutions.begin_solution_delimeter = "### BEGIN SOLUTION"
c.ClearSolutions.end_solution_delimeter = "### END SOLUTION"
c.ClearHiddenTests.begin_test_delimeter = "### BEGIN HIDDEN TESTS"
c.ClearHiddenTests.end_test_delimeter = "### END HIDDEN TESTS"

# The notebook that is graded is the course's own with the submitted answers in it; points come
# from records that are judged in the grading process. See grader/harness/nbgrader_plugins.py.
c.Autograde.exporter_class = SubmissionExporter
c.Autograde.sanitize_preprocessors = [RebuildFromRelease, CheckCellMetadata]
c.Autograde.autograde_preprocessors = [
    ExecuteAnswers,
    LimitOutput,
    SaveVerdicts,
    AssignLatePenalties,
    CheckCellMetadata,
]

# The page that learners get back: no script, nothing loaded, no hidden test. The formgrader keeps
# its own pages.
c.GenerateFeedback.preprocessors = [FeedbackGrades]
c.GenerateFeedback.exporter_class = FeedbackExporter

# Seconds for one cell. A check takes at most 10 s on two cores, a whole notebook 60 s.
c.Execute.timeout = 120
c.Execute.iopub_timeout = 30
c.ExecutePreprocessor.kernel_name = "python3"
c.ExecutePreprocessor.shutdown_kernel = "immediate"
# The kernel's own warnings are no news to an instructor; a learner's output is not affected.
c.Execute.extra_arguments = ["--log-level=ERROR"]
