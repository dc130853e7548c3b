# tries: nothing; it warns, as correct code does
# outcome: passed
# points: 4
# says: images you have not seen
import warnings

warnings.warn("This is deprecated, and still right.", stacklevel=1)


def prepare(images):
    warnings.warn("This too.", stacklevel=1)
    return images / 255
