"""Two hundred kills at random moments, of jobs, of Snakemake and of both, while a small workflow of all tasks runs.

    python benchmarks/kills.py --kills 200 --out benchmarks/results/kills-<hardware>.json

In a copy of the project, a narrow demo is made undisturbed, twice; then again and again while it is killed: two
classifiers, a vision transformer, a generator and a detector, with attention, attributions, samples, their judgement,
comparisons, figures and the report. What the undisturbed runs agree in must come out of each round to the byte, nothing
may be left behind, and no training may start from zero that had saved its state. Needs Linux, and half an hour.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))  # for the helpers of the tests

from florilegium.core.files import digest, is_leftover, write_json  # noqa: E402
from tests.helpers.kills import jobs, locked, stage_of, start  # noqa: E402
from tests.workflow.conftest import copy_project, snakemake  # noqa: E402

# What is left of the demo: experiments by study, with changes of their entries in the preset.
EXPERIMENTS: dict[str, dict[str, dict[str, Any]]] = {
    "flowers": {"resnet18_scratch": {"recipe": {"epochs": 40}, "seeds": [0, 1]}},
    "normalization": {"cifar10_b16_ln": {"recipe": {"epochs": 12}, "seeds": [0]}},
    "generation": {
        "acgan": {"recipe": {"epochs": 20}},
        "classifier": {
            "recipe": {"epochs": 10},
            "data": {"generated": {"experiment": "acgan", "samples": "added", "share": 0.0}},
        },
    },
    "detection": {
        "r18": {
            "recipe": {"epochs": 6},
            "arms": {"corrected": {"seeds": [0]}},
            "skip_arms": ["as_published", "last_box", "lr10x"],
        }
    },
}
# Of the files below results/demo, those that hold times or paths, whatever two undisturbed runs say.
CLOCKED = re.compile(r"(.*/)?(cost\.json|costs\.(csv|md)|[\w.]*receipt\.json|report\.html)")
# A seed in the log of a training, and all lines up to the next one.
BEGIN = re.compile(r"seed (\d+): \d+ images to train on[^\n]*\n(.*?)(?=\n[^\n]*seed \d+: |\Z)", re.DOTALL)
LEFT = (".part", ".done", ".old", ".tmp", ".pid", "state.pt")
# The share of jobs that are killed: of each attempt, so that most jobs are killed more than once.
SHARE, SHARE_OF_TRAININGS = 0.6, 0.8
AFTER_A_SAVE = 0.6  # of trainings, those that are killed soon after they have saved their state
AT_A_WRITE = 0.4  # of all others, those that are killed while they write a file
SOON = 3.0  # seconds after a save
ENDLESS = 300.0  # seconds after which a process that should end is called stuck

# Who gets the signal: a job alone as often as Snakemake alone and the whole group together.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
KINDS = [(number, whom) for number in SIGNALS for whom in ("job", "job", "Snakemake", "group")]


@dataclass
class Found:
    """What the kills did."""

    by_kind: Counter[str] = field(default_factory=Counter)
    by_stage: Counter[str] = field(default_factory=Counter)
    at_a_write: int = 0
    rounds: int = 0
    starts: int = 0
    unlocks: int = 0
    compared: int = 0
    differing: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    steps: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Steps that were done before, of each training that went on, by stage."""
    from_zero: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.by_kind.total()

    @property
    def is_good(self) -> bool:
        return not (self.differing or self.leftovers or self.from_zero)


# The narrow demo


def narrow(folder: Path) -> Path:
    """Leave `EXPERIMENTS` in a copy of the project."""
    path = folder / "workflow/presets/demo.yaml"
    demo = yaml.safe_load(path.read_text())
    studies = {}
    for study, kept in EXPERIMENTS.items():
        content = demo["studies"][study]
        names = yaml.safe_load((folder / f"workflow/studies/{study}.yaml").read_text())["experiments"]
        before = {name: change for name, change in content["experiments"].items() if not change.get("skip")}
        patterns = {name: change for name, change in before.items() if name not in names}
        skipped = {name: {"skip": True} for name, own in names.items() if name not in kept and not own.get("abstract")}
        own = {name: entry(before.get(name, {}), change) for name, change in kept.items()}
        studies[study] = {**content, "experiments": patterns | skipped | own}
    for file in (folder / "workflow/studies").glob("*.yaml"):
        if file.stem not in studies:
            file.unlink()
    path.write_text(yaml.safe_dump({**demo, "seeds": [0], "studies": studies}, sort_keys=False))
    return folder


def entry(before: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """An experiment's entry in the preset, without its arms, and changed."""
    both = {
        "recipe": {**before.get("recipe", {}), **change.get("recipe", {})},
        "skip_arms": [*before.get("skip_arms", []), *change.get("skip_arms", [])],
    }
    return {name: value for name, value in before.items() if name != "arms"} | change | both


def wipe(folder: Path) -> None:
    """Remove all that the studies have made; data and audits stay."""
    for place in ("state", "logs", *(f"results/demo/{study}" for study in EXPERIMENTS)):
        shutil.rmtree(folder / place, ignore_errors=True)
    for file in (folder / "results/demo").glob("report*"):
        file.unlink()


def digests(folder: Path) -> dict[str, str]:
    """The digest of each file that the studies have made, but for those that hold times."""
    root = folder / "results/demo"
    names = (path.relative_to(root).as_posix() for path in sorted(root.rglob("*")) if path.is_file())
    return {name: digest(root / name) for name in names if not CLOCKED.fullmatch(name)}


def undisturbed(folder: Path) -> dict[str, float]:
    """Make everything; the longest life of a job of each stage, in seconds."""
    process, born, lives = start(folder, "--cores", "2", "all"), {}, {}
    while process.poll() is None:
        for job, stage in jobs(process):
            first = born.setdefault(job.pid, time.monotonic())
            lives[stage] = max(lives.get(stage, 0.0), time.monotonic() - first)
        time.sleep(0.1)
    assert process.returncode == 0, f"{folder}: fails undisturbed, see its logs"
    return lives


# Attempts of trainings: what had been saved when one began, and what its log says


@dataclass
class Attempt:
    """A training that runs, or has ended."""

    stage: str
    log: Path
    state: Path
    saved: set[str]
    """Seeds with a saved state when it began."""
    began: float = field(default_factory=time.time)

    def has_saved(self) -> bool:
        """True once it has saved a state of its own."""
        with suppress(OSError):  # one may be removed while it is looked at
            return any(path.stat().st_mtime > self.began for path in self.state.glob("seed*/state.pt"))
        return False

    def check(self, found: Found) -> None:
        """Note where each seed went on; one with a saved state that trains without going on started from zero."""
        text = self.log.read_text(errors="replace") if self.log.is_file() else ""
        for seed, said in re.findall(
            r"seed (\d+): \d+ images to train on[^\n]*\n(.*?)(?=\n[^\n]*seed \d+: |\Z)", text, re.S
        ):
            if went_on := re.search(r"goes on after (\d+) steps", said):
                found.steps[self.stage].append(int(went_on[1]))
            elif seed in self.saved and "epoch " in said:
                found.from_zero.append(f"{self.log.name}, seed {seed}: {said[:200]}")


def attempt_of(job: psutil.Process, stage: str, folder: Path) -> Attempt | None:
    """None for a stage that does not train, and for a process that has just ended."""
    with suppress(psutil.Error, OSError, ValueError):
        command = job.cmdline()
        state = folder / command[command.index("--state") + 1]
        saved = {path.parent.name.removeprefix("seed") for path in state.glob("seed*/state.pt")}
        return Attempt(stage, Path(f"/proc/{job.pid}/fd/1").readlink(), state, saved)
    return None


# Kills


class Killer:
    """Runs the workflow in `folder` round after round, and kills it `total` times in all."""

    def __init__(self, folder: Path, total: int, lives: dict[str, float], rng: random.Random) -> None:
        self.folder, self.total, self.lives, self.rng = folder, total, lives, rng
        self.found = Found()
        self.deck: list[tuple[signal.Signals, str]] = []
        self.seen: set[int] = set()
        self.attempts: dict[int, Attempt] = {}

    def round(self) -> None:
        """Make everything once, killed on the way."""
        self.found.rounds += 1
        failures = 0
        while self.one_start() != 0:
            failures = failures + 1 if self.found.kills >= self.total else 0
            assert failures < 12, f"{self.folder}: does not end, see its logs"
            if locked(self.folder):
                self.found.unlocks += 1
                snakemake(self.folder, "--unlock")
        self.wait_for_orphans()
        snakemake(self.folder, "--cores", "2", "all")

    def one_start(self) -> int | None:
        """Start Snakemake, and kill jobs until it ends or is killed itself; its exit code, None where it was killed."""
        self.found.starts += 1
        process = start(self.folder, "--cores", str(1 + self.found.starts % 2), "all")
        while process.poll() is None:
            job = self.new_job(process)
            if job is None:
                time.sleep(0.05)
            elif self.found.kills < self.total and self.is_chosen(job[1]) and self.kill(process, *job):
                return None
        self.watch(process)
        return process.returncode

    def is_chosen(self, stage: str) -> bool:
        return self.rng.random() < (SHARE_OF_TRAININGS if stage.startswith("train") else SHARE)

    def new_job(self, process: subprocess.Popen[bytes]) -> tuple[psutil.Process, str] | None:
        """A job that has not been asked for before."""
        for job, stage in self.watch(process):
            if job.pid not in self.seen:
                self.seen.add(job.pid)
                return job, stage
        return None

    def watch(self, process: subprocess.Popen[bytes]) -> list[tuple[psutil.Process, str]]:
        """The jobs that run; attempts that have begun are noted, and those that have ended are checked."""
        running = jobs(process)
        for job, stage in running:
            if job.pid not in self.attempts and (attempt := attempt_of(job, stage, self.folder)):
                self.attempts[job.pid] = attempt
        for pid in self.attempts.keys() - {job.pid for job, _ in running}:
            self.attempts.pop(pid).check(self.found)
        return running

    def kill(self, process: subprocess.Popen[bytes], job: psutil.Process, stage: str) -> bool:
        """Kill at a random moment of a job; True where Snakemake was hit, and has ended."""
        attempt = self.attempts.get(job.pid)
        after_a_save = attempt is not None and self.rng.random() < AFTER_A_SAVE
        at_a_write = not after_a_save and self.rng.random() < AT_A_WRITE
        if attempt and after_a_save and not self.wait_for_save(process, job, attempt):
            return False
        seconds = self.rng.uniform(0.0, SOON if after_a_save else self.lives.get(stage, 5.0))
        if not (self.wait_for_write(process, job) if at_a_write else self.wait_for_moment(process, job, seconds)):
            return False
        self.deck = self.deck or self.rng.sample(KINDS, len(KINDS))
        number, whom = self.deck.pop()
        try:
            if whom == "job":
                job.send_signal(number)
            else:
                (os.kill if whom == "Snakemake" else os.killpg)(process.pid, number)
        except (psutil.NoSuchProcess, ProcessLookupError):  # it has just ended by itself
            return False
        self.found.by_kind[f"{number.name} of the {whom}".replace("the Snakemake", "Snakemake")] += 1
        self.found.by_stage[stage] += 1
        self.found.at_a_write += at_a_write
        with suppress(psutil.TimeoutExpired):
            job.wait(ENDLESS if whom != "Snakemake" else 0)
        if whom == "job":
            return False
        self.see_it_end(process)
        if whom == "group" or self.rng.random() < 0.5:  # or the next start meets the jobs that live on
            self.wait_for_orphans()
        self.watch(process)
        return True

    def wait_for_save(self, process: subprocess.Popen[bytes], job: psutil.Process, attempt: Attempt) -> bool:
        """True once a training has saved its state, False if it ended before."""
        while alive(job) and not attempt.has_saved():
            self.watch(process)
            time.sleep(0.05)
        return alive(job)

    def wait_for_moment(self, process: subprocess.Popen[bytes], job: psutil.Process, seconds: float) -> bool:
        """True after a time in which the job did not end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and alive(job):
            self.watch(process)
            time.sleep(0.05)
        return alive(job)

    def wait_for_write(self, process: subprocess.Popen[bytes], job: psutil.Process) -> bool:
        """True while the job writes one of its first files, False if it ended before."""
        files, which, looked = set(), self.rng.randint(1, 4), 0.0
        with suppress(psutil.Error):
            while alive(job):
                files |= {file.path for file in job.open_files() if file.path.endswith(".part")}
                if len(files) >= which:
                    return True
                if time.monotonic() > looked + 0.1:
                    self.watch(process)
                    looked = time.monotonic()
                time.sleep(0.002)
        return False

    def see_it_end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for Snakemake; now and then it misses a signal."""
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number:
                process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
                return

    def wait_for_orphans(self) -> None:
        """Until no job runs in the folder."""
        psutil.wait_procs(list(self.orphans()), timeout=ENDLESS)

    def orphans(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if stage_of(process) and Path(process.cwd()) == self.folder:
                    yield process


def alive(job: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return job.is_running() and job.status() != psutil.STATUS_ZOMBIE
    return False


def leftovers(folder: Path) -> list[str]:
    """What no finished workflow has below results/, state/ and logs/."""
    paths = [path for place in ("results", "state", "logs") for path in (folder / place).rglob("*")]
    left = [path for path in paths if path.name.endswith(LEFT) or is_leftover(path.name) or ".stale-" in path.name]
    return [path.relative_to(folder).as_posix() for path in left]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for the copy, which then stays (default: a temporary one)")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = (arguments.folder or Path(temporary)).resolve()
        figures = soak(narrow(copy_project(PROJECT, base / "copy")), arguments.kills, random.Random(arguments.seed))
    write_json(arguments.out, figures)
    print(figures)
    sys.exit(bool(figures["files_that_differ"] or figures["leftovers"] or figures["started_from_zero"]))


def soak(folder: Path, total: int, rng: random.Random) -> dict[str, Any]:
    """The figures of `total` kills."""
    undisturbed(folder)
    first = digests(folder)
    wipe(folder)
    lives = undisturbed(folder)
    calm = {name: value for name, value in digests(folder).items() if first.get(name) == value}
    print(f"{len(calm)} files are the same in two undisturbed runs, of {len(first)}", flush=True)
    print("others:", *sorted(first.keys() - calm.keys()), flush=True)
    started, killer = time.time(), Killer(folder, total, lives, rng)
    found = killer.found
    while found.kills < total:
        wipe(folder)
        killer.round()
        now = digests(folder)
        found.compared += len(calm)
        found.differing += [f"round {found.rounds}: {name}" for name in calm if now.get(name) != calm[name]]
        found.leftovers += [f"round {found.rounds}: {name}" for name in leftovers(folder)]
        minutes = (time.time() - started) / 60
        verdict = "good" if found.is_good else f"NOT GOOD: {found.differing} {found.leftovers} {found.from_zero}"
        print(f"round {found.rounds}: {found.kills} kills in {minutes:.1f} minutes, {verdict}", flush=True)
    return {
        "kills": found.kills,
        "by_kind": dict(sorted(found.by_kind.items())),
        "by_stage": dict(sorted(found.by_stage.items())),
        "while_a_file_was_written": found.at_a_write,
        "rounds": found.rounds,
        "starts": found.starts,
        "unlocks": found.unlocks,
        "minutes": round((time.time() - started) / 60, 1),
        "files_of_a_round": len(calm),
        "files_compared": found.compared,
        "files_that_differ": found.differing,
        "leftovers": found.leftovers,
        "went_on": {stage: len(steps) for stage, steps in sorted(found.steps.items())},
        "went_on_after_steps": {stage: sorted(steps) for stage, steps in sorted(found.steps.items())},
        "started_from_zero": found.from_zero,
    }


if __name__ == "__main__":
    main()
