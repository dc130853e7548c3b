# tries: to have pages and commands act on a name
# outcome: passed
# points: 4
# says: images you have not seen
# student: <b onclick=hostile()>&amp;%s{0}$(reboot)`x`
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    write(path, answered(RIGHT))
