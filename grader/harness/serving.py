"""What a kernel is given to be graded: images without labels, and a seed for everything else."""

from __future__ import annotations

from pathlib import Path

from nbformat import NotebookNode

from grader.checks.catalogue import load_checks
from grader.checks.check import Case
from grader.checks.session import IMAGES_VARIABLE, SEED_VARIABLE, unseen_seed
from grader.datasets import bundle
from grader.errors import ClinicError
from grader.harness.rebuild import cell_name, check_name, is_check, parameters
from grader.harness.secrets import for_the_kernel, seed_of_unseen

FILE = "unseen.npz"


def case_of(notebook: NotebookNode, secret: str) -> Case:
    """The circumstances of grading a notebook of the course, with what only the grader knows.

    Raises:
        ClinicError: the notebook is not one of the course.
    """
    ours, values = notebook.metadata.get("cnn_clinic", {}), parameters(notebook)
    if "lab" not in ours:
        raise ClinicError(
            "The source notebook is not one of CNN Clinic (its metadata has no 'cnn_clinic'); "
            "grade it with nbgrader's own configuration."
        )
    return Case(
        lab=ours["lab"],
        framework=ours["framework"],
        seed=unseen_seed(ours["lab"], values["SEED"], for_the_kernel(secret)),
        data=values["DATA"],
        device=values["DEVICE"],
        practice_seed=values["SEED"],
        unseen_seed=seed_of_unseen(secret, ours["lab"], values["SEED"]),
    )


def serve(notebook: NotebookNode, secret: str, folder: Path) -> dict[str, str]:
    """Write the images that the notebook's checks ask about into a folder that its kernel reads.

    A course may have left checks of the lab out of its notebook; theirs are not drawn.

    Args:
        notebook: rebuilt by `rebuild`.
        secret: of the learner, see `learner_secret`.

    Returns:
        Environment variables that the kernel needs, in the place of any of the same name.
    """
    case = case_of(notebook, secret)
    asked = {check_name(cell_name(cell)) for cell in notebook.cells if is_check(cell)}
    sets = {
        name: bundle.without_labels(check.unseen(case.of_unseen()))
        for name, check in load_checks(case.lab).items()
        if name in asked and check.unseen is not None
    }
    path = folder / FILE
    bundle.write(path, sets)
    return {SEED_VARIABLE: for_the_kernel(secret), IMAGES_VARIABLE: str(path)}
