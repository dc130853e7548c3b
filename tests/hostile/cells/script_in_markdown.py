# tries: to have the feedback page run scripts from prose
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import cell, write
from hostile_lab import WRONG
from nbformat.v4 import new_markdown_cell

SCRIPT = "<script>hostile()</script><img src=x onerror=hostile()> [x](javascript:hostile())"


def hand_in(path, answered):
    notebook = answered(WRONG)
    cell(notebook, "story").source = SCRIPT
    notebook.cells.insert(0, new_markdown_cell(SCRIPT))
    notebook.metadata["title"] = SCRIPT
    write(path, notebook)
