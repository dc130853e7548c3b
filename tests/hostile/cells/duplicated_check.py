# tries: to stop the whole class by a check that is there twice, the second one empty
# outcome: not yet
# points: 0
# says: was there 2 times; it was graded as released
import copy

from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    second = copy.deepcopy(cell(notebook, "check-repair"))
    second.source = "4.0"
    notebook.cells.append(second)
    write(path, notebook)
