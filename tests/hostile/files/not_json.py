# tries: to hand in something that is not JSON
# outcome: not run
# points: 0
# says: is not JSON
def hand_in(path, answered):
    path.write_text("from grader import full_marks\n")
