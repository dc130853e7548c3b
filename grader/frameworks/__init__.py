"""The only place that knows PyTorch or TensorFlow; both hand NumPy arrays to everyone else.

`load("pytorch")` and `load("tensorflow")` return modules with the same functions. Images enter as
the framework's own arrays (what a learner's function returned), numbers leave as Python and NumPy.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from grader.errors import ClinicError

NAMES = ("pytorch", "tensorflow")
_DISTRIBUTION = {"pytorch": "torch", "tensorflow": "tensorflow"}


def load(name: str) -> ModuleType:
    """Return the adapter module of a framework.

    Raises:
        ClinicError: an unknown name, or a framework that is not installed.
    """
    if name not in NAMES:
        raise ClinicError(f"There is no framework {name!r}; use one of: {', '.join(NAMES)}.")
    try:
        return importlib.import_module(f"grader.frameworks.{name}")
    except ModuleNotFoundError as error:
        package = _DISTRIBUTION[name]
        if error.name and error.name.split(".")[0] in (package, "keras", "torchvision"):
            raise ClinicError(
                f"The {name} labs need the package {error.name.split('.')[0]!r}, which is not "
                f"installed here; run `pip install cnn-clinic[{name}]` or open the other framework."
            ) from None
        raise
