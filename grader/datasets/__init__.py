"""Images for the labs: generated aerial tiles, or any image folder, through one door."""

from grader.datasets.bundle import LabelsWithheld, UnlabelledImages, UnseenArrays
from grader.datasets.draw import draw
from grader.datasets.images import Images
from grader.datasets.tiles import CLASSES

__all__ = ["CLASSES", "Images", "LabelsWithheld", "UnlabelledImages", "UnseenArrays", "draw"]
