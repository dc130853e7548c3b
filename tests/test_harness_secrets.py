"""Who knows which seed: the key stays in the course folder, and secrets cannot be turned back."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from grader.checks.session import unseen_seed
from grader.errors import ClinicError
from grader.harness.secrets import (
    for_the_kernel,
    kept_from_forks,
    learner_secret,
    seed_of_unseen,
)

WHO = ("ada", "pytorch-1-data")
LAB = "1_data/01_input_scale"


@pytest.fixture(autouse=True)
def _no_shared_secret(monkeypatch):
    monkeypatch.delenv("CNN_CLINIC_SEED", raising=False)


def test_a_learner_has_the_same_secret_every_time(tmp_path):
    assert learner_secret(tmp_path, *WHO) == learner_secret(tmp_path, *WHO)


def test_learners_assignments_and_courses_have_secrets_of_their_own(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    secrets = [
        learner_secret(tmp_path / root, student, assignment)
        for root in ("one", "two")
        for student in ("ada", "ada ", "adá 🛰", "a\udce4")
        for assignment in ("pytorch-1-data", "tensorflow-1-data")
    ]
    assert len(set(secrets)) == len(secrets) == 16


def test_names_that_run_into_each_other_are_told_apart(tmp_path):
    assert learner_secret(tmp_path, "ab", "c") != learner_secret(tmp_path, "a", "bc")


def test_the_key_is_for_the_one_who_grades_alone(tmp_path):
    learner_secret(tmp_path, *WHO)
    (key,) = (tmp_path / ".cnn-clinic").iterdir()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32


def test_a_text_of_the_instructors_is_everybodys_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("CNN_CLINIC_SEED", "spring")
    assert learner_secret(tmp_path, *WHO) == learner_secret(tmp_path, "bob", WHO[1]) == "spring"
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_key_is_not_made_anew_in_silence(tmp_path):
    learner_secret(tmp_path, *WHO)
    (tmp_path / ".cnn-clinic" / "course.key").write_bytes(b"short")
    with pytest.raises(ClinicError, match="is damaged; bring it back from a copy"):
        learner_secret(tmp_path, *WHO)


@pytest.mark.skipif(os.name == "nt", reason="folders are made read-only otherwise there")
def test_a_key_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / ".cnn-clinic").write_text("a file where the folder should be")
    with pytest.raises(ClinicError, match="can be neither read nor made"):
        learner_secret(tmp_path, *WHO)


def test_what_a_kernel_is_told_gives_another_seed_than_the_unseen_images_have():
    told = for_the_kernel("secret")
    assert "secret" not in told
    seeds = {
        unseen_seed(LAB, 0, told),
        unseen_seed(LAB, 0, "secret"),
        seed_of_unseen("secret", LAB, 0),
        seed_of_unseen(told, LAB, 0),
        seed_of_unseen("secret", LAB, 1),
        seed_of_unseen("secret", "1_data/03_label_noise", 0),
        seed_of_unseen("another", LAB, 0),
    }
    assert len(seeds) == 7


def test_the_seed_of_the_unseen_images_is_too_long_to_be_guessed():
    seeds = [seed_of_unseen(str(i), LAB, 0) for i in range(50)]
    assert all(0 <= seed < 2**62 for seed in seeds)
    assert sum(seed > 2**58 for seed in seeds) > 40


def test_a_shared_secret_is_not_in_the_environment_of_what_kernels_are_forked_from(monkeypatch):
    monkeypatch.setenv("CNN_CLINIC_SEED", "spring")
    code = "import os; print(os.environ.get('CNN_CLINIC_SEED'))"
    with kept_from_forks():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "None"
    assert os.environ["CNN_CLINIC_SEED"] == "spring"
