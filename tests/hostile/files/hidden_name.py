# tries: to have a name that is not listed
# outcome: passed
# points: 4
# says: images you have not seen
# student: .hidden
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    write(path, answered(RIGHT))
