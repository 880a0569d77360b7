"""Records of trained networks: the attention of tokens or nodes, and attributions; arrays, and a table of numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.files import atomic
from florilegium.core.outputs import ATTENTION, ATTRIBUTION
from florilegium.core.tables import read_table, write_frame

WHOLE = dict.fromkeys(("block", "head", "n_images"), int)


@dataclass(frozen=True)
class Record:
    """A record of one network: every field but `table` is an array."""

    FILES: ClassVar[tuple[str, str]]
    """Names of the arrays' file and of the table's."""

    TYPES: ClassVar[Mapping[str, type]]
    """Types of the table's columns that are no fractions."""

    table: pd.DataFrame

    @classmethod
    def _arrays(cls) -> list[str]:
        return [field.name for field in fields(cls) if field.name != "table"]

    def save(self, folder: Path) -> list[Path]:
        """Write FILES into `folder`, with bytes that depend on the content alone; returns their paths."""
        arrays, table = (folder / name for name in self.FILES)
        with atomic(arrays) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **{name: getattr(self, name) for name in self._arrays()})
        write_frame(table, self.table, float_format="%.6g")
        return [arrays, table]

    @classmethod
    def load(cls, folder: Path) -> Self:
        arrays, table = (folder / name for name in cls.FILES)
        with np.load(arrays, allow_pickle=False) as found:
            return cls(
                **{name: found[name] for name in cls._arrays()}, table=read_table(table, cls.TYPES, others=float)
            )


@dataclass(frozen=True)
class AttentionRecord(Record):
    """Maps, rollouts and numbers of one network.

    The table has a row for each block and head of the network: `block, head, entropy` (mean over rows, nats),
    `entropy_share` (of a uniform head's), `diagonal` (mean weight of a token on itself), `n_images`, and a uniform
    head's `entropy_uniform` (log N) and `diagonal_uniform` (1 / N).
    """

    FILES, TYPES = ATTENTION, WHOLE

    blocks: NDArray[np.int64]  # the blocks whose maps are here, (b,)
    head: NDArray[np.int64]  # the head that the maps are of, ()
    prefix: NDArray[np.int64]  # tokens before the patches (class token, distillation token, registers), ()
    maps: NDArray[np.float16]  # weights of the first test image, a row a query token, (b, N, N)
    rollout: NDArray[np.float16]  # attention rollout over the patches of the shown images, (n, rows, columns)
    images: NDArray[np.uint8]  # the shown images as the network is fed them, (n, S, S, 3)
    names: NDArray[np.str_]  # of the shown images, (n,); the maps are of the first one

    def numbers(self, block: int) -> pd.Series:
        """The row of the table for `block` and the head that the maps are of."""
        return self.table[(self.table["block"] == block) & (self.table["head"] == int(self.head))].iloc[0]


@dataclass(frozen=True)
class NodeRecord(Record):
    """Weights and numbers of one network whose nodes are the squares of a g x g grid over the image, N = g^2.

    The table has a row a head: `head, entropy` (mean over rows, nats), `entropy_share` (of a uniform head's),
    `diagonal` (mean weight of a node on itself), `between_queries` and `between_images` (mean share of a row's weight
    that lies elsewhere than in the image's mean row, and than in the same row of the mean image: 0 where attention does
    not depend on the query, or on the image), `same_first` (share of the images in which all nodes take most from the
    same node), `n_images`, and a uniform head's `entropy_uniform` (log N) and `diagonal_uniform` (1 / N).
    """

    FILES, TYPES = ATTENTION, WHOLE

    maps: NDArray[np.float16]  # how much node i takes from node j, of the shown images, (k, heads, N, N)
    mean: NDArray[np.float16]  # the mean of that over all measured images, (heads, N, N)
    images: NDArray[np.uint8]  # the shown images as the network is fed them, (k, s, s, 3)
    names: NDArray[np.str_]  # of the shown images, (k,)


@dataclass(frozen=True)
class AttributionRecord(Record):
    """Maps, curves and numbers of one network.

    The table has a row for each image and order, the shown images first: `image, target, prediction, probability,
    method, deletion, insertion` (areas under the curves), `completeness_gap`, `difference` (logits; empty where a
    method makes no claim to completeness).
    """

    FILES, TYPES = ATTRIBUTION[:2], dict.fromkeys(("image", "target", "prediction", "method"), str)

    methods: NDArray[np.str_]  # the methods that fit the network, (m,)
    maps: NDArray[np.float16]  # of the shown images, (k, m, s, s), the largest magnitude being one
    images: NDArray[np.uint8]  # the shown images as the network is fed them, (k, s, s, 3)
    orders: NDArray[np.str_]  # the orders of pixels that are judged: methods, then random ones, (o,)
    curves: NDArray[np.float16]
    """Probability of the predicted class by image, order, deletion or insertion, and share of the pixels, which is even
    from 0 to 1, (n, o, 2, p)."""
    unfit: NDArray[np.str_]  # the methods of the settings that do not fit, (u,)
    reasons: NDArray[np.str_]  # why they do not, (u,)

    def of(self, place: int) -> pd.DataFrame:
        """The rows of the table for the image at `place`, by method."""
        count = len(self.orders)
        return self.table.iloc[place * count : (place + 1) * count].set_index("method")
