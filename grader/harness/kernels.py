"""Kernels that start warm: forked from a process that has already imported the framework.

An ordinary Jupyter kernel provisioner, so nbgrader, nbclient and papermill use it unchanged. The
standard library's fork server does the forking: it is one process with one thread that has
imported what every notebook of a lab imports, and has run no operation of the framework.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner
from jupyter_client.provisioning.factory import KernelProvisionerFactory

from grader.harness.secrets import kept_from_forks

PROVISIONER = "cnn-clinic-warm"
"""Name of the entry point under `jupyter_client.kernel_provisioners`."""

_PRELOAD = ("ipykernel.kernelapp", "ipykernel.ipkernel", "grader.checks.session")
# ipykernel would set it before matplotlib is imported, which a forked kernel has behind it.
_BACKEND = "module://matplotlib_inline.backend_inline"


def start_warm(framework: str) -> None:
    """Let every kernel that this process starts from now on be forked with a framework imported.

    Returns when the import is done, so that no kernel's start waits for it with its ports chosen
    and its time limit running. Thread counts of the numerical libraries are read at import: set
    their environment variables before.
    """
    os.environ[KernelProvisionerFactory.default_provisioner_name_env] = PROVISIONER
    os.environ.setdefault("MPLBACKEND", _BACKEND)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOAD, f"grader.frameworks.{framework}.warm"])
    first = context.Process(target=_do_nothing)
    with kept_from_forks():
        first.start()
    first.join()


def _do_nothing() -> None:
    """A first fork, which the server makes when it has imported everything."""


class WarmProvisioner(LocalProvisioner):
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
