"""Trackers of a run: TensorBoard and W&B."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from florilegium.config.study import requested_trackers
from florilegium.core.fingerprint import short_hash
from florilegium.core.system import say
from florilegium.training.task import Row

PROJECT = "florilegium"
LOGS = Path("logs")


class Tracker(Protocol):
    """Shows a run."""

    def add(self, rows: Sequence[Row]) -> None:
        """Show further epochs."""

    def close(self) -> None: ...


class Trackers:
    """Several trackers as one. One that fails is reported and left out: a training does not end because of it."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers, self.n_shown = list(trackers), 0

    def __call__(self, history: Sequence[Row]) -> None:
        """Show the new rows of the whole history; the first call after an interruption shows all again."""
        rows, self.n_shown = history[self.n_shown :], len(history)
        self._for_each(lambda tracker: tracker.add(rows))

    def close(self) -> None:
        self._for_each(lambda tracker: tracker.close())

    def _for_each(self, call: Callable[[Tracker], None]) -> None:
        for tracker in [*self.trackers]:
            try:
                call(tracker)
            except Exception as error:  # whatever a foreign package may raise
                self.trackers.remove(tracker)
                say(f"{type(tracker).__name__} fails and is left out of this run: {error}")


def trackers_of(name: str, spec: Mapping[str, Any], events: Path | None) -> Trackers:
    """TensorBoard with its folder `events`, unless that is None, and the trackers that the user asked for."""
    trackers: list[Tracker] = [] if events is None else [TensorBoard(events)]
    return Trackers(trackers + [FOREIGN[tracker](name, spec) for tracker in requested_trackers()])


def values_of(row: Row) -> dict[str, float]:
    """The numbers of an epoch under TensorBoard's names.

    `train_loss` and `val_loss` share a panel as loss/train and loss/val.
    """
    values = {}
    for column, value in row.items():
        if column != "epoch" and value is not None:
            side, _, name = column.partition("_")
            values[f"{name}/{side}" if name else column] = value
    return values


class TensorBoard:
    """The event file of one run. tensorboard is imported at the first row, which takes 0.2 s."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer: Any = None  # tensorboard's `EventFileWriter`

    def add(self, rows: Sequence[Row]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self.writer is None:
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
            self.writer = EventFileWriter(str(self.folder))
        for row in rows:
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in values_of(row).items()]
            self.writer.add_event(Event(step=row["epoch"], summary=Summary(value=values)))
        self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class WeightsAndBiases:
    """An offline run below `logs/wandb`; a resumed training goes on in the same run."""

    def __init__(self, name: str, spec: Mapping[str, Any]) -> None:
        self.name, self.spec = name, spec
        self.run: Any = None  # of wandb

    def add(self, rows: Sequence[Row]) -> None:
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
        for row in rows:
            self.run.log(values_of(row), step=row["epoch"])

    def close(self) -> None:
        if self.run is not None:
            self.run.finish()


FOREIGN: dict[str, Callable[[str, Mapping[str, Any]], Tracker]] = {"wandb": WeightsAndBiases}
