"""What attribution says of one trained classifier, and its files. Without torch: figures are drawn from it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.explanation.seen import Seen

FILES = ("maps.npz", "attribution.csv")


@dataclass(frozen=True)
class Attributions(Seen):
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

    FILES: ClassVar = FILES
    ARRAYS: ClassVar = ("methods", "maps", "images", "orders", "curves", "unfit", "reasons")

    methods: NDArray[np.str_]
    maps: NDArray[np.float16]
    images: NDArray[np.uint8]
    orders: NDArray[np.str_]
    curves: NDArray[np.float16]
    unfit: NDArray[np.str_]
    reasons: NDArray[np.str_]

    def of(self, place: int) -> pd.DataFrame:
        """The rows of the table for the image at `place`, by method."""
        count = len(self.orders)
        return self.table.iloc[place * count : (place + 1) * count].set_index("method")
