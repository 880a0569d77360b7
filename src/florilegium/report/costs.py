"""What each arm of a study cost: `costs.csv`, measured, with the published figures beside."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from florilegium.core.metrics import CLOCKED, SIZES, WORDS
from florilegium.report.measures import value
from florilegium.report.runs import Run, finite
from florilegium.report.study import Entry, Key, Study, labels
from florilegium.report.tables import EMPTY, markdown_table, number, published

MEASURED = (*SIZES, *(metric for metric in CLOCKED if metric != "seconds_evaluation"))
SETTINGS = ("precision", "device", "threads")
COLUMNS = ("experiment", "arm", *MEASURED, *SETTINGS, "n_seeds")
READING = (
    "Means over an arm's seeds, without runs that diverged early. Multiply-accumulates are those of one forward pass. "
    "Peak memory is the device's; on a CPU, the process's. Minutes include evaluation; its share counts validation "
    "and the final test. In brackets: as published, on the study's own hardware."
)


def costs(study: Study, runs: Mapping[Key, Sequence[Run]]) -> pd.DataFrame:
    """A row an arm that was run: `COLUMNS`, then `published_<metric>_low` and `_high` of each cost that the
    study published. Sizes in parameters, multiply-accumulates and bytes; seconds and minutes."""
    rows = [_row(entry, runs[entry.key]) for entry in study.entries if runs[entry.key]]
    given = [metric for metric in MEASURED if any(f"published_{metric}_low" in row for row in rows)]
    beside = [f"published_{metric}_{end}" for metric in given for end in ("low", "high")]
    return pd.DataFrame(rows, columns=[*COLUMNS, *beside])


def _row(entry: Entry, runs: Sequence[Run]) -> dict[str, Any]:
    used = finite(runs) or list(runs)
    found: dict[str, Any] = {"experiment": entry.experiment, "arm": entry.arm, "n_seeds": len(used)}
    for metric in MEASURED:
        found[metric] = float(np.mean([value(run, metric) for run in used]))
    for key in SETTINGS:
        found[key] = ", ".join(sorted({str(run.cost()[key]) for run in used}))
    for figure in entry.published:
        if figure.metric in MEASURED:
            found[f"published_{figure.metric}_low"] = figure.low
            found[f"published_{figure.metric}_high"] = figure.high
    return found


def read_costs(folder: Path) -> pd.DataFrame:
    """`costs` as its stage wrote it below `folder`."""
    return pd.read_csv(folder / "costs.csv", dtype=dict.fromkeys(SETTINGS, str))


def readable_costs(study: Study, table: pd.DataFrame) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows for people. A setting that all arms share still has its column: it is half of a cost."""
    header = ("Arm", *(WORDS[metric] for metric in MEASURED), *SETTINGS, "seeds")
    names = labels(study)
    return header, [
        (
            names[row["experiment"], row["arm"]],
            *_cells(row),
            *(str(row[key]) for key in SETTINGS),
            str(row["n_seeds"]),
        )
        for row in table.to_dict("records")
    ]


def _cells(row: Mapping[Any, Any]) -> Iterator[str]:
    for metric in MEASURED:
        low, high = (row.get(f"published_{metric}_{end}", np.nan) for end in ("low", "high"))
        beside = published(metric, low, high)
        cell = number(metric, row[metric])
        yield cell if beside == EMPTY else f"{cell} ({beside})"


def costs_markdown(study: Study, table: pd.DataFrame) -> str:
    """The Markdown twin of `costs.csv`."""
    return f"# {study.title}: cost ({study.preset})\n\n{READING}\n\n{markdown_table(*readable_costs(study, table))}\n"
