"""The interface between the training loop and a kind of training: its batches, loss and validation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from florilegium.training.selection import Row


class Objective(Protocol):
    """The loss of a batch. All random numbers are used in `prepare`, but for those of the network itself."""

    columns: tuple[str, ...]
    """History columns of the sums that `loss` returns, the loss itself first."""

    def prepare(self, batch: Any) -> Any:
        """The batch of a feed, augmented, in the form that the network and the loss take."""

    def loss(self, network: nn.Module, prepared: Any, part: slice) -> tuple[Tensor, Tensor]:
        """The mean loss over the images of `part`, and (columns,) sums over them, on the device."""


@dataclass(frozen=True)
class Task:
    """One training without its network and recipe."""

    objective: Objective
    feed: Callable[[Tensor], Any]
    """From indices, int64 (B,) on the host, to a batch on the device."""
    count: int
    """Training images."""
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
