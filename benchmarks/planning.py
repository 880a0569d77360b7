"""Planning with nothing to do, beside a Snakefile of as many empty jobs, in turn; in processor time.

The empty jobs have one output each and no parameter, or as many of both as a training.

    python benchmarks/planning.py --runs 30 300 3000 --out planning.json

makes a checkout with a study of that many trainings and stands files in for everything that it would
make (`snakemake --touch` notes them as finished, with the parameters that a real run would note).
"""

import argparse
import json
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import machine

from florilegium.core.files import write_json

PROJECT = Path(__file__).resolve().parents[1]
EMPTY = """
rule all:
    default_target: True
    input: expand("made/{{i}}/{{k}}", i=range({jobs}), k=range({outputs}))

rule one:
    output: expand("made/{{{{i}}}}/{{k}}", k=range({outputs}))
    params: **{{f"p{{k}}": (lambda wildcards, k=k: f"{{wildcards.i}} {{k}}") for k in range({parameters})}}
    shell: "touch {{output}}"
"""
SIDES = {"empty": (1, 0), "equal": (6, 9)}  # outputs and parameters of a job
STUDY = {
    "title": "many",
    "document": "none",
    "experiments": {
        "net": {
            "data": {"dataset": "demo17"},
            "model": {"name": "resnet18"},
            "recipe": {"epochs": 1},
            "grid": {"recipe.lr": []},
        }
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[30, 300, 3000])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows = []
    for runs in arguments.runs:
        rows.append(measure(runs, arguments.pairs))
        print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    write_json(arguments.out, {"machine": machine(), "pairs": arguments.pairs, "sizes": rows})


def measure(runs: int, pairs: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        ours = Path(folder) / "florilegium"
        subprocess.run(["git", "clone", "--quiet", PROJECT, ours], check=True)
        study = json.loads(json.dumps(STUDY))
        study["experiments"]["net"]["grid"]["recipe.lr"] = [(i + 1) / 1e4 for i in range(runs)]
        write_json(ours / "many.json", study)
        config = ["--config", "own_studies=[many.json]", "studies=[many]", "seeds=[0]"]
        jobs = finish(ours, config)
        for name, (outputs, parameters) in SIDES.items():
            (Path(folder) / name).mkdir()
            text = EMPTY.format(jobs=jobs, outputs=outputs, parameters=parameters)
            (Path(folder) / name / "Snakefile").write_text(text)
            finish(Path(folder) / name, [])
        times = [
            {"ours": plan(ours, config)} | {name: plan(Path(folder) / name, []) for name in SIDES} for _ in range(pairs)
        ]
    seconds = {name: statistics.median(row[name] for row in times) for name in ("ours", *SIDES)}
    spare = jobs * (SIDES["equal"][0] - SIDES["empty"][0])
    return {
        "runs": runs,
        "jobs": jobs,
        **{f"seconds_{name}": round(value, 2) for name, value in seconds.items()},
        "ratio_to_equal": round(statistics.median(row["ours"] / row["equal"] for row in times), 3),
        "ratio_to_empty": round(statistics.median(row["ours"] / row["empty"] for row in times), 3),
        "milliseconds_an_output": round(1e3 * (seconds["equal"] - seconds["empty"]) / spare, 3),
    }


def finish(folder: Path, config: list[str]) -> int:
    """Stand an empty file in for everything that is to be made, and note it as made; the number of jobs."""
    said = snakemake(folder, "--summary", "all", *config)
    for line in said.splitlines()[1:]:
        path = folder / line.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    snakemake(folder, "--touch", "--forceall", "--cores", "1", "all", *config)
    said = snakemake(folder, "-n", "--forceall", "--quiet", "rules", "all", *config)
    return int(re.findall(r"^total +(\d+)", said, flags=re.MULTILINE)[-1]) - 1


def snakemake(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return done.stdout + ("" if "--summary" in arguments else done.stderr)


def plan(folder: Path, config: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = snakemake(folder, "-n", "all", *config)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert "Nothing to be done" in said, said
    return seconds


if __name__ == "__main__":
    main()
