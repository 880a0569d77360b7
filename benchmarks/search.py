"""A million hashes against a million: seconds and memory of the search, beside a comparison of every two.

    python benchmarks/search.py --out search.json

Each search is measured in a process of its own, with the hashes that it makes itself. The comparison of all is timed
on some rows, before and after each search, and stretched to all: it costs the same for each.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from machine import machine

from florilegium.audit.hashing import Hashes
from florilegium.audit.search import search
from florilegium.core.files import write_json

N = 1_000_000
BLOCK = 64, 8192  # pairs that a thread compares at once


def uniform(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, n, np.uint64)


def balanced(n: int, seed: int) -> np.ndarray:
    """32 bits of 64 are set, as in a pHash."""
    random = np.random.default_rng(seed)
    bits = np.zeros((n, 64), np.bool_)
    bits[:, :32] = True
    return np.packbits(random.permuted(bits, axis=1), axis=1).view(np.uint64).ravel()


def one_band(n: int, seed: int) -> np.ndarray:
    """Three images in ten share 16 bits."""
    values = uniform(n, seed)
    values[: n * 3 // 10] &= np.uint64(2**48 - 1)
    return values


def words(n: int, seed: int) -> np.ndarray:
    """Each 16 bits are one of a hundred words: every run of a band is long."""
    random, own = np.random.default_rng(seed), np.random.default_rng(0).integers(0, 2**16, (4, 100), np.uint64)
    return sum(own[band][random.integers(0, 100, n)] << np.uint64(16 * band) for band in range(4))


def equal(n: int, seed: int) -> np.ndarray:
    """3,000 images on each side have one hash."""
    values = uniform(n, seed)
    values[:3000] = 12345
    return values


KINDS = {kind.__name__: kind for kind in (uniform, balanced, one_band, words, equal)}
CASES = [("uniform", 1), ("uniform", 8), ("balanced", 8), ("one_band", 1), ("words", 1), ("equal", 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON file for the result")
    parser.add_argument("--n", type=int, default=N, help="hashes on each side")
    parser.add_argument("--radius", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--case", nargs=2, metavar=("KIND", "TURNS"), help="measure this one here, and print it")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(*arguments.case, arguments)))
        return
    here, rows = machine(), []
    for kind, turns in CASES:
        before = every_pair(arguments.workers)
        command = [sys.executable, __file__, "--case", kind, str(turns), "--n", str(arguments.n)]
        command += ["--radius", str(arguments.radius), "--workers", str(arguments.workers)]
        row = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        rate = (before + every_pair(arguments.workers)) / 2
        row["pairs_a_second_of_every_two"] = round(rate)
        row["seconds_of_every_two"] = round(arguments.n**2 * turns / rate, 1)
        row["times_faster"] = round(row["seconds_of_every_two"] / row["seconds"], 1)
        rows.append(row)
        print(
            f"{kind:9} x {turns}: {row['seconds']:6.1f} s, {row['peak_memory_bytes'] / 2**30:.2f} GiB, "
            f"{row['n_pairs']:,} pairs; every two {row['seconds_of_every_two']:,.0f} s ({row['times_faster']} times)"
        )
    if arguments.out:
        facts = {"n": arguments.n, "radius": arguments.radius, "workers": arguments.workers}
        write_json(arguments.out, {**facts, "cases": rows, "machine": here})


def measure(kind: str, turns: str, arguments: argparse.Namespace) -> dict:
    """Seconds, peak memory of this process and pairs of one search, all that `search` returns included."""
    a, b = (side(KINDS[kind], arguments.n, seed, int(turns)) for seed in (1, 2))
    used, started = time.process_time(), time.perf_counter()
    found = search(a, b, radius=arguments.radius, dihedral=True, workers=arguments.workers)
    return {
        "kind": kind,
        "turns": int(turns),
        "seconds": round(time.perf_counter() - started, 2),
        "processor_seconds": round(time.process_time() - used, 2),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "n_pairs": len(found.a),
    }


def side(kind, n: int, seed: int, turns: int) -> Hashes:
    """n images whose pHashes are all reliable, in so many orientations."""
    hashes = np.stack([kind(n, seed + 10 * turn) for turn in range(turns)], axis=1)
    return Hashes(np.arange(n).astype(np.str_).astype(object), hashes, np.ones(n, np.bool_), np.empty((n, 0), np.uint8))


def every_pair(workers: int) -> float:
    """Pairs a second of a comparison of all with all, in blocks that stay in the cache."""
    rows, columns = BLOCK
    a, b = uniform(rows, 1)[:, None], uniform(200 * columns, 2)

    def block(start: int) -> int:
        return int((np.bitwise_count(a ^ b[None, start : start + columns]) <= 10).sum())

    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        sum(pool.map(block, range(0, len(b), columns)))
    return rows * len(b) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
