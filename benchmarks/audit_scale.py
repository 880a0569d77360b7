"""The crop step on many pictures, from kept local features to pairs that agree on one map, without their pixels.

    python benchmarks/audit_scale.py audit/kept/a audit/kept/b --out scale.json

The features of real photographs, which an audit has kept in these folders, are blended in pairs and dealt to new
pictures, so that no two pictures share any. Such pictures are kinder than real ones: their features lie evenly, and do
not come in families as those of one garden do. A hundredth of the second set are parts of pictures of the first: 60 %
of the features of each, turned, enlarged and every second one mirrored, with noise. Each size runs in a process of its
own.
"""

import argparse
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from numpy.typing import NDArray

from florilegium.audit.alignment import align
from florilegium.audit.columns import POINT, PickedPoints
from florilegium.audit.kept import Kept
from florilegium.audit.points import AREA, Points
from florilegium.audit.sharing import sharing
from florilegium.core.files import write_json

COUNT = 128  # features of a picture
WIDTH, HEIGHT = round((AREA * 4 / 3) ** 0.5), round((AREA * 3 / 4) ** 0.5)
SHARED = 100  # one picture of so many is a part of another
KEPT = 0.6  # of its features
BLEND = 0.5  # of the second descriptor in a blend
NOISE = 6.0  # of the 256 levels of a descriptor, where pictures are shared
BLOCK = 1000  # pictures that are dealt at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kept", type=Path, nargs="+", help="folder in which an audit has kept local features")
    parser.add_argument("--n", type=int, nargs="+", default=[10_000, 30_000, 100_000], help="pictures of each set")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the result")
    arguments = parser.parse_args()
    here, sizes = machine(), []
    for n in arguments.n:
        with tempfile.TemporaryDirectory(dir=arguments.out.parent) as folder:
            with ProcessPoolExecutor(1) as alone:  # its memory is none of the measured one
                planted = alone.submit(write_sets, arguments.kept, n, Path(folder)).result()
            with ProcessPoolExecutor(1) as alone:
                sizes.append(alone.submit(measure, Path(folder), n, planted, arguments.workers).result())
        print(sizes[-1], flush=True)
        write_json(arguments.out, {**here, "workers": arguments.workers, "features": COUNT, "sizes": sizes})


def write_sets(kept: list[Path], n: int, folder: Path) -> NDArray[np.bool_]:
    """Files a and b of n pictures each; returns (n,) which of b are mirrored where they are parts of a's."""
    pool = np.concatenate([packed for path in kept for packed in [all_of(Kept.read(path))]])
    random = np.random.default_rng(n)
    with open(folder / "a", "wb") as a, open(folder / "b", "wb") as b:
        for start in range(0, n, BLOCK):
            first, second = (deal(pool, min(BLOCK, n - start), random) for _ in "ab")
            for row in range(0, len(first), SHARED):
                second[row, : round(KEPT * COUNT)] = part(first[row], random, mirrored=row // SHARED % 2 == 1)
            first.tofile(a)
            second.tofile(b)
    return np.arange(n) // SHARED % 2 == 1


def all_of(kept: Kept) -> NDArray[Any]:
    points = kept.hashes(np.arange(len(kept))).points
    return points.packed(np.arange(len(points)))


def deal(pool: NDArray[Any], n: int, random: np.random.Generator) -> NDArray[Any]:
    """(n, COUNT) features of new pictures."""
    one, other = (pool[random.integers(0, len(pool), n * COUNT)] for _ in range(2))
    dealt = one.copy()
    dealt["place"][:, 0] = random.uniform(0, WIDTH, n * COUNT)
    dealt["place"][:, 1] = random.uniform(0, HEIGHT, n * COUNT)
    dealt["place"][:, 3] = random.uniform(0, 360, n * COUNT)
    both = one["descriptor"].astype(np.float32) + BLEND * other["descriptor"]
    dealt["descriptor"] = (512 * both / np.linalg.norm(both, axis=1, keepdims=True)).clip(0, 255)
    return dealt.reshape(n, COUNT)


def part(picture: NDArray[Any], random: np.random.Generator, *, mirrored: bool) -> NDArray[Any]:
    """Some features of a picture as another shows them."""
    rows = random.permutation(COUNT)[: round(KEPT * COUNT)]
    points = Points(picture["place"][rows], picture["descriptor"][rows])
    points = points.mirrored(WIDTH) if mirrored else points
    turn, zoom = np.deg2rad(random.uniform(-15, 15)), random.uniform(1, 1.3)
    x, y, size, angle = points.place.T
    place = (x + 1j * y) * zoom * np.exp(1j * turn) + random.normal(0, 0.7, len(rows)) + 20
    shown = np.empty(len(rows), POINT)
    shown["place"] = np.column_stack([place.real, place.imag, size * zoom, (angle + np.rad2deg(turn)) % 360])
    shown["descriptor"] = (points.descriptor + random.normal(0, NOISE, points.descriptor.shape)).clip(0, 255)
    return shown


def measure(folder: Path, n: int, mirrored: NDArray[np.bool_], workers: int) -> dict[str, Any]:
    """Time and memory of both steps, and how many of the planted pairs, and what others, are left after each."""
    a, b = (PickedPoints(folder / name, COUNT * np.arange(n), np.full(n, COUNT)) for name in "ab")
    started, used = time.perf_counter(), processor_seconds()
    shared = sharing(a, b, workers=workers)
    sharing_seconds, sharing_used = time.perf_counter() - started, processor_seconds() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parts = np.array_split(np.arange(len(shared)), 8 * workers)
    tasks = [(shared.a[rows], shared.b[rows], shared.mirrored[rows]) for rows in parts]
    started = time.perf_counter()
    with ProcessPoolExecutor(workers) as pool:
        agreeing = np.concatenate(list(pool.map(aligned, repeat((a, b)), tasks)))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    planted = (shared.a == shared.b) & (shared.a % SHARED == 0) & (shared.mirrored == mirrored[shared.b])
    return {
        "n": n,
        "planted": -(-n // SHARED),
        "candidates": len(shared),
        "planted_candidates": int(planted.sum()),
        "agreeing": int((agreeing > 0).sum()),
        "planted_agreeing": int((agreeing[planted] > 0).sum()),
        "most_points_of_chance": int(agreeing[~planted].max(initial=0)),
        "seconds_sharing": round(sharing_seconds, 1),
        "processor_seconds_sharing": round(sharing_used, 1),
        "seconds_geometry": round(time.perf_counter() - started, 1),
        "processor_seconds_geometry": round(used.ru_utime + used.ru_stime, 1),
        "memory_sharing_gib": round(memory / 2**20, 2),
        "file_gib": round(2 * n * COUNT * POINT.itemsize / 2**30, 2),
    }


def aligned(sets: tuple[PickedPoints, PickedPoints], task: tuple[NDArray[Any], ...]) -> NDArray[np.intp]:
    """The points on which each candidate pair agrees, 0 where there is no map."""
    found = []
    for i, j, mirrored in zip(*task, strict=True):
        one = sets[0][i].mirrored(WIDTH) if mirrored else sets[0][i]
        alignment = align(one, sets[1][j])
        found.append(alignment.points if alignment else 0)
    return np.array(found, np.intp)


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
