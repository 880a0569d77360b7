"""Names of files and of classes. A name may hold bytes that are no UTF-8, which Python keeps as lone surrogates, and
one name may be spelt in two ways (é as one character, as in most files, or as two, as macOS writes it)."""

import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")  # these turn the direction of all that follows
DOLLAR = re.compile(r"(?<!\\)\$")


def spelt(name: str) -> str:
    """A name in the one spelling (NFC) in which names are compared, and classes are called."""
    return unicodedata.normalize("NFC", name)


def shown(name: str) -> str:
    """A name that can be printed and drawn in one line: line ends, what turns it, and bytes that are no UTF-8 are
    escaped."""
    text = name_bytes(name).decode("utf-8", "backslashreplace")
    return unturned(CONTROL.sub(_escaped, text))


def unturned(text: str) -> str:
    """A text whose characters that turn the direction of writing, and so what stands behind them, are escaped."""
    return TURNING.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def class_name(folder: str) -> str:
    """The class that a folder stands for: the same text however its name is spelt, and always one that can be drawn."""
    return spelt(shown(folder))


def drawn(text: str) -> str:
    """A text that matplotlib draws as it stands: between two dollars it would look for a formula."""
    return DOLLAR.sub(r"\\$", shown(text))


@contextmanager
def boxes_for_letters() -> Iterator[None]:
    """Draw letters that no font has as boxes, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def short(name: str, most: int) -> str:
    """A name without its middle where it is longer than `most` characters."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[len(name) - (most - most // 2) + 1 :]}"


def name_bytes(name: str) -> bytes:
    """The bytes of a name as they are on the disk, for hashes."""
    return name.encode("utf-8", "surrogateescape")
