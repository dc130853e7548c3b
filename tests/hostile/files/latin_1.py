# tries: to hand in text that is nearly UTF-8
# outcome: not run
# points: 0
# says: is not text
import nbformat
from hostile_lab import RIGHT


def hand_in(path, answered):
    text = nbformat.writes(answered(RIGHT + "  # größer"))
    path.write_bytes(text.encode("latin-1"))
