# tries: to make the grader wait for a widget that nobody moves
# outcome: not attempted
# points: 0
# says: ran longer than
import time

import ipywidgets

slider = ipywidgets.IntSlider(value=0)
slider
while slider.value == 0:
    time.sleep(0.1)


def prepare(images):
    return images // 255 + 1.0
