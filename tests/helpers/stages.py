"""Stages as their rules run them, and the working directory that a training stage finds."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest


def run_stage(monkeypatch: pytest.MonkeyPatch, module: ModuleType, spec: object, *arguments: object) -> None:
    """Run a stage in this process with the arguments that its rule gives."""
    given = ["--spec", json.dumps(spec), "--code", "c0de", *map(str, arguments)]
    monkeypatch.setattr(sys, "argv", [module.__name__, *given])
    module.main()


def pack_here(pixels: np.ndarray, labels: Sequence[int], names: Sequence[str]) -> None:
    """Write images uint8 (N, S, S, 3) of the classes a, b and c, three fifths of them to train on."""
    images = [f"{'abc'[label]}/{name}" for label, name in zip(labels, names, strict=True)]
    stem = f"pixels{pixels.shape[1]}"
    np.save(f"{stem}.npy", pixels)
    pd.DataFrame({"image": images}).to_csv(f"{stem}.csv", index=False)
    split = np.array(["train", "train", "train", "val", "test"])[np.arange(len(images)) // 3 % 5]
    table = pd.DataFrame({"image": images, "class": [name[0] for name in images], "split": split})
    table.to_csv("images.csv", index=False)
    Path("images.json").write_text('{"classes": ["a", "b", "c"]}')
