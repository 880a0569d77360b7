"""docs/audit.md: the check of a data repository runs as it stands there, in a shell and as a hook."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers.audit import picture, write

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs/audit.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def blocks(title: str, language: str) -> list[str]:
    """The blocks of code of one section."""
    section = GUIDE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return [text for of, text in BLOCK.findall(section) if of == language]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with two splits that share nothing."""
    write(tmp_path / "data/pictures", {"train/rose/1.png": picture(1), "test/rose/2.png": picture(2)})
    return tmp_path / "data"


def run(folder: Path, *command: str, code: int = 0) -> str:
    """Run a command in a data repository; what it said."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    who = {f"GIT_{role}_{key}": "somebody" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    apart = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PRE_COMMIT_HOME": str(folder.parent / "cache"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    variables = {**kept, **who, **apart, "PATH": path, "PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_line_of_a_shell_ends_with_1_for_a_double_and_is_that_of_the_action(data: Path) -> None:
    [line] = blocks("In continuous integration", "bash")
    [action] = map(yaml.safe_load, blocks("In continuous integration", "yaml"))
    steps = action["jobs"]["audit"]["steps"]
    assert line.strip() in [step.get("run", "").strip() for step in steps]
    write(data / "pictures", {"train/rose/again.png": picture(1)})
    run(data, "sh", "-c", line, code=1)
    assert json.loads((data / "audit.json").read_text())["kinds"]["double"] == 1
    [shown] = [step["with"]["path"] for step in steps if "upload" in step.get("uses", "")]
    assert (data / shown).is_file()


def test_a_hook_stops_a_commit_with_a_leak_until_it_is_dropped_as_the_guide_says(data: Path) -> None:
    [hook], [setup] = (blocks("Before each commit", language) for language in ("yaml", "bash"))
    (data / ".pre-commit-config.yaml").write_text(hook)
    run(data, "git", "init", "-q")
    run(data, "sh", "-ec", setup)
    write(data / "pictures", {"train/rose/leak.png": picture(2)})
    run(data, "git", "add", ".")
    said = run(data, "git", "commit", "-m", "pictures", code=1)
    assert "no picture in two splits" in said and "LEAK: 1 pair of images shows the same picture" in said
    [drop] = BLOCK.findall(GUIDE)[1][1:]
    run(data / "pictures", "sh", "-c", drop.replace("../../.audit", "../.audit"))
    assert not (data / "pictures/train/rose/leak.png").exists()
    run(data, "git", "add", ".")
    run(data, "git", "commit", "-qm", "pictures")
    assert run(data, "git", "ls-files", "pictures").split() == ["pictures/test/rose/2.png", "pictures/train/rose/1.png"]
