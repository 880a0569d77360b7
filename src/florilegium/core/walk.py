"""The one walk of folders: what lies below a folder that a person gives, and what is left out of it, and why.

Links to folders and files are followed, as torchvision's ImageFolder does. What is hidden, or a system's or a program's
litter, is passed over: no room sees it, and it re-runs nothing. The folder itself may be hidden.
"""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from florilegium.core.errors import UserError
from florilegium.core.outputs import AUDIT, AUDIT_PAGE, AUDIT_TABLES

FILE, FOLDER = "file", "folder"
HIDDEN, BROKEN, NO_FILE = "hidden", "broken link", "socket, pipe or device"
BACKUP, AUDITED = "backup of an editor", "written by an audit"
# What systems, network disks and programs leave in folders of pictures, in lower case. Names that begin with a dot are
# hidden anyway.
LITTER = {
    *("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini"),
    *("zbthumbnail.info", "pspbrwse.jbf", "$recycle.bin", "recycler", "system volume information", "lost+found"),
    *("__macosx", "icon\r", "network trash folder", "temporary items", "desktop db", "desktop df"),
    *("@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "__pycache__"),
}
MARK = ":zone.identifier"  # ends the name beside a file that Windows took from a network, as Linux sees it
COPY = re.compile(r".*~|~\$.*|#.*#", re.DOTALL)
AUDIT_FILES = {*AUDIT, *AUDIT_PAGE, *AUDIT_TABLES}  # where the tables are, these belong to no data set
MOST_VISITS = 10_000  # of one folder, by different links

Identity = tuple[int, int]  # device and inode


@dataclass(frozen=True)
class Walk:
    """The files below a folder."""

    files: list[str]
    """Paths in the folder, with `/`, sorted as text."""
    left_out: dict[str, list[str]]
    """Paths of what was passed over, sorted, by the reason; a folder stands for all that it holds."""


@dataclass(frozen=True)
class _Folder:
    """A folder on the way; `above` are those that it was reached through, and those that the root lies in."""

    path: str
    prefix: str  # of the paths of its files
    identity: Identity
    above: frozenset[Identity]


def walk(root: Path) -> Walk:
    """Everything below `root`.

    Raises:
        UserError: there is no such folder, a folder cannot be read, or links lead in a circle.
    """
    if not root.is_dir():
        what = "is a file; give its folder" if root.exists() else "there is no such folder; mend the path"
        raise UserError(f"{root}: {what}")
    roots = frozenset(_identity(os.fspath(folder)) for folder in root.resolve().parents)
    visits: Counter[Identity] = Counter()
    files: list[str] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    waiting = [_Folder(os.fspath(root), "", _identity(os.fspath(root)), roots)]
    while waiting:
        folder = waiting.pop()
        visits[folder.identity] += 1
        if visits[folder.identity] > MOST_VISITS:
            raise UserError(
                f"{folder.path}: more than {MOST_VISITS} links lead to this one folder; keep one of them, or copy it"
            )
        entries, chain = _entries(folder.path), folder.above | {folder.identity}
        audited = {entry.name for entry in entries}.issuperset(AUDIT_TABLES)
        for entry in entries:
            path = folder.prefix + entry.name
            kind = AUDITED if audited and entry.name in AUDIT_FILES else _kind(entry)
            if kind == FILE:
                files.append(path)
            elif kind == FOLDER:
                inner = _Folder(entry.path, f"{path}/", _identity(entry.path), chain)
                if entry.is_symlink() and inner.identity in chain:
                    raise UserError(
                        f"{inner.path}: this link leads to a folder that it lies in, without an end; remove the link"
                    )
                waiting.append(inner)
            else:
                left_out[kind].append(path)
    return Walk(sorted(files), {reason: sorted(left_out[reason]) for reason in sorted(left_out)})


def told(left_out: Mapping[str, Sequence[str]]) -> str:
    """One sentence that counts what was left out and gives an example of each kind; empty where nothing was."""
    count = sum(map(len, left_out.values()))
    if not count:
        return ""
    most_first = sorted(left_out.items(), key=lambda item: (-len(item[1]), item[0]))
    kinds = ", ".join(f"{len(paths)} {reason} ({paths[0]})" for reason, paths in most_first if paths)
    return f"{count} {'file is' if count == 1 else 'files are'} left out: {kinds}"


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            return list(found)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: OSError) -> UserError:
    why = f"this folder cannot be read ({error.strerror})"
    return UserError(f"{path}: {why}; give yourself the right to read it, or move it away")


def _kind(entry: os.DirEntry[str]) -> str:
    """FOLDER, FILE, or the reason to leave the entry out."""
    name = entry.name.lower()
    if name.startswith(".") or name in LITTER or name.endswith(MARK):
        return HIDDEN
    try:
        if entry.is_dir():
            return FOLDER
        if entry.is_file():
            return BACKUP if COPY.fullmatch(name) else FILE
        entry.stat()
    except OSError:  # nothing is there, or it is a link to itself, or to where nobody may look
        return BROKEN
    return NO_FILE


def _identity(path: str) -> Identity:
    try:
        status = Path(path).stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    return status.st_dev, status.st_ino
