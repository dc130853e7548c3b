"""Warm kernels: forked with the framework imported, and otherwise like any other kernel."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from grader.frameworks import NAMES
from grader.harness.kernels import start_warm

pytestmark = pytest.mark.slow


def outputs(cells: list[str], **options: Any) -> list[str]:
    """Run cells in a fresh kernel; return what each has printed or raised."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True, **options).execute()
    return [
        "".join(o.get("text", o.get("ename", "")) for o in cell.outputs) for cell in notebook.cells
    ]


def mime_types(cells: list[str]) -> set[str]:
    """The MIME types of all that the cells show."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, kernel_name="python3").execute()
    return {mime for cell in notebook.cells for o in cell.outputs for mime in o.get("data", {})}


def names_of_error(cells: list[str], **options: Any) -> str:
    try:
        outputs(cells, **options)
    except (CellTimeoutError, DeadKernelError) as error:
        return type(error).__name__
    return ""


@contextmanager
def warm(framework: str) -> Iterator[Callable[..., Any]]:
    """A process whose kernels start warm, as those of `autograde` do; yields a way to call it."""
    with ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=start_warm,
        initargs=(framework,),
    ) as pool:
        yield lambda function, *args, **options: pool.submit(function, *args, **options).result()


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., Any]]:
    with warm("pytorch") as call:
        yield call


def test_the_framework_is_imported_before_the_first_cell(run: Callable[..., Any]) -> None:
    assert run(outputs, ["import sys; print('torch' in sys.modules)"]) == ["True\n"]


@pytest.mark.parametrize("framework", NAMES)
def test_opening_a_lab_finds_its_imports_done(framework: str) -> None:
    opens = (
        "import sys; before = set(sys.modules); from grader import open_lab; "
        f"lab = open_lab('1_data/01_input_scale', '{framework}'); "
        "print(len({m for m in set(sys.modules) - before if not m.startswith('grader')}))"
    )
    with warm(framework) as call:
        (printed,) = call(outputs, [opens])
    assert int(printed) < 20  # without the preloaded ones PyTorch alone imports 2,500


def test_a_picture_is_shown_as_in_any_other_kernel(run: Callable[..., Any]) -> None:
    draw = ["import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"]
    assert run(mime_types, draw) == {"image/png", "text/plain"}


def test_a_kernel_leaves_nothing_behind_for_the_next(run: Callable[..., Any]) -> None:
    run(outputs, ["import torch; torch.relu = None; import os; os.environ['LEFT'] = '1'"])
    seen = run(outputs, ["import os, torch; print(torch.relu is None, 'LEFT' in os.environ)"])
    assert seen == ["False False\n"]


def test_kernels_draw_different_random_numbers(run: Callable[..., Any]) -> None:
    draw = ["import random, numpy as np; print(random.random(), np.random.random())"]
    first, second = run(outputs, draw), run(outputs, draw)
    assert set(first[0].split()).isdisjoint(second[0].split())


def test_a_kernel_runs_in_the_folder_it_is_given(run: Callable[..., Any], tmp_path: Any) -> None:
    (tmp_path / "beside.txt").touch()
    cells = ["import os; print(os.listdir())"]
    assert run(outputs, cells, resources={"metadata": {"path": str(tmp_path)}}) == [
        "['beside.txt']\n"
    ]


def test_a_cell_that_does_not_end_is_interrupted(run: Callable[..., Any]) -> None:
    cells = ["while True: pass", "print('still there')"]
    error = run(names_of_error, cells, timeout=2)
    assert error == "CellTimeoutError"
    told = run(outputs, cells, timeout=2, interrupt_on_timeout=True)
    assert told == ["KeyboardInterrupt", "still there\n"]


def test_a_kernel_that_dies_is_noticed(run: Callable[..., Any]) -> None:
    assert run(names_of_error, ["import os; os._exit(3)"]) == "DeadKernelError"


def test_a_loader_with_worker_processes_works(run: Callable[..., Any]) -> None:
    cell = (
        "from torch.utils.data import DataLoader\n"
        "print(sum(int(b.sum()) for b in DataLoader(range(10), batch_size=5, num_workers=2)))"
    )
    assert run(outputs, [cell]) == ["45\n"]


TRAIN = (
    "import numpy as np; from grader.frameworks import {0} as fw\n"
    "fw.set_seed(0); model = fw.plain_cnn(16, 3)\n"
    "x = fw.from_images(np.random.default_rng(0).random((64, 16, 16, 3)))\n"
    "y = np.arange(64) % 3\n"
    "losses = fw.train(model, x, y, steps=5, batch_size=16, learning_rate=0.01)\n"
    "print(np.isfinite(losses).all())"
)


@pytest.mark.parametrize("framework", NAMES)
def test_a_network_trains_in_a_forked_kernel(framework: str) -> None:
    with warm(framework) as call:
        for _ in range(3):
            assert call(outputs, [TRAIN.format(framework)], timeout=120) == ["True\n"]


def _start_and_report(path: str) -> None:
    outputs([f"import os, time; open({path!r}, 'w').write(str(os.getpid())); time.sleep(600)"])


def test_a_kernel_ends_with_the_process_that_wanted_it(tmp_path: Any) -> None:
    told = tmp_path / "pid"
    context = multiprocessing.get_context("spawn")
    owner = context.Process(target=_owner, args=(str(told),))
    owner.start()
    deadline = time.monotonic() + 120
    while not (told.is_file() and told.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    kernel = int(told.read_text())
    assert owner.pid is not None
    os.kill(owner.pid, signal.SIGKILL)
    owner.join()
    while _runs(kernel) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(kernel)


def _owner(told: str) -> None:
    start_warm("pytorch")
    _start_and_report(told)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
