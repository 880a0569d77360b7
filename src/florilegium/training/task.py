"""What the loop is told of a kind of training: in which batches it learns, from what loss, and how it is judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from florilegium.training.selection import Row


class Objective(Protocol):
    """The loss of a batch. All draws happen in `prepare`, but for those of the network itself."""

    columns: tuple[str, ...]
    """History columns that `loss` tallies, the loss itself first."""

    def prepare(self, batch: Any) -> Any:
        """What a feed gives, augmented, as the network and the loss take it."""

    def loss(self, network: nn.Module, prepared: Any, part: slice) -> tuple[Tensor, Tensor]:
        """The mean loss over the images of `part`, and (columns,) sums over them, on the device."""


@dataclass(frozen=True)
class Task:
    """One training, but for its network and recipe."""

    objective: Objective
    feed: Callable[[Tensor], Any]
    """From indices, int64 (B,) on the host, to a batch on the device."""
    count: int
    """Training images."""
    batches: Callable[[int], Sequence[Tensor]]
    """From an epoch, counted from 0, to the indices of each of its steps."""
    validate: Callable[[nn.Module], Row] | None
    """What a network scores on the validation images, by history column; None without any."""
    judged: tuple[str, ...]
    """The columns that `validate` fills."""
    score: str
    """The one of them that selection maximises."""
    told: tuple[str, ...] | None = None
    """Those of them that the log's line of an epoch tells; None: all."""
    memory_format: torch.memory_format = torch.channels_last
    """Of the network's weights: that of the images that `objective` prepares."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the history, in order."""
        return ("epoch", "lr", *self.objective.columns, *self.judged)
