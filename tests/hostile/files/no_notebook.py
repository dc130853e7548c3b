# tries: to hand in an empty folder
# outcome: not run
# points: 0
# says: Not run.
# needs: batches
def hand_in(path, answered):
    (path.parent / "README.txt").write_text("It is in the mail.")
