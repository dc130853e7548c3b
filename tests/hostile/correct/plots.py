# tries: nothing; it draws a picture and does not close it
# outcome: passed
# points: 4
# says: images you have not seen
import matplotlib.pyplot as plt

plt.plot([0, 1], [0, 1])


def prepare(images):
    return images / 255
