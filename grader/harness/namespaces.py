"""Linux namespaces, mounts and capabilities, for a process that shuts itself in.

Only the standard library: these calls run between a fork and the first line of a submission.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

# From the kernel's headers sched.h, mount.h, prctl.h, sockios.h and if.h.
_NEW = {
    "mount": 0x00020000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
READ_ONLY, NO_SETUID, NO_DEVICES = 1, 2, 4
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 32, 4096, 16384, 1 << 18
_SET_PDEATHSIG, _CAPBSET_DROP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = 1, 24, 38, 47
_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40


def _call(name: str, *arguments: object) -> None:
    """Call a function of the C library.

    Raises:
        OSError: it failed.
    """
    if getattr(_libc, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _prctl(option: int, *arguments: int) -> None:
    values = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    _call("prctl", ctypes.c_int(option), *values)


def leave_for_own() -> None:
    """Move this process into new user, mount, ipc, net and uts namespaces, its children into a
    new pid namespace as well. The process keeps its user and group and has every capability there.

    Raises:
        OSError: the system refuses.
    """
    user, group = os.geteuid(), os.getegid()
    _call("unshare", ctypes.c_int(sum(_NEW.values())))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _call("mount", None, b"/", None, ctypes.c_ulong(_RECURSIVE | _PRIVATE), None)


def mount(kind: str, target: str, options: str = "") -> None:
    """Mount a new file system, "tmpfs" or "proc"; nothing on it is a device or raises rights."""
    flags = NO_SETUID | NO_DEVICES
    _call(
        "mount", kind.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags),
        options.encode(),
    )  # fmt: skip


def bind(source: str, target: str) -> None:
    """Show a folder at another place too."""
    _call("mount", source.encode(), target.encode(), None, ctypes.c_ulong(_BIND), None)


def make_read_only(target: str) -> None:
    """Forbid writing below a mount point, for all processes of this mount namespace."""
    flags = _REMOUNT | _BIND | READ_ONLY | NO_SETUID | NO_DEVICES
    _call("mount", None, target.encode(), None, ctypes.c_ulong(flags), None)


def forbid_more_namespaces() -> None:
    """Let nobody in this user namespace make another one, in which it would be root again.

    Needs this namespace's own proc, writable.
    """
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def drop_capabilities() -> None:
    """Give up every capability, and the way to any by a program's set-user-ID bit."""
    _prctl(_CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL)
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        _prctl(_CAPBSET_DROP, capability)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    _call("capset", header, bytes(24))
    _prctl(_SET_NO_NEW_PRIVS, 1)


def end_with_parent() -> None:
    """Let the system kill this process when its parent ends."""
    _prctl(_SET_PDEATHSIG, signal.SIGKILL)


def start_loopback() -> None:
    """Let processes of this network namespace talk to one another, and to nobody else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", _IFF_UP | _IFF_RUNNING)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
