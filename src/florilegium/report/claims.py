"""The verdicts on a study's claims: `claims.csv`.

A claim on two arms is tested as the table of differences tests them, over seeds and test images, with p for the bound
that is nearest to what was claimed; one on another metric than the main one by Student's t over the seeds that both
have. Its p is adjusted (Holm) with all tests of the study. A claim on one arm has an interval and no test. Of several
comparisons all have to hold, and the row shows the one that decides.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from florilegium.config.claims import Claim, Step, claimed_value
from florilegium.config.metrics import CLOCKED, COCO_METRICS, FRACTIONS, SCORING, SIZES, WORDS, Published
from florilegium.report.arms import Arms
from florilegium.report.runs import BLANK, HOSTS, NOWHERE, Run, counted, value
from florilegium.report.statistics import Difference, Interval, holm, paired_t
from florilegium.report.study import Entry, Study
from florilegium.report.tables import NOTE_SEPARATOR
from florilegium.report.verdicts import SEPARATOR, Images, departures, judge

Verdict = Literal["supported", "refuted", "undecided", "not run"]
COLUMNS = [
    "claim", "study", "says", "source", "arm", "baseline", "metric", "measure", "at_least", "at_most",
    "published_low", "published_high", "mean", "ci_low", "ci_high", "p_value", "p_adjusted", "detectable",
    "n_seeds", "n_seeds_needed", "n_test", "n_comparisons", "n_run", "verdict", "preset", "differs", "note",
]  # fmt: skip
SIGNIFICANT = 0.05
JUDGED: dict[str, Verdict] = {
    "reproduced": "supported", "higher": "refuted", "lower": "refuted",
    "inconclusive": "undecided", "diverged": "undecided", "not_run": "not run", "not_comparable": "not run",
}  # fmt: skip
"""The verdict on the row of a published value (`report.verdicts`), as one on the claim that it is reached."""


@dataclass(frozen=True)
class Measured:
    """One comparison of a claim, or the value of one arm, as measured.

    Attributes:
        p_value: of its test; NaN without one.
        is_known: its test is one of the table of differences, with the arms in this order or the other.
        lacks: why it was not measured, or has no interval.
    """

    claim: Claim
    step: Step
    interval: Interval = NOWHERE
    p_value: float = BLANK
    detectable: float = BLANK
    n_seeds: int = 0
    n_seeds_needed: float = BLANK
    n_test: Any = pd.NA
    is_known: bool = False
    is_run: bool = True
    lacks: str = ""
    machines: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Outcome:
    """What was measured, beside what was published, and the verdict."""

    of: Measured
    verdict: Verdict
    published: tuple[float, float]
    p_adjusted: float
    differs: str
    notes: tuple[str, ...] = ()


# Measurements


def measure(study: Study, arms: Arms, images: Images) -> list[Measured]:
    """Every comparison of every claim that the runs allow, in the order of the claims; `images` as in `compare`.

    What a network takes, in time, memory or parameters, is claimed of the published one: of another it is not measured.
    """
    measured = []
    for claim in study.claims:
        for step in claim.steps:
            entries = [entry for key in step if (entry := study.find(key))]
            is_other = any(departures(study, entry, "params", None, images) for entry in entries)
            if is_other and claim.bounds and claim.metric in (*SIZES, *CLOCKED):
                reason = "it is about the published networks and image sizes, and others are run"
                measured.append(Measured(claim, step, is_run=False, lacks=reason))
            else:
                measured.append(_measured(study, arms, claim, step))
    return measured


def own_tests(measured: Sequence[Measured]) -> list[float]:
    """The p-values of tests that are not in the table of differences."""
    return [of.p_value for of in measured if not of.is_known and not math.isnan(of.p_value)]


def _measured(study: Study, arms: Arms, claim: Claim, step: Step) -> Measured:
    metric, blank = str(claim.metric), Measured(claim, step)
    for key in filter(None, step):
        runs = arms.runs.get(key, ())
        if not runs:
            return replace(blank, is_run=False, lacks=f"there is no finished run of {'/'.join(key)}")
        if not counted(metric, runs):
            return replace(blank, lacks=f"every run of {'/'.join(key)} diverged")
    key, other = step
    own = counted(metric, arms.runs[key])
    scoring = SCORING[own[0].task]
    on_test = {scoring.main, *scoring.on_test, *COCO_METRICS}
    n_test = own[0].metrics.get("n_test", pd.NA) if metric in on_test else pd.NA
    if metric in CLOCKED:
        costs = [run.cost() for key in filter(None, step) for run in arms.runs[key]]
        machines = {"{device} in {precision}".format(**cost) for cost in costs}
        blank = replace(blank, machines=frozenset(machines))
        if other and len({cost["device"] for cost in costs}) > 1:
            return replace(blank, is_run=False, lacks="its runs are of more than one kind of machine")
    if other is None:
        interval = arms.summary(metric, key)
        lacks = f"a run of {'/'.join(key)} has no {WORDS[metric]}" if math.isnan(interval[0]) else ""
        return replace(blank, interval=interval, n_seeds=len(own), n_test=n_test, lacks=lacks)
    if metric == scoring.main and metric in FRACTIONS:
        paired = arms.paired(key, other)
        if paired is None:
            return replace(blank, lacks=arms.untested(key, other) or "a run of them has no such score")
        found = _tested(blank, paired.difference)
        return replace(found, n_seeds=paired.n_seeds, n_test=paired.n_test, is_known=_is_known(study, found))
    return replace(_over_seeds(blank, metric, own, counted(metric, arms.runs[other])), n_test=n_test)


def _over_seeds(blank: Measured, metric: str, ours: Sequence[Run], theirs: Sequence[Run]) -> Measured:
    """The difference, or the ratio, of a metric over the seeds that two arms have in common."""
    if metric == "peak_memory_bytes" and any(run.cost()["device"] in HOSTS for run in (*ours, *theirs)):
        return replace(blank, is_run=False, lacks="memory is compared on GPUs alone: elsewhere it is the process's")
    others = {run.seed: value(run, metric) for run in theirs}
    pairs = [(value(run, metric), others[run.seed]) for run in ours if run.seed in others]
    if metric in SIZES:  # the same in every run
        pairs = [(value(ours[0], metric), value(theirs[0], metric))]
    if not pairs or any(math.isnan(number) for pair in pairs for number in pair):
        reason = f"a run of them has no {WORDS[metric]}" if pairs else "they have no seed in common"
        return replace(blank, is_run=bool(pairs), lacks=reason)
    is_ratio = metric not in FRACTIONS
    if is_ratio and any(other == 0 for _, other in pairs):
        return replace(blank, lacks=f"a run of {'/'.join(blank.step[1] or ())} has a {WORDS[metric]} of zero")
    numbers = [one / other if is_ratio else one - other for one, other in pairs]
    found = replace(blank, n_seeds=len(numbers), interval=(float(np.mean(numbers)), BLANK, BLANK))
    if metric in SIZES:
        return replace(found, n_seeds=len(ours), interval=(numbers[0], numbers[0], numbers[0]))
    if len(numbers) == 1:
        return replace(found, lacks="one seed in common tells nothing of others")
    d = paired_t(numbers, np.zeros(len(numbers)))
    if math.isinf(d.high):
        return replace(found, lacks="all seeds agree, which tells nothing of others")
    return _tested(found, replace(d, low=max(0.0, d.low)) if is_ratio else d)


def _tested(found: Measured, d: Difference) -> Measured:
    """A measurement with its test: against the bounds that it fails, or else against all of them."""
    claim = found.claim
    failed = [bound for bound in claim.bounds if (d.mean < bound if bound == claim.at_least else d.mean > bound)]
    p_value, bound = max((d.p_value if bound == 0 else d.p_at(bound), bound) for bound in failed or claim.bounds)
    interval, needed = (d.mean, d.low, d.high), d.seeds_needed(bound)
    return replace(found, interval=interval, p_value=p_value, detectable=d.detectable, n_seeds_needed=needed)


def _is_known(study: Study, found: Measured) -> bool:
    """True where the table of differences has the test."""
    key, other = found.step
    pairs = {(entry.key, entry.baseline_key) for entry in study.entries}
    return found.claim.bounds == (0.0,) and bool({(key, other), (other, key)} & pairs)


# Verdicts


def judge_claims(
    study: Study, arms: Arms, measured: Sequence[Measured], differences: pd.DataFrame, images: Images
) -> pd.DataFrame:
    """A row for each claim: `COLUMNS`. `differences` is the study's table of them, `images` as in `compare`."""
    adjusted = iter(holm([*differences["p_value"], *own_tests(measured)])[len(differences) :])
    of_claims: dict[str, list[Outcome]] = {claim.name: [] for claim in study.claims}
    for of in measured:
        p = BLANK
        if not math.isnan(of.p_value):
            p = _known_p(differences, of.step) if of.is_known else next(adjusted)
        of_claims[of.claim.name].append(_outcome(study, arms, of, p, images))
    rows = [_row(study, claim, of_claims[claim.name]) for claim in study.claims]
    counts = dict.fromkeys(("n_seeds", "n_test", "n_comparisons", "n_run"), "Int64")
    return pd.DataFrame(rows, columns=COLUMNS).astype(counts)


def _known_p(differences: pd.DataFrame, step: Step) -> float:
    names = [f"{experiment}/{arm}" for experiment, arm in filter(None, step)]
    for arm, baseline in (names, names[::-1]):
        rows = differences[differences["experiment"] + "/" + differences["arm"] == arm]
        rows = rows[rows["baseline"] == baseline]
        if len(rows):
            return float(rows["p_adjusted"].iloc[0])
    raise AssertionError("a known test is in the table")


def _outcome(study: Study, arms: Arms, of: Measured, p_adjusted: float, images: Images) -> Outcome:
    claim, (key, other) = of.claim, of.step
    entry, metric = study.find(key), str(claim.metric)
    assert entry is not None, "claims are of arms of the study"
    if other is None and not claim.bounds:
        published = claimed_value(claim, entry.published, study.study)
        judgement = judge(study, entry, metric, published, arms.runs.get(key, ()), of.interval, images)
        verdict = JUDGED[judgement.verdict]
        notes = judgement.notes
        if judgement.verdict == "not_comparable":
            reason = "the hardware decides it" if metric in CLOCKED else "what is run is not what was published"
            notes = (f"{reason}, so it is not held against the published value", *notes)
        return Outcome(of, verdict, (published.low, published.high), BLANK, judgement.differs, notes)
    differs = SEPARATOR.join(d.words for d in departures(study, entry, metric, other, images))
    theirs = study.find(other)
    printed = _printed(claim, of.step, entry, theirs) if theirs else (BLANK, BLANK)
    return Outcome(of, _verdict(of, p_adjusted), printed, p_adjusted, differs)


def _verdict(of: Measured, p_adjusted: float) -> Verdict:
    mean, low, high = of.interval
    if not of.is_run:
        return "not run"
    if math.isnan(low):
        return "undecided"
    if math.isnan(p_adjusted):
        decided = not any(low < bound < high for bound in of.claim.bounds)
    else:
        decided = p_adjusted < SIGNIFICANT
    if not decided:
        return "undecided"
    return "supported" if of.claim.holds(mean) else "refuted"


def _printed(claim: Claim, step: Step, entry: Entry, other: Entry) -> tuple[float, float]:
    """What the study printed for a comparison, from the published values of both arms; NaN where either has none."""
    ours = _range(entry.published, claim.metric)
    theirs = _range(other.published, claim.metric)
    if claim.measure(step) == "difference":
        return ours[0] - theirs[1], ours[1] - theirs[0]
    return (ours[0] / theirs[1], ours[1] / theirs[0]) if theirs[0] > 0 else (BLANK, BLANK)


def _range(published: Sequence[Published], metric: str | None) -> tuple[float, float]:
    values = [of for of in published if of.metric == metric]
    return (min(of.low for of in values), max(of.high for of in values)) if values else (BLANK, BLANK)


# Rows

ORDER: tuple[Verdict, ...] = ("refuted", "undecided", "supported")  # the first one that is there decides


def _row(study: Study, claim: Claim, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    run = [outcome for outcome in outcomes if outcome.verdict != "not run"]
    one = _deciding(run) if run else outcomes[0] if outcomes else None
    verdict: Verdict = one.verdict if one else "not run"
    n_steps = max(claim.n_steps, len(outcomes))
    notes = [claim.note if run else "", *_notes(claim, one, run, n_steps)]
    is_part = 0 < len(run) < n_steps
    qualified = study.rendered or is_part or any(outcome.differs for outcome in outcomes)
    of = one.of if one else None
    return {
        "claim": claim.name,
        "study": study.study,
        "says": claim.says,
        "source": claim.source,
        "arm": "/".join(of.step[0]) if of else "",
        "baseline": "/".join(of.step[1] or ()) if of else "",
        "metric": claim.metric or "",
        "measure": claim.measure(of.step) if of else "",
        "at_least": BLANK if claim.at_least is None else claim.at_least,
        "at_most": BLANK if claim.at_most is None else claim.at_most,
        **dict(zip(("published_low", "published_high"), one.published if one else (BLANK, BLANK), strict=True)),
        **dict(zip(("mean", "ci_low", "ci_high"), of.interval if of else NOWHERE, strict=True)),
        "p_value": of.p_value if of else BLANK,
        "p_adjusted": one.p_adjusted if one else BLANK,
        "detectable": of.detectable if of else BLANK,
        "n_seeds": of.n_seeds if of and verdict != "not run" else pd.NA,
        "n_seeds_needed": of.n_seeds_needed if of else BLANK,
        "n_test": of.n_test if of and verdict != "not run" else pd.NA,
        "n_comparisons": n_steps,
        "n_run": len(run),
        "verdict": f"{verdict} ({study.preset})" if qualified else verdict,
        "preset": study.preset,
        "differs": one.differs if one else "",
        "note": NOTE_SEPARATOR.join(dict.fromkeys(filter(None, notes))),
    }


def _deciding(run: Sequence[Outcome]) -> Outcome:
    """Of several comparisons the first that is refuted, or the least sure one."""
    verdict = next(verdict for verdict in ORDER if any(outcome.verdict == verdict for outcome in run))
    those = [outcome for outcome in run if outcome.verdict == verdict]
    sign = 1 if verdict == "refuted" else -1
    return min(those, key=lambda outcome: sign * (2.0 if math.isnan(outcome.of.p_value) else outcome.of.p_value))


def _notes(claim: Claim, one: Outcome | None, run: Sequence[Outcome], n_steps: int) -> Iterator[str]:
    """Why there is no verdict, or only this one."""
    if claim.lacks:
        yield claim.lacks
        if not run:
            return
    elif one is None:
        yield "no two of its arms are tested on the same images here"
    if n_steps > 1 and run:
        counts = [(v, sum(outcome.verdict == v for outcome in run)) for v in ("supported", "refuted", "undecided")]
        said = ", ".join(f"{count} {v}" for v, count in counts if count)
        yield f"{len(run)} of {n_steps} comparisons run: {said}"
    if one is None:
        return
    yield from one.notes
    yield one.of.lacks
    if one.of.machines:
        yield f"on {', '.join(sorted(one.of.machines))}"
    if one.verdict in ("supported", "refuted") and one.of.n_seeds == 1 and not math.isnan(one.of.p_value):
        yield "with one seed, this holds for these two networks alone"
