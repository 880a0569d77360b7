"""What is committed of results: the folder that it lies in, and texts that are fit for it."""

import re
from collections.abc import Mapping
from typing import Any

from florilegium.core.places import disclosed

REFERENCE = "reference"  # the folder below results/ whose content is committed, and so the name of no preset
FOLDERS = re.compile(
    r"""(?:file://|(?<![\w./:-]))/(?:[^\s/'"`,;:()]+/)+|\b[A-Za-z]:\\(?:[^\s\\'"`,;()]+\\)*"""
)
# of an absolute path inside a sentence; of POSIX with one folder or more, of Windows with its drive


def without_folders(value: Any) -> Any:
    """JSON values as `core.places.disclosed` tells them, and of each absolute path inside a sentence its name alone."""
    if isinstance(value, Mapping):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(item) for item in value]
    return FOLDERS.sub("", disclosed(value)) if isinstance(value, str) else value
