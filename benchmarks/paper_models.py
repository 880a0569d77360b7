"""Every network of the classifiers of a preset takes two optimiser steps: does it build, fit and learn?

Each has a process of its own, so that the peak of memory is its own and a death is a line of the table.
It is built as its experiment builds it, with random weights and few images at a time. Where several
experiments have the same network at the same size, the one that freezes least is tried. The table is written
after each network.

    python benchmarks/paper_models.py --out paper_models.json                one after the other
    python benchmarks/paper_models.py --workers 12 --out paper_models.json   twelve at once: an H100 takes 90 s
"""

import argparse
import fnmatch
import math
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import torch
from machine import machine

from florilegium.config.data import Model
from florilegium.config.experiment import Experiment
from florilegium.config.recipes import Recipe
from florilegium.core.files import write_json
from florilegium.core.fingerprint import canonical
from florilegium.evaluation import cost
from florilegium.models import registry
from florilegium.models.freeze import freeze, train_mode
from florilegium.plan.project import load_plan
from florilegium.training.classification import CrossEntropy
from florilegium.training.learner import Learner
from florilegium.training.machine import configure, pick_device, pick_precision

PROJECT = Path(__file__).parents[1]
CLASSES = 200
STEPS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--only", default="*", help="glob of the models' names")
    parser.add_argument("--batch", type=int, default=2, help="images of a step")
    parser.add_argument("--workers", type=int, default=1, help="networks that are tried at once")
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    here, rows = machine(), []
    tried = distinct(load_plan(PROJECT, {"preset": a.preset}).experiments)
    tried = [e for e in tried if fnmatch.fnmatch(e.model.name, a.only)]
    with ThreadPoolExecutor(a.workers) as pool:
        for row in pool.map(partial(in_a_process, batch=a.batch, device=a.device), tried):
            rows.append(row)
            print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
            write_json(a.out, {"preset": a.preset, "batch": a.batch, "models": rows, "machine": here})


def distinct(experiments: tuple[Experiment, ...]) -> list[Experiment]:
    """One experiment for each network and input size, in the order of the studies."""
    found: dict[tuple[str, int], Experiment] = {}
    for e in sorted(experiments, key=frozen):
        if isinstance(e.recipe, Recipe):
            size = registry.input_config(e.model, e.recipe).size
            found.setdefault((canonical(e.model.model_dump(mode="json")), size), e)
    return sorted(found.values(), key=experiments.index)


def frozen(e: Experiment) -> tuple[int, int]:
    return len(e.recipe.freeze), e.recipe.freeze_blocks


def in_a_process(e: Experiment, batch: int, device: str) -> dict[str, Any]:
    row = {"experiment": e.key, "model": e.model.name, "arguments": e.model.arguments}
    assert isinstance(e.recipe, Recipe)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return row | pool.submit(take_steps, e.model, e.recipe, e.data.storage_size, batch, device).result()
        except BrokenProcessPool:
            return row | {"outcome": "its process died"}
        except Exception as error:  # whatever it is belongs into the table
            return row | {"outcome": f"{type(error).__name__}: {error}"}


def take_steps(model: Model, recipe: Recipe, storage: int, batch: int, device_name: str) -> dict[str, Any]:
    device = pick_device(device_name)
    configure(device, recipe.threads)
    torch.manual_seed(0)
    precision = "fp32" if device.type == "cpu" else pick_precision(recipe.precision, device)
    recipe = recipe.model_copy(update={"batch_size": batch, "accumulate": 1, "precision": precision})
    config = registry.input_config(model, recipe)
    network = registry.build(model, CLASSES, drop_path=recipe.drop_path, dropout=recipe.dropout)
    freeze(network, recipe)
    learner = Learner(network, recipe, CrossEntropy(recipe, config), device)
    train_mode(learner.network)
    pixels = torch.randint(0, 256, (batch, storage, storage, 3), dtype=torch.uint8, device=device)
    labels = torch.arange(batch, device=device) % CLASSES
    started = time.perf_counter()
    losses = [learner.step((pixels, labels), batch, recipe.lr)[0].item() / batch for _ in range(STEPS)]
    seconds = time.perf_counter() - started
    finite = all(map(math.isfinite, losses)) and learner.is_finite()
    return {
        "outcome": "finite" if finite else "not finite",
        "image_size": config.size,
        "params_trainable": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "losses": losses,
        "seconds": round(seconds, 2),
        "peak_memory_bytes": cost.peak_memory_bytes(device),
        "device": device.type,
        "precision": precision,
    }


if __name__ == "__main__":
    main()
