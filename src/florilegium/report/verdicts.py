"""The verdict on each row of a comparison, and the departures from the study that prevent one.

A row is judged if no departure matters to its metric: a network's size does not depend on the length of training, an
accuracy depends on everything. Sizes are judged with allowances for other ways of counting, each noted beside its row,
so that the identical network is not called another.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from florilegium.config.metrics import CLOCKED, FRACTIONS, SIZES, Published
from florilegium.plan.departures import Departure, Kind, elsewhere
from florilegium.report.runs import Run, counted
from florilegium.report.statistics import Interval
from florilegium.report.study import Entry, Key, Learned, Study

WIDEST = 0.10  # of a fraction's interval that decides by overlapping the published range
SEPARATOR = "; "
SHAPE: frozenset[Kind] = frozenset({"experiment", "classes", "network", "image_size"})
MATTERS: dict[str, frozenset[Kind]] = {**dict.fromkeys(SIZES, SHAPE), "params_trainable": SHAPE | {"freezing"}}
"""The kinds of departures that matter to a metric; to a metric that is not here, all of them do."""
BYTES = 4  # of a weight, in fp32
MOMENTS = 2  # numbers that Adam and AdamW keep of each trained weight
COUNTERS = 0.005
"""The allowed relative difference between counters of multiply-accumulates. All count products; some leave out the
tokens beside an image's patches (1 of 577 at 384 pixels, 0.2 %), some count normalisation, too (0.2 % of CaiT-S36)."""
Images = Mapping[str, Mapping[str, Any]]  # `images.json` by data set


class Judgement(NamedTuple):
    """A verdict, the departures from the study that matter to the metric, and notes on what was allowed for."""

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

    `not_run`; `diverged` (every run did); `not_comparable` where departures matter, where nothing was published, or
    where the hardware decides (times, memory); `higher` and `lower` when our interval lies wholly outside the published
    range; `inconclusive` without an interval, and for a fraction whose interval overlaps that range but is wider than
    10 points; else `reproduced`.
    """
    differs = departures(study, entry, metric, None, images)
    words = SEPARATOR.join(d.words for d in differs)
    if not runs:
        return Judgement("not_run", words)
    if not counted(metric, runs):
        return Judgement("diverged", words)
    if differs or published is None or metric in CLOCKED:
        return Judgement("not_comparable", words)
    _, low, high = interval
    notes: list[str] = []
    if metric in SIZES:
        n_classes = images.get(entry.dataset, {}).get("n_classes")
        low, high, notes = _allowed(published, counted(metric, runs)[0].metrics, n_classes)
    return Judgement(_verdict(metric, published, low, high), words, tuple(notes))


def _verdict(metric: str, published: Published, low: float, high: float) -> str:
    if math.isnan(low):
        return "inconclusive"
    if low > published.high:
        return "higher"
    if high < published.low:
        return "lower"
    return "inconclusive" if metric in FRACTIONS and high - low > WIDEST else "reproduced"


def departures(study: Study, entry: Entry, metric: str, over: Key | None, images: Images) -> list[Departure]:
    """The departures that matter to a metric of an arm, or of the arm and the one that it is compared with (`over`)."""
    matters = MATTERS.get(metric)
    own = [d for d in _all(entry, images) if matters is None or d.kind in matters]
    if baseline := study.find(over):
        own += elsewhere("experiment", baseline.unsplit_name, _all(baseline, images), own)
    return list({d.words: d for d in own}.values())


def _all(entry: Entry, images: Images) -> list[Departure]:
    """Departures of the data sets, then those that are known before the run."""
    if any(d.kind == "experiment" for d in entry.departures):
        return list(entry.departures)
    of_data = [d for learned in entry.learns_from for d in _of_data(learned, entry.dataset, images)]
    return [*of_data, *entry.departures]


def _of_data(learned: Learned, own: str, images: Images) -> list[Departure]:
    """The departures of a data set in classes, images and files; the network's size depends on the classes of an arm's
    `own` data set alone."""
    summary = images.get(learned.dataset)
    if summary is None:
        return []
    of = "" if learned.dataset == own else f" of {learned.dataset}"
    departures: list[Departure] = []
    if learned.classes and summary["n_classes"] != learned.classes:
        count, published = f"{summary['n_classes']:,}", f"{learned.classes:,}"
        words = f"{count} classes for {published}" if learned.stands_in else f"{count} of {published} classes"
        departures.append(Departure(kind="data" if of else "classes", words=f"data: {words}{of}"))
    elif learned.images and not learned.stands_in and summary["n_images"] != learned.images:
        words = f"data: {summary['n_images']:,} of {learned.images:,} images{of}"
        departures.append(Departure(kind="data", words=words))
    if summary.get("other_files"):
        files = ", ".join(summary["other_files"])
        departures.append(Departure(kind="data", words=f"data: another file in place of {files}"))
    return departures


def _allowed(published: Published, metrics: Mapping[str, Any], n_classes: int | None) -> tuple[float, float, list[str]]:
    """The range of our size by the study's way of counting, with notes on the allowances.

    `published` is a metric of `config.metrics.SIZES`; `metrics`, of one of our runs, hold it, and `params_per_class`
    and `buffer_bytes`, if known; `n_classes` is of our data set, if known.
    """
    low = float(metrics[published.metric])
    is_file = published.metric == "checkpoint_bytes"
    notes = [f"printed as {published.printed}, rounded or cut"] if published.printed else []
    theirs, per_class = published.classes, metrics.get("params_per_class")
    if theirs is not None and n_classes is not None and per_class is not None and theirs != n_classes:
        # A parameter of a linear head is one multiply-accumulate (but for its bias) and four bytes.
        low += float(per_class * (theirs - n_classes) * (BYTES if is_file else 1))
        notes.append(f"counted with a head of {theirs:,} classes; ours has {n_classes:,}")
    high = low
    if published.metric == "macs":
        low, high = (1 - COUNTERS) * low, (1 + COUNTERS) * high
        notes.append(f"counters of operations differ; {100 * COUNTERS:g} % is allowed")
    if is_file:  # ours holds weights alone
        buffers = int(metrics.get("buffer_bytes", 0))
        more = buffers + MOMENTS * BYTES * int(metrics["params_trainable"])
        high += float(more)
        words = f"the optimiser's two moments of what is trained{', and buffers' if buffers else ''}"
        notes.append(f"a checkpoint may hold {words} (up to {more / 2**20:.1f} MiB here)")
    return low, high, notes
