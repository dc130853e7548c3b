"""The course as one archive, for machines that share no disk with this one.

It holds the package, what grading reads of the labs, and the names of the package's Jupyter kernel
provisioners. Solutions, answers and pictures stay here.
"""

from __future__ import annotations

import hashlib
import io
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from grader import __version__
from grader.checks.catalogue import PACKAGE, labs_root, split_header

_PROVISIONERS = "jupyter_client.kernel_provisioners"
_INFO = f"cnn_clinic-{__version__}.dist-info"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # one time for all files: equal contents make equal archives


@dataclass(frozen=True)
class Parcel:
    """A zip archive, and the SHA-256 of it in hexadecimal digits."""

    key: str
    archive: bytes


def pack(package: Path = PACKAGE, labs: Path | None = None) -> Parcel:
    """Pack the package and the labs, this machine's own unless others are given.

    Raises:
        ClinicError: a lab whose header cannot be read, or no labs at all.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(_contents(package, labs or labs_root())):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    packed = stream.getvalue()
    return Parcel(hashlib.sha256(packed).hexdigest(), packed)


def _contents(package: Path, labs: Path) -> Iterator[tuple[str, bytes]]:
    for path in package.rglob("*"):
        inside = path.relative_to(package)
        hidden = any(part == "__pycache__" or part.startswith(".") for part in inside.parts)
        # Labs that were installed inside the package are packed as labs.
        if path.is_file() and not hidden and inside.parts[0] != "labs":
            yield f"{package.name}/{inside.as_posix()}", path.read_bytes()
    for path in labs.glob("*/*/lab.py"):
        lab = f"labs/{path.parent.parent.name}/{path.parent.name}"
        yield f"{lab}/lab.py", _header(path)
        if (path.parent / "checks.py").is_file():
            yield f"{lab}/checks.py", (path.parent / "checks.py").read_bytes()
    # Jupyter finds provisioners in the metadata of what is installed, which on a worker is not us.
    lines = [f"{name} = {value}" for name, value in sorted(_provisioners(package).items())]
    yield f"{_INFO}/entry_points.txt", "\n".join([f"[{_PROVISIONERS}]", *lines]).encode()
    metadata = f"Metadata-Version: 2.1\nName: cnn-clinic\nVersion: {__version__}\n"
    yield f"{_INFO}/METADATA", metadata.encode()


def _provisioners(package: Path) -> dict[str, str]:
    """The package's own kernel provisioners: of a clone, what its pyproject.toml says now."""
    project = package.parent / "pyproject.toml"
    if project.is_file():
        settings = tomllib.loads(project.read_text(encoding="utf-8"))
        found: dict[str, str] = settings["project"]["entry-points"][_PROVISIONERS]
        return found
    installed = entry_points(group=_PROVISIONERS)
    return {p.name: p.value for p in installed if p.value.startswith("grader.")}


def _header(path: Path) -> bytes:
    """The header of a lab.py: the rest of it holds the solution."""
    text = path.read_text(encoding="utf-8")
    _, lines = split_header(text, str(path))
    return "".join(text.splitlines(keepends=True)[:lines]).encode()
