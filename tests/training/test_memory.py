"""Data that do not fit into memory train, and nothing of the result tells."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import PROJECT
from tests.helpers import forks
from tests.helpers.limited_program import SIDE

PROGRAM = PROJECT / "tests" / "helpers" / "limited_program.py"
COUNT = 12000
IMPORTS = ("torch", "timm", "pandas", "pydantic", "psutil", "tqdm", "yaml")  # no more than the program needs
RECIPE = {"epochs": 1, "batch_size": 50, "lr": 0.05, "crop": "centre"}
SAME = ("metrics.json", "history.csv", "predictions.csv", "checkpoint.safetensors")


def pack_large(folder: Path) -> int:
    """Images that are black but for their middle, in a sparse file; its bytes."""
    labels = np.arange(COUNT) % 3
    names = [f"{'abc'[label]}/{number:04d}" for number, label in enumerate(labels)]
    random, middle = np.random.default_rng(0), slice(SIDE // 2 - 4, SIDE // 2 + 4)
    array = np.lib.format.open_memmap(folder / f"pixels{SIDE}.npy", "w+", np.uint8, (COUNT, SIDE, SIDE, 3))
    for number, label in enumerate(labels):
        array[number, middle, middle] = random.integers(0, 150, (8, 8, 3))
        array[number, middle, middle, label] += 90
    size = array.nbytes
    del array
    pd.DataFrame({"image": names}).to_csv(folder / f"pixels{SIDE}.csv", index=False)
    split = np.array(["train", "train", "train", "val", "test"])[np.arange(COUNT) // 3 % 5]
    table = pd.DataFrame({"image": names, "class": [name[0] for name in names], "split": split})
    table.to_csv(folder / "images.csv", index=False)
    (folder / "images.json").write_text('{"classes": ["a", "b", "c"]}')
    return size


def train(folder: Path, out: str, limit: int) -> Path:
    spec = {
        "data": {"dataset": "large", "storage_size": SIDE},
        "model": {"name": "tiny", "arguments": {}},
        "recipe": RECIPE,
    }
    options = ["--spec", json.dumps(spec), "--code", "c0de", "--seeds", "0", "--device", "cpu"]
    options += ["--pixels", f"pixels{SIDE}.npy", "--images", "images.csv", "--out", out, "--state", f"state/{out}"]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])}
    process = forks.start(IMPORTS, str(PROGRAM), str(limit), *options, folder=folder, variables=variables)
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return folder / out / "seed0"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not count what a process allocates")
def test_half_of_the_memory_that_the_data_take_is_enough(tmp_path: Path):
    """RLIMIT_DATA counts what a process writes to, and not files that it maps to read."""
    size = pack_large(tmp_path)
    limited, resident = train(tmp_path, "limited", size // 2), train(tmp_path, "resident", 0)
    for name in SAME:
        assert (limited / name).read_bytes() == (resident / name).read_bytes(), name
    peaks = [json.loads((folder / "cost.json").read_text())["peak_memory_bytes"] for folder in (limited, resident)]
    assert peaks[0] < size / 2 and peaks[1] > size
