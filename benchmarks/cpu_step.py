"""What a step of training costs on a CPU: bf16 beside fp32, one process of two threads beside two of one, and the size
of batches in a test.

A step is the bare model's, in channels-last, with freed memory kept, as a training does it here: forward, loss,
backward, SGD. Every side is a process of its own, since threads and memory cannot be set twice; sides take turns.

    python benchmarks/cpu_step.py --out cpu_step.json
"""

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from machine import machine
from measure import interleave, interval, summarise
from torch.nn import functional as F

from florilegium.config.data import Model
from florilegium.core.files import write_json
from florilegium.core.workers import keep_freed_memory
from florilegium.evaluation.classification import autocast
from florilegium.models import registry

# Side of the images, images of a step.
NETWORKS = {
    "ResNet-18 at 96 pixels": (Model(name="resnet18"), 96, 32),
    "slim ResNet-18 at 32 pixels": (
        Model(name="cifar_resnet18", arguments={"widths": [16, 32, 64, 128], "blocks": [1, 1, 1, 1]}),
        32,
        128,
    ),
    "ViT-S/14 at 112 pixels": (Model(name="vit_small_patch14_dinov2", arguments={"img_size": 112}), 112, 32),
    "EfficientNet-Lite0 at 160 pixels": (Model(name="tf_efficientnet_lite0"), 160, 32),
    "ViT of 4 blocks of 64 at 32 pixels": (
        Model(
            name="norm_vit", arguments={"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 4}
        ),
        32,
        128,
    ),
}
TESTED = "ResNet-18 at 96 pixels"
BATCHES = (16, 64, 256)
WARM, SECONDS = 2, 2.0
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--blocks", type=int, default=5)
    a = parser.parse_args()
    said = {"title": "a step on a CPU, images per second", "blocks": a.blocks, "machine": machine()}
    rows: dict[str, Any] = {}
    for name, sides, ours, other in comparisons():
        rows[name] = compared(sides, ours, other, a.blocks)
        write_json(a.out, said | {"rows": rows})  # each as it comes: all take a quarter of an hour


def comparisons() -> Iterator[tuple[str, dict[str, partial[float]], str, str]]:
    """Of each comparison its name, the sides, and the two of them that are compared."""
    for name in NETWORKS:
        one = {precision: partial(together, 1, train, name, precision, 1) for precision in ("fp32", "bf16")}
        yield f"{name}: bf16", one, "bf16", "fp32"
        two = {
            "two processes": partial(together, 2, train, name, "fp32", 1),
            "two threads": partial(together, 1, train, name, "fp32", 2),
        }
        yield f"{name}: two processes", two, "two processes", "two threads"
    tests = {f"batches of {size}": partial(together, 1, test, TESTED, size) for size in BATCHES}
    yield f"{TESTED}: tests", tests, f"batches of {BATCHES[1]}", f"batches of {BATCHES[2]}"


def compared(sides: dict[str, partial[float]], ours: str, other: str, blocks: int) -> dict[str, Any]:
    rates = interleave(sides, blocks)
    ratios = [a / b for a, b in zip(rates[ours], rates[other], strict=True)]
    found = {"images_per_second": summarise(rates), "times_faster": interval(ratios)}
    print(ours, "beside", other, found, flush=True)
    return found


def together(processes: int, function: Any, *arguments: Any) -> float:
    """Images per second of as many processes at once."""
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(function, *([argument] * processes for argument in arguments)))


def train(name: str, precision: str, threads: int) -> float:
    network, images = prepared(name, NETWORKS[name][2], threads)
    optimizer = torch.optim.SGD(network.train().parameters(), 0.01, momentum=0.9)
    labels = torch.arange(len(images)) % 10

    def step() -> None:
        with autocast(CPU, precision):
            logits = network(images)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return rate(step, len(images))


def test(name: str, batch: int) -> float:
    network, images = prepared(name, batch, 1)
    network.eval()
    with torch.inference_mode():
        return rate(lambda: network(images), batch)


def prepared(name: str, batch: int, threads: int) -> tuple[torch.nn.Module, torch.Tensor]:
    torch.set_num_threads(threads)
    keep_freed_memory()
    model, side, _ = NETWORKS[name]
    network = registry.build(model, 10).to(memory_format=torch.channels_last)
    return network, torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)


def rate(step: Any, batch: int) -> float:
    for _ in range(WARM):
        step()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        step()
        steps += 1
    return steps * batch / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
