"""GPU hours of an experiment's arm, by what they are spent on, and how far they may be off."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any, get_args

import pandas as pd

from florilegium.config.study import Card
from florilegium.core.errors import UserError
from florilegium.estimation.kernels import Network, build, kernels_of
from florilegium.estimation.passes import Passes, Work, passes_of
from florilegium.estimation.step_time import RANGES, Kind, kind_of, seconds

HOUR = 3600.0
WORKS: tuple[Work, ...] = get_args(Work)
COLUMNS = (
    *("study", "experiment", "arm", "kind", "runs", "train_images", "judged_images"),
    *("params", "params_trainable", "macs", "operations"),
    *(f"{work}_hours" for work in WORKS),
    *("gpu_hours", "gpu_hours_low", "gpu_hours_high"),
)


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
    by_work: Counter[str] = Counter()
    low = high = 0.0
    for passes in every:
        hours = hours_of(passes, card)
        least, most = RANGES[_kind(passes)]
        by_work[passes.work] += hours
        low, high = low + hours * least, high + hours * most
    training = next(p for p in every if p.work == "training")
    return {
        "study": study,
        "experiment": experiment,
        "arm": arm,
        "kind": _kind(training),
        "runs": entry["runs"],
        "train_images": sum(p.images for p in every if p.work == "training"),
        "judged_images": sum(p.images for p in every if p.work == "tests"),
        **_size(replace(training.network, part="whole")),
        "operations": f"{sum(operations_of(p) for p in every):.4g}",
        **{f"{work}_hours": round(by_work[work], 6) for work in WORKS},
        "gpu_hours": round(sum(by_work.values()), 6),
        "gpu_hours_low": round(low, 6),
        "gpu_hours_high": round(high, 6),
    }


def hours_of(passes: Passes, card: Card) -> float:
    """Of all runs."""
    kernels = kernels_of(passes.network, passes.batch, trains=passes.trains)
    a_batch = seconds(kernels, card, passes.precision, trains=passes.trains) + passes.batch * passes.host
    return passes.runs * passes.batches * a_batch / HOUR


def operations_of(passes: Passes) -> float:
    """Of all runs; a multiply-accumulate is two."""
    kernels = kernels_of(passes.network, passes.batch, trains=passes.trains)
    return passes.runs * passes.batches * kernels.operations


def _kind(passes: Passes) -> Kind:
    """By the whole network, of which only a part may pass."""
    whole = replace(passes.network, part="whole", frozen=(), frozen_blocks=0)
    return kind_of(passes.task, kernels_of(whole, 1, trains=False))


@cache
def _size(network: Network) -> dict[str, int]:
    """Parameters and multiply-accumulates of one forward pass, as a run's metrics will say them."""
    parameters = list(
        build(network.model, network.classes, network.frozen, network.frozen_blocks).parameters()
    )
    forward = kernels_of(replace(network, frozen=(), frozen_blocks=0), 1, trains=False)
    return {
        "params": sum(p.numel() for p in parameters),
        "params_trainable": sum(p.numel() for p in parameters if p.requires_grad),
        "macs": round(forward.operations / 2),
    }
