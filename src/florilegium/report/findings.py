"""The headlines of a study, from its tables: effects with their tests, repeated test pictures, reproduced values."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from florilegium.config.metrics import EPOCHS
from florilegium.report.comparison import arm_rows, difference_row, is_significant, shown
from florilegium.report.study import LEAKY, SHARE, Entry, Study, labels
from florilegium.report.tables import equals, number, p_value, points

FEW = 3  # gains that have a headline each
JUDGED = ("reproduced", "higher", "lower", "inconclusive")


@dataclass(frozen=True)
class Finding:
    """A number, its subject, and the sentence that qualifies it."""

    headline: str
    subject: str
    sentence: str


def findings(
    study: Study, comparison: pd.DataFrame, differences: pd.DataFrame, audits: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    """The headlines of a study, the leak first."""
    names = labels(study)
    for leaky, clean in study.leaks():
        cause = "a leak" if leaky.arm == LEAKY else "what a hash does not see"
        for finding in _effect(f"flattery by {cause} ({leaky.dataset})", leaky, clean, differences, names):
            yield replace(finding, sentence=" ".join([finding.sentence, *shown(leaky, audits)]))
    gains = study.gains()
    if len(gains) > FEW:
        yield from _gains([transfer for transfer, _ in gains], differences)
    else:
        for transfer, scratch in gains:
            subject = f"gain by transfer ({transfer.dataset})"
            yield from _effect(subject, transfer, scratch, differences, names)
            yield from _convergence(transfer, scratch, comparison)
    for added, real in study.additions():
        subject = f"by {100 * added.values[SHARE]:.0f} % generated images beside the real ones ({added.dataset})"
        yield from _effect(subject, added, real, differences, names)
    used = {entry.dataset for entry in study.entries}
    yield from _repeated([audit for audit in audits if {audit["a"], audit["b"]} <= used])
    yield from _published(comparison)


def _effect(
    subject: str, arm: Entry, baseline: Entry, differences: pd.DataFrame, names: Mapping[tuple[str, str], str]
) -> Iterator[Finding]:
    row = difference_row(differences, arm)
    if row is None:
        return
    ours, theirs = (number(arm.scoring.main, mean) for mean in (row.mean, row.baseline_mean))
    seeds = "1 seed" if row.n_seeds == 1 else f"{row.n_seeds} seeds"
    sentence = (
        f"{names[arm.key]}: {ours}\u00a0%, against {theirs}\u00a0% for {names[baseline.key]}. 95\u00a0% interval of "
        f"the difference {points(row.ci_low)} to {points(row.ci_high)} points, p\u00a0{equals(p_value(row.p_value))}, "
        f"adjusted for {len(differences)} tests p\u00a0{equals(p_value(row.p_adjusted))}; {seeds}, {row.n_test:,} test "
        "images."
    )
    if row.n_seeds == 1:
        sentence += " With one seed, this holds for these two networks alone."
    if not is_significant(row):
        sentence += f" The difference is not significant: {_power(row.detectable)}{_needed(row)}."
    yield Finding(f"{points(row.difference)} points", subject, sentence)


def _power(detectable: float) -> str:
    """The power of a test in words: the difference that is significant in four of five repetitions."""
    if not detectable < 1:
        return "so few runs cannot show any"
    return f"one of {points(detectable).removeprefix('+')} points would be, in four of five repetitions"


def _needed(row: Any) -> str:
    """How many seeds it would take to decide a difference of this size."""
    if math.isnan(row.n_seeds_needed) or row.difference == 0:
        return ""
    size = points(abs(row.difference)).removeprefix("+")
    if math.isinf(row.n_seeds_needed):
        return f"; one of {size} points is below what any number of seeds shows on these test images"
    return f"; one of {size} points takes {row.n_seeds_needed:,.0f} seeds"


def _gains(arms: Sequence[Entry], differences: pd.DataFrame) -> Iterator[Finding]:
    """Many gains in one headline."""
    rows = [row for arm in arms if (row := difference_row(differences, arm)) is not None]
    if rows:
        gains = [row.difference for row in rows]
        significant = [row.difference for row in rows if is_significant(row)]
        above, below = sum(gain > 0 for gain in significant), sum(gain < 0 for gain in significant)
        largest = max(row.detectable for row in rows)
        rest = f"; of the other differences, {_power(largest)}" if above + below < len(rows) else ""
        yield Finding(
            f"{points(min(gains))} to {points(max(gains))} points",
            f"gain by transfer ({len(rows)} pairs)",
            f"Adjusted for the study's {len(differences)} tests, {above} gains and {below} losses are "
            f"significant{rest}. The table of differences has each.",
        )


def _convergence(arm: Entry, baseline: Entry, comparison: pd.DataFrame) -> Iterator[Finding]:
    ours, theirs = (_epochs(comparison, entry) for entry in (arm, baseline))
    if ours is not None and theirs is not None:
        yield Finding(
            f"{number(EPOCHS, theirs)} → {number(EPOCHS, ours)} epochs",
            f"to 90 % of the final accuracy ({arm.dataset})",
            "From scratch, then transferred; each relative to its own final validation accuracy, means over seeds.",
        )


def _epochs(comparison: pd.DataFrame, entry: Entry) -> float | None:
    rows = arm_rows(comparison, entry.key)
    means = rows[rows["metric"] == EPOCHS]["mean"].dropna()
    return float(means.iloc[0]) if len(means) else None


def _repeated(audits: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for audit in audits:
        inside = audit["a"] == audit["b"]
        n = audit["across_splits"]["train/test"]["images"] if inside else audit["n_exposed"].get("test", 0)
        if n:
            yield Finding(
                f"{n:,} test {'picture' if n == 1 else 'pictures'}",
                f"of {audit['b']} repeated in {'its own training split' if inside else audit['a']}",
                f"Found by perceptual hash, confirmed on pixels. The clean split of {audit['a']} drops "
                f"{audit['n_dropped']:,} of its {audit['n_a']:,} images.",
            )


def _published(comparison: pd.DataFrame) -> Iterator[Finding]:
    verdicts = list(comparison["verdict"])
    counts = {verdict: verdicts.count(verdict) for verdict in JUDGED}
    n_judged = sum(counts.values())
    if n_judged:
        parts = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        sentence = f"By our 95\u00a0% intervals: {parts}."
        yield Finding(f"{counts['reproduced']} of {n_judged}", "published values reproduced", sentence)
