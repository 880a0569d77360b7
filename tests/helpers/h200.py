"""Measurements on one NVIDIA H200, as the estimate sees them: benchmarks/results, and what runs' own clocks said.

`python -m tests.helpers.h200` prints the table of docs/speed.md.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.config.study import Card
from florilegium.core.fingerprint import canonical
from florilegium.estimation.hours import Kind, kind_of, seconds
from florilegium.estimation.kernels import COUNTED, Kernels, Network, kernels_of
from florilegium.estimation.passes import SAMPLING_SECONDS

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
H200 = Card()
VOC = (608, 832)  # the commonest shape of the photographs that detectors were timed on
# The networks of docs/results/mini-generation-h200.md, in batches of 128, while another training was on the card. Its
# sets of 200 images in 20 steps are left out: they are over in a second and a half, of which most is start-up.
SLIM = {"widths": [16, 32, 64, 128], "blocks": [1, 1, 1, 1]}
# Their U-Net was another one than the study's is now (diffusers', of 32, 64 and 64 channels, a block and a level of
# attention): what `kernels_of` counted of it, training and drawing.
UNET = {
    True: Kernels(46688894976.0, 1293680640.0, 435703606.0, 481),
    False: Kernels(15581839360.0, 408944640.0, 183342699.0, 218),
}  # of COUNTED images
SETS = {"small U-Net, 20 steps": (20, 256, 368.0), "small U-Net, 500 steps": (500, 200, 10.5)}


@dataclass(frozen=True)
class Measured:
    """One network's images a second; `passes` of `batch` images make up `batch / shares` of them."""

    name: str
    network: Network | dict[bool, Kernels]
    batch: int
    precision: str
    trains: bool
    images_per_second: float
    task: str = "classification"
    passes: int = 1
    shares: int = 1
    host: float = 0.0

    @property
    def kind(self) -> Kind:
        return kind_of(self.task, self.kernels)

    @property
    def kernels(self) -> Kernels:
        if isinstance(self.network, Network):
            return kernels_of(self.network, self.batch, trains=self.trains)
        found, times = self.network[self.trains], self.batch / COUNTED
        return Kernels(found.convolutions * times, found.products * times, found.numbers * times, found.launches)

    @property
    def line(self) -> str:
        """Its row in docs/speed.md."""
        estimate = self.images_per_second * self.ratio
        rates = " | ".join(f"{rate:,.{0 if rate >= 100 else 1}f}" for rate in (self.images_per_second, estimate))
        return f"| {self.name} | {self.kind} | {rates} | {self.ratio:.2f} |"

    @property
    def ratio(self) -> float:
        """Measured time to estimated time."""
        images = self.batch / self.shares
        estimate = self.passes * seconds(self.kernels, H200, self.precision, trains=self.trains)
        return images / self.images_per_second / (estimate + images * self.host)


def network(name: str, n: int, sides: tuple[int, int], part: str = "whole", **arguments: Any) -> Network:
    return Network(canonical({"name": name, "arguments": arguments}), n, *sides, part=part)


def measured() -> list[Measured]:
    """Everything that has images a second of our own code."""
    return [*_transformers(), *_convolutional(), *_detectors(), *_generators()]


def _read(name: str) -> Any:
    return json.loads((RESULTS / f"{name}-h200.json").read_text(encoding="utf-8"))


def _transformers() -> Iterator[Measured]:
    for row in _read("accelerator")["rows"]:
        if row["side"].startswith("ours"):
            found = network("norm_vit_b16", 10, (224, 224), norm=row["norm"])
            name = f"ViT-B/16, {row['norm']}, {row['precision']}{row['side'].removeprefix('ours')}"
            yield Measured(name, found, 128, row["precision"], True, row["images_per_second"]["median"])
    for norm, row in _read("norms-b32")["summary"].items():
        found = network("norm_vit_b32", 17, (224, 224), norm=norm)
        yield Measured(f"ViT-B/32, {norm}, bf16", found, 128, "bf16", True, row["images_per_second"]["median"])


def _convolutional() -> Iterator[Measured]:
    found = _read("cifar94")
    rate = found["summary"]["images_per_second"]["median"]
    batch, precision = found["recipe"]["batch_size"], found["recipe"]["precision"]
    fast = network("cifar_resnet18", 10, (32, 32))
    yield Measured("ResNet-18 at 32 pixels, bf16", fast, batch, precision, True, rate)
    slim = network("cifar_resnet18", 10, (32, 32), **SLIM)
    for arm, rate in (("slowest", 8_619), ("fastest", 17_290)):
        yield Measured(f"slim ResNet-18 at 32 pixels, fp32, {arm} arm", slim, 128, "fp32", True, rate)


def _detectors() -> Iterator[Measured]:
    for depth, found in _read("detector")["depths"].items():
        net = network(f"retinanet_{depth}", 5, VOC)
        rates = {name: row["median"] for name, row in found["rates"].items()}
        for trains, rows in ((True, rates), (False, found["inference_images_per_second"])):
            for name, rate in rows.items():
                side, *rest = name.split(", ")
                if side == "ours" and len(rest) == 2:
                    batch, precision = int(rest[0].removeprefix("batch ")), rest[1]
                    what = f"RetinaNet, {depth}, {'training' if trains else 'answers'}, batch {batch}, {precision}"
                    yield Measured(what, net, batch, precision, trains, rate, "detection")


def _generators() -> Iterator[Measured]:
    unet, acgan = UNET, network("acgan", 10, (32, 32), width=32)
    for arm, rate in (("corrected", 1_428), ("as published", 1_637)):
        yield Measured(f"small U-Net, fp32, {arm}", unet, 128, "fp32", True, rate, "generation")
    yield Measured("small ACGAN, fp32", acgan, 128, "fp32", True, 6_810, "generation")
    for name, (steps, images, rate) in SETS.items():  # guided, so that an image passes twice
        yield Measured(name, unet, images * 2, "fp32", False, rate, "generation", steps, 2, SAMPLING_SECONDS)
    half = network("acgan", 10, (32, 32), "generator", width=32)
    yield Measured("small ACGAN, drawing", half, 256, "fp32", False, 10_018, "generation", host=SAMPLING_SECONDS)


if __name__ == "__main__":
    print("\n".join(one.line for one in measured()))
