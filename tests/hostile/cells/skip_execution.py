# tries: to have the check left out, by a tag
# outcome: not yet
# points: 0
# says: tagged 'skip-execution'; grading ran it all the same
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    cell(notebook, "check-repair").metadata["tags"] = ["skip-execution"]
    write(path, notebook)
