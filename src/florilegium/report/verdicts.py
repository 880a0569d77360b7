"""One word on each row of a comparison, and what keeps it from being judged.

A row is judged where nothing that can matter to its metric departs from the study: a network's size does not
depend on how long it was trained, an accuracy depends on everything.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from florilegium.core.metrics import BETWEEN, BY_HARDWARE, FRACTIONS, SIZES
from florilegium.core.published import Published
from florilegium.plan.departures import Departure, Kind, elsewhere
from florilegium.report.measures import counted
from florilegium.report.runs import Run
from florilegium.report.sizes import allowed
from florilegium.report.statistics import Interval
from florilegium.report.study import Entry, Key, Learned, Study

WIDEST = 0.10  # an interval of a fraction that is wider than this decides nothing by overlapping
SEPARATOR = "; "
SHAPE: frozenset[Kind] = frozenset({"experiment", "classes", "network", "image_size"})
MATTERS: dict[str, frozenset[Kind]] = {
    **dict.fromkeys(SIZES, SHAPE),
    "params_trainable": SHAPE | {"freezing"},
}
"""The kinds of departures that can matter to a metric; to one that is not here, all can."""
Images = Mapping[str, Mapping[str, Any]]  # `images.json` by data set


@dataclass(frozen=True)
class Judgement:
    """A verdict, what departs from the study and can matter to the metric, and what was allowed for."""

    verdict: str
    differs: str
    notes: tuple[str, ...] = ()


def judge(
    study: Study,
    entry: Entry,
    metric: str,
    published: Published | None,
    runs: Sequence[Run],
    interval: Interval,
    images: Images,
) -> Judgement:
    """The verdict on a row.

    `not_run`; `diverged` (every run did); `not_comparable` where what was run is not what was published, where nothing
    was published, or where the hardware decides (times, memory); `higher` and `lower` when our interval lies wholly
    outside the published range; `inconclusive` when there is no interval, when it overlaps that range but is wider
    than 10 points of a fraction, or when of two arms together (a gain, a factor) it does not lie wholly inside: a
    claim such as "better" is a range without an end, which nearly every interval overlaps; else `reproduced`.
    """
    over = (entry.over(published) if published else entry.baseline_key) if metric in BETWEEN else None
    differs = departures(study, entry, metric, over, images)
    said = SEPARATOR.join(d.words for d in differs)
    if not runs:
        return Judgement("not_run", said)
    if not counted(metric, runs):
        return Judgement("diverged", said)
    if differs or published is None or metric in BY_HARDWARE:
        return Judgement("not_comparable", said)
    _, low, high = interval
    notes: list[str] = []
    if metric in SIZES:
        of_ours = counted(metric, runs)[0].metrics
        low, high, notes = allowed(published, of_ours, _n_classes(entry.dataset, images))
    return Judgement(_word(metric, published, low, high), said, tuple(notes))


def _word(metric: str, published: Published, low: float, high: float) -> str:
    if math.isnan(low):
        return "inconclusive"
    if low > published.high:
        return "higher"
    if high < published.low:
        return "lower"
    if metric in BETWEEN:
        return "reproduced" if published.low <= low and high <= published.high else "inconclusive"
    return "inconclusive" if metric in FRACTIONS and high - low > WIDEST else "reproduced"


def departures(study: Study, entry: Entry, metric: str, over: Key | None, images: Images) -> list[Departure]:
    """What departs from the study and can matter to a metric of an arm, or of it and the one that it is held `over`."""
    matters = MATTERS.get(metric)
    found = [d for d in _all(entry, images) if matters is None or d.kind in matters]
    if baseline := study.find(over):
        found += elsewhere("experiment", baseline.unsplit_name, _all(baseline, images), found)
    return list({d.words: d for d in found}.values())


def _all(entry: Entry, images: Images) -> list[Departure]:
    """Those that are known before the run, and those that the data sets showed."""
    if any(d.kind == "experiment" for d in entry.departures):
        return list(entry.departures)
    found = [d for learned in entry.learns_from for d in of_data(learned, entry.dataset, images)]
    return [*found, *entry.departures]


def of_data(learned: Learned, own: str, images: Images) -> list[Departure]:
    """How a data set as it was found departs from the study's: in classes, in images, in files.

    The data set that an arm answers on is its `own`; the classes of another are no matter of its network's size.
    """
    found = images.get(learned.dataset)
    if found is None:
        return []
    of = "" if learned.dataset == own else f" of {learned.dataset}"
    said: list[Departure] = []
    if learned.classes and found["n_classes"] != learned.classes:
        count, published = f"{found['n_classes']:,}", f"{learned.classes:,}"
        words = f"{count} classes for {published}" if learned.stands_in else f"{count} of {published} classes"
        said.append(Departure(kind="data" if of else "classes", words=f"data: {words}{of}"))
    elif learned.images and not learned.stands_in and found["n_images"] != learned.images:
        words = f"data: {found['n_images']:,} of {learned.images:,} images{of}"
        said.append(Departure(kind="data", words=words))
    if found.get("other_files"):
        files = ", ".join(found["other_files"])
        said.append(Departure(kind="data", words=f"data: another file in place of {files}"))
    return said


def _n_classes(dataset: str, images: Images) -> int | None:
    found = images.get(dataset)
    return int(found["n_classes"]) if found else None
