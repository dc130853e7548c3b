# tries: to crash the interpreter itself
# outcome: not run
# points: 0
# says: The Python process ended in the cell 'check-repair'
import ctypes


def prepare(images):
    ctypes.string_at(0)
