"""A million pictures through hashing and audit: peak memory and seconds of each, with nothing decoded.

    python benchmarks/kept.py --out kept.json

Each picture is an empty file, for which a row is made up; every tenth of the second half shows one of the first again.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import machine

from florilegium.audit import reading
from florilegium.audit.columns import POINT
from florilegium.audit.comparison import Collection, compare
from florilegium.audit.keeping import publish
from florilegium.audit.kept import FACTS, STATE, Part, load
from florilegium.config.pictures import DEFAULT
from florilegium.config.products import Audit
from florilegium.core.files import write_json

BYTES = "synthetic"


def read(task: reading.Task, points: int) -> reading.Read:
    """What a worker would make of the files, at random."""
    names = [name for name, _ in task.images]
    number = np.array([int(Path(name).stem) for name in names])
    n, again = len(names), (number % 20 == 1)
    random = np.random.default_rng(np.where(again, number - 1, number))
    facts, seen = np.zeros(n, FACTS), np.zeros(n, STATE)
    facts["hash"] = random.integers(0, 2**64, (n, 8), np.uint64)
    facts["hash"][again] = facts["hash"][np.flatnonzero(again) - 1]
    facts["reliable"] = facts["described"] = True
    facts["bytes"] = [status.size for _, status in task.images]
    seen["modified"] = [status.modified for _, status in task.images]
    seen["changed"] = [status.changed for _, status in task.images]
    thumb = random.integers(0, 256, (n, 32, 32, 3), np.uint8)
    thumb[again] = thumb[np.flatnonzero(again) - 1]
    found = np.zeros(n * points, POINT)
    found["descriptor"] = random.integers(0, 256, (n * points, 128), np.uint8)
    part = Part(names, facts, thumb, np.full(n, points), found, seen)
    facts["sum"] = part.sums()
    return reading.Read(part, {}, 0.5)


def hashing(folder: Path, names: list[str], points: int) -> None:
    reading.read = lambda task: read(task, points)
    kept, rows, _ = reading.hash_images(folder / "set", names, folder / "kept", crops=True)
    publish(kept, rows, folder / "hashes")


def audit(folder: Path, names: list[str], points: int) -> None:
    table = pd.DataFrame({"image": names, "split": "train", "class": "a"})
    both = Collection.join("set", load(folder / "hashes", DEFAULT, crops=True, root=folder / "set"), table)
    comparison = compare(both, both, Audit(crops=False), workers=2)
    print(f"{len(comparison.same):,} pairs", file=sys.stderr)


def opening(folder: Path, names: list[str], points: int) -> None:
    """All of an audit's own that grows with the number of pictures, without the search."""
    table = pd.DataFrame({"image": names, "split": "train", "class": "a"})
    hashes = load(folder / "hashes", DEFAULT, crops=True, root=folder / "set")
    both = Collection.join("set", hashes, table)
    for start in range(0, len(names), 4096):
        both.hashes.points.gather(np.arange(start, min(start + 4096, len(names))))


PHASES = {"first": hashing, "again": hashing, "opening": opening, "audit": audit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--points", type=int, default=100, help="local features of a picture")
    parser.add_argument("--phases", nargs="*", choices=PHASES, default=list(PHASES))
    parser.add_argument("--folder", type=Path, help="a temporary one unless given")
    parser.add_argument("--phase", choices=PHASES, help="measure this one here")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    names = [f"{k // 1000:04}/{k:07}.png" for k in range(arguments.images)]
    if arguments.phase:
        started = time.monotonic()
        PHASES[arguments.phase](arguments.folder, names, arguments.points)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": round(time.monotonic() - started, 1), "peak_bytes": peak}))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for name in names:
            place = folder / "set" / name
            if name.endswith("000.png"):
                place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        figures = {}
        for phase in arguments.phases:
            command = [sys.executable, __file__, "--phase", phase, "--folder", str(folder)]
            command += ["--images", str(arguments.images), "--points", str(arguments.points)]
            figures[phase] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(phase, figures[phase], flush=True)
    if arguments.out:
        sizes = {"images": arguments.images, "points": arguments.points}
        write_json(arguments.out, {"machine": machine(), **sizes, **figures})


if __name__ == "__main__":
    main()
