"""Lineage: receipts followed from a result back to the archives that it was made from."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from florilegium.core.errors import UserError, unknown
from florilegium.core.files import digest
from florilegium.core.receipts import read_receipt
from florilegium.core.system import bar

PLACES = ("results", "resources")
SUFFIX = "receipt.json"
SEED = re.compile(r"/seed(\d+)/")
KEYS = {"stage", "spec", "code", "seconds"}


@dataclass(frozen=True, eq=False)
class Receipt:
    """A receipt and its name. A ledger reads each once, so that the same receipt is the same object."""

    name: str
    facts: dict[str, Any]

    @property
    def stage(self) -> str:
        return str(self.facts["stage"])

    @property
    def inputs(self) -> dict[str, str]:
        """The sha256 of what was read, by name."""
        return {name: entry["sha256"] for name, entry in self.facts["inputs"].items()}

    @property
    def outputs(self) -> dict[str, str]:
        """The sha256 of what was made, by name."""
        return {name: entry["sha256"] for name, entry in self.facts["outputs"].items()}


class Ledger:
    """The receipts and files of one project folder; each is read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unreadable: list[str] = []
        self._folders: dict[str, list[Receipt]] = {}
        self._digests: dict[str, str | None] = {}

    def maker(self, name: str) -> Receipt | None:
        """The receipt that names a file among its outputs, or that the file is."""
        folder = name
        while folder := folder.rpartition("/")[0]:
            for receipt in self._inside(folder):
                if name == receipt.name or name in receipt.facts["outputs"]:
                    return receipt
        return None

    def _inside(self, folder: str) -> list[Receipt]:
        """The receipts in a folder, without those that were copied into it."""
        if folder not in self._folders:
            paths = sorted((self.root / folder).glob(f"*{SUFFIX}"))
            found = [receipt for path in paths if (receipt := self._read(path)) is not None]
            self._folders[folder] = [receipt for receipt in found if not _copied(receipt)]
        return self._folders[folder]

    def below(self, folder: str) -> Iterator[str]:
        """Every file below a folder, hidden ones left out."""
        for place, folders, files in os.walk(self.root / folder):
            folders.sort()
            for file in sorted(files):
                if not file.startswith("."):
                    yield (Path(place) / file).relative_to(self.root).as_posix()

    def digest(self, name: str) -> str | None:
        """The sha256 of a file as it is now; None when there is none."""
        if name not in self._digests:
            path = self.root / name
            self._digests[name] = digest(path) if path.is_file() else None
        return self._digests[name]

    def outside(self, name: str) -> bool:
        """Whether a name is that of a file elsewhere, of which a receipt keeps no folder."""
        return "/" not in name and not (self.root / name).exists()

    def _read(self, path: Path) -> Receipt | None:
        name = path.relative_to(self.root).as_posix()
        try:
            receipt = Receipt(name, read_receipt(path))
            if all(isinstance(part, dict) for part in (receipt.inputs, receipt.outputs, receipt.facts["git"])):
                return receipt
        except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError):
            pass
        self.unreadable.append(name)
        return None


def _copied(receipt: Receipt) -> bool:
    """Whether all that a receipt names lies in other folders than its own."""
    folders = [name.rpartition("/")[0] for name in receipt.outputs]
    home = receipt.name.rpartition("/")[0]
    return bool(folders) and all(folder and not f"{folder}/".startswith(f"{home}/") for folder in folders)


def open_ledger(path: Path) -> tuple[Ledger, str]:
    """The project folder that a file or folder belongs to, and its name there.

    That is the working directory, or the folder above the nearest `results` or `resources`.

    Raises:
        UserError: there is no such file or folder.
    """
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder; give one below results/ or resources/")
    whole, here = path.absolute(), Path.cwd()
    above = (p.parent for p in (whole, *whole.parents) if p.name in PLACES)
    local = whole.is_relative_to(here) and whole.relative_to(here).parts[:1] in [(kind,) for kind in PLACES]
    root = here if local else next(above, here)
    if not whole.is_relative_to(root):
        raise UserError(f"{path}: is neither below results/ nor below resources/, where receipts are")
    return Ledger(root), whole.relative_to(root).as_posix()


def place(files: list[str]) -> str:
    """Files of one folder in one line, or of the folders of several seeds."""
    if len(files) == 1:
        return files[0]
    folders = sorted({name.rpartition("/")[0] for name in files})
    names = ", ".join(sorted({name.rpartition("/")[2] for name in files}))
    seeds = sorted({int(found[1]) for name in files if (found := SEED.search(name))})
    if len(seeds) < 2:
        return f"{folders[0]}: {names}"
    return f"{without_seed(files[0])}, seeds {', '.join(map(str, seeds))}: {names}"


def without_seed(name: str) -> str:
    """The folder of a file; of a run's file, the folder of its arm."""
    return SEED.sub("/", name).rpartition("/")[0]


# What is told of a spec: its key, and what people call it. A stage has the keys that it has.
TOLD = {
    "preset": "preset",
    "study": "study",
    "data.dataset": "data",
    "model.name": "model",
    "model": "model",
    "init.experiment": "starting from",
    "init.weights": "starting from",
    "recipe.optimizer": "optimizer",
    "recipe.lr": "lr",
    "recipe.epochs": "epochs",
    "recipe.batch_size": "batch size",
    "dataset.layout": "layout",
    "layout": "layout",
    "split": "official split",
    "dataset.rendered.scene": "rendered",
    "dataset.rendered.seed": "seed",
    "audit.radius": "radius",
    "audit.pixel_threshold": "pixel threshold",
}
STEP = "  "


def origins(ledger: Ledger, name: str, row: str | None = None) -> list[str]:
    """The lines of the tree whose root is the file `name`.

    Args:
        row: `experiment/arm` of a comparison: only the runs behind it and behind its baseline.

    Raises:
        UserError: no receipt names the file, or there is no such row.
    """
    receipt = ledger.maker(name)
    if receipt is None:
        raise UserError(f"{name}: no receipt names this file, so nothing is known of how it was made")
    tree = _Tree(ledger)
    now = ledger.digest(name)
    recorded = receipt.outputs.get(name, now)
    fault = f"this is not the file that was made: its sha256 is {now}, the receipt says {recorded}"
    faults = [fault] if now != recorded else []
    tree.group([receipt], [name], "", faults, _behind(receipt, row) if row else None)
    return tree.lines


def _behind(receipt: Receipt, row: str) -> list[str]:
    """The ends of the folders of the arm `row` and of its baseline."""
    entries = receipt.facts["spec"].get("entries") if isinstance(receipt.facts["spec"], dict) else None
    if receipt.stage != "compare" or not entries:
        raise UserError(f"{receipt.name}: is no receipt of a comparison, so there is no row {row} in it")
    arms = {f"{entry['experiment']}/{entry['arm']}": entry["baseline"] for entry in entries}
    if row not in arms:
        raise unknown("row", row, arms, receipt.name)
    baseline = arms[row]
    return [f"/{row}", *([f"/{baseline['experiment']}/{baseline['arm']}"] if baseline else [])]


class _Tree:
    """Lines in the making, and what they have said so far."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.lines: list[str] = []
        self.shown: set[Receipt] = set()
        self.said: dict[str, str] = {}

    def group(
        self, receipts: list[Receipt], files: list[str], indent: str, faults: list[str], arms: list[str] | None = None
    ) -> None:
        """Receipts that differ in the seed alone, the files of them that were used, and their inputs."""
        above = self.shown.issuperset(receipts)
        self.lines.append(f"{indent}{place(files)}{', see above' if above else ''}")
        self.lines += [f"{indent}{STEP * 2}! {fault}" for fault in faults]
        if above:
            return
        self.shown.update(receipts)
        self.lines += [f"{indent}{STEP * 2}{line}" for line in self.facts(receipts)]
        inputs: dict[str, set[str]] = {}
        for receipt in receipts:
            for name, recorded in receipt.inputs.items():
                inputs.setdefault(name, set()).add(recorded)
        if arms is not None:
            inputs = {name: recorded for name, recorded in inputs.items() if _of(name, arms)}
        self.inputs(inputs, indent + STEP)

    def facts(self, receipts: list[Receipt]) -> Iterator[str]:
        """Stage, spec and seconds; code, commit and versions as far as they were not said before."""
        facts = [receipt.facts for receipt in receipts]
        brief = _joined((", ".join(_brief(f["spec"])) for f in facts), " or ")
        yield f"{receipts[0].stage}: {brief}" if brief else receipts[0].stage
        seconds = sum(f["seconds"] for f in facts)
        device = f" on {_joined(f['device'] for f in facts)}" if "device" in facts[0] else ""
        yield f"{seconds:,.1f} s{device}, code {_joined(f['code'] for f in facts)}"
        if news := self.news(facts):
            yield news
        for origin in facts[0].get("origin", ()):
            size = f"{origin['bytes']:,} bytes, sha256 {origin['sha256'][:16]}"
            yield f"from {origin['file']} ({size}) of {origin['from']}"

    def news(self, facts: list[dict[str, Any]]) -> str:
        """Commit and versions where they are new, or others than those said first."""
        before = set(self.said)
        commits = _joined(_commit(f["git"]) for f in facts)
        packages = {name for f in facts for name in f["versions"]}
        found = {"commit": commits}
        found |= {p: _joined(str(f["versions"].get(p, "absent")) for f in facts) for p in sorted(packages)}
        fresh = {key for key, value in found.items() if self.said.setdefault(key, value) != value}
        fresh |= found.keys() - before
        return ", ".join(f"{key} {value}" for key, value in found.items() if key in fresh)

    def inputs(self, recorded: dict[str, set[str]], indent: str) -> None:
        """The inputs, by what made them; then those that no receipt names."""
        groups: dict[str, tuple[list[Receipt], list[str]]] = {}
        others = []
        for name in sorted(recorded):
            maker = self.ledger.maker(name)
            if maker is None:
                others.append(name)
            elif not name.endswith(SUFFIX):
                receipts, files = groups.setdefault(SEED.sub("/", maker.name), ([], []))
                receipts += [maker] if maker not in receipts else []
                files.append(name)
        for receipts, files in groups.values():
            made = {name: entry for receipt in receipts for name, entry in receipt.outputs.items()}
            absent = [name for name in files if not (self.ledger.root / name).is_file()]
            anew = [name for name in files if recorded[name] != {made[name]}]
            faults = [f"missing now: {place(absent)}"] if absent else []
            faults += [f"another version of it was used then: {place(anew)}"] if anew else []
            self.group(receipts, files, indent, faults)
        self.lines += [f"{indent}{name} ({self.unmade(name, recorded[name])})" for name in others]

    def unmade(self, name: str, recorded: set[str]) -> str:
        """What is known of an input that no receipt names."""
        if self.ledger.outside(name):
            return "from outside the project's folder"
        now = self.ledger.digest(name)
        if now is None:
            return "missing, in no receipt"
        return "in no receipt" if recorded == {now} else "in no receipt, another version then"


def _of(name: str, arms: list[str]) -> bool:
    """Whether a file belongs to a run of one of the arms, or to no run."""
    return not SEED.search(name) or without_seed(name).endswith(tuple(arms))


def _brief(spec: Any) -> Iterator[str]:
    """The few values of a spec that tell one result from another."""
    for key, label in TOLD.items():
        value = spec
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, dict | list):
            yield f"{label} {value}"


def _commit(git: dict[str, Any]) -> str:
    if git["commit"] is None:
        return "unknown (no repository)"
    return f"{git['commit'][:12]}{' (edited since)' if git['dirty'] else ''}"


def _joined(values: Iterable[str], by: str = " and ") -> str:
    return by.join(dict.fromkeys(values))


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
        raise UserError(f"{start}: there is no receipt for it; give a file or folder that the workflow has made")
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
