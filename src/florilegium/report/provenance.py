"""What made a study: read from cost files and receipts."""

from collections.abc import Iterable, Mapping
from typing import Any

from florilegium.report.runs import Run
from florilegium.report.tables import EMPTY


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
