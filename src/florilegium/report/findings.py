"""The headlines of a study: sentences made from its numbers, which claim no effect that its tests do not show."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from florilegium.config.metrics import EPOCHS
from florilegium.report.comparison import arm_rows, differences_of, shown
from florilegium.report.study import SHARE, Entry, Study, labels
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
) -> list[Finding]:
    """The headlines of a study, the leak first."""
    names = labels(study)
    found: list[Finding] = []
    for leaky, clean in study.leaks():
        found += _effect(f"flattery by a leak ({leaky.dataset})", leaky, clean, differences, names)
    gains = study.gains()
    for transfer, scratch in gains if len(gains) <= FEW else ():
        subject = f"gain by transfer ({transfer.dataset})"
        found += _effect(subject, transfer, scratch, differences, names)
        found += _convergence(transfer, scratch, comparison)
    if len(gains) > FEW:
        found += _gains([transfer for transfer, _ in gains], differences)
    for added, real in study.additions():
        subject = (
            f"by {100 * added.values[SHARE]:.0f} % generated images beside the real ones ({added.dataset})"
        )
        found += _effect(subject, added, real, differences, names)
    used = {entry.dataset for entry in study.entries}
    own = [audit for audit in audits if {audit["a"], audit["b"]} <= used]
    return [*found, *_repeated(own), *_published(comparison)]


def _effect(
    subject: str,
    arm: Entry,
    baseline: Entry,
    differences: pd.DataFrame,
    names: Mapping[tuple[str, str], str],
) -> Iterator[Finding]:
    row = differences_of(differences, arm)
    if row is None:
        return
    metric = arm.scoring.main
    sentence = (
        f"{names[arm.key]}: {number(metric, row.mean)}\u00a0%, against {number(metric, row.baseline_mean)}\u00a0% for "
        f"{names[baseline.key]}. 95\u00a0% interval of the difference {points(row.ci_low)} to {points(row.ci_high)} points, "
        f"p\u00a0{equals(p_value(row.p_value))}, adjusted for {len(differences)} tests p\u00a0{equals(p_value(row.p_adjusted))}; "
        f"{_seeds(row.n_seeds)}, {row.n_test:,} test images."
    )
    if row.n_seeds == 1:
        sentence += " With one seed, this holds for these two networks alone."
    if not shown(row):
        sentence += f" The difference is not significant: {_power(row.detectable)}."
    yield Finding(f"{points(row.difference)} points", subject, sentence)


def _power(detectable: float) -> str:
    """The power of a test in words: the difference that is significant in four of five repetitions."""
    if not detectable < 1:
        return "so few runs cannot show any"
    return f"one of {points(detectable).removeprefix('+')} points would be, in four of five repetitions"


def _gains(arms: Sequence[Entry], differences: pd.DataFrame) -> Iterator[Finding]:
    """Many gains in one headline."""
    rows = [row for arm in arms if (row := differences_of(differences, arm)) is not None]
    if rows:
        low, high = min(row.difference for row in rows), max(row.difference for row in rows)
        above = sum(shown(row) and row.difference > 0 for row in rows)
        below = sum(shown(row) and row.difference < 0 for row in rows)
        largest = max(row.detectable for row in rows)
        rest = f"; of the other differences, {_power(largest)}" if above + below < len(rows) else ""
        yield Finding(
            f"{points(low)} to {points(high)} points",
            f"gain by transfer ({len(rows)} pairs)",
            f"Adjusted for the study's {len(differences)} tests, {above} gains and {below} losses are significant{rest}. The "
            "table of differences has each.",
        )


def _convergence(arm: Entry, baseline: Entry, comparison: pd.DataFrame) -> Iterator[Finding]:
    ours, theirs = _mean(comparison, arm, EPOCHS), _mean(comparison, baseline, EPOCHS)
    if ours is not None and theirs is not None:
        yield Finding(
            f"{number(EPOCHS, theirs)} → {number(EPOCHS, ours)} epochs",
            f"to 90 % of the final accuracy ({arm.dataset})",
            "From scratch, then transferred; each relative to its own final validation accuracy, means over seeds.",
        )


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
    judged = comparison[comparison["verdict"].isin(JUDGED)]
    if len(judged):
        counts = judged["verdict"].value_counts()
        parts = [f"{counts[word]} {word}" for word in JUDGED if word in counts]
        yield Finding(
            f"{counts.get('reproduced', 0)} of {len(judged)}",
            "published values reproduced",
            f"By our 95\u00a0% intervals: {', '.join(parts)}.",
        )


def _mean(comparison: pd.DataFrame, entry: Entry, metric: str) -> float | None:
    rows = arm_rows(comparison, entry.key)
    means = rows[rows["metric"] == metric]["mean"].dropna()
    return float(means.iloc[0]) if len(means) else None


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"
