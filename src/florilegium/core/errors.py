"""Errors: one sentence that names what is wrong, where, and the way out; and the exit code that a process ends with."""

import difflib
import io
import os
import platform
import select
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from florilegium.core.diagnosis import mendable

FINDING, BAD_INPUT, FAULT = 1, 2, 3  # exit codes
STOPPED, UNREAD = 130, 141  # as of a shell: by SIGINT, by SIGPIPE


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


SYNONYMS = {"gpu": "cuda", "metal": "mps", "learning_rate": "lr"}  # words that resemble the wrong ones, or none


def nearest(name: str, allowed: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the nearest right name in whatever case, else an empty string."""
    names = {str(other).casefold(): str(other) for other in allowed}
    wanted = str(name).casefold()
    close = difflib.get_close_matches(SYNONYMS.get(wanted, wanted), names, n=1, cutoff=0.5)
    return f", did you mean '{names[close[0]]}'?" if close else ""


def some(items: Collection[object], most: int = 20, separator: str = ", ") -> str:
    """The first of many items, and how many more there are."""
    more = len(items) - most
    return separator.join(map(str, islice(items, most))) + (f" and {more:,} more" if more > 0 else "")


def counted(n: int, noun: str, plural: str = "") -> str:
    """`1 image`, `1,200 images`; `plural` where it does not end in s."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def unknown(kind: str, name: str, allowed: Iterable[str], where: str = "") -> UserError:
    """The error for a name that is not among `allowed`."""
    names = sorted({*map(str, allowed)})
    place = f"{where}: " if where else ""
    return UserError(f"{place}unknown {kind} '{name}'{nearest(name, names)} (known: {some(names) or 'none'})")


def sentence_of(error: BaseException) -> str | None:
    """What a person can mend, as a sentence; None for a fault of the program."""
    return str(error) if isinstance(error, UserError) else mendable(error)


def report(faults: Iterable[str]) -> int:
    """Print `faults` as errors, a line each; the exit code of a command that ends with them."""
    lines = [f"error: {fault}" for fault in faults]
    if lines:
        print("\n".join(lines), file=sys.stderr)
    return BAD_INPUT if lines else 0


# The end of a process


def exit_codes(finding: str | None) -> str:
    """The exit codes of a command, for its help; `finding` is what it looks for."""
    found = f"{FINDING} {finding}, " if finding else ""
    return (
        f"exit code: 0 done, {found}{BAD_INPUT} what you can mend, in one sentence,\n"
        f"{FAULT} a fault of florilegium, with a sentence that says where its traceback is"
    )


def run_main(main: Callable[[], int | None], log: Path | None = None) -> None:
    """Run `main` as a process, and end it with the exit code for what happened.

    0 or what `main` returns; `BAD_INPUT` and one sentence for what a person can mend; `FAULT` for any other exception,
    with a sentence after its traceback, or in place of it where it is written to `log`; 130 for Ctrl-C; 141 where
    nobody reads the output any more.
    """
    _make_writable()
    try:
        code: Any = main() or 0
        sys.stdout.flush()
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        code = _ended_by(error, log)
    _close_output()
    sys.exit(code)


def _make_writable() -> None:
    """Let every name be printed: what a terminal cannot show, or is no UTF-8, is escaped; a closed output is none."""
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _ended_by(error: BaseException, log: Path | None) -> int:
    """Say what ended the process, as far as anything can be written; the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return STOPPED
    if isinstance(error, BrokenPipeError) and _nobody_reads():
        return UNREAD
    sentence = sentence_of(error)
    code = FAULT if sentence is None else BAD_INPUT
    with suppress(OSError):  # the log itself may lie on a full disk
        sys.stdout.flush()
    with suppress(OSError):
        if log is None and not isinstance(error, UserError):
            traceback.print_exception(error)
        if sentence is None:
            place = "stands above" if log is None else _kept_traceback(error, log)
            name, text = type(error).__name__, " ".join(str(error).split())[:200]
            sentence = f"{name}: {text}: this is a fault of florilegium, please report it; its traceback {place}"
        print(f"error: {sentence}", file=sys.stderr, flush=True)
    return code


def _kept_traceback(error: BaseException, log: Path) -> str:
    """Write a traceback to `log`, else to a temporary file, else to standard error; says where it is."""
    about = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  python {platform.python_version()}  {shlex.join(sys.argv)}\n"
    text = about + "".join(traceback.format_exception(error))
    with suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return f"is in {log}"
    with suppress(OSError):
        number, name = tempfile.mkstemp(prefix=f"{log.stem}-", suffix=".log", text=True)
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return f"is in {name}"
    print(text, file=sys.stderr)
    return "stands above"


def _nobody_reads() -> bool:
    """True if the pipe that the output goes to has no reader; other pipes may break by a fault."""
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            poll.register(stream.fileno(), 0)
    return bool(poll.poll(0))


def _close_output() -> None:
    """Write what is buffered; what cannot be written is dropped, or Python would fail on it when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
