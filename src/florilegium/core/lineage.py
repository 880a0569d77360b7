"""Which receipt names a file, and so what made it: receipts lie beside what they name, or above it.

A receipt that names files of other folders alone was copied there, as those are that are committed with their runs; it tells
nothing of where it lies, and is a file like others. Names are paths below the project's folder, with `/`, as receipts hold them.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.core.errors import UserError
from florilegium.core.files import digest
from florilegium.core.receipts import read_receipt

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
            if all(
                isinstance(part, dict) for part in (receipt.inputs, receipt.outputs, receipt.facts["git"])
            ):
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
