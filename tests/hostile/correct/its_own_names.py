# tries: nothing; it uses names that the grader uses too
# outcome: passed
# points: 4
# says: images you have not seen
check = grade = evidence = record = display = np = None


def prepare(images):
    return images / 255
