"""What attribution says of one trained classifier, and its files. Without torch: figures are drawn from it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.files import atomic

FILES = ("maps.npz", "attribution.csv")
ARRAYS = ("methods", "maps", "images", "orders", "curves", "unfit", "reasons")


@dataclass(frozen=True)
class Attributions:
    """Maps, curves and numbers of one network.

    Attributes:
        methods: the methods that fit the network, (m,).
        maps: of the shown images, (k, m, s, s) in half precision, the largest magnitude being one.
        images: the shown images as the network is fed them, uint8 (k, s, s, 3).
        orders: the orders of pixels that are judged: methods, then random ones, (o,).
        curves: probability of the predicted class by image, order, deletion or insertion, and share of the
            pixels, (n, o, 2, p) in half precision; shares are even from 0 to 1.
        unfit: the methods that were asked for and do not fit, (u,).
        reasons: why they do not, (u,).
        table: a row for each image and order, the shown images first: `image, target, prediction, probability,
            method, deletion, insertion` (areas under the curves), `completeness_gap`, `difference` (logits; empty
            where a method makes no claim to completeness).
    """

    methods: NDArray[np.str_]
    maps: NDArray[np.float16]
    images: NDArray[np.uint8]
    orders: NDArray[np.str_]
    curves: NDArray[np.float16]
    unfit: NDArray[np.str_]
    reasons: NDArray[np.str_]
    table: pd.DataFrame

    def save(self, folder: Path) -> list[Path]:
        """Write FILES into `folder`, with bytes that depend on the content alone; returns their paths."""
        arrays, table = (folder / name for name in FILES)
        with atomic(arrays) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **{name: getattr(self, name) for name in ARRAYS})
        with atomic(table) as temporary:
            self.table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
        return [arrays, table]

    @classmethod
    def load(cls, folder: Path) -> "Attributions":
        arrays, table = (folder / name for name in FILES)
        with np.load(arrays, allow_pickle=False) as found:
            return cls(**{name: found[name] for name in ARRAYS}, table=pd.read_csv(table))

    def of(self, place: int) -> pd.DataFrame:
        """The rows of the table for the image at `place`, by method."""
        count = len(self.orders)
        return self.table.iloc[place * count : (place + 1) * count].set_index("method")
