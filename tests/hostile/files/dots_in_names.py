# tries: to have files written outside of its folder, by `..` in their names
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    for name in ("..%2f..%2fgradebook.db", "..\\..\\gradebook.db", "...", "..hidden.ipynb"):
        (path.parent / name).write_text("hostile-was-here")
    write(path, answered(WRONG))
