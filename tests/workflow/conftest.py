"""A copy of the project, run whole at toy size once, for the tests of the workflow."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

PRESET = """
title: tiny
note: for tests
comparable: false
seeds: [0, 1]
share_process: true
datasets: {oxford17: tiny17, oxford102: tiny102}
studies:
  flowers:
    all:
      data: {storage_size: 32}
      model: {arguments: {channels: [8, 8, 16, 16]}}
      recipe:
        image_size: 32
        epochs: 2
        batch_size: 32
        lr: 0.02
        schedule: cosine
        milestones: []
        warmup_epochs: 1
    experiments:
      resnet50_scratch: {skip: true}
      resnet18_on102_official: {skip: true}
      resnet18_from102_official: {skip: true}
"""
DATASETS = {
    "tiny17": {"layout": "folders", "rendered": {"scene": "flowers17", "size": 32, "per_class": 8}},
    "tiny102": {"layout": "folders", "rendered": {"scene": "flowers102", "size": 32, "per_class": 4}},
}
Run = Callable[..., subprocess.CompletedProcess[str]]


def snakemake(folder: Path, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a copy of the project, with that copy's package, and check its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-m", "snakemake", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


def planned(folder: Path, *arguments: str) -> set[str]:
    """The outputs that a dry run plans, the aggregating targets left out."""
    done = snakemake(folder, "-n", "--cores", "1", *arguments)
    lines = (done.stdout + done.stderr).splitlines()
    found = [
        line.strip().removeprefix("output: ").split(", ") for line in lines if line.startswith("    output: ")
    ]
    return {path for paths in found for path in paths}


def configure(folder: Path, **changes: object) -> None:
    """Change top-level keys of the copy's config.yaml."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def copy_project(project: Path, folder: Path) -> Path:
    """The tracked files of the checkout as they are in the working tree, with the toy preset."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (project / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, folder / name)
    (folder / "workflow" / "presets" / "tiny.yaml").write_text(PRESET)
    configure(folder, preset="tiny", own_datasets=DATASETS)
    return folder


@pytest.fixture(scope="session")
def finished(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which everything of the toy preset has been made. Do not write into it."""
    folder = copy_project(project, tmp_path_factory.mktemp("finished"))
    snakemake(folder, "--cores", "2", "all")
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished copy to edit; times are kept, so that nothing is due."""
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder, symlinks=True)
    return folder


@pytest.fixture
def fresh(project: Path, tmp_path: Path) -> Path:
    """A copy in which nothing has been made."""
    return copy_project(project, tmp_path / "fresh")
