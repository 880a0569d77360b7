"""The memory that this process may still take."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

GROUPS = Path("/proc/self/cgroup")
# Where control groups are mounted; the files of a group's limit and of its use; what of this use is only cached, by the
# names in its statistics.
V2 = (Path("/sys/fs/cgroup"), "memory.max", "memory.current", ("inactive_file", "active_file"))
V1 = (
    Path("/sys/fs/cgroup/memory"),
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    ("total_inactive_file", "total_active_file"),
)


def free_memory() -> int:
    """Bytes that this process may still take: what the machine has free, or less where a limit of the process
    (RLIMIT_AS, RLIMIT_DATA) or a control group above it (a container's, a Slurm job's) leaves less. Cached files count
    as free."""
    return max(0, min([int(psutil.virtual_memory().available), *_left_by_limits(), *_left_by_groups()]))


def _left_by_limits() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    used = psutil.Process().memory_info()
    for limit, taken in ((resource.RLIMIT_AS, used.vms), (resource.RLIMIT_DATA, getattr(used, "data", 0))):
        most, _ = resource.getrlimit(limit)
        if most != resource.RLIM_INFINITY:
            yield most - taken


def _left_by_groups() -> Iterator[int]:
    """What each group leaves that this process is in, from its own to the topmost that is seen here."""
    with suppress(OSError):  # not on Linux
        for line in GROUPS.read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers in ("", "memory"):
                root, limit, usage, cached = V1 if controllers else V2
                own = root / name.lstrip("/")
                for folder in (own, *own.parents):
                    if folder.is_relative_to(root):
                        yield from _left_in(folder, limit, usage, cached)


def _left_in(folder: Path, limit: str, usage: str, cached: tuple[str, ...]) -> Iterator[int]:
    with suppress(OSError, ValueError):  # the topmost has no such files; a limit of `max` is none
        most, used = (int((folder / name).read_text()) for name in (limit, usage))
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        yield most - used + sum(int(statistics.get(name, 0)) for name in cached)
