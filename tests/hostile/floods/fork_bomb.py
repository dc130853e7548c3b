# tries: to fill the process table (2,000 processes at most, for a minute at most)
# outcome: not yet or not run or your code raised
# points: 0
# says: of the unseen images or in the cell or check stopped with or ended with or left no record or code raised or does not count
# needs: sandbox
import os
import time

children = 0
for _ in range(2000):
    try:
        child = os.fork()
    except OSError:
        break
    if child == 0:
        time.sleep(60)
        os._exit(0)
    children += 1


def prepare(images):
    return images // 255 + 1.0
