# tries: nothing; its text is not ASCII
# outcome: passed
# points: 4
# says: images you have not seen
größe = "ein Byte 🙂 пиксель 画素"
print(größe)


def prepare(images):
    return images / 255
