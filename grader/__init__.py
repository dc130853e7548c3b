"""CNN Clinic: convolutional networks that perform badly, and how to find out why.

`import grader` loads neither a framework nor NumPy; `open_lab` is the one call a notebook makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.checks.session import LabSession

__version__ = "0.1.0"
__all__ = ["__version__", "open_lab"]


def open_lab(
    lab: str, framework: str, *, seed: int = 0, data: str = "tiles", device: str = "auto"
) -> LabSession:
    """Open one lab for one framework; the first call of every notebook.

    Args:
        lab: the lab's folder below `labs/`, such as "1_data/01_input_scale".
        framework: "pytorch" or "tensorflow".
        seed: seeds images, weights and order; the same seed gives the same verdict.
        data: "tiles" for the generated images, or the path of an image folder.
        device: "auto" (an accelerator where there is one), "cpu" or "cuda".

    Raises:
        ClinicError: unknown lab, framework or device, or a framework that is not installed.
    """
    # Imported here: `import grader` and `grader --help` stay fast and need no framework.
    from grader.checks.session import LabSession

    return LabSession.open(lab, framework, seed=seed, data=data, device=device)
