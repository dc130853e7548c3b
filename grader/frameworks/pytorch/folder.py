"""An image folder as PyTorch reads it: a Dataset, torchvision's transforms, a DataLoader."""

from __future__ import annotations

import os

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from grader.datasets import folder


class FolderDataset(Dataset):
    """Image files, decoded when they are asked for.

    Item i is (uint8 (3, size, size), int64 label). An item whose file does not decode raises
    UnreadableImage, which names the file.
    """

    def __init__(self, index: folder.FolderIndex, size: int) -> None:
        self.index = index
        self.classes = index.classes
        self.size = size
        self.transform = v2.Compose(
            [
                v2.Resize((size, size), v2.InterpolationMode.BILINEAR, antialias=True),
                v2.PILToTensor(),
            ]
        )

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, int]:
        # Pillow rather than torchvision.io: it also reads palette, CMYK and 16-bit files.
        square = folder.open_square(self.index.root / self.index.files[item], self.size)
        return self.transform(square), int(self.index.labels[item])


def folder_batches(
    path: str | os.PathLike[str],
    *,
    size: int,
    batch_size: int,
    shuffle: bool,
    seed: int,
    split: str | None = None,
) -> DataLoader:
    """Batches of an image folder.

    Args:
        size: pixels on a side, after cropping to the centre square.
        shuffle: a new order every epoch, from `seed`; otherwise the order of `folder.scan`.
        split: "train", "validation" or "test", divided as `folder.scan` says; None for all images
            of a folder that is not divided into train and test.

    Returns:
        A DataLoader over `FolderDataset`: uint8 (B, 3, size, size), int64 (B,). The last batch may
        be smaller.

    Raises:
        ClinicError: as `folder.scan` and `folder.choose` say.
    """
    index = folder.choose(folder.scan(path), split)
    return DataLoader(
        FolderDataset(index, size),
        batch_size=batch_size,
        shuffle=shuffle,
        generator=torch.Generator().manual_seed(seed),
    )
