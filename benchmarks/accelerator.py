"""ViT-B/16 at 224 pixels on an accelerator: images per second, memory, and the share of the chip's own matrix rate.

Each side is our training loop over images that lie on the device at 32 pixels, by study 3's recipe: five norms in
bf16, layer normalisation in fp32, bf16 and fp16, and once more with the fastest kernels, whatever they repeat. The
rate of matrices is that of one large product in bf16 in the same run; a training step takes three times the
operations of a forward pass. Memory is what a side adds to what was held before it.

    python benchmarks/accelerator.py --published RescaleViT/ --out accelerator.json

`--published` is a checkout of the study's own code, which is then trained beside ours in the same run, unchanged: on a
batch that lies on the device, and with its own loader (see `published_vit`, and `apex_stand_in` for how its
half-precision library is replaced). An H100 takes about a minute.
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from loop import CLASSES, sides
from machine import machine
from measure import interval
from published_vit import NORMS, train_for

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.files import write_json
from florilegium.evaluation import cost
from florilegium.models import registry
from florilegium.training.machine import configure, pick_device

OURS = [(norm, "bf16") for norm in ("ln", "bn", "gn", "rescale", "rescale_full")]
OURS += [("ln", "fp32"), ("ln", "fp16")]
THEIRS = [("ln", "fp16", True), *((norm, "fp16", False) for norm in NORMS), ("ln", "fp32", False)]
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--published", type=Path, help="a checkout of study 3's code")
    parser.add_argument("--model", default="norm_vit_b16")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=4, help="of a block")
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--matrix", type=int, default=8192, help="side of the matrices")
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    device = pick_device(a.device)
    rate = matrix_rate(a.matrix, device)
    operations = 3 * 2 * forward_macs(a.model, a.size)
    print(f"matrices of {a.matrix} in bf16: {rate / 1e12:.1f} TFLOP/s; {operations / 1e9:.1f} GFLOP an image")
    configure(device, 1)
    title = f"{a.model} at {a.size} pixels, batch {a.batch}, {device}"
    facts = {"matrix_flops_per_second": rate, "training_flops_per_image": operations}
    rows = []
    for row in measurements(a, device):
        row["share_of_matrix_rate"] = row["images_per_second"]["median"] * operations / rate
        rows.append(row)
        print(line(row), flush=True)
        write_json(a.out, {"title": title, **facts, "rows": rows, "machine": machine()})


def measurements(a: argparse.Namespace, device: torch.device) -> Iterator[Row]:
    """The rows of the table, one after the other."""
    for norm, precision in OURS:
        yield ours(a, norm, precision, device)
    torch.use_deterministic_algorithms(False)
    configure(device, 1, deterministic=False)
    yield {**ours(a, "ln", "bf16", device), "side": "ours, kernels that need not repeat"}
    for norm, precision, loader in THEIRS if a.published else ():
        yield theirs(a, norm, precision, loader, device)


def matrix_rate(side: int, device: torch.device) -> float:
    """Operations a second of bf16 (side, side) x (side, side), the median of twenty products."""
    a, b = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    for _ in range(5):
        a @ b
    return 2 * side**3 / statistics.median(seconds_on(device, lambda: a @ b) for _ in range(20))


def seconds_on(device: torch.device, action: Callable[[], Any]) -> float:
    """Seconds that `action` takes by the device's own clock."""
    if device.type != "cuda":
        started = time.perf_counter()
        action()
        return time.perf_counter() - started
    before, after = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    before.record()
    action()
    after.record()
    after.synchronize()
    return before.elapsed_time(after) / 1000


def forward_macs(name: str, size: int) -> int:
    model = Model(name=name, arguments={"norm": "ln", "img_size": size})
    return cost.size(registry.build(model, CLASSES), size, size)["macs"]


def ours(a: argparse.Namespace, norm: str, precision: str, device: torch.device) -> Row:
    recipe = Recipe(
        epochs=1, batch_size=a.batch, precision=precision, lr=0.05, clip_norm=1.0, crop_scale=(0.05, 1.0), flip=0.0
    )
    model = Model(name=a.model, arguments={"norm": norm, "img_size": a.size})

    def rates() -> list[float]:
        loop = sides(model, recipe, storage=32, steps=a.steps, device=device)["loop"]
        gc.collect()  # of the bare loop, which is not wanted here
        loop()
        return [loop() for _ in range(a.blocks)]

    return measured("ours", norm, precision, rates, device)


def theirs(a: argparse.Namespace, norm: str, precision: str, own_loader: bool, device: torch.device) -> Row:
    blocks = a.blocks if precision == "fp16" else 2

    def rates() -> list[float]:
        seconds = train_for(
            a.published, a.model, norm, precision=precision, size=a.size, batch=a.batch,
            steps=a.steps * (blocks + 1), own_loader=own_loader, device=device,
        )  # fmt: skip
        # In blocks, since four workers bring four batches at a time.
        parts = [seconds[i : i + a.steps] for i in range(len(seconds) - blocks * a.steps, len(seconds), a.steps)]
        return [a.batch * a.steps / sum(part) for part in parts]

    side = "published, its own loader" if own_loader else "published, a batch on the device"
    return measured(side, norm, precision, rates, device)


def measured(side: str, norm: str, precision: str, rates: Callable[[], list[float]], device: torch.device) -> Row:
    """A row of the table; what the side holds is let go afterwards."""
    gc.collect()
    before = 0
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    found = rates()
    return {
        "side": side,
        "norm": norm,
        "precision": precision,
        "images_per_second": interval(found),
        "peak_memory_bytes": cost.peak_memory_bytes(device) - before,
        "blocks": found,
    }


def line(row: Row) -> str:
    rate = row["images_per_second"]
    return (
        f"{row['norm']:13}{row['precision']:5} {rate['median']:9.1f} images/s "
        f"[{rate['low']:.1f}, {rate['high']:.1f}] {row['share_of_matrix_rate']:6.1%} of the matrix rate "
        f"{row['peak_memory_bytes'] / 2**30:6.2f} GiB  {row['side']}"
    )


if __name__ == "__main__":
    main()
