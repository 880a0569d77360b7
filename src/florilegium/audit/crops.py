"""Pictures that show parts of one photograph: candidates that share features, proven by geometry and by pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from florilegium.audit.alignment import align
from florilegium.audit.columns import PickedPoints
from florilegium.audit.hashing import IDENTITY, NAMES, Hashes
from florilegium.audit.matching import firsts
from florilegium.audit.points import Points, working, working_size
from florilegium.audit.proof import overlap
from florilegium.audit.search import Candidates
from florilegium.audit.sharing import Shared, sharing
from florilegium.audit.steps import Steps
from florilegium.config.pictures import Pictures
from florilegium.core.errors import UserError
from florilegium.data.decode import BadImage, decode, in_processes

CHUNK = 2048  # candidates that a process takes at a time
PAIR = np.dtype([("a", "i8"), ("b", "i8"), ("mirrored", "?")])
PROOF = np.dtype(
    [
        ("a", "i8"),
        ("b", "i8"),
        ("transform", "i8"),  # index into NAMES, the nearest
        ("scale", "f8"),
        ("overlap", "f8"),
        ("points", "i8"),
        ("agreement", "f8"),
        ("correlation", "f8"),
        ("frame", "f8", 6),  # the map of a's unit square into b's: 2 rows of 3
    ]
)


@dataclass(frozen=True)
class Described:
    """A set of pictures whose local features are kept."""

    root: Path  # where the pictures lie
    images: NDArray[np.object_]  # (N,) paths below it
    side: NDArray[np.uint32]  # (N, 2) width and height in pixels
    points: PickedPoints  # of N pictures
    pictures: Pictures  # how they are read

    @classmethod
    def of(cls, hashes: Hashes, root: Path | None, pictures: Pictures) -> "Described | None":
        """None where the features were not made, or the pictures are not there."""
        if root is None or hashes.points is None or hashes.side is None:
            return None
        return cls(root, hashes.images, hashes.side, hashes.points, pictures)

    def take(self, rows: NDArray[np.intp]) -> "Described":
        return Described(self.root, self.images[rows], self.side[rows], self.points.take(rows), self.pictures)

    def features(self, row: int, mirrored: bool = False) -> Points:
        """The local features of a picture, or of its mirror image."""
        points = self.points[row]
        return points.mirrored(working_size(*self.side[row].tolist())[0]) if mirrored else points

    def grey(self, row: int) -> NDArray[np.uint8]:
        """A picture as its features were found in it.

        Raises:
            UserError: it can no longer be read.
        """
        try:
            return working(decode(self.root / self.images[row], self.pictures))
        except BadImage as error:
            raise UserError(f"{self.root / self.images[row]}: {error}; it could be read before, start again") from error


def prove(a: Described, b: Described | None, steps: Steps, *, workers: int = 1) -> NDArray[np.void]:
    """All pairs whose features agree on one map, as `PROOF`, each once under its better orientation; inside a when `b`
    is None. Whether their pixels agree is for the caller to judge by `agreement`."""
    other = a if b is None else b
    with steps("candidates for crops"):
        candidates = sharing(a.points, None if b is None else b.points, workers=workers)
    with steps("proof"):
        found = [
            np.empty(0, PROOF),
            *in_processes(_prove, list(_tasks(a, other, candidates)), workers, title="proof", unit="chunk"),
        ]
        proofs = np.concatenate(found)
    proofs = proofs[np.lexsort((-proofs["points"], -proofs["agreement"], proofs["b"], proofs["a"]))]
    return np.asarray(proofs[firsts(proofs["a"], proofs["b"])])


def with_proofs(a: Hashes, b: Hashes, candidates: Candidates, proofs: NDArray[np.void]) -> Candidates:
    """Candidates by hash, and the proven pairs that are not among them."""
    new = proofs[~np.isin(proofs["a"] * len(b) + proofs["b"], candidates.a * len(b) + candidates.b)]
    distance = np.bitwise_count(a.hash[new["a"], new["transform"]] ^ b.hash[new["b"], IDENTITY])
    columns = {"a": new["a"], "b": new["b"], "transform": new["transform"], "distance": distance}
    both: dict[str, Any] = {key: np.concatenate([getattr(candidates, key), more]) for key, more in columns.items()}
    return replace(candidates, **both)


@dataclass(frozen=True)
class Task:
    """Candidates that one process proves at a time; their rows are those of the two small sets."""

    a: Described
    b: Described
    rows_a: NDArray[np.intp]
    rows_b: NDArray[np.intp]
    pairs: NDArray[np.void]  # PAIR


def _tasks(a: Described, b: Described, candidates: Shared) -> Iterator[Task]:
    """The candidates, those of one picture of b together, so that few tasks read the same one."""
    order = np.lexsort((candidates.a, candidates.b))
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
        rows_a, of_a = np.unique(candidates.a[rows], return_inverse=True)
        rows_b, of_b = np.unique(candidates.b[rows], return_inverse=True)
        pairs = np.empty(len(rows), PAIR)
        pairs["a"], pairs["b"], pairs["mirrored"] = of_a, of_b, candidates.mirrored[rows]
        yield Task(a.take(rows_a), b.take(rows_b), rows_a, rows_b, pairs)


def _prove(task: Task) -> NDArray[np.void]:
    """The candidates of a task that align, as `PROOF`. What they need of a picture is read once."""
    proofs = []
    points_a, points_b = cache(task.a.features), cache(task.b.features)
    grey_a, grey_b = cache(task.a.grey), cache(task.b.grey)
    for a, b, mirrored in task.pairs.tolist():
        width, height = working_size(*task.a.side[a].tolist())
        alignment = align(points_a(a, mirrored), points_b(b))
        if alignment is None:
            continue
        if mirrored:
            alignment = alignment.of_mirrored(width)
        shared = overlap(grey_a(a), grey_b(b), alignment)
        size_b = working_size(*task.b.side[b].tolist())
        frame = alignment.matrix * [width, height, 1] / np.array(size_b)[:, None]
        row = (task.rows_a[a], task.rows_b[b], transform(alignment.matrix), shared.scale, shared.overlap)
        proofs.append((*row, alignment.points, shared.agreement, shared.correlation, frame.ravel()))
    return np.array(proofs, PROOF)


def transform(matrix: NDArray[np.float64]) -> int:
    """The index into NAMES of the flip and quarter turns that are nearest to a map (2, 3)."""
    flipped = np.linalg.det(matrix[:, :2]) < 0
    right = matrix[:, 0] * (-1 if flipped else 1)  # where the picture, flipped back, has its right
    turns = round(float(np.arctan2(-right[1], right[0])) / (np.pi / 2)) % 4
    return turns + len(NAMES) // 2 * int(flipped)
