"""The largest power of two of images that a step can learn from at once, by trying."""

from collections.abc import Iterator

import pandas as pd
import torch
from torch import nn

from florilegium.core.errors import UserError
from florilegium.core.progress import say
from florilegium.core.recipe import Recipe
from florilegium.evaluation.cost import peak_memory_bytes
from florilegium.models.freeze import train_mode
from florilegium.training.learner import Learner, out_of_memory
from florilegium.training.task import Task

SMALLEST = 2  # batch normalisation needs two values
STEPS = 2  # an optimiser that keeps averages has them from the second step on


def memory_of_batches(
    network: nn.Module, task: Task, recipe: Recipe, *, limit: int, device: torch.device
) -> pd.DataFrame:
    """Train `network` on ever larger batches until the next would not fit into `limit` bytes.

    On a CPU memory is that of the whole process and only ever grows, and the next size is not tried
    when twice the last growth would pass the limit; a GPU is asked until it refuses.

    Returns:
        A row for each size that fits: `batch_size, peak_memory_bytes`.

    Raises:
        UserError: not even the smallest fits.
    """
    rows: list[tuple[int, int]] = []
    for size in _sizes(task.count):
        if device.type != "cuda" and _would_pass([peak for _, peak in rows], limit):
            break
        peak = _peak_of(network, task, recipe, size, device)
        if peak is None or peak > limit:
            break
        say(f"{size} images a step: {peak / 2**20:.0f} MiB")
        rows.append((size, peak))
    if not rows:
        raise UserError(
            f"batch_finder_gib: {limit / 2**30:g} GiB hold not even {SMALLEST} images a step; raise it, or lower "
            "recipe.image_size"
        )
    return pd.DataFrame(rows, columns=["batch_size", "peak_memory_bytes"])


def memory_limit(gib: float, device: torch.device) -> int:
    """Bytes that may be filled: all of a GPU, or so much of the host as a person allows."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(gib * 2**30)


def _sizes(most: int) -> Iterator[int]:
    size = SMALLEST
    while size <= most:
        yield size
        size *= 2


def _would_pass(peaks: list[int], limit: int) -> bool:
    return len(peaks) > 1 and peaks[-1] + 2 * (peaks[-1] - peaks[-2]) > limit


def _peak_of(network: nn.Module, task: Task, recipe: Recipe, size: int, device: torch.device) -> int | None:
    """The most memory that steps of `size` images took; None where they did not fit."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    how = recipe.model_copy(update={"batch_size": size, "accumulate": 1})
    learner = Learner(network, how, task.objective, device)
    train_mode(learner.network)
    try:
        for _ in range(STEPS):
            learner.step(task.feed(torch.arange(size)), size, recipe.finder_rates[0])
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return None
    return peak_memory_bytes(device)
