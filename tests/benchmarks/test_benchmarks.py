"""Every benchmark can be started: what they import is there, and they say how they are used."""

import os
from pathlib import Path

import pytest

from tests.helpers import forks

FOLDER = Path(__file__).parents[2] / "benchmarks"
PROGRAMS = sorted(path.name for path in FOLDER.glob("*.py") if "__main__" in path.read_text())


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_benchmark_says_how_it_is_used(name: str):
    done = forks.run(forks.TORCH, str(FOLDER / name), "--help", folder=FOLDER, variables=os.environ)
    assert done.returncode == 0 and "--out" in done.stdout, done.stdout + done.stderr
