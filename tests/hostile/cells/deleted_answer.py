# tries: to have nothing graded
# outcome: not attempted
# points: 0
# says: 'repair' was missing; there was nothing to grade
from hostile_class import cell, write
from hostile_lab import RIGHT


def hand_in(path, answered):
    notebook = answered(RIGHT)
    notebook.cells.remove(cell(notebook, "repair"))
    write(path, notebook)
