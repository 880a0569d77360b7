"""Planning with nothing to do, beside a Snakefile of as many empty jobs, in turn.

    python benchmarks/planning.py FINISHED --out planning.json

FINISHED is a checkout in which `snakemake all` has run to its end.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

from florilegium.core.files import write_json

EMPTY = """
rule all:
    default_target: True
    input: expand("made/{{i}}", i=range({jobs}))

rule one:
    output: "made/{{i}}"
    shell: "touch {{output}}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("finished", type=Path)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    jobs = count_jobs(arguments.finished)
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder)
        (empty / "Snakefile").write_text(EMPTY.format(jobs=jobs))
        snakemake(empty, "--cores", "2", "all")
        times = [(plan(arguments.finished), plan(empty)) for _ in range(arguments.pairs)]
    ratios = [ours / theirs for ours, theirs in times]
    figures = {
        "machine": machine(),
        "jobs": jobs,
        "pairs": len(times),
        "seconds_ours": statistics.median(ours for ours, _ in times),
        "seconds_empty": statistics.median(theirs for _, theirs in times),
        "ratio_median": statistics.median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }
    write_json(arguments.out, figures)
    for name, value in list(figures.items())[1:]:
        print(f"{name:>14}  {round(value, 3)}")


def snakemake(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def count_jobs(folder: Path) -> int:
    """Jobs of the whole workflow, the targets left out."""
    said = snakemake(folder, "-n", "--forceall", "--quiet", "rules", "all")
    return int(re.findall(r"^total +(\d+)", said, flags=re.MULTILINE)[-1]) - 1


def plan(folder: Path) -> float:
    started = time.perf_counter()
    said = snakemake(folder, "-n", "all")
    seconds = time.perf_counter() - started
    assert "Nothing to be done" in said, said
    return seconds


if __name__ == "__main__":
    main()
