"""The examples of CONTRIBUTING.md work as they stand, in a copy of the project."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from florilegium import figures
from tests.helpers import contributed_program
from tests.workflow.conftest import copy_project, environment, snakemake

GUIDE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


IMPORT = f"from {figures.__name__}.material import Material\n"
STUDY, (COMMAND,) = blocks("yaml")[0], blocks("bash")
MODEL, FIGURE = blocks("python")
FAMILY, KIND, DRAWN = blocks("text")  # parts of tables


@pytest.fixture
def extended(project: Path, tmp_path: Path) -> Path:
    """A copy with the network and the figure of the guide."""
    folder = copy_project(project, tmp_path / "copy")
    package = folder / "src" / "florilegium"
    (package / "models" / "plain_cnn.py").write_text(MODEL)
    (package / "figures" / "overfitting.py").write_text(FIGURE)
    insert(package / "models" / "families.py", "FAMILIES = (\n", FAMILY)
    insert(package / "figures" / "registry.py", "DETAILS = (\n", KIND)
    insert(package / "figures" / "draw.py", "DRAW: dict[str, Callable[[Material, Plot], Drawing]] = {\n", DRAWN)
    insert(package / "figures" / "draw.py", IMPORT, f"from {figures.__name__} import overfitting\n")
    return folder


def insert(path: Path, after: str, text: str) -> None:
    content = path.read_text()
    assert content.count(after) == 1
    path.write_text(content.replace(after, after + text))


def test_a_network_is_built_and_a_figure_is_drawn(extended: Path, tmp_path: Path):
    variables = environment(extended) | {"PYTHONPATH": f"{extended / 'src'}:{extended}"}
    program = [sys.executable, "-m", contributed_program.__name__, str(tmp_path)]
    done = subprocess.run(program, env=variables, cwd=extended, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer, drawn = done.stdout.splitlines()
    assert answer == "(2, 5) 32" and "overfitting.png" in drawn.split()


def test_a_study_is_planned(unmade: Path, tmp_path: Path):
    assert len(STUDY.splitlines()) <= 20
    study = tmp_path / "smoothing.yaml"
    study.write_text(STUDY)
    arguments = COMMAND.strip().replace("studies/smoothing.yaml", str(study)).split()[1:]
    done = snakemake(unmade, "-n", *arguments)
    planned = done.stdout + done.stderr
    assert all(f"smoothing/smooth/{arm}" in planned for arm in ("corrected", "smoothed"))
