"""Requests to stop: SIGTERM and SIGINT are recorded, and obeyed between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from florilegium.training import parallel


class Stop:
    """The signal that asked the run to stop, 0 for none."""

    signal = 0

    def note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Record both signals while the body runs.

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
