"""Tables of results as CSV; apart from `report.tables`, so that a stage that writes one depends on no more."""

from pathlib import Path

import pandas as pd

from florilegium.core.files import atomic


def write_csv(table: pd.DataFrame, path: Path, *, digits: int = 10) -> None:
    """Write `table`, fractions with `digits` that count, with the same line ends on every system."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", float_format=f"%.{digits}g")
