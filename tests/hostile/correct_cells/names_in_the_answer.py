# tries: nothing; the learner's own text has quotes, markup and emoji
# outcome: passed
# points: 4
# says: images you have not seen
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    write(path, answered(RIGHT + "  # '\"</code>🙂`*_[x](y)"))
