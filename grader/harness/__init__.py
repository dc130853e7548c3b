"""Running notebooks and grading them: executed solutions, nbgrader, proof, calibration."""
