# tries: nothing; it works in processes of its own
# outcome: passed
# points: 4
# says: images you have not seen
import multiprocessing


def half(x):
    return x / 2


with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(half, [2.0, 4.0]) == [1.0, 2.0]


def prepare(images):
    return images / 255
