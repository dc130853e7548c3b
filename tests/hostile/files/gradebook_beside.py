# tries: to have its own gradebook taken for the course's
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    (path.parent / "gradebook.db").write_bytes(b"SQLite format 3\0" + bytes(1000))
    write(path, answered(WRONG))
