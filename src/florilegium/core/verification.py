"""Verification: every file that receipts name is hashed again, down to the pictures and the archives they came in."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from florilegium.core.errors import UserError
from florilegium.core.files import is_leftover, read_json
from florilegium.core.lineage import PLACES, Ledger, Receipt, folder_of, in_one_line
from florilegium.core.local_files import recorded_paths
from florilegium.core.names import shown
from florilegium.core.outputs import RECEIPT
from florilegium.core.receipts import KEPT_SUFFIX
from florilegium.core.walk import walk

GUIDE = "results/README.md"  # explains the folder, and is no result
LISTING = "files.json"
DOWNLOADS = "resources/downloads"
STATE = "state"
NAMED = 10  # most files of one kind that are named, of one data set


@dataclass
class Findings:
    """The outcome of a verification.

    Attributes:
        files: everything that receipts name and that was hashed.
        listed: the files of data sets, and the archives and downloads that they came in.
        listings: what names these: lists of files, and receipts of downloads.
        receipts: everything that was followed.
        unfit: those of `files` and of `listed` that are not as recorded.
        faults: a sentence each.
        unnamed: files among the results that no receipt names.
        leftovers: what killed processes have left.
        absent: archives and downloads that are no longer there.
    """

    files: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    listings: set[str] = field(default_factory=set)
    receipts: list[Receipt] = field(default_factory=list)
    unfit: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def verify(ledger: Ledger, start: str) -> Findings:
    """Hash the outputs of the receipts below `start`, and all that they were made from, down to pictures and archives.

    Raises:
        UserError: no receipt names `start`, or there is none below it.
    """
    below = list(ledger.below(start)) if (ledger.root / start).is_dir() else [start]
    receipts = {receipt.name: receipt for name in below if (receipt := ledger.maker(name)) is not None}
    if not receipts and not ledger.unreadable:
        raise UserError(f"{start}: there is no receipt for it; give a file or folder that the workflow has made")
    findings = Findings(receipts=_with_origins(ledger, receipts.values()))
    names = {name for receipt in findings.receipts for name in (*receipt.outputs, *receipt.inputs)}
    findings.files = {name for name in names if not ledger.is_outside(name)}
    listings = list(_listings(ledger, findings.receipts))
    archives = list(_archives(ledger, findings.receipts))
    present = {f"{listing.root}/{name}" for listing in listings for name in listing.files}
    ledger.hash(findings.files | present | {archive.path for archive in archives})
    findings.faults += [f"{name}: is no receipt that can be read; make it again" for name in ledger.unreadable]
    _check_outputs(ledger, findings)
    _check_inputs(ledger, findings)
    for listing in listings:
        _check_listing(ledger, listing, findings)
    for archive in archives:
        _check_archive(ledger, archive, findings)
    if start.split("/")[0] == PLACES[0]:
        results = (name for name in below if not name.endswith((RECEIPT, GUIDE)))
        findings.unnamed = [name for name in results if ledger.maker(name) is None]
    findings.leftovers = _leftovers(ledger.root, start, findings.receipts)
    return findings


def _with_origins(ledger: Ledger, receipts: Iterable[Receipt]) -> list[Receipt]:
    """The receipts, and those of everything that they were made from."""
    followed: dict[str, Receipt] = {}
    waiting = list(receipts)
    while waiting:
        receipt = waiting.pop()
        if receipt.name not in followed:
            followed[receipt.name] = receipt
            waiting += filter(None, map(ledger.maker, receipt.inputs))
    return [followed[name] for name in sorted(followed)]


def _check_outputs(ledger: Ledger, findings: Findings) -> None:
    for receipt in findings.receipts:
        for name, recorded in receipt.outputs.items():
            now = ledger.digest(name)
            if now != recorded:
                change = _state(ledger, name)
                findings.faults.append(f"{name}: {change} since {receipt.name} was written")
                findings.unfit.add(name)


def _state(ledger: Ledger, name: str) -> str:
    if ledger.digest(name) is not None:
        return "has changed"
    return "cannot be read, and may have changed" if ledger.exists(name) else "is missing"


def _check_inputs(ledger: Ledger, findings: Findings) -> None:
    """Find missing inputs that no receipt names, and results of another version of an input."""
    stale: dict[str, tuple[set[str], set[str]]] = {}
    for receipt in findings.receipts:
        for name, recorded in receipt.inputs.items():
            maker = ledger.maker(name)
            # Of a file that its receipt names, a change is reported there, once.
            current = (maker.outputs.get(name) if maker else None) or ledger.digest(name)
            if current is None and name in findings.files - findings.unfit:
                findings.unfit.add(name)
                findings.faults.append(f"{name}: is missing, and {receipt.name} was made from it")
            elif current not in (None, recorded):
                results, changed = stale.setdefault(folder_of(receipt.name), (set(), set()))
                results.update(receipt.outputs)
                changed.add(name)
    for results, changed in stale.values():
        findings.unfit |= results
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        findings.faults.append(f"{in_one_line(sorted(results))}: made from another version of {min(changed)}{more}")


# Pictures: the files that `files.json` lists


@dataclass(frozen=True)
class _Listing:
    """A `files.json`: its name, and the sha256 of each file below `root`, relative to the project if it lies there."""

    name: str
    root: str
    files: Mapping[str, str]


def _listings(ledger: Ledger, receipts: Iterable[Receipt]) -> Iterator[_Listing]:
    for receipt in receipts:
        for name in receipt.outputs:
            if name.endswith(f"/{LISTING}"):
                try:
                    content = read_json(ledger.root / name)
                    files = {str(entry["path"]): str(entry["sha256"]) for entry in content["files"]}
                    yield _Listing(name, str(content["root"]).rstrip("/"), files)
                except (OSError, ValueError, KeyError, TypeError):
                    continue  # a change of the list itself is reported with its receipt


def _check_listing(ledger: Ledger, listing: _Listing, findings: Findings) -> None:
    """Find files of a data set that were replaced, are missing, or were added."""
    names = {name: f"{listing.root}/{name}" for name in listing.files}
    findings.listings.add(listing.name)
    findings.listed.update(names.values())
    folder = ledger.root / listing.root
    if not (ledger.exists(listing.root) and folder.is_dir()):
        findings.unfit.update(names.values())
        findings.faults.append(
            f"{listing.root}: this folder is missing, and {listing.name} lists {len(names):,} files in it"
        )
        return
    wrong = [name for name, path in names.items() if ledger.digest(path) != listing.files[name]]
    findings.unfit.update(names[name] for name in wrong)
    faults = {name: f"{_state(ledger, names[name])} since {listing.name} was written" for name in wrong}
    try:
        added = [name for name in walk(folder).files if name not in listing.files]
    except UserError as error:
        findings.faults.append(str(error))
        added = []
    findings.unfit.update(f"{listing.root}/{name}" for name in added)
    for kind in (faults, dict.fromkeys(added, f"was added since {listing.name} was written")):
        named = list(kind.items())[:NAMED]
        findings.faults += [f"{shown(f'{listing.root}/{name}')}: {fault}" for name, fault in named]
        if more := len(kind) - len(named):
            findings.faults.append(f"{listing.root}: the same of {more:,} more of its files")


# Archives and downloads: the origin of a data set or of weights


@dataclass(frozen=True)
class _Archive:
    """A published file, where it lies, and what the receipt says of it."""

    path: str
    receipt: str
    sha256: str


def _archives(ledger: Ledger, receipts: Iterable[Receipt]) -> Iterator[_Archive]:
    for receipt in receipts:
        origin = receipt.facts.get("origin")
        for entry in origin if isinstance(origin, list) else ():
            if isinstance(entry, dict) and {"file", "from", "sha256"} <= entry.keys():
                yield _Archive(_place(ledger.root, receipt, entry), receipt.name, str(entry["sha256"]))


def _place(root: Path, receipt: Receipt, entry: Mapping[str, Any]) -> str:
    """The path of a published file: a person's own, one inside the project, or a download."""
    folder, _, file = receipt.name.rpartition("/")
    is_weights = receipt.facts["stage"] == "weights"
    name = file.removesuffix(f".{RECEIPT}") if is_weights else folder.rpartition("/")[2]
    own = recorded_paths("weights" if is_weights else "datasets", name, root).get(str(entry["file"]))
    if own is not None:
        return os.fspath(own.relative_to(root) if own.is_relative_to(root) else own)
    if "/" in str(entry["from"]) and "://" not in str(entry["from"]):
        return str(entry["from"])
    return f"{DOWNLOADS}/{'weights/' if is_weights else ''}{name}/{entry['file']}"


def _check_archive(ledger: Ledger, archive: _Archive, findings: Findings) -> None:
    """Find a changed archive; one that is gone is no fault, since all that was in it is verified by itself."""
    now = ledger.digest(archive.path)
    if now is None and not ledger.exists(archive.path):
        findings.absent.append(archive.path)
        return
    findings.listings.add(archive.receipt)
    findings.listed.add(archive.path)
    if now != archive.sha256:
        findings.unfit.add(archive.path)
        findings.faults.append(
            f"{shown(archive.path)}: {_state(ledger, archive.path)} since {archive.receipt} was written"
        )


# Leftovers


def _leftovers(root: Path, start: str, receipts: Iterable[Receipt]) -> list[str]:
    """What killed processes have left below `start`, in the folders of its origins, and in the states of its runs."""
    sources = {folder for receipt in receipts if (folder := receipt.name.rpartition("/")[0]).startswith(PLACES[1])}
    inner, states = start.partition("/")[2], start.partition("/")[0] == PLACES[0]
    found = {name for name in _all_below(root, start) if is_leftover(name.rpartition("/")[2])}
    for folder in sources:
        found |= {f"{folder}/{path.name}" for path in (root / folder).iterdir() if is_leftover(path.name)}
    if states:
        found |= {name for name in _all_below(root, f"{STATE}/{inner}") if _is_state_leftover(name.rpartition("/")[2])}
    return sorted(found)


def _is_state_leftover(name: str) -> bool:
    return is_leftover(name) or name.endswith(KEPT_SUFFIX)


def _all_below(root: Path, start: str) -> Iterator[str]:
    """Every file and folder below a folder."""
    for place, folders, files in os.walk(root / start):
        for name in (*folders, *files):
            yield (Path(place) / name).relative_to(root).as_posix()
