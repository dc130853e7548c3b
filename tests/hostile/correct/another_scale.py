# tries: nothing; it standardises instead of dividing
# outcome: passed
# points: 4
# says: images you have not seen
def prepare(images):
    return (images - 127.0) / 60
