"""The pictures below a folder, the same for audit, training, prediction and evaluation; and a line on what else is
there."""

import posixpath
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from florilegium.core.names import shown
from florilegium.core.walk import told, walk
from florilegium.data.kinds import SUFFIXES, looks_like_image, unreadable_kind


@dataclass(frozen=True)
class Found:
    """What was found below a folder."""

    images: list[str]
    """Paths of pictures in the folder, sorted."""
    left_out: dict[str, list[str]]
    """Paths of all else by the reason why it was left out, such as ".txt" or "hidden"."""


def pictures_below(root: Path) -> Found:
    """The pictures below `root`; raises UserError as `walk` does."""
    walked = walk(root)
    found = sorted_out(root, walked.files)
    return Found(found.images, walked.left_out | found.left_out)


def sorted_out(root: Path, paths: Iterable[str]) -> Found:
    """Which of `paths`, files below `root`, are pictures: by their suffixes, else by their first bytes."""
    images: list[str] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths):
        if posixpath.splitext(path)[1].lower() in SUFFIXES or looks_like_image(root / path):
            images.append(path)
        else:
            left_out[_why(root / path)].append(path)
    return Found(images, dict(left_out))


def say_left_out(root: Path, left_out: Mapping[str, Sequence[str]], to: TextIO | None = None) -> None:
    """Print a line that counts and names what was left out below `root`, if anything was."""
    if line := told(left_out):
        print(shown(f"{root}: {line}"), file=to or sys.stdout, flush=True)


def _why(path: Path) -> str:
    kind = unreadable_kind(path)
    return f"{kind} that cannot be read here" if kind else path.suffix.lower() or "without a suffix"
