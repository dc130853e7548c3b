"""What a kernel sends is capped while it arrives; no kernel is needed to see it."""

from __future__ import annotations

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from grader.checks import evidence
from grader.harness.running import (
    LARGEST_RECORD,
    LONGEST_STREAM,
    MOST_BYTES,
    MOST_OUTPUTS,
    _Client,
)


@pytest.fixture
def cell():
    return new_code_cell("")


@pytest.fixture
def client(cell):
    client = _Client(new_notebook(cells=[cell]))
    client.begin_cell()
    return client


def send(client, cell, kind, **content):
    message = {"header": {"msg_type": kind}, "parent_header": {"msg_id": "1"}, "content": content}
    client.process_message(message | {"msg_type": kind}, cell, 0)


def display(client, cell, mime="text/plain", value="x", **transient):
    send(client, cell, "display_data", data={mime: value}, metadata={}, transient=transient or None)


def test_what_is_printed_in_pieces_becomes_one_output(client, cell):
    for text in ("a", "b", "c"):
        send(client, cell, "stream", name="stdout", text=text)
    send(client, cell, "stream", name="stderr", text="d")
    assert [(o.name, o.text) for o in cell.outputs] == [("stdout", "abc"), ("stderr", "d")]
    assert not client.flooded


def test_a_flood_of_text_is_kept_to_a_bounded_length_and_noted(client, cell):
    for _ in range(3 * MOST_BYTES // 10_000):
        send(client, cell, "stream", name="stdout", text="x" * 10_000)
    assert sum(len(o.text) for o in cell.outputs) <= LONGEST_STREAM + 10_000
    assert client.flooded


def test_one_huge_piece_is_left_out(client, cell):
    display(client, cell, value="x" * (MOST_BYTES + 1))
    assert cell.outputs == []
    assert client.flooded


def test_a_million_display_objects_are_kept_to_a_bounded_number(client, cell):
    for _ in range(MOST_OUTPUTS + 100):
        display(client, cell)
    assert len(cell.outputs) == MOST_OUTPUTS
    assert client.flooded


def test_noise_in_a_check_costs_its_record_nothing(client, cell):
    for _ in range(MOST_OUTPUTS + 100):
        display(client, cell, value="x" * 50_000)
    display(client, cell, evidence.MIME, {"version": 1})
    assert evidence.MIME in cell.outputs[-1].data


def test_a_flood_of_records_is_capped_as_well(client, cell):
    for _ in range(100):
        display(client, cell, evidence.MIME, {"version": 1})
    display(client, cell, evidence.MIME, "x" * (LARGEST_RECORD + 1))
    assert len(cell.outputs) == 2


def test_a_later_cell_cannot_change_what_an_earlier_one_has_shown(client, cell):
    display(client, cell, display_id="card")
    client.begin_cell()
    later = new_code_cell("")
    html, transient = {"text/html": "<b>Passed</b>"}, {"display_id": "card"}
    send(client, later, "update_display_data", data=html, metadata={}, transient=transient)
    assert cell.outputs[0].data == {"text/plain": "x"}


def test_widgets_leave_no_state(client, cell):
    send(client, cell, "comm_open", comm_id="1", target_name="jupyter.widget", data={"state": {}})
    assert client.widget_state == {}
    assert cell.outputs == []


def test_the_next_cell_has_its_whole_room(client, cell):
    display(client, cell, value="x" * (MOST_BYTES + 1))
    client.begin_cell()
    display(client, cell)
    assert len(cell.outputs) == 1
    assert not client.flooded
