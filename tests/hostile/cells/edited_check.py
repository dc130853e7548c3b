# tries: to have another check run
# outcome: not yet
# points: 0
# says: 'check-repair' was changed; it was graded as released
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    cell(notebook, "check-repair").source = "4.0"
    write(path, notebook)
