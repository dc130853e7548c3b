"""Running a rebuilt notebook in a kernel: what cells do ends at most their own notebook.

The same for `grader autograde` and for nbgrader's own command. What a kernel sends is capped while
it arrives, so that a flood of output fills no memory.
"""

from __future__ import annotations

import contextlib
import copy
import math
import os
import queue
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output

from grader.checks import evidence
from grader.harness.judging import TIMEOUT, Stop, plain_output
from grader.harness.rebuild import cell_name, is_check
from grader.harness.sandbox import own_prefix
from grader.harness.serving import serve

MOST_BYTES = 4_000_000  # of one cell's output; a picture has about 100,000
MOST_OUTPUTS = 200  # of one cell
LONGEST_STREAM = 100_000  # characters from which on more of the same stream is left out
LARGEST_RECORD = 20_000_000  # bytes of a check's record, which the noise beside it costs nothing
MOST_RECORDS = 2  # a check has one; a second is kept so that it is noticed
CELL_SECONDS = 120
NOTEBOOK_SECONDS = 600
MOST_TIMEOUTS = 2
_ENDED = "The Python process ended"
_SHOWN = ("display_data", "execute_result", "update_display_data", "stream", "error")


@dataclass(frozen=True)
class Ran:
    """How running a notebook went.

    Attributes:
        stop: why it ended early, None where it did not.
        misbehaved: what its cells did that a submission should not, in sentences.
    """

    stop: Stop | None = None
    misbehaved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conditions:
    """What a notebook is run under.

    Attributes:
        cell_seconds: for one cell.  notebook_seconds: for all of them.
        most_timeouts: cells that may run out of time before the rest is left: a kernel that does
            not answer an interrupt would use up the time of every cell that follows.
        start_seconds: until the kernel answers.  output_seconds: until the output of a cell that
            has ended is there.
        kernel: name of the kernelspec.  arguments: further ones of its command.
        secret: of the learner; what the kernel is given is made from it, see `serve`.
    """

    cell_seconds: int = CELL_SECONDS
    notebook_seconds: int = NOTEBOOK_SECONDS
    most_timeouts: int = MOST_TIMEOUTS
    start_seconds: int = 60
    output_seconds: int = 30
    kernel: str = "python3"
    # No submission's cells in the history of whoever grades.
    arguments: tuple[str, ...] = ("--log-level=ERROR", "--HistoryManager.enabled=False")
    secret: str = ""


def run(notebook: NotebookNode, conditions: Conditions) -> Ran:
    """Run the cells of a rebuilt notebook in place, in an empty folder.

    Outputs are left as `plain_output` makes them. Nothing that the cells do raises.

    Raises:
        RuntimeError: the kernel could not be started.
    """
    metadata = copy.deepcopy(notebook.metadata)
    progress = _Progress(conditions)
    client = _Client(
        notebook,
        kernel_name=conditions.kernel,
        extra_arguments=list(conditions.arguments),
        allow_errors=True,
        timeout_func=progress.seconds_left,
        interrupt_on_timeout=True,
        error_on_timeout=progress.late,
        iopub_timeout=conditions.output_seconds,
        startup_timeout=conditions.start_seconds,
        raise_on_iopub_timeout=True,
        shutdown_kernel="immediate",
        on_cell_executed=_keep_error,
    )
    # Files beside the notebook would be imported before the real modules of their name.
    with tempfile.TemporaryDirectory(prefix=own_prefix(), ignore_cleanup_errors=True) as folder:
        environment = os.environ | serve(notebook, conditions.secret, Path(folder))
        with client.setup_kernel(cwd=folder, env=environment):
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code" and progress.stop is None:
                    progress.cell(client, cell, index)
    notebook.metadata = metadata  # a kernel can put widgets into it
    return Ran(progress.stop, tuple(progress.misbehaved))


class _Progress:
    """The progress of one notebook."""

    def __init__(self, conditions: Conditions) -> None:
        self.stop: Stop | None = None
        self.misbehaved: list[str] = []
        self._conditions = conditions
        self._timeouts = 0
        self._end_of_time = time.monotonic() + conditions.notebook_seconds
        text = f"it ran longer than {conditions.cell_seconds} s and was stopped"
        self.late = {"ename": TIMEOUT, "evalue": text, "traceback": [text]}

    def seconds_left(self, cell: NotebookNode) -> int:
        left = int(self._end_of_time - time.monotonic())
        return max(1, min(self._conditions.cell_seconds, left))

    def cell(self, client: _Client, cell: NotebookNode, index: int) -> None:
        name = cell_name(cell)
        if time.monotonic() > self._end_of_time:
            limit = self._conditions.notebook_seconds
            self._end(name, f"The notebook ran longer than {limit} s and was stopped")
            return
        try:
            client.begin_cell()
            client.execute_cell(cell, index, store_history=True)
        except DeadKernelError:
            why = client.why_ended()
            self._end(name, f"The Python process ended, because {why}," if why else _ENDED)
        except CellTimeoutError:
            limit = self._conditions.cell_seconds
            self._end(name, f"A program ran longer than {limit} s and could not be interrupted")
        except Exception as error:
            # nbclient trips over messages that a kernel should never send.
            self._end(name, f"Running the notebook failed ({type(error).__name__})")
        keep = {evidence.MIME} if is_check(cell) else set[str]()
        outputs = [plain_output(output, keep) for output in cell.outputs]
        cell.outputs = [output for output in outputs if output.get("data") != {}]
        if client.flooded:
            megabytes = MOST_BYTES // 1_000_000
            self.misbehaved.append(
                f"The cell '{name}' put out more than {megabytes} MB or {MOST_OUTPUTS} pieces; "
                "the rest was left out."
            )
        if any(output.get("ename") == TIMEOUT for output in cell.outputs):
            self._timeouts += 1
            seconds = self._conditions.cell_seconds
            self.misbehaved.append(f"The cell '{name}' ran longer than {seconds} s.")
            if self._timeouts >= self._conditions.most_timeouts:
                self._end(name, f"{self._timeouts} cells ran longer than {seconds} s, the last")

    def _end(self, cell: str, what: str) -> None:
        self.stop = Stop(cell, f"{what} in the cell '{cell}', so this check could not be measured.")
        self.misbehaved.append(f"{what} in the cell '{cell}'.")


def _keep_error(cell: NotebookNode, execute_reply: dict[str, Any], **_: Any) -> None:
    """Show the error of a reply that is not among the outputs, as after a time limit."""
    reply = execute_reply["content"]
    if reply["status"] != "error":
        return
    name = reply.get("ename")
    if any(o.output_type == "error" and o.get("ename") == name for o in cell.outputs):
        return
    cell.outputs.append(
        new_output(
            "error",
            ename=str(name),
            evalue=str(reply.get("evalue")),
            traceback=[str(line) for line in reply.get("traceback") or []],
        )
    )


class _FreshKernelClient(AsyncKernelClient):
    """Ready as soon as the kernel has answered on both channels.

    The client's own way goes on to wait a fifth of a second for what cells before may still put
    out; before the first cell there is nothing.
    """

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        end = time.monotonic() + (math.inf if timeout is None else timeout)
        while True:
            self.kernel_info()
            with contextlib.suppress(queue.Empty):
                reply = await self.get_shell_msg(timeout=1)
                if reply["msg_type"] == "kernel_info_reply":
                    await self.get_iopub_msg(timeout=1)  # unless it is connected, once more
                    self._handle_kernel_info_reply(reply)
                    return
            if not await self.is_alive():
                raise RuntimeError("The kernel ended before it answered.")
            if time.monotonic() > end:
                raise RuntimeError(f"The kernel did not answer within {timeout:g} s.")


class _Client(NotebookClient):
    """A notebook client that keeps at most so much of what a cell puts out."""

    def create_kernel_manager(self) -> Any:
        manager: Any = super().create_kernel_manager()
        manager.client_factory = _FreshKernelClient
        return manager

    def begin_cell(self) -> None:
        """Give the next cell its whole room; it cannot change what earlier ones have shown."""
        self._arrived, self._records = 0, 0
        self.flooded = False
        self.clear_before_next_output = False
        self._display_id_map = {}

    def why_ended(self) -> str:
        """Which limit of the sandbox ended the kernel, "it used ..."; "" when none did."""
        tell = getattr(getattr(self.km, "provisioner", None), "why_ended", None)
        return tell() if tell is not None else ""

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        kind, content = msg["msg_type"], msg["content"]
        if kind.startswith("comm"):
            return None  # widgets: nobody is there to use them, and their state would be kept
        if kind in _SHOWN and not self._has_room(kind, content, cell):
            return None
        return super().process_message(msg, cell, cell_index)

    def _has_room(self, kind: str, content: dict[str, Any], cell: NotebookNode) -> bool:
        size = _size(content)
        if evidence.MIME in content.get("data", {}):
            self._records += 1
            return self._records <= MOST_RECORDS and size <= LARGEST_RECORD
        self._arrived += size
        if self._arrived > MOST_BYTES or len(cell.outputs) >= MOST_OUTPUTS:
            self.flooded = True
            return False
        if kind != "stream" or self.clear_before_next_output or not cell.outputs:
            return True
        last = cell.outputs[-1]
        if last.output_type != "stream" or last.name != content.get("name"):
            return True
        if len(last.text) < LONGEST_STREAM:
            last.text += str(content.get("text"))
        return False


def _size(content: Any) -> int:
    """About how many bytes a message's content holds."""
    if isinstance(content, str):
        return len(content)
    if isinstance(content, dict):
        return sum(len(k) + _size(v) for k, v in content.items())
    if isinstance(content, list):
        return 8 + sum(map(_size, content))
    return 8
