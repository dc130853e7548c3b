# tries: to open another lab in the cell above
# outcome: not yet
# points: 0
# says: 'setup' was changed; it was graded as released
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    cell(notebook, "setup").source = "class lab:\n    check = print"
    write(path, notebook)
