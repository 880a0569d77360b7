"""What was seen of one trained transformer's attention, and its files. Without torch: figures are drawn from it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.explanation.seen import Seen

FILES = ("maps.npz", "attention.csv")


@dataclass(frozen=True)
class Attended(Seen):
    """Maps, rollouts and numbers of one network.

    Attributes:
        blocks: the blocks whose maps are here, (b,).
        head: the head that the maps are of, ().
        prefix: tokens before the patches (class token, distillation token, registers), ().
        maps: weights of the first test image, a row a query token, (b, N, N) in half precision.
        rollout: attention rollout over the patches of the shown images, (n, rows, columns) in half
            precision.
        images: the shown images as the network is fed them, uint8 (n, S, S, 3).
        names: of the shown images, (n,); the maps are of the first one.
        table: a row for each block and head of the network: `block, head, entropy` (mean over rows,
            nats), `entropy_share` (of a uniform head's), `diagonal` (mean weight of a token on itself),
            `n_images`, and a uniform head's `entropy_uniform` (log N) and `diagonal_uniform` (1 / N).
    """

    FILES: ClassVar = FILES
    ARRAYS: ClassVar = ("blocks", "head", "prefix", "maps", "rollout", "images", "names")

    blocks: NDArray[np.int64]
    head: NDArray[np.int64]
    prefix: NDArray[np.int64]
    maps: NDArray[np.float16]
    rollout: NDArray[np.float16]
    images: NDArray[np.uint8]
    names: NDArray[np.str_]

    def numbers(self, block: int) -> pd.Series:
        """The row of the table for `block` and the head that the maps are of."""
        rows = self.table[(self.table["block"] == block) & (self.table["head"] == int(self.head))]
        return rows.iloc[0]
