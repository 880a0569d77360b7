"""Training on a CPU, with the memory of a step kept for the next one and handed back to the kernel.

What glibc was told cannot be taken back, so every block is a process of its own, and the two sides take turns.
A step is the bare model's, on one thread: forward, loss, backward, SGD.

    python benchmarks/memory.py --out memory.json
"""

import argparse
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch
from machine import machine
from measure import interleave, interval, summarise
from torch.nn import functional as F

from florilegium.config.data import Model
from florilegium.core.files import write_json
from florilegium.core.workers import keep_freed_memory
from florilegium.models import registry

# Side of the images, images of a step.
NETWORKS = {
    "slim ResNet-18": (
        Model(name="cifar_resnet18", arguments={"widths": [16, 16, 32, 64], "blocks": [1, 1, 1, 1]}),
        32,
        128,
    ),
    "ViT, 4 blocks of 64": (
        Model(
            name="norm_vit", arguments={"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 4}
        ),
        32,
        64,
    ),
}
WARM, STEPS = 5, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--blocks", type=int, default=6)
    a = parser.parse_args()
    rows = {}
    for name in NETWORKS:
        found: dict[str, list[dict[str, float]]] = {"kept": [], "handed back": []}
        sides = {how: partial(block, name, how == "kept", found[how]) for how in found}
        rates = interleave(sides, a.blocks)
        ratios = [ours / theirs for ours, theirs in zip(rates["kept"], rates["handed back"], strict=True)]
        rows[name] = {
            "images_per_second": summarise(rates),
            "times_faster": interval(ratios),
            **{
                key: {how: max(one[key] for one in ones) for how, ones in found.items()}
                for key in ("faults_a_step", "peak_mib")
            },
        }
        print(name, rows[name])
    write_json(a.out, {"title": "training steps, fp32, cpu, 1 thread", "rows": rows, "machine": machine()})


def block(name: str, kept: bool, found: list[dict[str, float]]) -> float:
    """Images per second of one process, whose other figures go into `found`."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found.append(pool.submit(steps, name, kept).result())
    return found[-1]["images_per_second"]


def steps(name: str, kept: bool) -> dict[str, float]:
    torch.set_num_threads(1)
    if kept:
        keep_freed_memory()
    model, side, batch = NETWORKS[name]
    network = registry.build(model, 10).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
    images = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10
    for step in range(WARM + STEPS):
        if step == WARM:
            before, started = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "images_per_second": STEPS * batch / (time.perf_counter() - started),
        "faults_a_step": (used.ru_minflt - before) / STEPS,
        "peak_mib": used.ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
