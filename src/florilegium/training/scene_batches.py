"""Batches of scenes, by shape or by aspect ratio."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from florilegium.config.recipes import DetectionRecipe
from florilegium.data.boxed import BoxedImages
from florilegium.training import parallel
from florilegium.training.seeding import epoch_order

Batches = Sequence[Tensor]


def batches_of(scenes: BoxedImages, recipe: DetectionRecipe, seed: int) -> Callable[[int], Batches]:
    """A function from an epoch, counted from 0, to its batches: equally many in each, in an order of its own."""
    size = recipe.batch_size
    if recipe.grouping == "aspect_ratio":
        groups = by_aspect_ratio(scenes, size, drop_last=recipe.drop_last)
        return lambda epoch: shuffled(groups, seed, epoch)
    return lambda epoch: shuffled(
        by_shape(scenes, size, epoch_order(seed, epoch, len(scenes)), drop_last=recipe.drop_last), seed, epoch
    )


def by_shape(scenes: BoxedImages, size: int, order: Tensor, *, drop_last: bool) -> list[Tensor]:
    """Batches of one shape, filled in `order`.

    The remaining scenes of all shapes are sorted by width over height and batched with padding. Only the last
    of these batches is not full.
    """
    full, left = [], []
    buckets = scenes.bucket[order]
    for bucket in scenes.bucket.unique():
        chunks = order[buckets == bucket].split(size)
        full += [chunk for chunk in chunks if len(chunk) == size]
        left += [chunk for chunk in chunks if len(chunk) < size]
    rest = torch.cat([*left, order[:0]])
    sides = scenes.padded()[rest]
    rest = rest[(sides[:, 1] / sides[:, 0]).argsort(stable=True)]
    mixed = rest.split(size) if len(rest) else ()
    return usable([*full, *mixed], size, drop_last=drop_last)


def by_aspect_ratio(scenes: BoxedImages, size: int, *, drop_last: bool) -> list[Tensor]:
    """Batches of neighbours in the originals' width over height, as published: the last batch is filled up from
    the first, whose images are then used twice per epoch."""
    ratios = scenes.sizes[:, 1] / scenes.sizes[:, 0]
    order = ratios.argsort(stable=True)
    spare = -len(order) % size
    if spare and drop_last and len(order) > size:
        return list(order[: len(order) - len(order) % size].split(size))
    wrapped = order.repeat(1 + spare // len(order) + 1)[: len(order) + spare]
    return list(wrapped.split(size))


def usable(batches: list[Tensor], size: int, *, drop_last: bool) -> list[Tensor]:
    """`batches` without the one that is not full if `drop_last`, or without one that processes cannot share; all of
    them if none would remain."""
    least = size if drop_last else parallel.size()
    return [batch for batch in batches if len(batch) >= least] or batches


def shuffled(batches: Batches, seed: int, epoch: int) -> Batches:
    return [batches[number] for number in epoch_order(seed, epoch, len(batches)).tolist()]
