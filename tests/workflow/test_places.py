"""The project, its environment and a person's own files may lie anywhere and have any name."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florilegium.core.files import read_json
from tests.workflow.conftest import configure, copy_project, environment, snakemake

FOLDER = """Blüten/it's {network} <b> (2)/-$HOME & `id`; #1 50% "x" \\"""
TABLE = "resources/demo10/images.csv"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_project_and_its_environment_may_lie_in_any_folder_and_have_any_time(project: Path, tmp_path: Path):
    folder = copy_project(project, tmp_path / FOLDER)
    (folder / ".venv").symlink_to(sys.prefix)
    made_in(folder, "resources/demo10/files.json")
    # Snakemake alone would fail every job that reads what is younger than now.
    tomorrow = time.time() + 86_400
    os.utime(folder / "resources/demo10/files.json", (tomorrow, tomorrow))
    assert "resources/demo10/files.json; they were given the present" in made_in(folder, TABLE)
    assert (folder / "resources/demo10/files.json").stat().st_mtime <= time.time()
    assert (folder / TABLE).stat().st_size > 1000


def made_in(folder: Path, target: str) -> str:
    """What Snakemake says while it makes a file, in the locale of a bare machine."""
    command = [str(folder / ".venv/bin/python"), "-m", "snakemake", "--cores", "1", target]
    variables = {**environment(folder), "LANG": "C", "LC_ALL": "C"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("name", ["a{1,2}b", "x{y,z}"])
def test_braces_that_hide_locks_from_snakemake_are_refused(project: Path, tmp_path: Path, name: str):
    folder = copy_project(project, tmp_path / name)
    done = snakemake(folder, "-n", "--cores", "1", TABLE, code=2)
    said = done.stdout + done.stderr
    assert f"{name}: Snakemake takes the braces" in said and "Traceback" not in said


@pytest.mark.skipif(shutil.which("sbatch") is None, reason="no Slurm on this machine")
def test_a_path_that_cannot_be_passed_to_a_cluster_is_refused(project: Path, tmp_path: Path):
    folder = copy_project(project, tmp_path / "cheap $tuff")
    done = snakemake(folder, "--executor", "slurm", "--slurm-no-account", "--jobs", "1", TABLE, code=2)
    assert "cheap $tuff: on a cluster Snakemake cannot use a path with '$'" in done.stdout + done.stderr


# Own folders: what re-runs

NOTHING = "Nothing to be done"
TARGET = "resources/mine/images.csv"


def picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)
    return path


def said(folder: Path, *arguments: str) -> str:
    done = snakemake(folder, "--cores", "1", *arguments, TARGET)
    return done.stdout + done.stderr


def test_own_pictures_rerun_what_they_change_and_nothing_else(fresh: Path):
    pictures = fresh / "my {pictures}"
    for seed in range(8):
        picture(pictures / "ab"[seed % 2] / f"{seed}.png", seed)
    configure(fresh, own_datasets={"mine": {"layout": "folders", "folder": pictures.name}})
    said(fresh)
    tomorrow = time.time() + 86_400
    os.utime(pictures / "a/0.png", (tomorrow, tomorrow))
    (pictures / ".DS_Store").write_bytes(b"litter")
    assert NOTHING in said(fresh, "-n")

    edited = picture(pictures / "a/photo {edited}.png", 99)
    os.utime(edited, (tomorrow, tomorrow))
    assert f"files below {pictures.name} changed: 1 new (a/photo {{edited}}.png, " in said(fresh)
    assert "a/photo {edited}.png" in {file["path"] for file in read_json(fresh / "resources/mine/files.json")["files"]}
    assert NOTHING in said(fresh, "-n")


# The disk


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limits of the size of files")
def test_what_cannot_be_written_before_the_jobs_is_one_sentence(fresh: Path):
    import resource

    command = [sys.executable, "-m", "snakemake", "--cores", "1", "resources/demo10/files.json"]
    done = subprocess.run(
        command,
        cwd=fresh,
        env={**environment(fresh), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, 1 << 14)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: .snakemake/") and "larger than" in done.stderr
    assert "Traceback" not in done.stderr and "Snakefile" not in done.stderr.splitlines()[-2]
    assert not (fresh / "resources").exists()
