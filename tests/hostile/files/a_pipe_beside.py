# tries: to make whoever copies the folder wait for a pipe beside the notebook
# outcome: not yet
# points: 0
# says: of the unseen images
# needs: batches
import os

from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    os.mkfifo(path.parent / "data.csv")
    write(path, answered(WRONG))
