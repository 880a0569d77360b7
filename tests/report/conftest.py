"""One small page for all tests of the report in a process: its stages take seconds."""

import shutil
from pathlib import Path

import pytest

from tests.helpers import kept
from tests.helpers.page import Results, made_page


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """`results/mini` after compare and figures, the page's description, and images.json files. Do not write into it."""
    return made_page(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def kept_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of `kept`. Do not write into it."""
    root = tmp_path_factory.mktemp("kept")
    kept.make_project(root)
    return root


@pytest.fixture
def here(kept_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project to spoil, as the working directory."""
    shutil.copytree(kept_project, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"
