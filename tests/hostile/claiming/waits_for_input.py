# tries: to make the grader wait for somebody who types
# outcome: not attempted
# points: 0
# says: StdinNotImplementedError
points = input("How many points do you give me? ")


def prepare(images):
    return images // 255 + 1.0
