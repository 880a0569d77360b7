"""Tables (CSV): written and read by one typed pair, so that a class called `1`, `NA` or `nan` stays that text.

A table is UTF-8 with `\\n` line ends on every system; a missing value is an empty cell. Texts are written so that every
program can open them, and are read back as they were:

- a byte of a file's name that is no UTF-8, and a carriage return, stand as `\\udcXX` (XX: the byte, in hexadecimal),
  which is how Python shows such a name;
- a text that a spreadsheet would run as a formula has `'` before it.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from florilegium.core.errors import UserError
from florilegium.core.files import atomic

if TYPE_CHECKING:
    import pandas as pd

COUNT = int | None
"""The type of a column of whole numbers some of which may be missing."""
STARTS = "[=@+\\-\t\n＝＠＋－]"  # of formulas, in full width too
ODD = re.compile(f"(?:^|\0)'*{STARTS}|[\r\udc80-\udcff]|\\\\udc")  # in cells that stand as they are, there is none
ESCAPES = re.compile(r"(?:^|\0)'|\\udc")  # nor here in cells that are read as they stand
UNWRITABLE = re.compile("[\r\udc80-\udcff]|\\\\udc")  # and the text of an escape, so that reading is exact
ESCAPED = re.compile(r"\\udc([0-9a-f]{2})")
FORMULA = re.compile(f"'*{STARTS}")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)?([eE][+-]?\d+)?%?")  # is no formula, nor is a sign alone


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a header and rows of texts. This needs no pandas."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(map(_written_row, rows))


def write_frame(path: Path, frame: "pd.DataFrame", *, float_format: str | None = None) -> None:
    """Write the columns of `frame` in the same form; fractions in full, or in `float_format` ("%.6f")."""
    texts = {name: frame[name].map(_written) for name in frame if _has_odd_texts(frame[name])}
    with atomic(path) as temporary:
        frame.assign(**texts).to_csv(temporary, index=False, lineterminator="\n", float_format=float_format)


def read_table(
    path: Path, types: Mapping[str, Any] | None = None, *, others: Any = str, columns: Sequence[str] | None = None
) -> "pd.DataFrame":
    """A table, or some of its columns.

    Args:
        types: of columns by name, as far as the table has these: `str`, `float` (exact; an empty cell is NaN), `int`,
            `bool`, or COUNT (pandas' Int64).
        others: the type of all other columns.
        columns: those to read.

    Raises:
        UserError: the file is cut, is no table, lacks one of `columns`, or a cell is not of its column's type.
    """
    import pandas as pd

    types = types or {}
    try:
        frame = pd.read_csv(path, usecols=columns, dtype=str, keep_default_na=False, skip_blank_lines=False)
        return frame.assign(**{name: _read(frame[name], types.get(name, others)) for name in frame})
    except ValueError as error:  # pandas' own errors and those of decoding are such, too
        raise UserError(f"{path}: is cut, or no such table ({error}); remove it and make it again") from None


def _written_row(row: Sequence[str]) -> Sequence[str]:
    return [_written(cell) for cell in row] if ODD.search("\0".join(row)) else row


def _has_odd_texts(column: "pd.Series") -> bool:
    if column.dtype.kind != "O":
        return False
    return ODD.search("\0".join(cell for cell in column if isinstance(cell, str))) is not None


def _written(cell: Any) -> Any:
    """A text as it stands in a table; anything else stays."""
    if not isinstance(cell, str):
        return cell
    if UNWRITABLE.search(cell):
        cell = cell.replace("\\udc", "\\udc5cudc").replace("\r", "\\udc0d")
        cell = cell.encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{cell}" if FORMULA.match(cell) and not NUMBER.fullmatch(cell) else cell


def _text(cell: str) -> str:
    """A text as it was before it was written."""
    if cell.startswith("'") and FORMULA.match(cell):
        cell = cell[1:]
    return ESCAPED.sub(_byte, cell) if "\\udc" in cell else cell


def _byte(escape: "re.Match[str]") -> str:
    code = int(escape[1], 16)
    return chr(code) if code < 0x80 else chr(0xDC00 + code)


def _read(column: "pd.Series", kind: Any) -> "pd.Series":
    """A column of texts as the values of a type."""
    import pandas as pd

    if kind is str:
        return column.map(_text) if ESCAPES.search("\0".join(column.tolist())) else column
    if kind is float:  # Python's own conversion is exact in every version of pandas
        return pd.Series([float(cell or "nan") for cell in column], dtype="float64")
    if kind is bool:
        return pd.Series([_flag(cell) for cell in column], dtype="bool")
    if kind is int:
        return pd.Series([int(cell) for cell in column], dtype="int64")
    return pd.Series([int(cell) if cell else None for cell in column], dtype="Int64")


def _flag(cell: str) -> bool:
    if cell not in ("True", "False"):
        raise ValueError(f"'{cell}' is neither True nor False")
    return cell == "True"
