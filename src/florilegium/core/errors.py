"""User errors: one sentence that names what is wrong, where, and the way out."""

import difflib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

BAD_INPUT = 2


class UserError(Exception):
    """A mistake that the user can correct; its text is the whole message."""


class UserErrors(UserError):
    """Several mistakes, found together; its text has a line for each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class Mistakes:
    """A list of mistakes: checks go on after the first, and end in one error.

    mistakes = Mistakes()
    for entry in entries:
        with mistakes.caught():
            check(entry)
    mistakes.refuse()
    """

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Keep a `UserError` of the body; each sentence is kept once."""
        try:
            yield
        except UserError as error:
            sentences = error.mistakes if isinstance(error, UserErrors) else (str(error),)
            self.found += [sentence for sentence in sentences if sentence not in self.found]

    def refuse(self) -> None:
        """Raise what was found, if anything was."""
        if len(self.found) == 1:
            raise UserError(self.found[0])
        if self.found:
            raise UserErrors(self.found)


def nearest(name: str, allowed: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the nearest right name, else an empty string."""
    close = difflib.get_close_matches(str(name), map(str, allowed), n=1, cutoff=0.5)
    return f", did you mean '{close[0]}'?" if close else ""


def unknown(kind: str, name: str, allowed: Iterable[str], where: str = "") -> UserError:
    """The error for a name that is not among `allowed`."""
    names = sorted(map(str, allowed))
    known = ", ".join(names[:20] or ["none"]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    place = f"{where}: " if where else ""
    return UserError(f"{place}unknown {kind} '{name}'{nearest(name, names)} (known: {known})")


def report(faults: Iterable[str]) -> int:
    """Print `faults` as errors, a line each; the exit code of a command that ends with them."""
    lines = [f"error: {fault}" for fault in faults]
    if lines:
        print("\n".join(lines), file=sys.stderr)
    return BAD_INPUT if lines else 0


def run_main(main: Callable[[], int | None]) -> None:
    """Run `main` as a process: a `UserError`, or a full disk, ends in one sentence and exit code 2.

    Any other exception keeps its traceback, since it is a fault of the program.
    """
    try:
        sys.exit(main() or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        if error.errno != 28:  # ENOSPC
            raise
        traceback.print_exc()
        where = error.filename or "the output folder"
        way_out = "free some and run again, finished work is kept"
        print(f"error: no space left on the disk while writing {where}; {way_out}", file=sys.stderr)
    sys.exit(BAD_INPUT)
