"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

# The tests run on all cores at once; torch's own threads would then only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout that is tested."""
    return PROJECT


@pytest.fixture(scope="session")
def photographs() -> Path:
    """A folder of real photographs beside the checkout; tests that need it skip where it is absent."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real photographs beside the checkout is absent")
    return folder
