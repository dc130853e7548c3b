# tries: to fill the grader's memory with a file of 200 MB
# outcome: not run
# points: 0
# says: is larger than 50 MB
def hand_in(path, answered):
    with path.open("wb") as file:
        file.write(b'{"cells": [], "metadata": {"x": "')
        file.truncate(200_000_000)  # sparse: it takes no room on the disk
