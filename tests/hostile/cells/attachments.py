# tries: to carry scripts into the page by attachments and metadata of cells
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import cell, write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    story = cell(notebook, "story")
    story["attachments"] = {"x.svg": {"image/svg+xml": "<script>hostile()</script>"}}
    cell(notebook, "repair").metadata["name"] = "<script>hostile()</script>"
    write(path, notebook)
