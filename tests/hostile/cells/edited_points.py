# tries: to have the check count a hundred times
# outcome: not yet
# points: 0
# says: The points of check cell 'check-repair' were changed
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    cell(notebook, "check-repair").metadata.nbgrader["points"] = 400
    write(path, notebook)
