"""The task that the training loop is given, its batches, and the selection of the best epoch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from florilegium.config.recipes import TrainingRecipe
from florilegium.training import parallel
from florilegium.training.feed import Feed
from florilegium.training.machine import epoch_order

Row = dict[str, Any]
EXPLOSION = 10.0  # times the training loss of the first epoch


class Objective(Protocol):
    """The loss of a batch. All random numbers are used in `prepare`, but for those of the network itself."""

    @property
    def columns(self) -> tuple[str, ...]:
        """History columns of the sums that `loss` returns, the loss itself first."""

    def prepare(self, batch: Any) -> Any:
        """The batch of a feed, augmented, in the form that the network and the loss take."""

    def loss(self, network: nn.Module, prepared: Any, part: slice) -> tuple[Tensor, Tensor]:
        """The mean loss over the images of `part`, and (columns,) sums over them, on the device."""


@dataclass(frozen=True)
class Task:
    """One training without its network and recipe."""

    objective: Objective
    feed: Feed
    batches: Callable[[int], Sequence[Tensor]]
    """From an epoch, counted from 0, to the indices of each of its steps."""
    validate: Callable[[nn.Module], Row] | None
    """From a network to its scores on the validation images, by history column; None without such images."""
    judged: tuple[str, ...]
    """The columns that `validate` fills."""
    score: str
    """The one of them that selection maximises."""
    logged: tuple[str, ...] | None = None
    """Those of them that appear in the log; None: all."""
    memory_format: torch.memory_format = torch.channels_last
    """That of the images that `objective` prepares, and so of the network's weights."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the history, in order."""
        return ("epoch", "lr", *self.objective.columns, *self.judged)


# Batches


def batches(epoch: int, *, count: int, recipe: TrainingRecipe, seed: int) -> Sequence[Tensor]:
    """The steps of an epoch: one pass over `count` images, or `recipe.epoch_steps` of endless passes.

    Where the recipe has more batches per step, neighbours are joined, and there are fewer steps; the gradient of a
    step is the mean over its images, as in Lightning's accumulation. The micro-batches of forward passes, and so
    of batch normalisation, stay as they were.
    """
    size, full = recipe.batch_size, steps_per_pass(count, recipe.batch_size)
    steps = recipe.epoch_steps or full
    order: dict[int, Tensor] = {}
    single: list[Tensor] = []
    for number in range(epoch * steps, (epoch + 1) * steps):
        turn, step = divmod(number, full)
        if turn not in order:
            order = {turn: epoch_order(seed, turn, count)}
        single.append(order[turn][step * size : (step + 1) * size])
    joined = ([1] + [several for start, several in recipe.batches_per_step if start <= epoch])[-1]
    return single if joined == 1 else [torch.cat(single[start : start + joined]) for start in range(0, steps, joined)]


def steps_per_pass(count: int, batch_size: int) -> int:
    """The number of batches in a pass over the images; the last may be smaller.

    A single remaining image is left out, since batch normalisation has no variance of one value; so are fewer
    images than processes. The order changes from pass to pass, so it is another image each time.
    """
    full, rest = divmod(count, batch_size)
    return full + (rest >= max(2, parallel.size()) or full == 0)


# Selection


def best_epoch(history: Sequence[Row], score: str) -> int:
    """The epoch (from 1) of the highest `score`; ties go to the lower `val_loss`, then to the earlier epoch."""
    return int(min((-row[score], finite_or_infinity(row.get("val_loss")), row["epoch"]) for row in history)[2])


def finite_or_infinity(loss: float | None) -> float:
    return loss if loss is not None and math.isfinite(loss) else math.inf


def stops_early(history: Sequence[Row], score: str, recipe: TrainingRecipe) -> bool:
    """True if the best epoch is as many epochs ago as the recipe's patience."""
    if recipe.early_stop is None or not history:
        return False
    if recipe.early_stop_on == "val_loss":
        losses = [finite_or_infinity(row["val_loss"]) for row in history]
        best = losses.index(min(losses)) + 1  # ties go to the earlier epoch
    else:
        best = best_epoch(history, score)
    return len(history) - best >= recipe.early_stop


def exploded(history: Sequence[Row]) -> bool:
    """True if the last training loss is more than ten times the first epoch's."""
    return bool(history[-1]["train_loss"] > EXPLOSION * history[0]["train_loss"])
