# tries: to have the check not found under its name
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    cell(notebook, "check-repair").metadata.nbgrader["grade_id"] = "check-../../repair"
    write(path, notebook)
