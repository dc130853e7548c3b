# tries: to overflow the reader's stack by nested brackets
# outcome: not run
# points: 0
# says: not a notebook
def hand_in(path, answered):
    path.write_text('{"cells": ' + "[" * 200_000 + "]" * 200_000 + "}")
