"""The pictures of a folder, read by many processes, and what an audit keeps of them."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from florilegium.audit.columns import packed
from florilegium.audit.hashing import hashes_of, thumbnails
from florilegium.audit.keeping import Appender, compact, open_kept
from florilegium.audit.kept import FACTS, STATE, Kept, Part
from florilegium.audit.points import NONE, describe
from florilegium.audit.steps import Steps
from florilegium.config.pictures import DEFAULT, Pictures
from florilegium.core.local_files import Status, listed
from florilegium.data.decode import BadImage, check_skipped, decode, in_processes

CHUNK = 64  # images that a worker takes at a time
HASHING, DESCRIBING = "reading and hashing", "local features"  # steps


@dataclass(frozen=True)
class Task:
    """Images below a root that one process reads at a time, each with the state of its file before that."""

    root: Path
    images: list[tuple[str, Status]]
    pictures: Pictures
    crops: bool


@dataclass(frozen=True)
class Read:
    """What came of a task."""

    part: Part
    broken: dict[str, str]  # why images cannot be decoded
    describing: float  # share of the time that local features took


def hash_images(
    root: Path,
    images: Sequence[str],
    folder: Path,
    *,
    workers: int = 1,
    corrupt: Literal["stop", "skip"] = "stop",
    pictures: Pictures = DEFAULT,
    crops: bool = False,
    steps: Steps | None = None,
) -> tuple[Kept, list[int], dict[str, str]]:
    """Read those `images` (paths below `root`) that `folder` does not have as they are now, and keep them there.

    They are read as `pictures` says, in `workers` processes of one thread each; with `crops` their local features are
    kept, too. What `folder` has of other images is dropped when it is more than half of it.

    Returns:
        What is kept, the rows of `images` in it, sorted by image, and for each that cannot be decoded the reason.

    Raises:
        UserError: it lists the images that cannot be decoded unless `corrupt` is `skip`, or if none is left. All
            others are kept by then. Also where `folder` holds files of something else.
    """
    steps = steps or Steps()
    started = time.monotonic()
    kept, names = open_kept(folder, pictures), sorted(images)
    states = listed(str(root), {name: root / name for name in names}).status()
    rows = current(kept, states, crops)
    new = [(name, states.get(name, Status(0, 0, 0))) for name in names if name not in rows]
    tasks = [Task(root, new[i : i + CHUNK], pictures, crops) for i in range(0, len(new), CHUNK)]
    broken: dict[str, str] = {}
    describing = 0.0
    if tasks:
        title, unit = f"reading {root.name}", "chunk"
        with closing(in_processes(read, tasks, workers, title=title, unit=unit)) as done, Appender(kept) as appender:
            for found in done:
                appender.append(found.part)
                broken.update(found.broken)
                describing += found.describing / len(tasks)
        added, kept = len(kept), Kept.read(folder)
        rows |= {kept.names[row]: row for row in range(added, len(kept))}
    seconds = time.monotonic() - started
    steps.add(HASHING, seconds * (1 - describing))
    if crops:
        steps.add(DESCRIBING, seconds * describing)
    check_skipped(root, len(names), broken, corrupt)
    found_rows = [rows[name] for name in names if name in rows]
    if len(found_rows) * 2 < len(kept):
        kept = compact(kept, np.array(found_rows, np.intp))
        found_rows = list(range(len(kept)))
    return kept, found_rows, broken


def current(kept: Kept, states: dict[str, Status], crops: bool) -> dict[str, int]:
    """The row of each file that is as it was when it was read; with `crops` its local features were made, too."""
    facts, seen = kept.rows["facts"], kept.seen
    sizes, modified, changed = (column.tolist() for column in (facts["bytes"], seen["modified"], seen["changed"]))
    described = facts["described"].tolist()
    return {
        name: row
        for name, row in kept.last().items()
        if states.get(name) == (sizes[row], modified[row], changed[row]) and (described[row] or not crops)
    }


def read(task: Task) -> Read:
    """Hash the images of a task, and find their local features."""
    names, pairs, sides, points, states = [], [], [], [], []
    broken: dict[str, str] = {}
    started, describing = time.monotonic(), 0.0
    for name, status in task.images:
        try:
            image = decode(task.root / name, task.pictures)
        except BadImage as error:
            broken[name] = str(error)
            continue
        names.append(name)
        states.append(status)
        sides.append(image.size)
        pairs.append(thumbnails(image))
        before = time.monotonic()
        points.append(describe(image) if task.crops else NONE)
        describing += time.monotonic() - before
    found = hashes_of(names, pairs)
    facts = np.zeros(len(names), FACTS)
    facts["hash"], facts["reliable"], facts["described"] = found.hash, found.reliable, task.crops
    facts["side"] = np.array(sides, np.uint32).reshape(-1, 2)
    facts["bytes"] = [status.size for status in states]
    seen = np.array([(status.modified, status.changed) for status in states], STATE)
    count = np.array([len(one) for one in points], np.int64)
    part = Part(names, facts, np.asarray(found.thumb[:]), count, packed(points), seen)
    facts["sum"] = part.sums()
    return Read(part, broken, describing / max(time.monotonic() - started, 1e-9))
