# tries: to hand in two notebooks, the right one under another name
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import write
from hostile_lab import RIGHT, WRONG


def hand_in(path, answered):
    write(path, answered(WRONG))
    write(path.with_name("01_prepare (1).ipynb"), answered(RIGHT))
    write(path.with_name("99_unknown.ipynb"), answered(RIGHT))
