# tries: to have modules of its own imported in the place of real ones
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import write
from hostile_lab import WRONG

NAMES = ("numpy", "grader", "torch", "ipykernel_launcher", "sitecustomize", "usercustomize", "json")


def hand_in(path, answered):
    for name in NAMES:
        (path.parent / f"{name}.py").write_text("raise SystemExit('hostile-was-here')")
    write(path, answered(WRONG))
