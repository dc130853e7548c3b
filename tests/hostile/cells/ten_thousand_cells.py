# tries: to keep the reader of notebooks busy with ten thousand cells
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import write
from hostile_lab import WRONG
from nbformat.v4 import new_code_cell


def hand_in(path, answered):
    notebook = answered(WRONG)
    notebook.cells += [new_code_cell(f"own = {i}") for i in range(10_000)]
    write(path, notebook)
