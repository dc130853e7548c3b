# tries: nothing; it logs on stderr, like TensorFlow when it starts
# outcome: passed
# points: 4
# says: images you have not seen
import logging
import os
import sys

logging.basicConfig(level=logging.DEBUG)
os.write(2, b"E0000 cuda_dnn.cc:8579] Unable to register cuDNN factory\n")


def prepare(images):
    logging.getLogger("prepare").error("%d images", len(images))
    print("a note", file=sys.stderr)
    os.write(2, b"W0000 computation_placer.cc:177] computation placer already registered\n")
    return images / 255
