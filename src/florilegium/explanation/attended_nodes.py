"""What was seen of one trained head of attention over nodes, and its files. Without torch: figures are drawn from it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from florilegium.explanation.seen import Seen

FILES = ("maps.npz", "attention.csv")


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

    FILES: ClassVar = FILES
    ARRAYS: ClassVar = ("maps", "mean", "images", "names")

    maps: NDArray[np.float16]
    mean: NDArray[np.float16]
    images: NDArray[np.uint8]
    names: NDArray[np.str_]
