"""Where a file comes from, down to the archives, as a short tree for people.

Runs that differ in their seed alone stand in one place. What is the same throughout (the commit, the
versions) is said where it is first met, and again only where it differs.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from florilegium.core.errors import UserError, unknown
from florilegium.core.lineage import SEED, SUFFIX, Ledger, Receipt, place, without_seed

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
        self,
        receipts: list[Receipt],
        files: list[str],
        indent: str,
        faults: list[str],
        arms: list[str] | None = None,
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
