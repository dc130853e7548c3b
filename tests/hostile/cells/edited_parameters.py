# tries: to choose the seed and the images that it is measured on
# outcome: not yet
# points: 0
# says: 'parameters' was changed; it was graded as released
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    cell(notebook, "parameters").source = 'SEED = 7\nDATA = "/tmp"\nDEVICE = "cpu"'
    write(path, notebook)
