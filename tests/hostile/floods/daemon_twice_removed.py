# tries: to leave a process behind that is nobody's child, by two forks
# outcome: not yet
# points: 0
# says: of the unseen images
# needs: sandbox
import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(120)
    os._exit(0)
os.wait()


def prepare(images):
    return images // 255 + 1.0
