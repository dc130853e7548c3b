# tries: nothing; it leaves a child process waiting
# outcome: passed
# points: 4
# says: images you have not seen
import subprocess

subprocess.Popen(["sleep", "120"])


def prepare(images):
    return images / 255
