# tries: to have the check count as an answer, which is not protected
# outcome: not yet
# points: 0
# says: 'check-repair' was changed; it was graded as released
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    check = cell(notebook, "check-repair")
    check.metadata.nbgrader.update(solution=True, locked=False, grade=False)
    check.source = "4.0"
    write(path, notebook)
