# tries: to hand in a check that has run already, with full marks and a perfect record
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import cell, perfect_record, write
from hostile_lab import WRONG
from nbformat.v4 import new_output

from grader.checks import evidence


def hand_in(path, answered):
    notebook = answered(WRONG)
    data = {"text/plain": "4.0", evidence.MIME: perfect_record()}
    cell(notebook, "check-repair").outputs = [
        new_output("execute_result", data=data, execution_count=1),
        new_output("stream", name="stdout", text="4.0"),
    ]
    write(path, notebook)
