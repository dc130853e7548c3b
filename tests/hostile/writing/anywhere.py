# tries: to leave a file in every folder that can be written to
# outcome: not yet
# points: 0
# says: of the unseen images
# needs: sandbox
import contextlib
import os
import tempfile

places = ("/tmp", "/var/tmp", "/dev/shm", "/etc", "/root", "COURSE", "COURSE/..", "..")
for place in (*places, os.path.expanduser("~"), tempfile.gettempdir()):
    with contextlib.suppress(OSError), open(os.path.join(place, "hostile-was-here"), "w") as file:
        file.write("4.0")


def prepare(images):
    return images // 255 + 1.0
