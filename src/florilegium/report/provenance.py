"""What a study cost, and what made it: read from cost files and receipts."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from florilegium.report.runs import Run
from florilegium.report.study import Key, Study, labels
from florilegium.report.tables import EMPTY

COST_HEADER = (
    "Arm", "Parameters", "trained", "MACs (M)", "Runs", "Device", "Precision", "Threads",
    "Seconds a run", "Images/s", "Peak memory (MiB)",
)  # fmt: skip


def costs(study: Study, runs: Mapping[Key, Sequence[Run]]) -> list[tuple[str, ...]]:
    """A row an arm under `COST_HEADER`; seconds, rates and memory are means over its runs."""
    names = labels(study)
    return [_cost(names[entry.key], runs[entry.key]) for entry in study.entries if runs[entry.key]]


def _cost(name: str, runs: Sequence[Run]) -> tuple[str, ...]:
    size = runs[0].metrics
    costs = [run.cost() for run in runs]
    return (
        name,
        f"{size['params']:,}",
        f"{size['params_trainable']:,}",
        f"{size['macs'] / 1e6:,.1f}",
        str(len(runs)),
        _distinct(costs, "device"),
        _distinct(costs, "precision"),
        _distinct(costs, "threads"),
        _mean(costs, "seconds_total", 1),
        _mean(costs, "train_images_per_second", 0),
        _mean(costs, "peak_memory_bytes", 0, 2**20),
    )


def _distinct(costs: Sequence[dict[str, Any]], key: str) -> str:
    return ", ".join(sorted({str(cost[key]) for cost in costs}))


def _mean(costs: Sequence[dict[str, Any]], key: str, digits: int, unit: float = 1.0) -> str:
    values = [cost[key] / unit for cost in costs if cost[key] is not None]
    return f"{mean(values):,.{digits}f}" if values else EMPTY


def provenance(runs: Iterable[Run]) -> list[tuple[str, str]]:
    """(what, which) pairs; where runs differ every value is listed, so that a mixture is seen."""
    runs = list(runs)
    receipts = [run.receipt() for run in runs]
    rows = [
        ("runs", str(len(runs))),
        ("commit", _joined(_commit(receipt) for receipt in receipts)),
        ("device", _joined(str(run.cost()["device"]) for run in runs)),
    ]
    packages = sorted({name for receipt in receipts for name in receipt["versions"]})
    rows += [(name, _joined(str(r["versions"].get(name, "absent")) for r in receipts)) for name in packages]
    return rows


def _commit(receipt: Mapping[str, Any]) -> str:
    git = receipt["git"]
    if git["commit"] is None:
        return "no repository"
    return f"{git['commit'][:12]}{', edited since' if git['dirty'] else ''}"


def _joined(values: Iterable[str]) -> str:
    return " · ".join(sorted(set(values))) or EMPTY
