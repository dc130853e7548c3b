"""From one lab.py to learner and solution notebooks in both frameworks."""
