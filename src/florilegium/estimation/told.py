"""What a person is told of an estimate: hours by study and by what they are spent on, their range, and what is left out."""

from collections.abc import Mapping
from textwrap import wrap

import pandas as pd

from florilegium.config.study import Card
from florilegium.estimation.hours import WORKS
from florilegium.estimation.step_time import RANGES
from florilegium.evaluation.image_files import aligned

HOURS = ("gpu_hours", "gpu_hours_low", "gpu_hours_high")
WIDTH = 110
NOT_COUNTED = (
    "Not counted: downloads, decoding, audits, figures and start-up, which the processor does; what early stopping "
    "saves; the batch-size finder, which nothing asks for by itself; the search for copies among generated images; "
    "steps that integrated gradients add."
)


def summary(table: pd.DataFrame, preset: str, card: Card, uncounted: Mapping[str, int]) -> list[str]:
    """The lines that `snakemake gpu_hours` shows of a table with `hours.COLUMNS`.

    Args:
        uncounted: how many arms are not in the table, by data set.
    """
    lines = [f"Estimated GPU hours of preset {preset}, for one {card.name} (config.yaml: estimates):", ""]
    lines += aligned([("study", "arms", "runs", "GPU hours", "from", "to"), *_by_study(table)])
    lines += ["", *aligned([("spent on", *RANGES, "all"), *_by_work(table)]), ""]
    lines += wrap(_range(), WIDTH) + wrap(NOT_COUNTED, WIDTH)
    if uncounted:
        named = ", ".join(f"{name} ({count})" for name, count in sorted(uncounted.items()))
        lines += wrap(f"Nor arms on data sets that do not tell how many images they have: {named}.", WIDTH)
    return lines


def _range() -> str:
    ends = "; ".join(f"{kind} {low:g} to {high:g}" for kind, (low, high) in RANGES.items())
    return (
        f"From, to: what was measured on an NVIDIA H200 took so many times its estimate: {ends}. docs/speed.md has it "
        "network by network. The estimate was fitted to these; of other networks, on another card, or with other work "
        "beside, it may be further off."
    )


def _by_study(table: pd.DataFrame) -> list[tuple[object, ...]]:
    parts = [*((str(study), part) for study, part in table.groupby("study")), ("all", table)]
    return [
        (study, len(part), int(part["runs"].sum()), *(_hours(part[key].sum()) for key in HOURS))
        for study, part in parts
    ]


def _by_work(table: pd.DataFrame) -> list[tuple[object, ...]]:
    """A row for each thing that hours are spent on, a column for each kind of network."""
    found: list[tuple[object, ...]] = []
    for work in WORKS:
        hours = table.groupby("kind")[f"{work}_hours"].sum()
        row = [hours.get(kind, 0.0) for kind in RANGES]
        if sum(row):
            found.append((work, *map(_hours, (*row, sum(row)))))
    return found


def _hours(value: float) -> str:
    """A tenth is more than the estimate knows, and what is less is not nothing."""
    return "–" if not value else "< 0.1" if value < 0.05 else f"{value:,.1f}"
