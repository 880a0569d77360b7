"""Audits of two folders, from image files to verdict, and the share of it that is spent decoding.

    python benchmarks/audit.py oxford102/ oxford17/ --out audit.json

The whole command is timed in a process of its own, as a person calls it and without crops, imports, flips and
rotations, confirmation, page and contact sheet included; then the same files are only decoded, in as many processes.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from machine import machine

from florilegium.commands.audit import list_images
from florilegium.core.files import read_json, write_json
from florilegium.core.outputs import CROP, SAME
from florilegium.data.decode import decode

CROPS, WHOLE, HASH = "crops", "whole", "hash"
WAYS = {  # of an audit, and their options; pHash alone calls a copy whatever is near
    HASH: ["--no-crops", "--no-dihedral"],
    WHOLE: ["--no-crops"],
    CROPS: [],
}


class Audited(NamedTuple):
    """What one audit took and found."""

    name: str
    seconds: float
    processor_seconds: float
    summary: dict[str, Any]
    called: pd.DataFrame  # rows of pairs.csv that the way of WAYS calls copies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the result")
    arguments = parser.parse_args()

    here, folders = machine(), [arguments.a, arguments.b]
    paths = [folder / image for folder in folders for image in list_images(folder)]
    audits: dict[str, list[Audited]] = {CROPS: [], WHOLE: []}
    decodings = []
    for _ in range(arguments.repeats):  # interleaved, so that a busy spell meets all
        for name, of in audits.items():
            with tempfile.TemporaryDirectory() as out:
                of.append(run_audit(folders, arguments.workers, name, Path(out)))
        decodings.append(time_decoding(paths, arguments.workers))
    decoding = statistics.median(decodings)
    result = {
        **here,
        "workers": arguments.workers,
        "repeats": arguments.repeats,
        "n_images": len(paths),
        "seconds_decoding": round(decoding, 2),
        **{name: costs(of) for name, of in audits.items()},
    }
    write_json(arguments.out, result)
    print(f"{here['hardware']}, load before {here['load']}")
    for name, of in audits.items():
        total = result[name]["seconds_total"]
        print(
            f"{name}: {len(paths):,} images to verdict in {total:.1f} s with {arguments.workers} workers, "
            f"{decoding / total:.0%} of it decoding; {len(of[0].called):,} pairs are called copies"
        )


@contextmanager
def options(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.Namespace, Path]]:
    """The command line with the options that benchmarks of audits share, and the folder that they work in."""
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--work", type=Path, help="folder for the audits (default: a temporary one)")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the result")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        yield arguments, arguments.work or Path(temporary)


def costs(audits: Sequence[Audited]) -> dict[str, Any]:
    """Seconds of the repetitions, and what was found."""
    seconds = [audit.seconds for audit in audits]
    return {
        "seconds_total": statistics.median(seconds),
        "seconds_total_each": seconds,
        "processor_seconds_total": statistics.median(audit.processor_seconds for audit in audits),
        "verdicts": audits[0].called["verdict"].value_counts().to_dict(),
        "summary": {key: value for key, value in audits[0].summary.items() if key.startswith("n_")},
    }


def run_audit(folders: Sequence[Path], workers: int, name: str, out: Path) -> Audited:
    """The whole command in the way of WAYS that is called `name`."""
    command = [sys.executable, "-m", "florilegium", "audit", *folders, "--out", out, "--workers", str(workers)]
    used, started = processor_seconds(), time.perf_counter()
    done = subprocess.run([*command, *WAYS[name]], capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, 1):
        sys.exit(done.stderr)
    pairs = pd.read_csv(out / "pairs.csv", dtype={"image_a": str, "image_b": str})
    called = pairs if name == HASH else pairs[pairs["verdict"].isin((SAME, CROP))]
    used = processor_seconds() - used
    return Audited(name, round(seconds, 2), round(used, 2), read_json(out / "summary.json"), called)


def processor_seconds() -> float:
    """Processor time of all child processes that have ended, so that a busy machine can be told apart."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def time_decoding(paths: list[Path], workers: int) -> float:
    """Seconds to decode every file and drop its pixels."""
    with ProcessPoolExecutor(workers) as pool:
        started = time.perf_counter()
        for _ in pool.map(decode_only, paths, chunksize=64):
            pass
        return time.perf_counter() - started


def decode_only(path: Path) -> None:
    decode(path)


if __name__ == "__main__":
    main()
