"""Folders and files of a person's own that a plan reads: whether they are there, before anything runs.

Their content is checked by the first stage. Data sets and weights that no experiment uses are not looked for.
"""

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from florilegium.config.datasets import Dataset, DatasetOverride, LocalFile
from florilegium.core.errors import Mistakes, UserError
from florilegium.core.files import local_path
from florilegium.core.walk import walk
from florilegium.plan.plan import Plan

Where = Callable[[Sequence[Any]], str]
"""From the keys of a setting to the file that sets it."""


def check_sources(plan: Plan, where: Where) -> None:
    """Raise `UserError` or `UserErrors` for a missing or empty folder, a missing file, or one of the wrong kind.

    Paths are relative to the folder in which the workflow runs, the present one.
    """
    mistakes = Mistakes()
    for name in _used(plan):
        with mistakes.caught():
            _check_folder(plan.datasets[name], _place(plan, name, where))
    for name in _used(plan):
        published = {remote.file for remote in plan.datasets[name].files}
        if override := plan.settings.datasets.get(name):
            with mistakes.caught():
                _check_override(override, published, ("datasets", name), where)
    for name in plan.weights():
        if override := plan.settings.weights.get(name):
            if override.file is not None:
                with mistakes.caught():
                    path = ("weights", name, "file")
                    check_file(override.file, f"{where(path)}: {'.'.join(path)}")
            with mistakes.caught():
                _check_override(override, set(override.files), ("weights", name), where)
    for e in plan.experiments:
        if e.init and e.init.file:
            with mistakes.caught():
                check_file(e.init.file, e.place("init.file"))
    mistakes.refuse()


def _check_override(override: DatasetOverride, known: Collection[str], keys: Sequence[str], where: Where) -> None:
    """Raise `UserError` or `UserErrors` for local files, of those `known`, that are not there."""
    mistakes = Mistakes()
    for file, own in override.files.items():
        if file in known and isinstance(own, LocalFile):
            with mistakes.caught():
                path = (*keys, "files", file)
                check_file(own.path, f"{where(path)}: {'.'.join(path)}.path")
    mistakes.refuse()


def _used(plan: Plan) -> list[str]:
    """The data sets that the experiments read, each once."""
    return list(dict.fromkeys(plan.source(name)[0] for pair in plan.audits() for name in pair))


def _place(plan: Plan, name: str, where: Where) -> str:
    """Where a data set's folder is said."""
    if name in plan.settings.own_datasets:
        return f"{where(('own_datasets', name, 'folder'))}: own_datasets.{name}"
    return f"workflow/datasets.yaml: {name}"


def check_file(text: str, where: str) -> None:
    """Raise `UserError`, which starts with `where`, unless the path, or the address file://, is that of a file."""
    path = local_path(text)
    start = f"{where} = {text}"
    if not text.strip():
        raise UserError(f"{where}: is empty; give the path of a file")
    if "://" in text and not text.lower().startswith("file://"):
        raise UserError(f"{start}: is an address, and this is a path; give a file on this machine")
    if problem := _problem(path):
        raise UserError(f"{start}: {problem}; mend the path")
    if path.is_dir():
        raise UserError(f"{start}: is a folder; give the file in it")
    if not os.access(path, os.R_OK):
        raise UserError(f"{start}: may not be read; give yourself the permission (chmod u+r)")
    if path.is_file() and path.stat().st_size == 0:
        raise UserError(f"{start}: is empty; fetch or save it again")


def _check_folder(dataset: Dataset, where: str) -> None:
    """Raise `UserError`, which starts with `where`, unless a data set's own folder holds something that can be read."""
    if dataset.folder is None:
        return
    folder, start = Path(dataset.folder).expanduser(), f"{where}.folder = {dataset.folder}"
    if problem := _problem(folder):
        raise UserError(f"{start}: {problem.replace('file', 'folder')}; mend the path")
    if not folder.is_dir():
        kind = (
            "an archive: give it under files, with its path at urls" if _is_packed(folder) else "a file; give a folder"
        )
        raise UserError(f"{start}: is {kind}")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UserError(f"{start}: may not be read; give yourself the permission (chmod u+rx)")
    try:
        files = walk(folder).files
    except UserError as error:
        raise UserError(f"{start}: {error}") from None
    if not files:
        raise UserError(f"{start}: holds no file; put the images there, or mend the path")
    for split, path in (dataset.annotations or {}).items():
        check_file(str(folder / path), f"{where}.annotations.{split}")


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() in (".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".rar", ".7z")


def _problem(path: Path) -> str:
    """What keeps a path from being looked at; empty if nothing does."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "is a link to nothing" if path.is_symlink() else "there is no such file"
    except PermissionError:
        return "lies in a folder that may not be read"
    except (OSError, ValueError) as error:  # a circle of links, a name too long, a NUL
        return f"cannot be looked at ({getattr(error, 'strerror', None) or error})"
    return ""
