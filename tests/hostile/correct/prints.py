# tries: nothing; it prints, numbers among others
# outcome: passed
# points: 4
# says: images you have not seen
print("0.0\nFailed, 0 of 4 points")


def prepare(images):
    print(images.mean())
    print("AssertionError")
    return images / 255
