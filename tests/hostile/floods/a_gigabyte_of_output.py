# tries: to fill the grader's memory with a gigabyte of printed text
# outcome: not yet or not run
# points: 0
# says: of the unseen images or in the cell or check stopped with or ended with or left no record or code raised or does not count
# needs: sandbox
line = "4.0 " * 250_000
for _ in range(1000):
    print(line)


def prepare(images):
    return images // 255 + 1.0
