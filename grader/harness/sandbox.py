"""Bubblewrap around the server of kernels: what a submission can see, and how much it may use.

Inside there are the system's programs, this Python with its packages, the package `grader` and the
labs without their solutions, all read-only; and nothing of the course folder, the home folders or
the environment.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import os
import select
import shutil
import signal
import site
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from grader.checks import catalogue
from grader.errors import ClinicError
from grader.harness import control_group
from grader.harness import kernel_server as inside
from grader.harness.control_group import ControlGroup
from grader.harness.cores import THREADS

PROGRAM = "bwrap"
INSTALL = "install bubblewrap, for example with `apt-get install bubblewrap`"
_COURSE = "/course"  # where the package and the labs are, inside
_USER = 65534
_PREFIX = "cnn-clinic-"
_MARK = "nbgrader_config.py"  # a folder with this file is a course folder

_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = (
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
)
_MACHINE = ("/sys/devices/system/cpu", "/sys/devices/system/node")
_OWN_SETTINGS = {
    "passwd": f"learner:x:{_USER}:{_USER}::{inside.HOME}:/bin/sh\n",
    "group": f"learner:x:{_USER}:\n",
    "hosts": "127.0.0.1 localhost grader\n",
}
_KEPT = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "MPLBACKEND", "TF_CPP_MIN_LOG_LEVEL", *THREADS)
_OURS = "CNN_CLINIC_"
_NOT_INSIDE = ("CNN_CLINIC_LABS",)


@dataclass(frozen=True)
class Limits:
    """What one kernel may use, all its processes together unless it says otherwise.

    Attributes:
        memory: bytes, on top of what the imported framework takes.
        disk: bytes of the scratch folder, and of one file.
        processes: processes and threads.
        open_files: of one process.
        cpu_seconds: processor time of one process.
        seconds: time on the clock from the start of the kernel to its end.
    """

    memory: int = 4 << 30
    disk: int = 512 << 20
    processes: int = 256
    open_files: int = 1024
    cpu_seconds: int = 1800
    seconds: float = 1800.0


@cache
def why_not() -> str:
    """Return "" where a kernel can be shut in, otherwise a sentence with what mends it."""
    if not sys.platform.startswith("linux"):
        return "Shutting submissions in needs Linux; grade in a virtual machine or with `--unsafe`."
    if shutil.which(PROGRAM) is None:
        return f"Shutting submissions in needs the program {PROGRAM}; {INSTALL}."
    group = ControlGroup(1 << 30, 16)
    limited = group.limits
    group.remove()
    # The system exempts root from the limit on processes that everybody else has.
    if os.geteuid() == 0 and "pids" not in limited:
        return (
            "As root nothing would limit how many processes a submission starts, because no "
            "control group can be made here; grade as an ordinary user."
        )
    try:
        server = Server([])
        try:
            server.address.start_kernel(["--version"], {}, {}, Limits(seconds=60)).close()
        finally:
            server.close()
    except ClinicError as error:
        return str(error)
    return ""


def require() -> None:
    """Raises:
    ClinicError: submissions cannot be shut in here.
    """
    if sentence := why_not():
        raise ClinicError(sentence)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a shut-in kernel, from the one that its caller gives.

    Language, threads and such pass. A variable CNN_CLINIC_... passes when the caller gave it to
    this kernel, and stays out when it is only this process's own, as a secret may be.
    """
    kept = {name: given[name] for name in _KEPT if name in given}
    kept |= {
        name: value
        for name, value in given.items()
        if name.startswith(_OURS) and name not in _NOT_INSIDE and os.environ.get(name) != value
    }
    return kept | _fixed()


def _fixed() -> dict[str, str]:
    return {
        "PATH": os.pathsep.join([f"{sys.prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"]),
        "PYTHONPATH": os.pathsep.join([_COURSE, *map(str, _own_modules())]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": inside.HOME,
        "USER": "learner",
        "LOGNAME": "learner",
        "TMPDIR": "/tmp",
    }


def _own_modules() -> list[Path]:
    """Folders that PYTHONPATH adds, without those in which a course stands."""
    named = [Path(p).resolve() for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    return [p for p in named if p.is_dir() and not ((p / _MARK).exists() or (p / "labs").exists())]


def write_stripped_labs(source: Path, target: Path) -> None:
    """Copy of the labs what a check needs inside: the header of lab.py, and checks.py.

    Solutions, answers and calibration stay out.
    """
    for lab in catalogue.lab_ids(source):
        folder = target / lab
        folder.mkdir(parents=True)
        text = (source / lab / "lab.py").read_text(encoding="utf-8")
        _, length = catalogue.split_header(text, f"labs/{lab}/lab.py")
        header = "\n".join(text.splitlines()[:length])
        (folder / "lab.py").write_text(f"{header}\n", encoding="utf-8")
        shutil.copyfile(source / lab / "checks.py", folder / "checks.py")


def command(kernels: Path, labs: Path) -> list[str]:
    """The command line of bubblewrap, up to the program that it starts.

    Args:
        kernels: folder for sockets, the only one that can be written.
        labs: folder of the stripped labs.
    """
    line = [PROGRAM, "--unshare-all", "--unshare-user", "--new-session", "--cap-drop", "ALL"]
    line += ["--uid", str(_USER), "--gid", str(_USER), "--hostname", "grader", "--clearenv"]
    line += ["--ro-bind", "/usr", "/usr"]
    for name in _SYSTEM:
        if os.path.islink(name):
            line += ["--symlink", os.readlink(name), name]
        else:
            line += ["--ro-bind-try", name, name]
    for name in (*_SETTINGS, *_MACHINE):
        line += ["--ro-bind-try", name, name]
    # The whole proc of this machine is seen by the server only: a kernel gets one of its own,
    # which the system permits where it sees an unabridged one.
    line += ["--dev", "/dev", "--bind", "/proc", "/proc", "--tmpfs", "/tmp"]
    for name in (inside.HOME, inside.KERNEL):
        line += ["--dir", name]
    for folder in _python():
        line += ["--ro-bind", str(folder), str(folder)]
    for folder in _hidden():
        line += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    line += ["--ro-bind", str(catalogue.PACKAGE), f"{_COURSE}/grader"]
    if (catalogue.PACKAGE / "labs").is_dir():
        line += ["--tmpfs", f"{_COURSE}/grader/labs", "--remount-ro", f"{_COURSE}/grader/labs"]
    line += ["--ro-bind", str(labs), f"{_COURSE}/labs"]
    for name in _OWN_SETTINGS:
        line += ["--ro-bind", str(kernels / name), f"/etc/{name}"]
    line += ["--bind", str(kernels), inside.KERNELS]
    return [*line, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]


def _python() -> list[Path]:
    """Folders of this Python and its packages, without those that /usr holds already."""
    named: list[str | Path] = [sys.prefix, sys.base_prefix, sys.exec_prefix, *_own_modules()]
    if site.ENABLE_USER_SITE:
        named.append(site.getusersitepackages())
    folders = {Path(name) for name in named}
    return sorted(f for f in folders if f.is_dir() and not f.is_relative_to("/usr"))


def _hidden() -> list[Path]:
    """Folders with solutions that stand below a folder of this Python."""
    bound = [*_python(), Path("/usr")]
    solutions = {catalogue.labs_root(), catalogue.PACKAGE / "labs"}
    return sorted(f for f in solutions if f.is_dir() and any(f.is_relative_to(b) for b in bound))


class Server:
    """The server of kernels inside bubblewrap, as its owner sees it. It ends with its owner."""

    def __init__(self, modules: Sequence[str], variables: Mapping[str, str] = os.environ) -> None:
        """Start it; returns when it has imported the modules.

        Args:
            modules: imported before the first kernel is forked.
            variables: of these it has what `environment` lets through.

        Raises:
            ClinicError: bubblewrap refuses, or a module cannot be imported.
        """
        remove_left_behind()
        self._folder = Path(tempfile.mkdtemp(prefix=own_prefix()))
        kernels = self._folder / "k"
        kernels.mkdir()
        for name, text in _OWN_SETTINGS.items():
            (kernels / name).write_text(text)
        labs = self._folder / "labs"
        labs.mkdir()
        write_stripped_labs(catalogue.labs_root(), labs)
        own = environment(variables) | {
            "HOME": "/tmp",
            "OPENBLAS_NUM_THREADS": "1",  # more are started at import, and forks lose them
        }
        line = command(kernels, labs)
        for name, value in own.items():
            line += ["--setenv", name, value]
        line += [sys.executable, "-m", inside.__name__, *modules]
        with open(self._folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        told = self._process.stdout.read(len(inside.READY)).decode()
        if told != inside.READY:
            said = (self._folder / "log").read_text(errors="replace").strip().splitlines()
            self.close()
            raise ClinicError(
                f"Submissions cannot be shut in here ({said[-1] if said else 'no reason given'}); "
                "permit user namespaces on this machine, or grade with `--unsafe`."
            )
        self.address = ServerAddress(self._folder, self._process.pid)

    def close(self) -> None:
        """End the server with all its kernels, and remove what it left."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


_numbers = itertools.count()


@dataclass(frozen=True)
class ServerAddress:
    """Where any process of this machine has kernels of a server, whoever owns that.

    Attributes:
        folder: of the server.  process: its process number.
    """

    folder: Path
    process: int

    @property
    def runs(self) -> bool:
        try:
            handle = os.pidfd_open(self.process)
        except ProcessLookupError:
            return False
        ended = select.select([handle], [], [], 0)[0]  # also when its owner has not yet waited
        os.close(handle)
        return not ended and self.folder.exists()

    def start_kernel(
        self,
        arguments: list[str],
        connection: Mapping[str, Any],
        variables: Mapping[str, str],
        limits: Limits,
    ) -> Process:
        """Fork a kernel.

        Args:
            arguments: of ipykernel, without the connection file.
            connection: content of the connection file; its transport is "ipc", its address
                `address` of the folder returned by `new_folder`.
            variables: its whole environment.

        Raises:
            ClinicError: it could not be shut in.
        """
        folder = Path(str(connection["ip"])).parent if connection else self.new_folder()
        seen = {**connection, "ip": f"{inside.KERNEL}/{ADDRESS}"}
        (folder / inside.CONNECTION).write_text(json.dumps(seen))
        order = {
            "folder": folder.name,
            "arguments": arguments,
            "environment": dict(variables),
            "limits": asdict(limits),
        }
        return Process(self._kernels / inside.SERVER, order, folder, limits)

    def start_measuring(self) -> Connection:
        """Fork a process that answers requests, as `measuring.serve` does; no kernel sees it.

        Returns:
            The connection to it. It ends when that is closed.

        Raises:
            OSError: the server has ended.
        """
        ours, theirs = multiprocessing.Pipe()
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as request:
            request.connect(str(self._kernels / inside.SERVER))
            request.recv(inside.LONGEST_MESSAGE)
            socket.send_fds(request, [json.dumps({}).encode()], [theirs.fileno()])
        return ours

    def new_folder(self) -> Path:
        """A folder for the sockets of one kernel, which nobody else's kernel sees."""
        folder = self._kernels / f"{os.getpid()}-{next(_numbers)}"
        folder.mkdir()
        return folder

    @property
    def _kernels(self) -> Path:
        return self.folder / "k"

    def take_in(self, folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
        """Copy the files that variables of ours name into a kernel's folder.

        Returns:
            The variables, in which the copies are named as the kernel sees them.
        """
        seen = dict(variables)
        for name, value in variables.items():
            if name.startswith(_OURS) and os.path.isfile(value):
                copy = folder / os.path.basename(value)
                shutil.copyfile(value, copy)
                seen[name] = f"{inside.KERNEL}/{copy.name}"
        return seen

    def connection_file(self, folder: Path) -> Path:
        """Where the connection file of the kernel with this folder belongs, seen from outside."""
        return self.folder / f"{folder.name}.json"


ADDRESS = "s"
"""Beginning of the names of a kernel's sockets in its folder."""


def own_prefix() -> str:
    """Beginning of the names of this process's folders, by which others know whose they were."""
    return f"{_PREFIX}{os.getpid()}-"


def remove_left_behind() -> None:
    """Remove the folders and control groups of owners that were killed before they could."""
    control_group.remove_left_behind()
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        owner = folder.name.removeprefix(_PREFIX).split("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


class Process:
    """The part of `subprocess.Popen` that a provisioner uses, for a shut-in kernel.

    Its process number means something to this process only, not to the kernel.
    """

    stdin = stdout = stderr = None

    def __init__(
        self, address: Path, order: Mapping[str, Any], folder: Path, limits: Limits
    ) -> None:
        self._limits = limits
        self._folder = folder
        self._code: int | None = None
        self._reason = ""
        self._group = ControlGroup(limits.memory, limits.processes)
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._connection.settimeout(30)
        self.pid = 0
        try:
            self._connection.connect(str(address))
            self.pid = self._birth()
            self._group.add(self.pid)
            self._connection.send(json.dumps(order).encode())
            self._expect("started")
        except (OSError, ClinicError) as error:
            self.close()
            raise ClinicError(
                f"A kernel could not be shut in ({error}); permit user namespaces on this machine, "
                "or grade with `--unsafe`."
            ) from None
        self._connection.settimeout(0)

    def _birth(self) -> int:
        """The guardian's process number here, which the system tells with its first message."""
        room = socket.CMSG_SPACE(struct.calcsize("3i"))
        message, extra, _, _ = self._connection.recvmsg(inside.LONGEST_MESSAGE, room)
        self._read(message, "born")
        return next(struct.unpack("3i", data)[0] for _, _, data in extra)

    def _expect(self, what: str) -> None:
        self._read(self._connection.recv(inside.LONGEST_MESSAGE), what)

    @staticmethod
    def _read(message: bytes, what: str) -> None:
        told = json.loads(message) if message else {"error": "the server of kernels has ended"}
        if what not in told:
            raise ClinicError(told.get("error", f"it said {told}"))

    def poll(self) -> int | None:
        """The exit status as of `subprocess.Popen`: negative for a signal, None while it runs."""
        if self._code is None:
            try:
                message = self._connection.recv(inside.LONGEST_MESSAGE)
            except BlockingIOError:
                return None
            except OSError:
                message = b""
            told = json.loads(message) if message else {"ended": -signal.SIGKILL}
            code = told["ended"]
            self._code = 128 - code if code > 128 else code
            self._reason = self._why(bool(told.get("late")))
        return self._code

    def wait(self) -> int:
        while (code := self.poll()) is None:
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if number and self._code is None:
            with contextlib.suppress(OSError):
                self._connection.send(json.dumps({"signal": number}).encode())

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _why(self, late: bool) -> str:
        short = self._group.has_run_out_of()
        if late:
            return f"it ran longer than {self._limits.seconds:g} s"
        if self._code == -signal.SIGXCPU:
            return f"it used more than {self._limits.cpu_seconds} s of processor time"
        if short == "memory":
            return f"it used more than {self._limits.memory / (1 << 30):.3g} GiB of memory"
        if short == "pids":
            return f"it started more than {self._limits.processes} processes"
        return ""

    def why_ended(self) -> str:
        """Which limit ended it, as "it used more than ..."; "" while it runs, or when none did."""
        self.poll()
        return self._reason

    def close(self) -> None:
        """End it with everything that it started, and remove its folder. Again does nothing."""
        if self._connection.fileno() < 0:
            return
        self._connection.settimeout(5)
        if self.pid:
            self.kill()
            self.poll()
        self._connection.close()
        self._group.remove()
        shutil.rmtree(self._folder, ignore_errors=True)
