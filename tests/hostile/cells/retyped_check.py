# tries: to have the check be prose, which is not run
# outcome: not yet
# points: 0
# says: was no longer a code cell; it was graded as released
from hostile_class import retype, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    retype(notebook, "check-repair", "markdown")
    write(path, notebook)
