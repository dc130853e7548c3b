# tries: to have its own cell taken for the check
# outcome: not attempted
# points: 0
# says: 'repair' was missing
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    cell(notebook, "repair").metadata["nbgrader"] = cell(notebook, "check-repair").metadata[
        "nbgrader"
    ]
    cell(notebook, "check-repair").source = "4.0"
    write(path, notebook)
