# tries: to overflow the stack of the interpreter
# outcome: your code raised
# points: 0
# says: RecursionError
def prepare(images):
    return prepare(images)
