"""Every command of the README runs. Those that set up and run the demo whole are run by `.ci/run`."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.workflow.conftest import environment

BLOCK = re.compile(r"^```bash\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
SETS_UP = ("make ", "python3 -m venv", ".venv/bin/")
LEAK_FOUND = 1


def commands(readme: str) -> list[str]:
    lines = [line for block in BLOCK.findall(readme) for line in block.splitlines()]
    return [line.partition("  #")[0].strip() for line in lines]


README = Path(__file__).parents[2] / "README.md"
COMMANDS = [line for line in commands(README.read_text()) if line and not line.startswith(SETS_UP)]


def test_the_readme_has_commands():
    assert len(COMMANDS) >= 6


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, command: str) -> Path:
    """A copy in which the command finds what it names: detectors are in the whole demo alone."""
    if "detection" in command or "demo_scenes" in command:
        whole = request.getfixturevalue("whole_demo")
        return Path(
            shutil.copytree(whole, tmp_path / "whole", symlinks=True, ignore=shutil.ignore_patterns(".venv"))
        )
    return Path(request.getfixturevalue("copy"))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(folder: Path, command: str):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8))
    for name in ("pictures/train/a.png", "pictures/test/b.png"):  # a leak, for the audit to find
        (folder / name).parent.mkdir(parents=True)
        picture.save(folder / name)
    if "examples/" in command:
        command += " -n"  # the archives that it names are the reader's
        for name in re.findall(r"path: (\S+?)}", (folder / "examples/local_archives.yaml").read_text()):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), shell=True, capture_output=True, text=True, timeout=300
    )
    expected = LEAK_FOUND if " audit pictures" in command else 0
    assert done.returncode == expected, done.stdout + done.stderr
