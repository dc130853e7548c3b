# tries: to stop the class by a time of handing in that is none
# outcome: not yet
# points: 0
# says: of the unseen images
# needs: batches
from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    (path.parent / "timestamp.txt").write_text("yesterday, honestly <script>hostile()</script>")
    write(path, answered(WRONG))
