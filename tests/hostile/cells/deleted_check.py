# tries: to have no check at all
# outcome: not yet
# points: 0
# says: 'check-repair' was missing; it was graded as released
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    notebook.cells.remove(cell(notebook, "check-repair"))
    write(path, notebook)
