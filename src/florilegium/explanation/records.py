"""Records of what was seen of a network: attention, attention over nodes, attributions."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.files import atomic


@dataclass(frozen=True)
class Seen:
    """Base of what is kept of one network: every field but `table` is an array."""

    FILES: ClassVar[tuple[str, str]]
    """Names of the arrays' file and of the table's."""
    ARRAYS: ClassVar[tuple[str, ...]]
    """The fields that are arrays."""

    table: pd.DataFrame

    def save(self, folder: Path) -> list[Path]:
        """Write FILES into `folder`, with bytes that depend on the content alone; returns their paths."""
        arrays, table = (folder / name for name in self.FILES)
        with atomic(arrays) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **{name: getattr(self, name) for name in self.ARRAYS})
        with atomic(table) as temporary:
            self.table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
        return [arrays, table]

    @classmethod
    def load(cls, folder: Path) -> Self:
        arrays, table = (folder / name for name in cls.FILES)
        with np.load(arrays, allow_pickle=False) as found:
            return cls(**{name: found[name] for name in cls.ARRAYS}, table=pd.read_csv(table))


ATTENTION_FILES = ("maps.npz", "attention.csv")


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

    FILES: ClassVar = ATTENTION_FILES
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


NODE_FILES = ("maps.npz", "attention.csv")


@dataclass(frozen=True)
class AttendedNodes(Seen):
    """Weights and numbers of one network whose nodes are the squares of a g x g grid over the image, N = g^2.

    Attributes:
        maps: how much node i takes from node j, of the shown images, (k, heads, N, N) in half precision.
        mean: the mean of that over all measured images, (heads, N, N) in half precision.
        images: the shown images as the network is fed them, uint8 (k, s, s, 3).
        names: of the shown images, (k,).
        table: a row a head: `head, entropy` (mean over rows, nats), `entropy_share` (of a uniform head's),
            `diagonal` (mean weight of a node on itself), `between_queries` and `between_images` (mean share of a
            row's weight that lies elsewhere than in the image's mean row, and than in the same row of the mean
            image: 0 where attention does not depend on who asks, or on the image), `same_first` (share of the
            images in which all nodes take most from the same node), `n_images`, and a uniform head's
            `entropy_uniform` (log N) and `diagonal_uniform` (1 / N).
    """

    FILES: ClassVar = NODE_FILES
    ARRAYS: ClassVar = ("maps", "mean", "images", "names")

    maps: NDArray[np.float16]
    mean: NDArray[np.float16]
    images: NDArray[np.uint8]
    names: NDArray[np.str_]


ATTRIBUTION_FILES = ("maps.npz", "attribution.csv")


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

    FILES: ClassVar = ATTRIBUTION_FILES
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
