"""The workflow on a real Slurm: a node of this machine's own, with two pretended GPUs, by slurm/start.sh."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from florilegium.core.files import digest, read_json
from tests.workflow.conftest import configure, environment

SCRIPTS = Path(__file__).parent / "slurm"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
RUN = "results/demo/flowers/resnet18_scratch/corrected/seed0"
LEFT_OUT = (
    *("resnet18_on102_leaky", "resnet18_on102_hash_clean", "resnet18_on102_clean", "resnet18_on102_official"),
    *("resnet18_from102_leaky", "resnet18_from102_hash_clean", "resnet18_from102_clean", "resnet18_from102_official"),
)
# The project's profile, and what this Slurm lacks (accounts) or would only wait for. Trainings are on the
# CPU and ask for a GPU all the same: what is tested is which one each of them is given.
ON_SLURM = (
    *("--workflow-profile", "profiles/slurm"),
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1"),
    *("--max-threads", "2", "--latency-wait", "5"),
    *("--set-resources", "train_seed0:gpu=1"),
)
WAIT_SECONDS = 600


def lacking() -> str:
    """Why no Slurm can be started here; empty when one can."""
    if os.name == "nt" or os.geteuid() != 0:
        return "starting a Slurm needs root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"no {', '.join(absent)} on this machine: install slurm-wlm and munge" if absent else ""


pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("slurm")
    try:
        subprocess.run(["bash", SCRIPTS / "start.sh", folder], check=True)
        yield
    finally:
        subprocess.run(["bash", SCRIPTS / "stop.sh", folder], check=True)


@pytest.fixture(scope="module")
def study(finished: Path, tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Path:
    """A copy with two experiments, none of them trained, whose images are packed by jobs on Slurm."""
    folder = tmp_path_factory.mktemp("copy") / "Blüten, my project (2)"
    shutil.copytree(finished, folder, symlinks=True)
    shutil.rmtree(folder / "results/demo/flowers")
    for packed in (folder / "resources").glob("*/pixels*"):
        packed.unlink()
    longer = {"recipe": {"epochs": 40}}  # so that two trainings meet, and one can be cancelled on its way
    experiments = {f"flowers/{name}": {"skip": True} for name in LEFT_OUT}
    experiments |= {"flowers/resnet18_scratch": longer, "flowers/resnet50_matched": longer}
    configure(folder, device="cpu", seeds=[0], experiments=experiments)
    finish(submit(folder, "--omit-from", "train_seed0", "--", "flowers"), folder)
    return folder


@pytest.fixture(scope="module")
def together(study: Path) -> list[dict[str, str]]:
    """The whole study, made on Slurm; and which trainings were seen at once, each with its device."""
    process, seen = submit(study, "--", "flowers"), []
    while process.poll() is None:
        seen.append(devices(study))
        time.sleep(0.2)
    finish(process, study)
    return seen


def submit(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start Snakemake, which submits its jobs to Slurm; what it says goes to a file."""
    command = [sys.executable, "-m", "snakemake", *ON_SLURM, *arguments]
    with open(folder / "said.txt", "wb") as said:
        return subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=said, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Wait for Snakemake to succeed; returns what it said."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=WAIT_SECONDS)
    process.kill()
    said = (folder / "said.txt").read_text()
    assert process.returncode == 0, said
    return said


def devices(folder: Path) -> dict[str, str]:
    """The trainings that run now, by the process that holds their lock, and the GPUs that it may see."""
    found = {}
    for holder in (folder / "state/demo/flowers").glob("*/*/seed0.pid"):
        with suppress(OSError):  # the process has ended
            listed = Path(f"/proc/{holder.read_text()}/environ").read_text().split("\0")
            variables = dict(entry.split("=", 1) for entry in listed if "=" in entry)
            if device := variables.get("CUDA_VISIBLE_DEVICES"):
                found[holder.parents[1].name] = device
    return found


def running_jobs() -> list[str]:
    command = ["squeue", "--noheader", "--states=RUNNING", "--format=%i"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_a_study_goes_through_slurm(study: Path, together: list[dict[str, str]]):
    assert (study / "results/demo/flowers/comparison.csv").exists()
    assert {name for at_once in together for name in at_once} == {"resnet18_scratch", "resnet50_matched"}


def test_two_trainings_hold_different_devices(together: list[dict[str, str]]):
    assert all(len(set(at_once.values())) == len(at_once) for at_once in together)
    assert {"0", "1"} in [set(at_once.values()) for at_once in together]


def test_a_cancelled_training_goes_on_and_ends_in_the_same_bits(study: Path, together: list[dict[str, str]]):
    names = ("metrics.json", "history.csv", "predictions.csv", "checkpoint.safetensors")
    uninterrupted = {name: digest(study / RUN / name) for name in names}
    process = submit(study, "--forcerun", "train_seed0", "--", f"{RUN}/metrics.json")
    state = study / "state/demo/flowers/resnet18_scratch/corrected/seed0/state.pt"
    deadline = time.time() + WAIT_SECONDS
    while not state.exists() and process.poll() is None and time.time() < deadline:
        time.sleep(0.1)
    subprocess.run(["scancel", *running_jobs()], check=True)

    assert finish(process, study).count("has been submitted with SLURM jobid") == 2
    assert read_json(study / RUN / "receipt.json")["resumed_from"]
    assert {name: digest(study / RUN / name) for name in names} == uninterrupted
