# tries: to hand in half of a notebook
# outcome: not run
# points: 0
# says: is not JSON
import nbformat
from hostile_lab import RIGHT


def hand_in(path, answered):
    text = nbformat.writes(answered(RIGHT))
    path.write_text(text[: len(text) // 2])
