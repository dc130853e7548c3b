# tries: to pretend that the instructor interrupted the check
# outcome: not run
# points: 0
# says: KeyboardInterrupt
def prepare(images):
    raise KeyboardInterrupt
