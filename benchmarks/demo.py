"""The whole demo from nothing, and what share of it is spent importing libraries.

    python benchmarks/demo.py --out demo.json

runs it in a fresh clone of this checkout with every job's imports timed by the interpreter
itself (`PYTHONPROFILEIMPORTTIME`), which writes into the job's log.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine

from florilegium.core.files import write_json

PROJECT = Path(__file__).resolve().parents[1]
IMPORT = re.compile(r"^import time: +(\d+) \|", flags=re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "florilegium"
        subprocess.run(["git", "clone", "--quiet", PROJECT, clone], check=True)
        environment = {**os.environ, "PYTHONPATH": str(clone / "src"), "PYTHONPROFILEIMPORTTIME": "1"}
        command = [sys.executable, "-m", "snakemake", "--cores", str(arguments.cores), "all"]
        started = time.perf_counter()
        subprocess.run(command, cwd=clone, env=environment, check=True, capture_output=True)
        seconds = time.perf_counter() - started
        logs = list((clone / "logs").rglob("*.log"))
        importing = {str(log.relative_to(clone / "logs")): import_seconds(log) for log in logs}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "machine": machine(),
        "cores": arguments.cores,
        "seconds": seconds,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "jobs": len(importing),
        "import_seconds": sum(importing.values()),
        "import_share_of_cpu": sum(importing.values()) / (used.ru_utime + used.ru_stime),
    }
    write_json(arguments.out, figures)
    for name, value in list(figures.items())[1:]:
        print(f"{name:>20}  {round(value, 3)}")


def import_seconds(log: Path) -> float:
    """Seconds that a job spent in imports: the sum of what each module took by itself."""
    return sum(int(own) for own in IMPORT.findall(log.read_text(errors="replace"))) / 1e6


if __name__ == "__main__":
    main()
