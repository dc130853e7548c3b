# tries: to have the graded notebook written elsewhere, by `..` in its own metadata
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    notebook.metadata["name"] = "../../../hostile-was-here"
    notebook.metadata["path"] = "../../.."
    write(path, notebook)
