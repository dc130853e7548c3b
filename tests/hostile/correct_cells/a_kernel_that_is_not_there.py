# tries: nothing; its kernel has a name that is a path
# outcome: passed
# points: 4
# says: images you have not seen
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    notebook = answered(RIGHT)
    notebook.metadata["kernelspec"] = {"name": "../../bin/sh -c reboot", "display_name": 7}
    write(path, notebook)
