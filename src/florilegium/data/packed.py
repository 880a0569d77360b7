"""Single images of a packed array, by name. Without torch, since figures read them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def read_pixels(path: Path, images: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """Single images of a packed array by name, uint8 (size, size, 3) each; the array is not loaded whole."""
    packed = np.load(path, mmap_mode="r")
    rows = {name: row for row, name in enumerate(pd.read_csv(path.with_suffix(".csv"))["image"])}
    return {image: np.asarray(packed[rows[image]]) for image in images}
