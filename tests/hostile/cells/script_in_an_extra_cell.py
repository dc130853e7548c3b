# tries: to have the comment run a script that it quotes
# outcome: not yet
# points: 0
# says: was not run
from hostile_class import write
from hostile_lab import WRONG
from nbformat.v4 import new_code_cell


def hand_in(path, answered):
    notebook = answered(WRONG)
    notebook.cells.append(new_code_cell("`<script>hostile()</script>[x](javascript:hostile())"))
    write(path, notebook)
