# tries: to break commands and queries by a name with spaces and quotes
# outcome: passed
# points: 4
# says: images you have not seen
# student: O'Brien "Bobby"; drop table grade; --
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    write(path, answered(RIGHT))
