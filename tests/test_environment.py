"""The environment's files say the same, and nothing that must not be in them."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def lock(project: Path) -> str:
    return (project / "envs" / "requirements.lock").read_text()


def test_conda_has_the_pins_of_the_lock(project: Path, lock: str):
    specification = importlib.util.spec_from_file_location("conda", project / "envs" / "conda.py")
    assert specification and specification.loader
    conda = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(conda)
    assert (project / "envs" / "environment.yaml").read_text() == conda.environment(lock), "run: make lock"
    assert len(conda.pins(lock)) == len(re.findall(r"^[A-Za-z0-9][^ \n]*==", lock, flags=re.MULTILINE))


def test_the_lock_has_hashes_and_no_address(lock: str):
    assert "://" not in lock and "--index" not in lock and "--find-links" not in lock
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock.strip()):
        assert "--hash=sha256:" in entry, entry


def test_the_lock_pins_all_that_is_asked_for(project: Path, lock: str):
    asked = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    extras = asked["optional-dependencies"]
    wanted = [*asked["dependencies"], *extras["dev"], *extras["weights"], *extras["export"]]
    for requirement in wanted:
        name = re.split(r"[<>=! ;]", requirement)[0].lower().replace("_", "-")
        assert re.search(rf"^{re.escape(name)}==", lock, flags=re.MULTILINE), name


def test_torch_and_torchvision_are_a_pair(lock: str):
    """Pairs that were run: the one of the lock, and the oldest that pyproject.toml allows."""
    torch = re.search(r"^torch==2\.(\d+)", lock, flags=re.MULTILINE)
    vision = re.search(r"^torchvision==0\.(\d+)", lock, flags=re.MULTILINE)
    assert torch and vision
    assert (int(torch[1]), int(vision[1])) in {(11, 26), (15, 29)}, "say here which pair was tested"
