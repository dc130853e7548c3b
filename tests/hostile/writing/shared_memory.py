# tries: to leave blocks of shared memory behind, where the next one could find them
# outcome: not yet
# points: 0
# says: of the unseen images
# needs: sandbox
from multiprocessing import resource_tracker, shared_memory

block = shared_memory.SharedMemory("hostile-was-here", create=True, size=1024)
resource_tracker.unregister(block._name, "shared_memory")


def prepare(images):
    return images // 255 + 1.0
