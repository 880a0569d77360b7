"""How one picture lies in another: the similarity, slightly stretched at most, on which their features agree.

Every match of two features is a whole hypothesis, since a feature has a place, a size and a direction (Philbin et al.,
CVPR 2007, section 4.2, who call it fast spatial matching); so all are tried, and nothing is left to chance.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from florilegium.audit.points import Points

ALIKE = 0.85  # least cosine of two root descriptors that match
TURN, ZOOM = 25.0, 0.6  # degrees and octaves by which a feature may differ from the whole
REACH = (10.0, 6.0, 4.0, 3.0)  # pixels by which a place may differ: at first, and as the fit is refined
FEWEST = 5  # agreeing features; fewer agree by chance
STRETCH = 2.0  # of one direction over the other
ENLARGED = 4.0  # either way
NOTHING = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Alignment:
    """The map of places (x, y, 1) of a to places of b, and the number of places that agree on it."""

    matrix: NDArray[np.float64]  # (2, 3)
    points: int

    @property
    def usual(self) -> bool:
        """False for a map that no copy has: torn in one direction, or shrunk to nothing."""
        longest, shortest = np.linalg.svd(self.matrix[:, :2], compute_uv=False)
        return bool(shortest * STRETCH >= longest and shortest >= 1 / ENLARGED and longest <= ENLARGED)

    def of_mirrored(self, width: int) -> "Alignment":
        """The map from a picture, `width` pixels wide, whose mirror image this one maps."""
        flip = np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]])
        return Alignment(self.matrix @ flip, self.points)


def align(a: Points, b: Points) -> Alignment | None:
    """The map from a to b on which most of their features agree; None where it is a map of chance."""
    rows_a, rows_b = matches(a, b)
    if len(rows_a) < FEWEST:
        return None
    from_, to = a.place[rows_a].astype(np.float64), b.place[rows_b].astype(np.float64)
    turn = np.deg2rad(to[:, 3] - from_[:, 3])
    zoom = to[:, 2] / from_[:, 2]
    linear = zoom * np.exp(1j * turn)  # places as complex numbers: a similarity is one product and one sum
    start, end = from_[:, 0] + 1j * from_[:, 1], to[:, 0] + 1j * to[:, 1]
    missed = np.abs(linear[:, None] * (start[None] - start[:, None]) + end[:, None] - end[None])  # (hypothesis, match)
    turned = np.abs(np.rad2deg(np.angle(linear[:, None] / linear[None])))
    zoomed = np.abs(np.log2(zoom[:, None] / zoom[None]))
    agrees = (missed <= REACH[0]) & (turned <= TURN) & (zoomed <= ZOOM)
    agreeing = agrees[agrees.sum(axis=1).argmax()]
    matrix = np.empty((2, 3))
    for reach in REACH[1:]:
        if distinct(from_[agreeing], to[agreeing]) < FEWEST:
            return None
        matrix = fit(from_[agreeing, :2], to[agreeing, :2])
        whole = complex(matrix[0, 0] + matrix[1, 1], matrix[1, 0] - matrix[0, 1]) / 2  # its nearest similarity
        if not abs(whole):
            return None
        apart = np.hypot(*(from_[:, :2] @ matrix[:, :2].T + matrix[:, 2] - to[:, :2]).T)
        turned, zoomed = np.abs(np.rad2deg(np.angle(linear / whole))), np.abs(np.log2(zoom / abs(whole)))
        agreeing = (apart <= reach) & (turned <= TURN) & (zoomed <= ZOOM)
    alignment = Alignment(matrix, distinct(from_[agreeing], to[agreeing]))
    return alignment if alignment.points >= FEWEST and alignment.usual else None


def matches(a: Points, b: Points) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of a and of b, each the other's nearest."""
    if not len(a) or not len(b):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    # OpenCV's product has one thread; numpy's would start several in each of several processes
    cosine = cv2.gemm(a.root, b.root, 1, NOTHING, 0, flags=cv2.GEMM_2_T)
    nearest = cosine.argmax(axis=1)
    rows = np.arange(len(a))
    mutual = (cosine.argmax(axis=0)[nearest] == rows) & (cosine[rows, nearest] >= ALIKE)
    return rows[mutual], nearest[mutual]


def fit(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (2, 3) map with the least squared error from places (n, 2) to others: affine, a similarity for few places."""
    if len(start) >= 2 * FEWEST:
        rows = np.column_stack([start, np.ones(len(start))])
        affine, *_ = np.linalg.lstsq(rows, end, rcond=None)
        return np.asarray(affine.T, np.float64)
    from_, to = start.mean(axis=0), end.mean(axis=0)
    p, q = (start - from_) @ [1, 1j], (end - to) @ [1, 1j]
    linear = (p.conj() @ q) / max((p.conj() @ p).real, 1e-9)
    turn = np.array([[linear.real, -linear.imag], [linear.imag, linear.real]])
    return np.column_stack([turn, to - turn @ from_])


def distinct(start: NDArray[np.float64], end: NDArray[np.float64]) -> int:
    """The number of places: one place may have several features."""
    return min(len({*map(tuple, np.round(places[:, :2] / 2).tolist())}) for places in (start, end))
