"""Tables as CSV, whole or not at all. Without pandas, whose import takes longer than most of these tables."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from florilegium.core.files import atomic

if TYPE_CHECKING:
    import pandas as pd


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a header and `rows`, quoted where needed, with `\\n` line ends on every system."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_frame(path: Path, frame: "pd.DataFrame", *, float_format: str | None = None) -> None:
    """Write the columns of `frame` in the same form; fractions in full, or as `float_format` ("%.6f") says."""
    with atomic(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n", float_format=float_format)
