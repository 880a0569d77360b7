"""The demo as a whole, as `make all` leaves it; `.ci/run` says where."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def finished() -> Path:
    """The folder in which all studies of the demo have been run."""
    folder = os.environ.get("FLORILEGIUM_DEMO")
    if not folder:
        pytest.skip("FLORILEGIUM_DEMO names no folder in which `make all` has made the demo")
    return Path(folder)
