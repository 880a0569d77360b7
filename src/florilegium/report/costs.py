"""What each arm of a study cost: `costs.csv`, measured, with the published figures beside."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from florilegium.report.measures import value
from florilegium.report.runs import Run, finite
from florilegium.report.study import Entry, Key, Study, labels
from florilegium.report.tables import EMPTY, markdown_table, number, published

HEADS = {
    "params": "Parameters",
    "params_trainable": "Trained",
    "macs": "MACs",
    "checkpoint_bytes": "Checkpoint",
    "peak_memory_bytes": "Peak memory",
    "seconds_per_epoch": "Seconds an epoch",
    "minutes": "Minutes",
    "evaluation_share": "Evaluation (%)",
    "train_images_per_second": "Images/s",
}  # what is measured, by its short name for people
SETTINGS = ("precision", "device", "threads")
COLUMNS = ("experiment", "arm", *HEADS, *SETTINGS, "n_seeds")
READING = (
    "Means over an arm's seeds, without those that diverged. MACs are the multiply-accumulates of one forward pass. "
    "Peak memory is the device's; on a CPU, the process's. Minutes include evaluation, whose share counts validation "
    "and the tests at the end; images a second are those trained on. In brackets: as published, on the study's own hardware."
)


def costs(study: Study, runs: Mapping[Key, Sequence[Run]]) -> pd.DataFrame:
    """A row an arm that was run: `COLUMNS`, then `published_<metric>_low` and `_high` of each cost that the
    study published. Sizes in parameters, multiply-accumulates and bytes; seconds and minutes."""
    rows = [_row(entry, runs[entry.key]) for entry in study.entries if runs[entry.key]]
    given = [metric for metric in HEADS if any(f"published_{metric}_low" in row for row in rows)]
    beside = [f"published_{metric}_{end}" for metric in given for end in ("low", "high")]
    return pd.DataFrame(rows, columns=[*COLUMNS, *beside])


def _row(entry: Entry, runs: Sequence[Run]) -> dict[str, Any]:
    used = finite(runs) or list(runs)
    found: dict[str, Any] = {"experiment": entry.experiment, "arm": entry.arm, "n_seeds": len(used)}
    for metric in HEADS:
        found[metric] = float(np.mean([value(run, metric) for run in used]))
    for key in SETTINGS:
        found[key] = ", ".join(sorted({str(run.cost()[key]) for run in used}))
    for figure in entry.published:
        if figure.metric in HEADS:
            found[f"published_{figure.metric}_low"] = figure.low
            found[f"published_{figure.metric}_high"] = figure.high
    return found


def read_costs(folder: Path) -> pd.DataFrame:
    """`costs` as its stage wrote it below `folder`."""
    return pd.read_csv(folder / "costs.csv", dtype=dict.fromkeys(SETTINGS, str))


def readable_costs(study: Study, table: pd.DataFrame) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows for people. A setting that all arms share still has its column: it is half of a cost."""
    header = ("Arm", *HEADS.values(), *(setting.capitalize() for setting in SETTINGS), "Seeds")
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
    for metric in HEADS:
        low, high = (row.get(f"published_{metric}_{end}", np.nan) for end in ("low", "high"))
        beside = published(metric, low, high)
        cell = number(metric, row[metric])
        yield cell if beside == EMPTY else f"{cell} ({beside})"


def costs_markdown(study: Study, table: pd.DataFrame) -> str:
    """The Markdown twin of `costs.csv`."""
    return f"# {study.title}: cost ({study.preset})\n\n{READING}\n\n{markdown_table(*readable_costs(study, table))}\n"
