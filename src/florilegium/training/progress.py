"""The progress of a run, and when it is saved."""

import copy
import time
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from florilegium.core.system import say
from florilegium.training import parallel
from florilegium.training.interrupt import Stop
from florilegium.training.learner import Learner
from florilegium.training.selection import Row
from florilegium.training.state import StateFolder

SAVE_EVERY = 600.0  # seconds between two saves inside an epoch
SAVE_SHARE = 0.1  # of the time that saving after short epochs may take

Weights = dict[str, Tensor]


@dataclass
class Progress:
    """Together with the learner, everything that resuming a run needs."""

    last: Weights
    """The evaluated weights at the end of the last epoch."""
    best: Weights | None = None
    history: list[Row] = field(default_factory=list)
    step: int = 0
    """Steps done in the current epoch."""
    tally: list[float] = field(default_factory=list)
    """The objective's sums over these steps; empty before the first."""
    lr: float = 0.0
    """The rate of the last of these steps."""
    elapsed: float = 0.0
    """Seconds that these steps took."""
    seconds: list[float] = field(default_factory=list)
    """Seconds of each epoch of the history, without validation."""
    validating: float = 0.0
    """Seconds of all validations, and of the statistics of averaged weights."""
    images: list[int] = field(default_factory=list)
    """Number of images of each epoch of the history."""
    diverged_epoch: int | None = None
    restarts: list[int] = field(default_factory=list)
    """The epochs that diverged and were undone."""
    good: dict[str, Any] | None = None
    """The state that `go_back` restores; set only where the recipe may restart."""


def snapshot(network: nn.Module) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def restore(folder: StateFolder, learner: Learner) -> tuple[Progress, bool]:
    """The progress in `folder`, whose state is loaded into `learner`, or a new one; and True if it was restored."""
    state = folder.load()
    if state is None:
        return Progress(last=snapshot(learner.evaluated)), False
    learner.load_state_dict(state["learner"])
    return Progress(**state["progress"]), True


def mark_good(learner: Learner, progress: Progress) -> None:
    """Store the present state, at the end of an epoch, for `go_back`."""
    progress.good = {"learner": copy.deepcopy(learner.state_dict()), "best": progress.best}


def go_back(learner: Learner, progress: Progress) -> None:
    """Undo the epoch that diverged, with its row if it has one."""
    assert progress.good is not None and progress.diverged_epoch is not None
    epoch = progress.diverged_epoch
    # A copy, since the optimiser keeps and changes the tensors that it loads.
    learner.load_state_dict(copy.deepcopy(progress.good["learner"]))
    progress.last, progress.best = snapshot(learner.evaluated), progress.good["best"]
    del progress.history[epoch - 1 :], progress.seconds[epoch - 1 :], progress.images[epoch - 1 :]
    progress.step, progress.tally, progress.elapsed = 0, [], 0.0
    progress.restarts.append(epoch)
    progress.diverged_epoch = None
    say(f"epoch {epoch} diverged: goes on from the end of epoch {epoch - 1} at a lower rate")


class Keeper:
    """Saves a run's progress: after epochs, in long epochs from time to time, and on a request to stop.

    The first of several processes decides for all, and all of them ask at the same steps.
    """

    def __init__(self, folder: StateFolder, learner: Learner, progress: Progress, stop: Stop) -> None:
        self.folder, self.learner, self.progress, self.stop = folder, learner, progress, stop
        self.saved, self.cost = time.monotonic(), 0.0

    def wants_step(self) -> bool:
        """True if the state should be saved after this step in the middle of an epoch."""
        return bool(parallel.agreed(bool(self.stop.signal) or self._age() >= SAVE_EVERY))

    def wants_epoch(self) -> bool:
        """True if the end of this epoch should be saved; of epochs shorter than a save only some are."""
        return bool(parallel.agreed(bool(self.stop.signal) or self._age() >= self.cost / SAVE_SHARE))

    def save(self) -> None:
        """Save, and end the process if it was asked to stop."""
        started = time.monotonic()
        state: dict[str, Any] = {"learner": self.learner.state_dict(), "progress": vars(self.progress)}
        self.folder.save(state)
        self.saved = time.monotonic()
        self.cost = self.saved - started
        stop = parallel.agreed(self.stop.signal)
        if stop:
            place = f"epoch {len(self.progress.history) + 1}, step {self.progress.step + 1}"
            say(f"stopped by signal {stop}; the same command goes on at {place}")
            raise SystemExit(128 + stop)

    def _age(self) -> float:
        return time.monotonic() - self.saved
