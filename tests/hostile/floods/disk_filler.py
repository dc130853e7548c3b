# tries: to fill the disk (2 GB at most, removed again)
# outcome: not yet or your code raised
# points: 0
# says: of the unseen images or in the cell or check stopped with or ended with or left no record or code raised or does not count
# needs: sandbox
import os

block = os.urandom(2**20)


def prepare(images):
    try:
        with open("hostile-was-here", "wb") as file:
            for _ in range(2048):
                file.write(block)
    finally:
        if os.path.exists("hostile-was-here"):
            os.remove("hostile-was-here")
    return images // 255 + 1.0
