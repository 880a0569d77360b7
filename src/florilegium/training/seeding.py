"""Seeds of random numbers, derived from (seed, epoch, step) alone.

No generator's state need be saved, and a step that is repeated after an interruption gets the same random numbers.
"""

import hashlib

import torch
from torch import Tensor


def derive(seed: int, *parts: int | str) -> int:
    """A 63-bit seed for the purpose that `parts` name; nearby seeds and parts give unrelated values."""
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_step(seed: int, epoch: int, step: int) -> None:
    """Seed torch's default generators, the host's and every device's, for one step."""
    torch.manual_seed(derive(seed, "step", epoch, step))


def epoch_order(seed: int, epoch: int, count: int) -> Tensor:
    """The order of `count` images in an epoch: a permutation, int64 (count,), on the host."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(count, generator=generator)
