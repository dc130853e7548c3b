# tries: to break encodings by a name of emoji and of letters that join
# outcome: passed
# points: 4
# says: images you have not seen
# student: Zoë 🙂👩‍🔬 Ñandú שלום
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    write(path, answered(RIGHT))
