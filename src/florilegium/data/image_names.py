"""Image files by the names that annotation files give them.

A `file_name` may hold backslashes, folders that are there or not, `./`, an absolute path of the machine where the
pictures were annotated, or percent signs of an address; umlauts may be written as one character or as two.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from operator import itemgetter
from pathlib import PurePosixPath
from urllib.parse import unquote

from florilegium.core.errors import UserError
from florilegium.core.names import spelt
from florilegium.core.system import say
from florilegium.data.splits import split_called

Parts = tuple[str, ...]
DRIVE = re.compile(r"^(?:[a-z][a-z0-9+.-]+://[^/]*|[A-Za-z]:)(?=/)")  # of Windows, or the host of an address

QUERY = re.compile(r"[?#].*", re.DOTALL)  # of an address


class ImageNames:
    """The image files of a data set, to be found by the names in one annotation file."""

    def __init__(self, images: Iterable[str], source: str, split: str | None = None, where: str | None = None) -> None:
        """`images` are paths below the data set's folder, as is `source`, the annotation file of `split`. Sentences
        begin with `where`, or else with `source`."""
        self.source, self.split, self.where = source, split, where or source
        self.paths: dict[Parts, list[str]] = defaultdict(list)  # by their parts, composed
        for path in images:
            self.paths[PurePosixPath(spelt(path)).parts].append(path)
        self.folders = {part for parts in self.paths for part in parts[:-1]}
        self.backwards = sorted(parts[::-1] for parts in self.paths)  # those of one end follow one another
        self.by_end: list[tuple[str, str]] = []  # names whose first folders are not there, and their images

    def find(self, file_name: str) -> str | None:
        """The path of the image file that `file_name` means; None without any.

        It is the file whose path ends with the name, or else with as much of it as the data set's folders allow: first
        folders that are not there are left out, as those of another machine. Of several it is the one beside the
        annotation file, or in a folder named like the split or that file.

        Raises:
            UserError: that leaves several.
        """
        for form in _forms(file_name):
            parts = _parts(form)
            length, found = self._longest(parts) if parts else (0, [])
            if found:
                path = self._one(file_name, parts[-length:], found)
                if length < len(parts):
                    self.by_end.append((file_name, path))
                return path
        return None

    def tell(self) -> None:
        """Say how many images were found by the ends of their names alone."""
        if self.by_end:
            name, path = self.by_end[0]
            count = f"{len(self.by_end)} images were found by the end of their file_name"
            say(f"{self.where}: {count}, whose first folders are not here (first '{name}', as {path})")

    def _longest(self, parts: Parts) -> tuple[int, list[Parts]]:
        """The length of the longest end that a name shares with files, and these files."""
        name = parts[::-1]
        for length in range(len(name), 0, -1):
            end = name[:length]
            first = bisect_left(self.backwards, end)
            last = bisect_right(self.backwards, end, first, key=itemgetter(slice(length)))
            if first < last:
                dropped, files = parts[:-length], [file[::-1] for file in self.backwards[first:last]]
                return length, [file for file in files if not self._contradicts(dropped, file[:-length])]
        return 0, []

    def _contradicts(self, dropped: Parts, above: Parts) -> bool:
        """True if a folder that was left out of the name is one of the data set, or of a split, and the file's own
        folders are others."""
        if any(part in self.folders and part not in above for part in dropped):
            return True
        named, own = ({split for part in of if (split := split_called(part))} for of in (dropped, above))
        return bool(named and own and named.isdisjoint(own))

    def _one(self, file_name: str, end: Parts, files: list[Parts]) -> str:
        if len(files) > 1:
            source = PurePosixPath(spelt(self.source))
            beside = [file for file in files if file == (*source.parent.parts, *end)]
            alike = [file for file in files if {self.split, source.stem} & set(file[:-1])]
            of_split = [file for file in files if self.split and self.split in map(split_called, file[:-1])]
            files = beside or alike or of_split or files
        paths = [path for file in files for path in self.paths[file]]
        exact = [path for path in paths if path.endswith(file_name)] if len(files) == 1 else []
        paths = exact or paths
        if len(paths) > 1:
            first, second = paths[:2]
            raise UserError(f"{self.where}: '{file_name}' may be {first} or {second}; name its folder in file_name")
        return paths[0]


def _forms(file_name: str) -> list[str]:
    """The texts that a `file_name` may stand for: itself, an address without its query, percent signs read."""
    plain = QUERY.sub("", file_name) if "://" in file_name else file_name
    return list(dict.fromkeys((file_name, plain, unquote(plain))))


def _parts(file_name: str) -> Parts:
    """The folders and the name in a `file_name`, without what is no folder of a data set."""
    text = spelt(file_name).replace("\\", "/")
    parts: list[str] = []
    for part in DRIVE.sub("", text).split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)
