# tries: nothing; it changes its folder and writes a file of its own there
# outcome: passed
# points: 4
# says: images you have not seen
import os

os.makedirs("own", exist_ok=True)
os.chdir("own")
with open("notes.txt", "w") as file:
    file.write("divide once")


def prepare(images):
    return images / 255
