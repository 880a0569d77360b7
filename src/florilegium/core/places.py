"""Places as they may be told to others: no folder of this machine, no password, no token."""

import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")


def shown(path: Path | str) -> str:
    """`path` relative to the working directory, or its name alone when it lies outside."""
    resolved, here = Path(path).absolute(), Path.cwd()
    return resolved.relative_to(here).as_posix() if resolved.is_relative_to(here) else resolved.name


def disclosed(value: Any) -> Any:
    """JSON values with every text in them that is a place made fit to be told.

    An address loses its user, password and query, where tokens stand; a `file://` address and an
    absolute path become what `shown` makes of them. All else stays as it is.
    """
    if isinstance(value, Mapping):
        return {key: disclosed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [disclosed(item) for item in value]
    return _place(value) if isinstance(value, str) else value


def _place(text: str) -> str:
    if ADDRESS.fullmatch(text):
        parts = urllib.parse.urlsplit(text)
        if parts.scheme == "file":
            return _local(urllib.parse.unquote(parts.path))
        host = parts.netloc.rpartition("@")[2]
        return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))
    return _local(text) if _is_absolute(text) else text


def _is_absolute(text: str) -> bool:
    return PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()


def _local(text: str) -> str:
    return shown(text) if Path(text).is_absolute() else PureWindowsPath(text).name
