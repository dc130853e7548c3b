# tries: to hand in a notebook of a version that is not there yet
# outcome: not run
# points: 0
# says: notebook
import json

import nbformat
from hostile_lab import RIGHT


def hand_in(path, answered):
    content = json.loads(nbformat.writes(answered(RIGHT)))
    path.write_text(json.dumps(content | {"nbformat": 99}))
