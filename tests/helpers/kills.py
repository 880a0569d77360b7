"""Jobs of the workflow that are killed at random moments; `benchmarks/kills.py` is the soak over all their kinds."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from florilegium import stages
from florilegium.core.files import digest
from florilegium.stages import train
from tests.workflow.conftest import environment, snakemake

RUN = Path("results/demo/flowers/resnet18_scratch/corrected")
BITS = ("metrics.json", "history.csv", "predictions.csv", "checkpoint.safetensors")
SEEDS = ("seed0", "seed1")
TRAINER = train.__name__.rpartition(".")[2]


@dataclass
class Kills:
    """The kills of a training, and the starts and unlocks that it took."""

    by_kind: Counter = field(default_factory=Counter)
    starts: int = 0
    unlocks: int = 0


def ctrl_c(process: subprocess.Popen) -> None:
    """As a terminal does: the whole group gets SIGINT."""
    os.killpg(process.pid, signal.SIGINT)


def terminate(process: subprocess.Popen) -> None:
    """As a cluster or a shutdown does."""
    os.killpg(process.pid, signal.SIGTERM)


def kill_trainer(process: subprocess.Popen) -> None:
    """As the kernel does when memory runs out; Snakemake lives and tries again by itself."""
    for trainer in trainers(process):
        trainer.kill()


def kill_group(process: subprocess.Popen) -> None:
    """As a power cut does."""
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
        [sys.executable, "-m", "snakemake", *arguments],
        cwd=folder,
        env=environment(folder),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_trainer(process: subprocess.Popen) -> bool:
    """True once a trainer runs below `process`; False once that has ended."""
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
    return [job for job, stage in jobs(process) if stage == TRAINER]


def jobs(process: subprocess.Popen) -> list[tuple[psutil.Process, str]]:
    """The stages that run below a Snakemake, each with the name of its module."""
    found = []
    with suppress(psutil.Error):  # it may end while it is looked at
        for child in psutil.Process(process.pid).children(recursive=True):
            if stage := stage_of(child):
                found.append((child, stage))
    return found


def stage_of(process: psutil.Process) -> str | None:
    """The name of the stage that a process runs; None for a shell that starts one, and for anything else."""
    with suppress(psutil.Error):
        for part in process.cmdline()[:6]:
            package, _, name = part.rpartition(".")
            if package == stages.__name__:
                return name
    return None


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
