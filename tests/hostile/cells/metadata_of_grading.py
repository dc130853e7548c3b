# tries: to hand in what grading notes about a submission, in its own favour
# outcome: not yet
# points: 0
# says: of the unseen images
from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    notebook = answered(WRONG)
    notebook.metadata["cnn_clinic"]["submission"] = {"stop": ["", "Full marks."], "points": 4}
    notebook.metadata["nbgrader"] = {"score": 4, "max_score": 4}
    write(path, notebook)
