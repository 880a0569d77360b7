"""A copy of the project in which a part of the demo has been run once, for all tests of the workflow.

That part is the residual networks on flowers, with two seeds and few epochs. The demo as a whole is tested in
`tests/demo`, on a demo that `.ci/run` makes anyway.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from filelock import FileLock

import florilegium
from tests.helpers import forks

DEMO_SECONDS = 1200
EPOCHS = 4
RECORDS = ".snakemake/metadata"  # what Snakemake knows of finished jobs
WITHOUT_JOBS = {"-n", "--list", "--summary", "--unlock"}


def environment(folder: Path) -> dict[str, str]:
    """Variables under which commands in `folder` use that copy's package."""
    binaries = Path(sys.executable).parent
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PYTHONPATH": str(folder / "src"), "PATH": path}


def snakemake(folder: Path, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a copy of the project, and check its exit code unless `code` is None."""
    if WITHOUT_JOBS & set(arguments):
        done = forks.run(forks.SNAKEMAKE, "snakemake", *arguments, folder=folder, variables=environment(folder))
    else:
        command = [sys.executable, "-m", "snakemake", *arguments]
        done = subprocess.run(
            command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=DEMO_SECONDS
        )
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


def planned(folder: Path, *arguments: str) -> set[str]:
    """The outputs that are due: what a run would make anew."""
    done = snakemake(folder, "--cores", "1", "--summary", *arguments)
    rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    return {row[0] for row in rows if row[-1] == "update pending"}


def configure(folder: Path, **changes: object) -> None:
    """Change top-level keys of the copy's config.yaml."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def copy_project(project: Path, folder: Path) -> Path:
    """The files of the checkout that git knows or does not ignore, as they are in the working tree."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (project / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, folder / name)
    return folder


def source(folder: Path, module: ModuleType) -> Path:
    """The file of a module of the package, in a copy of the project."""
    return folder / "src" / Path(str(module.__file__)).relative_to(Path(florilegium.__file__).parents[1])


def narrow(folder: Path, *others: str) -> Path:
    """Leave the residual networks on flowers, for few epochs, and whole studies by name; all with two seeds.

    The preset is changed and not config.yaml, which tests change.
    """
    path = folder / "workflow/presets/demo.yaml"
    demo = yaml.safe_load(path.read_text())
    flowers = demo["studies"]["flowers"]
    kept = {name: change for name, change in flowers["experiments"].items() if name.startswith("resnet")}
    for change in (flowers["all"], *kept.values()):
        if "epochs" in change.get("recipe", {}):
            change["recipe"]["epochs"] = EPOCHS
    left_out = {pattern: {"skip": True} for pattern in ("*vit*", "seresnet*", "lite0_*")}
    studies = {"flowers": {**flowers, "experiments": kept | left_out}}
    studies |= {study: demo["studies"][study] for study in others}
    path.write_text(yaml.safe_dump({**demo, "seeds": [0, 1], "studies": studies}, sort_keys=False))
    for study in (folder / "workflow/studies").glob("*.yaml"):
        if study.stem not in studies:
            study.unlink()
    return folder


def take_over(demo: Path, folder: Path) -> None:
    """Copy the data sets and audits that `folder` needs from a finished demo; what differs is still due."""
    for made in {Path(name).parent for name in planned(folder, "all")}:
        if (made.parts[0] == "resources" or "audit" in made.parts) and (demo / made).is_dir():
            shutil.copytree(demo / made, folder / made, dirs_exist_ok=True)
    shutil.copytree(demo / RECORDS, folder / RECORDS, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def finished(project: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A copy in which `snakemake all` has made the narrowed demo, one for all workers. Do not write into it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "finished"
    with FileLock(f"{folder}.lock"):
        if not (folder / "results/demo/report.html").exists():
            narrow(copy_project(project, folder))
            if demo := os.environ.get("FLORILEGIUM_DEMO"):
                take_over(Path(demo), folder)
            snakemake(folder, "--cores", "2", "all")
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished copy to edit; times are kept, so that nothing is due."""
    return Path(shutil.copytree(finished, tmp_path / "copy", symlinks=True))


@pytest.fixture
def fresh(project: Path, tmp_path: Path) -> Path:
    """A copy in which nothing has been made, to edit."""
    return copy_project(project, tmp_path / "fresh")


@pytest.fixture(scope="session")
def unmade(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for all tests of a worker, in which a run has saved what it has read of the code. Plan there only."""
    folder = copy_project(project, tmp_path_factory.mktemp("unmade") / "copy")
    made = folder / "resources/demo10/files.json"
    made.parent.mkdir(parents=True)
    made.write_text("{}")
    snakemake(folder, "--cores", "1", "--touch", str(made.relative_to(folder)))
    made.unlink()
    return folder
