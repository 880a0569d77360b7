"""Estimated GPU hours of a plan: a table with a row an arm, and its summary."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from textwrap import wrap
from typing import Any, Literal, get_args

import pandas as pd

from florilegium.config.base import parse
from florilegium.config.data import DataUse, DetectionData
from florilegium.config.study import Card
from florilegium.core.errors import UserError
from florilegium.core.system import aligned
from florilegium.estimation.kernels import Kernels, Network, build, kernels_of
from florilegium.estimation.passes import Passes, Work, passes_of

Kind = Literal["transformer", "convolutional", "detector", "generator"]

# The part of a data sheet's rate that a whole step reaches; a single product reaches more.
CONVOLUTIONS_16, PRODUCTS_16 = 0.16, 0.26
CONVOLUTIONS_32, PRODUCTS_32 = 0.19, 0.62
# Kernels of a training step that no network has: augmentation, loss, clipping, optimiser, counting.
AROUND = 100
# In 16 bits: kernels for one of the network, since weights are cast in every step.
CASTS = 1.3

# Measured times as multiples of their estimates, least and most, rounded outwards to 0.05.
RANGES: dict[Kind, tuple[float, float]] = {
    "transformer": (0.85, 1.4),
    "convolutional": (0.75, 1.75),
    "detector": (0.7, 1.55),
    "generator": (0.95, 3.9),
}


HOUR, GIGA = 3600.0, 1e9
WEIGHT = 4  # bytes in a checkpoint
WORKS: tuple[Work, ...] = get_args(Work)
HOURS = ("gpu_hours", "gpu_hours_low", "gpu_hours_high")
COLUMNS = (
    *("study", "experiment", "arm", "kind", "runs", "train_images", "judged_images"),
    *("packed", "packed_bytes"),
    *("params", "params_trainable", "macs", "operations"),
    *(f"{work}_hours" for work in WORKS),
    *HOURS,
)

# The table


def table_of(entries: Iterable[dict[str, Any]], card: Card) -> pd.DataFrame:
    """A row an arm, with `COLUMNS`; an error names its arm."""
    rows = []
    for entry in entries:
        try:
            rows.append(row(entry, card))
        except UserError as error:
            raise UserError(f"{entry['experiment']}: {error}") from None
    return pd.DataFrame(rows, columns=list(COLUMNS))


def row(entry: dict[str, Any], card: Card) -> dict[str, Any]:
    """One arm with all its runs, as `plan.plan` describes it; images are those of one run.

    Raises:
        UserError: see `passes_of` and `kernels_of`.
    """
    every = passes_of(entry)
    study, experiment, arm = entry["experiment"].split("/")
    by_work: defaultdict[str, float] = defaultdict(float)
    low = high = operations = 0.0
    for passes in every:
        kernels = kernels_of(passes.network, passes.batch, trains=passes.trains)
        each = seconds(kernels, card, passes.precision, trains=passes.trains) + passes.batch * passes.host
        batches = passes.runs * passes.batches
        hours = batches * each / HOUR
        operations += batches * kernels.operations
        least, most = RANGES[_kind(passes)]
        by_work[passes.work] += hours
        low, high = low + hours * least, high + hours * most
    training = next(passes for passes in every if passes.work == "training")
    return {
        "study": study,
        "experiment": experiment,
        "arm": arm,
        "kind": _kind(training),
        "runs": entry["runs"],
        "train_images": sum(passes.images for passes in every if passes.work == "training"),
        "judged_images": sum(passes.images for passes in every if passes.work == "tests"),
        **_packed(entry, training.network),
        **_size(replace(training.network, part="whole")),
        "operations": f"{operations:.4g}",
        **{f"{work}_hours": round(by_work[work], 6) for work in WORKS},
        "gpu_hours": round(sum(by_work.values()), 6),
        "gpu_hours_low": round(low, 6),
        "gpu_hours_high": round(high, 6),
    }


def _packed(entry: Mapping[str, Any], network: Network) -> dict[str, str | int]:
    """The file of packed images that the arm reads, below `resources`, and its bytes."""
    if entry["task"] == "detection":
        data = parse(DetectionData, entry["data"], "data")
        name, area = f"scenes{data.packing}", network.height * network.width
    else:
        side = parse(DataUse, entry["data"], "data").storage_size
        name, area = f"pixels{side}", side * side
    return {"packed": f"{entry['source']}/{name}.npy", "packed_bytes": sum(entry["images"].values()) * area * 3}


def seconds(kernels: Kernels, card: Card, precision: str, *, trains: bool) -> float:
    """The seconds of one batch. `precision` as in a recipe; `auto` is 16 bits on every card that has them."""
    launches = kernels.launches + (AROUND if trains else 0)
    if precision == "fp32":
        computing = kernels.convolutions / (CONVOLUTIONS_32 * card.teraflops_tf32 * 1e12)
        computing += kernels.products / (PRODUCTS_32 * card.teraflops_32bit * 1e12)
        width = 4
    else:
        computing = kernels.convolutions / CONVOLUTIONS_16 + kernels.products / PRODUCTS_16
        computing /= card.teraflops_16bit * 1e12
        width = 2
        launches = round(launches * CASTS)
    moving = kernels.numbers * width / (card.terabytes * 1e12)
    return max(computing, moving, launches * card.launch_microseconds * 1e-6)


def kind_of(task: str, kernels: Kernels) -> Kind:
    """The kind of a network; that of a classifier is named after the greater part of its operations."""
    if task == "classification":
        return "transformer" if kernels.products > kernels.convolutions else "convolutional"
    return "detector" if task == "detection" else "generator"


def _kind(passes: Passes) -> Kind:
    """The kind of the whole network, even where the batches pass through a part of it."""
    whole = replace(passes.network, part="whole", frozen=(), frozen_blocks=0)
    return kind_of(passes.task, kernels_of(whole, 1, trains=False))


@cache
def _size(network: Network) -> dict[str, int]:
    """Parameters and multiply-accumulates of one forward pass, as a run's metrics will have them."""
    parameters = list(build(network.model, network.classes, network.frozen, network.frozen_blocks).parameters())
    forward = kernels_of(replace(network, frozen=(), frozen_blocks=0), 1, trains=False)
    return {
        "params": sum(p.numel() for p in parameters),
        "params_trainable": sum(p.numel() for p in parameters if p.requires_grad),
        "macs": round(forward.operations / 2),
    }


# The summary

WIDTH = 110
RANGE = (
    "From, to: measured times on an NVIDIA H200 were these multiples of their estimates: {}. docs/speed.md has them "
    "network by network. The estimate was fitted to these; of other networks, on another card, or with other work "
    "beside, it may be further off."
)
NOT_COUNTED = (
    "Not counted: downloads, decoding, audits, figures and start-up, which the processor does; what early stopping "
    "saves; the search for copies among generated images; steps that integrated gradients add."
)
DISK = (
    "Checkpoints are the weights of every run; beside them, the archives, their unpacked files and the state of each "
    "training at work (with AdamW three times its weights) take disk. A training holds the packed pixels of its "
    "splits in memory (a detector maps them from the file), on the card where they take at most half of what is free."
)


def summary(table: pd.DataFrame, preset: str, card: Card, uncounted: Mapping[str, int]) -> list[str]:
    """The lines that `snakemake gpu_hours` shows of a table with `hours.COLUMNS`.

    Args:
        uncounted: how many arms are not in the table, by data set.
    """
    lines = [f"Estimated GPU hours of preset {preset}, for one {card.name} (config.yaml: estimates):", ""]
    titles = ("study", "arms", "runs", "GPU hours", "from", "to", "longest run", "checkpoints, GB")
    lines += aligned([titles, *_by_study(table)])
    lines += ["", *aligned([("spent on", *RANGES, "all"), *_by_work(table)]), ""]
    lines += [*aligned([("below resources", "GB"), *_by_packed(table)]), ""]
    ends = "; ".join(f"{kind} {low:g} to {high:g}" for kind, (low, high) in RANGES.items())
    for text in (RANGE.format(ends), NOT_COUNTED, DISK):
        lines += wrap(text, WIDTH)
    if uncounted:
        named = ", ".join(f"{name} ({count})" for name, count in sorted(uncounted.items()))
        lines += wrap(f"Nor arms on data sets that do not say how many images they have: {named}.", WIDTH)
    return lines


def _by_study(table: pd.DataFrame) -> list[tuple[object, ...]]:
    parts = [*((str(study), part) for study, part in table.groupby("study")), ("all", table)]
    return [
        (study, len(part), int(part["runs"].sum()), *(_tenths(part[key].sum()) for key in HOURS), *_of_runs(part))
        for study, part in parts
    ]


def _of_runs(table: pd.DataFrame) -> tuple[str, str]:
    """The hours of the longest run, and the gigabytes of all checkpoints."""
    weights = (table["params"] * table["runs"]).sum() * WEIGHT
    return _tenths((table["gpu_hours"] / table["runs"]).max()), _tenths(weights / GIGA)


def _by_packed(table: pd.DataFrame) -> list[tuple[str, str]]:
    """A row for each file of packed images."""
    return [(file, _tenths(held / GIGA)) for file, held in table.groupby("packed")["packed_bytes"].max().items()]


def _by_work(table: pd.DataFrame) -> list[tuple[object, ...]]:
    """A row for each kind of work, a column for each kind of network."""
    hours = table.groupby("kind")[[f"{work}_hours" for work in WORKS]].sum()
    sums = {work: [hours[f"{work}_hours"].get(kind, 0.0) for kind in RANGES] for work in WORKS}
    return [(work, *map(_tenths, (*row, sum(row)))) for work, row in sums.items() if sum(row)]


def _tenths(value: float) -> str:
    """Tenths, which of hours are finer than the estimate; less than that is still more than nothing."""
    return "–" if not value else "< 0.1" if value < 0.05 else f"{value:,.1f}"
