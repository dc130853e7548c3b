"""Kernels shut in by bubblewrap: what they can do, what they cannot, and how they end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from grader.checks import catalogue
from grader.errors import ClinicError
from grader.frameworks import NAMES
from grader.harness import kernels, sandbox
from grader.harness.sandbox import Limits

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("_light_server")]

SMALL = Limits(memory=300 << 20, disk=20 << 20, processes=60, seconds=60, cpu_seconds=30)


class Ran:
    """A notebook that was run in a shut-in kernel.

    Attributes:
        printed: for each cell, what it printed, or the name of the error that it raised.
        error: name of the error that ended the run, "" for none.
        reason: which limit ended the kernel, "" for none.
    """

    def __init__(self, cells: list[str], **options: Any) -> None:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            allow_errors=True,
            shutdown_kernel="immediate",
            **{"timeout": 60, **options},
        )
        self.error = self.reason = ""
        provisioner: Any = None

        def remember(**_: Any) -> None:
            nonlocal provisioner
            provisioner = client.km.provisioner
            # What these tests run must never run anywhere else.
            assert isinstance(provisioner, kernels.ShutInProvisioner)

        client.on_notebook_start = remember
        try:
            client.execute()
        except (CellTimeoutError, DeadKernelError) as error:
            self.error = type(error).__name__
            self.reason = provisioner.why_ended()
        self.printed = [
            "".join(
                o.get("text", o.get("ename", "")) for o in cell.outputs if o.get("name") != "stderr"
            )
            for cell in notebook.cells
        ]


def printed(*cells: str, **options: Any) -> str:
    """What the last of the cells printed, or the name of the error that it raised."""
    return Ran(list(cells), **options).printed[-1].strip()


@pytest.fixture(scope="module")
def _light_server(shut_in: None) -> Iterator[None]:
    """A server without a framework, for all tests that need none."""
    kernels.start_shut_in("", SMALL)
    yield
    kernels.stop_shut_in()


@contextmanager
def shutting_in(framework: str = "", limits: Limits = SMALL) -> Iterator[None]:
    """Another server for a while, then one without a framework again."""
    kernels.start_shut_in(framework, limits)
    try:
        yield
    finally:
        kernels.start_shut_in("", SMALL)


def still_works() -> bool:
    return printed("print(6 * 7)") == "42"


# What it sees


def test_there_is_no_network() -> None:
    cell = """
import socket
def fails(call):
    try: call()
    except OSError: return True
print(
    fails(lambda: socket.create_connection(("1.1.1.1", 53), timeout=2)),
    fails(lambda: socket.getaddrinfo("example.org", 80)),
    [name for _, name in socket.if_nameindex()],
)"""
    assert printed(cell) == "True True ['lo']"


def test_processes_of_one_kernel_reach_one_another_over_the_loopback() -> None:
    cell = """
import socket
server = socket.create_server(("localhost", 0))
print(socket.create_connection(server.getsockname(), timeout=2).getpeername()[0])"""
    assert printed(cell) == "127.0.0.1"


def test_nothing_outside_the_scratch_folder_can_be_written() -> None:
    cell = """
import os
written = set()
for root, folders, files in os.walk("/"):
    if root.startswith(("/home/learner", "/tmp", "/dev/shm")) or root == "/":
        continue
    folders[:] = [f for f in folders if os.path.join(root, f) not in ("/proc", "/sys")]
    if len(written) > 5:
        break
    try:
        open(os.path.join(root, "planted"), "w"); written.add(root)
    except OSError: pass
for name in ("/planted", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", os.__file__):
    try:
        open(name, "r+" if os.path.exists(name) else "w"); written.add(name)
    except OSError: pass
print(written)"""
    assert printed(cell, timeout=120) == "set()"


def test_the_scratch_folder_is_home_and_working_folder_and_begins_empty() -> None:
    cell = """
import os, tempfile
print(os.getcwd(), os.listdir(), os.path.expanduser("~"))
open("mine", "w").write("x"); open("/tmp/mine", "w").write("x")
tempfile.TemporaryFile().write(b"x")"""
    for _ in range(2):
        assert printed(cell) == "/home/learner/work [] /home/learner"


def test_it_has_its_own_user_processes_and_host_name_and_no_capability() -> None:
    cell = """
import os, socket
status = dict(l.split(":\\t") for l in open("/proc/self/status").read().splitlines() if ":\\t" in l)
processes = [n for n in os.listdir("/proc") if n.isdigit()]
print(os.getuid(), len(processes), socket.gethostname(), status["NoNewPrivs"],
      *{int(status[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")})"""
    assert printed(cell) == "65534 2 grader 1 0"


def test_it_cannot_become_root_in_namespaces_of_its_own() -> None:
    cell = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.unshare(0x10000000), libc.unshare(0x00020000),
      libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None))"""
    assert printed(cell) == "-1 -1 -1"


SEARCH = """
import os
found = []
for root, folders, files in os.walk("/"):
    folders[:] = [f for f in folders if not os.path.ismount(os.path.join(root, f)) or f != "proc"]
    found += [os.path.join(root, f) for f in files + folders if {0}]
print(found)"""


def test_it_sees_no_file_of_the_course_folder_or_of_home(tmp_path: Path) -> None:
    (tmp_path / "planted-secret.txt").write_text("gradebook")
    home = Path.home() / ".planted-secret.txt"
    home.write_text("key")
    try:
        assert printed(SEARCH.format("'planted-secret' in f"), timeout=120) == "[]"
        assert printed(f"open({str(tmp_path / 'planted-secret.txt')!r})") == "FileNotFoundError"
        shown = printed(f"import os; print(os.listdir({os.getcwd()!r}))")
        # This Python may stand in the course folder; then the way to it can be seen.
        python, here = Path(sys.prefix), Path.cwd()
        inside = python.is_relative_to(here) and [python.relative_to(here).parts[0]]
        assert shown == str(inside or "FileNotFoundError")
    finally:
        home.unlink()


def test_it_sees_no_answers_calibration_solutions_or_gradebook() -> None:
    names = {"answers", "calibration", "solutions", "submitted", "gradebook.db", ".cnn-clinic"}
    test = f"(f in {names!r} and 'site-packages' not in root and '/lib/python' not in root)"
    assert printed(SEARCH.format(test), timeout=120) == "[]"


def test_a_lab_opens_without_its_solution() -> None:
    cell = """
from pathlib import Path
from grader.checks import catalogue
root = catalogue.labs_root()
print(len(catalogue.lab_ids()), all(catalogue.read_header(lab) for lab in catalogue.lab_ids()),
      any("SOLUTION" in p.read_text() or "%%" in p.read_text() for p in root.glob("*/*/lab.py")),
      {p.name for p in root.glob("*/*/*")})"""
    expected = f"{len(catalogue.lab_ids())} True False "
    shown = printed(cell)
    assert shown.startswith(expected)
    assert sorted(eval(shown.removeprefix(expected))) == ["checks.py", "lab.py"]


def test_it_sees_no_variable_of_the_grader_but_those_given_to_this_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLANTED_SECRET", "abc")
    monkeypatch.setenv("CNN_CLINIC_SEED", "secret of the class")
    given = {**os.environ, "CNN_CLINIC_OTHER": "for this one"}
    allowed = sandbox.environment(given)
    assert "PLANTED_SECRET" not in allowed
    assert "CNN_CLINIC_SEED" not in allowed
    assert allowed["CNN_CLINIC_OTHER"] == "for this one"
    with shutting_in():
        shown = printed(
            "import os\nprint('abc' in os.environ.values(), 'CNN_CLINIC_SEED' in os.environ)",
            "import glob\n"
            "print(any(b'PLANTED' in open(f, 'rb').read() for f in glob.glob('/proc/*/environ')))",
        )
    assert shown == "False"


def test_it_cannot_reach_the_memory_of_the_grader() -> None:
    cell = f"""
import os
print(os.path.exists("/proc/{os.getpid()}/mem"), os.listdir("/run"), os.listdir("/run/kernels"))
try: open("/proc/1/mem", "rb+", buffering=0).read(1)
except OSError as error: pass
os.kill({os.getpid()}, 0)"""
    shown = printed(cell)
    assert shown.startswith("False")
    assert "[]" in shown.splitlines()[0]
    assert shown.endswith("ProcessLookupError")


def test_kernels_at_the_same_time_see_nothing_of_one_another() -> None:
    from concurrent.futures import ThreadPoolExecutor

    plant = "import time; open('/tmp/secret-of-a', 'w').write('x'); time.sleep({}); print('a')"
    look = """
import os, time
time.sleep(1)
print(sum(n.isdigit() for n in os.listdir("/proc")), os.listdir("/tmp"),
      sorted(os.listdir("/run/kernel")))"""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(printed, plant.format(3))
        second = pool.submit(printed, look)
        assert second.result().startswith("2 [] ['inside.json', ")
        assert "outside" not in second.result()
        assert first.result() == "a"


# How it ends


@pytest.mark.parametrize(
    "cell",
    [
        "import os\nwhile True: os.fork()",
        "import os, time\nfor _ in range(500):\n    if os.fork() == 0: time.sleep(60)",
        "import threading, time\n"
        "for _ in range(500): threading.Thread(target=time.sleep, args=(60,)).start()",
    ],
    ids=["forks of forks", "children", "threads"],
)
def test_a_fork_bomb_ends_with_a_reason(cell: str) -> None:
    ran = Ran([cell], timeout=5)
    assert ran.printed[0] in ("BlockingIOError", "RuntimeError", "OSError") or ran.error
    assert still_works()


def test_a_memory_bomb_in_one_process_is_an_error_of_its_cell() -> None:
    ran = Ran(["held = [bytearray(50 << 20) for _ in range(100)]", "print('alive')"])
    assert ran.printed == ["MemoryError", "alive\n"]


def test_a_memory_bomb_of_many_processes_loses_those_that_do_not_fit() -> None:
    group = sandbox.ControlGroup(SMALL.memory, SMALL.processes)
    limited = group.limits
    group.remove()
    if "memory" not in limited:
        pytest.skip("no control group for memory can be made here")
    # Each is well below what one process may have; of twenty the group has room for seven at most.
    bomb = """
import os, time
for _ in range(20):
    if os.fork() == 0:
        try:
            held = bytearray(b"x") * (40 << 20); time.sleep(600)
        finally:
            os._exit(0)
print([os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]) for _ in range(13)])"""
    ran = Ran([bomb, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
    assert ran.printed[0] == f"{13 * [-signal.SIGKILL]}\n"
    assert (ran.error, ran.reason) == ("DeadKernelError", "it used more than 0.293 GiB of memory")
    assert still_works()


@pytest.mark.parametrize("place", ["", "/tmp/", "/dev/shm/", "/home/learner/"])
def test_a_disk_filler_is_an_error_of_its_cell(place: str) -> None:
    many = f"""
for i in range(1000):
    with open("{place}%d" % i, "wb") as file: file.write(bytes(1 << 20))"""
    assert printed(many) == "OSError"
    assert still_works()


def test_many_empty_files_are_an_error_of_their_cell() -> None:
    cell = """
try:
    for i in range(10**6): open(str(i), "w").close()
except OSError as error: print(error.strerror)"""
    assert printed(cell) == "No space left on device"
    assert still_works()


def test_too_many_open_files_are_an_error_of_their_cell() -> None:
    assert printed("held = [open('/dev/null') for _ in range(5000)]") == "OSError"


def test_an_endless_loop_is_interrupted_and_the_next_cell_runs() -> None:
    ran = Ran(["while True: pass", "print('on')"], timeout=2, interrupt_on_timeout=True)
    assert ran.printed == ["KeyboardInterrupt", "on\n"]


def test_a_kernel_that_ignores_interrupts_is_killed_by_the_time_limit() -> None:
    cell = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)"
    start = time.monotonic()
    ran = Ran([cell, "print('on')"], timeout=2)
    assert ran.error == "CellTimeoutError"
    assert time.monotonic() - start < 60
    assert still_works()


def test_a_kernel_is_ended_when_its_whole_time_is_over() -> None:
    with shutting_in(limits=Limits(seconds=2)):
        ran = Ran(["import time; time.sleep(600)"])
    assert (ran.error, ran.reason) == ("DeadKernelError", "it ran longer than 2 s")


def test_a_kernel_is_ended_when_its_processor_time_is_used_up() -> None:
    with shutting_in(limits=Limits(cpu_seconds=2)):
        ran = Ran(["while True: pass"])
    assert ran.error == "DeadKernelError"
    assert ran.reason == "it used more than 2 s of processor time"


@pytest.mark.parametrize(
    "cell",
    [
        "import os; os._exit(0)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import os, signal; os.kill(0, signal.SIGKILL)",
        "import ctypes; ctypes.string_at(0)",
    ],
)
def test_a_kernel_that_dies_is_noticed(cell: str) -> None:
    assert Ran([cell]).error == "DeadKernelError"
    assert still_works()


def _command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines


def test_a_daemon_that_is_left_behind_is_gone_with_its_kernel() -> None:
    mark = f"987{os.getpid()}"
    cell = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sleep", ["sleep", "{mark}"])
    os._exit(0)
time.sleep(1)
numbers = [n for n in os.listdir("/proc") if n.isdigit()]
print(any("{mark}" in open(f"/proc/{{n}}/cmdline").read() for n in numbers))"""
    assert printed(cell) == "True"
    assert not any(line.startswith(f"sleep {mark}") for line in _command_lines())


def test_the_death_of_the_server_is_noticed_and_the_next_kernel_has_a_new_one() -> None:
    with shutting_in():
        assert still_works()
        server = kernels._server
        assert server is not None
        os.kill(server._process.pid, signal.SIGKILL)
        server._process.wait()
        assert still_works()
        assert kernels._server is not server


def test_a_server_that_dies_under_a_kernel_ends_the_kernel() -> None:
    from concurrent.futures import ThreadPoolExecutor

    mark = f"765{os.getpid()}"
    patient = replace(SMALL, seconds=300)  # no limit ends the kernel in the time of this test
    with shutting_in(limits=patient), ThreadPoolExecutor(1) as pool:
        running = pool.submit(Ran, [f"import os; os.system('sleep {mark}')"], timeout=300)
        assert _happens(lambda: _sleeps(mark))
        assert kernels._server is not None
        # bubblewrap, its process 1, and as whose child the server runs
        init = psutil.Process(kernels._server.address.process).children()[0]
        init.children()[0].kill()
        ran = running.result(timeout=60)
        assert (ran.error, ran.reason) == ("DeadKernelError", "")
        assert _happens(lambda: not _sleeps(mark))


def test_kernels_end_with_a_grader_that_is_killed() -> None:
    mark = f"876{os.getpid()}"
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import nbformat.v4 as v4\n"
        "from nbclient import NotebookClient\n"
        "from grader.harness import kernels\n"
        "kernels.start_shut_in('')\n"
        f"cell = v4.new_code_cell('import os; os.system(\"sleep {mark}\")')\n"
        "NotebookClient(v4.new_notebook(cells=[cell]), kernel_name='python3').execute()\n"
    )
    owner = subprocess.Popen([sys.executable, "-c", program])
    assert _happens(lambda: _sleeps(mark))
    owner.kill()
    owner.wait()
    assert _happens(lambda: not _sleeps(mark))


def _happens(what: Callable[[], bool]) -> bool:
    """Wait for it, a minute at most."""
    deadline = time.monotonic() + 60
    while not what() and time.monotonic() < deadline:
        time.sleep(0.1)
    return what()


def _sleeps(mark: str) -> bool:
    return any(line.startswith(f"sleep {mark}") for line in _command_lines())


def test_nothing_is_left_of_kernels_and_their_server() -> None:
    folder = None
    with shutting_in():
        assert still_works()
        assert kernels._server is not None
        folder = kernels._server.address.folder
        left = {p.name for p in (folder / "k").iterdir() if p.is_dir()}
        assert left == set()
    assert not folder.exists()


def test_without_bubblewrap_there_is_a_sentence_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    sentence = sandbox.why_not.__wrapped__()
    assert "apt-get install bubblewrap" in sentence
    assert sentence.endswith(".")


def test_a_framework_that_cannot_be_imported_is_said_in_one_sentence() -> None:
    with pytest.raises(ClinicError, match=r"No module named 'grader\.frameworks\.abacus'"):
        kernels.start_shut_in("abacus")


# The frameworks

TRAIN = (
    "import numpy as np; from grader.frameworks import {0} as fw\n"
    "fw.set_seed(0); model = fw.plain_cnn(16, 3)\n"
    "x = fw.from_images(np.random.default_rng(0).random((64, 16, 16, 3)))\n"
    "y = np.arange(64) % 3\n"
    "losses = fw.train(model, x, y, steps=5, batch_size=16, learning_rate=0.01)\n"
    "print([round(float(l), 6) for l in losses])"
)


@pytest.mark.parametrize("framework", NAMES)
def test_training_gives_the_same_figures_inside_as_outside(framework: str) -> None:
    cell = TRAIN.format(framework)
    outside = subprocess.run([sys.executable, "-c", cell], capture_output=True, text=True)
    with shutting_in(framework, Limits()):
        for _ in range(2):
            assert printed(cell, timeout=120) == outside.stdout.strip()


def test_a_loader_with_worker_processes_and_a_picture_work_inside() -> None:
    cell = (
        "from torch.utils.data import DataLoader\n"
        "print(sum(int(b.sum()) for b in DataLoader(range(10), batch_size=5, num_workers=2)))"
    )
    picture = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"
    with shutting_in("pytorch", Limits()):
        ran = Ran([cell, picture])
    assert ran.printed[0] == "45\n"
    assert ran.printed[1] == ""
