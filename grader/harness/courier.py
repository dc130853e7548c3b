"""What runs on a Dask worker: it unpacks the course and hands each task to a process of its own.

A worker may have nothing of the course installed, so this module travels by value and uses the
standard library and Dask only. Grading in another process keeps everything of a submission out of
the Dask worker, lets kernels be forked although Dask's own processes may have no children, and
leaves no module of an earlier version of the course behind.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


class Courier(WorkerPlugin):
    """The course on one worker, with one grading process for each of the worker's threads.

    Args:
        name: under which the worker keeps it, one for each session of the grader.
        key: content hash of the archive; workers unpack each content once.
        archive: zip file, see `grader.harness.carrier`.
    """

    def __init__(self, name: str, key: str, archive: bytes) -> None:
        self.name = name
        self.key = key
        self.archive = archive

    def setup(self, worker: Any) -> None:
        """Unpack the archive below the worker's own folder."""
        self._folder = unpack(self.archive, Path(worker.local_directory), self.key)
        self._lock = threading.Lock()
        self._idle: list[Runner] = []
        self._all: set[Runner] = set()
        self._closed = False

    def teardown(self, worker: Any) -> None:
        """End the grading processes, whatever they do."""
        with self._lock:
            self._closed = True
            ending, self._all = self._all, set()
        for runner in ending:
            runner.end()

    def carry(self, request: bytes, seconds: float) -> bytes:
        """Have one request answered by a grading process.

        Returns:
            The answer; empty when there was none within the time, after which the process is
            ended.

        Raises:
            ConnectionError: the process died over it.
        """
        runner = self._take()
        try:
            reply = runner.ask(request, seconds)
        except (OSError, EOFError):
            with self._lock:
                self._all.discard(runner)
            raise ConnectionError(f"the grading process ended with {runner.end()}") from None
        with self._lock:
            if reply:
                self._idle.append(runner)
            else:
                self._all.discard(runner)
        if not reply:
            runner.end()
        return reply

    def _take(self) -> Runner:
        with self._lock:
            if self._closed:
                raise ConnectionError("the grader has closed its session on this worker")
            while self._idle:
                runner = self._idle.pop()
                if runner.alive():
                    return runner
                self._all.discard(runner)
                runner.end()
            runner = Runner(self._folder)
            self._all.add(runner)
            return runner


class Runner:
    """A process of `grader.harness.runner` that works on the unpacked course."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = Pipe()
        # It reads its standard input only to learn that this process has ended, however that was.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "grader.harness.runner", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            env=environment(folder, os.environ),
            start_new_session=True,
        )
        theirs.close()
        self._connection = ours

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: bytes, seconds: float) -> bytes:
        self._connection.send_bytes(request)
        return self._connection.recv_bytes() if self._connection.poll(seconds) else b""

    def end(self) -> int:
        """End the process and what it started; return its exit status."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            return self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._connection.close()


def environment(folder: Path, variables: Any) -> dict[str, str]:
    """A worker's environment for a grading process: this course first, all threads pinned alike.

    The number of threads is what the worker has in OMP_NUM_THREADS, which Dask sets to 1.
    """
    kept = {name: value for name, value in variables.items() if name != "CNN_CLINIC_LABS"}
    path = os.pathsep.join(filter(None, [str(folder), kept.get("PYTHONPATH", "")]))
    threads = kept.get("OMP_NUM_THREADS", "1")
    return dict.fromkeys(_THREADS, threads) | kept | {"PYTHONPATH": path}


def unpack(archive: bytes, below: Path, key: str) -> Path:
    """Unpack the archive, unless it is there, into a folder named by its content; return that."""
    folder = below / f"cnn-clinic-{key[:16]}"
    if not folder.is_dir():
        below.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=below))
        beside.chmod(0o755)  # a kernel shut in may run as another user
        zipfile.ZipFile(io.BytesIO(archive)).extractall(beside)
        try:
            beside.rename(folder)
        except OSError:  # another session was faster
            shutil.rmtree(beside)
    return folder
