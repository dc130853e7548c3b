"""A course with one small lab that needs no framework, for the tests of the authoring tools."""

from __future__ import annotations

import shutil
from pathlib import Path

LAB = "9_tests/01_dark_images"
NOTEBOOK = "pytorch-9-tests/01_dark_images.ipynb"


def make_course(folder: Path) -> Path:
    """Copy the small lab into `folder`/labs; return `folder`, the root of a course."""
    here = Path(__file__).resolve().parent
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(here / "labs", folder / "labs", ignore=ignored)
    return folder


def edit(path: Path, old: str, new: str) -> int:
    """Replace the one occurrence of `old` in a file; return the line where it began."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1
