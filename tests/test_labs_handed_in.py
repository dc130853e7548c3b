"""Every reference passes where no label of an unseen image is in its process.

And what it says of those images counts in the form that was asked for, and in no other.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from grader.authoring.source import read_answers, read_lab
from grader.checks import engine
from grader.checks.catalogue import lab_ids, load_checks
from grader.checks.evidence import EvidenceError
from grader.checks.session import IMAGES_VARIABLE, LabSession
from grader.harness.calibrate import cells_for, namespace_for
from grader.harness.serving import case_of, serve

pytestmark = pytest.mark.slow


PREDICTIONS = {
    ("1_data/01_input_scale", "repair"): ("predicted",),
    ("1_data/03_label_noise", "repair"): ("labels",),
    ("1_data/04_imbalance", "repair"): ("predicted",),
    ("1_data/05_lighting_drift", "robustness"): ("predicted",),
    ("1_data/06_too_little_data", "repair"): ("taught",),
    ("1_data/07_harmful_augmentation", "repair"): ("predicted",),
    ("2_architecture/01_capacity", "repair"): ("seen", "unseen"),
    ("2_architecture/03_early_downsampling", "repair"): ("read", "predicted"),
    ("2_architecture/04_gradient_flow", "repair"): ("predicted",),
    ("2_architecture/05_dead_units", "repair"): ("predicted", "in_training"),
    ("3_hyperparameters/03_forgetful_loop", "repair"): ("predicted",),
    ("4_bottlenecks/03_multiply_adds", "repair"): ("seen", "unseen"),
}


def in_other_forms(predicted):
    """The same predictions as no honest process hands them over: others of them, of other types."""
    if isinstance(predicted[0], list):
        return [list(each) for each in zip(*map(in_other_forms, predicted), strict=True)]
    return [
        predicted[:1],
        predicted[:-1],
        predicted + predicted[:1],
        [float(number) for number in predicted],
        [*predicted[:-1], True],
        [[number] for number in predicted],
    ]


def handed_in():
    for lab in lab_ids():
        for name, check in load_checks(lab).items():
            if check.unseen is not None or (name != "diagnosis" and check.measure is not None):
                yield lab, name


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])
@pytest.mark.parametrize(("lab", "name"), handed_in())
def test_a_reference_passes_on_images_without_labels(lab, name, framework, tmp_path, monkeypatch):
    asks = {"nbgrader": {"grade_id": f"check-{name}", "grade": True, "points": 1}}
    notebook = new_notebook(
        metadata={"cnn_clinic": {"lab": lab, "framework": framework}},
        cells=[new_code_cell("", metadata=asks)],
    )
    for variable, value in serve(notebook, "a learner's secret", tmp_path).items():
        monkeypatch.setenv(variable, value)
    session = LabSession.open(lab, framework, seed=0, data="tiles", device="cpu")
    session.use_unseen_images()
    source = read_lab(lab)
    (reference,) = (a for a in read_answers(source, framework) if a.kind == "reference")
    cells = cells_for(source, framework, reference, session.checks[name].takes)
    record = session.collect(name, namespace_for(cells, session, reference))
    assert record.status == engine.COLLECTED, record.error

    monkeypatch.delenv(IMAGES_VARIABLE)
    trusted = replace(case_of(notebook, "a learner's secret"), fw=session.fw, device=session.device)
    check = load_checks(lab)[name]
    assert record.seed == trusted.seed
    measured = engine.measure(check, trusted, record)
    verdict = engine.judge(check, trusted, measured)
    assert verdict.passed, verdict.sentence
    for what in PREDICTIONS.get((lab, name), ()):
        for forged in in_other_forms(measured.evidence[what]):
            with pytest.raises(EvidenceError, match="prediction"):
                engine.judge(
                    check, trusted, replace(measured, evidence={**measured.evidence, what: forged})
                )
