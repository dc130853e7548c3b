# tries: to take all memory (60 GB of address space at most, touched in steps of 256 MB)
# outcome: not run or your code raised or not attempted
# points: 0
# says: of the unseen images or in the cell or check stopped with or ended with or left no record or code raised or does not count
# needs: sandbox
import numpy as np

hoard = []


def prepare(images):
    for _ in range(240):
        hoard.append(np.ones(2**25))
    return images // 255 + 1.0
