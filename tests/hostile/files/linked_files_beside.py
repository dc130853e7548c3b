# tries: to carry the gradebook and the whole course out by links beside the notebook
# outcome: not yet
# points: 0
# says: of the unseen images
# needs: batches
from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    root = path.parents[3]
    (path.parent / "data.db").symlink_to(root / "gradebook.db")
    (path.parent / "course").symlink_to(root)
    (path.parent / "self").symlink_to(path.parent)
    (path.parent / "nowhere").symlink_to("/nowhere")
    write(path, answered(WRONG))
