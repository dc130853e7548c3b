# tries: to leave the notebook by sys.exit before the answer
# outcome: not attempted
# points: 0
# says: is not defined
import sys

sys.exit(0)
