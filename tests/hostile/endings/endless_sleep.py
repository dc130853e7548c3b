# tries: to sleep until the grader gives up
# outcome: not attempted
# points: 0
# says: ran longer than
import time

time.sleep(10**6)
