"""Batches ready for training per second: packed and augmented on the batch, against a DataLoader.

Both make random resized crops, flip and normalise. The DataLoader's two workers decode the original
JPEGs with Pillow and apply torchvision's transforms; ours reads packed pixels in one process of two threads.

    python benchmarks/batches.py FOLDER_OF_JPEGS --out batches.json
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from measure import interleave, report
from PIL import Image, ImageOps
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from florilegium.config.recipes import Recipe
from florilegium.core.system import bar
from florilegium.data.augment import InputConfig, TrainTransform
from florilegium.data.load import Images
from florilegium.training.feed import feed_of

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Photographs(Dataset):
    """JPEG files, decoded each time they are asked for."""

    def __init__(self, files: list[Path], size: int) -> None:
        self.files = files
        self.transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.open(self.files[index]).convert("RGB")), 0


def pack(files: list[Path], side: int) -> torch.Tensor:
    """uint8 (N, side, side, 3): the short side resized to `side`, the middle cropped."""
    images = [
        ImageOps.fit(Image.open(file).convert("RGB"), (side, side), Image.Resampling.BICUBIC)
        for file in bar(files, "packing", "image")
    ]
    return torch.from_numpy(np.stack([np.asarray(image) for image in images]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--storage", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=10)
    a = parser.parse_args()
    torch.set_num_threads(2)
    files = sorted(a.folder.rglob("*.jpg"))[: a.images]
    started = time.perf_counter()
    pixels = pack(files, a.storage)
    packing = time.perf_counter() - started
    feed = feed_of(
        Images(pixels, torch.zeros(len(files), dtype=torch.int64), tuple(map(str, files))), torch.device("cpu")
    )
    transform = TrainTransform(Recipe(epochs=1), InputConfig(a.size, MEAN, STD, "bilinear"))
    loader = DataLoader(Photographs(files, a.size), a.batch, shuffle=True, num_workers=2, persistent_workers=True)

    def packed() -> float:
        started = time.perf_counter()
        for index in torch.randperm(len(files)).split(a.batch):
            pixels, _ = feed(index)
            transform(pixels)
        return len(files) / (time.perf_counter() - started)

    def decoded() -> float:
        started = time.perf_counter()
        for _ in loader:
            pass
        return len(files) / (time.perf_counter() - started)

    rates = interleave({"packed": packed, "DataLoader": decoded}, a.blocks)
    report(
        a.out,
        f"batches of {a.batch} at {a.size} pixels from {len(files)} photographs",
        rates,
        "packed",
        "DataLoader",
        5.0,
        storage=a.storage,
        seconds_packing_once=packing,
    )


if __name__ == "__main__":
    main()
