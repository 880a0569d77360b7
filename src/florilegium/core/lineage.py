"""Lineage: receipts followed from a result back to the archives that it was made from, as a tree."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.core.errors import UserError, unknown
from florilegium.core.files import digest_if_readable, digests
from florilegium.core.outputs import RECEIPT
from florilegium.core.receipts import read_receipt

PLACES = ("results", "resources")
SEED = re.compile(r"/seed(\d+)/")


@dataclass(frozen=True, eq=False)
class Receipt:
    """A receipt and its name. A ledger reads each once, so that the same receipt is the same object."""

    name: str
    facts: dict[str, Any]

    @property
    def inputs(self) -> dict[str, str]:
        """The recorded sha256 of each input, by name."""
        return {name: entry["sha256"] for name, entry in self.facts["inputs"].items()}

    @property
    def outputs(self) -> dict[str, str]:
        """The recorded sha256 of each output, by name."""
        return {name: entry["sha256"] for name, entry in self.facts["outputs"].items()}


class Ledger:
    """The receipts and files of one project folder; each is read once.

    Attributes:
        unreadable: names of the receipts that could not be read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unreadable: list[str] = []
        self._folders: dict[str, list[Receipt]] = {}
        self._digests: dict[str, str | None] = {}

    def maker(self, name: str) -> Receipt | None:
        """The receipt that lists a file among its outputs, or the receipt that the file is."""
        folder = name
        while folder := folder.rpartition("/")[0]:
            for receipt in self._inside(folder):
                if name == receipt.name or name in receipt.facts["outputs"]:
                    return receipt
        return None

    def below(self, folder: str) -> Iterator[str]:
        """Every file below a folder, but for hidden ones."""
        for place, folders, files in os.walk(self.root / folder):
            folders.sort()
            for file in sorted(files):
                if not file.startswith("."):
                    yield (Path(place) / file).relative_to(self.root).as_posix()

    def digest(self, name: str) -> str | None:
        """The present sha256 of a file; None if it does not exist, or cannot be read."""
        if name not in self._digests:
            self._digests[name] = digest_if_readable(self.root / name)
        return self._digests[name]

    def hash(self, names: Iterable[str]) -> None:
        """Hash files that `digest` will be asked for, several at once, with a progress bar."""
        new = sorted(set(names) - self._digests.keys())
        self._digests |= zip(new, digests([self.root / name for name in new], "hashing"), strict=True)

    def exists(self, name: str) -> bool:
        """True for a file or folder that is there; False for a name that no system takes, too."""
        with suppress(OSError, ValueError):
            return (self.root / name).exists()
        return False

    def is_outside(self, name: str) -> bool:
        """True for a file outside the project, whose folder receipts do not record."""
        return "/" not in name and not self.exists(name)

    def _inside(self, folder: str) -> list[Receipt]:
        """The receipts in a folder, but for those that were copied into it."""
        if folder not in self._folders:
            receipts = map(self._read, sorted((self.root / folder).glob(f"*{RECEIPT}")))
            self._folders[folder] = [receipt for receipt in receipts if receipt and not _is_copied(receipt)]
        return self._folders[folder]

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


def _is_copied(receipt: Receipt) -> bool:
    """True if all outputs of a receipt lie outside its own folder."""
    folders = [name.rpartition("/")[0] for name in receipt.outputs]
    home = receipt.name.rpartition("/")[0]
    return bool(folders) and all(folder and not f"{folder}/".startswith(f"{home}/") for folder in folders)


def open_ledger(path: Path) -> tuple[Ledger, str]:
    """The ledger of the project that a file or folder belongs to, and the name of the file or folder there.

    The project's folder is the working directory, or the folder above the nearest `results` or `resources`.

    Raises:
        UserError: there is no such file or folder.
    """
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder; give one below results/ or resources/")
    whole, here = path.absolute(), Path.cwd()
    above = (p.parent for p in (whole, *whole.parents) if p.name in PLACES)
    is_local = whole.is_relative_to(here) and whole.relative_to(here).parts[:1] in [(place,) for place in PLACES]
    root = here if is_local else next(above, here)
    if not whole.is_relative_to(root):
        raise UserError(f"{path}: is neither below results/ nor below resources/, where receipts are")
    return Ledger(root), whole.relative_to(root).as_posix()


def in_one_line(files: list[str]) -> str:
    """Files of one folder, or of the folders of several seeds."""
    if len(files) == 1:
        return files[0]
    names = ", ".join(sorted({name.rpartition("/")[2] for name in files}))
    seeds = sorted({int(match[1]) for name in files if (match := SEED.search(name))})
    if len(seeds) < 2:
        return f"{min(name.rpartition('/')[0] for name in files)}: {names}"
    return f"{folder_of(files[0])}, seeds {', '.join(map(str, seeds))}: {names}"


def folder_of(name: str) -> str:
    """The folder of a file; for a file of a run, the folder of its arm."""
    return SEED.sub("/", name).rpartition("/")[0]


# The tree of origins

# The values of a spec that the tree shows, and their labels. A stage has some of these keys.
LABELS = {
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
        row: `experiment/arm` of a comparison, to show only its runs and those of its baseline.

    Raises:
        UserError: no receipt names the file, or there is no such row.
    """
    receipt = ledger.maker(name)
    if receipt is None:
        raise UserError(f"{name}: no receipt names this file, so nothing is known of how it was made")
    now = ledger.digest(name)
    recorded = receipt.outputs.get(name, now)
    fault = f"this is not the file that was made: its sha256 is {now}, the receipt says {recorded}"
    tree = _Tree(ledger)
    tree.add([receipt], [name], "", [fault] if now != recorded else [], _arms_of(receipt, row) if row else None)
    return tree.lines


def _arms_of(receipt: Receipt, row: str) -> tuple[str, ...]:
    """The ends of the folders of the arm `row` and of its baseline."""
    spec = receipt.facts["spec"]
    entries = spec.get("entries") if isinstance(spec, dict) and receipt.facts["stage"] == "compare" else None
    if not entries:
        raise UserError(f"{receipt.name}: is no receipt of a comparison, so there is no row {row} in it")
    baselines = {f"{entry['experiment']}/{entry['arm']}": entry["baseline"] for entry in entries}
    if row not in baselines:
        raise unknown("row", row, baselines, receipt.name)
    baseline = baselines[row]
    return (f"/{row}", *([f"/{baseline['experiment']}/{baseline['arm']}"] if baseline else []))


class _Tree:
    """The lines of a tree; a receipt, a commit and a version are described where they first appear."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.lines: list[str] = []
        self._described: set[Receipt] = set()
        self._values: dict[str, str] = {}

    def add(
        self,
        receipts: list[Receipt],
        files: list[str],
        indent: str,
        faults: list[str],
        arms: tuple[str, ...] | None = None,
    ) -> None:
        """Add files of receipts that differ by seed alone, and the inputs that they were made from.

        Args:
            arms: ends of the folders of arms; of runs, only the inputs from these.
        """
        is_above = self._described.issuperset(receipts)
        self.lines.append(f"{indent}{in_one_line(files)}{', see above' if is_above else ''}")
        self.lines += [f"{indent}{STEP * 2}! {fault}" for fault in faults]
        if is_above:
            return
        self._described.update(receipts)
        self.lines += [f"{indent}{STEP * 2}{line}" for line in self._facts([receipt.facts for receipt in receipts])]
        inputs = defaultdict(set)
        for receipt in receipts:
            for name, recorded in receipt.inputs.items():
                if arms is None or not SEED.search(name) or folder_of(name).endswith(arms):
                    inputs[name].add(recorded)
        self._add_inputs(inputs, indent + STEP)

    def _add_inputs(self, recorded: dict[str, set[str]], indent: str) -> None:
        """Add inputs, grouped by their receipts; then those that no receipt names."""
        groups: dict[str, tuple[dict[Receipt, None], list[str]]] = {}
        others = []
        for name in sorted(recorded):
            maker = self.ledger.maker(name)
            if maker is None:
                others.append(f"{indent}{name} ({self._unnamed(name, recorded[name])})")
            elif not name.endswith(RECEIPT):
                makers, files = groups.setdefault(SEED.sub("/", maker.name), ({}, []))
                makers[maker] = None
                files.append(name)
        for makers, files in groups.values():
            outputs = {name: entry for maker in makers for name, entry in maker.outputs.items()}
            missing = [name for name in files if not self.ledger.exists(name)]
            changed = [name for name in files if recorded[name] != {outputs[name]}]
            faults = [f"missing now: {in_one_line(missing)}"] if missing else []
            faults += [f"another version of it was used then: {in_one_line(changed)}"] if changed else []
            self.add(list(makers), files, indent, faults)
        self.lines += others

    def _unnamed(self, name: str, recorded: set[str]) -> str:
        """The state of an input that no receipt names."""
        if self.ledger.is_outside(name):
            return "from outside the project's folder"
        now = self.ledger.digest(name)
        if now is None:
            return "missing, in no receipt"
        return "in no receipt" if recorded == {now} else "in no receipt, another version then"

    def _facts(self, facts: list[dict[str, Any]]) -> Iterator[str]:
        """Stage, spec, time and code; commit and versions as far as they differ from those above."""
        values = _joined((", ".join(_labelled(f["spec"])) for f in facts), " or ")
        yield f"{facts[0]['stage']}: {values}" if values else str(facts[0]["stage"])
        device = f" on {_joined(f['device'] for f in facts)}" if "device" in facts[0] else ""
        yield f"{sum(f['seconds'] for f in facts):,.1f} s{device}, code {_joined(f['code'] for f in facts)}"
        packages = sorted({name for f in facts for name in f["versions"]})
        versions = {name: _joined(str(f["versions"].get(name, "absent")) for f in facts) for name in packages}
        current = {"commit": _joined(_commit(f["git"]) for f in facts), **versions}
        changed = [f"{key} {value}" for key, value in current.items() if self._values.get(key) != value]
        self._values = current | self._values
        if changed:
            yield ", ".join(changed)
        for origin in facts[0].get("origin", ()):
            size = f"{origin['bytes']:,} bytes, sha256 {origin['sha256'][:16]}"
            yield f"from {origin['file']} ({size}) of {origin['from']}"


def _labelled(spec: Any) -> Iterator[str]:
    """The values of a spec that distinguish results, with their labels."""
    for key, label in LABELS.items():
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
