# tries: to have the feedback page run scripts from the source of the answer
# outcome: not attempted
# points: 0
# says: ended with SyntaxError
from hostile_class import write


def hand_in(path, answered):
    write(path, answered("</pre><script>hostile()</script>"))
