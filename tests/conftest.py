"""Settings that all tests share."""

import contextlib

from hypothesis import settings

# Triton, which PyTorch brings along on Linux, ends the process when it is loaded after TensorFlow;
# here both frameworks are loaded into one process, in whatever order the selected tests ask for.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

# The same examples on every run and every machine, and no verdict that depends on time: a search
# for new examples is `pytest --hypothesis-profile=default`.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
