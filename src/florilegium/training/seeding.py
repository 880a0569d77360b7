"""Randomness derived from a place: (seed, epoch, step) alone decides what a step draws.

So no generator's state need be saved, and a step drawn again after an interruption draws the same.
"""

import hashlib

import torch
from torch import Tensor


def derive(seed: int, *parts: int | str) -> int:
    """A 63-bit seed for one purpose; nearby seeds and parts give unrelated values."""
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_step(seed: int, epoch: int, step: int) -> None:
    """Seed torch's default generators, the host's and every device's, for one step."""
    torch.manual_seed(derive(seed, "step", epoch, step))


def epoch_order(seed: int, epoch: int, count: int) -> Tensor:
    """The permutation of `count` images that an epoch visits, int64 (count,), on the host."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(count, generator=generator)
