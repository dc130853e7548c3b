"""The archive that workers of a cluster get: all that grading needs, and no answers."""

import io
import subprocess
import sys
import zipfile

import pytest

from grader.checks.catalogue import lab_ids, read_header
from grader.errors import ClinicError
from grader.harness import carrier


@pytest.fixture(scope="module")
def parcel():
    return carrier.pack()


def names(parcel):
    return zipfile.ZipFile(io.BytesIO(parcel.archive)).namelist()


def test_equal_contents_have_equal_keys(parcel):
    assert carrier.pack() == parcel


def test_another_content_has_another_key(parcel, tmp_path):
    package = tmp_path / "grader"
    package.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    assert carrier.pack(package).key != parcel.key


def test_it_holds_every_module_and_every_labs_checks(parcel):
    held = names(parcel)
    assert "grader/__init__.py" in held
    assert "grader/harness/runner.py" in held
    for lab in lab_ids():
        assert {f"labs/{lab}/lab.py", f"labs/{lab}/checks.py"} <= set(held)


def test_it_holds_no_answers_and_no_solutions(parcel):
    archive = zipfile.ZipFile(io.BytesIO(parcel.archive))
    labs = [name for name in archive.namelist() if name.startswith("labs/")]
    assert {name.rsplit("/")[-1] for name in labs} == {"lab.py", "checks.py"}
    for name in labs:
        if name.endswith("lab.py"):
            assert b"SOLUTION" not in archive.read(name)


def test_headers_read_the_same_on_the_other_side(parcel, tmp_path):
    zipfile.ZipFile(io.BytesIO(parcel.archive)).extractall(tmp_path)
    lab = lab_ids()[0]
    assert read_header(lab, tmp_path / "labs").title == read_header(lab).title


def test_jupyter_finds_the_kernel_provisioners_in_it(parcel, tmp_path):
    zipfile.ZipFile(io.BytesIO(parcel.archive)).extractall(tmp_path)
    code = (
        "import sys; sys.path[:] = [sys.argv[1]] + sys.path[1:]\n"
        "from importlib.metadata import distributions\n"
        "found = next(iter(distributions(name='cnn-clinic')))\n"
        "print(found.locate_file(''), [e.name for e in found.entry_points])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert str(tmp_path) in done.stdout
    assert "cnn-clinic-warm" in done.stdout


def test_a_lab_without_a_header_is_refused(tmp_path):
    lab = tmp_path / "1_data" / "01_lab"
    lab.mkdir(parents=True)
    (lab / "lab.py").write_text("x = 1\n")
    with pytest.raises(ClinicError, match="the header is missing"):
        carrier.pack(labs=tmp_path)
