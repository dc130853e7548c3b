"""Checks of a small lab that needs no framework; the tests of the authoring tools use it."""

import numpy as np

from grader.checks import Check, Diagnosis, Threshold

SHARE = Threshold("mean of white images", 0.9, "at least")
LIMIT = Threshold("largest value", 1.1, "at most")


def collect(case, answer):
    """Prepare white images, which should come out as ones."""
    white = np.full((2, 4, 4, 3), 255, dtype=np.uint8)
    prepared = np.asarray(answer.prepare(white), dtype=np.float64)
    return {"mean": float(prepared.mean()), "largest": float(prepared.max())}


def judge(case, evidence):
    """White must be near 1 and never above it."""
    return [
        SHARE.finding(
            evidence["mean"],
            measured=f"White images come out at {evidence['mean']:.3g}.",
            means="White that is not near 1 was scaled more than once.",
            look_next="Count the divisions between file and network.",
        ),
        LIMIT.finding(
            evidence["largest"],
            measured=f"The largest value is {evidence['largest']:.3g}.",
            means="A value above 1 was not scaled at all.",
            look_next="Print the largest value after each line.",
        ),
    ]


CHECKS = [
    Diagnosis(
        causes={
            "divided twice": "Two divisions make the mean 255 times too small.",
            "dark camera": "The bytes themselves reach 47 here, so the camera is not the cause.",
        },
        cause="divided twice",
        reading="mean of what enters the network",
        measure=lambda case: float(np.arange(48).mean() / 255 / 255),
        tolerance=0.05,
    ),
    Check(
        name="repair",
        points=3,
        takes=("prepare",),
        collect=collect,
        judge=judge,
        untouched=lambda evidence: abs(evidence["mean"] - 1 / 255) < 1e-6,
        seconds=0.1,
    ),
]
