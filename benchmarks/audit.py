"""An audit of two folders, from image files to verdict, and the share of it that is spent decoding.

    python benchmarks/audit.py oxford102/ oxford17/ --out audit.json

The whole command is timed in a process of its own, imports, flips and rotations, pixel confirmation
and contact sheet included; then the same files are only decoded, in as many processes.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from machine import machine

from florilegium.commands.audit import list_images
from florilegium.core.files import read_json, write_json
from florilegium.data.decode import decode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True, help="JSON file for the result")
    arguments = parser.parse_args()

    here = machine()
    paths = [folder / image for folder in (arguments.a, arguments.b) for image in list_images(folder)]
    audits, processors, decodings = [], [], []
    for _ in range(arguments.repeats):  # interleaved, so that a busy spell meets both
        seconds, processor, summary = time_audit(arguments.a, arguments.b, arguments.workers)
        audits.append(seconds)
        processors.append(processor)
        decodings.append(time_decoding(paths, arguments.workers))
    total, decoding = statistics.median(audits), statistics.median(decodings)
    result = {
        **here,
        "workers": arguments.workers,
        "repeats": arguments.repeats,
        "n_images": len(paths),
        "n_candidates": summary["n_candidates"],
        "n_same_picture": summary["n_same_picture"],
        "seconds_total": round(total, 2),
        "seconds_total_each": [round(seconds, 2) for seconds in audits],
        "processor_seconds_total": round(statistics.median(processors), 2),
        "seconds_decoding": round(decoding, 2),
        "share_decoding": round(decoding / total, 3),
    }
    write_json(arguments.out, result)
    print(f"{here['hardware']}, load before {here['load']}")
    print(
        f"{len(paths):,} images to verdict in {total:.1f} s with {arguments.workers} workers, "
        f"{decoding / total:.0%} of it decoding; {summary['n_same_picture']:,} pairs show the same picture"
    )


def time_audit(a: Path, b: Path, workers: int) -> tuple[float, float, dict]:
    """Seconds of the whole command by the clock and by the processors, and its summary."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "florilegium", "audit", a, b, "--out", out, "--workers", str(workers)]
        used, started = processor_seconds(), time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - started
        if done.returncode not in (0, 1):
            sys.exit(done.stderr)
        return seconds, processor_seconds() - used, read_json(Path(out) / "summary.json")


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
