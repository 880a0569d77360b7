"""TensorBoard event files, written from a run's history."""

from collections.abc import Sequence
from pathlib import Path

from florilegium.training.selection import Row


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
