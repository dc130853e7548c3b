"""Imports what notebooks and checks need sooner or later; a forked kernel has it behind it.

Measured in a forked kernel, seconds: sklearn.model_selection 1.5, pyplot .4. No operation is run
here: a thread that one would start does not live on in a fork.
"""

# ruff: noqa: F401
import keras.layers
import keras.optimizers
import matplotlib.pyplot
import sklearn.metrics
import sklearn.model_selection
import tensorflow as tf

import grader.frameworks.tensorflow

# TensorFlow imports these when they are first named.
_LAZY = (tf.data, tf.image, tf.io, tf.keras, tf.profiler, tf.saved_model)
