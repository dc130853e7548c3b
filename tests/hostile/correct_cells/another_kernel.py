# tries: nothing; it was opened with another kernel
# outcome: passed
# points: 4
# says: images you have not seen
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    notebook = answered(RIGHT)
    notebook.metadata["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}
    notebook.metadata["language_info"] = {"name": "R"}
    write(path, notebook)
