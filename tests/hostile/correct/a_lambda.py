# tries: nothing; its answer is no function with a name
# outcome: passed
# points: 4
# says: images you have not seen
import functools

import numpy as np

prepare = functools.partial(np.multiply, 1 / 255)
