"""How long the jobs that are due will take, by the receipts of earlier runs: their own, or of their kind.

A job that was never made here may have a receipt in a reference of the same preset. Receipts count from the moment at
which a stage begins; what a process needs to get there is added.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from florilegium.core.errors import counted
from florilegium.core.files import read_json
from florilegium.core.outputs import RECEIPT
from florilegium.core.receipts import REFERENCE

START = 1.0  # seconds until a stage begins, a little more than what a fork of a warm process takes (docs/speed.md)
UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
N_KINDS = 4  # that are named


@dataclass(frozen=True)
class Job:
    """A job of the workflow: its rule, its files, and whether it needs a GPU for itself."""

    rule: str
    outputs: tuple[str, ...]
    takes_gpu: bool = False

    @property
    def kind(self) -> str:
        """The phase that begins the name of a rule."""
        return self.rule.partition("_")[0]


def announcement(preset: str, n_done: int, due: Sequence[Job], *, cores: int, gpus: int) -> str:
    """What is done, what runs and how long it will take, in one line."""
    kinds = Counter(job.kind for job in due).most_common()
    named = [f"{n} {kind}" for kind, n in kinds[:N_KINDS]]
    if rest := sum(n for _, n in kinds[N_KINDS:]):
        named.append(f"{rest} more")
    done = f"{preset}: {n_done} of {counted(n_done + len(due), 'job')} {'is' if n_done == 1 else 'are'} done"
    return f"{done}; {len(due)} to run ({', '.join(named)}); {_time(preset, due, cores, gpus)}"


def _time(preset: str, due: Sequence[Job], cores: int, gpus: int) -> str:
    known = {job: seconds for job in due if (seconds := seconds_of(job, preset)) is not None}
    if not known:
        return "no receipt of an earlier run tells how long it takes"
    kinds: dict[str, list[float]] = {}
    for job, seconds in known.items():
        kinds.setdefault(job.kind, []).append(seconds)
    times = {job: known.get(job, mean(kinds[job.kind])) for job in due if job.kind in kinds}
    untimed = len(due) - len(times)
    without = f", and {untimed} more that nobody has timed" if untimed else ""
    return f"about {duration(wall(times, cores, gpus))}, by the receipts of earlier runs{without}"


def seconds_of(job: Job, preset: str) -> float | None:
    """The seconds of a job's last run here, or in a reference of the preset; None if it has no receipt."""
    names = [name for name in job.outputs if name.endswith(RECEIPT)]
    for places in (_here, _in_references):
        found = [_seconds(path) for name in names for path in places(Path(name), preset)]
        if known := [seconds for seconds in found if seconds is not None]:
            return sum(known)
    return None


def _seconds(path: Path) -> float | None:
    try:
        return float(read_json(path)["seconds"])
    except (OSError, ValueError, LookupError, TypeError):  # there is none, or it is no receipt
        return None


def _here(path: Path, preset: str) -> list[Path]:
    return [path]


def _in_references(path: Path, preset: str) -> list[Path]:
    """The same file in the first reference of the preset that has it."""
    results = Path("results") / preset
    if not path.is_relative_to(results):
        return []
    places = sorted(Path("results", REFERENCE).glob(f"{preset}-*"))
    return [own for place in places if (own := place / path.relative_to(results)).is_file()][:1]


def wall(times: Mapping[Job, float], cores: int, gpus: int) -> float:
    """Seconds from the first job to the last, if all cores, and for those that need one all GPUs, stay busy."""
    whole = {job: seconds + START for job, seconds in times.items()}
    on_gpus = sum(seconds for job, seconds in whole.items() if job.takes_gpu)
    return max(sum(whole.values()) / cores, on_gpus / max(gpus, 1), *whole.values())


def duration(seconds: float) -> str:
    """A time in its largest unit, rounded: `40 seconds`, `6 minutes`, `3 hours`."""
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= 1.5 * size), UNITS[-1])
    return counted(round(seconds / size), unit)
