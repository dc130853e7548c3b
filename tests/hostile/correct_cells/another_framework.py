# tries: nothing; it is called the notebook of the other framework
# outcome: passed
# points: 4
# says: the notebook of another framework, 'tensorflow'
from hostile_class import write
from hostile_lab import RIGHT


def hand_in(path, answered):
    notebook = answered(RIGHT)
    notebook.metadata["cnn_clinic"]["framework"] = "tensorflow"
    write(path, notebook)
