# tries: nothing; it sets threads and the default type of the framework's numbers
# outcome: passed
# points: 4
# says: images you have not seen
import torch

torch.set_num_threads(1)
torch.manual_seed(3)


def prepare(images):
    return images / 255
