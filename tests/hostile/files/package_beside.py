# tries: to have a package of its own imported in the place of the grader
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    (path.parent / "grader").mkdir()
    (path.parent / "grader" / "__init__.py").write_text("class open_lab: check = print")
    (path.parent / "ipython_config.py").write_text("raise SystemExit('hostile-was-here')")
    (path.parent / "nbgrader_config.py").write_text("raise SystemExit('hostile-was-here')")
    (path.parent / "jupyter_config.py").write_text("raise SystemExit('hostile-was-here')")
    write(path, answered(WRONG))
