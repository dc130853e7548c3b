# tries: to have the check run before anything else
# outcome: not yet
# points: 0
# says: grading kept the released order
from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    notebook.cells.reverse()
    write(path, notebook)
