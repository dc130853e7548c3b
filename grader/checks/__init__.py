"""Checks: any right repair passes, a superficial one fails with the sentence that helps.

A check has two halves. `collect` runs beside the learner's code and returns evidence: numbers,
predictions, counts. `judge` turns evidence into findings and needs neither framework nor learner,
so it can run in another process. What needs the framework but not the learner's code, such as
controls, is measured by a third function, `measure`, on the judge's side. A lab's `checks.py`
declares its checks with the names below.
"""

from grader.checks.check import Answer, AnswerError, Case, Check, Diagnosis
from grader.checks.verdict import Finding, Outcome, Threshold, Verdict

__all__ = [
    "Answer",
    "AnswerError",
    "Case",
    "Check",
    "Diagnosis",
    "Finding",
    "Outcome",
    "Threshold",
    "Verdict",
]
