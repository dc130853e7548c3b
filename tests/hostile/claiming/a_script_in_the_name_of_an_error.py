# tries: to have the feedback page run a script from the name of an error
# outcome: your code raised
# points: 0
# says: hostile()
name = "</b><script>hostile()</script>"


def prepare(images):
    raise type(name, (Exception,), {})("[x](javascript:hostile())")
