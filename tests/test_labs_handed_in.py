"""Every reference passes where no label of an unseen image is in its process."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from grader.authoring.source import read_answers, read_lab
from grader.checks import engine
from grader.checks.catalogue import lab_ids, load_checks
from grader.checks.session import IMAGES_VARIABLE, LabSession
from grader.harness.calibrate import cells_for, namespace_for
from grader.harness.serving import case_of, serve

pytestmark = pytest.mark.slow


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
    verdict = engine.judge(check, trusted, engine.measure(check, trusted, record))
    assert verdict.passed, verdict.sentence
