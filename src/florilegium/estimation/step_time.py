"""How long a GPU takes for a batch, and how far that may be off.

The longest of three: what its operations take at the part of the card's rate that trainings reach, what its numbers
take on their way from memory and back, and what its kernels take to be launched, one after the other (Williams,
Waterman and Patterson 2009, "Roofline", with a floor for the host). Small images and small batches are bound by the
last: a ViT-B/32 at 224 pixels trains hardly faster than a ViT-B/16 with four times the work.

Parts and ranges are fitted to what was measured on one NVIDIA H200 (benchmarks/results, docs/speed.md), and a test
holds them to it.
"""

from typing import Literal

from florilegium.config.study import Card
from florilegium.estimation.kernels import Kernels

Kind = Literal["transformer", "convolutional", "detector", "generator"]

# The part of a data sheet's rate that a whole step reaches, and not a single product.
CONVOLUTIONS_16, PRODUCTS_16 = 0.16, 0.26
CONVOLUTIONS_32, PRODUCTS_32 = 0.19, 0.62
# Kernels of a training step that no network has: augmentation, loss, clipping, optimiser, counting.
AROUND = 100
# Of 16 bits, beside each of the network's: weights are cast anew in every step.
CASTS = 1.3

# What a measured time was of its estimate, least and most, rounded outwards to 0.05.
RANGES: dict[Kind, tuple[float, float]] = {
    "transformer": (0.85, 1.4),
    "convolutional": (0.75, 1.75),
    "detector": (0.7, 1.55),
    "generator": (0.95, 3.9),
}


def seconds(kernels: Kernels, card: Card, precision: str, *, trains: bool) -> float:
    """Of one batch. `precision` as in a recipe; `auto` is 16 bits on every card that has them."""
    launches = kernels.launches + (AROUND if trains else 0)
    if precision == "fp32":
        computing = kernels.convolutions / (CONVOLUTIONS_32 * card.teraflops_tf32 * 1e12)
        computing += kernels.products / (PRODUCTS_32 * card.teraflops_32bit * 1e12)
        width = 4
    else:
        computing = kernels.convolutions / CONVOLUTIONS_16 + kernels.products / PRODUCTS_16
        computing /= card.teraflops_16bit * 1e12
        width = 2
        launches = round(launches * CASTS)
    moving = kernels.numbers * width / (card.terabytes * 1e12)
    return max(computing, moving, launches * card.launch_microseconds * 1e-6)


def kind_of(task: str, kernels: Kernels) -> Kind:
    """A classifier is called after what most of its operations are."""
    if task == "detection":
        return "detector"
    if task == "generation":
        return "generator"
    return "transformer" if kernels.products > kernels.convolutions else "convolutional"
