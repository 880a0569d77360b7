"""Trackers of a run: TensorBoard and W&B."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from florilegium.config.study import requested_trackers
from florilegium.core.fingerprint import short_hash
from florilegium.core.system import say
from florilegium.training import parallel
from florilegium.training.job import Job
from florilegium.training.task import Row


class Events:
    """The event file of one run; a resumed run writes its whole history again.

    tensorboard is imported at the first row, which takes 0.2 s.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.written, self.writer = folder, 0, None

    def __call__(self, history: Sequence[Row]) -> None:
        """Write the rows that are new."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self.writer is None:
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
            self.writer = EventFileWriter(str(self.folder))
        for row in history[self.written :]:
            values = [
                Summary.Value(tag=tag_of(key), simple_value=value)
                for key, value in row.items()
                if key != "epoch" and value is not None
            ]
            self.writer.add_event(Event(step=row["epoch"], summary=Summary(value=values)))
        self.written = len(history)
        self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def tag_of(column: str) -> str:
    """TensorBoard's name of a column: `train_loss` and `val_loss` share a panel as loss/train and loss/val."""
    side, _, name = column.partition("_")
    return f"{name}/{side}" if name else column


PROJECT = "florilegium"
LOGS = Path("logs")


class Tracker(Protocol):
    """Shows a run. It is called with the whole history after each epoch and adds the rows that are new."""

    def __call__(self, history: Sequence[Row]) -> None: ...

    def close(self) -> None: ...


class Trackers:
    """Several trackers as one. One that fails is reported and left out: a training does not end because of it."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = list(trackers)

    def __call__(self, history: Sequence[Row]) -> None:
        self._for_each(lambda tracker: tracker(history))

    def close(self) -> None:
        self._for_each(lambda tracker: tracker.close())

    def _for_each(self, call: Callable[[Tracker], None]) -> None:
        for tracker in [*self.trackers]:
            try:
                call(tracker)
            except Exception as error:  # whatever a foreign package may raise
                self.trackers.remove(tracker)
                say(f"{type(tracker).__name__} fails and is left out of this run: {error}")


def trackers_of(job: Job, seed: int) -> Trackers | None:
    """The trackers of a run; None in the helper processes of a training, since the first one reports for all."""
    if parallel.rank():
        return None
    name = f"{'/'.join(job.out.parts[-4:])}/seed{seed}"  # preset/study/experiment/arm/seed
    trackers: list[Tracker] = [] if job.tensorboard is None else [Events(job.tensorboard / f"seed{seed}")]
    trackers += [FOREIGN[tracker](name, job.spec) for tracker in requested_trackers()]
    return Trackers(trackers)


def values_of(row: Row) -> dict[str, float]:
    """The numbers of an epoch under TensorBoard's names."""
    return {tag_of(key): value for key, value in row.items() if key != "epoch" and value is not None}


class WeightsAndBiases:
    """An offline run below `logs/wandb`; a resumed training goes on in the same run."""

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        self.name, self.spec, self.written, self.run = name, spec, 0, None

    def __call__(self, history: Sequence[Row]) -> None:
        if self.run is None:
            os.environ.setdefault("WANDB_MODE", "offline")
            import wandb

            LOGS.mkdir(exist_ok=True)
            self.run = wandb.init(
                project=PROJECT,
                name=self.name,
                id=short_hash(self.name),
                resume="allow",
                dir=str(LOGS),
                config=dict(self.spec),
                settings=wandb.Settings(console="off", silent=True),
            )
        for row in history[self.written :]:
            self.run.log(values_of(row), step=row["epoch"])
        self.written = len(history)

    def close(self) -> None:
        if self.run is not None:
            self.run.finish()


FOREIGN: dict[str, Callable[[str, Mapping[str, Any]], Tracker]] = {"wandb": WeightsAndBiases}
