"""Small tables of text as CSV. Without pandas, whose import takes longer than most of these tables."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from florilegium.core.files import atomic


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a header and `rows`, quoted where needed, with `\\n` line ends on every system."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
