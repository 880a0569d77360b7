"""The progress of a run and its resumable state: requests to stop, the folder of the state, and when it is saved."""

import copy
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from florilegium.core.errors import UserError
from florilegium.core.files import atomic, write_text
from florilegium.core.system import process_number, say
from florilegium.training import parallel
from florilegium.training.learner import Learner
from florilegium.training.task import Row

SAVE_EVERY = 600.0  # seconds between two saves inside an epoch
SAVE_SHARE = 0.1  # of the time that saving after short epochs may take

Weights = dict[str, Tensor]

# Requests to stop


class Stop:
    """The number of the signal to stop, 0 before there was one."""

    signal = 0

    def note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Record SIGTERM and SIGINT while the body runs.

    Only the main thread can, and only the first of several processes does: the helpers stop when it stops.

    Raises:
        SystemExit: after the body, when a signal came that the body did not see.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread() or parallel.rank():
        yield stop
        return
    before = {number: signal.signal(number, stop.note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.signal:
        raise SystemExit(128 + stop.signal)


# The folder of the state


class StateFolder:
    """A folder that holds the state of one run, locked while it is open.

    The lock is a file beside the folder and outlives it: inside, another process could lock a file that has just been
    removed. The system frees it when its process ends, however that ends. `<folder>.pid` beside it names the process.
    The helpers of a training in several processes neither lock nor write: they load what the first one reads.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder, self.fingerprint = folder, fingerprint
        self.file = folder / "state.pt"
        self.lock = FileLock(folder.with_name(f"{folder.name}.lock"), blocking=False)
        self.holder = folder.with_name(f"{folder.name}.pid")

    def __enter__(self) -> "StateFolder":
        if parallel.rank():
            return self
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.lock.acquire()
        except Timeout:
            raise UserError(
                f"{self.folder}: another process{self._named_holder()} is training this run; wait for it or end it"
            ) from None
        write_text(self.holder, str(process_number()))
        return self

    def __exit__(self, *error: object) -> None:
        if self.lock.is_locked:
            self.holder.unlink(missing_ok=True)
            self.lock.release()

    def _named_holder(self) -> str:
        try:
            return f" (pid {self.holder.read_text(encoding='utf-8')})"
        except OSError:  # it has only just taken the lock, or has ended since
            return ""

    def load(self) -> dict[str, Any] | None:
        """The saved state, its tensors on the host, or None if there is none of this fingerprint.

        The folder of another fingerprint's state, or of one that cannot be read, is renamed.
        """
        return parallel.shared(None if parallel.rank() else self._read())

    def _read(self) -> dict[str, Any] | None:
        if not self.file.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.file, map_location="cpu", weights_only=True)
            fingerprint = state["fingerprint"]
        except Exception:  # torch raises many kinds for a damaged file
            self._set_aside("cannot be read")
            return None
        if fingerprint != self.fingerprint:
            self._set_aside("belongs to another configuration, code or data")
            return None
        return state

    def save(self, state: dict[str, Any]) -> None:
        if parallel.rank():
            return
        with atomic(self.file) as temporary, open(temporary, "wb") as file:
            torch.save({**state, "fingerprint": self.fingerprint}, file)

    def clear(self) -> None:
        """Remove the state, with the remains of an interrupted write."""
        if self.folder.is_dir():
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()

    def clear_finished(self) -> None:
        """Remove what is left of the state where the run was finished; one of another fingerprint is renamed."""
        self._read()
        self.clear()

    def _set_aside(self, why: str) -> None:
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.stale-{number}")).exists():
            number += 1
        self.folder.rename(aside)
        say(f"{self.file} {why}; kept as {aside.name}, training starts anew")


# Progress


def snapshot(network: nn.Module) -> Weights:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


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

    @classmethod
    def restore(cls, folder: StateFolder, learner: Learner) -> tuple["Progress", bool]:
        """The progress in `folder`, whose state is loaded into `learner`, or a new one; True if it was restored."""
        state = folder.load()
        if state is None:
            return cls(last=snapshot(learner.evaluated)), False
        learner.load_state_dict(state["learner"])
        return cls(**state["progress"]), True

    def mark_good(self, learner: Learner) -> None:
        """Store the present state, at the end of an epoch, for `go_back`."""
        self.good = {"learner": copy.deepcopy(learner.state_dict()), "best": self.best}

    def go_back(self, learner: Learner) -> None:
        """Undo the epoch that diverged, with its row if it has one."""
        assert self.good is not None and self.diverged_epoch is not None
        epoch = self.diverged_epoch
        # A copy, since the optimiser keeps and changes the tensors that it loads.
        learner.load_state_dict(copy.deepcopy(self.good["learner"]))
        self.last, self.best = snapshot(learner.evaluated), self.good["best"]
        del self.history[epoch - 1 :], self.seconds[epoch - 1 :], self.images[epoch - 1 :]
        self.step, self.tally, self.elapsed = 0, [], 0.0
        self.restarts.append(epoch)
        self.diverged_epoch = None
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
        """Save, and end the process after a signal to stop."""
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
