"""Progress for people: a bar on a terminal, plain lines in a log."""

import sys
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(items: Iterable[T], label: str, unit: str = "it", total: int | None = None) -> Iterator[T]:
    """Iterate with a bar when standard error is a terminal, else in silence.

    `total` is the number of items where it is known and `items` cannot say it.
    """
    if isinstance(items, Sized):
        total = len(items)
    yield from tqdm(items, desc=label, unit=unit, total=total, leave=False, disable=not sys.stderr.isatty())


def say(line: str) -> None:
    """One plain line for the log, flushed at once so that `tail -f` follows it."""
    tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()
