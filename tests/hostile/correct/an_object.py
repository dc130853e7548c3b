# tries: nothing; its answer is an object that can be called, and returns a tensor
# outcome: passed
# points: 4
# says: images you have not seen
import torch


class Prepare:
    def __call__(self, images):
        return torch.as_tensor(images) / 255


prepare = Prepare()
