"""JSON files that other programs wrote, and the forms in which they write numbers and flags.

A file may be in UTF-8, UTF-16 or UTF-32, with a byte order mark or without. Python's reader would take a file with the
same key twice in an object, or end in a traceback where one is cut; here each fault is one sentence.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from florilegium.core.errors import UserError

LARGEST = 2**63 - 1  # of an id: tables hold 64 bits
EXACT = 2**53  # from here on a fraction does not say which whole number it was
SHOWN = 60  # characters of a value that a sentence shows
PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
POINTER = b"version https://git-lfs"

YES, NO = ("1", "true"), ("0", "false", "")
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
WHOLE = re.compile(r"\s*[+-]?\d+(\.0*)?\s*", re.ASCII)  # an id such as 12e4 is a text
DIGITS = 20  # of 64 bits


def read_foreign_json(path: Path, where: str | None = None) -> Any:
    """The content of a JSON file; sentences call it `where`, or else by its path.

    Raises:
        UserError: there is no such file, it cannot be read, is no text or no JSON, is cut, or has a key twice.
    """
    where = str(path) if where is None else where
    text = _text(_bytes(path, where), where)
    if not text.strip():
        raise UserError(f"{where}: is empty; write it again")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        if not text[error.pos :].strip() or error.msg.startswith("Unterminated"):
            raise UserError(f"{where}: not valid JSON (it is cut in line {error.lineno}); get it again") from None
        place = f"line {error.lineno}, column {error.colno}"
        raise UserError(f"{where}: not valid JSON ({error.msg} at {place}); write it again") from None
    except RecursionError:
        raise UserError(f"{where}: not valid JSON (its lists are nested too deep); write it again") from None
    except ValueError as error:  # a number of thousands of digits, or a key that is there twice
        raise UserError(f"{where}: not valid JSON ({error}); write it again") from None


def _bytes(path: Path, where: str) -> bytes:
    if path.is_dir():
        raise UserError(f"{where}: is a folder, where a file is wanted; name a file in it")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{where}: there is no such file; mend the path") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{where}: cannot be read ({getattr(error, 'strerror', None) or error}); mend that") from None


def _text(content: bytes, where: str) -> str:
    for mark, kind in PACKED.items():
        if content.startswith(mark):
            raise UserError(f"{where}: is packed ({kind}); unpack it")
    if content.startswith(POINTER):
        raise UserError(f"{where}: is a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`")
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        known = f"byte 0x{content[error.start]:02x} in line {line} is no {encoding.upper().removesuffix('-SIG')}"
        raise UserError(f"{where}: is not written in UTF-8 or UTF-16 ({known}); save it as UTF-8") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key '{twice}' is twice in the object {worded(found)}")
    return found


def worded(value: object, most: int = SHOWN) -> str:
    """A value as a sentence shows it, cut after the `most` characters."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]} …"


def number(value: object) -> int | float | None:
    """A number in any form (2, 2.0, "2", "2.0"), unchanged if it is one; None for anything else, NaN included."""
    if isinstance(value, str):
        if not NUMBER.fullmatch(value):
            return None
        value = float(value) if len(value) > DIGITS or not WHOLE.fullmatch(value) else int(value.partition(".")[0])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= sys.float_info.max else None


def whole(value: object) -> int | None:
    """A whole number in any form; None for anything else, and for more than 64 bits."""
    if type(value) is int and abs(value) <= LARGEST:  # nearly always: a file may hold millions of ids
        return value
    if isinstance(value, str) and not WHOLE.fullmatch(value):
        return None
    found = number(value)
    if isinstance(found, float):
        found = int(found) if found.is_integer() and abs(found) <= EXACT else None
    return found if found is not None and abs(found) <= LARGEST else None


def flag(value: object) -> bool | None:
    """Yes (1, 1.0, true, "1", "true") or no (0, 0.0, false, null, "", "0", "false"); None for other values."""
    if value is None:
        return False
    if isinstance(value, str):
        text = value.strip().lower()
        if text in YES + NO:
            return text in YES
        value = number(text)
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else None
