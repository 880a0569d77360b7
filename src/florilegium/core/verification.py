"""Whether files are still those that their receipts name."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from florilegium.core.errors import UserError
from florilegium.core.lineage import PLACES, SUFFIX, Ledger, Receipt, place, without_seed
from florilegium.core.progress import bar


@dataclass
class Findings:
    """What was looked at, and what of it does not fit."""

    files: set[str] = field(default_factory=set)
    receipts: list[Receipt] = field(default_factory=list)
    unfit: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    """A sentence each."""
    unnamed: list[str] = field(default_factory=list)
    """Files among the results that no receipt names."""


def verify(ledger: Ledger, start: str) -> Findings:
    """Hash what the receipts below `start` name, and what it was made from, down to the archives.

    Raises:
        UserError: no receipt names `start`, or there is none below it.
    """
    below = list(ledger.below(start)) if (ledger.root / start).is_dir() else [start]
    receipts = {receipt.name: receipt for name in below if (receipt := ledger.maker(name)) is not None}
    if not receipts and not ledger.unreadable:
        raise UserError(
            f"{start}: there is no receipt for it; give a file or folder that the workflow has made"
        )
    found = Findings(receipts=_with_origins(ledger, receipts.values()))
    names = {name for receipt in found.receipts for name in (*receipt.outputs, *receipt.inputs)}
    found.files = {name for name in names if not ledger.outside(name)}
    for name in bar(sorted(found.files), "hashing", "file"):
        ledger.digest(name)
    found.faults += [f"{name}: is no receipt that can be read; make it again" for name in ledger.unreadable]
    for receipt in found.receipts:
        _check_outputs(ledger, receipt, found)
    _check_inputs(ledger, found)
    if start.split("/")[0] == PLACES[0]:
        found.unnamed = [name for name in below if not name.endswith(SUFFIX) and ledger.maker(name) is None]
    return found


def _with_origins(ledger: Ledger, receipts: Iterable[Receipt]) -> list[Receipt]:
    """The receipts, and those of all that they were made from."""
    found: dict[str, Receipt] = {}
    waiting = list(receipts)
    while waiting:
        receipt = waiting.pop()
        if receipt.name not in found:
            found[receipt.name] = receipt
            makers = (ledger.maker(name) for name in receipt.inputs)
            waiting += [maker for maker in makers if maker is not None]
    return [found[name] for name in sorted(found)]


def _check_outputs(ledger: Ledger, receipt: Receipt, found: Findings) -> None:
    for name, recorded in receipt.outputs.items():
        now = ledger.digest(name)
        if now != recorded:
            how = "is missing" if now is None else "has changed"
            found.faults.append(f"{name}: {how} since {receipt.name} was written")
            found.unfit.add(name)


def _check_inputs(ledger: Ledger, found: Findings) -> None:
    """Inputs that no receipt vouches for, and results of another version of an input."""
    stale: dict[str, tuple[set[str], set[str]]] = {}
    for receipt in found.receipts:
        for name, recorded in receipt.inputs.items():
            maker = ledger.maker(name)
            standing = (maker.outputs.get(name) if maker else None) or ledger.digest(
                name
            )  # a change of what a receipt names is told once, there
            if standing is None and name in found.files - found.unfit:
                found.unfit.add(name)
                found.faults.append(f"{name}: is missing, and {receipt.name} was made from it")
            elif standing not in (None, recorded):
                made, of = stale.setdefault(without_seed(receipt.name), (set(), set()))
                made.update(receipt.outputs)
                of.add(name)
    for results, origins in stale.values():
        found.unfit |= results
        more = f" and {len(origins) - 1} more" if len(origins) > 1 else ""
        found.faults.append(f"{place(sorted(results))}: made from another version of {min(origins)}{more}")
