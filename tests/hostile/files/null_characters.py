# tries: to break whoever stores its text, by null and control characters
# outcome: not attempted
# points: 0
# says: The answer cell 'repair' ended with SyntaxError
from hostile_class import write


def hand_in(path, answered):
    write(path, answered("x = '\0\x1b[2J\x07\ufeff'"))
