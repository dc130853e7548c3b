# tries: to have the better of two answers taken
# outcome: not yet
# points: 0
# says: was there 2 times; the last one was graded
import copy

from hostile_class import cell, write
from hostile_lab import RIGHT, WRONG


def hand_in(path, answered):
    notebook = answered(RIGHT)
    second = copy.deepcopy(cell(notebook, "repair"))
    second.source = WRONG
    notebook.cells.append(second)
    write(path, notebook)
