"""Fixtures that every test may use, and the order of the tests."""

import gc
import os
from pathlib import Path

import pytest

# The tests run on all cores at once; torch's own threads would then only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PROJECT = Path(__file__).resolve().parents[1]
FIRST = ("workflow", "demo", "device", "training", "report", "figures")  # the folders with the longest files


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: one that starts last keeps a single worker busy."""
    items.sort(key=lambda item: FIRST.index(item.path.parent.name) if item.path.parent.name in FIRST else len(FIRST))


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout that is tested."""
    return PROJECT


@pytest.fixture(scope="session")
def whole_demo() -> Path:
    """A folder in which `make all` has made the demo of every study; `.ci/run` says where."""
    folder = os.environ.get("FLORILEGIUM_DEMO")
    if not folder:
        pytest.skip("FLORILEGIUM_DEMO names no folder in which `make all` has made the demo")
    return Path(folder)


@pytest.fixture(scope="session")
def photographs() -> Path:
    """A folder of real photographs beside the checkout; tests that need it skip where it is absent."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real photographs beside the checkout is absent")
    return folder
