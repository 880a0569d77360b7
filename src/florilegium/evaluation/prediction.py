"""Image files through a trained classifier, prepared as its training images were."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from florilegium.core.system import bar
from florilegium.data.augment import EvalTransform
from florilegium.data.decode import BadImage, square
from florilegium.models.trained import Trained

BATCH = 64


def read_pictures(paths: Sequence[Path], side: int) -> tuple[Tensor, list[Path], list[str]]:
    """Decode files as the packed images were.

    Returns:
        Pixels uint8 (N, side, side, 3) of the files that can be read, their paths, and a sentence for
        each of the others.
    """
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(partial(_picture, side=side), paths))
    good = [
        (path, pixels) for path, pixels in zip(paths, results, strict=True) if not isinstance(pixels, str)
    ]
    stacked = np.stack([pixels for _, pixels in good]) if good else np.empty((0, side, side, 3), np.uint8)
    return (
        torch.from_numpy(stacked),
        [path for path, _ in good],
        [reason for reason in results if isinstance(reason, str)],
    )


def predict(
    trained: Trained, paths: Sequence[Path], *, top: int, device: torch.device
) -> tuple[pd.DataFrame, list[str]]:
    """The `top` likeliest classes of each picture, fewer where the network knows fewer.

    Returns:
        A table `image, rank, prediction, probability`, the likeliest first, and a sentence for each
        file that cannot be read.
    """
    network, transform = trained.network.to(device), EvalTransform(trained.config)
    count = min(top, len(trained.classes))
    rows: list[tuple[str, int, str, float]] = []
    faults: list[str] = []
    for start in bar(range(0, len(paths), BATCH), "predicting", "batch"):
        pixels, read, unread = read_pictures(paths[start : start + BATCH], trained.storage_size)
        faults += unread
        if read:
            batch = transform(pixels.to(device))  # (B, 3, s, s)
            with torch.inference_mode():
                best = network(batch).float().softmax(dim=1).topk(count, dim=1)
            for path, values, labels in zip(read, best.values.tolist(), best.indices.tolist(), strict=True):
                rows += _ranked(path, values, (trained.classes[label] for label in labels))
    return pd.DataFrame(rows, columns=["image", "rank", "prediction", "probability"]), faults


def _picture(path: Path, side: int) -> np.ndarray | str:
    try:
        return square(path, side)
    except BadImage as error:
        return f"{path}: {error}"


def _ranked(path: Path, values: Sequence[float], names: Iterable[str]) -> list[tuple[str, int, str, float]]:
    ranked = enumerate(zip(names, values, strict=True), start=1)
    return [(path.as_posix(), rank, name, round(value, 6)) for rank, (name, value) in ranked]
