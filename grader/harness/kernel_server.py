"""The program inside bubblewrap: forks kernels, each into namespaces of its own.

It runs shut in already, has one thread, imports the framework, and never runs what a submission
holds. A connection to its socket that brings another connection asks for a process that measures.
Each of the others is one kernel and three processes. The guardian answers the connection and stays
outside; the init is process 1 of the kernel's own pid namespace, so whatever is left when it ends
is killed by the system; the kernel is its child, without any capability.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from grader.harness import measuring_server, namespaces

# Places inside; `grader.harness.sandbox` makes them.
KERNELS = "/run/kernels"  # the folders of all kernels, until a kernel has gone into its own
KERNEL = "/run/kernel"  # where a kernel sees its own
HOME = "/home/learner"
SERVER = "server"  # name of the socket in KERNELS
CONNECTION = "inside.json"  # name of the connection file that the kernel reads
READY = "ready"

LONGEST_MESSAGE = 1 << 16
_FILES = 1 << 17  # inodes of a scratch folder
_SET_UP_FAILED = 70


def main() -> None:
    """Import the modules named as arguments, then fork kernels until stdin closes."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{KERNELS}/{SERVER}")
    listener.listen(64)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever owns this server
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no guardian is waited for
    print(READY, flush=True)
    while True:
        readable, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in readable:
            return
        connection, _ = listener.accept()
        # A lock that another thread holds during a fork stays locked in the child for ever.
        if threads := len(os.listdir("/proc/self/task")) - 1:
            connection.send(_as_bytes(error=f"{threads} more threads run in the server of kernels"))
        elif os.fork() == 0:
            listener.close()
            _finish(_guard(connection))
        connection.close()


def _finish(code: int) -> None:
    """End this process at once, without the handlers that it, or its parent, has registered."""
    os._exit(code)


def _as_bytes(**message: Any) -> bytes:
    return json.dumps(message).encode()


def _guard(connection: socket.socket) -> int:
    """Make one kernel, pass signals on to it, and tell how it ended."""
    try:
        namespaces.end_with_parent()  # bubblewrap's own process 1 waits for whatever is left
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # The owner reads from this first message which process it has to put into a control group.
        connection.send(_as_bytes(born=True))
        message, descriptors, _, _ = socket.recv_fds(connection, LONGEST_MESSAGE, 1)
        if descriptors:
            connection.close()
            measuring_server.serve(Connection(descriptors[0]))
            return 0
        order = json.loads(message)
        namespaces.leave_for_own()
        inside, outside = socket.socketpair()
        init = os.fork()
        if init == 0:
            connection.close()
            outside.close()
            _finish(_be_init(order, inside))
        inside.close()
        if problem := outside.recv(LONGEST_MESSAGE).decode():
            connection.send(_as_bytes(error=problem))
            return 1
        outside.close()
        connection.send(_as_bytes(started=True))
        late = _attend(connection, init, order["limits"]["seconds"])
        _, status = os.waitpid(init, 0)
        connection.send(_as_bytes(ended=os.waitstatus_to_exitcode(status), late=late))
    except OSError as error:
        # With the owner gone there is nobody to tell; the init ends with this process.
        try:
            connection.send(_as_bytes(error=str(error)))
        except OSError:
            return 1
    return 0


def _attend(connection: socket.socket, init: int, seconds: float) -> bool:
    """Pass on signals until the init has ended; return whether its time was over."""
    end = time.monotonic() + seconds
    handle = os.pidfd_open(init)
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    waiting.register(connection, select.POLLIN)
    while True:
        left = end - time.monotonic()
        events = [number for number, _ in waiting.poll(max(0.0, left) * 1000)]
        if handle in events:
            return False
        message = connection.recv(LONGEST_MESSAGE) if events else b""
        if not message:  # the time is over, or the owner has gone
            os.kill(init, signal.SIGKILL)
            return not events
        os.kill(init, json.loads(message)["signal"])


def _be_init(order: Mapping[str, Any], guardian: socket.socket) -> int:
    """Shut this process namespace in, start the kernel, reap orphans, end with the kernel."""
    try:
        namespaces.end_with_parent()
        _furnish(order["folder"], order["limits"])
        _limit(order["limits"])
        beside, ours = socket.socketpair()
        kernel = os.fork()
    except OSError as error:
        guardian.send(f"{error}".encode())
        return _SET_UP_FAILED
    if kernel == 0:
        guardian.close()
        ours.close()
        try:
            _be_kernel(order["arguments"], order["environment"], beside)
        finally:
            _finish(1)
    beside.close()

    def pass_on(number: int, frame: object) -> None:
        try:
            os.killpg(kernel, number)
        except ProcessLookupError:  # before it has a process group of its own
            os.kill(kernel, number)

    signal.signal(signal.SIGINT, pass_on)
    signal.signal(signal.SIGTERM, pass_on)
    guardian.close()
    if ours.recv(1):
        # Its sockets are there; from here on nothing outside the scratch folder can be written.
        namespaces.make_read_only(KERNEL)
        namespaces.drop_capabilities()
        ours.send(b"1")
    ours.close()
    while True:
        ended, status = os.wait()
        if ended == kernel:
            code = os.waitstatus_to_exitcode(status)
            # Process 1 cannot end by a signal of its own, so it says the signal as a shell does.
            return code if code >= 0 else 128 - code


def _furnish(folder: str, limits: Mapping[str, Any]) -> None:
    """Mount what one kernel has for itself: scratch space, sockets, and its own processes."""
    namespaces.start_loopback()
    namespaces.bind(f"{KERNELS}/{folder}", KERNEL)
    namespaces.mount("tmpfs", KERNELS, "size=4k")
    namespaces.make_read_only(KERNELS)
    size = f"size={limits['disk']},nr_inodes={_FILES},mode=700"
    namespaces.mount("tmpfs", HOME, size)
    for name in ("work", "tmp"):
        Path(HOME, name).mkdir()
    namespaces.bind(f"{HOME}/tmp", "/tmp")
    namespaces.mount("tmpfs", "/dev/shm", size)
    namespaces.mount("proc", "/proc")
    # Short of memory, the system ends this kernel rather than whoever grades.
    Path("/proc/self/oom_score_adj").write_text("1000")
    namespaces.forbid_more_namespaces()
    namespaces.make_read_only("/proc")


def _limit(limits: Mapping[str, Any]) -> None:
    """Limit this process and its children; what the framework takes already is not counted."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    taken = pages * resource.getpagesize()
    for what, most in (
        (resource.RLIMIT_AS, taken + limits["memory"]),
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_FSIZE, limits["disk"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    # The signal of the soft limit tells this end from others; the hard limit cannot be ignored.
    seconds = limits["cpu_seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 2))


def _be_kernel(arguments: list[str], environment: Mapping[str, str], init: socket.socket) -> None:
    namespaces.drop_capabilities()
    os.setsid()  # interrupts go to the kernel's whole group
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(f"{HOME}/work")
    # ipykernel and NumPy are there already, as modules that the server was told to import.
    import numpy as np
    from ipykernel.kernelapp import IPKernelApp

    np.random.seed()  # forks would share its state; Python reseeds its own
    app = IPKernelApp.instance()
    app.initialize(["-f", f"{KERNEL}/{CONNECTION}", *arguments])
    init.send(b"1")
    init.recv(1)
    init.close()
    app.start()
    _finish(0)


if __name__ == "__main__":
    main()
    _finish(0)  # a framework takes more than a second to be taken down in order
