"""The headlines of a study, from its tables: its claims, repeated test pictures, reproduced values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from florilegium.report.claim_texts import tally
from florilegium.report.study import Study

JUDGED = ("reproduced", "higher", "lower", "inconclusive")


@dataclass(frozen=True)
class Finding:
    """A number, its subject, and the sentence that qualifies it."""

    headline: str
    subject: str
    sentence: str


def findings(
    study: Study, claims: pd.DataFrame, comparison: pd.DataFrame, audits: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    """The headlines of a study, its claims first."""
    yield from _claims(claims)
    used = {entry.dataset for entry in study.entries}
    yield from _repeated([audit for audit in audits if {audit["a"], audit["b"]} <= used])
    yield from _published(comparison)


def _claims(claims: pd.DataFrame) -> Iterator[Finding]:
    counts = tally(claims)
    n_run = len(claims) - counts["not run"]
    if len(claims):
        parts = [f"{counts[verdict]} {verdict}" for verdict in ("refuted", "undecided") if counts[verdict]]
        rest = f"{counts['not run']} more cannot be tested in this preset" if counts["not run"] else ""
        sentence = "; ".join(filter(None, (", ".join(parts), rest)))
        yield Finding(f"{counts['supported']} of {n_run}", "claims supported", f"{sentence}." if sentence else "")


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
