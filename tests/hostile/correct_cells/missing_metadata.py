# tries: nothing; a tool took all metadata away
# outcome: passed
# points: 4
# says: images you have not seen
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    notebook = answered(RIGHT)
    notebook.metadata = {}
    for cell in notebook.cells:
        cell.metadata = {}
    write(path, notebook)
