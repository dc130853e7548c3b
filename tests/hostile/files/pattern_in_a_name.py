# tries: to have a name match the folders of others
# outcome: passed
# points: 4
# says: images you have not seen
# needs: batches
# student: [a-z]?{student_id}
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    write(path, answered(RIGHT))
