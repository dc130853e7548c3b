# tries: to have a name that is longer than any table is wide
# outcome: passed
# points: 4
# says: images you have not seen
# needs: batches
# student: nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    write(path, answered(RIGHT))
