"""A working directory as the training stages find it: packed pixels and the tables beside them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd


def pack_here(pixels: np.ndarray, labels: Sequence[int], names: Sequence[str]) -> None:
    """Write images uint8 (N, S, S, 3) of the classes a, b and c, three fifths of them to train on."""
    images = [f"{'abc'[label]}/{name}" for label, name in zip(labels, names, strict=True)]
    stem = f"pixels{pixels.shape[1]}"
    np.save(f"{stem}.npy", pixels)
    pd.DataFrame({"image": images}).to_csv(f"{stem}.csv", index=False)
    split = np.array(["train", "train", "train", "val", "test"])[np.arange(len(images)) // 3 % 5]
    table = pd.DataFrame({"image": images, "class": [name[0] for name in images], "split": split})
    table.to_csv("images.csv", index=False)
    Path("images.json").write_text('{"classes": ["a", "b", "c"]}')
