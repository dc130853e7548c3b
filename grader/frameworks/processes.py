"""Functions of a notebook in processes of their own.

A process that computes has threads and cannot be forked safely. One that is started afresh takes
seconds to import its framework, and knows no function of a notebook. So one process is started
that imports the framework and computes nothing; it has a single thread, and every run is forked
from it in milliseconds. Functions travel by value.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import linecache
import os
import pickle
import selectors
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from grader.errors import ClinicError

RETURNED, RAISED, ENDED, LATE = "returned", "raised", "ended", "late"

GRACE = 5.0
"""Seconds that the other processes of a run have left when one of them has failed."""

# One thread for each process: they share the cores, and a library that starts threads when it is
# imported could not be forked.
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@dataclass(frozen=True)
class Ending:
    """How a function in another process ended.

    Attributes:
        how: RETURNED, RAISED, ENDED (the process is gone) or LATE (it was stopped).
        value: what was returned.  kind, message: of the error that was raised.
        lines: where it was raised, the innermost last; names of files with numbers of lines.
        printed: what was printed.
        when: seconds on a clock that the processes of a run share.
    """

    how: str
    value: Any = None
    kind: str = ""
    message: str = ""
    lines: tuple[tuple[str, int], ...] = ()
    printed: str = ""
    when: float = 0.0

    def error(self) -> Exception:
        """The error as one of this process: same name, same message, and the learner's line."""
        where = ""
        for file, line in reversed(self.lines):
            text = linecache.getline(file, line).strip()
            if text and ("ipykernel_" in file or file.startswith(("<ipython-input", "<answer"))):
                where = f" (in your line `{text}`)"
                break
        kind: Any = type(self.kind, (RuntimeError,), {})
        return kind(f"{self.message}{where}")


class Launcher:
    """Runs functions in processes that are forked from one that has imported `modules`."""

    def __init__(self, modules: Sequence[str]) -> None:
        if not hasattr(os, "fork"):
            raise ClinicError("Replicas need a system that can fork processes, as Linux can.")
        path = [entry for entry in sys.path if entry]
        code = (
            f"import sys; sys.path[:] = {path!r}; "
            f"from grader.frameworks.processes import serve; serve({list(modules)!r})"
        )
        self._server = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Replicas of a notebook share the processor, also where there is a graphics card.
            env={**os.environ, **dict.fromkeys(_THREADS, "1"), "CUDA_VISIBLE_DEVICES": ""},
            start_new_session=True,  # an interrupt of the notebook goes to the notebook
        )
        self._owner = os.getpid()
        atexit.register(self.close)

    @property
    def usable(self) -> bool:
        """True in the process that has started it, while it runs."""
        return self._owner == os.getpid() and self._server.poll() is None

    def run(self, functions: Sequence[Callable[[], Any]], *, seconds: float) -> list[Ending]:
        """Call each function in a process of its own, all at the same time.

        Args:
            seconds: after which those that have not returned are stopped.

        Raises:
            ClinicError: the processes cannot be started, or a function uses something that cannot
                be sent to them.
        """
        import cloudpickle

        try:
            payloads = [cloudpickle.dumps(function) for function in functions]
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ClinicError(
                "Something that the function uses cannot be sent to another process "
                f"({reason}); make it inside of the function."
            ) from None
        stdin, stdout = self._server.stdin, self._server.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            _write(stdin, pickle.dumps((seconds, payloads)))
            answer = _read(stdout)
        except OSError:
            answer = None
        except BaseException:
            self.close()  # an answer that is not fetched would be taken for the next one
            raise
        if answer is None:
            self.close()
            raise ClinicError(
                "The process that starts replicas has ended; run the cell again, and see whether "
                "the machine has memory left."
            )
        return [
            Ending(ENDED, message=data.decode()) if how == ENDED
            else Ending(LATE) if how == LATE
            else pickle.loads(data)
            for how, data in pickle.loads(answer)
        ]  # fmt: skip

    def close(self) -> None:
        """End the server and what it runs; a later run starts another one."""
        if self._owner != os.getpid():
            return
        for stream in (self._server.stdin, self._server.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        # It notices, and ends its processes first; one that was killed would leave them behind.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._server.wait(GRACE)
        with contextlib.suppress(OSError):
            self._server.kill()
        self._server.wait()


_launchers: dict[tuple[str, ...], Launcher] = {}


def launcher(modules: Sequence[str]) -> Launcher:
    """The launcher of this process for some modules, started when it is first asked for."""
    key = tuple(modules)
    found = _launchers.get(key)
    if found is None or not found.usable:
        found = _launchers[key] = Launcher(modules)
    return found


# What follows runs in the server and in the processes that are forked from it.


def serve(modules: Sequence[str]) -> None:
    """Fork and run what is asked for, until nobody asks any more."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    for module in modules:
        importlib.import_module(module)
    with contextlib.suppress(BrokenPipeError):
        while (request := _read(requests)) is not None:
            seconds, payloads = pickle.loads(request)
            asker = requests.fileno()
            endings = _run_all(payloads, seconds, asker, (asker, replies.fileno()))
            _write(replies, pickle.dumps(endings))
    os._exit(0)


def _run_all(
    payloads: Sequence[bytes], seconds: float, asker: int, private: Sequence[int]
) -> list[tuple[str, bytes]]:
    """Run functions until they have ended, or are late, or nobody waits for them any more.

    Args:
        asker: descriptor that becomes readable when the process that asked is gone.
        private: descriptors of the server that its processes do not get.
    """
    readers: list[int] = []
    children = []
    for payload in payloads:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setpgid(0, 0)
                for other in (*private, *readers, reader):
                    os.close(other)
                _work(payload, writer)
            finally:
                os._exit(1)
        os.close(writer)
        readers.append(reader)
        children.append(child)
    found, late = _gather(readers, seconds, asker)
    endings = []
    for child, reader in zip(children, readers, strict=True):
        if reader in late or not _complete(found[reader]):
            # Who has closed its pipe need not have ended.  Of one that has, the code stays.
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)  # processes that it has started, and left
        os.close(reader)
        if reader in late:
            endings.append((LATE, b""))
        elif not _complete(found[reader]):
            endings.append((ENDED, str(code).encode()))
        else:
            endings.append((RETURNED, bytes(found[reader][_HEAD.size :])))
    return endings


_HEAD = struct.Struct("<?Q")  # whether the function has returned; bytes that follow


def _complete(data: bytes | bytearray) -> bool:
    return len(data) >= _HEAD.size and len(data) - _HEAD.size == _HEAD.unpack_from(data)[1]


def _gather(
    readers: Sequence[int], seconds: float, asker: int
) -> tuple[dict[int, bytearray], set[int]]:
    """What every process has written, and those that had not finished in time.

    The end of a message is not the end of the pipe, which a process of the learner's may hold.
    """
    found = {reader: bytearray() for reader in readers}
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for descriptor in (asker, *readers):
            selector.register(descriptor, selectors.EVENT_READ)
        while len(selector.get_map()) > 1 and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if key.fd == asker:  # nobody asks twice at a time, so this is the end
                    deadline = 0.0
                    continue
                part = os.read(key.fd, 1 << 20)
                found[key.fd] += part
                if part and not _complete(found[key.fd]):
                    continue
                selector.unregister(key.fd)
                if not _complete(found[key.fd]) or not _HEAD.unpack_from(found[key.fd])[0]:
                    deadline = min(deadline, time.monotonic() + GRACE)
        late = {key.fd for key in selector.get_map().values()} - {asker}
    return found, late


def _work(payload: bytes, writer: int) -> None:
    """Run one function and write how it ended; the last thing that this process does."""
    import cloudpickle

    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            value = cloudpickle.loads(payload)()
        data = cloudpickle.dumps(Ending(RETURNED, value=value, printed=printed.getvalue()))
    except BaseException as error:
        message = str(error).strip().splitlines()
        frames = traceback.extract_tb(error.__traceback__)
        ending = Ending(
            RAISED,
            kind=type(error).__name__,
            message=message[0] if message else "no message",
            lines=tuple((frame.filename, frame.lineno or 0) for frame in frames),
            printed=printed.getvalue(),
            when=time.monotonic(),
        )
        returned, data = False, pickle.dumps(ending)
    else:
        returned = True
    with os.fdopen(writer, "wb") as out:
        out.write(_HEAD.pack(returned, len(data)) + data)
    os._exit(0)


def _write(stream: IO[bytes], data: bytes) -> None:
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes | None:
    """The next message, None at the end."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    (length,) = struct.unpack("<Q", head)
    data = stream.read(length)
    return data if len(data) == length else None
