"""What each step of an audit takes, for one line at its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Steps:
    """Seconds by the name of a step, in the order in which steps began.

    with steps("search"):
        ...
    say(steps.line())
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add the time of the body to a step."""
        started = time.monotonic()
        self.add(name, 0.0)
        try:
            yield
        finally:
            self.add(name, time.monotonic() - started)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def line(self) -> str:
        """`14.2 s: reading and hashing 9.1, search 0.4`."""
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.seconds.items())
        return f"{sum(self.seconds.values()):.1f} s: {parts}"
