"""Kernels that start warm: forked from a process that has already imported the framework.

`start_warm` forks them beside this process, `start_shut_in` inside bubblewrap.

An ordinary Jupyter kernel provisioner, so nbgrader, nbclient and papermill use it unchanged. The
standard library's fork server does the forking: it is one process with one thread that has
imported what every notebook of a lab imports, and has run no operation of the framework.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Mapping
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from grader.errors import ClinicError
from grader.harness import sandbox
from grader.harness.secrets import kept_from_forks

PROVISIONER = "cnn-clinic-warm"
"""Name of the entry point under `jupyter_client.kernel_provisioners`."""
SHUT_IN = "cnn-clinic-shut-in"
"""The same for kernels inside bubblewrap."""
_USUAL = "local-provisioner"  # jupyter_client's own

# The second line is what a kernel imports when it is made, .2 s of processor time.
_PRELOAD = (
    *("ipykernel.kernelapp", "ipykernel.ipkernel", "grader.checks.session"),
    *("ipykernel.debugger", "IPython.core.completerlib", "IPython.extensions.storemagic", "psutil"),
)
_started: tuple[str, bool] | None = None  # the framework of kernels that start warm; if shut in

# ipykernel would set it before matplotlib is imported, which a forked kernel has behind it.
_BACKEND = "module://matplotlib_inline.backend_inline"


def start_warm(framework: str) -> None:
    """Let every kernel that this process starts from now on be forked with a framework imported.

    Returns when the import is done, so that no kernel's start waits for it with its ports chosen
    and its time limit running. Thread counts of the numerical libraries are read at import: set
    their environment variables before.
    """
    global _started
    _provide(PROVISIONER)
    os.environ.setdefault("MPLBACKEND", _BACKEND)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOAD, f"grader.frameworks.{framework}.warm"])
    first = context.Process(target=_do_nothing)
    with kept_from_forks():
        first.start()
    first.join()
    _started = (framework, False)


def _provide(provisioner: str) -> None:
    """Let kernels whose specification names no provisioner come from this one.

    The variable is for processes to come; this one's factory may be there already, and has read it.
    """
    os.environ[KernelProvisionerFactory.default_provisioner_name_env] = provisioner
    KernelProvisionerFactory.instance().default_provisioner_name = provisioner


def _do_nothing() -> None:
    """A first fork, which the server makes when it has imported everything."""


class _PromptProvisioner(LocalProvisioner):
    """Returns when a kernel that it killed has ended; the manager looks every tenth of a second."""

    async def kill(self, restart: bool = False) -> None:
        await super().kill(restart)
        end = time.monotonic() + 1
        while await self.poll() is None and time.monotonic() < end:
            await asyncio.sleep(0.005)


class WarmProvisioner(_PromptProvisioner):
    """Forks IPython kernels; a kernel of another language is started as usual."""

    process: Any

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        if "ipykernel_launcher" not in cmd or "-f" not in cmd:
            return await super().launch_kernel(cmd, **kwargs)
        folder = str(kwargs.get("cwd") or os.getcwd())
        environment = dict(kwargs.get("env") or os.environ)
        arguments = cmd[cmd.index("-f") :]
        process = multiprocessing.get_context("forkserver").Process(
            target=_run_kernel, args=(arguments, environment, folder), name="kernel"
        )
        process.start()
        self.process = _Popen(process)
        self.pid = self.pgid = process.pid
        self.cwd = folder
        return self.connection_info


class _Popen:
    """The part of `subprocess.Popen` that a local provisioner uses, for a forked process."""

    stdin = stdout = stderr = None

    def __init__(self, process: Any) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        code: int | None = self._process.exitcode
        return code

    def wait(self) -> int | None:
        self._process.join()
        return self.poll()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run_kernel(arguments: list[str], environment: Mapping[str, str], folder: str) -> None:
    """Be a kernel, in the forked process."""
    import numpy as np
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()  # interrupts and kills go to the kernel's whole group
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the fork server ignores it
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    np.random.seed()  # forks would share its state; Python reseeds its own
    threading.Thread(target=_end_with_owner, daemon=True).start()
    # ipykernel has read JPY_PARENT_PID already, when it was imported.
    IPKernelApp.launch_instance(argv=arguments, parent_handle=os.getppid())


def _end_with_owner() -> None:
    """End this kernel when the process that asked for it has ended, however that was."""
    owner = multiprocessing.parent_process()
    assert owner is not None
    multiprocessing.connection.wait([owner.sentinel])
    os.killpg(os.getpgid(0), signal.SIGKILL)


def shut_in_server(framework: str, variables: Mapping[str, str]) -> sandbox.Server:
    """A server of shut-in kernels that has imported a framework, "" for none.

    Args:
        variables: its environment; thread counts of the numerical libraries are read at import.

    Raises:
        ClinicError: kernels cannot be shut in here; see `sandbox.why_not`.
    """
    modules = (*_PRELOAD, f"grader.frameworks.{framework}.warm") if framework else _PRELOAD
    return sandbox.Server(modules, {"MPLBACKEND": _BACKEND, **variables})


_server: sandbox.Server | None = None  # this process's own
_address: sandbox.ServerAddress | None = None
_framework = ""
_limits = sandbox.Limits()


def start_shut_in(
    framework: str,
    limits: sandbox.Limits = _limits,
    address: sandbox.ServerAddress | None = None,
) -> None:
    """Let every kernel that this process starts from now on be shut in, and start warm there.

    Returns when the framework has been imported inside.

    Args:
        framework: "pytorch", "tensorflow", or "" for none.
        address: of a server that another process owns, used for as long as it runs; without one
            this process starts its own.

    Raises:
        ClinicError: kernels cannot be shut in here; see `sandbox.why_not`.
    """
    global _address, _framework, _limits, _started
    stop_shut_in()
    _address, _framework, _limits = address, framework, limits
    os.environ.setdefault("MPLBACKEND", _BACKEND)
    # The sandbox shows no accelerator; what measures beside it computes on the same device.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    _running_server()
    _provide(SHUT_IN)
    _started = (framework, True)


def stop_shut_in() -> None:
    """End the server of shut-in kernels with all of them; later kernels start as is usual."""
    global _server, _address, _started
    if _server is not None:
        _server.close()
    _server = _address = _started = None
    if os.environ.get(KernelProvisionerFactory.default_provisioner_name_env) == SHUT_IN:
        _provide(_USUAL)


def _running_server() -> sandbox.ServerAddress:
    """The server in use; one of this process's own when there is none yet, or it has ended."""
    global _server, _address
    if _address is None or not _address.runs:
        if _server is not None:
            _server.close()
        _server = shut_in_server(_framework, os.environ)
        atexit.register(_server.close)
        _address = _server.address
    return _address


def ensure_started(framework: str, shut_in: bool) -> None:
    """Let the kernels of this process start warm, unless that is so already.

    Args:
        shut_in: whether they are to be shut in.

    Raises:
        ClinicError: kernels cannot be shut in here; see `sandbox.why_not`.
    """
    if _started == (framework, shut_in):
        return
    if shut_in:
        sandbox.require()
        start_shut_in(framework)
    else:
        start_warm(framework)


def server_with(framework: str) -> sandbox.ServerAddress | None:
    """The server of shut-in kernels that has imported a framework; None where there is none."""
    return _running_server() if _address is not None and framework == _framework else None


class ShutInProvisioner(_PromptProvisioner):
    """Forks IPython kernels inside bubblewrap. Their working folder is their own scratch folder.

    The kernel shares no file with this process but its sockets; it has a copy of each file that a
    variable CNN_CLINIC_... names.
    """

    process: Any
    ended: sandbox.Process | None = None  # the same, kept when jupyter_client lets go of it

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        manager: Any = self.parent
        self.server = _running_server()
        self.folder = self.server.new_folder()
        manager.transport = "ipc"
        manager.ip = str(self.folder / sandbox.ADDRESS)
        manager.connection_file = str(self.server.connection_file(self.folder))
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        if "ipykernel_launcher" not in cmd or "-f" not in cmd:
            raise ClinicError(
                f"The kernel {self.kernel_spec.display_name!r} is not IPython's and cannot be "
                "shut in; use the kernel 'python3'."
            )
        variables = sandbox.environment(kwargs.get("env") or os.environ)
        try:
            self.process = self.ended = self.server.start_kernel(
                cmd[cmd.index("-f") + 2 :],
                json.loads(self.server.connection_file(self.folder).read_text()),
                self.server.take_in(self.folder, variables),
                _limits,
            )
        except ClinicError as error:  # a matter of this kernel; the next may start
            raise RuntimeError(str(error)) from None
        self.pid = self.process.pid
        self.cwd = str(self.folder)
        return self.connection_info

    def why_ended(self) -> str:
        """Which limit ended the kernel, as "it used more than ..."; "" when none did."""
        return self.ended.why_ended() if self.ended is not None else ""

    async def cleanup(self, restart: bool = False) -> None:
        await super().cleanup(restart)
        if self.ended is not None:
            self.ended.close()
