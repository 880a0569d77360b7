"""The peak memory of each stage, from finished results.

    python benchmarks/stage_memory.py FINISHED --out stage_memory.json

FINISHED is the folder of a project whose `demo` is done. Of each stage, the job that took longest there is run once
more, in a copy, as Snakemake would; the peak is the largest resident set of its processes, those of a pool counted one
by one. Trainings are not run again: they wrote their peak into `cost.json`, and so did those of committed results.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from machine import machine

from florilegium.core.files import write_json
from florilegium.core.outputs import RECEIPT

PROJECT = Path(__file__).resolve().parents[1]
COMMAND = re.compile(r"^Shell command: (.*-m florilegium\.stages\.(\w+) .*)$", flags=re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("finished", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    reference = PROJECT / "results" / "reference"
    trainings = {"demo": peaks_of_trainings(arguments.finished / "results" / "demo")}
    trainings |= {folder.name: peaks_of_trainings(folder) for folder in sorted(reference.iterdir())}
    with tempfile.TemporaryDirectory() as folder:
        stages = peaks_of_stages(arguments.finished.absolute(), Path(folder) / "project")
    write_json(arguments.out, {"mib_stages": stages, "mib_trainings": trainings, "machine": machine()})


def peaks_of_trainings(results: Path) -> dict[str, int]:
    """The largest peak of the runs on a CPU of each study, in MiB."""
    found: dict[str, int] = {}
    for path in results.rglob("cost.json"):
        cost = json.loads(path.read_text(encoding="utf-8"))
        if cost["device"] == "cpu" and "peak_memory_bytes" in cost:
            study = path.relative_to(results).parts[0]
            found[study] = max(found.get(study, 0), cost["peak_memory_bytes"] >> 20)
    return found


def peaks_of_stages(finished: Path, project: Path) -> dict[str, int]:
    """The peak of the longest job of each stage but the trainings, in MiB, run in the new folder `project`."""
    subprocess.run(["git", "clone", "--quiet", PROJECT, project], check=True)
    for folder in ("resources", "results/demo", "state/demo/report"):
        shutil.copytree(finished / folder, project / folder)
    variables = os.environ | {"PYTHONPATH": str(project / "src")}
    plan = [sys.executable, "-m", "snakemake", "-n", "-p", "--forceall", "--cores", "1", "all"]
    said = subprocess.run(plan, cwd=project, env=variables, capture_output=True, text=True, check=True).stdout
    jobs: dict[str, list[str]] = {}
    for command, stage in COMMAND.findall(said):
        jobs.setdefault(stage, []).append(command)
    peaks = {}
    for stage, commands in jobs.items():
        if not stage.startswith("train"):
            peaks[stage] = peak(max(commands, key=lambda command: seconds(project, command)), project, variables)
            print(f"{stage:16} {peaks[stage]:6} MiB", flush=True)
    return peaks


def seconds(project: Path, command: str) -> float:
    """What the job took, as the receipts of its outputs say."""
    words = shlex.split(command)
    out = project / words[words.index("--out") + 1]
    places: Iterable[Path] = out.rglob(f"*{RECEIPT}") if out.is_dir() else [out.with_suffix(f".{RECEIPT}")]
    return sum(json.loads(path.read_text())["seconds"] for path in places if path.exists())


def peak(command: str, project: Path, variables: dict[str, str]) -> int:
    log = project / shlex.split(command)[-2]
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(["bash", "-c", command], cwd=project, env=variables)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command}\n{log.read_text(encoding='utf-8')}")
    return int(usage.ru_maxrss) >> 10


if __name__ == "__main__":
    main()
