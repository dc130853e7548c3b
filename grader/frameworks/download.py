"""Downloading weights without noise, and without waiting for a network that is not there."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator

NO_WEIGHTS = (
    "The ImageNet weights of ResNet50 cannot be downloaded here, so this part is left out; "
    "everything above it holds without them."
)


@contextlib.contextmanager
def quiet_download(seconds: float) -> Iterator[None]:
    """While open, a connection that stays silent for `seconds` fails, and nothing is printed.

    What a download prints names hosts and folders of this machine.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)
