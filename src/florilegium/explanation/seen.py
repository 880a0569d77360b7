"""What a network was seen to do, as two files: arrays and a table. Without torch: figures are drawn from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from florilegium.core.files import atomic


@dataclass(frozen=True)
class Seen:
    """Base of what is kept of one network: every field but `table` is an array."""

    FILES: ClassVar[tuple[str, str]]
    """Names of the arrays' file and of the table's."""
    ARRAYS: ClassVar[tuple[str, ...]]
    """The fields that are arrays."""

    table: pd.DataFrame

    def save(self, folder: Path) -> list[Path]:
        """Write FILES into `folder`, with bytes that depend on the content alone; returns their paths."""
        arrays, table = (folder / name for name in self.FILES)
        with atomic(arrays) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **{name: getattr(self, name) for name in self.ARRAYS})
        with atomic(table) as temporary:
            self.table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.6g")
        return [arrays, table]

    @classmethod
    def load(cls, folder: Path) -> Self:
        arrays, table = (folder / name for name in cls.FILES)
        with np.load(arrays, allow_pickle=False) as found:
            return cls(**{name: found[name] for name in cls.ARRAYS}, table=pd.read_csv(table))
