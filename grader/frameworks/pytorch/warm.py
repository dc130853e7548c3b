"""Imports what notebooks and checks need sooner or later; a forked kernel has it behind it.

Measured in a forked kernel, seconds: torch._inductor 1.8 (`use_deterministic_algorithms` imports
it, so every lab's first cell did), sklearn.model_selection 1.5, pyplot .4, torchvision .1. No
operation is run here: a thread that one would start does not live on in a fork.
"""

# ruff: noqa: F401
import matplotlib.pyplot
import sklearn.metrics
import sklearn.model_selection
import torch._dynamo
import torch._inductor
import torch.distributed
import torch.profiler
import torch.utils.checkpoint
import torch.utils.data
import torchvision.io
import torchvision.transforms.v2

import grader.frameworks.pytorch
