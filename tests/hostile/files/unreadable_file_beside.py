# tries: to stop the copying of the folder by a file that may not be read
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    secret = path.parent / "secret.csv"
    secret.write_text("4.0")
    secret.chmod(0)
    write(path, answered(WRONG))
