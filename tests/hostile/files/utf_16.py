# tries: to hand in text that is not UTF-8
# outcome: not run
# points: 0
# says: is not text
import nbformat
from hostile_lab import RIGHT


def hand_in(path, answered):
    path.write_bytes(nbformat.writes(answered(RIGHT)).encode("utf-16"))
