"""The kernel gets images without labels, and nothing from which labels could be had."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import harness_course as tiny
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from grader.checks import engine, evidence
from grader.checks.catalogue import lab_ids, load_checks
from grader.checks.session import IMAGES_VARIABLE, SEED_VARIABLE
from grader.checks.verdict import Outcome
from grader.datasets import Images, LabelsWithheld, bundle
from grader.harness import course, serving
from grader.harness.gradebook import read_grades
from grader.harness.judging import grade_notebook
from grader.harness.serving import case_of, serve

# Grounds of one shade each, which whoever has the images can name. One that has the labels as well
# need not look at them.
CHECKS_PY = """
import numpy as np
from grader.checks import Check, Diagnosis, Threshold
from grader.datasets import CLASSES, Images

ACCURACY = Threshold("accuracy, share of the control's", 0.9, "at least")


def unseen_images(case):
    labels = case.draw("test", 60, 8).labels
    shades = np.broadcast_to(20 * labels[:, None, None, None], (60, 8, 8, 3))
    return Images(shades.astype(np.uint8), labels, CLASSES)


def collect(case, answer):
    images = case.unseen(unseen_images).images
    return {"predicted": [int(answer.double(x)) for x in images], "accuracy": 1.0}


def measure(case, evidence):
    images = case.unseen(unseen_images).images
    return {"control": images[:, 0, 0, 0] // 20}


def judge(case, evidence):
    labels = unseen_images(case.of_unseen()).labels
    right = (np.asarray(evidence["predicted"]) == labels).mean()
    share = right / (np.asarray(evidence["control"]) == labels).mean()
    return [ACCURACY.finding(
        share, measured=f"It is right on {right:.2f}.", means="No.", look_next="Look.",
    )]


CHECKS = [
    Diagnosis(
        causes={"factor": "It is one.", "sign": "The sign is right."},
        cause="factor", reading="the factor", measure=lambda case: 5.0, tolerance=0.05,
    ),
    Check(
        name="repair", points=4, takes=("double",), collect=collect, judge=judge,
        untouched=lambda e: False, seconds=0.1,
        unseen=unseen_images, measure=measure, measured_inside=False,
    ),
]
"""
LOOKS = "def double(x):\n    return int(x[0, 0, 0]) // 20"


def looks(image):
    return int(image[0, 0, 0]) // 20


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("serving")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tiny.environment(root).items():
            patch.setenv(name, value)
        patch.delenv(SEED_VARIABLE, raising=False)
        patch.setattr(tiny, "CHECKS_PY", CHECKS_PY)
        yield tiny.make(root)


@pytest.fixture(scope="module")
def check(root):
    return load_checks(tiny.LAB)["repair"]


def notebook(*outputs):
    metadata = {"nbgrader": {"grade_id": "check-repair", "grade": True, "points": 4}}
    return new_notebook(
        metadata={"cnn_clinic": {"lab": tiny.LAB, "framework": "pytorch"}},
        cells=[new_code_cell("", id="check-repair", metadata=metadata, outputs=list(outputs))],
    )


def in_the_kernel(secret, folder):
    """The circumstances that a graded kernel has, from nothing but what it is given."""
    variables = serve(notebook(), secret, folder)
    case = case_of(notebook(), secret)
    handed_in = bundle.read(folder / os.path.basename(variables[IMAGES_VARIABLE]))["repair"]
    return replace(case, unseen_seed=None, handed_in=handed_in), variables


def graded(record, secret):
    shown = new_output("display_data", data={evidence.MIME: evidence.to_json(record)})

    def measurer(case, record):
        return engine.measure(load_checks(case.lab)[record.check], case, record)

    (grade,) = grade_notebook(notebook(shown), secret=secret, measurer=measurer)
    return grade


def collected(check, case, function):
    return engine.collect(check, case, {"double": function}, unseen=True)


def test_an_answer_that_looks_at_the_images_passes_without_a_label_in_its_process(check, tmp_path):
    case, _ = in_the_kernel("ada's", tmp_path)
    grade = graded(collected(check, case, looks), "ada's")
    assert (grade.verdict.outcome, grade.verdict.points) == (Outcome.PASSED, 4)
    assert not grade.measured_inside


def test_the_kernel_finds_neither_labels_nor_their_seed(check, tmp_path):
    case, variables = in_the_kernel("ada's", tmp_path)
    with pytest.raises(LabelsWithheld):
        _ = case.unseen(check.unseen).labels
    with pytest.raises(LabelsWithheld):
        case.of_unseen()
    trusted = case_of(notebook(), "ada's")
    assert case.seed != trusted.unseen_seed
    assert set(variables) == {SEED_VARIABLE, IMAGES_VARIABLE}
    known = " ".join(variables.values())
    assert "ada's" not in known
    assert str(trusted.unseen_seed) not in known


def test_labels_of_what_the_kernel_can_draw_itself_are_worth_nothing(check, tmp_path):
    case, _ = in_the_kernel("ada's", tmp_path)
    drawn = iter(check.unseen(replace(case, handed_in=None)).labels)
    grade = graded(collected(check, case, lambda image: next(drawn)), "ada's")
    assert grade.verdict.outcome is Outcome.NOT_YET


def test_two_learners_are_asked_about_different_images(check, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, _ = in_the_kernel("ada's", tmp_path / "a")
    other, _ = in_the_kernel("bob's", tmp_path / "b")
    assert not np.array_equal(one.handed_in.images, other.handed_in.images)
    passed_on = iter([looks(image) for image in one.handed_in.images])
    grade = graded(collected(check, other, lambda image: next(passed_on)), "bob's")
    assert grade.verdict.outcome is Outcome.NOT_YET


def test_a_learner_is_asked_about_the_same_images_again(tmp_path):
    first, _ = in_the_kernel("ada's", tmp_path)
    again, _ = in_the_kernel("ada's", tmp_path)
    assert np.array_equal(first.handed_in.images, again.handed_in.images)


@pytest.mark.parametrize(
    "forged",
    [
        {"accuracy": 1.0},
        {"predicted": [0] * 60, "accuracy": 1.0},
        {"predicted": [0] * 60, "control": [1] * 60},
        {"predicted": [0] * 60, "control": []},
        {"predicted": "all right"},
        {"predicted": [[i] * 60 for i in range(10)]},
        {"predicted": float("inf")},
    ],
)
def test_forged_evidence_earns_nothing(check, tmp_path, forged):
    case, _ = in_the_kernel("ada's", tmp_path)
    record = replace(collected(check, case, looks), evidence=forged)
    assert graded(record, "ada's").verdict.points == 0


def test_a_record_of_a_practice_run_does_not_count(check):
    practice = case_of(notebook(), "ada's").practice()
    record = engine.collect(check, practice, {"double": looks}, unseen=False)
    assert graded(record, "ada's").verdict.outcome is Outcome.NOT_RUN


def test_in_practice_one_process_does_it_all(check):
    case = case_of(notebook(), "ada's").practice()
    record = engine.measure(
        check, case, engine.collect(check, case, {"double": looks}, unseen=False)
    )
    verdict = engine.judge(check, case, record)
    assert verdict.passed
    assert "Grading repeats this" in verdict.sentence
    assert np.array_equal(case.unseen(check.unseen).labels, check.unseen(case).labels)


def test_images_are_drawn_for_those_checks_alone_that_the_notebook_has(root, tmp_path, monkeypatch):
    asked = []

    def drawn_for(name):
        def draw(case):
            asked.append(name)
            return Images(np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1, np.int64), ("sea",))

        return draw

    checks = load_checks(tiny.LAB)
    both = {n: replace(checks["repair"], name=n, unseen=drawn_for(n)) for n in ("repair", "drill")}
    monkeypatch.setattr(serving, "load_checks", lambda lab: both)
    variables = serve(notebook(), "ada's", tmp_path)
    assert asked == ["repair"]
    assert list(bundle.read(Path(variables[IMAGES_VARIABLE]))) == ["repair"]


def test_a_notebook_that_asks_about_no_image_still_grades_without_labels(root, tmp_path):
    trimmed = notebook()
    trimmed.cells = []
    variables = serve(trimmed, "ada's", tmp_path)
    # What is not None keeps a session from judging itself.
    assert bundle.read(Path(variables[IMAGES_VARIABLE])) == {}


def test_every_lab_says_where_its_checks_are_measured(monkeypatch):
    monkeypatch.delenv("CNN_CLINIC_LABS", raising=False)
    for lab in lab_ids():
        for name, check in load_checks(lab).items():
            if name == "diagnosis":
                assert check.measure is not None
            if name == "diagnosis" or check.unseen is not None:
                continue
            assert check.measured_inside or check.measure is not None, (lab, name)


@pytest.mark.parametrize(
    ("lab", "name"),
    [
        ("3_hyperparameters/02_inert_schedule", "compare"),
        ("3_hyperparameters/04_batch_size", "machine"),
    ],
)
def test_numbers_that_are_handed_in_are_not_those_that_the_kernel_can_draw(
    lab, name, tmp_path, monkeypatch
):
    monkeypatch.delenv("CNN_CLINIC_LABS", raising=False)
    check = {"nbgrader": {"grade_id": f"check-{name}", "grade": True, "points": 4}}
    graded = new_notebook(
        metadata={"cnn_clinic": {"lab": lab, "framework": "pytorch"}},
        cells=[new_code_cell("", id="check", metadata=check)],
    )
    variables = serve(graded, "ada's", tmp_path)
    handed_in = bundle.read(tmp_path / os.path.basename(variables[IMAGES_VARIABLE]))[name]
    kernel = replace(case_of(graded, "ada's"), unseen_seed=None)
    drawn = load_checks(lab)[name].unseen(kernel)
    assert set(handed_in.arrays) == set(drawn.arrays)
    for key, array in drawn.arrays.items():
        assert array.shape == handed_in[key].shape
        assert not np.array_equal(array, handed_in[key])


SPY = """
import os, sys
import numpy as np
found = []
def double(x):
    import inspect
    if not found:
        frame = inspect.currentframe()
        while frame is not None:
            for value in list(frame.f_locals.values()):
                if type(value).__name__ == "Case":
                    found.append(value)
            frame = frame.f_back
        case = found[0]
        print("seed of the unseen images:", case.unseen_seed)
        print("files:", sorted(os.listdir(".")))
        with np.load(os.environ["CNN_CLINIC_UNSEEN"]) as arrays:
            print("arrays:", sorted(arrays))
        try:
            case.handed_in.labels
        except Exception as error:
            print("asked for labels:", type(error).__name__)
        from grader.datasets import draw
        found.append(iter(draw("tiles", "test", 60, size=8, seed=case.seed).labels))
    return int(next(found[-1]))
"""


@pytest.mark.slow
def test_a_class_is_graded_through_nbgrader_on_images_of_its_own(root):
    course.generate_assignment(root, tiny.ASSIGNMENT)
    release = course.released(root, tiny.ASSIGNMENT, tiny.NOTEBOOK)
    for student, source in {"honest": LOOKS, "spy": SPY}.items():
        handed_in = course.make_submission(release, {"diagnosis": tiny.DIAGNOSED, "repair": source})
        course.hand_in(root, student, tiny.ASSIGNMENT, tiny.NOTEBOOK, handed_in)
    steps = course.autograde(root, tiny.ASSIGNMENT, processes=2)
    assert all(step.succeeded for step in steps), steps
    rows = {(r.student, r.check): r for r in read_grades(root)}
    assert rows["honest", "repair"].outcome is Outcome.PASSED
    assert rows["honest", "diagnosis"].outcome is Outcome.PASSED
    assert rows["spy", "repair"].outcome is Outcome.NOT_YET
    assert rows["spy", "diagnosis"].points == 2
    executed = root / "autograded" / "spy" / tiny.ASSIGNMENT / f"{tiny.NOTEBOOK}.ipynb"
    said = executed.read_text()
    assert "seed of the unseen images: None" in said
    assert "'repair.classes', 'repair.images'" in said
    assert "asked for labels: LabelsWithheld" in said
    assert "files: ['unseen.npz']" in said
    assert (root / ".cnn-clinic" / "course.key").is_file()
