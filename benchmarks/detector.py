"""A detector's training images per second beside the published code, on the same photographs, size and depth.

The published code is a checkout of github.com/zhsh9/HKU-DASC7606-A1, a fork of github.com/yhenon/pytorch-retinanet; it
needs scikit-image. It is used as it is: its data set and sampler, networks, losses and evaluation; only the body of its
training loop, which is part of one long function, stands again in `published_detector.py`. Without --published, ours is
measured alone.

    python benchmarks/detector.py FOLDER --published CHECKOUT --out detector.json
    python benchmarks/detector.py FOLDER --published CHECKOUT --depths 18 --free 4 --images 16 \\
        --block 4 --blocks 3 --threads 2 --out d.json

FOLDER holds train.json, in COCO form, and the images that it names. Sides of one depth take turns, so that whatever
else the machine does falls on all alike. On a GPU a block is timed by events, from an idle device to an idle one.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from detector_phases import evaluation, first_batch, inference
from detector_sides import ONE_BY_ONE, OTHER_MEMORY, Photographs, ours, photographs, rate
from machine import machine
from measure import interleave, median_interval, summarise
from published_detector import Published

from florilegium.core.files import write_json
from florilegium.training.machine import configure, pick_device, pick_precision

Blocks = dict[str, list[float]]


def main() -> None:
    a = arguments()
    device = pick_device(a.device)
    configure(device, a.threads)
    best = pick_precision("auto", device)
    found: dict[str, Any] = {}
    with TemporaryDirectory() as name:
        photos = photographs(a.folder, a.images, a.short_side, Path(name))
        for depth in a.depths:
            found[f"resnet{depth}"] = one_depth(a, depth, photos, device, best)
    title = (
        f"RetinaNet, short side {a.short_side}, {a.images} photographs, {device}, best precision {best}, "
        f"{a.threads} thread(s)"
    )
    print(title)
    for depth, row in found.items():
        show(depth, row)
    write_json(
        a.out,
        {"title": title, "targets": {"cpu": 2, "cuda": 5}, "depths": found, "machine": machine()}
        | {"tf32_in_convolutions_of_fp32": device.type == "cuda" and torch.backends.cudnn.allow_tf32}
        | {key: getattr(a, key) for key in ("images", "block", "blocks", "free", "short_side", "threads")},
    )


def one_depth(
    a: argparse.Namespace, depth: int, photos: Photographs, device: torch.device, best: str
) -> dict[str, Any]:
    """All that is measured of one depth; what its networks take is freed after it."""
    precisions = tuple(dict.fromkeys(("fp32", best)))
    kinds = [(2, ""), (a.free, ""), (a.free, OTHER_MEMORY), (a.free, ONE_BY_ONE)]
    found = {
        f"ours, batch {batch}, {precision}{', ' if change else ''}{change}": ours(
            depth, batch, precision, change, photos, device
        )
        for batch, change in dict.fromkeys(kinds)
        for precision in precisions
    }
    sides = {name: rate(partial(side.learn, a.block), a.block, device) for name, side in found.items()}
    published = Published(a.published, photos, depth, a.short_side, device) if a.published else None
    if published:
        learn = partial(published.learn, a.block // 2)
        sides["published, batch 2"] = rate(learn, a.block, device, partial(published.start, a.block // 2))
        for batch in dict.fromkeys((2, a.free)):
            learn = partial(published.learn_ready, batch, a.block)
            sides[f"published, batch {batch}, without loading"] = rate(learn, a.block, device)
    rates = interleave(sides, a.blocks)
    fast = {precision: found[f"ours, batch {a.free}, {precision}"] for precision in precisions}
    return {
        "rates": summarise(rates),
        "ratios": summarise(ratios(rates, a.free, precisions, device)),
        "blocks": rates,
        "first_batch_seconds": first_batch(fast[best], published),
        "evaluation": evaluation(
            fast["fp32"], published, {name: median_interval(values)[0] for name, values in rates.items()}
        ),
        "inference_images_per_second": inference(fast, published, a.blocks),
    }


def ratios(rates: Blocks, free: int, precisions: Sequence[str], device: torch.device) -> Blocks:
    """Block by block: ours to the published code, and what each part of ours contributes."""
    pairs = {}
    for precision in precisions:
        whole, small = (rates[f"ours, batch {batch}, {precision}"] for batch in (free, 2))
        for name, other in rates.items():
            if name.startswith("published"):
                pairs[f"ours, batch {free}, {precision} / {name}"] = (whole, other)
                pairs[f"ours, batch 2, {precision} / {name}"] = (small, other)
        memory = (whole, rates[f"ours, batch {free}, {precision}, {OTHER_MEMORY}"])
        pairs |= {
            f"batching, {precision}": (whole, small),
            f"channels-last, {precision}": memory if device.type != "cpu" else memory[::-1],
            f"batched targets, {precision}": (whole, rates[f"ours, batch {free}, {precision}, {ONE_BY_ONE}"]),
        }
        if precision != "fp32":
            pairs[precision] = (whole, rates[f"ours, batch {free}, fp32"])
    return {name: [x / y for x, y in zip(a, b, strict=True)] for name, (a, b) in pairs.items()}


def show(depth: str, found: dict[str, Any]) -> None:
    print(f"{depth}: training images per second, then ratios")
    for part in ("rates", "ratios"):
        for name, row in found[part].items():
            print(f"  {name:58} {row['median']:9.2f}   [{row['low']:.2f}, {row['high']:.2f}]")
    for part in ("first_batch_seconds", "evaluation", "inference_images_per_second"):
        print(f"  {part}: " + ", ".join(f"{name} {value:.3g}" for name, value in found[part].items()))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="train.json and the images that it names")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--published", type=Path, help="a checkout of the published code")
    parser.add_argument("--depths", type=int, nargs="+", default=[18, 50])
    parser.add_argument("--free", type=int, default=8, help="the batch where it is free")
    parser.add_argument("--images", type=int, default=64, help="photographs in use")
    parser.add_argument("--block", type=int, default=16, help="images of a block, a multiple of both batches")
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--short-side", type=int, default=608)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="auto")
    a = parser.parse_args()
    if a.block % a.free or a.block % 2:
        parser.error(f"--block {a.block}: must be a multiple of 2 and of --free {a.free}")
    return a


if __name__ == "__main__":
    main()
