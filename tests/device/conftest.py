"""Fixtures of the tests that need a GPU. Without one they skip and say so."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from florilegium.core.files import read_json
from florilegium.stages import train as train_stage
from tests.helpers.stages import pack_here

SLIM = {"channels": [16, 32, 64, 128], "layers": [1, 1, 1, 1]}
SPEC = {
    "data": {"dataset": "noise", "storage_size": 32},
    "model": {"name": "resnet18", "arguments": SLIM},
    "recipe": {"epochs": 3, "batch_size": 64, "lr": 0.05, "image_size": 32, "flip": 0.5},
}


@pytest.fixture(autouse=True)
def gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device on this machine")


@pytest.fixture
def workdir(tmp_path, monkeypatch) -> Path:
    """A working directory with 1,500 packed images of three classes: noise with one brighter channel."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.arange(1500) % 3
    pixels = rng.integers(0, 200, (1500, 32, 32, 3), dtype=np.uint8)
    pixels[np.arange(1500), :, :, labels] += 20
    pack_here(pixels, labels.tolist(), [f"{i:04d}.png" for i in range(len(labels))])
    return tmp_path


LIMITED = f"""
import torch
import {train_stage.__name__} as train

torch.cuda.set_per_process_memory_fraction({{memory}})
train.main()
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(workdir) -> Start:
    """Starts a training by itself, as the workflow does; `memory` is the share of the GPU's that it may take."""

    def begin(out: str, *more: str, seed: int = 0, memory: float = 1.0, **recipe: object) -> subprocess.Popen[str]:
        spec = {**SPEC, "recipe": SPEC["recipe"] | recipe}
        stage = ["-m", train_stage.__name__] if memory == 1 else ["-c", LIMITED.format(memory=memory)]
        command = [sys.executable, *stage, "--spec", json.dumps(spec)]
        command += ["--code", "c0de", "--seeds", str(seed), "--pixels", "pixels32.npy", "--images", "images.csv"]
        command += ["--out", f"results/{out}", "--state", f"state/{out}", "--device", "cuda", *more]
        return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ)

    return begin


@pytest.fixture
def train(start) -> Callable[..., dict]:
    """Trains to the end; returns the receipt, the metrics and the costs in one dictionary."""

    def run(out: str, *more: str, seed: int = 0, **how: object) -> dict:
        said, _ = (process := start(out, *more, seed=seed, **how)).communicate(timeout=300)
        assert process.returncode == 0, said
        folder = Path(f"results/{out}/seed{seed}")
        return {
            "receipt": read_json(folder / "receipt.json"),
            "metrics": read_json(folder / "metrics.json"),
            "cost": read_json(folder / "cost.json"),
            "history": pd.read_csv(folder / "history.csv"),
            "said": said,
        }

    return run
