# tries: to change parameters, hide errors and remove cells, by tags
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    cell(notebook, "check-repair").metadata["tags"] = ["raises-exception", "remove-cell", 7]
    cell(notebook, "repair").metadata["tags"] = ["parameters", "injected-parameters", "proof"]
    write(path, notebook)
