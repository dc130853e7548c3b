# tries: to hand in under a name that nobody looks for
# outcome: not run
# points: 0
# says: Not run.
# needs: batches
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    write(path.with_name("01 prepare - copy.ipynb"), answered(RIGHT))
