"""A submission is data: only its answers reach the notebook that is graded."""

from __future__ import annotations

import json

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from grader.harness.rebuild import parse_submission, read_submission, rebuild

HIDDEN = "### BEGIN HIDDEN TESTS\nlab.use_unseen_images()\n### END HIDDEN TESTS\n"


def grading(name, *, solution=False, points=None):
    found = {"schema_version": 3, "grade_id": name, "solution": solution, "task": False}
    found |= {"grade": points is not None, "locked": points is not None}
    return {"nbgrader": found | ({"points": points} if points is not None else {})}


def source():
    notebook = new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        cells=[
            new_markdown_cell("# A story", id="title"),
            new_code_cell("x = 1", id="sick-run", outputs=[new_output("stream", text="old")]),
            new_code_cell("SOLUTION", id="repair", metadata=grading("repair", solution=True)),
            new_code_cell(
                HIDDEN + 'lab.check("repair")',
                id="check-repair",
                metadata=grading("check-repair", points=3),
            ),
            new_code_cell("draw()", id="picture", metadata={"tags": ["picture"]}),
        ],
    )
    notebook.metadata["cnn_clinic"] = {"lab": "1_data/01_input_scale", "framework": "pytorch"}
    return notebook


def released():
    notebook = source()
    notebook.cells[2].source = "# YOUR CODE HERE"
    notebook.cells[3].source = 'lab.check("repair")'
    return notebook


def regraded(notebook):
    graded, differences = rebuild(source(), parse_submission(nbformat.writes(notebook)))
    return {c.id: c for c in graded.cells}, [d.sentence for d in differences]


def test_the_release_itself_differs_in_nothing():
    cells, said = regraded(released())
    assert said == []
    assert cells["repair"].source == "# YOUR CODE HERE"
    assert cells["check-repair"].source.startswith("### BEGIN HIDDEN TESTS")


def test_no_solution_and_no_old_output_is_left():
    cells, _ = regraded(new_notebook(cells=[new_markdown_cell("nothing of ours")]))
    assert cells["repair"].source == ""
    assert not any(c.get("outputs") for c in cells.values())


def test_cells_that_only_draw_are_skipped_and_no_others():
    cells, _ = regraded(released())
    skipped = [n for n, c in cells.items() if "skip-execution" in c.metadata.get("tags", [])]
    assert skipped == ["picture"]


def test_a_changed_check_cell_is_graded_as_released():
    notebook = released()
    notebook.cells[3].source = "3.0"
    cells, said = regraded(notebook)
    assert cells["check-repair"].source == HIDDEN + 'lab.check("repair")'
    assert said == ["The check cell 'check-repair' was changed; it was graded as released."]


def test_a_changed_preparation_is_said_too():
    notebook = released()
    notebook.cells[1].source = "x = 2"
    cells, said = regraded(notebook)
    assert cells["sick-run"].source == "x = 1"
    assert said == ["The released cell 'sick-run' was changed; it was graded as released."]


def test_blank_space_at_line_ends_is_no_change():
    notebook = released()
    notebook.cells[1].source = "x = 1  \n"
    assert regraded(notebook)[1] == []


def test_changed_points_have_no_effect():
    notebook = released()
    notebook.cells[3].metadata.nbgrader["points"] = 300
    cells, said = regraded(notebook)
    assert cells["check-repair"].metadata.nbgrader["points"] == 3
    assert said == [
        "The points of check cell 'check-repair' were changed; it was graded as released."
    ]


def test_a_missing_check_cell_comes_back():
    notebook = released()
    del notebook.cells[3]
    cells, said = regraded(notebook)
    assert "check-repair" in cells
    assert said == ["The check cell 'check-repair' was missing; it was graded as released."]


def test_a_missing_answer_cell_is_empty():
    notebook = released()
    del notebook.cells[2]
    cells, said = regraded(notebook)
    assert cells["repair"].source == ""
    assert said == ["The answer cell 'repair' was missing; there was nothing to grade."]


def test_the_last_of_several_answer_cells_counts():
    notebook = released()
    notebook.cells.insert(
        3, new_code_cell("second", id="copy", metadata=grading("repair", solution=True))
    )
    cells, said = regraded(notebook)
    assert cells["repair"].source == "second"
    assert said == ["The answer cell 'repair' was there 2 times; the last one was graded."]


def test_an_answer_without_its_metadata_is_found_by_its_id():
    notebook = released()
    notebook.cells[2].metadata = {}
    notebook.cells[2].source = "mine"
    cells, said = regraded(notebook)
    assert cells["repair"].source == "mine"
    assert said == []


def test_an_answer_turned_into_markdown_is_code_again():
    notebook = released()
    notebook.cells[2] = new_markdown_cell(
        "mine", id="repair", metadata=grading("repair", solution=True)
    )
    cells, said = regraded(notebook)
    assert cells["repair"].cell_type == "code"
    assert said == [
        "The answer cell 'repair' was no longer a code cell; its text was graded as code."
    ]


def test_a_moved_cell_goes_back_to_its_place():
    notebook = released()
    notebook.cells[2], notebook.cells[3] = notebook.cells[3], notebook.cells[2]
    cells, said = regraded(notebook)
    assert list(cells) == [c.id for c in source().cells]
    assert said == [
        "The cell 'check-repair' was moved above 'repair'; grading kept the released order."
    ]


@pytest.mark.parametrize("place", [1, 2, 3])
def test_the_skip_tag_has_no_effect(place):
    notebook = released()
    notebook.cells[place].metadata["tags"] = ["skip-execution"]
    cells, said = regraded(notebook)
    assert "tags" not in cells[notebook.cells[place].id].metadata
    assert len(said) == 1
    assert "'skip-execution'; grading ran it all the same" in said[0]


def test_cells_of_ones_own_are_not_run_and_named():
    notebook = released()
    notebook.cells.insert(1, new_code_cell("def helper():\n    return 1"))
    cells, said = regraded(notebook)
    assert len(cells) == len(source().cells)
    assert len(said) == 1
    assert "`def helper():` was not run" in said[0]


def test_of_many_own_cells_the_first_are_named_and_the_rest_counted():
    notebook = released()
    notebook.cells += [new_code_cell(f"own = {i}") for i in range(1000)]
    said = regraded(notebook)[1]
    assert "`own = 0` was not run" in said[0]
    assert said[-1] == "995 more of your own cells were not run either."
    assert len(said) == 6


def test_another_labs_notebook_is_named():
    notebook = released()
    notebook.metadata["cnn_clinic"] = {"lab": "1_data/02_other", "framework": "tensorflow"}
    said = regraded(notebook)[1]
    assert "another lab, '1_data/02_other'" in said[0]
    assert "another framework, 'tensorflow'" in said[1]


def test_kernel_and_metadata_are_the_courses_own():
    notebook = released()
    notebook.metadata["kernelspec"] = {"name": "evil", "display_name": "evil"}
    notebook.metadata["language"] = 5
    graded, _ = rebuild(source(), parse_submission(nbformat.writes(notebook)))
    assert graded.metadata == source().metadata


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "not a notebook"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "notebook"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}', "no cells"),
        ('{"nbformat": 99, "cells": [1]}', "not a notebook"),
    ],
)
def test_a_file_that_is_no_notebook_says_why(text, words):
    submission = parse_submission(text)
    assert submission.cells == ()
    assert words in submission.unreadable


def test_a_link_is_not_followed(tmp_path):
    solution = tmp_path / "solution.ipynb"
    solution.write_text(nbformat.writes(source()))
    link = tmp_path / "link.ipynb"
    link.symlink_to(solution)
    assert "is a link" in read_submission(link).unreadable
    assert "is a link" in read_submission(tmp_path).unreadable


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "image.ipynb"
    path.write_bytes(b"\x89PNG\xff\xfe")
    assert "not text" in read_submission(path).unreadable


def test_half_a_surrogate_pair_can_be_written_again():
    notebook = released()
    text = nbformat.writes(notebook).replace("# YOUR CODE HERE", "'\\ud800'")
    graded, _ = rebuild(source(), parse_submission(text))
    nbformat.writes(graded).encode("utf-8")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["cells", "metadata", "source", "nbgrader", "grade_id", "tags", "cell_type", "id"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.text())
def test_no_text_makes_reading_raise(text):
    parse_submission(text)


@given(st.lists(anything, max_size=5), anything)
def test_no_json_makes_rebuilding_raise(cells, metadata):
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    graded, _ = rebuild(source(), parse_submission(json.dumps(notebook)))
    assert [c.id for c in graded.cells] == [c.id for c in source().cells]
    nbformat.validate(graded)
