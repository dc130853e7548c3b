# tries: nothing; it takes its time
# outcome: passed
# points: 4
# says: images you have not seen
import time


def prepare(images):
    time.sleep(1)
    return images / 255
