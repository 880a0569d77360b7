"""The headlines of a study, from its tables: its claims, repeated test pictures, reproduced values."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from florilegium.report.claim_texts import claimed, is_decided, ours, tally
from florilegium.report.study import Study
from florilegium.report.tables import EMPTY, equals, p_value

JUDGED = ("reproduced", "higher", "lower", "inconclusive")
N_IMPORTANT = 3


@dataclass(frozen=True)
class Finding:
    """A number, its subject, and the sentence that qualifies it."""

    headline: str
    subject: str
    sentence: str


def findings(
    study: Study,
    claims: pd.DataFrame,
    comparison: pd.DataFrame,
    audits: Sequence[Mapping[str, Any]],
    titles: Mapping[str, str],
) -> Iterator[Finding]:
    """The headlines of a study, its claims first; `titles` are those of data sets by name."""
    yield from _claims(claims)
    used = {entry.dataset for entry in study.entries}
    yield from _repeated([audit for audit in audits if {audit["a"], audit["b"]} <= used], titles)
    yield from _published(comparison)


def _claims(claims: pd.DataFrame) -> Iterator[Finding]:
    counts = tally(claims)
    n_run = len(claims) - counts["not run"]
    if len(claims) and not n_run:
        yield Finding(
            "No claim", "tested in this preset", f"All {counts['not run']} of the study need more than it has."
        )
    elif len(claims):
        parts = [f"{counts[verdict]} {verdict}" for verdict in ("refuted", "undecided") if counts[verdict]]
        rest = f"{counts['not run']} more cannot be tested in this preset" if counts["not run"] else ""
        sentence = "; ".join(filter(None, (", ".join(parts), rest)))
        yield Finding(f"{counts['supported']} of {n_run}", "claims supported", f"{sentence}." if sentence else "")


def _repeated(audits: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> Iterator[Finding]:
    for audit in audits:
        inside = audit["a"] == audit["b"]
        a, b = (f"“{titles.get(audit[side], audit[side])}”" for side in ("a", "b"))
        n = audit["across_splits"]["train/test"]["images"] if inside else audit["n_exposed"].get("test", 0)
        if n:
            yield Finding(
                f"{n:,} test {'picture' if n == 1 else 'pictures'}",
                f"of {b} repeated in {'its own training split' if inside else a}",
                f"Found by perceptual hash, confirmed on pixels. The clean split of {a} drops "
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


def most_important(claims: Mapping[str, pd.DataFrame], titles: Mapping[str, str]) -> list[Finding]:
    """The surest verdicts of all studies, by adjusted p, and of equal ones the larger difference; no study has a second
    one before each has one. Both arguments are by study: its table of claims, and its title."""
    ranked = []
    for name in claims:
        decided = sorted(claims[name][is_decided(claims[name])].itertuples(), key=_surety)
        ranked += [(index, _surety(row), name, row) for index, row in enumerate(decided)]
    best = sorted(ranked, key=lambda of: of[:3])[:N_IMPORTANT]
    return [_verdict(row, titles[name]) for _, _, name, row in best]


def _surety(row: Any) -> tuple[float, float, str]:
    p = 1.0 if math.isnan(row.p_adjusted) else row.p_adjusted
    return round(p, 6), -abs(row.mean), row.claim


def _verdict(row: Any, title: str) -> Finding:
    p = p_value(row.p_adjusted)
    tested = f", p adjusted {equals(p)}" if p != EMPTY else ""
    return Finding(
        f"{row.verdict[:1].upper()}{row.verdict[1:]}",
        row.says,
        f"{title}. Claimed: {claimed(row)}; ours: {ours(row)}{tested}.",
    )
