# tries: nothing; it turns warnings into errors and tightens NumPy
# outcome: passed
# points: 4
# says: images you have not seen
import numpy as np

np.seterr(all="raise")
np.set_printoptions(threshold=3)
np.random.seed(1)


def prepare(images):
    return images / 255
