# tries: to overflow the judge's stack by nested evidence
# outcome: your code raised or not run
# points: 0
# says: Recursion
from IPython.display import display

from grader.checks import evidence


def prepare(images):
    nested = []
    for _ in range(3000):
        nested = [nested]
    record = RECORD
    record["evidence"] = {"predicted": nested, "starter": False}
    display({evidence.MIME: record}, raw=True)
    raise KeyboardInterrupt
