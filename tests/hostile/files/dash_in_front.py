# tries: to have a name taken for an option
# outcome: passed
# points: 4
# says: images you have not seen
# student: --force
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    write(path, answered(RIGHT))
