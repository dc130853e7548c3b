# tries: to outlive the time limit by ignoring every signal that can be ignored
# outcome: not run
# points: 0
# says: in the cell 'check-repair', so this check could not be measured
import signal


def prepare(images):
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass
