# tries: to use up the file system's entries (20,000 at most, in the working folder)
# outcome: not yet or your code raised
# points: 0
# says: of the unseen images or in the cell or check stopped with or ended with or left no record or code raised or does not count
# needs: sandbox
for i in range(20_000):
    with open(f"hostile-was-here-{i}", "w"):
        pass


def prepare(images):
    return images // 255 + 1.0
