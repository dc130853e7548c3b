"""Who knows which seed: the course's key, a learner's secret, and what a kernel may know of it.

The key lies in .cnn-clinic/course.key below the course folder and never leaves this machine. From
it each learner has a secret for each assignment, so that nobody is asked about another's images;
from that come the seed of the unseen images, which stays with the grader, and, by another one-way
step, the text from which the kernel draws everything else.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from grader.checks.session import SEED_VARIABLE
from grader.errors import ClinicError

FOLDER = ".cnn-clinic"
_BYTES = 32


def learner_secret(root: Path, student: str, assignment: str) -> str:
    """The text that everything unseen of one learner's assignment comes from.

    The environment variable CNN_CLINIC_SEED, where it is set, is everybody's secret.

    Raises:
        ClinicError: the course's key can be neither read nor made.
    """
    shared = os.environ.get(SEED_VARIABLE)
    if shared:
        return shared
    return _derive(_course_key(root), f"{student}\0{assignment}").hex()


def for_the_kernel(secret: str) -> str:
    """The text that a kernel is told: the secret cannot be computed from it."""
    return _derive(secret.encode(), "what the kernel may know").hex()


def seed_of_unseen(secret: str, lab: str, practice_seed: int) -> int:
    """Seed of the unseen images, which the kernel is not told, 0 to 2^62 - 1."""
    digest = _derive(secret.encode(), f"unseen images\0{lab}\0{practice_seed}")
    return int.from_bytes(digest[:8]) >> 2


@contextlib.contextmanager
def kept_from_forks() -> Iterator[None]:
    """Keep everybody's secret from a process that is started meanwhile, and from forks of it.

    What is in a process's environment when it starts can be read in /proc by whatever runs in it or
    in its forks, even after it has been taken out.
    """
    shared = os.environ.pop(SEED_VARIABLE, None)
    try:
        yield
    finally:
        if shared is not None:
            os.environ[SEED_VARIABLE] = shared


def _derive(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def _course_key(root: Path) -> bytes:
    path = root / FOLDER / "course.key"
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise ClinicError(
            f"The course's key {path} can be neither read nor made ({error.strerror}); make the "
            "folder writable for whoever grades."
        ) from None
    if len(key) != _BYTES:
        raise ClinicError(
            f"The course's key {path} is damaged; bring it back from a copy, or delete it, and "
            "everybody gets other unseen images."
        )
    return key


def _make_key(path: Path) -> None:
    """Make a key that is there whole or not at all, and never one in the place of another."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # Whoever links first has made the key; the others use theirs.
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink(missing_ok=True)
