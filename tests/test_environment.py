"""The environment's files say the same, and nothing that must not be in them."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet


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


def test_the_container_is_made_from_the_lock(project: Path):
    """What can be said without building it: its files are there, its Python is one that the project takes, and its
    installer is the Makefile's."""
    text = (project / "envs" / "Containerfile").read_text()
    for source in re.findall(r"^COPY (\S+) ", text, flags=re.MULTILINE):
        assert (project / source).is_file(), source
    assert re.findall(r"^COPY envs/requirements.lock (\S+)", text, flags=re.MULTILINE)[0] in text.split("pip sync")[1]
    asked = SpecifierSet(tomllib.loads((project / "pyproject.toml").read_text())["project"]["requires-python"])
    (version,) = re.findall(r"^FROM python:(\d+\.\d+)-", text, flags=re.MULTILINE)
    assert f"{version}.5" in asked
    assert re.findall(r"uv==[\d.]+", text) == re.findall(r"uv==[\d.]+", (project / "Makefile").read_text())[:1]


def test_hosted_checks_run_what_is_run_here(project: Path):
    hosted = yaml.safe_load((project / ".github" / "workflows" / "ci.yml").read_text())
    (job,) = hosted["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    asked = SpecifierSet(tomllib.loads((project / "pyproject.toml").read_text())["project"]["requires-python"])
    assert all(f"{version}.5" in asked for version in job["strategy"]["matrix"]["python"])


def test_the_citation_names_the_software_and_its_five_studies(project: Path):
    citation = yaml.safe_load((project / "CITATION.cff").read_text())
    asked = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert citation["version"] == asked["version"] and citation["license"] == asked["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys() and len(citation["references"]) == 5
    assert all({"type", "title", "authors"} <= reference.keys() for reference in citation["references"])
