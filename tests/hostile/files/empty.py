# tries: to hand in an empty file
# outcome: not run
# points: 0
# says: is not JSON
def hand_in(path, answered):
    path.write_bytes(b"")
