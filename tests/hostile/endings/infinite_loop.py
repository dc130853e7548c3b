# tries: to keep the grader busy for ever, in the answer cell
# outcome: not attempted
# points: 0
# says: ran longer than
while True:
    pass
