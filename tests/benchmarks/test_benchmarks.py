"""Every benchmark can be started: what they import is there, and they say how they are used."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PROGRAMS = sorted(path.name for path in FOLDER.glob("*.py") if "__main__" in path.read_text())
# The libraries of them all are imported once; then each benchmark runs in a fork, and sees no other's modules.
STARTER = """
import os, runpy, sys, traceback
import captum.attr, diffusers, pandas, scipy.stats, timm, torch, torchvision.ops

folder, out, *names = sys.argv[1:]
sys.path[0] = folder
for name in names:
    if not os.fork():
        sys.argv = [name, "--help"]
        with open(f"{out}/{name}", "w") as sys.stdout:
            try:
                runpy.run_path(f"{folder}/{name}", run_name="__main__")
            except SystemExit as end:
                print("exit code", end.code)
            except BaseException:
                traceback.print_exc(file=sys.stdout)
        os._exit(0)  # without taking the libraries down
    os.wait()
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what each benchmark says of itself."""
    out = tmp_path_factory.mktemp("said")
    subprocess.run([sys.executable, "-c", STARTER, FOLDER, out, *PROGRAMS], check=True)
    return out


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_benchmark_says_how_it_is_used(said: Path, name: str):
    text = (said / name).read_text()
    assert "--out" in text and text.endswith("exit code 0\n"), text
