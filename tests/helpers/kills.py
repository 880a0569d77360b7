"""Trainings that are killed at random moments, held against one that nobody disturbed.

    python -m tests.helpers.kills --kills 50 --out benchmarks/results/kills.json

makes the demo in a copy of the project, trains one experiment there undisturbed, then again while this
program kills it, and compares every file that no clock decides, byte by byte.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from florilegium.core.files import digest, read_json, write_json
from tests.conftest import PROJECT
from tests.workflow.conftest import copy_project, environment, narrow, snakemake

RUN = Path("results/demo/flowers/resnet18_scratch/corrected")
BITS = ("metrics.json", "history.csv", "predictions.csv", "checkpoint.safetensors")
SEEDS = ("seed0", "seed1")


@dataclass
class Kills:
    """What was done to a training, and what became of it."""

    by_kind: Counter = field(default_factory=Counter)
    starts: int = 0
    unlocks: int = 0


def ctrl_c(process: subprocess.Popen) -> None:
    """What a terminal does: the whole group gets SIGINT."""
    os.killpg(process.pid, signal.SIGINT)


def terminate(process: subprocess.Popen) -> None:
    """What a cluster or a shutdown does."""
    os.killpg(process.pid, signal.SIGTERM)


def kill_trainer(process: subprocess.Popen) -> None:
    """What the kernel does when memory runs out; Snakemake lives and tries again by itself."""
    for trainer in trainers(process):
        trainer.kill()


def kill_group(process: subprocess.Popen) -> None:
    """What a power cut does."""
    os.killpg(process.pid, signal.SIGKILL)


KINDS = {
    "Ctrl-C": ctrl_c,
    "SIGTERM": terminate,
    "SIGKILL of the trainer": kill_trainer,
    "SIGKILL of the group": kill_group,
}


def train_with_kills(
    folder: Path, options: list[str], kinds: list[str], rng: random.Random, longest: float, *, trained: float
) -> Kills:
    """Run the experiment in `folder` until it ends, killing it once for each of `kinds` before.

    A kill comes at a random moment up to `longest` seconds after the trainer has started or, for a share
    `trained` of the kills, after it has saved an epoch. The number of cores that Snakemake is given
    alternates.
    """
    found = Kills()
    waiting = list(kinds)
    while True:
        found.starts += 1
        process = start(folder, "--cores", str(1 + found.starts % 2), *options)
        while waiting and wait_for_trainer(process):
            if rng.random() < trained:
                wait_for_save(process, folder, time.time())
            time.sleep(rng.uniform(0, longest))
            if process.poll() is not None:
                break
            kind = waiting.pop(0)
            found.by_kind[kind] += 1
            KINDS[kind](process)
            if kind != "SIGKILL of the trainer":
                with suppress(subprocess.TimeoutExpired):  # now and then, Snakemake misses a Ctrl-C
                    process.wait(30)
        if process.wait() == 0 and all((folder / RUN / seed / "receipt.json").exists() for seed in SEEDS):
            return found
        if not waiting and found.starts > 2 * len(kinds) + 2:
            raise AssertionError(f"{folder}: does not end, see its logs")
        if locked(folder):
            found.unlocks += 1
            snakemake(folder, "--unlock", *options)


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """A Snakemake in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *arguments], cwd=folder, env=environment(folder),
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def wait_for_trainer(process: subprocess.Popen) -> bool:
    """Whether a trainer runs below `process`; False once that has ended."""
    while process.poll() is None:
        if trainers(process):
            return True
        time.sleep(0.05)
    return False


def wait_for_save(process: subprocess.Popen, folder: Path, since: float) -> None:
    """Until a trainer has saved its progress, or its Snakemake has ended."""
    while process.poll() is None:
        with suppress(FileNotFoundError):  # a save is renamed, and cleared at the end of a run
            if any(path.stat().st_mtime > since for path in (folder / "state").rglob("state.pt")):
                return
        time.sleep(0.02)


def trainers(process: subprocess.Popen) -> list[psutil.Process]:
    """The trainings below a Snakemake, without the shells that started them."""
    found = []
    with suppress(psutil.Error):  # one may end while it is looked at
        for child in psutil.Process(process.pid).children(recursive=True):
            if "florilegium.stages.train" in child.cmdline()[:4]:
                found.append(child)
    return found


def locked(folder: Path) -> bool:
    return any((folder / ".snakemake/locks").glob("*"))


def differing(a: Path, b: Path) -> list[str]:
    """The files, among those that no clock decides, that are not equal to the byte."""
    names = [RUN / seed / name for seed in SEEDS for name in BITS]
    return [str(name) for name in names if digest(a / name) != digest(b / name)]


def options(epochs: int) -> list[str]:
    """The experiment as Snakemake is asked for it, long enough to be killed in."""
    change = f"experiments={{flowers/resnet18_scratch: {{recipe: {{epochs: {epochs}}}}}}}"
    return [str(RUN / "seed0/metrics.json"), "--config", change]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--longest", type=float, default=8.0, help="seconds from a trainer's start, or save, to a kill")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rng = random.Random(0)
    kinds = [list(KINDS)[i % len(KINDS)] for i in range(arguments.kills)]
    rng.shuffle(kinds)
    with tempfile.TemporaryDirectory() as base:
        calm = narrow(copy_project(PROJECT, Path(base) / "calm"))
        asked = options(arguments.epochs)
        snakemake(calm, "--cores", "2", *asked, "--until", "pack_images", "download_table", "dedup_audit")
        killed = Path(shutil.copytree(calm, Path(base) / "killed", symlinks=True))
        snakemake(calm, "--cores", "2", *asked)
        started = time.time()
        found = train_with_kills(killed, asked, kinds, rng, arguments.longest, trained=0.75)
        figures = {
            "kills": found.by_kind.total(),
            "by_kind": dict(found.by_kind),
            "starts": found.starts,
            "unlocks": found.unlocks,
            "minutes": round((time.time() - started) / 60, 1),
            "files_compared": len(SEEDS) * len(BITS),
            "files_that_differ": differing(calm, killed),
            "resumed_from_step": [read_json(killed / RUN / seed / "receipt.json")["resumed_from"] for seed in SEEDS],
        }
    write_json(arguments.out, figures)
    print(figures)
    sys.exit(bool(figures["files_that_differ"]))


if __name__ == "__main__":
    main()
